"""Rates as tuples: a peak and a number of epochs in, one rate per epoch out."""

import math
from collections.abc import Callable

Schedule = Callable[[float, int], tuple[float, ...]]


def constant(peak: float, epochs: int) -> tuple[float, ...]:
    """The peak in every epoch."""
    return (peak,) * epochs


def cosine(floor: float = 0.0) -> Schedule:
    """Half a cosine from the peak towards zero, never below `floor` (nor above the peak).

    Epoch e of n, counted from 1, has `peak (1 + cos(pi (e-1) / n)) / 2` (Loshchilov and Hutter,
    SGDR, arXiv 1608.03983, equation 5, without restarts).
    """

    def rates(peak: float, epochs: int) -> tuple[float, ...]:
        lowest = min(floor, peak)
        return tuple(max(lowest, peak * (1 + math.cos(math.pi * e / epochs)) / 2) for e in range(epochs))

    return rates


def cycle(*shares: float) -> Schedule:
    """These shares of the peak, an epoch each, over and over."""

    def rates(peak: float, epochs: int) -> tuple[float, ...]:
        return tuple(peak * shares[e % len(shares)] for e in range(epochs))

    return rates


def hold_after(rates: tuple[float, ...], first: int) -> tuple[float, ...]:
    """`rates` up to epoch `first`, counted from 1, whose rate then stays."""
    return rates[:first] + rates[first - 1 : first] * (len(rates) - first)
