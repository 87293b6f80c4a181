"""The pace of a run: times left and the first estimate, from a clock that the test sets."""

import pytest

from mnistctl.cli.output import train
from mnistctl.cli.output.pace import Pace, describe_time
from mnistctl.cli.output.terminal import format_duration
from mnistctl.training.events import Epoch, Progress, Started


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def steps(pace, clock, epoch, count, total, seconds):
    for step in range(1, count + 1):
        clock.now += seconds
        pace.step(Progress(epoch, step, total))


def test_times_left_are_those_of_the_steps_and_then_of_finished_epochs():
    clock = Clock()
    pace = Pace(3, clock)
    steps(pace, clock, 1, 10, 40, 2.0)
    assert (pace.epoch_name(), pace.left()) == ("epoch 1/3", "1:00, run 3:40 left")
    steps(pace, clock, 1, 40, 40, 2.0)
    clock.now += 10  # the evaluation
    pace.finish_epoch(1)
    steps(pace, clock, 2, 20, 40, 2.0)
    assert pace.epoch_name() == "epoch 2/3"
    assert pace.epoch_seconds_left() == 40
    assert pace.run_seconds_left() == 40 + 110  # an epoch took 30 steps more than it should, and 10 seconds


def test_epochs_of_earlier_sessions_do_not_count():
    clock = Clock()
    pace = Pace(4, clock)
    for epoch in (1, 2):
        pace.finish_epoch(epoch)
    steps(pace, clock, 3, 5, 10, 1.0)
    assert pace.run_seconds_left() == 5 + 10


def test_first_estimate_waits_for_enough_steps_and_leaves_out_the_first():
    clock = Clock()
    pace = Pace(2, clock)
    assert pace.first_estimate() is None
    clock.now += 30  # the first step compiles
    pace.step(Progress(1, 1, 100))
    for step in range(2, 8):
        assert pace.first_estimate() is None
        clock.now += 0.6
        pace.step(Progress(1, step, 100))
    assert pace.first_estimate() == pytest.approx(0.6 * 200)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (601, "about 10 minutes"),
        (2400, "about 40 minutes"),
        (5390, "about 90 minutes"),
        (5400, "about 2 hours"),
        (18_100, "about 5 hours"),
    ],
)
def test_long_time_is_described_roughly(seconds, words):
    assert describe_time(seconds) == words


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "0:07"), (59.9, "1:00"), (3723, "1:02:03")])
def test_duration_has_hours_only_if_needed(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("resumed_after", "seconds", "line"),
    [
        (None, 2.0, "time: about 3 hours on this machine"),
        (1, 2.0, "time left: about 3 hours on this machine"),
        (None, 0.01, None),
    ],
)
def test_header_of_a_long_run_says_how_long_it_takes(resumed_after, seconds, line, monkeypatch):
    clock, said = Clock(), []
    monkeypatch.setattr(train, "Pace", lambda epochs: Pace(epochs, clock))
    rows = train._Rows(lambda text, *_: said.append(text))
    about = {
        "model": "conv",
        "parameters": 1,
        "batch_size": 10,
        "iterations": 100,
        "device": "cpu",
        "threads": 1,
    }
    about |= {"generator": False, "origin": None, "initial_weights": None}
    about |= {"precision": "float32", "seed": 0, "dataset": "own", "images": 1000}
    about |= {"scored": 100, "holdout": None}
    rows.start(Started(**about, epochs=50, resumed_after=resumed_after))
    for step in range(1, 100):
        clock.now += seconds
        rows.step(Progress(1, step, 100))
    rows.print_epoch(Epoch(1, 0.1, 1.0, 1.0, 90.0, 5.0))
    names = next(index for index, text in enumerate(said) if text.startswith("epoch "))
    assert said[names + 1].startswith("    1  0.1000")
    assert (said[names - 1] == line) if line else not any(text.startswith("time") for text in said)
