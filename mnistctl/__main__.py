"""Entry point: from its first line on, Ctrl-C and SIGTERM end the program with one line."""

import os
import signal
from types import FrameType
from typing import NoReturn

# How long OpenMP's threads keep a core while they wait: of the standard, of GCC's and of LLVM's library.
_WAIT_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


def main() -> NoReturn:
    """Run mnistctl on the arguments of the process and exit."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    _let_waiting_threads_sleep()
    from mnistctl.cli.program import run  # takes a while, and sets its own handlers

    run()


def _let_waiting_threads_sleep() -> None:
    """Have torch's threads sleep while they wait for one another; OpenMP reads the setting when torch loads.

    Otherwise they keep their cores busy. Where another process runs on a core, a small step then takes 10 to
    50 times as long. A setting of the user's own is left alone.
    """
    if not any(name in os.environ for name in _WAIT_SETTINGS):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def _exit(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit at once: nothing is written yet, and an exception could be lost in an import."""
    message = b"mnistctl: interrupted\n" if number == signal.SIGINT else b"mnistctl: terminated\n"
    try:
        os.write(2, message)
    finally:
        os._exit(128 + number)


if __name__ == "__main__":
    main()
