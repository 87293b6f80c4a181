"""Entry point: run the command line; an error becomes one line on stderr and an exit code."""

import os
import re
import signal
import sys
from types import FrameType
from typing import NoReturn

from mnistctl.cli import app
from mnistctl.cli.errors import describe_error
from mnistctl.cli.output.terminal import print_error, silence_stdout
from mnistctl.errors import MnistctlError, StoppedError, suggest


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
        if message := error.format_message():  # empty if Typer has printed the help instead
            print_error(f"{_with_suggestion(message)} ({_command_of(error)} --help)")
        code = error.exit_code
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
    sys.exit(code if isinstance(code, int) else 0)


def _with_suggestion(message: str) -> str:
    """Typer's message about an unknown option or value, with the closest known one."""
    if option := re.fullmatch(r"No such option: (\S+) \(Possible options: (.*)\)", message):
        return f"No such option: {option[1]}{suggest(option[1], option[2].split(', '))}"
    if choice := re.fullmatch(r"(.*: )(?:Value error, )?'(.*)' is not one of (.*)\.", message, re.DOTALL):
        choices = choice[3].replace("'", "")
        return f"{choice[1]}{choice[2]!r}{suggest(choice[2], choices.split(', '))} choose one of {choices}"
    return message


def _command_of(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return "mnistctl" if context is None else str(context.command_path)


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
