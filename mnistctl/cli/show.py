"""download and show: the digits, and what there is to look at before anything is trained."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mnistctl.cli import completion
from mnistctl.cli.download import ensure
from mnistctl.cli.options import (
    DATA_DIR,
    OTHER,
    OUT_DIR,
    OUTPUT,
    DataDir,
    Dataset,
    Offline,
    OutDir,
    Split,
    flag,
)
from mnistctl.cli.output import terminal
from mnistctl.cli.output.show import print_digits, print_environment, print_model
from mnistctl.errors import UsageError
from mnistctl.models import check_name


def show(
    dataset: Dataset = "mnist",
    split: Annotated[Split, typer.Option(help="Which part.")] = "train",
    index: Annotated[int | None, typer.Option(help="This digit, counted from 0.")] = None,
    digit: Annotated[int | None, typer.Option(help="Only pictures of this digit, 0 to 9.")] = None,
    count: Annotated[int, typer.Option("-n", "--count", help="So many.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Draw the same ones again.")] = None,
    style: Annotated[Literal["stars", "blocks"], typer.Option(help="How to draw.")] = "stars",
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a grid as PNG.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A net as a table of its layers, and its recipe.",
            autocompletion=completion.models,
            rich_help_panel=OTHER,
        ),
    ] = None,
    glyphs: Annotated[bool, flag("--glyphs", help="The ten standard glyphs.", rich_help_panel=OTHER)] = False,
    machine: Annotated[
        bool,
        flag(
            "--machine",
            help="Versions, processor, devices, digits and folders, for a report of a fault.",
            rich_help_panel=OTHER,
        ),
    ] = False,
    data_dir: DataDir = DATA_DIR,
    offline: Offline = False,
    out_dir: OutDir = OUT_DIR,
    json: Annotated[
        bool, flag("--json", help="With --machine: one JSON object on stdout.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Print random digits as text: the label, then 28 rows."""
    if json and not machine:
        raise UsageError("show --json is for --machine only")
    if machine:
        from mnistctl.training.environment import collect_environment

        print_environment(collect_environment(data_dir, out_dir), json=json)
        return
    if model is not None:
        check_name(model)
        from mnistctl.models import load
        from mnistctl.models.summary import recipe_to_json, summarize_nets

        recipe = load(model)
        print_model(model, summarize_nets(recipe), recipe_to_json(recipe))
        return
    import numpy as np

    from mnistctl.artifacts import grids
    from mnistctl.data import datasets

    if glyphs:
        images, labels = grids.glyphs(), np.arange(10, dtype=np.uint8)
    else:
        ensure(dataset, data_dir, offline)
        arrays, _ = datasets.load(dataset, data_dir, split)
        chosen = datasets.choose(arrays, index=index, digit=digit, count=count, seed=seed)
        images, labels = arrays.images[chosen], arrays.labels[chosen]
    if png is not None:
        grids.write_png(png, grids.make_grid(images, min(10, len(images))))
        terminal.print_line(str(png))
        return
    print_digits(images, labels, style)
