"""What the shell is offered for a word that is half typed: models, and the names under out/."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import typer

from mnistctl.artifacts import files
from mnistctl.models import CLASSIFIERS, GENERATORS


def models(incomplete: str) -> Iterator[tuple[str, str]]:
    """Every model, with its sentence."""
    return _starting_with(CLASSIFIERS | GENERATORS, incomplete)


def classifiers(incomplete: str) -> Iterator[tuple[str, str]]:
    """The models that `trials` takes."""
    return _starting_with(CLASSIFIERS, incomplete)


def nets(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The trained nets under the folder for results; where none fits, the shell offers files."""
    return _starting_with(_runs_with_ending(ctx, "safetensors", "a trained net"), incomplete)


def unfinished(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The runs that --resume can go on with."""
    return _starting_with(_runs_with_ending(ctx, "unfinished", "a run that was stopped"), incomplete)


def trials(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The records of trials that --resume can go on with."""
    return _starting_with(_runs_with_ending(ctx, "jsonl", "a record of trials", "trials"), incomplete)


def _starting_with(among: Mapping[str, str], incomplete: str) -> Iterator[tuple[str, str]]:
    return ((name, told) for name, told in among.items() if name.startswith(incomplete))


def _runs_with_ending(ctx: typer.Context, ending: str, what: str, *below: str) -> dict[str, str]:
    folder = Path(ctx.params.get("out_dir") or "out", *below)
    return dict.fromkeys(files.list_runs(folder, ending), f"{what} in {folder}")
