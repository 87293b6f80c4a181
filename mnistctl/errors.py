"""Expected failures: what is wrong, where, what helps, and an exit code for each kind.

The core does not know the command line. An error names the field that is wrong, and the fields or actions
that would help. `cli/errors.py` turns these into options and commands.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path


def suggest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` with the known name closest to `name`, or `;` if none is close.

    A sentence that says what to do can follow. A name in capitals is as close as one in small letters.
    """
    names = list(known)
    in_lower_case = {each.lower(): each for each in names}
    matches = difflib.get_close_matches(name, names, 1) or [
        in_lower_case[each] for each in difflib.get_close_matches(name.lower(), list(in_lower_case), 1)
    ]
    return f"; did you mean {matches[0]}?" if matches else ";"


def plural(number: int, noun: str) -> str:
    """The number and the noun, as in `1 epoch` and `2 epochs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class StoppedError(BaseException):
    """The program was stopped by Ctrl-C (SIGINT) or SIGTERM. Like KeyboardInterrupt, not an Exception."""

    def __init__(self, signal: int) -> None:
        super().__init__("interrupted" if signal == 2 else "terminated")
        self.exit_code = 128 + signal


class MnistctlError(Exception):
    """An expected failure, reported in one line.

    Args:
        message: what is wrong, and where.
        field: name of the option or argument that is wrong, as a Python identifier ("batch_size").
        value: its value; None for a flag.
        remedies: what helps, in order: names of fields to set ("overwrite"), or actions ("download").
        options: what the commands of the remedies must be told, by field ("data_dir"); None for the default.

    Attributes:
        commands: the command that carries out a remedy, by remedy; set by the command line.
        given_by: what gave the field its value, if it was not typed: an environment variable, or a key of a
            configuration file; set by the command line.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        value: object = None,
        remedies: Iterable[str] = (),
        options: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = value
        self.remedies = tuple(remedies)
        self.options = dict(options or {})
        self.commands: dict[str, str] = {}
        self.given_by: str | None = None

    def __str__(self) -> str:
        value = "" if self.value is None else f" {self.value}"
        where = "" if self.field is None else f"{self.field}{value}: "
        return f"{where}{self.message}" + (f"; try {', '.join(self.remedies)}" if self.remedies else "")


class OutputError(MnistctlError):
    """A file could not be read or written."""


class UsageError(MnistctlError):
    """An argument or option is wrong: an unknown name, a number out of range, a missing device."""

    exit_code = 2


class DataError(MnistctlError):
    """Files of a data set are missing, damaged, or cannot be downloaded."""

    exit_code = 3


class DivergedError(MnistctlError):
    """A loss, or a weight or a buffer of a net, is no longer finite."""

    exit_code = 4


class CheckpointError(MnistctlError):
    """A checkpoint or record is missing, damaged, of another kind or version, or does not match."""

    exit_code = 5


class UnfinishedRunError(CheckpointError):
    """A name belongs to a run that is not finished, so there is no trained model yet.

    Args:
        run_path: path of the run's files without their endings.
        model: the run's model, or its recipe file; None if its checkpoints cannot be read.
    """

    def __init__(self, run_path: Path, model: str | None) -> None:
        what = f" of {model}" if model else ""
        super().__init__(f"{run_path}: unfinished run{what}, no trained model yet", remedies=["resume"])
        self.run_path, self.model = run_path, model


class FailedTrialsError(MnistctlError):
    """Some trials diverged, or their workers died repeatedly. The other results are complete."""

    exit_code = 6


class UnmetError(MnistctlError):
    """The results do not meet a requirement."""

    exit_code = 7
