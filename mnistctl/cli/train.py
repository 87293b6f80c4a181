"""The command train: one run of a model."""

from typing import Annotated

import typer

from mnistctl.cli import completion
from mnistctl.cli.commands import resume_command, start_command, train_command
from mnistctl.cli.download import ensure
from mnistctl.cli.errors import with_commands
from mnistctl.cli.options import (
    MACHINE,
    OUT_DIR,
    OUTPUT,
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
    Quiet,
    Resume,
    Seed,
    Threads,
    flag,
)
from mnistctl.errors import UsageError
from mnistctl.models import CLASSIFIERS, GENERATORS, check_name

MODELS = CLASSIFIERS | GENERATORS


def train(
    model: Annotated[
        str | None,
        typer.Argument(help=f"One of {', '.join(MODELS)}.", autocompletion=completion.models),
    ] = None,
    list_: Annotated[
        bool, flag("--list", help="List the models with their recipes and published accuracies, and exit.")
    ] = False,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    seed: Seed = None,
    dataset: OptionalDataset = None,
    data_dir: OptionalDataDir = None,
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
            help="Name of the run's files.",
            autocompletion=completion.unfinished,
            show_default="MODEL",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: Overwrite = False,
    tensorboard: Annotated[
        bool, flag("--tensorboard", help="Write logs for TensorBoard.", rich_help_panel=OUTPUT)
    ] = False,
    resume: Resume = False,
    allow_inexact: Annotated[
        bool,
        flag(
            "--allow-inexact",
            help="Resume even on another machine, with other threads or another version.",
            rich_help_panel=RESUME,
        ),
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a model and save weights, log and images."""
    if list_:
        from mnistctl.cli.output.show import print_models
        from mnistctl.models.summary import list_models

        print_models(list_models(), json=json)
        return
    if model is None:
        message = f"missing argument MODEL: choose one of {', '.join(MODELS)}"
        raise UsageError(message, remedies=("list_models",))
    check_name(model)
    from mnistctl.training.options import RunOptions

    options = RunOptions(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        dataset=dataset,
        data_dir=data_dir,
        device=device,
        threads=threads,
        precision=precision,
        out_dir=out_dir,
        name=name,
    )
    from mnistctl.training.tensorboard import log_dir, log_to_tensorboard, require_installed

    run_path = options.run_path(model)
    logging = tensorboard or (resume and log_dir(run_path).is_dir())
    if logging:
        require_installed()
    from mnistctl.cli.output.train import print_run
    from mnistctl.training import run

    # Before a download, which may take long.
    run.check_arguments(model, options, overwrite=overwrite, resume=resume, allow_inexact=allow_inexact)
    if not resume:  # a checkpoint knows its data set
        ensure(options.get("dataset"), options.get("data_dir"), offline)
    to_resume = resume_command(model, options)
    with with_commands(resume=to_resume, start=start_command(model, options)):
        events = run.train(
            model,
            options,
            command=train_command(model, options),
            overwrite=overwrite,
            resume=resume,
            allow_inexact=allow_inexact,
        )
        events = log_to_tensorboard(events, run_path, enabled=logging)
        print_run(events, quiet=quiet, json=json, run_path=run_path, resume_command=to_resume)
