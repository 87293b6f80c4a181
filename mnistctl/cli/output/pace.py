"""How fast a run trains: the time left of an epoch and of the whole run."""

import time
from collections.abc import Callable

from mnistctl.cli.output.terminal import format_duration
from mnistctl.training.events import Progress

_MEASURED_SECONDS = 3.0  # of training, before the time of a run is estimated
_MEASURED_STEPS = 5


class Pace:
    """Estimates from the steps of this session.

    Args:
        epochs: number of epochs of the run.
        clock: gives the time in seconds.
    """

    def __init__(self, epochs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._epochs, self._clock = epochs, clock
        self._epoch_started = clock()
        self._finished: list[float] = []  # seconds of each epoch of this session
        self._first_step: float | None = None  # when it ended; it takes longer than the others
        self._steps = 0
        self._progress = Progress(0, 0, 1)

    def step(self, event: Progress) -> None:
        """Note a step of the run."""
        self._progress = event
        self._steps += 1
        if self._first_step is None:
            self._first_step = self._clock()

    def finish_epoch(self, epoch: int) -> None:
        """Note the end of an epoch, with its evaluation. Epochs of earlier sessions do not count."""
        now = self._clock()
        if epoch == self._progress.epoch:
            self._finished.append(now - self._epoch_started)
        self._epoch_started = now

    def epoch_name(self) -> str:
        """The current epoch: `epoch 3/50`."""
        return f"epoch {self._progress.epoch}/{self._epochs}"

    def epoch_seconds_left(self) -> float:
        """The time until the last step of the current epoch."""
        elapsed = self._clock() - self._epoch_started
        return elapsed / self._progress.done * (self._progress.total - self._progress.done)

    def run_seconds_left(self) -> float:
        """The time until the end of the run."""
        left = self.epoch_seconds_left()
        if self._finished:
            each = sum(self._finished) / len(self._finished)
        else:
            each = self._clock() - self._epoch_started + left
        return left + (self._epochs - self._progress.epoch) * each

    def left(self) -> str:
        """Both times: `0:12, run 1:02:03 left`."""
        run = format_duration(self.run_seconds_left())
        return f"{format_duration(self.epoch_seconds_left())}, run {run} left"

    def first_estimate(self) -> float | None:
        """The seconds of all steps that this session has to do, or None as long as too few are measured."""
        if self._first_step is None:
            return None
        measured, steps = self._clock() - self._first_step, self._steps - 1
        if measured < _MEASURED_SECONDS or steps < _MEASURED_STEPS:
            return None
        progress = self._progress
        to_do = (self._epochs - progress.epoch) * progress.total + progress.total - progress.done
        return measured / steps * (self._steps + to_do)


def describe_time(seconds: float) -> str:
    """A rough time in words: `about 40 minutes`, `about 5 hours`."""
    minutes = seconds / 60
    if minutes < 90:
        return f"about {10 * max(1, round(minutes / 10))} minutes"
    return f"about {round(minutes / 60)} hours"
