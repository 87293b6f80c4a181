"""Means, differences, confidence intervals, p-values, and the number of trials that a difference needs.

The tests are scipy's. This module chooses them, handles samples without variance and adds power analysis.
"""

import math
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from mnistctl.inference.accuracy import LEVEL

POWER = 0.8
ROUNDING = 1e-9  # standard deviations and differences below this are rounding errors
_DECIMALS = 9  # sums of differences are rounded to these, so that the permutation test sees ties
_RESAMPLES = 20_000  # sign changes in a permutation test; all 2^n of them up to 14 pairs
_LARGE_SHIFT = 1000.0  # standard errors; the power is 1 beyond it
_MAX_TRIALS = 1_000_000  # no larger number of trials is searched for


@dataclass(frozen=True)
class Summary:
    """Describes a sample: `interval` is the 95 % t interval of the mean; `sd` is the sample SD.

    Both are None for a single value. Equal values have an SD of 0 and no interval.
    """

    n: int
    mean: float
    sd: float | None
    min: float
    median: float
    max: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Difference:
    """The mean of a second sample minus the mean of a first one, with its test.

    Args:
        method: "paired" (by seed), "welch" (independent samples), or "one_sample" (the first is one value).
        n: sizes of the two samples.
        difference: second mean minus first mean.
        sd: sample SD of the paired differences; for "one_sample", of the second sample.
        interval: 95 % confidence interval of the difference.
        t, df, p: t statistic, degrees of freedom and two-sided p-value.
        permutation_p: p-value of the sign-flip permutation test; only for pairs.
        required_trials: number of trials (pairs, or trials of each sample) that detect a true difference
            of this size with 80 % power; None if more than a million.
        minimum_detectable_effect: smallest true difference that this many trials detect with 80 % power.

    Where the samples have no variance to test against, the interval and all after it are None, except for
    `permutation_p`.
    """

    method: Literal["paired", "welch", "one_sample"]
    n: tuple[int, int]
    difference: float
    sd: float | None = None
    interval: tuple[float, float] | None = None
    t: float | None = None
    df: float | None = None
    p: float | None = None
    permutation_p: float | None = None
    required_trials: int | None = None
    minimum_detectable_effect: float | None = None

    @property
    def significant(self) -> bool:
        """Whether the p-value is below 0.05."""
        return self.p is not None and self.p < 1 - LEVEL + ROUNDING


StandardError = Callable[[int], tuple[float, float]]  # number of trials -> standard error, degrees of freedom


def summarize(values: Sequence[float]) -> Summary:
    """Mean, SD, extremes, median and the t interval of the mean."""
    n, mean = len(values), math.fsum(values) / len(values)
    sd = _sd(values) if n > 1 else None
    interval = None
    if sd:
        from scipy import stats

        low, high = stats.ttest_1samp(values, 0.0).confidence_interval(LEVEL)
        interval = float(low), float(high)
    return Summary(n, mean, sd, min(values), statistics.median(values), max(values), interval)


def paired(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Compare two samples of the same seeds: Student's paired t test and a permutation test.

    The permutation test flips the signs of the differences (Fisher, The Design of Experiments, section 21).
    """
    differences = [b - a for a, b in zip(first, second, strict=True)]
    n, mean = len(differences), math.fsum(differences) / len(differences)
    if n < 2:
        return Difference("paired", (n, n), mean)
    sd = _sd(differences)
    result = Difference("paired", (n, n), mean, sd, permutation_p=permutation_p(differences))
    if not sd:
        return result
    from scipy import stats

    def standard_error(count: int) -> tuple[float, float]:
        return sd / math.sqrt(count), count - 1

    return replace(
        _with_test(result, stats.ttest_rel(second, first)),
        required_trials=required_trials(mean, standard_error),
        minimum_detectable_effect=minimum_detectable_effect(*standard_error(n)),
    )


def welch(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Compare two independent samples: Welch's t test (Biometrika 34, 1947)."""
    sizes = len(first), len(second)
    mean = math.fsum(second) / sizes[1] - math.fsum(first) / sizes[0]
    result = Difference("welch", sizes, mean)
    if min(sizes) < 2:
        return result
    variances = _sd(first) ** 2, _sd(second) ** 2
    if not any(variances):
        return result
    from scipy import stats

    def standard_error(*counts: int) -> tuple[float, float]:
        shares = [variance / count for variance, count in zip(variances, counts, strict=True)]
        satterthwaite = sum(share**2 / (count - 1) for share, count in zip(shares, counts, strict=True))
        return math.sqrt(sum(shares)), sum(shares) ** 2 / satterthwaite

    with _constant_sample_allowed():
        test = stats.ttest_ind(second, first, equal_var=False)
        result = _with_test(result, test)
    return replace(
        result,
        required_trials=required_trials(mean, lambda count: standard_error(count, count)),
        minimum_detectable_effect=minimum_detectable_effect(*standard_error(*sizes)),
    )


def one_sample(value: float, sample: Sequence[float]) -> Difference:
    """Compare a sample with a single value, assumed to come from a distribution of the same variance.

    The test is the pooled two-sample t test with a first sample of one:
    `t = (mean - value) / (sd sqrt(1 + 1/n))` with n - 1 degrees of freedom. More trials cannot make up for
    the single value, so there is no required number.
    """
    summary = summarize(sample)
    result = Difference("one_sample", (1, summary.n), summary.mean - value, summary.sd)
    if not summary.sd:
        return result
    from scipy import stats

    test = stats.ttest_ind(sample, [value], equal_var=True)
    error = summary.sd * math.sqrt(1 + 1 / summary.n)
    return replace(
        _with_test(result, test), minimum_detectable_effect=minimum_detectable_effect(error, summary.n - 1)
    )


def permutation_p(differences: Sequence[float]) -> float:
    """The p-value of the sign-flip permutation test.

    It is exact up to 14 pairs. For more it draws 20,000 random sign changes, always the same ones.
    """
    import numpy as np
    from scipy import stats

    def total(values: Any, axis: int = -1) -> Any:
        return np.abs(np.round(np.sum(values, axis=axis), _DECIMALS))

    test = stats.permutation_test(
        (np.array(differences, dtype=np.float64),),
        total,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        alternative="greater",
        random_state=np.random.default_rng(0),
    )
    return float(test.pvalue)


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided exact p-value that two classifiers have the same error rate.

    Args:
        only_first, only_second: images that only the first and only the second classifier gets wrong.

    McNemar, Psychometrika 12, 1947, in its binomial form.
    """
    from scipy import stats

    both = only_first + only_second
    return float(stats.binomtest(only_first, both, 0.5).pvalue) if both else 1.0


def holm(p: Sequence[float | None]) -> list[float | None]:
    """The p-values of several comparisons, adjusted by Holm's method (Scand. J. Stat. 6, 1979)."""
    order = sorted((value, index) for index, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    highest = 0.0
    for rank, (value, index) in enumerate(order):
        highest = max(highest, min(1.0, value * (len(order) - rank)))
        adjusted[index] = highest
    return adjusted


def power(shift: float, df: float) -> float:
    """The probability that a two-sided t test detects a true difference of `shift` standard errors.

    The square of noncentral t has the noncentral F distribution with 1 and `df` degrees of freedom. scipy's
    noncentral t is not a number for some shifts and few degrees of freedom; its noncentral F is exact there.

    Args:
        shift: the true difference in standard errors.
        df: degrees of freedom, 1 or more.
    """
    from scipy import special

    if shift > _LARGE_SHIFT:
        return 1.0
    critical = float(special.stdtrit(df, (1 + LEVEL) / 2))
    return 1 - float(special.ncfdtr(1, df, shift**2, critical**2))


def required_trials(difference: float, standard_error: StandardError) -> int | None:
    """The smallest number of trials that detects a true `difference` with 80 % power.

    Args:
        difference: the true difference.
        standard_error: maps a number of trials to the standard error and its degrees of freedom.

    Returns:
        None if a million trials are not enough.
    """
    size = abs(difference)

    def enough(count: int) -> bool:
        error, df = standard_error(count)
        return power(size / error, df) >= POWER

    if size < ROUNDING:
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
    """The smallest true difference that is detected with 80 % power.

    Args:
        error: standard error of the difference.
        df: its degrees of freedom.
    """
    low, high = 0.0, 1.0
    while power(high, df) < POWER:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, df) >= POWER else (middle, high)
    return high * error


def _with_test(result: Difference, test: Any) -> Difference:
    """`result` with the interval, t, degrees of freedom and p-value of scipy's `TtestResult`."""
    low, high = test.confidence_interval(LEVEL)
    return replace(
        result,
        interval=(float(low), float(high)),
        t=float(test.statistic),
        df=float(test.df),
        p=float(test.pvalue),
    )


@contextmanager
def _constant_sample_allowed() -> Iterator[None]:
    """Silence scipy's warning about a sample without variance: the other sample of the test has some."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _sd(values: Sequence[float]) -> float:
    sd = statistics.stdev(values)
    return sd if sd > ROUNDING else 0.0
