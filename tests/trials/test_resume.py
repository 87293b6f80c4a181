"""Resumed trials: the journal's options hold, and what differs is refused or noted."""

import json
import shutil
from pathlib import Path

import pytest
import stubs

from mnistctl.artifacts import files
from mnistctl.errors import CheckpointError
from mnistctl.training.environment import versions
from mnistctl.trials import config
from mnistctl.trials.events import TrialEnded

RECORDS = Path(__file__).parents[2] / "records"


@pytest.mark.parametrize("torn", [1, 40, 10_000])
def test_torn_last_line_is_run_again_and_no_other(torn, stub_trials, own):
    stub_trials.stop_after(3)
    path = stub_trials.folder / "t.jsonl"
    content = path.read_bytes()
    last = content.splitlines(keepends=True)[-1]
    path.write_bytes(content[: -min(torn, len(last) - 1)])
    ended = [event for event in stub_trials.run(resume=True) if isinstance(event, TrialEnded)]
    assert [event.from_previous_session for event in ended] == [True, True, False, False]
    assert stub_trials.results() == stub_trials.expected(4)
    assert stubs.read_starts(own)[0] == {0: 1, 1: 1, 2: 2, 3: 1}
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    assert all(files.verify_checksum(line) for line in lines)


def test_larger_count_adds_trials_and_smaller_one_is_refused(stub_trials, own):
    stub_trials.run(2)
    stub_trials.run(5, resume=True)
    assert stub_trials.results() == stub_trials.expected(5)
    assert stubs.read_starts(own)[0] == dict.fromkeys(range(5), 1)
    assert stub_trials.run(None, resume=True)[-1].already
    with pytest.raises(CheckpointError, match="has 5 trials of each model") as error:
        stub_trials.run(3, resume=True)
    assert (error.value.field, error.value.value) == ("count", 3)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 2, "epochs 1, now 2"),
        ("batch_size", 50, "batch_size 100, now 50"),
        ("lr", 0.1, "lr_schedule"),
    ],
)
def test_changed_setting_is_refused_by_name_or_noted(field, value, message, stub_trials):
    stub_trials.stop_after(2)
    changes = {field: value}
    with pytest.raises(CheckpointError, match=message) as error:
        stub_trials.run(changes=changes, resume=True)
    assert error.value.remedies == ("allow_mixed", "overwrite")
    stub_trials.run(changes=changes, resume=True, allow_mixed=True)
    (note,) = stub_trials.journal().resumed
    assert note.after == 2
    assert any(field in name for name in note.mismatched_settings)
    summary = json.loads((stub_trials.folder / "t.json").read_text())
    assert summary["mismatched_settings"] == sorted(note.mismatched_settings)


def test_every_change_of_settings_is_noted_once(stub_trials):
    stub_trials.stop_after(1)
    other = {"changes": {"epochs": 2}, "resume": True, "allow_mixed": True}
    stub_trials.stop_after(1, **other)
    stub_trials.stop_after(1, **other)  # nothing has changed since
    stub_trials.run(resume=True)  # with the original settings
    stub_trials.run(**other)  # nothing is left to do
    notes = stub_trials.journal().resumed
    assert [(note.after, bool(note.mismatched_settings)) for note in notes] == [(1, True), (3, False)]


def test_other_data_and_versions_are_refused(stub_trials, own, monkeypatch):
    stub_trials.stop_after(1)
    with monkeypatch.context() as patched:
        changed = versions() | {"torch": "9.9"}
        patched.setattr(config, "versions", lambda: changed)
        with pytest.raises(CheckpointError, match=r"versions\.torch .*, now 9\.9"):
            stub_trials.run(resume=True)
    path = own / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(CheckpointError, match=r"dataset\.sha256\.train-labels"):
        stub_trials.run(resume=True)


def test_resume_takes_the_options_of_the_journal(stub_trials):
    stub_trials.stop_after(2)
    stub_trials.run(None, changes={"epochs": None, "dataset": None, "data_dir": None}, resume=True)
    assert stub_trials.results() == stub_trials.expected(4)


def test_resume_refuses_a_missing_journal_and_other_models_and_seeds(stub_trials):
    with pytest.raises(CheckpointError, match="no trials to resume") as error:
        stub_trials.run(resume=True)
    assert error.value.remedies == ("start",)
    stub_trials.stop_after(2)
    with pytest.raises(CheckpointError, match=r"t2\.jsonl: no trials to resume; did you mean t\?"):
        stub_trials.run(changes={"name": "t2"}, resume=True)
    with pytest.raises(CheckpointError, match="start at seed 0") as error:
        stub_trials.run(changes={"seed": 1}, resume=True)
    assert (error.value.field, error.value.value) == ("seed", 1)
    with pytest.raises(CheckpointError, match="has trials of logit"):
        stub_trials.run(models=("linear",), resume=True)


def test_unfinished_journal_of_version_1_is_refused(stub_trials, own):
    stub_trials.folder.mkdir(parents=True)
    shutil.copy(RECORDS / "trials-logit-20.jsonl", stub_trials.folder / "t.jsonl")
    with pytest.raises(CheckpointError, match="earlier version cannot be resumed"):
        changes = {"epochs": None, "dataset": "own", "data_dir": own}
        stub_trials.run(21, changes=changes, resume=True, allow_mixed=True)
