"""The command generate: generate images with a trained generator."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistctl.cli import completion
from mnistctl.cli.commands import check_stdout
from mnistctl.cli.errors import option_of
from mnistctl.cli.options import (
    COUNT,
    OUT_DIR,
    OUTPUT,
    AllowOtherRecipe,
    Device,
    Json,
    OutDir,
    OverwriteFiles,
    RecipeFiles,
    Scale,
    Seed,
    Threads,
    flag,
    net_argument,
    refuse_ignored,
)
from mnistctl.cli.recipes import find_recipes
from mnistctl.errors import UsageError
from mnistctl.models import CLASSIFIERS, GENERATORS, check_name

if TYPE_CHECKING:
    from mnistctl.artifacts.outputs import Output
    from mnistctl.inference.generate import GenerateOptions, GenerationResult

Digits = Annotated[
    str | None, typer.Option(metavar="2026", help="Generate these digits, in this order (cgan).")
]
Each = Annotated[int | None, typer.Option(metavar="K", help="Generate K images of each digit (cgan).")]
OutFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Image file to write; by default in --out-dir.", rich_help_panel=OUTPUT
    ),
]
Morph = Annotated[
    bool, flag("--morph", help="Write a GIF of digits that change into each other.", rich_help_panel=OUTPUT)
]
IdxDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write a data set to train on.", rich_help_panel=OUTPUT),
]
Judge = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="With --idx: classifier that labels the images of a generator without digits (gan).",
        autocompletion=completion.nets,
        show_default="out/conv",
        rich_help_panel=OUTPUT,
    ),
]
PageFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write an HTML page that draws digits in a browser.", rich_help_panel=OUTPUT
    ),
]
Show = Annotated[bool, flag("--show", help="Print the images in the terminal.", rich_help_panel=OUTPUT)]


def generate(
    context: typer.Context,
    net: Annotated[str, net_argument("pretrained-cgan")],
    count: Annotated[int | None, COUNT] = None,
    seed: Seed = None,
    rows: Annotated[int | None, typer.Option(help="Rows of the grid.")] = None,
    columns: Annotated[int | None, typer.Option(help="Columns of the grid.")] = None,
    digits: Digits = None,
    each: Each = None,
    out: OutFile = None,
    scale: Scale = 1,
    overwrite: OverwriteFiles = False,
    morph: Morph = False,
    idx: IdxDir = None,
    page: PageFile = None,
    show: Show = False,
    judge: Judge = None,
    device: Device = "auto",
    threads: Threads = None,
    out_dir: OutDir = OUT_DIR,
    recipe: RecipeFiles = None,
    allow_inexact: AllowOtherRecipe = False,
    json: Json = False,
) -> None:
    """The command `generate`."""
    if sum((morph, idx is not None, page is not None, show)) > 1:
        raise UsageError("--morph, --idx, --page and --show exclude each other; give one of them")
    if page is not None:
        refuse_ignored(context, "--page", _USED_BY_PAGE)
    if show and json:
        raise UsageError("--show cannot be combined with --json")
    of_grid = {"scale": scale if scale != 1 else None, "overwrite": overwrite or None}
    if idx is not None:
        _refuse({"out": out, "rows": rows, "columns": columns, **of_grid}, "image files")
    else:
        _refuse({"reference_classifier": judge}, "--idx")
    if show and out is None:
        _refuse(of_grid, "image files; name one with --out")
    from mnistctl.artifacts import files
    from mnistctl.artifacts.outputs import PAGE, Output, check_outputs

    if net in CLASSIFIERS and not files.with_ending(out_dir / net, "safetensors").exists():
        check_name(net, GENERATORS)
    from mnistctl.inference import generate, load

    one_image = show and (count, digits, each, rows, columns) == (None,) * 5
    options = generate.GenerateOptions(
        path=load.find_checkpoint(net, out_dir, load.GENERATOR_REMEDIES),
        count=1 if one_image else count,
        seed=seed or 0,
        digits=None if digits is None else _parse_digits(digits),
        each=each,
        rows=rows,
        columns=columns,
        scale=scale,
        device=device,
        threads=threads,
        recipes=find_recipes([net, judge], recipe, allow_inexact=allow_inexact),
    )
    if page is not None:
        picture: Output | None = Output(page, PAGE, "page")
    else:
        picture = None if idx is not None else _picture(options, out, out_dir, morph=morph, show=show)
    outputs = [picture] if picture is not None else []
    check_outputs(outputs, overwrite=overwrite)
    check_stdout(outputs, json=json, show=show)
    path = None if picture is None else picture.path
    with options.recipes.reporting_errors():
        if page is not None:
            result = _generate_page(options, page)
        elif idx is not None:
            result = generate.generate_dataset(options, idx, classifier=judge, out_dir=out_dir)
        elif morph and path is not None:
            result = generate.generate_animation(options, path)
        else:
            result = generate.generate_grid(options, path)
    from mnistctl.cli.output.generate import print_generated

    print_generated(result, show=show, json=json)


def _picture(
    options: "GenerateOptions", out: Path | None, out_dir: Path, *, morph: bool, show: bool
) -> "Output | None":
    """The picture that is to be written; none if the images are only shown in the terminal."""
    from mnistctl.artifacts.outputs import ANIMATION, PICTURE, Output

    form = ANIMATION if morph else PICTURE
    if out is not None:
        return Output(out, form, "out")
    return None if show else Output(out_dir / f"{options.default_name(morph=morph)}{form.endings[0]}", form)


# The parameters that a page depends on.
_USED_BY_PAGE = frozenset({"net", "page", "overwrite", "out_dir", "recipe", "allow_inexact", "json"})


def _generate_page(options: "GenerateOptions", path: Path) -> "GenerationResult":
    """Write the page of a generator; it generates no image itself."""
    from mnistctl.artifacts import checkpoint, files
    from mnistctl.inference import load
    from mnistctl.inference.generate import GenerationResult
    from mnistctl.pages.generators import render_generator
    from mnistctl.training.record import find_record

    header, weights = load.load_weights(options.path)
    net = load.make_generator(options.path, header, weights, options.recipes)
    model, digest = header.model, checkpoint.digest(net.state_dict())
    # The record has the digest of all weights, with the discriminator's.
    record = find_record(options.path, checkpoint.digest(weights))
    content = render_generator(net, name=options.path.stem, model=model, digest=digest, record=record)
    files.write(path, content)
    return GenerationResult(
        model=model, digest=digest, seed=0, count=0, digits=None, paths=(path,), samples=None
    )


def _refuse(given: Mapping[str, object], wanted: str) -> None:
    """Refuse options that are only for what is `wanted`; None where they are not given."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{option_of(name)} is only for {wanted}")


def _parse_digits(text: str) -> tuple[int, ...]:
    """The digits in `text`, as in --digits 2026."""
    if not (text.isascii() and text.isdecimal()):
        raise UsageError("give only digits, as in 2026", field="digits", value=text)
    return tuple(map(int, text))
