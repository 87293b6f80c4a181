"""train and trials: a net by its recipe, once or many times."""

from typing import Annotated

import typer

from mnistctl.artifacts import files
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
from mnistctl.cli.output.show import print_models
from mnistctl.cli.output.train import print_run
from mnistctl.errors import UsageError
from mnistctl.models import CLASSIFIERS, GENERATORS, check_name

MODELS = CLASSIFIERS | GENERATORS


def train(
    model: Annotated[
        str | None,
        typer.Argument(help=f"One of {', '.join(MODELS)}.", autocompletion=completion.models),
    ] = None,
    list_: Annotated[
        bool, flag("--list", help="What there is to train, with recipes and published figures, instead.")
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
            help="The stem of its files; by default the model.",
            autocompletion=completion.unfinished,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: Overwrite = False,
    tensorboard: Annotated[
        bool, flag("--tensorboard", help="Follow it in TensorBoard, too.", rich_help_panel=OUTPUT)
    ] = False,
    resume: Resume = False,
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
        from mnistctl.models.summary import list_models

        print_models(list_models(), json=json)
        return
    if model is None:
        message = f"missing argument MODEL: choose one of {', '.join(MODELS)}"
        raise UsageError(message, remedies=["list_models"])
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
    from mnistctl.training.tensorboard import folder, log_to_tensorboard, require_installed

    run_path = options.run_path(model)
    logging = tensorboard or (resume and folder(run_path).is_dir())
    if logging:
        require_installed()
    if not resume:  # a checkpoint has the name of its data set
        ensure(options.get("dataset"), options.get("data_dir"), offline)
    from mnistctl.training import run  # loads torch, so it comes after a download that may fail

    resuming = resume_command(model, options)
    with with_commands(resume=resuming, start=start_command(model, options)):
        events = run.train(
            model,
            options,
            command=train_command(model, options),
            overwrite=overwrite,
            resume=resume,
            allow_inexact=allow_inexact,
        )
        events = log_to_tensorboard(events, run_path, asked=logging)
        print_run(
            events,
            quiet=quiet,
            json=json,
            record=files.with_ending(run_path, "json"),
            resume_command=resuming,
        )
