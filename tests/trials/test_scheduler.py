"""The scheduler: a trial whose worker dies starts again, and a result is checked before it is used."""

from collections import Counter

import pytest
import stubs

from mnistctl.errors import FailedTrialsError
from mnistctl.trials.events import WorkerDied
from mnistctl.trials.scheduler import TrialFailure, run_tasks
from mnistctl.trials.task import TrialResult, TrialSettings

RESULT = {"accuracies": {"a": 1.0}, "digests": {"a": "0"}, "mismatches": {"a": ()}, "seconds": 1.0}


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


def run_one(function, tmp_path):
    settings = TrialSettings(
        epochs=None,
        batch_size=None,
        lr=None,
        precision="float32",
        dataset="own",
        data_dir=str(tmp_path),
        device="cpu",
        sha256={},
        versions={},
    )
    slots = stubs.IN_PROCESS.slots("cpu", 1)
    ((key, outcome),) = run_tasks([("a", 0)], slots, function, settings)
    assert key == ("a", 0)
    return outcome


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "the worker sent NoneType instead of a result"),
        (RESULT, "the worker sent dict instead of a result"),
        (TrialResult(**RESULT | {"accuracies": {"a": "1"}}), "invalid result: accuracies"),
        (TrialResult(**RESULT | {"mismatches": {"a": ((1, 2),)}}), "invalid result: mismatches"),
        (TrialResult(**RESULT | {"seconds": None}), "invalid result: seconds"),
        (TrialResult(**RESULT | {"machine": {"cores": object()}}), "invalid result"),
    ],
)
def test_invalid_result_is_a_failure(value, reason, tmp_path):
    outcome = run_one(lambda model, seed, settings: value, tmp_path)
    assert isinstance(outcome, TrialFailure)
    assert outcome.state == "failed"
    assert reason in outcome.reason


def test_valid_result_is_passed_on(tmp_path):
    assert run_one(lambda model, seed, settings: TrialResult(**RESULT), tmp_path) == TrialResult(**RESULT)


def test_every_trial_gets_the_device_of_its_slot(tmp_path):
    devices = []

    def note_device(model, seed, settings):
        devices.append(settings.device)
        return TrialResult(**RESULT)

    run_one(note_device, tmp_path)
    assert devices == ["cpu"]
