"""What can go wrong as expected: one sentence for the user, and the exit code that goes with it."""

import difflib
from collections.abc import Iterable


def near(name: str, among: Iterable[str]) -> str:
    """What stands between a fault and the way out: whether one `among` these was meant, spelt like `name`."""
    found = difflib.get_close_matches(name, list(among), 1)
    return f"; did you mean {found[0]}?" if found else ";"


class StoppedError(BaseException):
    """A signal asked the program to stop: Ctrl-C (SIGINT) or SIGTERM. As deep as KeyboardInterrupt."""

    def __init__(self, signal: int) -> None:
        super().__init__("interrupted" if signal == 2 else "terminated")
        self.exit_code = 128 + signal


class MnistctlError(Exception):
    """An expected failure: says what, where and what to do next in one line."""

    exit_code = 1


class OutputError(MnistctlError):
    """A file could not be read or written."""


class UsageError(MnistctlError):
    """The request itself is off: an unknown name, a bad number, a missing device, a taken name."""

    exit_code = 2


class DataError(MnistctlError):
    """The digits are missing, unreachable, or not what they should be."""

    exit_code = 3


class DivergedError(MnistctlError):
    """A loss or a weight is no longer finite."""

    exit_code = 4


class CheckpointError(MnistctlError):
    """A checkpoint or record is damaged, foreign, of the wrong kind, or does not match."""

    exit_code = 5


class FailedTrialsError(MnistctlError):
    """Some trials diverged, or their workers kept dying; the others stand."""

    exit_code = 6


class UnmetError(MnistctlError):
    """A requirement that was asked for is not met."""

    exit_code = 7
