"""What a few numbers allow to be concluded: means, differences, their intervals, the trials they need."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

LEVEL = 0.95  # of every interval; a p-value below its rest counts as a difference
POWER = 0.8
_ROUNDING = 1e-9  # a spread below this is that of rounding
_MAX_EXACT = 14  # pairs, up to which every change of signs is tried
_RESAMPLES = 20_000  # changes of signs, for more pairs
_FAR = 30.0  # standard errors, of which even one degree of freedom shows 98 %: the computed t gives out there
_MAX_TRIALS = 1_000_000  # trials, beyond which nobody will go


@dataclass(frozen=True)
class Summary:
    """`n` values: their mean, sample SD, extremes and median, and the t interval of the mean."""

    n: int
    mean: float
    sd: float | None  # None for a single value
    least: float
    median: float
    most: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Difference:
    """By how much the second of two columns is above the first, and how sure that is.

    `interval`, `t`, `df` and `p` are None where there is no spread to judge by. `needed` is the number of
    trials (pairs of them, if paired; in each column, else) that show a difference as large as this one at
    80 % power; `detectable` the least one that as many trials as there are show at that power.
    """

    method: Literal["paired", "welch", "single"]
    n: tuple[int, int]
    difference: float
    sd: float | None  # of the pairs' differences, if paired
    interval: tuple[float, float] | None
    t: float | None
    df: float | None
    p: float | None
    permutation_p: float | None  # paired only
    needed: int | None
    detectable: float | None

    @property
    def settled(self) -> bool:
        """Whether the p-value counts as a difference."""
        return self.p is not None and self.p < 1 - LEVEL + _ROUNDING


def summarize(values: Sequence[float]) -> Summary:
    """The values in a few numbers; the interval is Student's, `mean -+ t sd / sqrt(n)`, n - 1 degrees."""
    n, mean = len(values), math.fsum(values) / len(values)
    sd = _sd(values) if n > 1 else None
    interval = None if sd is None else _around(mean, sd / math.sqrt(n), n - 1)
    return Summary(n, mean, sd, min(values), statistics.median(values), max(values), interval)


def paired(first: Sequence[float], second: Sequence[float]) -> Difference:
    """The second column less the first, each pair of one seed: Student's paired t, and a permutation test.

    The permutation test changes the signs of the differences (Fisher, The Design of Experiments, section 21).
    """
    differences = [b - a for a, b in zip(first, second, strict=True)]
    n, mean = len(differences), math.fsum(differences) / len(differences)
    sd = _sd(differences) if n > 1 else None
    tested = _test(mean, None if sd is None else sd / math.sqrt(n), n - 1)
    spread = sd

    def scale(count: int) -> tuple[float, float]:
        return (spread or 0) / math.sqrt(count), count - 1

    return Difference(
        "paired",
        (n, n),
        mean,
        sd,
        *tested,
        permutation_p=permutation_p(differences) if n > 1 else None,
        needed=required_trials(mean, scale) if sd else None,
        detectable=minimum_detectable_effect(*scale(n)) if sd else None,
    )


def welch(first: Sequence[float], second: Sequence[float]) -> Difference:
    """The second column less the first, of unrelated runs: Welch's t (Biometrika 34, 1947)."""
    sizes = len(first), len(second)
    mean = math.fsum(second) / sizes[1] - math.fsum(first) / sizes[0]
    if min(sizes) < 2:
        return Difference("welch", sizes, mean, None, *_test(mean, None, 0), None, None, None)
    variances = _sd(first) ** 2, _sd(second) ** 2

    def scale(*counts: int) -> tuple[float, float]:
        shares = [variance / count for variance, count in zip(variances, counts, strict=True)]
        total = sum(shares)
        if not total:
            return 0.0, 0.0
        rest = sum(share**2 / (count - 1) for share, count in zip(shares, counts, strict=True))
        return math.sqrt(total), total**2 / rest

    error, df = scale(*sizes)
    return Difference(
        "welch",
        sizes,
        mean,
        None,
        *_test(mean, error, df),
        permutation_p=None,
        needed=required_trials(mean, lambda count: scale(count, count)) if error else None,
        detectable=minimum_detectable_effect(error, df) if error else None,
    )


def one_sample(one: float, values: Sequence[float]) -> Difference:
    """The mean of the values less a single run of something else, taken to spread as the values do.

    With one run its own spread is not known: `t = (mean - one) / (sd sqrt(1 + 1/n))`, n - 1 degrees, which
    asks whether it could be one more of the values. No number of ours makes up for the one.
    """
    told = summarize(values)
    mean, df = told.mean - one, told.n - 1
    error = None if told.sd is None else told.sd * math.sqrt(1 + 1 / told.n)
    detectable = minimum_detectable_effect(error, df) if error else None
    return Difference("single", (1, told.n), mean, told.sd, *_test(mean, error, df), None, None, detectable)


def permutation_p(differences: Sequence[float]) -> float:
    """How often a sum as far from zero as theirs comes up when each difference's sign is left to chance."""
    import numpy as np

    values = np.array(differences, dtype=np.float64)
    n, seen = len(values), abs(values.sum()) - _ROUNDING
    if n <= _MAX_EXACT:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float(np.mean(np.abs(signs @ values) >= seen))
    signs = np.random.default_rng(0).integers(0, 2, (_RESAMPLES, n), dtype=np.int8) * 2 - 1
    return float((1 + np.sum(np.abs(signs @ values) >= seen)) / (1 + _RESAMPLES))


def mcnemar(only_first: int, only_second: int) -> float:
    """How often two that err alike differ as far as this, of what only the one or only the other misread.

    Two-sided and exact: either takes each of these with a chance of a half (McNemar, Psychometrika 12, 1947,
    in the binomial form, which is right for few and for many).
    """
    from scipy import special

    both = only_first + only_second
    return min(1.0, 2 * float(special.bdtr(min(only_first, only_second), both, 0.5)))


def holm(p: Sequence[float | None]) -> list[float | None]:
    """The p-values of several comparisons, each beside the others (Holm, Scand. J. Stat. 6, 1979)."""
    order = sorted((value, place) for place, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    highest = 0.0
    for rank, (value, place) in enumerate(order):
        highest = max(highest, min(1.0, value * (len(order) - rank)))
        adjusted[place] = highest
    return adjusted


def power(shift: float, df: float) -> float:
    """The chance that a two-sided t test shows a difference of `shift` standard errors: noncentral t."""
    from scipy import special

    if shift > _FAR:
        return 1.0
    critical = float(special.stdtrit(df, (1 + LEVEL) / 2))
    above = 1 - float(special.nctdtr(df, shift, critical))
    below = float(special.nctdtr(df, shift, -critical))
    return above + below


def required_trials(difference: float, scale: Callable[[int], tuple[float, float]]) -> int | None:
    """The least number of trials that shows a true `difference` at 80 % power; None where no million does.

    `scale` gives the standard error and degrees of freedom that a number of trials has.
    """
    size = abs(difference)

    def enough(count: int) -> bool:
        error, df = scale(count)
        return power(size / error, df) >= POWER

    if size < _ROUNDING:
        return None
    high = 2
    while not enough(high):
        if high >= _MAX_TRIALS:
            return None
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def minimum_detectable_effect(error: float, df: float) -> float:
    """The least true difference that a standard error and its degrees of freedom show at 80 % power."""
    low, high = 0.0, 1.0
    while power(high, df) < POWER:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, df) >= POWER else (middle, high)
    return high * error


def _test(
    mean: float, error: float | None, df: float
) -> tuple[tuple[float, float] | None, float | None, float | None, float | None]:
    """Interval, t, degrees of freedom and two-sided p; None each where there is no error to judge by."""
    if not error:
        return None, None, None, None
    from scipy import special

    t = mean / error
    return _around(mean, error, df), t, df, 2 * float(special.stdtr(df, -abs(t)))


def _around(mean: float, error: float, df: float) -> tuple[float, float]:
    from scipy import special

    half = float(special.stdtrit(df, (1 + LEVEL) / 2)) * error
    return mean - half, mean + half


def _sd(values: Sequence[float]) -> float:
    sd = statistics.stdev(values)
    return sd if sd > _ROUNDING else 0.0
