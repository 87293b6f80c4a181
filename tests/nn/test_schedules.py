"""Rates, against the formula."""

import pytest

from mnistctl.nn.schedules import constant, cosine


def test_constant_is_the_peak_throughout():
    assert constant(0.04, 3) == (0.04, 0.04, 0.04)


def test_cosine_starts_at_the_peak_and_falls_to_the_floor():
    assert cosine()(0.01, 4) == pytest.approx((0.01, 0.00853553, 0.005, 0.00146447), abs=1e-8)
    assert cosine(floor=0.002)(0.01, 4)[-1] == 0.002


def test_a_peak_below_the_floor_is_not_raised():
    assert cosine(floor=0.002)(0.001, 3) == (0.001, 0.001, 0.001)
