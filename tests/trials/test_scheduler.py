"""The scheduler: a trial whose worker dies starts again, and a result is checked before it is used."""

import sys
from collections import Counter
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import replace

import numpy as np
import pytest
import stubs

from mnistctl.errors import FailedTrialsError
from mnistctl.trials.events import WorkerDied
from mnistctl.trials.local import WorkerSlot
from mnistctl.trials.scheduler import SlotPool, TrialFailure, run_tasks
from mnistctl.trials.task import ResultChecker, TrialResult, TrialSettings

RESULT = {"accuracies": {"a": 1.0}, "digests": {"a": "0" * 64}, "mismatches": {"a": ()}, "seconds": 1.0}
SETTINGS = TrialSettings(
    epochs=None,
    batch_size=None,
    lr=None,
    precision="float32",
    dataset="own",
    data_dir="",
    device="cpu",
    sha256={},
    versions={},
)


def result(**changes):
    """A result with fields that a worker can only have changed afterwards."""
    changed = TrialResult(**RESULT)
    for field, value in changes.items():
        object.__setattr__(changed, field, value)
    return changed


@pytest.mark.parametrize("deaths", [3, 4])
def test_trial_of_a_dead_worker_starts_again_three_times(deaths, stub_trials, own):
    (own / "die-1").write_text(str(deaths))
    events = []
    try:
        for event in stub_trials.start():
            events.append(event)
    except FailedTrialsError as error:
        assert (deaths, error.exit_code) == (4, 6)
        assert "1 of 4" in str(error)
        assert error.remedies == ("retry",)
    else:
        assert deaths == 3
    died = [event for event in events if isinstance(event, WorkerDied)]
    assert [(event.model, event.seed, event.retry, event.max_retries) for event in died] == [
        ("logit", 1, retry, 3) for retry in (1, 2, 3)
    ]
    expected = stub_trials.expected(4)
    if deaths == 4:
        expected["logit", 1] |= {"state": "failed", "reason": "its worker died 4 times", "result": None}
    assert stub_trials.results() == expected
    assert stubs.read_starts(own)[0] == Counter({0: 1, 2: 1, 3: 1} | ({1: 1} if deaths == 3 else {}))


def run_one(function, tmp_path, make_executor=stubs.InProcessExecutor):
    settings = replace(SETTINGS, data_dir=str(tmp_path))
    with SlotPool([WorkerSlot(make_executor, 1, "cpu")], function, settings) as pool:
        ended = list(run_tasks([("a", 0)], pool, ResultChecker({"a": ("a",)}, 10)))
    key, outcome = ended[-1]
    assert key == ("a", 0)
    return outcome


def test_numpy_float_is_recorded_as_a_number(tmp_path):
    outcome = run_one(lambda *_: result(accuracies={"a": np.float64(97.5)}), tmp_path)
    assert type(outcome.accuracies["a"]) is float


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "the worker sent NoneType instead of a result"),
        (RESULT, "the worker sent dict instead of a result"),
        (object.__new__(TrialResult), "invalid result: 'TrialResult' object has no attribute 'accuracies'"),
        (result(accuracies={"a": "1"}), "invalid result: accuracies"),
        (result(accuracies={"a": float("nan")}), "invalid result: accuracies.a: not a finite number"),
        (result(accuracies={"a": 100.5}), "invalid result: accuracies"),
        (result(accuracies={"a": np.float32(97.5)}), "invalid result: float32 has no JSON form"),
        (result(accuracies={}, digests={}, mismatches={}), "invalid result: arms  instead of a"),
        (result(accuracies={"b": 1.0}, digests={"b": "0" * 64}, mismatches={"b": ()}), "arms b instead of a"),
        (result(digests={}), "accuracies, digests and mismatches are of different arms"),
        (result(digests={"a": "0"}), "invalid result: digests"),
        (result(mismatches={"a": ((1, 2),)}), "invalid result: mismatches"),
        (result(mismatches={"a": ((np.int64(1), 2, 3),)}), "invalid result: int64 has no JSON form"),
        (result(mismatches={"a": ((1, 2, 10),)}), "invalid result: mismatches"),
        (result(mismatches={"a": ((-1, 2, 3),)}), "invalid result: mismatches"),
        (result(mismatches={"a": ((10, 2, 3),)}), "mismatches.a: image 10 of 10"),
        (result(mismatches={"a": ((1, 2, 2),)}), "the prediction for image 1 is right"),
        (result(mismatches={"a": ((1, 2, 3), (1, 2, 4))}), "mismatches.a: an image is listed twice"),
        (result(seconds=None), "invalid result: seconds"),
        (result(seconds=-1.0), "invalid result: seconds"),
        (result(processor_seconds=float("inf")), "invalid result: processor_seconds"),
        (result(machine={"cores": object()}), "invalid result"),
    ],
)
def test_invalid_result_is_a_failure(value, reason, tmp_path):
    outcome = run_one(lambda model, seed, settings: value, tmp_path)
    assert isinstance(outcome, TrialFailure)
    assert outcome.state == "failed"
    assert reason in outcome.reason


class OddExecutor(Executor):
    """Does what a function does with a future, instead of running the task."""

    def __init__(self, submit):
        self._submit = submit

    def submit(self, fn, /, *arguments):
        return self._submit()

    def shutdown(self, wait=True, *, cancel_futures=False):
        raise OSError("already gone")


def failed_future(error):
    future = Future()
    future.set_exception(error)
    return future


class SilentError(Exception):
    def __str__(self):
        return ""


@pytest.mark.parametrize(
    ("submit", "reason"),
    [
        (lambda: 1 / 0, "the executor refused the trial (ZeroDivisionError: division by zero)"),
        (lambda: sys.exit(3), "the executor refused the trial (SystemExit: 3)"),
        (lambda: None, "the executor gave NoneType instead of a concurrent.futures.Future"),
        (lambda: object.__new__(Future), "the executor gave Future instead of"),
        (lambda: failed_future(SystemExit(0)), "SystemExit: 0"),
        (lambda: failed_future(KeyboardInterrupt()), "KeyboardInterrupt"),
        (lambda: failed_future(SilentError()), "SilentError"),
        (lambda: failed_future(BrokenExecutor("gone")), "its worker died 4 times"),
    ],
)
def test_executor_that_does_not_run_a_trial_makes_it_a_failure(submit, reason, tmp_path):
    outcome = run_one(None, tmp_path, lambda: OddExecutor(submit))
    assert isinstance(outcome, TrialFailure)
    assert outcome.state == "failed"
    assert outcome.reason.startswith(reason)


def test_executor_that_gives_one_future_twice_makes_the_second_trial_a_failure(tmp_path):
    future = Future()
    executor = OddExecutor(lambda: future)
    with SlotPool([WorkerSlot(lambda: executor, 2, "cpu")], None, SETTINGS) as pool:
        outcomes = run_tasks([("a", 0), ("a", 1)], pool, ResultChecker({"a": ("a",)}, 10))
        assert next(outcomes) == (
            ("a", 1),
            TrialFailure("failed", "the executor gave the future of another trial"),
        )
        future.set_result(TrialResult(**RESULT))
        assert list(outcomes) == [(("a", 0), TrialResult(**RESULT))]


def test_executor_whose_every_worker_dies_at_once_makes_the_trial_a_failure(tmp_path):
    def refuse():
        raise BrokenExecutor("no worker")

    outcome = run_one(None, tmp_path, lambda: OddExecutor(refuse))
    assert outcome == TrialFailure("failed", "its worker died 4 times")


def test_valid_result_is_passed_on(tmp_path):
    assert run_one(lambda model, seed, settings: TrialResult(**RESULT), tmp_path) == TrialResult(**RESULT)


def test_every_trial_gets_the_device_of_its_slot(tmp_path):
    devices = []

    def note_device(model, seed, settings):
        devices.append(settings.device)
        return TrialResult(**RESULT)

    run_one(note_device, tmp_path)
    assert devices == ["cpu"]
