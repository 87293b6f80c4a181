"""The command show: digits as text, a model's layers and recipe, details for a bug report."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mnistctl.cli import completion
from mnistctl.cli.download import ensure
from mnistctl.cli.options import (
    COUNT,
    DATA_DIR,
    OTHER,
    OUT_DIR,
    OUTPUT,
    DataDir,
    Dataset,
    Offline,
    OutDir,
    OverwriteFiles,
    Set,
    Split,
    flag,
    refuse_ignored,
)
from mnistctl.cli.output import terminal
from mnistctl.errors import UsageError

_OF_DIGITS = {"style", "png", "overwrite"}
# By the option that decides what the command shows, the parameters that it uses. The last one is for none.
_USED = {
    "--machine": {"machine", "data_dir", "out_dir", "json"},
    "--model": {"model", "set_", "toml"},
    "--glyphs": {"glyphs", *_OF_DIGITS},
    "images of a data set": {
        *("dataset", "split", "index", "digit", "count", "seed", "data_dir", "offline"),
        *_OF_DIGITS,
    },
}


def show(
    context: typer.Context,
    dataset: Dataset = "mnist",
    split: Split = "train",
    index: Annotated[int | None, typer.Option(help="Index of the first image, from 0.")] = None,
    digit: Annotated[int | None, typer.Option(help="Only images of this digit, 0 to 9.")] = None,
    count: Annotated[int, COUNT] = 1,
    seed: Annotated[int | None, typer.Option(help="Random seed.", show_default="random")] = None,
    style: Annotated[Literal["stars", "blocks"], typer.Option(help="Text style.")] = "stars",
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a grid as PNG instead.")] = None,
    overwrite: OverwriteFiles = False,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL|FILE.py",
            help="A model's layers, recipe and settings.",
            autocompletion=completion.models,
            rich_help_panel=OTHER,
        ),
    ] = None,
    set_: Set = None,
    toml: Annotated[
        bool,
        flag("--toml", help="The model's settings as a file for --config.", rich_help_panel=OTHER),
    ] = False,
    glyphs: Annotated[
        bool, flag("--glyphs", help="The ten digits used as labels in pictures.", rich_help_panel=OTHER)
    ] = False,
    machine: Annotated[
        bool,
        flag(
            "--machine",
            help="Versions, hardware, data sets and folders, for a bug report.",
            rich_help_panel=OTHER,
        ),
    ] = False,
    data_dir: DataDir = DATA_DIR,
    offline: Offline = False,
    out_dir: OutDir = OUT_DIR,
    json: Annotated[
        bool, flag("--json", help="Print one JSON object; only with --machine.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """The command `show`."""
    if model is None and (set_ or toml):
        raise UsageError(f"{'--set' if set_ else '--toml'} needs --model")
    if json and not machine:
        raise UsageError("show prints JSON only with --machine", remedies=["machine"])
    chosen = (machine, model is not None, glyphs, True)
    subject = next(name for name, given in zip(_USED, chosen, strict=True) if given)
    refuse_ignored(context, subject, _USED[subject])
    if png is not None:
        refuse_ignored(context, "--png", _USED[subject] - {"style"})
    if machine:
        _show_machine(data_dir, out_dir, json)
        return
    if model is not None:
        _show_model(model, set_, toml=toml)
        return
    import numpy as np

    if png is not None:
        from mnistctl.artifacts.outputs import PICTURE, Output, check_outputs

        check_outputs([Output(png, PICTURE, "png")], overwrite=overwrite)
    from mnistctl.artifacts import files, grids
    from mnistctl.cli.output.show import print_digits
    from mnistctl.data import datasets

    if glyphs:
        images, labels = grids.glyphs(), np.arange(10, dtype=np.uint8)
    else:
        datasets.check_choice(index=index, digit=digit, count=count, seed=seed)
        ensure(dataset, data_dir, offline)
        arrays, _ = datasets.load(dataset, data_dir, split)
        indices = datasets.choose(arrays, index=index, digit=digit, count=count, seed=seed)
        images, labels = arrays.images[indices], arrays.labels[indices]
    if png is not None:
        grids.write_png(png, grids.make_grid(images, min(10, len(images))))
        if str(png) != files.STDOUT:
            terminal.print_line(f"wrote {png}")
        return
    print_digits(images, labels, style)


def _show_machine(data_dir: Path, out_dir: Path, json: bool) -> None:
    from mnistctl.cli.output.show import print_environment
    from mnistctl.training.environment import collect_environment

    print_environment(collect_environment(data_dir, out_dir), json=json)


def _show_model(reference: str, assignments: list[str] | None, *, toml: bool) -> None:
    from mnistctl.cli.output.show import print_model, print_toml
    from mnistctl.cli.recipes import configure, parse_assignments
    from mnistctl.models.settings import list_settings
    from mnistctl.models.sources import find
    from mnistctl.models.summary import summarize_nets, summarize_recipe

    # With a title, the file may be called like another model.
    named = find(reference, title=Path(reference).stem)
    model, options = configure(named, {}, parse_assignments(assignments), None)
    with model.reporting_errors():
        recipe = options.recipe(model)
        settings = list_settings(recipe).values()
        if toml:
            print_toml(model, settings)
            return
        print_model(model, summarize_nets(recipe), summarize_recipe(recipe), settings)
