"""The program: runs the command line, and turns what went wrong into one line and an exit code."""

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
    """Run mnistctl on the process's arguments and exit."""
    _open_streams()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        code = app(standalone_mode=False, prog_name="mnistctl")  # however it was started
    except MnistctlError as fault:
        print_error(describe_error(fault), notes=getattr(fault, "__notes__", ()))
        code = fault.exit_code
    except StoppedError as fault:
        print_error(str(fault), notes=getattr(fault, "__notes__", ()))
        code = fault.exit_code
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        silence_stdout()
        code = 1
    except OSError as fault:
        print_error(f"{fault.filename or 'input or output'}: {fault.strerror or fault}")
        code = 1
    except Exception as fault:
        # Typer's own exceptions stand in a private module; these two methods are what they have in common.
        if hasattr(fault, "format_message") and hasattr(fault, "exit_code"):
            if told := fault.format_message():  # nothing where the help was asked for by silence, and printed
                print_error(f"{_mistyped(told)} ({_page(fault)} --help)")
            code = fault.exit_code
        else:
            raise
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
    sys.exit(code if isinstance(code, int) else 0)


def _mistyped(told: str) -> str:
    """A mistake in the command line as Typer tells it, with the word that may have been meant."""
    if option := re.fullmatch(r"No such option: (\S+) \(Possible options: (.*)\)", told):
        return f"No such option: {option[1]}{suggest(option[1], option[2].split(', '))}"
    if choice := re.fullmatch(r"(.*: )(?:Value error, )?'(.*)' is not one of (.*)\.", told, re.DOTALL):
        there = choice[3].replace("'", "")
        return f"{choice[1]}{choice[2]!r}{suggest(choice[2], there.split(', '))} there are {there}"
    return told


def _page(fault: Exception) -> str:
    context = getattr(fault, "ctx", None)
    return "mnistctl" if context is None else str(context.command_path)


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
