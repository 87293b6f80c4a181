"""Calibration: the error follows its definition."""

import numpy as np
import pytest

from mnistctl.evaluation.calibration import Bin, compute_calibration


def probabilities(*confidences):
    """Ten probabilities for each confidence, which is that of digit 0."""
    return np.array([[c, *[(1 - c) / 9] * 9] for c in confidences])


def test_the_error_is_the_weighted_mean_difference_of_the_bins():
    result = compute_calibration(probabilities(0.9, 0.9, 0.9, 0.5), np.array([0, 0, 3, 0]))
    assert result.ece == pytest.approx(3 / 4 * (90 - 200 / 3) + 1 / 4 * (100 - 50))
    assert [(round(bin.low, 2), round(bin.high, 2), bin.count) for bin in result.bins] == [
        (46.67, 53.33, 1),
        (86.67, 93.33, 3),
    ]
    assert [bin.accuracy for bin in result.bins] == [100, pytest.approx(200 / 3)]


def test_a_bin_includes_its_upper_end_and_the_last_bin_full_confidence():
    result = compute_calibration(probabilities(1.0, 0.6), np.array([0, 0]))
    assert [round(bin.high) for bin in result.bins] == [60, 100]


def test_a_classifier_that_is_right_as_often_as_it_is_confident_has_no_error():
    result = compute_calibration(probabilities(*[0.75] * 4, *[1.0] * 2), np.array([0, 0, 0, 5, 0, 0]))
    assert result.ece == pytest.approx(0)
    assert result.bins[-1] == Bin(pytest.approx(1400 / 15), 100, 2, 100, 100)


def test_the_counts_include_empty_bins():
    result = compute_calibration(probabilities(0.9, 0.9, 0.9, 0.5), np.array([0, 0, 3, 0]))
    counts = [0] * 15
    counts[7], counts[13] = 1, 3
    assert result.counts() == counts
