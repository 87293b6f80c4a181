"""Errors of the core as the command line tells them: fields become options, remedies become commands."""

from collections.abc import Iterator
from contextlib import contextmanager

from mnistctl.errors import MnistctlError

# Fields whose option is not `--` and the field's name.
_OPTIONS = {"count": "-n", "images": "--image", "source": "--from", "mirrors": "--mirror"}
# Remedies that are not an option to set.
_ACTIONS = {
    "download": "run `mnistctl download`",
    "download_from": "copy the files from another machine with `mnistctl download --from DIR`",
    "train": "train one with `mnistctl train`",
    "sample": "use --dataset sample",
    "resume": "use --resume",
}


def option_of(field: str) -> str:
    """The option that sets `field`: `--batch-size` for batch_size."""
    return _OPTIONS.get(field, f"--{field.replace('_', '-')}")


def describe_error(error: MnistctlError) -> str:
    """The error in one line, with options and commands to type."""
    where = "" if error.field is None else f"{option_of(error.field)} {error.value}: "
    return "; ".join([f"{where}{error.message}", *_hints(error)])


def _hints(error: MnistctlError) -> Iterator[str]:
    options = []
    for remedy in error.remedies:
        if remedy in error.commands:
            yield f"`{error.commands[remedy]}` {_EFFECTS[remedy]}"
        elif remedy in _ACTIONS:
            yield _ACTIONS[remedy]
        else:
            options.append(option_of(remedy))
    if options:
        yield f"use {', '.join(options[:-1])} or {options[-1]}" if len(options) > 1 else f"use {options[0]}"


_EFFECTS = {"resume": "continues it", "train": "starts one", "retry": "runs the failed ones again"}


@contextmanager
def with_commands(**commands: str) -> Iterator[None]:
    """Give errors that leave the block the command line for each remedy: `resume="mnistctl train ..."`."""
    try:
        yield
    except MnistctlError as error:
        error.commands |= commands
        raise
