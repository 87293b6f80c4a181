"""Learning rate schedules: functions of a peak and a number of epochs that give one rate per epoch."""

import math
from collections.abc import Callable

Schedule = Callable[[float, int], tuple[float, ...]]  # (peak learning rate, epochs) to one rate per epoch


def constant(peak_lr: float, epochs: int) -> tuple[float, ...]:
    """The peak in every epoch."""
    return (peak_lr,) * epochs


def cosine(floor: float = 0.0) -> Schedule:
    """Cosine annealing from the peak towards zero, but not below `floor` (nor above the peak).

    Epoch e of n, counted from 1, has `peak (1 + cos(pi (e-1) / n)) / 2` (Loshchilov and Hutter,
    SGDR, arXiv 1608.03983, equation 5, without restarts).
    """

    def schedule(peak_lr: float, epochs: int) -> tuple[float, ...]:
        lowest = min(floor, peak_lr)
        return tuple(max(lowest, peak_lr * (1 + math.cos(math.pi * e / epochs)) / 2) for e in range(epochs))

    return schedule


def cycle(*fractions: float) -> Schedule:
    """These fractions of the peak, one per epoch, repeated."""

    def schedule(peak_lr: float, epochs: int) -> tuple[float, ...]:
        return tuple(peak_lr * fractions[e % len(fractions)] for e in range(epochs))

    return schedule


def hold_after(rates: tuple[float, ...], epoch: int) -> tuple[float, ...]:
    """`rates` up to `epoch`, counted from 1, whose rate is held in all later epochs."""
    return rates[:epoch] + rates[epoch - 1 : epoch] * (len(rates) - epoch)
