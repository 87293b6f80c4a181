"""The program: runs the command line, and turns what went wrong into one line and an exit code."""

import signal
import sys
from types import FrameType
from typing import NoReturn

from mnistctl.cli import app
from mnistctl.errors import MnistctlError
from mnistctl.report import complain, hush


def main() -> NoReturn:
    """Run mnistctl on the process's arguments and exit."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = app(standalone_mode=False)
    except MnistctlError as fault:
        complain(str(fault))
        code = fault.exit_code
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        hush()
        code = 1
    except OSError as fault:
        complain(f"{fault.filename or 'input or output'}: {fault.strerror or fault}")
        code = 1
    except KeyboardInterrupt:
        complain("interrupted")
        code = 130
    except Exception as fault:
        # Typer's own exceptions stand in a private module; these two methods are what they have in common.
        if type(fault).__name__ == "Abort":
            complain("interrupted")
            code = 130
        elif hasattr(fault, "format_message") and hasattr(fault, "exit_code"):
            complain(f"{fault.format_message()} (mnistctl --help)")
            code = fault.exit_code
        else:
            raise
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        hush()
    sys.exit(code if isinstance(code, int) else 0)


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    complain("terminated")
    sys.exit(143)


if __name__ == "__main__":
    main()
