"""The statistics against published figures, scipy's own, and the cases in which there is little to say."""

import math
import random

import pytest
from scipy import stats

from mnistctl.evaluation import statistics
from mnistctl.models.published import load_published
from mnistctl.trials.conclusions import conclusion

THEIRS = load_published("ktorch")["models"]
CONV, SWA, LAST = (
    THEIRS["conv"]["accuracies"],
    THEIRS["swa"]["accuracies"],
    THEIRS["swa"]["last_iterate"],
)


def test_the_published_lists_give_the_published_means_and_spreads():
    conv, swa, last = (statistics.summarize(values) for values in (CONV, SWA, LAST))
    assert (round(conv.mean, 4), round(conv.sd, 4), conv.n) == (99.5851, 0.0374, 100)
    assert (round(swa.mean, 4), round(swa.sd, 4), swa.n) == (99.5919, 0.0334, 100)
    assert (conv.least, conv.most, swa.least, swa.most) == (99.45, 99.71, 99.51, 99.68)
    assert (round(last.mean, 3), round(last.sd, 3)) == (99.566, 0.039)


def test_the_published_difference_is_not_settled_by_a_hundred_runs_each():
    found = statistics.welch(CONV, SWA)
    assert (round(found.t, 2), round(found.p, 2)) == (1.36, 0.18)
    assert not found.settled
    assert found.interval[0] < 0 < found.interval[1]
    assert found.needed == 428


def test_averaging_beside_its_own_last_epoch_is_settled():
    found = statistics.paired(LAST, SWA)
    assert (round(found.t, 1), found.df) == (7.2, 99)
    assert found.settled
    assert found.permutation_p < 0.001


def draws(seed, n, mean=99.5, sd=0.04):
    rng = random.Random(seed)
    return [round(rng.gauss(mean, sd), 2) for _ in range(n)]


@pytest.mark.parametrize(("seed", "n", "m"), [(0, 2, 2), (1, 5, 9), (2, 40, 3), (3, 100, 100)])
def test_the_tests_are_those_of_scipy(seed, n, m):
    first, second = draws(seed, n), draws(seed + 50, m, 99.52)
    found, theirs = statistics.welch(first, second), stats.ttest_ind(second, first, equal_var=False)
    assert (found.t, found.p, found.df) == pytest.approx((theirs.statistic, theirs.pvalue, theirs.df))
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval()))
    second = draws(seed + 50, n, 99.52)
    found, theirs = statistics.paired(first, second), stats.ttest_rel(second, first)
    assert (found.t, found.p, found.df) == pytest.approx((theirs.statistic, theirs.pvalue, theirs.df))
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval()))
    told, around = statistics.summarize(first), stats.t.interval(0.95, n - 1, *_mean_and_error(first))
    assert told.interval == pytest.approx(around)


def _mean_and_error(values):
    return sum(values) / len(values), stats.sem(values)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = random.Random(5)
    hits = 0
    for _ in range(1000):
        low, high = statistics.summarize([rng.gauss(0, 1) for _ in range(6)]).interval
        hits += low < 0 < high
    assert 930 <= hits <= 970


@pytest.mark.parametrize("n", [5, 12])
def test_the_permutation_test_is_that_of_scipy(n):
    hundredths = [round(100 * (b - a)) for a, b in zip(draws(1, n), draws(2, n, 99.52), strict=True)]
    theirs = stats.permutation_test(
        (hundredths,), lambda x: sum(x), permutation_type="samples", n_resamples=10_000
    )  # all of them; in whole numbers, in which it sees each tie
    assert statistics.permutation_p([d / 100 for d in hundredths]) == pytest.approx(theirs.pvalue)


def test_the_permutation_test_of_many_pairs_is_near_the_t_test():
    first, second = draws(1, 60), draws(2, 60, 99.51)
    found = statistics.paired(first, second)
    assert found.permutation_p == pytest.approx(found.p, abs=0.02)
    assert found == statistics.paired(first, second)


def test_the_power_is_what_simulation_gives():
    rng = random.Random(3)
    difference, sd, n = 0.03, 0.04, 16
    critical = stats.t.ppf(0.975, n - 1)
    found = 0
    for _ in range(2000):
        values = [rng.gauss(difference, sd) for _ in range(n)]
        mean, error = _mean_and_error(values)
        found += abs(mean / error) > critical
    assert statistics.power(difference / sd * math.sqrt(n), n - 1) == pytest.approx(found / 2000, abs=0.03)


def test_the_trials_needed_are_the_fewest_and_the_least_difference_is_their_inverse():
    def scale(count):
        return 0.04 / math.sqrt(count), count - 1

    needed = statistics.required_trials(0.02, scale)
    error, df = scale(needed)
    assert statistics.power(0.02 / error, df) >= 0.8 > statistics.power(0.02 / scale(needed - 1)[0], df - 1)
    assert needed == 34  # tables of the paired t test: effect 0.5, two-sided 5 %, 80 % power
    assert statistics.minimum_detectable_effect(error, df) == pytest.approx(0.02, rel=0.02)
    assert statistics.required_trials(1e-12, scale) is None
    assert statistics.required_trials(1e-6, scale) is None
    assert statistics.required_trials(50, scale) == 2


def test_holm_is_that_of_the_paper():
    assert statistics.holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])


# Where there is little to say


def test_one_run_has_a_mean_and_nothing_else():
    told = statistics.summarize([99.5])
    assert (told.mean, told.sd, told.interval) == (99.5, None, None)
    for found in (statistics.paired([99.5], [99.6]), statistics.welch([99.5], [99.6, 99.7])):
        assert (found.interval, found.p, found.needed, found.detectable) == (None, None, None, None)
        assert "give -n 2 or more" in conclusion(found, "a", "b", None)


def test_runs_without_any_spread_give_no_number_that_is_none():
    told = statistics.summarize([99.57, 99.57, 99.57])
    assert (told.sd, told.interval) == (0.0, (told.mean, told.mean))
    alike = statistics.paired([99.5, 99.6], [99.5, 99.6])
    assert (alike.difference, alike.p, alike.permutation_p) == (0.0, None, 1.0)
    assert "alike in all of 2 pairs" in conclusion(alike, "a", "b", None)
    constant = statistics.paired([99.5, 99.6, 99.55], [99.51, 99.61, 99.56])
    assert (constant.p, constant.permutation_p) == (None, 0.25)
    assert "0.0100 points above a in each of 3 pairs" in conclusion(constant, "a", "b", None)
    apart = statistics.welch([99.5, 99.5], [99.6, 99.6])
    assert apart.p is None
    assert "no t test can weigh" in conclusion(apart, "a", "b", None)
    one_sided = statistics.welch([99.5, 99.5], [99.6, 99.7])
    assert one_sided.df == pytest.approx(1)
    assert 0 < one_sided.p < 1


def test_the_sentence_says_what_is_settled_and_what_would_settle_it():
    assert conclusion(statistics.paired(LAST, SWA), "last", "swa", 1e-10).startswith(
        "swa is 0.0263 points above last (95 % interval +0.0191 to +0.0335, p < 0.0001)"
    )
    open_ = statistics.welch(CONV, SWA)
    told = conclusion(open_, "conv", "swa", open_.p)
    assert told.startswith("100 runs beside 100 do not tell swa from conv")
    assert "428 trials of each would settle it at 80 % power" in told
    assert "would show 0.0141 or more" in told


def test_nets_that_misread_the_same_digits_are_not_told_apart_and_the_order_does_not_matter():
    assert statistics.mcnemar(0, 0) == statistics.mcnemar(3, 3) == 1
    assert statistics.mcnemar(0, 6) == statistics.mcnemar(6, 0) == pytest.approx(2 / 2**6)
    assert 0 < statistics.mcnemar(900, 100) < 1e-100
