"""How the command line words an error of the core: fields become options, remedies become commands."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnistctl.artifacts.files import Warned
from mnistctl.errors import MnistctlError

# Options that are not simply `--` and the field's name.
_OPTIONS = {
    "count": "-n",
    "images": "--image",
    "source": "--from",
    "mirrors": "--mirror",
    "reference_classifier": "--judge",
    "settings": "--set",
}

# Remedies that are more than an option to set. {dataset}, {data_dir} and {out_dir} become options.
_ACTIONS = {
    "download": "run `mnistctl download{dataset}{data_dir}`",
    "download_from": (
        "copy the files from another machine with `mnistctl download{dataset}{data_dir} --from DIR`"
    ),
    "download_mirror": "try another mirror with `mnistctl download{dataset}{data_dir} --mirror URL`",
    "online": "leave out --offline (or unset MNISTCTL_OFFLINE)",
    "source": "use --from DIR for a local folder",
    "with_resume": "use it with --resume",
    "import_pictures": "make the files from pictures with `mnistctl import FOLDER --data-dir DIR`",
    "reinstall": "install mnistctl again",
    "retrain": "copy the file again or train the model again",
    "update": "use a newer version of mnistctl",
    "pretrained": "use pretrained or pretrained-cgan, the weights in the package",
    "pretrained_cgan": "use the name pretrained-cgan",
    "judge": "name another with --judge, for example --judge pretrained",
    "free_space": "free space on the disk, or write to another",
    "other_folder": "choose a folder that can be written",
    "name_image": "give each image with an --image of its own, or their folder with one",
    "finish": "finish the run with --resume",
    "resume_without_count": "continue it with --resume and without -n",
    "join_again": "run the failed ones again as another part, and join it too",
    "train": "train one with `mnistctl train MODEL{out_dir}`",
    "train_holdout": "use a model that was trained with --holdout, or --split test",
    "train_conv": "train one with `mnistctl train conv{out_dir}`",
    "train_cgan": "train one with `mnistctl train cgan{out_dir}`",
    "start": "start one with `mnistctl train`",
    "list_settings": "see `mnistctl show --model MODEL`",
    "train_more": "use --init with its weights",
    "name_file": "name that file before --like",
    "recipe": "name that file with --recipe",
    "rename_file": "rename the file",
    "list_models": "see `mnistctl train --list`",
    "shuffle": "use --set shuffle=true",
    "lower_lr": "use a lower --lr",
    "overwrite_lower_lr": "use --overwrite with a lower --lr",
    "sample": "use --dataset sample",
    "own": "use --dataset own",
    "download_overwrite": "replace them with `mnistctl download{dataset}{data_dir} --overwrite`",
}

_FOLDERS = {"data_dir": "data", "out_dir": "out"}  # the default folders, by field

# What the command in `error.commands` does, for each remedy that can have one.
_EFFECTS = {
    "resume": "continues it",
    "resume_without_count": "continues it",
    "start": "starts one",
    "train_more": "trains its weights for N epochs more",
    "retry": "runs the failed ones again",
}


def option_of(field: str) -> str:
    """The option that sets `field`: `--batch-size` for batch_size."""
    return _OPTIONS.get(field, f"--{field.replace('_', '-')}")


def describe_error(error: MnistctlError) -> str:
    """The error in one line, with options and commands to type."""
    where = ""
    if error.field is not None:
        value = "" if error.value is None else f" {_quote(str(error.value))}"
        option = f"{option_of(error.field)}{value}"
        where = f"{option}: " if error.given_by is None else f"{error.given_by}={error.value}: "
    sentence = f"{where}{error.message}"
    hints = "; ".join(_hints(error))
    if not hints:
        return sentence
    return f"{sentence} {hints}" if sentence.endswith("?") else f"{sentence}; {hints}"


def _quote(value: str) -> str:
    """The value, in quotes if it is empty or has spaces, so that its ends are seen."""
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""  # by the error itself
    return shlex.quote(value) if not value or (" " in value and not quoted) else value


def describe_warning(warning: Warned) -> str:
    """The warning in one line, with options and commands to type."""
    return describe_error(MnistctlError(warning.message, remedies=warning.remedies))


def _hints(error: MnistctlError) -> Iterator[str]:
    """What helps: a sentence for each command that is known, then the actions and options in one sentence."""
    dataset = error.value if error.field == "dataset" else error.options.get("dataset")
    words = {"dataset": "" if dataset is None else f" --dataset {dataset}"}
    words |= {field: folder_words(field, error.options.get(field)) for field in _FOLDERS}
    actions, options = [], []
    for remedy in error.remedies:
        if remedy in error.commands:
            yield f"`{error.commands[remedy]}` {_EFFECTS[remedy]}"
        elif remedy in _ACTIONS:
            actions.append(_ACTIONS[remedy].format(**words))
        else:
            options.append(option_of(remedy))
    if options:
        actions.append(f"use {_join(options)}")
    if actions:
        yield _join(actions)


def is_usual_folder(field: str, folder: object) -> bool:
    """Whether a command without the option of `field` uses this folder; None stands for that folder."""
    usual = Path(os.environ.get(f"MNISTCTL_{field.upper()}") or _FOLDERS[field])
    with suppress(RuntimeError):  # there is no such user, whose folder this one then is not
        usual = usual.expanduser()
    return folder in (None, usual)


def folder_words(field: str, folder: object) -> str:
    """The option for a folder, as in ` --data-dir digits`; empty if a command without it uses this folder."""
    return "" if is_usual_folder(field, folder) else f" {option_of(field)} {shlex.quote(str(folder))}"


def _join(phrases: list[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *first, last = phrases
    return f"{', '.join(first)} or {last}" if first else last


@contextmanager
def with_commands(**commands: str) -> Iterator[None]:
    """Attach the command line of each remedy to an error in the block: `resume="mnistctl train ..."`."""
    try:
        yield
    except MnistctlError as error:
        error.commands |= commands
        raise
