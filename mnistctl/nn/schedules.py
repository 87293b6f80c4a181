"""Learning rate schedules: callables that give one rate per epoch for a peak and a number of epochs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[float, int], tuple[float, ...]]  # (peak learning rate, epochs) to one rate per epoch


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


SCHEDULES = {"constant": Constant, "cosine": Cosine, "cycle": Cycle}


def hold_after(rates: tuple[float, ...], epoch: int) -> tuple[float, ...]:
    """`rates` up to `epoch`, counted from 1, whose rate is held in all later epochs."""
    return rates[:epoch] + rates[epoch - 1 : epoch] * (len(rates) - epoch)
