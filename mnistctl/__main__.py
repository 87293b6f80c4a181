"""The program: runs the command line, and turns what went wrong into one line and an exit code."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from mnistctl.cli import app
from mnistctl.errors import MnistctlError, StoppedError
from mnistctl.report.terminal import complain, hush


def main() -> NoReturn:
    """Run mnistctl on the process's arguments and exit."""
    _open_streams()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        code = app(standalone_mode=False)
    except (MnistctlError, StoppedError) as fault:
        complain(fault)
        code = fault.exit_code
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        hush()
        code = 1
    except OSError as fault:
        complain(f"{fault.filename or 'input or output'}: {fault.strerror or fault}")
        code = 1
    except Exception as fault:
        # Typer's own exceptions stand in a private module; these two methods are what they have in common.
        if hasattr(fault, "format_message") and hasattr(fault, "exit_code"):
            complain(f"{fault.format_message()} (mnistctl --help)")
            code = fault.exit_code
        else:
            raise
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        hush()
    sys.exit(code if isinstance(code, int) else 0)


def _open_streams() -> None:
    """Give a stream that came closed a place to go: else the next file to be opened would take its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    for again in (signal.SIGINT, signal.SIGTERM):  # a second one ends the program at once
        signal.signal(again, signal.SIG_DFL)
    raise StoppedError(number)


if __name__ == "__main__":
    main()
