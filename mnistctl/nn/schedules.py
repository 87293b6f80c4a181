"""Learning rate schedules: callables that give a number of rates for a peak.

A schedule gives one rate per epoch. One with a true attribute `every_step` gives one rate per step: it is
called with the number of steps of the whole run, and with the number of epochs for tables and records.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mnistctl.errors import UsageError

Schedule = Callable[[float, int], Iterable[float]]  # (peak learning rate, number of rates) to the rates

MAX_EPOCHS = 1_000_000  # of a run
MAX_RATE = 1e30  # of learning; torch's optimizers cannot take a step with a rate beyond float32


@dataclass(frozen=True)
class Constant:
    """The peak in every epoch."""

    def __call__(self, peak_lr: float, epochs: int) -> tuple[float, ...]:
        return (peak_lr,) * epochs


@dataclass(frozen=True)
class Cosine:
    """Cosine annealing from the peak towards zero, but not below `floor` (nor above the peak).

    Epoch e of n, counted from 1, has `peak (1 + cos(pi (e-1) / n)) / 2` (Loshchilov and Hutter,
    SGDR, arXiv 1608.03983, equation 5, without restarts).

    Args:
        floor: the lowest learning rate.
    """

    floor: float = 0.0

    def __call__(self, peak_lr: float, epochs: int) -> tuple[float, ...]:
        lowest = min(self.floor, peak_lr)
        return tuple(max(lowest, peak_lr * (1 + math.cos(math.pi * e / epochs)) / 2) for e in range(epochs))


@dataclass(frozen=True)
class Cycle:
    """Fractions of the peak, one per epoch, repeated.

    Args:
        fractions: the fractions.
    """

    fractions: tuple[float, ...] = (1.0, 0.5, 0.2, 0.1)

    def __call__(self, peak_lr: float, epochs: int) -> tuple[float, ...]:
        return tuple(peak_lr * self.fractions[e % len(self.fractions)] for e in range(epochs))


@dataclass(frozen=True)
class OneCycle:
    """Up to the peak and down to 0 in every step, each by half a cosine.

    The 1cycle policy of Smith and Topin, Super-Convergence, arXiv 1708.07120, for the learning rate alone.
    The rate of step s of n, counted from 0, is that at t = (s + 1/2) / n, so that one rate for a whole epoch
    is that in the middle of it.

    Args:
        warmup: part of the run in which the rate rises, from 0 to 1.
        start: the rate at the very start, as a fraction of the peak.
    """

    warmup: float = 0.3
    start: float = 0.04
    every_step: ClassVar[bool] = True

    def __call__(self, peak_lr: float, steps: int) -> tuple[float, ...]:
        return tuple(peak_lr * self._fraction((step + 0.5) / steps) for step in range(steps))

    def _fraction(self, t: float) -> float:
        """The fraction of the peak at the time t, from 0 to 1."""
        if t < self.warmup:
            return self.start + (1 - self.start) * (1 - math.cos(math.pi * t / self.warmup)) / 2
        return (1 + math.cos(math.pi * (t - self.warmup) / (1 - self.warmup))) / 2


SCHEDULES = {"constant": Constant, "cosine": Cosine, "cycle": Cycle, "onecycle": OneCycle}


def changes_every_step(schedule: Schedule) -> bool:
    """Whether a schedule gives one rate per step, not one per epoch."""
    return bool(getattr(schedule, "every_step", False))


def rates_by_step(
    schedule: Schedule, peak_lr: float, epochs: int, steps: int
) -> Callable[[int], tuple[float, ...]]:
    """A function that gives the learning rate of each step of an epoch, which is counted from 1.

    The schedule is called once for the whole run.

    Args:
        schedule: the schedule.
        peak_lr: the peak.
        epochs: number of epochs of the run.
        steps: number of steps of an epoch.

    Raises:
        UsageError: a schedule that changes every step gives wrong rates for the steps of this run.
    """
    if changes_every_step(schedule):
        by_step = tuple(map(float, schedule(peak_lr, epochs * steps)))
        if message := wrong_rates(by_step, epochs * steps, "steps"):
            raise UsageError(f"the recipe's schedule gives {message}")
        return lambda epoch: by_step[(epoch - 1) * steps : epoch * steps]
    by_epoch = tuple(map(float, schedule(peak_lr, epochs)))
    return lambda epoch: by_epoch[epoch - 1 : epoch] * steps


def hold_after(rates: tuple[float, ...], epoch: int) -> tuple[float, ...]:
    """`rates` up to `epoch`, counted from 1, whose rate is held in all later epochs."""
    return rates[:epoch] + rates[epoch - 1 : epoch] * (len(rates) - epoch)


def wrong_rates(rates: Sequence[float], count: int, unit: str = "epochs") -> str:
    """What is wrong with the learning rates that a schedule gives for so many epochs; empty if nothing is."""
    if len(rates) != count:
        return f"{len(rates)} learning rates for {count} {unit}"
    if not all(0 <= rate <= MAX_RATE for rate in rates):
        return f"a learning rate that is not a number from 0 to {MAX_RATE:g}"
    return ""
