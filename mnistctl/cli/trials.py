"""The command `trials`: train models from many seeds and compare their accuracies."""

import shlex
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnistctl.cli import completion, recorded
from mnistctl.cli.commands import FOLDERS, check_stdout, location_fields, option_words, setting_words
from mnistctl.cli.config_file import OPTION_FIELDS, SETTINGS_WITH_OPTION
from mnistctl.cli.download import ensure
from mnistctl.cli.errors import option_of, with_commands
from mnistctl.cli.options import (
    COMPARISON,
    MACHINE,
    OUT_DIR,
    OUTPUT,
    RECIPE,
    RESUME,
    BatchSize,
    Config,
    CsvFile,
    Epochs,
    Holdout,
    Json,
    LatexFile,
    LearningRate,
    MarkdownFile,
    Offline,
    OptionalDataDir,
    OptionalDataset,
    OutDir,
    Overwrite,
    Precision,
    Resume,
    Set,
    flag,
)
from mnistctl.cli.recipes import configure_all, parse_assignments
from mnistctl.errors import UsageError
from mnistctl.models import CLASSIFIERS

if TYPE_CHECKING:
    from mnistctl.models.sources import Model
    from mnistctl.training.options import RunOptions
    from mnistctl.trials.options import TrialsOptions
    from mnistctl.trials.sweep import Sweep

# Options that apply to one session, so that the journal does not have them.
_SESSION_FIELDS = (
    *("executor", "workers", "scheduler", "scheduler_file", "insecure"),
    *("allow_mixed", "reference", "require", "csv", "markdown", "latex"),
)


def trials(
    context: typer.Context,
    model: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|FILE.py",
            help=f"One or more of {', '.join(CLASSIFIERS)}, or recipe files of your own; or the names of "
            "recorded trials.",
            autocompletion=completion.classifiers,
        ),
    ],
    count: Annotated[
        int | None,
        typer.Option("-n", "--count", help="Number of trials per model.", rich_help_panel=RECIPE),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="KEY=V1,V2",
            help="Compare these values of a setting; repeatable, for all combinations. Digits are held out "
            "(--holdout), and the best combination is scored on the test set. With --until, none is chosen.",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    until: Annotated[
        Literal["settled"] | None,
        typer.Option(
            help="Add seeds only until two models or values differ, or differ by less than --margin; "
            "at most -n.",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS", help="Difference that matters, with --until.", rich_help_panel=COMPARISON
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the first trial.", show_default="0", rich_help_panel=RECIPE),
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    set_: Set = None,
    config: Config = None,
    dataset: OptionalDataset = None,
    data_dir: OptionalDataDir = None,
    holdout: Holdout = None,
    offline: Offline = False,
    device: Annotated[
        str | None,
        typer.Option(
            envvar="MNISTCTL_DEVICE",
            help="auto (GPUs if there are any), cpu, cuda (all GPUs), cuda:N or mps.",
            show_default="auto",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    precision: Precision = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Number of worker processes, one thread each.",
            show_default="number of cores",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="local, dask, or module:factory for another.", rich_help_panel=MACHINE
        ),
    ] = "local",
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address of a running Dask scheduler.", rich_help_panel=MACHINE),
    ] = None,
    scheduler_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Scheduler file written by Dask.", rich_help_panel=MACHINE),
    ] = None,
    insecure: Annotated[
        bool,
        flag("--insecure", help="Allow an unencrypted connection.", rich_help_panel=MACHINE),
    ] = False,
    out_dir: OutDir = OUT_DIR,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the files.",
            show_default="the models",
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
            help="Resume with other recipes, options, data or versions, and record it.",
            rich_help_panel=RESUME,
        ),
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Compare with published accuracies: ktorch.", rich_help_panel=COMPARISON
        ),
    ] = None,
    require: Annotated[
        Literal["same", "better"] | None,
        typer.Option(
            help="Exit with code 7 unless the result is this, by the test with --reference.",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    compare: Annotated[
        bool,
        flag(
            "--compare",
            help="Compare recorded trials, by name or file, instead of running any.",
            rich_help_panel=COMPARISON,
        ),
    ] = False,
    join: Annotated[
        bool,
        flag(
            "--join",
            help="Make one record, called --name, of recorded trials with different seeds.",
            rich_help_panel=COMPARISON,
        ),
    ] = False,
    csv: CsvFile = None,
    markdown: MarkdownFile = None,
    latex: LatexFile = None,
    quiet: Annotated[
        bool, flag("--quiet", "-q", help="Print only the mean accuracies.", rich_help_panel=OUTPUT)
    ] = False,
    json: Json = False,
) -> None:
    """The command `trials`."""
    from mnistctl.artifacts.tables import TableFiles

    tables = TableFiles(csv, markdown, latex)
    if compare:
        recorded.compare(context, model, tables, overwrite=overwrite, out_dir=out_dir)
        return
    if join:
        recorded.join(context, model, tables, overwrite=overwrite, out_dir=out_dir)
        return
    from mnistctl.trials.executors import get_backend

    backend = get_backend(
        executor,
        workers=workers,
        scheduler=scheduler,
        scheduler_file=scheduler_file,
        insecure=insecure,
    )
    given = {field: context.params[field] for field in OPTION_FIELDS if field != "threads"}
    if context.get_parameter_source("out_dir").name == "DEFAULT":  # type: ignore[union-attr]
        given["out_dir"] = None  # a configuration file may have another folder
    models, options = _configure(model, given, set_, config)
    models, options, sweep = _plan_sweep(models, options, vary, given)
    from mnistctl.cli.output.terminal import results_on_stderr
    from mnistctl.cli.output.trials import print_trials
    from mnistctl.trials import options as trials_options
    from mnistctl.trials.config import check_arguments
    from mnistctl.trials.run import run_trials

    chosen = trials_options.TrialsOptions(
        models=tuple(models), count=count, options=options, until=until, margin=margin, sweep=sweep
    )
    check_stdout(tables.outputs(), json=json)
    check_arguments(chosen, backend, overwrite, resume, allow_mixed, reference, require)
    if not resume:  # a journal has the name of its data set
        ensure(options.get("dataset"), options.get("data_dir"), offline)
    again = _resume_command(chosen, context.params)
    as_recorded = _resume_command(replace(chosen, count=None), context.params)
    start = _start_command(chosen)
    with with_commands(resume=again, retry=again, resume_without_count=as_recorded, start=start):
        running = run_trials(
            chosen,
            backend,
            command=_trials_command,
            overwrite=overwrite,
            resume=resume,
            allow_mixed=allow_mixed,
            reference=reference,
            require=require,
            tables=tables,
        )
        with (
            results_on_stderr(tables.uses_stdout),
            closing(running) as events,
        ):  # which stops the workers, however the block ends
            print_trials(events, quiet=quiet, json=json, resume_command=again)


def _configure(
    references: list[str], given: dict[str, Any], assignments: list[str] | None, config: Path | None
) -> "tuple[list[Model], RunOptions]":
    """The models, all with the same settings, and the options.

    Raises:
        UsageError: a model, a setting or an option does not exist, or has a wrong value.
    """
    from mnistctl.models.sources import find

    models = [find(reference, title=given["name"]) for reference in references]
    return configure_all(models, given, parse_assignments(assignments), config)


def _plan_sweep(
    models: "list[Model]", options: "RunOptions", assignments: list[str] | None, given: Mapping[str, object]
) -> "tuple[list[Model], RunOptions, Sweep | None]":
    """The arms of a sweep as models, the options of all arms, and the sweep; None if nothing is varied.

    Raises:
        UsageError: there are several models, or as `parse_assignments` and `plan_sweep`.
    """
    if not assignments:
        return models, options, None
    from mnistctl.trials.sweep import plan_sweep

    if len(models) > 1:
        raise UsageError("settings of one model can be varied", field="vary", value=assignments[0])
    texts = parse_assignments(assignments, field="vary")
    # A setting that is varied is no option of all arms, only a setting of the unchanged recipe.
    own = {key: getattr(options, key) for key in SETTINGS_WITH_OPTION if key in texts and given[key] is None}
    settings = {key: value for key, value in own.items() if value is not None}
    arms, sweep = plan_sweep(models[0].with_settings(models[0].settings | settings), texts)
    defaults = {key: getattr(type(options), key) for key in settings}
    return list(arms), replace(options, **defaults), sweep


def _model_words(trials: "TrialsOptions") -> list[str]:
    """The models as typed, then their settings, which are the same for all, and what is varied."""
    models = trials.models if trials.sweep is None else trials.models[:1]
    varied = [] if trials.sweep is None else trials.sweep.assignments()
    vary = [f"--vary {shlex.quote(assignment)}" for assignment in varied]
    # A model has only the settings that change its own recipe.
    settings = {key: value for model in models for key, value in model.settings.items()}
    words = setting_words(models[0].with_settings(settings))
    return [*(shlex.quote(model.reference) for model in models), *words, *vary]


def _trials_command(trials: "TrialsOptions") -> str:
    """The command that repeats the trials, in whatever folders."""
    words = option_words(trials.options, leave_out=FOLDERS)
    until = [] if trials.stopping is None else [f"--until settled --margin {trials.margin}"]
    return " ".join(["mnistctl trials", *_model_words(trials), *_count_words(trials.count), *until, *words])


def _start_command(trials: "TrialsOptions") -> str:
    """The command that starts the trials, with all options of training."""
    return " ".join(["mnistctl trials", *_model_words(trials), "-n N", *option_words(trials.options)])


def _resume_command(trials: "TrialsOptions", given: Mapping[str, object]) -> str:
    """The command that resumes the trials. Of the options as `given`, it has those that no journal holds."""
    kept = None if given["allow_mixed"] else location_fields(trials.options)  # the journal has the others
    options = option_words(trials.options, only=kept)
    words = [*_model_words(trials), *_count_words(trials.count), *options, *_session_words(given)]
    return " ".join(["mnistctl trials", *words, "--resume"])


def _count_words(count: int | None) -> list[str]:
    return [] if count is None else [f"-n {count}"]


def _session_words(given: Mapping[str, object]) -> list[str]:
    """The options of a session that are not in the journal and differ from their defaults, as typed."""
    values = {field: given[field] for field in _SESSION_FIELDS}
    values["executor"] = None if given["executor"] == "local" else given["executor"]
    words = {option_of(field): value for field, value in values.items() if value not in (None, False)}
    return [name if value is True else f"{name} {shlex.quote(str(value))}" for name, value in words.items()]
