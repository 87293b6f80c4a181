"""What commands have in common: the command lines of a run, names of files from options, use of stdout."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnistctl.cli.errors import is_usual_folder, option_of
from mnistctl.errors import UnfinishedRunError, UsageError

if TYPE_CHECKING:
    from mnistctl.artifacts.outputs import Output
    from mnistctl.models.sources import Model
    from mnistctl.training.options import RunOptions

FOLDERS = frozenset({"out_dir", "data_dir"})  # where a run is; its other options are what it is


def expand_home(path: Path) -> Path:
    """The path with `~` as the home folder, which a shell leaves in --out-dir=~/runs.

    Raises:
        UsageError: there is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise UsageError(f"there is no home folder for {path.parts[0]}") from None


def train_command(model: "Model", options: "RunOptions") -> str:
    """The command that repeats the run, in whatever folders."""
    return _train(model, *option_words(options, leave_out=FOLDERS))


def start_command(model: "Model", options: "RunOptions") -> str:
    """The command that starts the run, with all of its options."""
    return _train(model, *option_words(options))


def train_more_command(model: "Model", options: "RunOptions") -> str:
    """The command that starts from the weights of a finished run, with the options that were given for it.

    Args:
        model: the model.
        options: the options; the finished run has their name.
    """
    from mnistctl.artifacts import files

    run_path = options.run_path(model.name)
    more = replace(options, epochs=None, name=None, init=files.with_ending(run_path, "safetensors"))
    name = ["--name NAME"] if more.run_path(model.name) == run_path else []
    return _train(model, "--epochs N", *option_words(more), *name)


def resume_command(model: "Model", options: "RunOptions") -> str:
    """The command that resumes the run; its other options are in its checkpoint."""
    return f"{_train(model, *option_words(options, only=location_fields(options)))} --resume"


def resume_unfinished_command(error: UnfinishedRunError) -> str:
    """The command that resumes the run of the error."""
    from mnistctl.models.sources import Model
    from mnistctl.training.options import RunOptions

    model = Model(base=error.model or "MODEL")
    name = None if error.run_path.name == error.model else error.run_path.name
    return resume_command(model, RunOptions(out_dir=error.run_path.parent, name=name))


def _train(model: "Model", *options: str) -> str:
    """`mnistctl train` with the model, these options and the model's settings."""
    return " ".join(["mnistctl train", shlex.quote(model.reference), *options, *setting_words(model)])


def location_fields(options: "RunOptions") -> frozenset[str]:
    """The fields that say where the files of a run are."""
    return FOLDERS | (
        {"name"} if options.name is not None else {"dataset", "init"}
    )  # the default name says which data set, and whether the weights are trained ones


def setting_words(model: "Model") -> list[str]:
    """The settings of a model as options: `--set net.dropout=0.2`."""
    from mnistctl.models.values import format_value

    words = (f"{key}={format_value(value)}" for key, value in model.settings.items())
    return [f"--set {shlex.quote(word)}" for word in words]


def option_words(
    options: "RunOptions", *, only: Collection[str] | None = None, leave_out: Collection[str] = ()
) -> list[str]:
    """The options that differ from their defaults, as typed, each with its value: `--epochs 2`.

    The default of a folder may be that of an environment variable.

    Args:
        options: the options.
        only: the fields to include; None for all.
        leave_out: fields to leave out.
    """
    words = []
    for field in fields(options):
        name, value = field.name, getattr(options, field.name)
        usual = is_usual_folder(name, value) if name in FOLDERS else value in (None, field.default)
        if not usual and name not in leave_out and (only is None or name in only):
            words.append(f"{option_of(name)} {shlex.quote(str(value))}")
    return words


def name_part(values: Mapping[str, object]) -> str:
    """The options that are given, as a part of a file's name: `-n200-seed1` for {"n": 200, "seed": 1}."""
    return "".join(f"-{label}{value}" for label, value in values.items() if value not in (None, False))


def check_stdout(outputs: "Sequence[Output]", **others: bool) -> None:
    """Check that at most one thing is written to stdout.

    Args:
        outputs: the files that are to be written.
        others: by name, whether each option that prints to stdout is given.

    Raises:
        UsageError: a file and an option both need stdout.
    """
    for output in outputs:
        for name, given in others.items():
            if given and output.is_stdout:
                output.fail(f"stdout is taken by {option_of(name)}")
