"""The command generate: draw digits with a trained generator."""

from pathlib import Path
from typing import Annotated

import typer

from mnistctl.artifacts import files
from mnistctl.cli.evaluate import reject_options
from mnistctl.cli.options import (
    COUNT,
    NET,
    OUT_DIR,
    OUTPUT,
    Device,
    Json,
    OutDir,
    ReferenceClassifier,
    Seed,
    Threads,
    flag,
)
from mnistctl.cli.output.generate import print_generated
from mnistctl.errors import UsageError
from mnistctl.models import CLASSIFIERS, GENERATORS, check_name


def generate(
    net: Annotated[str, NET],
    count: Annotated[int | None, COUNT] = None,
    seed: Seed = None,
    rows: Annotated[int | None, typer.Option(help="Rows of the sheet.")] = None,
    columns: Annotated[int | None, typer.Option(help="Columns of the sheet.")] = None,
    digits: Annotated[
        str | None, typer.Option(metavar="2026", help="These digits, in that order (cgan).")
    ] = None,
    each: Annotated[int | None, typer.Option(metavar="K", help="K of each digit (cgan).")] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The picture; by default under out/.", rich_help_panel=OUTPUT),
    ] = None,
    morph: Annotated[
        bool, flag("--morph", help="A GIF of digits that change.", rich_help_panel=OUTPUT)
    ] = False,
    idx: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A data set, for --dataset own.", rich_help_panel=OUTPUT),
    ] = None,
    show: Annotated[bool, flag("--show", help="In the terminal.", rich_help_panel=OUTPUT)] = False,
    judge: ReferenceClassifier = None,
    device: Device = "auto",
    threads: Threads = None,
    out_dir: OutDir = OUT_DIR,
    json: Json = False,
) -> None:
    """Draw digits with a trained generator, without the digits that it was trained on."""
    if sum((morph, idx is not None, show)) > 1:
        raise UsageError("--morph, --idx and --show: give one of them")
    if idx is not None:
        reject_options(
            "a picture",
            {"--out": out is not None, "--rows": rows is not None, "--columns": columns is not None},
        )
    else:
        reject_options("--idx of gan", {"--judge": judge is not None})
    ending = "gif" if morph else "png"
    if out is not None and out.suffix.lower() != f".{ending}":
        raise UsageError(f"--out {out}: this makes a {ending.upper()}; give a name that ends in .{ending}")
    if net in CLASSIFIERS and not files.with_ending(out_dir / net, "safetensors").exists():
        check_name(net, GENERATORS)
    from mnistctl.inference import load
    from mnistctl.inference.generate import (
        GenerateOptions,
        generate_animation,
        generate_dataset,
        generate_grid,
        parse_digits,
    )

    request = GenerateOptions(
        path=load.find_checkpoint(net, out_dir),
        count=1 if show and (count, digits, each, rows, columns) == (None,) * 5 else count,
        seed=seed or 0,
        digits=None if digits is None else parse_digits(digits),
        each=each,
        rows=rows,
        columns=columns,
        device=device,
        threads=threads,
    )
    if morph:
        made = generate_animation(request, out or out_dir / f"{request.path.stem}-morph.gif")
    elif idx is not None:
        made = generate_dataset(request, idx, lambda: load.find_reference_classifier(judge, out_dir))
    else:
        default = None if show else out_dir / f"{request.path.stem}-generated.png"
        made = generate_grid(request, out or default)
    print_generated(made, show=show, json=json)
