"""eval and generate: what a trained net is worth, and what it draws."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mnistctl import files
from mnistctl.cli.data import ensure
from mnistctl.cli.words import (
    DATA,
    DATA_DIR,
    GENERATOR,
    NET,
    OUT_DIR,
    OUTPUT,
    DataDir,
    Dataset,
    Device,
    Images,
    Json,
    Judge,
    Offline,
    OutDir,
    Quiet,
    Split,
    Threads,
    Threshold,
    flag,
)
from mnistctl.errors import UsageError
from mnistctl.models import CLASSIFIERS, GENERATORS, known
from mnistctl.report import judging


def evaluate(
    context: typer.Context,
    nets: Annotated[list[str], NET],
    split: Annotated[Split, typer.Option(help="Which part.", rich_help_panel=DATA)] = "test",
    dataset: Dataset = "mnist",
    data_dir: DataDir = DATA_DIR,
    offline: Offline = False,
    device: Device = "auto",
    threads: Threads = None,
    out_dir: OutDir = OUT_DIR,
    predictions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write label, answer and logits as CSV.", rich_help_panel=OUTPUT),
    ] = None,
    onnx: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a classifier as ONNX, checked.", rich_help_panel=OUTPUT),
    ] = None,
    corrupt: Annotated[
        bool, flag("--corrupt", help="Read them shifted, turned, blurred ... as well.")
    ] = False,
    judge: Judge = None,
    count: Annotated[
        int | None, typer.Option("-n", help="Pictures.", show_default="10000", rich_help_panel=GENERATOR)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of what is drawn.", show_default="0", rich_help_panel=GENERATOR),
    ] = None,
    image: Images = None,
    threshold: Threshold = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Judge a trained net.

    A classifier: loss, accuracy, a table per digit, confusions, mistakes, charts.
    Several classifiers: side by side, and whether they differ.
    A generator: how far its digits are from real ones, as a classifier sees.
    With --image: what a classifier reads in pictures of your own.
    """
    from mnistctl import comparison, evaluation, fidelity
    from mnistctl import nets as trained

    # A mistyped name is told before anything is fetched for it.
    paths = [trained.locate(net, out_dir) for net in nets]
    drawing = [path for path in paths if trained.draws(path)]
    path, several = paths[0], len(paths) > 1
    if image:
        from mnistctl import reading

        _only("eval without --image", {option: _given(context, name) for option, name in _OF_A_SET.items()})
        _only("a single classifier", {"--image": bool(drawing) or several})
        read = reading.read(path, image, threshold=threshold, device=device, threads=threads)
        judging.reading(read, quiet=quiet, json=json)
        if any(picture.error is not None for picture in read.images):
            raise typer.Exit(1)
        return
    _only("--image", {"--threshold": threshold is not None})
    if drawing and several:
        raise UsageError(f"{drawing[0]}: draws digits, and nets side by side must read them; give it alone")
    if drawing:
        read_alone = {"--split train": split == "train", "--predictions": predictions is not None}
        _only("a classifier", read_alone | {"--corrupt": corrupt, "--onnx": onnx is not None})
        reader = trained.judge(judge, out_dir)
        ensure(dataset, data_dir, offline)
        told = fidelity.evaluate(
            path,
            judge=reader,
            data_dir=data_dir,
            out_dir=out_dir,
            dataset=dataset,
            count=10_000 if count is None else count,
            seed=seed or 0,
            device=device,
            threads=threads,
        )
        judging.fidelity(told, quiet=quiet, json=json)
        return
    _only("a generator", {"--judge": judge is not None, "-n": count is not None, "--seed": seed is not None})
    written = {"--predictions": predictions is not None, "--onnx": onnx is not None}
    _only("a single net", {flag: several and given for flag, given in written.items()})
    ensure(dataset, data_dir, offline)
    asked: dict[str, Any] = {"split": split, "dataset": dataset, "data_dir": data_dir, "out_dir": out_dir}
    asked |= {"device": device, "threads": threads, "corrupt": corrupt}
    if several:
        with judging.corrupting() as moved:
            compared = comparison.compare(paths, **asked, moved=moved)
        judging.comparison(compared, quiet=quiet, json=json)
        return
    with judging.corrupting() as moved:
        judged = evaluation.evaluate(path, **asked, predictions=predictions, onnx=onnx, moved=moved)
    judging.evaluation(judged, quiet=quiet, json=json)


def generate(
    net: Annotated[str, NET],
    count: Annotated[int | None, typer.Option("-n", help="So many pictures.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same pictures.")] = 0,
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
    judge: Judge = None,
    device: Device = "auto",
    threads: Threads = None,
    out_dir: OutDir = OUT_DIR,
    json: Json = False,
) -> None:
    """Draw digits with a trained generator, without the digits that it was trained on."""
    if sum((morph, idx is not None, show)) > 1:
        raise UsageError("--morph, --idx and --show: give one of them")
    if idx is not None:
        _only(
            "a picture",
            {"--out": out is not None, "--rows": rows is not None, "--columns": columns is not None},
        )
    else:
        _only("--idx of gan", {"--judge": judge is not None})
    ending = "gif" if morph else "png"
    if out is not None and out.suffix.lower() != f".{ending}":
        raise UsageError(f"--out {out}: this makes a {ending.upper()}; give a name that ends in .{ending}")
    if net in CLASSIFIERS and not files.beside(out_dir / net, "safetensors").exists():
        known(net, GENERATORS)
    from mnistctl import generation, nets

    request = generation.Request(
        path=nets.locate(net, out_dir),
        count=1 if show and (count, digits, each, rows, columns) == (None,) * 5 else count,
        seed=seed,
        digits=None if digits is None else generation.asked(digits),
        each=each,
        rows=rows,
        columns=columns,
        device=device,
        threads=threads,
    )
    if morph:
        made = generation.animation(request, out or out_dir / f"{request.path.stem}-morph.gif")
    elif idx is not None:
        made = generation.data_set(request, idx, lambda: nets.judge(judge, out_dir))
    else:
        default = None if show else out_dir / f"{request.path.stem}-generated.png"
        made = generation.pictures(request, out or default)
    judging.generated(made, show=show, json=json)


_OF_A_SET = {
    f"--{name.replace('_', '-')}": name
    for name in ("split", "dataset", "data_dir", "offline", "predictions", "onnx", "corrupt", "judge", "seed")
} | {"-n": "count"}


def _given(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line itself, not only in the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _only(of: str, given: dict[str, bool]) -> None:
    for option, is_given in given.items():
        if is_given:
            raise UsageError(f"{option} is for {of} only")
