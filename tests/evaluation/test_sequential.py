"""Comparisons that are checked after every pair: the formula, the decisions, and the order of the pairs."""

import math
import random

import numpy as np
import pytest
from scipy import integrate, stats

from mnistctl.evaluation.sequential import SequentialTest, StoppingRule, settle

RULE = StoppingRule(margin=0.05)
PAIRS = [0.03, -0.01, 0.02, 0.05, 0.01, 0.04, 0.02, 0.0, 0.03, 0.06]
# savvi.linear_regression.log_bf(t2, nu=n - 1, phi=1, z2=n) of savvi 0.3.1, t2 = n mean² / sd², after each
# of the pairs from the second on. It is not installed for the tests, because it brings 11 other packages,
# most of them solvers; `python bench/sequential.py --savvi` compares with it. ville 0.1.0 has no t test.
SAVVI = [
    -0.40620530069338145,
    -0.1884388256281262,
    0.2688832641214526,
    0.4516115172176898,
    1.1064864671521786,
    1.6277694113242205,
    1.471767316920346,
    2.181559764219678,
    2.6959454456494463,
]


def add_all(differences, rule=RULE, resolution=0.0):
    test = SequentialTest(rule, resolution)
    return [test.add(difference) for difference in differences]


def test_e_values_are_those_of_another_package():
    found = [math.log(look.e_value) for look in add_all(PAIRS)]
    assert found[0] == pytest.approx(0)
    assert found[1:] == pytest.approx(SAVVI, rel=1e-12)


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_e_value_is_the_average_of_likelihood_ratios_over_effect_sizes_with_this_sd(scale):
    rule = StoppingRule(margin=0.05, scale=scale)
    effects = np.linspace(-8 * scale, 8 * scale, 1001)
    weights = stats.norm.pdf(effects, scale=scale)
    looks = add_all(PAIRS, rule)
    for look in looks[1], looks[4], looks[9]:
        n, t = look.n, look.difference / look.sd * math.sqrt(look.n)
        ratios = stats.nct.pdf(t, n - 1, effects * math.sqrt(n)) / stats.t.pdf(t, n - 1)
        assert look.e_value == pytest.approx(integrate.simpson(ratios * weights, x=effects), rel=1e-6)


@pytest.mark.parametrize(("alpha", "scale"), [(0.05, 1.0), (0.01, 1.0), (0.05, 0.5), (0.2, 2.5)])
def test_interval_holds_the_differences_with_an_e_value_below_the_bound(alpha, scale):
    rule = StoppingRule(margin=0.05, alpha=alpha, scale=scale)
    bounded = [look for look in add_all(PAIRS, rule) if look.interval is not None]
    assert bounded
    for look in bounded:
        for end in look.interval:
            shifted = add_all([value - end for value in PAIRS[: look.n]], rule)[-1]
            assert shifted.e_value == pytest.approx(1 / alpha, rel=1e-9)


def test_mean_and_sd_are_those_of_the_pairs_so_far():
    for look in add_all(PAIRS):
        values = PAIRS[: look.n]
        assert look.difference == pytest.approx(sum(values) / look.n)
        if look.n > 1:
            squares = sum((value - look.difference) ** 2 for value in values)
            assert look.sd == pytest.approx(math.sqrt(squares / (look.n - 1)))


def test_nothing_is_settled_before_the_fifth_pair():
    assert RULE.fewest_pairs == 5
    for differences in ([1.0] * 5, [0.0] * 5, [100.0, -100.0] * 3):
        assert [look.interval for look in add_all(differences)[:4]] == [None] * 4
    looks = add_all([1.0, 1.001, 0.999, 1.0, 1.001])
    assert [look.decision for look in looks] == [*["not settled"] * 4, "differ"]


def test_large_difference_is_settled_at_once_and_a_small_one_within_the_margin():
    draws = random.Random(3)
    noise = [draws.gauss(0, 0.03) for _ in range(200)]
    differ = settle([0.2 + value for value in noise], RULE)
    assert (differ.decision, differ.n < 10) == ("differ", True)
    equivalent = settle([0.001 + value for value in noise], RULE)
    assert (equivalent.decision, equivalent.interval[0] < 0 < equivalent.interval[1]) == ("equivalent", True)
    assert max(map(abs, equivalent.interval)) < RULE.margin
    undecided = settle([0.04 + value for value in noise[:6]], RULE)
    assert (undecided.decision, undecided.n) == ("not settled", 6)
    assert settle([], RULE) is None


def test_settling_stops_at_the_first_pair_that_decides():
    differences = [0.2, 0.21, 0.19, 0.2, 0.21, 0.2]
    look = settle([*differences, *[-5.0] * 20], RULE)
    assert (look.decision, look.n) == ("differ", 5)


def test_overwhelming_evidence_is_a_finite_number():
    looks = add_all([1.0 + 1e-9 * (number % 3) for number in range(400)])
    assert looks[-1].e_value > 1e300
    assert math.isfinite(looks[-1].e_value)
    assert add_all([0.0, 0.0])[-1].e_value < 1 < add_all([1.0, 1.0])[-1].e_value  # without any variance


def test_equal_differences_have_the_variance_of_their_rounding():
    exact, rounded = add_all([0.01] * 8), add_all([0.01] * 8, resolution=0.01)
    assert exact[-1].interval == pytest.approx((0.01, 0.01))
    low, high = rounded[-1].interval
    assert high - low > 0.01
    assert (exact[4].decision, rounded[4].decision) == ("differ", "equivalent")
    assert rounded[-1].sd == pytest.approx(0, abs=1e-12)
    spread = add_all(PAIRS, resolution=0.01)  # whose own variance is larger
    assert [look.interval for look in spread] == [look.interval for look in add_all(PAIRS)]


def test_false_differences_are_at_most_as_frequent_as_the_rule_allows():
    """300 comparisons without a difference, each checked after every of 100 pairs; records/ has 2,000."""
    draws = random.Random(5)
    rule = StoppingRule(margin=1e-6)
    settled = [settle((draws.gauss(0, 1) for _ in range(100)), rule).decision for _ in range(300)]
    assert 0 < settled.count("differ") <= 0.05 * 300 + 2 * math.sqrt(0.05 * 0.95 * 300)


@pytest.mark.parametrize("margin", [0.0, -1.0, 100.0])
def test_rule_of_a_file_needs_a_margin_between_0_and_100(margin):
    with pytest.raises(ValueError, match="margin"):
        StoppingRule.from_json({"margin": margin})
