"""Learning rate schedules compared with their formulas."""

import pytest

from mnistctl.nn.schedules import Constant, Cosine, Cycle, hold_after


def test_constant_is_the_peak_in_every_epoch():
    assert Constant()(0.04, 3) == (0.04, 0.04, 0.04)


def test_cosine_starts_at_the_peak_and_falls_to_the_floor():
    assert Cosine()(0.01, 4) == pytest.approx((0.01, 0.00853553, 0.005, 0.00146447), abs=1e-8)
    assert Cosine(floor=0.002)(0.01, 4)[-1] == 0.002


def test_peak_below_the_floor_is_not_raised():
    assert Cosine(floor=0.002)(0.001, 3) == (0.001, 0.001, 0.001)


def test_cycle_repeats_its_fractions_of_the_peak():
    assert Cycle((1.0, 0.5))(0.04, 3) == (0.04, 0.02, 0.04)


def test_rate_is_held_after_an_epoch():
    assert hold_after((0.4, 0.3, 0.2, 0.1), 2) == (0.4, 0.3, 0.3, 0.3)
    assert hold_after((0.4, 0.3), 2) == (0.4, 0.3)
