"""A comparison of pairs that may be looked at after every pair, and ends when it is settled.

The test is a t test with a Gaussian mixture over the effect size, the true difference in standard deviations
(Lai, Annals of Statistics 4, 1976, has the flat mixture; Wang and Ramdas, arXiv 2310.03722, the Gaussian
one). It assumes that the differences are independent draws from one Gaussian distribution. Then the
probability that the confidence sequence ever misses the true difference is at most `alpha`, however many
pairs are looked at, and whatever makes one stop.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from mnistctl.inference.accuracy import LEVEL
from mnistctl.schema import Schema

_MAX_LOG = 700.0  # of an e-value; a larger one is no finite number
Decision = Literal["differ", "equivalent", "not settled"]


@dataclass(frozen=True, kw_only=True)
class StoppingRule(Schema):
    """When a comparison of pairs is settled.

    Args:
        margin: in points; arms that differ by less are equivalent for the purpose.
        alpha: bound of the probability of a wrong decision.
        scale: standard deviation of the Gaussian mixture over effect sizes.
    """

    margin: Annotated[float, Meta(gt=0, lt=100)]
    alpha: Annotated[float, Meta(ge=1e-6, le=0.5)] = round(1 - LEVEL, 12)
    scale: Annotated[float, Meta(ge=0.01, le=100)] = 1.0

    @property
    def fewest_pairs(self) -> int:
        """The smallest number of pairs with which anything can be settled."""
        n = 1
        while _width_factor(n, self) is None:
            n += 1
        return n


@dataclass(frozen=True)
class Look:
    """What the first `n` pairs say.

    Args:
        n: number of pairs.
        difference: mean of the differences.
        sd: their sample SD; None for one pair.
        interval: confidence sequence of the true difference; None while it is unbounded.
        e_value: evidence against a true difference of 0. It is 1 / alpha or more where the interval leaves
            out 0.
        decision: "differ" if the interval leaves out 0, else "equivalent" if it lies within the margin.
    """

    n: int
    difference: float
    sd: float | None
    interval: tuple[float, float] | None
    e_value: float
    decision: Decision


class SequentialTest:
    """Takes the differences of pairs one by one, in an order that was fixed before, and says what they show.

    Args:
        rule: when the comparison is settled.
        resolution: smallest possible difference of two values, in points. The variance is never taken to be
            below that of the rounding errors of two values. Otherwise a few equal differences would seem to
            be exact.
    """

    def __init__(self, rule: StoppingRule, resolution: float = 0.0) -> None:
        self._rule = rule
        self._floor = resolution**2 / 6  # a rounding error is uniform and has the variance resolution**2 / 12
        self._n, self._mean, self._squares = 0, 0.0, 0.0

    def add(self, difference: float) -> Look:
        """What all pairs show, with one more: its second value minus its first one, in points."""
        self._n += 1
        n, step = self._n, difference - self._mean
        self._mean += step / n  # these are updated as by Welford, Technometrics 4, 1962
        self._squares += step * (difference - self._mean)
        variance = max(self._squares / n, self._floor)
        interval = _interval(n, self._mean, variance, self._rule)
        return Look(
            n=n,
            difference=self._mean,
            sd=math.sqrt(self._squares / (n - 1)) if n > 1 else None,
            interval=interval,
            e_value=_e_value(n, self._mean, variance, self._rule),
            decision=_decide(interval, self._rule),
        )


def settle(differences: Iterable[float], rule: StoppingRule, resolution: float = 0.0) -> Look | None:
    """The first look that settles the comparison, else the last one; None without any pair.

    See `SequentialTest` for the arguments.
    """
    test = SequentialTest(rule, resolution)
    look = None
    for difference in differences:
        look = test.add(difference)
        if look.decision != "not settled":
            break
    return look


def _interval(n: int, mean: float, variance: float, rule: StoppingRule) -> tuple[float, float] | None:
    """The confidence sequence after `n` pairs, from the mean and the variance with divisor n."""
    factor = _width_factor(n, rule)
    if factor is None:
        return None
    half = math.sqrt(variance * factor)
    return mean - half, mean + half


def _width_factor(n: int, rule: StoppingRule) -> float | None:
    """The squared half-width of the confidence sequence for a variance of 1; None where it is unbounded.

    It holds the differences whose e-value is below 1 / alpha: `_e_value`, solved for the mean.
    """
    c2 = 1 / rule.scale**2
    k = ((n + c2) / (c2 * rule.alpha**2)) ** (1 / n)
    rest = n + c2 - k * c2
    return (k - 1) * (n + c2) / rest if rest > 0 else None


def _e_value(n: int, mean: float, variance: float, rule: StoppingRule) -> float:
    """The mixture of the likelihood ratios of effect sizes against 0.

    `sqrt(c²/(n+c²)) ((n+c²) V / ((n+c²) V - S²))^(n/2)` with V the sum of squares, S the sum, and c² the
    precision of the mixture, 1 / scale².
    """
    c2 = 1 / rule.scale**2
    if variance == 0:
        ratio = 1.0 if mean == 0 else (n + c2) / c2
    else:
        squares = variance + mean**2  # V / n
        ratio = (n + c2) * squares / ((n + c2) * variance + c2 * mean**2)
    log_value = (math.log(c2 / (n + c2)) + n * math.log(ratio)) / 2
    return math.exp(min(log_value, _MAX_LOG))


def _decide(interval: tuple[float, float] | None, rule: StoppingRule) -> Decision:
    if interval is None:
        return "not settled"
    low, high = interval
    if low > 0 or high < 0:
        return "differ"
    return "equivalent" if -rule.margin < low and high < rule.margin else "not settled"
