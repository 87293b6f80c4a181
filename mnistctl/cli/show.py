"""The command show: digits as text, a model's layers and recipe, details for a bug report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
    Json,
    Offline,
    OutDir,
    OverwriteFiles,
    Scale,
    Set,
    Split,
    flag,
    refuse_ignored,
)
from mnistctl.cli.output import terminal
from mnistctl.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnistctl.nn.augmentation import Augmentation

_COLUMNS = 10  # of a grid
_OF_DIGITS = {"style", "png", "scale", "overwrite", "json"}
# By the option that decides what the command shows, the parameters that it uses. The last one is for none.
_USED = {
    "--runs": {"runs", "out_dir", "json", "csv"},
    "--machine": {"machine", "data_dir", "out_dir", "json"},
    "--model": {"model", "set_", "toml", "json"},
    "--glyphs": {"glyphs", *_OF_DIGITS},
    "images of a data set": {
        *("dataset", "split", "index", "digit", "count", "seed", "data_dir", "offline", "set_"),
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
    scale: Scale = 1,
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
    runs: Annotated[
        bool, flag("--runs", help="The runs and trials in --out-dir.", rich_help_panel=OTHER)
    ] = False,
    data_dir: DataDir = DATA_DIR,
    offline: Offline = False,
    out_dir: OutDir = OUT_DIR,
    json: Json = False,
    csv: Annotated[bool, flag("--csv", help="Print --runs as CSV.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """The command `show`."""
    _check_options(context)
    if runs:
        _show_runs(out_dir, json=json, csv=csv)
        return
    if machine:
        _show_machine(data_dir, out_dir, json)
        return
    if model is not None:
        _show_model(model, set_, toml=toml, json=json)
        return
    import numpy as np

    augmentation = _parse_augmentation(set_) if set_ else None
    if png is not None:
        from mnistctl.artifacts.outputs import PICTURE, Output, check_outputs

        check_outputs([Output(png, PICTURE, "png")], overwrite=overwrite)
    from mnistctl.artifacts import grids
    from mnistctl.cli.output.show import print_digits, print_digits_json
    from mnistctl.data import datasets

    indices = np.arange(10)
    if glyphs:
        images, labels = grids.glyphs(), np.arange(10, dtype=np.uint8)
    else:
        datasets.check_choice(index=index, digit=digit, count=count, seed=seed)
        ensure(dataset, data_dir, offline)
        arrays, _ = datasets.load(dataset, data_dir, split)
        indices = datasets.choose(arrays, index=index, digit=digit, count=count, seed=seed)
        images, labels = arrays.images[indices], arrays.labels[indices]
    if png is not None:
        _write_png(png, images, augmentation, seed or 0, scale)
        return
    if json:
        print_digits_json(dataset if not glyphs else "glyphs", split, indices, labels, images)
        return
    print_digits(images, labels, style)


def _check_options(context: typer.Context) -> None:
    """Check that the options go together.

    Raises:
        UsageError: they do not, or one would be ignored.
    """
    given = context.params
    png, json = given["png"], given["json"]
    if given["model"] is None and given["toml"]:
        raise UsageError("--toml needs --model")
    if given["model"] is None and given["set_"] and png is None:
        raise UsageError("--set needs --model, or --png to show an augmentation")
    if given["csv"] and not given["runs"]:
        raise UsageError("--csv is only for --runs")
    if given["csv"] and json:
        raise UsageError("--csv cannot be combined with --json")
    for option, is_given in (("--scale", given["scale"] != 1), ("--overwrite", given["overwrite"])):
        if is_given and png is None:
            raise UsageError(f"{option} is only for --png")
    chosen = (given["runs"], given["machine"], given["model"], given["glyphs"], True)
    subject = next(name for name, choice in zip(_USED, chosen, strict=True) if choice not in (None, False))
    refuse_ignored(context, subject, _USED[subject])
    if png is not None:
        refuse_ignored(context, "--png", _USED[subject] - {"style", "json"})
        from mnistctl.artifacts.grids import check_scale

        check_scale(given["scale"])
    if json:
        refuse_ignored(context, "--json", _USED[subject] - {"style"})
    if given["index"] is not None and not given["set_"]:  # an augmentation has a seed, too
        refuse_ignored(context, "--index", _USED[subject] - {"seed"})
    if json and given["toml"]:
        raise UsageError("--json cannot be combined with --toml")


def _write_png(
    path: Path, images: "NDArray[np.uint8]", augmentation: "Augmentation | None", seed: int, scale: int
) -> None:
    """Write the images as a grid; with an augmentation, a row for each."""
    from mnistctl.artifacts import files, grids

    count, columns = len(images), min(_COLUMNS, len(images))
    if augmentation is not None:
        count, columns = count * _COLUMNS, _COLUMNS
    grids.check_size(count, columns, scale)
    if augmentation is not None:
        images = _add_augmented(images, augmentation, seed)
    grids.write_png(path, grids.enlarge(grids.make_grid(images, columns), scale))
    if not files.is_stdout(path):
        terminal.print_line(f"wrote {path}")


def _parse_augmentation(assignments: list[str]) -> "Augmentation":
    from mnistctl.cli.recipes import parse_assignments
    from mnistctl.models.settings import parse_augmentation

    texts = parse_assignments(assignments)
    for key, text in texts.items():
        if not key.startswith("augment."):
            message = "needs --model; without one, only augment.KEY=VALUE is shown"
            raise UsageError(message, field="settings", value=f"{key}={text}"[:80])
    return parse_augmentation(texts)


def _add_augmented(
    images: "NDArray[np.uint8]", augmentation: "Augmentation", seed: int
) -> "NDArray[np.uint8]":
    """A row for each image: the image, and what it is changed to in the first epochs of a run."""
    import numpy as np

    from mnistctl.nn.augmentation import draw_examples

    drawn = draw_examples(images, augmentation, count=_COLUMNS - 1, seed=seed)
    return np.concatenate((images[:, None], drawn), 1).reshape(-1, *images.shape[1:])


def _show_runs(out_dir: Path, *, json: bool, csv: bool) -> None:
    from mnistctl.cli.output.runs import print_runs
    from mnistctl.trials.listing import list_results

    print_runs(list_results(out_dir), json=json, csv=csv)


def _show_machine(data_dir: Path, out_dir: Path, json: bool) -> None:
    from mnistctl.cli.output.show import print_environment
    from mnistctl.training.environment import collect_environment

    print_environment(collect_environment(data_dir, out_dir), json=json)


def _show_model(reference: str, assignments: list[str] | None, *, toml: bool, json: bool) -> None:
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
        print_model(model, summarize_nets(recipe), summarize_recipe(recipe), settings, json=json)
