"""Expected failures: what is wrong, where, what helps, and the exit code that goes with each kind.

The core raises these without knowing the command line. An error names the field that is wrong and the
fields or actions that would help; `cli/errors.py` turns these into options and commands.
"""

import difflib
from collections.abc import Iterable


def suggest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` with the known name closest to `name`; `;` if none is close. The remedy follows."""
    matches = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {matches[0]}?" if matches else ";"


class StoppedError(BaseException):
    """The program was stopped by Ctrl-C (SIGINT) or SIGTERM. Like KeyboardInterrupt, not an Exception."""

    def __init__(self, signal: int) -> None:
        super().__init__("interrupted" if signal == 2 else "terminated")
        self.exit_code = 128 + signal


class MnistctlError(Exception):
    """An expected failure, told in one line.

    Args:
        message: what is wrong, and where.
        field: name of the option or argument that is wrong, as a Python identifier ("batch_size").
        value: its value; None for a flag.
        remedies: what helps, in order: names of fields to set ("overwrite"), or actions ("download").

    Attributes:
        commands: for a remedy, the command line that carries it out; filled in by the command line.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, field: str | None = None, value: object = None, remedies: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = value
        self.remedies = tuple(remedies)
        self.commands: dict[str, str] = {}

    def __str__(self) -> str:
        value = "" if self.value is None else f" {self.value}"
        where = "" if self.field is None else f"{self.field}{value}: "
        return f"{where}{self.message}" + (f"; try {', '.join(self.remedies)}" if self.remedies else "")


class OutputError(MnistctlError):
    """A file could not be read or written."""


class UsageError(MnistctlError):
    """The request is wrong: an unknown name, a number out of range, a missing device, a name in use."""

    exit_code = 2


class DataError(MnistctlError):
    """The digits are missing, cannot be downloaded, or are damaged."""

    exit_code = 3


class DivergedError(MnistctlError):
    """A loss or a weight is no longer finite."""

    exit_code = 4


class CheckpointError(MnistctlError):
    """A checkpoint or record is damaged, foreign, of the wrong kind, or does not match."""

    exit_code = 5


class FailedTrialsError(MnistctlError):
    """Some trials diverged, or their workers kept dying. The other results stand."""

    exit_code = 6


class UnmetError(MnistctlError):
    """A requirement is not met."""

    exit_code = 7
