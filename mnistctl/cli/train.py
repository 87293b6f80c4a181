"""The command train: one run of a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistctl.cli import completion
from mnistctl.cli.commands import resume_command, start_command, train_command, train_more_command
from mnistctl.cli.config_file import OPTION_FIELDS
from mnistctl.cli.copies import copy_recipe
from mnistctl.cli.download import ensure
from mnistctl.cli.errors import with_commands
from mnistctl.cli.options import (
    MACHINE,
    OUT_DIR,
    OUTPUT,
    RECIPE,
    RESUME,
    BatchSize,
    Config,
    Epochs,
    Holdout,
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
    Set,
    Threads,
    flag,
    refuse_ignored,
)
from mnistctl.cli.recipes import choose_run
from mnistctl.models import CLASSIFIERS, GENERATORS

if TYPE_CHECKING:
    from mnistctl.models.sources import Model
    from mnistctl.training.options import RunOptions

MODELS = CLASSIFIERS | GENERATORS


def train(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL|FILE.py",
            help=f"One of {', '.join(MODELS)}, or a recipe file of your own.",
            autocompletion=completion.models,
        ),
    ] = None,
    list_: Annotated[
        bool, flag("--list", help="List the models with their recipes and published accuracies, and exit.")
    ] = False,
    copy: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Write the recipe of this model to FILE.py, to be changed, and exit.",
            autocompletion=completion.models,
        ),
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    seed: Seed = None,
    set_: Set = None,
    config: Config = None,
    like: Annotated[
        Path | None,
        typer.Option(metavar="RECORD.json", help="Repeat the run of this record.", rich_help_panel=RECIPE),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Start from the weights of this trained model.",
            autocompletion=completion.nets,
            rich_help_panel=RECIPE,
        ),
    ] = None,
    dataset: OptionalDataset = None,
    data_dir: OptionalDataDir = None,
    holdout: Holdout = None,
    offline: Offline = False,
    device: Annotated[
        str | None,
        typer.Option(
            envvar="MNISTCTL_DEVICE",
            help="auto (a GPU if there is one), cpu, cuda, cuda:N or mps.",
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
    """The command `train`."""
    if list_:
        refuse_ignored(context, "--list", {"list_", "json"})
        from mnistctl.cli.output.show import print_models
        from mnistctl.models.listing import list_models
        from mnistctl.models.sources import package_models

        print_models(list_models(), package_models(), json=json)
        return
    if copy is not None:
        refuse_ignored(context, "--copy", {"copy", "model"})
        copy_recipe(copy, model)
        return
    given: dict[str, Any] = {field: context.params[field] for field in OPTION_FIELDS}
    if context.get_parameter_source("out_dir").name == "DEFAULT":  # type: ignore[union-attr]
        given["out_dir"] = None  # a configuration file may have another folder
    chosen, options = choose_run(model, given, set_, config, like, init)
    session = _Session(offline, overwrite, tensorboard, resume, allow_inexact, quiet, json)
    _train(chosen, options, session)


@dataclass(frozen=True)
class _Session:
    """The options of the command that are not about what is trained."""

    offline: bool
    overwrite: bool
    tensorboard: bool
    resume: bool
    allow_inexact: bool
    quiet: bool
    json: bool


def _train(model: "Model", options: "RunOptions", session: _Session) -> None:
    from mnistctl.training.tensorboard import log_dir, log_to_tensorboard, require_installed

    overwrite, resume, allow_inexact = session.overwrite, session.resume, session.allow_inexact
    run_path = options.run_path(model.name)
    logging = session.tensorboard or (resume and log_dir(run_path).is_dir())
    if logging:
        require_installed()
    from mnistctl.cli.output.train import print_run
    from mnistctl.training import run

    # Before a download, which may take long.
    run.check_arguments(model, options, overwrite=overwrite, resume=resume, allow_inexact=allow_inexact)
    if not resume:  # a checkpoint knows its data set
        ensure(options.get("dataset"), options.get("data_dir"), session.offline)
    to_resume = resume_command(model, options)
    commands = {
        "resume": to_resume,
        "start": start_command(model, options),
        "train_more": train_more_command(model, options),
    }
    with with_commands(**commands):
        events = run.train(
            model,
            options,
            command=train_command(model, options),
            overwrite=overwrite,
            resume=resume,
            allow_inexact=allow_inexact,
        )
        events = log_to_tensorboard(events, run_path, enabled=logging)
        print_run(events, quiet=session.quiet, json=session.json, run_path=run_path, resume_command=to_resume)
