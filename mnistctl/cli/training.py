"""train and trials: a net by its recipe, once or many times."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from mnistctl import files
from mnistctl.cli import completing
from mnistctl.cli.data import ensure
from mnistctl.cli.words import (
    MACHINE,
    OUT_DIR,
    OUTPUT,
    RECIPE,
    RESUME,
    AskedDir,
    AskedSet,
    Batch,
    Epochs,
    Json,
    Offline,
    OutDir,
    Precision,
    Quiet,
    Rate,
    Threads,
    flag,
)
from mnistctl.errors import UsageError
from mnistctl.models import CLASSIFIERS, GENERATORS, known
from mnistctl.report import looking, repeating, running

MODELS = CLASSIFIERS | GENERATORS


def train(
    model: Annotated[
        str | None,
        typer.Argument(help=f"One of {', '.join(MODELS)}.", autocompletion=completing.models),
    ] = None,
    list_: Annotated[
        bool, flag("--list", help="What there is to train, with recipes and published figures, instead.")
    ] = False,
    epochs: Epochs = None,
    batch: Batch = None,
    rate: Rate = None,
    seed: Annotated[
        int | None, typer.Option(help="One seed, one run.", show_default="0", rich_help_panel=RECIPE)
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
            rich_help_panel=MACHINE,
        ),
    ] = None,
    threads: Threads = None,
    precision: Precision = None,
    out_dir: OutDir = OUT_DIR,
    name: Annotated[
        str | None,
        typer.Option(
            help="The stem of its files; by default the model.",
            autocompletion=completing.unfinished,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: Annotated[
        bool, flag("--overwrite", help="Replace a run of that name.", rich_help_panel=OUTPUT)
    ] = False,
    tensorboard: Annotated[
        bool, flag("--tensorboard", help="Follow it in TensorBoard, too.", rich_help_panel=OUTPUT)
    ] = False,
    resume: Annotated[
        bool,
        flag(
            "--resume", help="Go on with a run that was stopped, by its own options.", rich_help_panel=RESUME
        ),
    ] = False,
    allow_inexact: Annotated[
        bool,
        flag(
            "--allow-inexact",
            help="Go on even on another machine, thread count or version.",
            rich_help_panel=RESUME,
        ),
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a net by its recipe, follow it after every epoch, and picture its mistakes or its digits."""
    if list_:
        from mnistctl import describe

        looking.catalogue(describe.catalogue(), json=json)
        return
    if model is None:
        raise UsageError(f"train what? there are {', '.join(MODELS)}; `mnistctl train --list` tells of each")
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
    from mnistctl import board

    asked = tensorboard or (resume and board.folder(options.stem).is_dir())
    if asked:
        board.able()
    if not resume:  # which digits, an unfinished run knows itself
        ensure(options.settled("dataset"), options.settled("data_dir"), offline)
    from mnistctl import runs  # with torch, which a failed download need not wait for

    told = runs.train(options, overwrite=overwrite, resume=resume, allow_inexact=allow_inexact)
    told = board.written(told, options.stem, asked=asked)
    running.run(told, quiet=quiet, json=json, record=files.beside(options.stem, "json"))


def trials(
    model: Annotated[
        list[str],
        typer.Argument(
            help=f"One or more of {', '.join(CLASSIFIERS)}.", autocompletion=completing.classifiers
        ),
    ],
    count: Annotated[
        int | None, typer.Option("-n", help="So many trials of each, a seed each.", rich_help_panel=RECIPE)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The first seed.", show_default="0", rich_help_panel=RECIPE)
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
            rich_help_panel=MACHINE,
        ),
    ] = None,
    precision: Precision = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes of one thread each.", show_default="as many as cores", rich_help_panel=MACHINE
        ),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="local, dask, or module:factory for any other.", rich_help_panel=MACHINE
        ),
    ] = "local",
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of a running Dask cluster.", rich_help_panel=MACHINE),
    ] = None,
    scheduler_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="That a Dask scheduler wrote.", rich_help_panel=MACHINE),
    ] = None,
    insecure: Annotated[
        bool,
        flag("--insecure", help="Even without TLS to another machine.", rich_help_panel=MACHINE),
    ] = False,
    out_dir: OutDir = OUT_DIR,
    name: Annotated[
        str | None,
        typer.Option(
            help="The stem of its files; by default the models.",
            autocompletion=completing.trials,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: Annotated[
        bool, flag("--overwrite", help="Replace trials of that name.", rich_help_panel=OUTPUT)
    ] = False,
    resume: Annotated[
        bool,
        flag("--resume", help="Go on with what is missing, by its own options.", rich_help_panel=RESUME),
    ] = False,
    allow_mixed: Annotated[
        bool,
        flag(
            "--allow-mixed",
            help="Go on even with another recipe, option, data or version.",
            rich_help_panel=RESUME,
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Published accuracies: ktorch.", rich_help_panel=OUTPUT),
    ] = None,
    require: Annotated[
        Literal["same", "better"] | None,
        typer.Option(help="End with 7 unless they are at least that.", rich_help_panel=OUTPUT),
    ] = None,
    quiet: Annotated[
        bool, flag("--quiet", "-q", help="Only the mean accuracies.", rich_help_panel=OUTPUT)
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
        ensure(options.settled("dataset"), options.settled("data_dir"), offline)
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
        repeating.trials(told, quiet=quiet, json=json)
