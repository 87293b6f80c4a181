"""Entry point: from its first line on, Ctrl-C and SIGTERM end the program with one line."""

import os
import signal
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Run mnistctl on the arguments of the process and exit."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    from mnistctl.cli.program import run  # takes a while, and sets its own handlers

    run()


def _exit(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit at once: nothing is written yet, and an exception could be lost in an import."""
    message = b"mnistctl: interrupted\n" if number == signal.SIGINT else b"mnistctl: terminated\n"
    try:
        os.write(2, message)
    finally:
        os._exit(128 + number)


if __name__ == "__main__":
    main()
