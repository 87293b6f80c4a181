"""Shell completion: names of models, and of the files under out/."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import typer

from mnistctl.models import CLASSIFIERS, GENERATORS
from mnistctl.models.pretrained import PRETRAINED


def models(incomplete: str) -> Iterator[tuple[str, str]]:
    """Every model, with its description. If none matches, the shell offers files."""
    return _starting_with(CLASSIFIERS | GENERATORS | _of_packages(), incomplete)


def classifiers(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """What `trials` accepts: models, or recorded trials to compare or join. Else the shell offers files."""
    if ctx.params.get("compare") or ctx.params.get("join"):
        return trials(ctx, incomplete)
    return _starting_with(CLASSIFIERS | _of_packages(), incomplete)


def _of_packages() -> dict[str, str]:
    """The models that installed packages offer, marked with where they come from. Nothing is imported."""
    from mnistctl.models.sources import package_models

    return {name: f"from {package}" for name, package in package_models().items()}


def nets(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The trained models in the folder for results and in the package. If none matches: the shell's files."""
    return _starting_with(PRETRAINED | _runs_with_ending(ctx, "safetensors", "trained model"), incomplete)


def unfinished(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The stopped runs that --resume can continue."""
    return _starting_with(_runs_with_ending(ctx, "unfinished", "stopped run"), incomplete)


def trials(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The journals of trials that --resume can continue."""
    return _starting_with(_runs_with_ending(ctx, "jsonl", "journal of trials", "trials"), incomplete)


def _starting_with(names: Mapping[str, str], incomplete: str) -> Iterator[tuple[str, str]]:
    return ((name, text) for name, text in names.items() if name.startswith(incomplete))


def _runs_with_ending(ctx: typer.Context, ending: str, description: str, *subfolders: str) -> dict[str, str]:
    from mnistctl.artifacts import files

    folder = Path(ctx.params.get("out_dir") or "out", *subfolders)
    return dict.fromkeys(files.list_runs(folder, ending), f"{description} in {folder}")
