"""The commands: what can be asked for, and the one call that answers it."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from mnistctl import __version__, files, report
from mnistctl.errors import DataError, UsageError
from mnistctl.models import CLASSIFIERS, GENERATORS, known

app = typer.Typer(
    help="Train, judge and understand small image models on MNIST.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

Set = Literal["mnist", "fashion", "sample", "own"]  # of datasets.DATASETS, which --help need not load
Split = Literal["train", "test"]

_DATA, _MACHINE, _OUTPUT, _RECIPE, _RESUME = "Data", "Machine", "Output", "Recipe", "Going on"
_GENERATOR = "Judging a generator"

Dataset = Annotated[Set, typer.Option(help="Which digits.", rich_help_panel=_DATA)]
DataDir = Annotated[
    Path, typer.Option(envvar="MNISTCTL_DATA_DIR", help="Where the digits are.", rich_help_panel=_DATA)
]
Offline = Annotated[
    bool,
    typer.Option("--offline", envvar="MNISTCTL_OFFLINE", help="Never fetch digits.", rich_help_panel=_DATA),
]
OutDir = Annotated[
    Path, typer.Option(envvar="MNISTCTL_OUT_DIR", help="Where results go.", rich_help_panel=_OUTPUT)
]
Device = Annotated[
    str,
    typer.Option(envvar="MNISTCTL_DEVICE", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_MACHINE),
]
Threads = Annotated[
    int | None,
    typer.Option(envvar="MNISTCTL_THREADS", help="Processor threads.", rich_help_panel=_MACHINE),
]
# Of a run: None stands for what is not asked, and is left to the recipe, the record or options.USUAL.
Epochs = Annotated[int | None, typer.Option(help="Passes through the digits.", rich_help_panel=_RECIPE)]
Batch = Annotated[int | None, typer.Option(help="Digits a step.", rich_help_panel=_RECIPE)]
Rate = Annotated[float | None, typer.Option(help="The peak rate.", rich_help_panel=_RECIPE)]
AskedSet = Annotated[
    Set | None, typer.Option(help="Which digits.", show_default="mnist", rich_help_panel=_DATA)
]
AskedDir = Annotated[
    Path | None,
    typer.Option(
        envvar="MNISTCTL_DATA_DIR",
        help="Where the digits are.",
        show_default="data",
        rich_help_panel=_DATA,
    ),
]
Precision = Annotated[
    Literal["float32", "bf16"] | None,
    typer.Option(
        help="Arithmetic of the forward pass while training.",
        show_default="float32",
        rich_help_panel=_MACHINE,
    ),
]
Judge = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="The classifier that reads what is drawn.",
        show_default="out/conv",
        rich_help_panel=_GENERATOR,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.", rich_help_panel=_OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the accuracy.", rich_help_panel=_OUTPUT)]

MODELS = CLASSIFIERS | GENERATORS
DATA_DIR, OUT_DIR = Path("data"), Path("out")


def _version(asked: bool) -> None:
    if asked:
        report.line(f"mnistctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def download(
    dataset: Dataset = "mnist",
    data_dir: DataDir = DATA_DIR,
    mirror: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Try this folder first; repeatable.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take the files from a local folder.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only verify what is there.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a silent mirror.")] = 30.0,
) -> None:
    """Fetch the digits and verify them; what is there and whole is not fetched again."""
    from mnistctl import download as downloads

    if not timeout > 0:
        raise UsageError(f"--timeout {timeout:g}: give seconds above 0")
    if check:
        found = downloads.check(dataset, data_dir)
        report.statuses(found)
        bad = [status.file for status in found if status.count is None]
        if bad:
            mend = "`mnistctl download` without --check mends it"
            raise DataError(f"{dataset}: missing or damaged: {', '.join(bad)}; {mend}")
        return
    with report.downloading() as progress:
        found = downloads.fetch(
            dataset, data_dir, mirrors=mirror or (), source=source, timeout=timeout, progress=progress
        )
    report.statuses(found)


@app.command()
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
        str | None, typer.Option(help="A net as a table of its layers, and its recipe, instead.")
    ] = None,
    glyphs: Annotated[bool, typer.Option("--glyphs", help="The ten standard glyphs instead.")] = False,
    data_dir: DataDir = DATA_DIR,
    offline: Offline = False,
) -> None:
    """Print random digits as text: the label, then 28 rows."""
    if model is not None:
        known(model)
        from mnistctl import describe, models

        recipe = models.load(model)
        report.model(model, describe.nets(recipe), describe.recipe(recipe))
        return
    import numpy as np

    from mnistctl import datasets, figures

    if glyphs:
        images, labels = figures.glyphs(), np.arange(10, dtype=np.uint8)
    else:
        _ensure(dataset, data_dir, offline)
        arrays, _ = datasets.load(dataset, data_dir, split)
        chosen = datasets.choose(arrays, index=index, digit=digit, count=count, seed=seed)
        images, labels = arrays.images[chosen], arrays.labels[chosen]
    if png is not None:
        figures.write_png(png, figures.sheet(images, min(10, len(images))))
        report.line(str(png))
        return
    report.digits(images, labels, style)


@app.command(epilog="\n\n".join(f"{name}: {sentence}" for name, sentence in MODELS.items()))
def train(
    model: Annotated[str, typer.Argument(help=f"One of {', '.join(MODELS)}.")],
    epochs: Epochs = None,
    batch: Batch = None,
    rate: Rate = None,
    seed: Annotated[
        int | None, typer.Option(help="One seed, one run.", show_default="0", rich_help_panel=_RECIPE)
    ] = None,
    dataset: AskedSet = None,
    data_dir: AskedDir = None,
    offline: Offline = False,
    device: Annotated[
        str | None,
        typer.Option(
            envvar="MNISTCTL_DEVICE",
            help="auto, cpu, cuda, cuda:N or mps.",
            show_default="auto",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    threads: Threads = None,
    precision: Precision = None,
    out_dir: OutDir = OUT_DIR,
    name: Annotated[
        str | None,
        typer.Option(help="The stem of its files; by default the model.", rich_help_panel=_OUTPUT),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run of that name.", rich_help_panel=_OUTPUT)
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with a run that was stopped, by its own options.", rich_help_panel=_RESUME
        ),
    ] = False,
    allow_inexact: Annotated[
        bool,
        typer.Option(
            "--allow-inexact",
            help="Go on even on another machine, thread count or version.",
            rich_help_panel=_RESUME,
        ),
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a net by its recipe, follow it after every epoch, and picture its mistakes or its digits."""
    known(model)
    from mnistctl.options import Options

    options = Options(
        model=model,
        epochs=epochs,
        batch=batch,
        rate=rate,
        seed=seed,
        dataset=dataset,
        data_dir=data_dir,
        device=device,
        threads=threads,
        precision=precision,
        out_dir=out_dir,
        name=name,
    )
    if not resume:  # which digits, an unfinished run knows itself
        _ensure(options.settled("dataset"), options.settled("data_dir"), offline)
    from mnistctl import runs  # with torch, which a failed download need not wait for

    told = runs.train(options, overwrite=overwrite, resume=resume, allow_inexact=allow_inexact)
    report.run(told, quiet=quiet, json=json, record=files.beside(options.stem, "json"))


@app.command(epilog="\n\n".join(f"{name}: {sentence}" for name, sentence in CLASSIFIERS.items()))
def trials(
    model: Annotated[list[str], typer.Argument(help=f"One or more of {', '.join(CLASSIFIERS)}.")],
    count: Annotated[
        int | None, typer.Option("-n", help="So many trials of each, a seed each.", rich_help_panel=_RECIPE)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The first seed.", show_default="0", rich_help_panel=_RECIPE)
    ] = None,
    epochs: Epochs = None,
    batch: Batch = None,
    rate: Rate = None,
    dataset: AskedSet = None,
    data_dir: AskedDir = None,
    offline: Offline = False,
    device: Annotated[
        str | None,
        typer.Option(
            envvar="MNISTCTL_DEVICE",
            help="auto, cpu, cuda (all of them), cuda:N or mps.",
            show_default="auto",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    precision: Precision = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes of one thread each.", show_default="as many as cores", rich_help_panel=_MACHINE
        ),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="local, dask, or module:factory for any other.", rich_help_panel=_MACHINE
        ),
    ] = "local",
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of a running Dask cluster.", rich_help_panel=_MACHINE),
    ] = None,
    scheduler_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="That a Dask scheduler wrote.", rich_help_panel=_MACHINE),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Even without TLS to another machine.", rich_help_panel=_MACHINE),
    ] = False,
    out_dir: OutDir = OUT_DIR,
    name: Annotated[
        str | None,
        typer.Option(help="The stem of its files; by default the models.", rich_help_panel=_OUTPUT),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace trials of that name.", rich_help_panel=_OUTPUT)
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with what is missing, by its own options.", rich_help_panel=_RESUME
        ),
    ] = False,
    allow_mixed: Annotated[
        bool,
        typer.Option(
            "--allow-mixed",
            help="Go on even with another recipe, option, data or version.",
            rich_help_panel=_RESUME,
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Published accuracies: ktorch.", rich_help_panel=_OUTPUT),
    ] = None,
    require: Annotated[
        Literal["same", "better"] | None,
        typer.Option(help="End with 7 unless they are at least that.", rich_help_panel=_OUTPUT),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only the mean accuracies.", rich_help_panel=_OUTPUT)
    ] = False,
    json: Json = False,
) -> None:
    """Repeat recipes over many seeds, and say what can be concluded."""
    for each in model:
        known(each, CLASSIFIERS)
    from mnistctl import executors
    from mnistctl.options import Options

    place = executors.place(
        executor,
        workers=workers,
        scheduler=scheduler,
        scheduler_file=scheduler_file,
        insecure=insecure,
    )
    options = Options(
        model=model[0],
        epochs=epochs,
        batch=batch,
        rate=rate,
        seed=seed,
        dataset=dataset,
        data_dir=data_dir,
        device=device,
        precision=precision,
        out_dir=out_dir,
        name=name,
    )
    if not resume:  # which digits, a record knows itself
        _ensure(options.settled("dataset"), options.settled("data_dir"), offline)
    from mnistctl import trials as core  # with torch, which a failed download need not wait for

    running = core.run(
        core.Asked(models=tuple(model), count=count, options=options),
        place,
        overwrite=overwrite,
        resume=resume,
        allow_mixed=allow_mixed,
        against=against,
        require=require,
    )
    with closing(running) as told:  # whatever ends the report ends the workers
        report.trials(told, quiet=quiet, json=json)


@app.command("eval")
def evaluate(
    net: Annotated[str, typer.Argument(help="A name under out/, or the path of a checkpoint.")],
    split: Annotated[Split, typer.Option(help="Which part.", rich_help_panel=_DATA)] = "test",
    dataset: Dataset = "mnist",
    data_dir: DataDir = DATA_DIR,
    offline: Offline = False,
    device: Device = "auto",
    threads: Threads = None,
    out_dir: OutDir = OUT_DIR,
    predictions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write label, answer and logits as CSV.", rich_help_panel=_OUTPUT),
    ] = None,
    judge: Judge = None,
    count: Annotated[
        int | None, typer.Option("-n", help="Pictures.", show_default="10000", rich_help_panel=_GENERATOR)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of what is drawn.", show_default="0", rich_help_panel=_GENERATOR),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Judge a trained net.

    A classifier: loss, accuracy, a table per digit, confusions and mistakes. A generator: how far what it
    draws is from real digits, in the features of a classifier.
    """
    from mnistctl import evaluation, fidelity, nets

    path = nets.locate(net, out_dir)  # a mistyped name is told before anything is fetched for it
    if nets.draws(path):
        _only("a classifier", {"--split train": split == "train", "--predictions": predictions is not None})
        judging = nets.judge(judge, out_dir)
        _ensure(dataset, data_dir, offline)
        told = fidelity.evaluate(
            path,
            judge=judging,
            data_dir=data_dir,
            out_dir=out_dir,
            dataset=dataset,
            count=10_000 if count is None else count,
            seed=seed or 0,
            device=device,
            threads=threads,
        )
        report.fidelity(told, quiet=quiet, json=json)
        return
    _only("a generator", {"--judge": judge is not None, "-n": count is not None, "--seed": seed is not None})
    _ensure(dataset, data_dir, offline)
    judged = evaluation.evaluate(
        path,
        split=split,
        dataset=dataset,
        data_dir=data_dir,
        device=device,
        threads=threads,
        out_dir=out_dir,
        predictions=predictions,
    )
    report.evaluation(judged, quiet=quiet, json=json)


@app.command()
def generate(
    net: Annotated[str, typer.Argument(help="A name under out/, or the path of a checkpoint.")],
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
        typer.Option(metavar="FILE", help="The picture; by default under out/.", rich_help_panel=_OUTPUT),
    ] = None,
    morph: Annotated[
        bool, typer.Option("--morph", help="A GIF of digits that change.", rich_help_panel=_OUTPUT)
    ] = False,
    idx: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A data set, for --dataset own.", rich_help_panel=_OUTPUT),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="In the terminal.", rich_help_panel=_OUTPUT)] = False,
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
    report.generated(made, show=show, json=json)


def _only(of: str, given: dict[str, bool]) -> None:
    for flag, is_given in given.items():
        if is_given:
            raise UsageError(f"{flag} is for {of} only")


def _ensure(dataset: str, data_dir: Path, offline: bool) -> None:
    from mnistctl import download as downloads

    with report.downloading() as progress:
        downloads.ensure(dataset, data_dir, offline=offline, progress=progress)
