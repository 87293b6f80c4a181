"""Calibration: the error is that of the source, by hand."""

import numpy as np
import pytest

from mnistctl.evaluation.calibration import Bin, compute_calibration


def answers(*confidences):
    """Ten probabilities for each, the largest the first, which is so sure."""
    return np.array([[c, *[(1 - c) / 9] * 9] for c in confidences])


def test_the_error_is_the_mean_gap_of_the_bins_by_their_digits():
    told = compute_calibration(answers(0.9, 0.9, 0.9, 0.5), np.array([0, 0, 3, 0]))
    assert told.ece == pytest.approx(3 / 4 * (90 - 200 / 3) + 1 / 4 * (100 - 50))
    assert [(round(bin.low, 2), round(bin.high, 2), bin.count) for bin in told.bins] == [
        (46.67, 53.33, 1),
        (86.67, 93.33, 3),
    ]
    assert [bin.accuracy for bin in told.bins] == [100, pytest.approx(200 / 3)]


def test_a_bin_has_its_upper_end_and_full_confidence_the_last_one():
    told = compute_calibration(answers(1.0, 0.6), np.array([0, 0]))
    assert [round(bin.high) for bin in told.bins] == [60, 100]


def test_who_is_right_as_often_as_sure_has_no_error():
    told = compute_calibration(answers(*[0.75] * 4, *[1.0] * 2), np.array([0, 0, 0, 5, 0, 0]))
    assert told.ece == pytest.approx(0)
    assert told.bins[-1] == Bin(pytest.approx(1400 / 15), 100, 2, 100, 100)
