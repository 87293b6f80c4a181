"""Learning rate schedules: callables that give one rate per epoch for a peak and a number of epochs."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Schedule = Callable[[float, int], tuple[float, ...]]  # (peak learning rate, epochs) to one rate per epoch

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


SCHEDULES = {"constant": Constant, "cosine": Cosine, "cycle": Cycle}


def hold_after(rates: tuple[float, ...], epoch: int) -> tuple[float, ...]:
    """`rates` up to `epoch`, counted from 1, whose rate is held in all later epochs."""
    return rates[:epoch] + rates[epoch - 1 : epoch] * (len(rates) - epoch)


def wrong_rates(rates: Any, epochs: int) -> str:
    """What is wrong with the learning rates that a schedule gives for so many epochs; empty if nothing is."""
    if len(rates) != epochs:
        return f"{len(rates)} learning rates for {epochs} epochs"
    if not all(isinstance(rate, int | float) and 0 <= rate <= MAX_RATE for rate in rates):
        return f"a learning rate that is not a number from 0 to {MAX_RATE:g}"
    return ""
