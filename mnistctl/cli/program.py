"""Run the command line; an error becomes one line on stderr and an exit code."""

import errno
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from mnistctl.cli import app
from mnistctl.cli.errors import describe_error
from mnistctl.cli.output.terminal import print_error, silence
from mnistctl.cli.usage import describe_usage_error
from mnistctl.errors import MnistctlError, StoppedError, UsageError

_stopped: list[int] = []  # the signals that stopped the program


def run() -> NoReturn:
    """Run mnistctl on the arguments of the process and exit."""
    _open_closed_streams()
    _forget_impossible_sizes()
    _stopped.clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    code = _run_command()
    # The last line is printed. A signal from now on ends the program without changing its exit code.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(code))
    sys.exit(_flush_streams(code))


def _flush_streams(code: int) -> int:
    """Write what is still in the buffers of stdout and stderr; return `code`, or 1 if a result is lost.

    Python would try it once more at its end, and exit with code 120 if that fails. So a stream that cannot be
    written is silenced.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        silence(sys.stdout)
        if code == 0:
            code = 1
            if not isinstance(error, BrokenPipeError):
                print_error(_describe_os_error(error))
    try:
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)
    return code


def _run_command() -> int:
    """Run the command and print the error that it ends with; return the exit code."""
    try:
        code = app(standalone_mode=False, prog_name="mnistctl")  # the same name under `python -m`
        return code if isinstance(code, int) else 0
    except SystemExit as ended:  # the command has said why
        return ended.code if isinstance(ended.code, int) else 1
    except MnistctlError as error:
        print_error(describe_error(error), notes=getattr(error, "__notes__", ()))
        return error.exit_code
    except StoppedError as error:
        print_error(str(error), notes=getattr(error, "__notes__", ()))
        return error.exit_code
    except BrokenPipeError:  # the reader of stdout, for example `head`, has closed it
        silence(sys.stdout)
        return 1
    except OSError as error:
        print_error(_describe_os_error(error), notes=getattr(error, "__notes__", ()))
        return UsageError.exit_code if error.errno == errno.ENAMETOOLONG else 1
    except Exception as error:
        if _stopped:  # a library has turned StoppedError into an error of its own
            stopped = StoppedError(_stopped[0])
            print_error(str(stopped))
            return stopped.exit_code
        # Typer's exceptions are in a private module. These two attributes are what they have in common.
        if not (hasattr(error, "format_message") and hasattr(error, "exit_code")):
            raise
        if message := describe_usage_error(error):
            print_error(message)
        return int(error.exit_code)


def _describe_os_error(error: OSError) -> str:
    """An error of the system in one line. Without the name of a file it is one of the output."""
    from mnistctl.artifacts.files import write_remedies

    message = f"{error.filename or 'the output cannot be written'}: {error.strerror or error}"
    return describe_error(MnistctlError(message, remedies=() if error.filename else write_remedies(error)))


def _open_closed_streams() -> None:
    """Open standard streams that are closed. Otherwise the next opened file would get a stream's number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _forget_impossible_sizes() -> None:
    """Have a size of the terminal measured that is not a number above 0: Rich prints nothing in 0 columns."""
    for name in ("COLUMNS", "LINES"):
        value = os.environ.get(name, "")
        if not (value.isdecimal() and int(value)):
            os.environ.pop(name, None)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    # If the other signal came before this handler ran, Python would print a traceback: "ignored due to race".
    sys.unraisablehook = lambda _: None
    for each in (signal.SIGINT, signal.SIGTERM):  # a second signal ends the program at once
        signal.signal(each, signal.SIG_DFL)
    _stopped.append(number)
    error = StoppedError(number)
    if _is_importing(frame):  # some modules turn any exception of an import into a warning, and go on
        sys.stderr = sys.__stderr__ or sys.stderr  # it may be redirected
        print_error(str(error))
        if sys.stderr.isatty():
            os.write(2, b"\x1b[?25h")  # show the cursor, which progress bars hide
        os._exit(error.exit_code)
    raise error


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
