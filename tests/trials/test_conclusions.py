"""The sentences say what is significant, and what it would take to detect a difference."""

import pytest

from mnistctl.evaluation import statistics
from mnistctl.models.published import load_published
from mnistctl.trials.conclusions import conclusion

MODELS = load_published("ktorch").models
CONV, SWA, LAST = MODELS["conv"].accuracies, MODELS["swa"].accuracies, MODELS["swa"].last_iterate


def test_significant_difference_is_stated_with_its_interval():
    assert conclusion(statistics.paired(LAST, SWA), "last", "swa", 1e-10) == (
        "swa is 0.0263 points above last (95 % interval +0.0191 to +0.0335, p < 0.0001)"
    )


def test_insignificant_difference_is_stated_with_the_required_trials():
    difference = statistics.welch(CONV, SWA)
    assert conclusion(difference, "conv", "swa", difference.p) == (
        "No significant difference between swa and conv (100 runs compared with 100, "
        "95 % interval -0.0031 to +0.0167, p = 0.18). Detecting 0.0068 points at 80 % power would take "
        "428 trials of each; these runs detect 0.0141 points"
    )


def test_difference_that_is_only_significant_alone_is_called_so():
    difference = statistics.paired([99.5, 99.6, 99.4, 99.5], [99.6, 99.8, 99.5, 99.7])
    assert difference.significant
    text = conclusion(difference, "a", "b", 0.06, 3)
    assert text.startswith("No significant difference between b and a (4 pairs, ")
    assert "Holm-adjusted for 3 comparisons" in text
    assert text.endswith("It would be significant as the only comparison")


@pytest.mark.parametrize(
    "difference",
    [
        statistics.paired([99.5], [99.6]),
        statistics.welch([99.5], [99.6, 99.7]),
        statistics.one_sample(99.5, [99.6]),
    ],
)
def test_too_few_runs_are_named(difference):
    assert "not enough to estimate the variance" in conclusion(difference, "a", "b", None)


def test_runs_without_variance_are_described():
    equal = statistics.paired([99.5, 99.6], [99.5, 99.6])
    assert conclusion(equal, "a", "b", None) == "b and a are equal in 2 pairs, without any variance"
    constant = statistics.paired([99.5, 99.6, 99.55], [99.51, 99.61, 99.56])
    assert conclusion(constant, "a", "b", None) == (
        "b is 0.0100 points above a in each of 3 pairs, without any variance (permutation test p = 0.25)"
    )
    apart = statistics.welch([99.5, 99.5], [99.6, 99.6])
    assert "so no t test is possible" in conclusion(apart, "a", "b", None)


def test_tiny_difference_needs_more_than_a_million_pairs_and_none_cannot_be_detected():
    many, none = "It would take more than a million pairs to", "No number of trials would"
    for last, number in ((99.4001, many), (99.4, none)):
        difference = statistics.paired([99.5, 99.6, 99.4], [99.6, 99.5, last])
        assert difference.required_trials is None
        assert f"{number} detect so small a difference" in conclusion(difference, "a", "b", 1.0)


def test_single_value_has_no_required_trials():
    difference = statistics.one_sample(99.3, [99.30, 99.36, 99.33, 99.31])
    text = conclusion(difference, "the published lstm", "lstm", difference.p)
    assert "between lstm and the published lstm (4 runs compared with a single run, " in text
    assert text.endswith("). These runs detect 0.1259 points at 80 % power")
