"""What a user sees: a command in a pseudo-terminal, and the screen that pyte makes of its output."""

import fcntl
import multiprocessing
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from dataclasses import dataclass, field

import pyte
from white_charts import white

ROWS = 400  # of the terminal, so that nothing scrolls away
BAR = re.compile("[\u2501\u2578\u257a]")  # the characters of a progress bar
_CONTEXT = multiprocessing.get_context("forkserver")
# Each command runs in a process of its own that has loaded torch already, and what else takes long.
_LOADED = ("cli.program", "cli.evaluations", "evaluation.figures", "inference.generate", "trials.run")
_CONTEXT.set_forkserver_preload(["torch", "scipy.stats", *(f"mnistctl.{name}" for name in _LOADED)])


@dataclass
class Seen:
    """What was on the screen.

    Args:
        code: the exit code of the command.
        lines: the lines at the end, without empty ones.
        written: the lines as the command wrote them, however long.
        bars: all lines with a progress bar that were on the screen at some time.
    """

    code: int
    lines: list[str]
    written: list[str]
    bars: list[str] = field(default_factory=list)

    @property
    def words(self):
        return set(" ".join(self.lines).split())


def run(*words, columns, folder, pause=0.0):
    """Run mnistctl with these arguments in `folder`, on a terminal with so many columns.

    Args:
        pause: seconds to wait before each step of training.
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    arguments = (os.ttyname(follower), words, str(folder), pause)
    process = _CONTEXT.Process(target=_command, args=arguments)
    process.start()
    screen, wide = pyte.Screen(columns, ROWS), pyte.Screen(1000, ROWS)
    streams = [pyte.ByteStream(each) for each in (screen, wide)]
    bars = []
    try:
        while process.is_alive() or select.select([leader], [], [], 0)[0]:
            if not select.select([leader], [], [], 0.05)[0]:
                continue
            content = os.read(leader, 1 << 16)
            for stream in streams:
                stream.feed(content)
            changed = [_line(screen, number) for number in sorted(screen.dirty)]
            bars += [line for line in changed if BAR.search(line)]
            screen.dirty.clear()
        process.join()
    finally:
        process.kill()
        os.close(leader)
        os.close(follower)
    return Seen(process.exitcode, _lines(screen), _lines(wide), bars)


def _lines(screen):
    return [line for number in range(ROWS) if (line := _line(screen, number))]


def _line(screen, number):
    """One line of the screen. `screen.display` takes a tenth of a second for all lines."""
    row = screen.buffer[number]
    return "".join(row[column].data for column in range(max(row, default=-1) + 1)).rstrip()


def _command(terminal, words, folder, pause):
    """In the new process: take the terminal, and run the command."""
    os.setsid()
    descriptor = os.open(terminal, os.O_RDWR)
    for number in range(3):
        os.dup2(descriptor, number)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, "r" if number == 0 else "w", closefd=False) for number in range(3)
    )
    for name in [name for name in os.environ if name.startswith("MNISTCTL_")]:
        del os.environ[name]
    os.environ.pop("COLUMNS", None)
    os.environ.pop("NO_COLOR", None)
    os.environ |= {"TERM": "xterm-256color", "MNISTCTL_OFFLINE": "1"}
    os.chdir(folder)
    sys.argv = ["mnistctl", *words]
    _shorten()
    if pause:
        _slow_down(pause)
    from mnistctl.__main__ import main

    main()


def _shorten():
    """Leave out what takes long and changes no word on the screen: the charts, and most resamples."""
    from mnistctl.artifacts import drawing
    from mnistctl.evaluation import fidelity

    drawing.Chart.pixels = white
    fidelity.FRECHET_RESAMPLES = 2


def _slow_down(pause):
    from mnistctl.training import classifier, gan

    def slowed(step):
        def slow_step(*arguments):
            time.sleep(pause)
            return step(*arguments)

        return slow_step

    classifier.train_step, gan.train_step = slowed(classifier.train_step), slowed(gan.train_step)
