"""The command trials: a recipe trained from many seeds."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from mnistctl.cli import completion
from mnistctl.cli.download import ensure
from mnistctl.cli.options import (
    MACHINE,
    OUT_DIR,
    OUTPUT,
    RECIPE,
    RESUME,
    BatchSize,
    Epochs,
    Json,
    LearningRate,
    Offline,
    OptionalDataDir,
    OptionalDataset,
    OutDir,
    Overwrite,
    Precision,
    Resume,
    flag,
)
from mnistctl.cli.output.trials import print_trials
from mnistctl.models import CLASSIFIERS, check_name


def trials(
    model: Annotated[
        list[str],
        typer.Argument(
            help=f"One or more of {', '.join(CLASSIFIERS)}.", autocompletion=completion.classifiers
        ),
    ],
    count: Annotated[
        int | None,
        typer.Option("-n", "--count", help="So many trials of each, a seed each.", rich_help_panel=RECIPE),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The first seed.", show_default="0", rich_help_panel=RECIPE)
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    dataset: OptionalDataset = None,
    data_dir: OptionalDataDir = None,
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
            autocompletion=completion.trials,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    allow_mixed: Annotated[
        bool,
        flag(
            "--allow-mixed",
            help="Go on even with another recipe, option, data or version.",
            rich_help_panel=RESUME,
        ),
    ] = False,
    reference: Annotated[
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
        check_name(each, CLASSIFIERS)
    from mnistctl.training.options import RunOptions
    from mnistctl.trials.executors import get_backend

    place = get_backend(
        executor,
        workers=workers,
        scheduler=scheduler,
        scheduler_file=scheduler_file,
        insecure=insecure,
    )
    options = RunOptions(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        dataset=dataset,
        data_dir=data_dir,
        device=device,
        precision=precision,
        out_dir=out_dir,
        name=name,
    )
    if not resume:  # which digits, a record knows itself
        ensure(options.get("dataset"), options.get("data_dir"), offline)
    from mnistctl.trials.options import TrialsOptions
    from mnistctl.trials.run import run_trials  # with torch, which a failed download need not wait for

    running = run_trials(
        TrialsOptions(models=tuple(model), count=count, options=options),
        place,
        overwrite=overwrite,
        resume=resume,
        allow_mixed=allow_mixed,
        reference=reference,
        require=require,
    )
    with closing(running) as told:  # whatever ends the report ends the workers
        print_trials(told, quiet=quiet, json=json)
