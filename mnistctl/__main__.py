"""Entry point: run the command line; an error becomes one line on stderr and an exit code."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from mnistctl.cli import app
from mnistctl.cli.errors import describe_error
from mnistctl.cli.output.terminal import print_error, silence_stdout
from mnistctl.cli.usage import describe_usage_error
from mnistctl.errors import MnistctlError, StoppedError


def main() -> NoReturn:
    """Run mnistctl on the arguments of the process and exit."""
    _open_closed_streams()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        code = app(standalone_mode=False, prog_name="mnistctl")  # the same name under `python -m`
    except MnistctlError as error:
        print_error(describe_error(error), notes=getattr(error, "__notes__", ()))
        code = error.exit_code
    except StoppedError as error:
        print_error(str(error), notes=getattr(error, "__notes__", ()))
        code = error.exit_code
    except BrokenPipeError:  # the reader of stdout, for example `head`, has closed it
        silence_stdout()
        code = 1
    except OSError as error:
        print_error(f"{error.filename or 'input or output'}: {error.strerror or error}")
        code = 1
    except Exception as error:
        # Typer's exceptions are in a private module. These two attributes are what they have in common.
        if not (hasattr(error, "format_message") and hasattr(error, "exit_code")):
            raise
        if message := describe_usage_error(error):
            print_error(message)
        code = error.exit_code
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
    sys.exit(code if isinstance(code, int) else 0)


def _open_closed_streams() -> None:
    """Open standard streams that are closed. Otherwise the next opened file would get a stream's number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM):  # a second signal ends the program at once
        signal.signal(each, signal.SIG_DFL)
    raise StoppedError(number)


if __name__ == "__main__":
    main()
