"""Comparisons with published accuracies, and requirements."""

from typing import get_args

import pytest

from mnistctl.models.published import Published, PublishedModel, load_published
from mnistctl.trials import comparisons
from mnistctl.trials.comparisons import ArmAccuracies, Requirement, compare_arms, failed_requirements
from mnistctl.trials.entries import JournalHeader, TrialRecord
from mnistctl.trials.journal import TrialsJournal
from mnistctl.trials.summarize import summarize_trials
from mnistctl.trials.task import TrialResult

PUBLISHED = load_published("ktorch")


def make_journal(accuracies, model="conv", options=None):
    """A journal as if these were the accuracies of trials of the full recipe on MNIST."""
    header = JournalHeader.from_json(
        {
            "version": 2,
            "started": "",
            "models": [model],
            "seed": 0,
            "count": len(accuracies),
            "options": options or {},
            "settings": {
                "arms": {model: {model: model}},
                "recipes": {},
                "precision": "float32",
                "device": "cpu",
                "threads": 1,
                "dataset": {"name": "mnist", "sha256": {}},
                "versions": {},
            },
            "support": [1000] * 10,
            "machine": {"processor": "", "cores": 1, "vectors": "", "system": "", "python": ""},
        }
    )
    journal = TrialsJournal(header)
    for seed, accuracy in enumerate(accuracies):
        result = TrialResult(
            accuracies={model: accuracy}, digests={model: ""}, mismatches={model: ()}, seconds=1.0
        )
        journal.trials[model, seed] = TrialRecord(model=model, seed=seed, result=result)
    return journal


@pytest.mark.parametrize(
    ("accuracies", "require", "met"),
    [
        (PUBLISHED.accuracies("conv"), "same", True),
        (PUBLISHED.accuracies("conv"), "better", False),
        ([99.68, 99.70, 99.69, 99.66], "better", True),
        ([99.38, 99.40, 99.39, 99.36], "same", False),
        ([99.59], "same", False),
        ([99.65, 99.65], "better", True),
    ],
)
def test_requirement_is_met_by_the_interval_of_the_difference(accuracies, require, met):
    assert require in get_args(Requirement)
    summary = summarize_trials(make_journal(accuracies), "ktorch", require)
    assert (summary.failed_requirements == ()) is met
    (row,) = summary.reference
    assert row.conclusion
    assert row.n == (100, len(accuracies))


def test_single_published_run_is_treated_as_one_value():
    summary = summarize_trials(make_journal([99.30, 99.36, 99.33, 99.31], "lstm"), "ktorch", "same")
    (row,) = summary.reference
    assert (row.method, row.n) == ("one_sample", (1, 4))
    assert "a single run" in row.conclusion
    assert summary.failed_requirements == ()


def test_differences_from_the_published_runs_are_listed():
    journal = make_journal([99.5, 99.6], options={"epochs": 10, "lr": 0.5})
    (row,) = summarize_trials(journal, "ktorch").reference
    assert row.differences_from_published == {"epochs": 10, "lr": 0.5}
    (row,) = summarize_trials(make_journal([99.5, 99.6]), "ktorch").reference
    assert row.differences_from_published == {}


def test_model_without_published_accuracies_meets_no_requirement(monkeypatch):
    only_swa = Published(source="", dataset="mnist", models={"swa": PublishedModel(accuracies=(99.6,))})
    monkeypatch.setattr("mnistctl.trials.summarize.load_published", lambda _: only_swa)
    summary = summarize_trials(make_journal([99.5, 99.6]), "some", "same")
    assert (summary.reference, summary.not_compared) == ((), ("conv",))
    assert summary.failed_requirements == ("conv: nothing to compare with",)


def test_arms_with_shared_seeds_are_paired_and_others_are_independent():
    first = ArmAccuracies("a", "a", {0: 99.5, 1: 99.6, 2: 99.4})
    shares_two = ArmAccuracies("b", "b", {1: 99.7, 2: 99.6, 5: 99.8})
    shares_one = ArmAccuracies("c", "c", {2: 99.7, 8: 99.9})
    empty = ArmAccuracies("d", "d", {})
    rows = compare_arms([first, shares_two, shares_one, empty])
    assert [(row.first, row.second, row.method, row.n) for row in rows] == [
        ("a", "b", "paired", (2, 2)),
        ("a", "c", "welch", (3, 2)),
        ("b", "c", "welch", (3, 2)),
    ]
    assert all(row.p_adjusted >= row.p for row in rows)


def test_holm_adjustment_is_said_to_be_for_the_comparisons_with_a_p_value():
    accuracies = {"a": (99.5, 99.6, 99.4), "b": (99.8, 99.7, 99.5), "c": (99.1, 99.7, 99.3)}
    accuracies["d"] = (99.6, 99.7, 99.5)  # a constant difference from the first has no variance
    arms = [ArmAccuracies(name, name, dict(enumerate(values))) for name, values in accuracies.items()]
    rows = compare_arms(arms, with_first=True)
    assert [row.p is None for row in rows] == [False, False, True]
    assert all("Holm-adjusted for 2 comparisons" in row.conclusion for row in rows[:2])


def test_averages_are_compared_with_the_last_epochs_in_pairs():
    averaged = ArmAccuracies("swa", "swa", {0: 99.6, 1: 99.7, 2: 99.5}, {0: 99.5, 1: 99.5, 2: 99.5})
    (row,) = comparisons.compare_with_last_epochs([ArmAccuracies("conv", "conv", {0: 99.9}), averaged])
    assert (row.first, row.second, row.method, row.n) == (comparisons.LAST_EPOCH, "swa", "paired", (3, 3))
    assert row.difference == pytest.approx(0.1)
    assert row.conclusion.startswith("No significant difference between swa and the last epoch of the same")


def test_equal_accuracies_are_not_called_too_few():
    arms = [
        ArmAccuracies("a", "logit", dict.fromkeys(range(5), 92.0)),
        ArmAccuracies("b", "logit", {0: 92.0}),
    ]
    single = Published(source="", dataset="mnist", models={"logit": PublishedModel(accuracies=(92.38,))})
    rows = comparisons.compare_with_published("some", single, make_journal([99.5]).header, arms)
    assert failed_requirements("same", rows, ()) == (
        "a: equal accuracies have no variance, so there is no interval",
        "b: too few runs, so there is no interval",
    )
