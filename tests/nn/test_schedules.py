"""Learning rate schedules compared with their formulas."""

import math

import pytest

from mnistctl.errors import UsageError
from mnistctl.nn.schedules import (
    Constant,
    Cosine,
    Cycle,
    OneCycle,
    changes_every_step,
    hold_after,
    rates_by_step,
)


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


def test_one_cycle_rises_to_the_peak_and_falls_to_zero():
    rates = OneCycle(warmup=0.2, start=0.04)(0.01, 1000)
    assert len(rates) == 1000
    # At the middle of the first step, t = 0.0005: start + (1 - start) (1 - cos(pi t / 0.2)) / 2 of the peak.
    assert rates[0] == pytest.approx(0.01 * (0.04 + 0.96 * (1 - math.cos(math.pi * 0.0005 / 0.2)) / 2))
    assert rates[99] < rates[100] == pytest.approx(0.0052, rel=0.02)  # halfway up from 0.04 to 1
    assert max(rates) == pytest.approx(0.01, rel=1e-4)
    assert rates.index(max(rates)) in (199, 200)
    assert rates[600] == pytest.approx(0.005, rel=0.01)  # halfway down
    assert 0 < rates[-1] < 1e-7


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_one_cycle_may_only_fall_or_only_rise(warmup):
    rates = OneCycle(warmup=warmup)(1.0, 50)
    assert list(rates) == sorted(rates, reverse=warmup == 0)
    assert all(0 <= rate <= 1 for rate in rates)


def test_rate_of_an_epoch_of_one_cycle_is_that_in_its_middle():
    by_epoch, by_step = OneCycle()(0.01, 3), OneCycle()(0.01, 3 * 101)
    assert by_epoch == pytest.approx([by_step[50], by_step[151], by_step[252]])


def test_schedule_gives_one_rate_per_epoch_unless_it_changes_every_step():
    assert not changes_every_step(Cosine())
    assert rates_by_step(Cosine(), 0.01, 4, 5)(3) == (0.005,) * 5
    assert changes_every_step(OneCycle())
    whole = OneCycle()(0.01, 12)
    parts = [rates_by_step(OneCycle(), 0.01, 3, 4)(epoch) for epoch in (1, 2, 3)]
    assert sum(parts, ()) == whole


def test_schedule_may_be_a_generator_function():
    def schedule(peak_lr, count):
        yield from (peak_lr / (n + 1) for n in range(count))

    assert rates_by_step(schedule, 0.1, 2, 3)(2) == (0.05,) * 3


@pytest.mark.parametrize("every_step", [True, False])
def test_schedule_is_called_once_for_all_epochs_of_a_run(every_step):
    def schedule(peak_lr, count):
        calls.append(count)
        return (peak_lr,) * count

    calls = []
    schedule.every_step = every_step
    rates_in = rates_by_step(schedule, 0.1, 5, 2)
    assert [rates_in(epoch) for epoch in range(1, 6)] == [(0.1, 0.1)] * 5
    assert calls == [10 if every_step else 5]


def test_wrong_rates_for_the_steps_of_a_run_are_an_error():
    def schedule(peak_lr, count):
        return (peak_lr,) * min(count, 4)

    schedule.every_step = True
    assert rates_by_step(schedule, 0.1, 2, 2)(2) == (0.1, 0.1)
    with pytest.raises(UsageError, match="the recipe's schedule gives 4 learning rates for 6 steps"):
        rates_by_step(schedule, 0.1, 2, 3)
