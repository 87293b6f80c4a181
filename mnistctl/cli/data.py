"""download and show: the digits, and what there is to look at before anything is trained."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mnistctl.cli import completing
from mnistctl.cli.words import (
    DATA_DIR,
    INSTEAD,
    OUT_DIR,
    OUTPUT,
    DataDir,
    Dataset,
    Offline,
    OutDir,
    Split,
    flag,
)
from mnistctl.errors import DataError, UsageError
from mnistctl.models import known
from mnistctl.report import looking, terminal


def download(
    dataset: Dataset = "mnist",
    data_dir: DataDir = DATA_DIR,
    mirror: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", envvar="MNISTCTL_MIRROR", help="Try this folder first; repeatable."),
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take the files from a local folder.")
    ] = None,
    check: Annotated[bool, flag("--check", help="Only verify what is there.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a silent mirror.")] = 30.0,
) -> None:
    """Fetch the digits and verify them; what is there and whole is not fetched again."""
    from mnistctl import download as downloads

    if not timeout > 0:
        raise UsageError(f"--timeout {timeout:g}: give seconds above 0")
    if check:
        found = downloads.check(dataset, data_dir)
        looking.statuses(found)
        bad = [status.file for status in found if status.count is None]
        if bad:
            mend = "`mnistctl download` without --check mends it"
            raise DataError(f"{dataset}: missing or damaged: {', '.join(bad)}; {mend}")
        return
    with terminal.downloading() as progress:
        found = downloads.fetch(
            dataset, data_dir, mirrors=mirror or (), source=source, timeout=timeout, progress=progress
        )
    looking.statuses(found)


def show(
    dataset: Dataset = "mnist",
    split: Annotated[Split, typer.Option(help="Which part.")] = "train",
    index: Annotated[int | None, typer.Option(help="This digit, counted from 0.")] = None,
    digit: Annotated[int | None, typer.Option(help="Only pictures of this digit, 0 to 9.")] = None,
    count: Annotated[int, typer.Option("-n", help="So many.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Draw the same ones again.")] = None,
    style: Annotated[Literal["stars", "blocks"], typer.Option(help="How to draw.")] = "stars",
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a grid as PNG.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A net as a table of its layers, and its recipe.",
            autocompletion=completing.models,
            rich_help_panel=INSTEAD,
        ),
    ] = None,
    glyphs: Annotated[
        bool, flag("--glyphs", help="The ten standard glyphs.", rich_help_panel=INSTEAD)
    ] = False,
    machine: Annotated[
        bool,
        flag(
            "--machine",
            help="Versions, processor, devices, digits and folders, for a report of a fault.",
            rich_help_panel=INSTEAD,
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
        from mnistctl import diagnosis

        looking.machine(diagnosis.take(data_dir, out_dir), json=json)
        return
    if model is not None:
        known(model)
        from mnistctl import describe, models

        recipe = models.load(model)
        looking.model(model, describe.nets(recipe), describe.recipe(recipe))
        return
    import numpy as np

    from mnistctl import datasets, figures

    if glyphs:
        images, labels = figures.glyphs(), np.arange(10, dtype=np.uint8)
    else:
        ensure(dataset, data_dir, offline)
        arrays, _ = datasets.load(dataset, data_dir, split)
        chosen = datasets.choose(arrays, index=index, digit=digit, count=count, seed=seed)
        images, labels = arrays.images[chosen], arrays.labels[chosen]
    if png is not None:
        figures.write_png(png, figures.sheet(images, min(10, len(images))))
        terminal.line(str(png))
        return
    looking.digits(images, labels, style)


def ensure(dataset: str, data_dir: Path, offline: bool) -> None:
    """Fetch the digits that are missing, unless `offline`.

    Raises:
        DataError: they are not there, and cannot be fetched.
    """
    from mnistctl import download as downloads

    with terminal.downloading() as progress:
        downloads.ensure(dataset, data_dir, offline=offline, progress=progress)
