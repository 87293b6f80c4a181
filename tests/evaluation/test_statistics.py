"""The statistics against published figures, scipy, and samples with little to test."""

import math
import random
import warnings

import numpy as np
import pytest
from scipy import integrate, special, stats

from mnistctl.evaluation import statistics
from mnistctl.models.published import load_published

MODELS = load_published("ktorch").models
CONV, SWA, LAST = MODELS["conv"].accuracies, MODELS["swa"].accuracies, MODELS["swa"].last_iterate


def test_published_accuracies_have_the_published_means_and_sds():
    conv, swa, last = (statistics.summarize(values) for values in (CONV, SWA, LAST))
    assert (round(conv.mean, 4), round(conv.sd, 4), conv.n) == (99.5851, 0.0374, 100)
    assert (round(swa.mean, 4), round(swa.sd, 4), swa.n) == (99.5919, 0.0334, 100)
    assert (conv.min, conv.max, swa.min, swa.max) == (99.45, 99.71, 99.51, 99.68)
    assert (round(last.mean, 3), round(last.sd, 3)) == (99.566, 0.039)


def test_published_difference_is_not_significant_with_a_hundred_runs_each():
    difference = statistics.welch(CONV, SWA)
    assert (round(difference.t, 2), round(difference.p, 2)) == (1.36, 0.18)
    assert not difference.significant
    assert difference.interval[0] < 0 < difference.interval[1]
    assert difference.required_trials == 428


def test_averaging_is_significantly_better_than_its_own_last_epoch():
    difference = statistics.paired(LAST, SWA)
    assert (round(difference.t, 1), difference.df) == (7.2, 99)
    assert difference.significant
    assert difference.permutation_p < 0.001


def draw_accuracies(seed, n, mean=99.5, sd=0.04):
    rng = random.Random(seed)
    return [round(rng.gauss(mean, sd), 2) for _ in range(n)]


def t_interval(mean, error, df):
    half = stats.t.ppf(0.975, df) * error
    return mean - half, mean + half


def assert_test(difference, mean, error, df):
    """The t statistic, p-value and interval are those of the textbook's formulas."""
    assert (difference.difference, difference.t, difference.df) == pytest.approx((mean, mean / error, df))
    assert difference.p == pytest.approx(2 * stats.t.sf(abs(mean / error), df), rel=1e-9)
    assert difference.interval == pytest.approx(t_interval(mean, error, df))


@pytest.mark.parametrize(("seed", "n", "m"), [(0, 2, 2), (1, 5, 9), (2, 40, 3), (3, 100, 100)])
def test_t_tests_are_those_of_the_textbook(seed, n, m):
    first, second = draw_accuracies(seed, n), draw_accuracies(seed + 50, m, 99.52)
    shares = stats.sem(first) ** 2, stats.sem(second) ** 2
    df = sum(shares) ** 2 / (shares[0] ** 2 / (n - 1) + shares[1] ** 2 / (m - 1))
    mean = sum(second) / m - sum(first) / n
    assert_test(statistics.welch(first, second), mean, math.sqrt(sum(shares)), df)

    second = draw_accuracies(seed + 50, n, 99.52)
    pairs = [b - a for a, b in zip(first, second, strict=True)]
    assert_test(statistics.paired(first, second), sum(pairs) / n, stats.sem(pairs), n - 1)

    mean, error = sum(first) / n, stats.sem(first)
    assert statistics.summarize(first).interval == pytest.approx(t_interval(mean, error, n - 1))
    single = stats.tstd(first) * math.sqrt(1 + 1 / n)
    assert_test(statistics.one_sample(99.4, first), mean - 99.4, single, n - 1)


def test_interval_contains_the_true_mean_as_often_as_it_says():
    rng = random.Random(5)
    hits = 0
    for _ in range(1000):
        low, high = statistics.summarize([rng.gauss(0, 1) for _ in range(6)]).interval
        hits += low < 0 < high
    assert 930 <= hits <= 970


@pytest.mark.parametrize("n", [5, 12])
def test_permutation_test_of_few_pairs_is_exact(n):
    pairs = zip(draw_accuracies(1, n), draw_accuracies(2, n, 99.52), strict=True)
    hundredths = [round(100 * (b - a)) for a, b in pairs]  # integers, so that ties are exact
    sums = [
        sum(value if signs >> index & 1 else -value for index, value in enumerate(hundredths))
        for signs in range(2**n)
    ]
    p = sum(abs(total) >= abs(sum(hundredths)) for total in sums) / 2**n
    assert statistics.permutation_p([value / 100 for value in hundredths]) == pytest.approx(p)


def test_permutation_test_of_many_pairs_is_close_to_the_t_test_and_repeatable():
    first, second = draw_accuracies(1, 60), draw_accuracies(2, 60, 99.51)
    difference = statistics.paired(first, second)
    assert difference.permutation_p == pytest.approx(difference.p, abs=0.02)
    assert difference == statistics.paired(first, second)


def test_power_is_that_of_a_simulation():
    rng = random.Random(3)
    difference, sd, n = 0.03, 0.04, 16
    critical = stats.t.ppf(0.975, n - 1)
    detected = 0
    for _ in range(2000):
        values = [rng.gauss(difference, sd) for _ in range(n)]
        detected += abs(sum(values) / n / stats.sem(values)) > critical
    power = statistics.power(difference / sd * math.sqrt(n), n - 1)
    assert power == pytest.approx(detected / 2000, abs=0.03)


def power_by_integration(shift, df):
    """The power, averaged over the distribution of the estimated standard error, which is that of chi."""
    chi = np.linspace(0, 16, 8_001)
    bound = stats.t.ppf(0.975, df) * chi / math.sqrt(df)
    missed = special.ndtr(bound - shift) - special.ndtr(-bound - shift)
    return 1 - integrate.simpson(missed * stats.chi.pdf(chi, df), x=chi)


@pytest.mark.parametrize("df", range(1, 11))
def test_power_is_that_of_an_integral_for_few_degrees_of_freedom(df):
    for shift in (0, 0.5, 2, 5, 8.5, 10, 12, 16, 20, 25, 30):
        assert statistics.power(shift, df) == pytest.approx(power_by_integration(shift, df), abs=1e-9)


def test_two_pairs_detect_sixteen_standard_errors_and_large_differences_need_few_trials():
    assert power_by_integration(16.334, 1) == pytest.approx(0.8, abs=1e-5)
    assert statistics.minimum_detectable_effect(1.0, 1) == pytest.approx(16.334, abs=1e-3)
    for difference, trials in ((6, 3), (7, 3), (9, 3), (12, 2), (1e12, 2)):
        found = statistics.required_trials(difference, lambda n: (1 / math.sqrt(n), n - 1))
        assert found == trials


def test_required_trials_are_the_fewest_and_the_detectable_effect_is_the_inverse():
    def standard_error(count):
        return 0.04 / math.sqrt(count), count - 1

    required = statistics.required_trials(0.02, standard_error)
    error, df = standard_error(required)
    fewer = statistics.power(0.02 / standard_error(required - 1)[0], df - 1)
    assert statistics.power(0.02 / error, df) >= 0.8 > fewer
    assert required == 34  # tables of the paired t test: effect 0.5, two-sided 5 %, 80 % power
    assert statistics.minimum_detectable_effect(error, df) == pytest.approx(0.02, rel=0.02)
    assert statistics.required_trials(1e-12, standard_error) is None
    assert statistics.required_trials(1e-6, standard_error) is None
    assert statistics.required_trials(50, standard_error) == 2


def test_holm_adjustment_is_that_of_the_paper():
    assert statistics.holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])


def test_mcnemar_is_symmetric_and_exact():
    assert statistics.mcnemar(0, 0) == statistics.mcnemar(3, 3) == 1
    assert statistics.mcnemar(0, 6) == statistics.mcnemar(6, 0) == pytest.approx(2 / 2**6)
    assert 0 < statistics.mcnemar(900, 100) < 1e-100


def test_single_value_has_a_mean_and_nothing_else():
    summary = statistics.summarize([99.5])
    assert (summary.mean, summary.sd, summary.interval) == (99.5, None, None)
    for difference in (
        statistics.paired([99.5], [99.6]),
        statistics.welch([99.5], [99.6, 99.7]),
        statistics.one_sample(99.5, [99.6]),
    ):
        assert (difference.interval, difference.p) == (None, None)
        assert (difference.required_trials, difference.minimum_detectable_effect) == (None, None)


def test_samples_without_variance_give_no_invalid_numbers():
    summary = statistics.summarize([99.57, 99.57, 99.57])
    assert (summary.sd, summary.interval) == (0.0, None)
    equal = statistics.paired([99.5, 99.6], [99.5, 99.6])
    assert (equal.difference, equal.p, equal.permutation_p) == (0.0, None, 1.0)
    constant = statistics.paired([99.5, 99.6, 99.55], [99.51, 99.61, 99.56])
    assert (constant.p, constant.permutation_p) == (None, 0.25)
    assert statistics.welch([99.5, 99.5], [99.6, 99.6]).p is None
    assert statistics.one_sample(99.4, [99.5, 99.5]).p is None


def test_one_sample_without_variance_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        difference = statistics.welch([99.5, 99.5], [99.6, 99.7])
    assert difference.df == pytest.approx(1)
    assert 0 < difference.p < 1
