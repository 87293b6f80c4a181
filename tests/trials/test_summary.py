"""The summary of old and new journals."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mnistctl.artifacts import files
from mnistctl.trials import journal, summary
from mnistctl.trials.summarize import summarize_trials
from mnistctl.trials.summary import TrialsSummary

RECORDS = Path(__file__).parents[2] / "records"


def assert_close(left, right, path=""):
    """Equal, numbers to 1e-9."""
    if isinstance(left, dict):
        assert left.keys() == right.keys(), path
        for key in left:
            assert_close(left[key], right[key], f"{path}.{key}")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), path
        for index, pair in enumerate(zip(left, right, strict=True)):
            assert_close(*pair, f"{path}[{index}]")
    elif isinstance(left, float):
        assert left == pytest.approx(right, rel=1e-9, abs=1e-9), path
    elif not path.endswith(".conclusion"):  # these have other words now
        assert left == right, path


@pytest.mark.parametrize("path", sorted(RECORDS.glob("trials-*.jsonl")), ids=lambda path: path.stem)
def test_summary_of_a_recorded_journal_has_the_recorded_numbers(path):
    old = TrialsSummary.from_json(json.loads(path.with_suffix(".json").read_text()))
    new = summarize_trials(journal.read(path), "ktorch" if old.reference else None)
    assert_close(old.to_json(), replace(new, session_seconds=old.session_seconds).to_json())


def test_summary_of_version_1_is_read_with_the_new_names():
    old = json.loads((RECORDS / "trials-swa-8.json").read_text())
    new = TrialsSummary.from_json(old)
    assert [arm.label for arm in new.arms] == ["baseline", "averaged"]
    assert [arm.recipe for arm in new.arms] == ["conv", "swa"]
    assert [arm.min for arm in new.arms] == [column["least"] for column in old["columns"]]
    assert [arm.max for arm in new.arms] == [column["most"] for column in old["columns"]]
    assert new.arms[0].errors[0].predicted == {0: 8}
    (comparison,) = new.comparisons
    assert (comparison.first, comparison.second) == ("baseline", "averaged")
    assert comparison.required_trials == old["comparisons"][0]["needed"] == 1213
    assert comparison.minimum_detectable_effect == old["comparisons"][0]["detectable"]
    assert [row.published_summary.n for row in new.reference] == [100, 100]
    assert new.session_seconds == old["sitting_seconds"]
    assert new.mismatched_settings == ()


def test_old_notes_and_options_of_a_summary_are_renamed():
    old = json.loads((RECORDS / "trials-logit-20.json").read_text())
    old["resumed"] = [{"after": 2, "count": 20, "mixed": {"recipes.logit.epochs": [1, 2]}}]
    old["against"][0]["unlike"] = ["--epochs 10", "--rate 0.5", "--dataset own"]
    old["against"].append({"column": "other", "unlike": [], "n": [0, 2], "says": "other: nothing to compare"})
    new = TrialsSummary.from_json(old)
    assert new.mismatched_settings == ("recipes.logit.epochs",)
    assert new.reference[0].method == "one_sample"
    assert new.reference[0].differences_from_published == {"epochs": 10, "lr": 0.5, "dataset": "own"}
    assert new.not_compared == ("other",)


def test_written_summary_is_read_again(stub_trials):
    stub_trials.run(4, reference="ktorch")
    path = stub_trials.folder / "t.json"
    content = path.read_bytes()
    assert files.verify_checksum(content)
    body = json.loads(content)
    assert body["version"] == summary.VERSION == 2
    again = TrialsSummary.from_json(body)
    assert_close(again.to_json(), {key: value for key, value in body.items() if key != "checksum"})
    expected = summarize_trials(stub_trials.journal(), "ktorch")
    assert replace(again, session_seconds=None) == replace(expected, session_seconds=None)


def test_last_epochs_are_reported_if_every_trial_has_them():
    entries = journal.read(RECORDS / "trials-swa-8.jsonl")
    results = {
        key: replace(
            record, result=replace(record.result, before_averaging={"averaged": 99.5 + key[1] / 100})
        )
        for key, record in entries.trials.items()
    }
    new = summarize_trials(replace(entries, trials=results))
    assert [arm.before_averaging[-1:] for arm in new.arms] == [(), (99.57,)]
    assert [(row.second, row.n) for row in new.averaging] == [("averaged", (8, 8))]
    assert TrialsSummary.from_json(new.to_json()) == new
    entries.trials[next(iter(results))] = next(iter(results.values()))  # the others have none
    new = summarize_trials(entries)
    assert (new.arms[1].before_averaging, new.averaging) == ((), ())


def test_lists_of_numbers_are_on_one_line_each(stub_trials):
    stub_trials.run(4)
    lines = [line.strip() for line in (stub_trials.folder / "t.json").read_text().splitlines()]
    assert '"seeds": [0, 1, 2, 3],' in lines
    assert '"accuracies": [90.0, 90.37, 90.74, 90.11],' in lines


def test_arm_without_results_has_no_numbers(stub_trials, own):
    for seed in range(2):
        (own / f"diverge-{seed}").touch()
    with pytest.raises(Exception, match="2 of 2 trials gave no result"):
        stub_trials.run(2, reference="ktorch")
    result = TrialsSummary.from_json(json.loads((stub_trials.folder / "t.json").read_text()))
    (arm,) = result.arms
    assert (arm.n, arm.mean, arm.interval, arm.accuracies, arm.errors) == (0, None, None, (), ())
    assert [(trial.seed, trial.reason) for trial in result.diverged] == [
        (0, "the loss is nan"),
        (1, "the loss is nan"),
    ]
    assert (result.reference, result.not_compared) == ((), ("logit",))
    assert not (stub_trials.folder / "t.png").exists()
