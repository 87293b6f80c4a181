"""Wilson's interval of an accuracy."""

import pytest
from scipy import stats

from mnistctl.inference.accuracy import wilson


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(
    ("successes", "n"), [(0, 10), (10, 10), (0, 1), (1, 3), (2_500, 5_000), (9_958, 10_000)]
)
def test_wilson_interval_is_that_of_scipy_and_holds_the_proportion(successes, n, level):
    low, high = wilson(successes, n, level)
    expected = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= successes / n <= high <= 1


def test_wilson_interval_of_no_predictions_says_nothing():
    assert wilson(0, 0) == (0, 1)
    for successes, n in ((-1, 10), (11, 10)):
        with pytest.raises(ValueError, match="successes of 10"):
            wilson(successes, n)
