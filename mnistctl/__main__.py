"""Entry point: from its first line on, Ctrl-C and SIGTERM end the program with one line."""

import os
import signal
from types import FrameType
from typing import NoReturn

# How long OpenMP's threads keep a core while they wait: of the standard, of GCC's and of LLVM's library.
_WAIT_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
SPINS = "20000"  # of a waiting thread before it sleeps; 300,000 by default


def main() -> NoReturn:
    """Run mnistctl on the arguments of the process and exit."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    _limit_spinning()
    from mnistctl.cli.program import run  # takes a while, and sets its own handlers

    run()


def _limit_spinning() -> None:
    """Have torch's threads wait less for one another before they sleep; OpenMP reads the setting as it loads.

    A thread that waits keeps its core busy, for some milliseconds by default. Where another process runs on a
    core, small steps then take many times as long. With a fifteenth of that, they take about their share of
    the cores, and a quiet machine is as fast as before (bench/busy.py). Threads that sleep at once
    (OMP_WAIT_POLICY=PASSIVE) are up to three times as slow there. A setting of the user's own is left alone.
    """
    if not any(name in os.environ for name in _WAIT_SETTINGS):
        os.environ["GOMP_SPINCOUNT"] = SPINS


def _exit(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit at once: nothing is written yet, and an exception could be lost in an import."""
    message = b"mnistctl: interrupted\n" if number == signal.SIGINT else b"mnistctl: terminated\n"
    try:
        os.write(2, message)
    finally:
        os._exit(128 + number)


if __name__ == "__main__":
    main()
