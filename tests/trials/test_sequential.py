"""Trials that end when their comparison is settled: the decision is the same however they ran."""

import json
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import stubs
from trials.processes import Session, running

from mnistctl.errors import CheckpointError, FailedTrialsError, UsageError
from mnistctl.trials import journal
from mnistctl.trials.entries import TrialRecord
from mnistctl.trials.events import PairCompared, TrialEnded
from mnistctl.trials.executors import Backend
from mnistctl.trials.listing import list_results
from mnistctl.trials.local import WorkerSlot
from mnistctl.trials.options import TrialsOptions
from mnistctl.trials.run import run_trials


@pytest.fixture
def sequential(stub_trials, own):
    """Start stub trials of logit and linear that end when they are settled."""

    def start(count=40, *, gap=0.0, margin=0.5, until="settled", models=("logit", "linear"), **arguments):
        (own / "gap").write_text(str(gap))
        plain = stub_trials.options(count, models, **arguments.pop("changes", {}))
        options = TrialsOptions(models=models, count=count, options=plain.options, until=until, margin=margin)
        arguments = {"backend": stubs.IN_PROCESS, "run_trial": stubs.run_stub_trial} | arguments
        return run_trials(options, **arguments)

    return start


def read_summary(stub_trials):
    """What must not depend on how the trials ran."""
    summary = json.loads((stub_trials.folder / "t.json").read_text())
    assert summary["comparisons"] == []
    return {key: summary[key] for key in ("arms", "sequential", "distribution", "failed", "diverged")}


def pairs_of(events):
    compared = [event for event in events if isinstance(event, PairCompared)]
    return [(event.seed, event.look.n, event.look.decision) for event in compared]


def threads(workers):
    return Backend(
        lambda device, count: [WorkerSlot(lambda: ThreadPoolExecutor(1), 1, device) for _ in range(workers)]
    )


@pytest.mark.parametrize(
    ("gap", "margin", "decision", "words"),
    [
        (1.0, 0.5, "differ", "above logit"),
        (-1.0, 0.5, "differ", "below logit"),
        (0.0, 0.5, "equivalent", "linear and logit differ by less than 0.5 points"),
        (0.2, 5.0, "equivalent", "differ by less than 5 points"),
        (0.02, 0.0001, "not settled", "Not settled whether linear differs from logit"),
    ],
)
def test_pairs_are_added_until_settled(gap, margin, decision, words, sequential, stub_trials):
    events = list(sequential(gap=gap, margin=margin))
    result = read_summary(stub_trials)["sequential"]
    assert (result["decision"], words in result["conclusion"]) == (decision, True)
    assert (result["rule"], result["most"]) == ({"margin": margin, "alpha": 0.05, "scale": 1.0}, 40)
    assert result["resolution"] == 0.5  # of the 200 test images
    n = result["n"]
    assert n == 40 if decision == "not settled" else 5 <= n < 40
    assert (result["last_seed"], len(stub_trials.journal().trials)) == (n - 1, 2 * n)
    assert pairs_of(events) == [(s, s + 1, "not settled") for s in range(n - 1)] + [(n - 1, n, decision)]
    (entry,) = list_results(stub_trials.folder).runs
    assert (entry.state, entry.done, entry.total) == ("finished", 2 * n, 2 * n)


def test_record_is_the_same_for_any_number_of_workers(sequential, stub_trials):
    records = []
    for workers in (1, 2, 5):
        list(sequential(gap=0.3, margin=0.1, backend=threads(workers), overwrite=True))
        records.append(read_summary(stub_trials))
        last = records[-1]["sequential"]["last_seed"]
        assert {arm["seeds"][-1] for arm in records[-1]["arms"]} == {last}
    assert records[0] == records[1] == records[2]


def test_results_of_later_seeds_stay_in_the_journal_and_out_of_the_record(sequential, stub_trials):
    list(sequential(gap=1.0))
    before = read_summary(stub_trials)
    last = before["sequential"]["last_seed"]
    entries, path = stub_trials.journal(), stub_trials.folder / "t.jsonl"
    for seed in (last + 1, last + 3):  # as if other workers had been faster
        result = stubs.stub_result(seed, "linear", -50)
        record = TrialRecord(model="linear", seed=seed, result=result)
        journal.append(path, entries, record)
    assert list(sequential(gap=1.0))[-1].already
    assert read_summary(stub_trials) == before
    assert json.loads((stub_trials.folder / "t.json").read_text())["later_trials"] == 2
    assert len(stub_trials.journal().trials) == 2 * (last + 1) + 2


@pytest.mark.parametrize(("ended", "workers"), [(1, 2), (4, 1), (9, 2)])
def test_stopped_comparison_resumes_to_the_same_decision(ended, workers, sequential, stub_trials):
    list(sequential(gap=0.3, margin=0.1))
    expected = read_summary(stub_trials)
    events = sequential(gap=0.3, margin=0.1, backend=threads(workers), overwrite=True)
    for event in events:
        ended -= isinstance(event, TrialEnded)
        if not ended:
            break
    events.close()
    bare = {"epochs": None, "dataset": None, "data_dir": None}
    resumed = sequential(None, gap=0.3, until=None, margin=None, changes=bare, resume=True)
    assert pairs_of(resumed)[-1][2] == "differ"
    assert read_summary(stub_trials) == expected
    (entry,) = list_results(stub_trials.folder).runs
    assert entry.state == "finished"


@pytest.mark.long
@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_command_resumes_to_the_same_decision(workers, sequential, stub_trials, own, tmp_path):
    list(sequential(60, gap=0.3, margin=0.1))
    expected = read_summary(stub_trials)
    shutil.rmtree(stub_trials.folder)
    stubs.set_seconds(own, 0.2)
    words = ("linear", "--until", "settled", "--margin", "0.1", "-n", "60", "--workers", "2")
    session = Session(own, tmp_path, *words)
    session.wait_for_line("pair", "2")
    session.process.send_signal(signal.SIGKILL)
    assert session.end()[0] == -signal.SIGKILL
    assert not running(stubs.read_starts(own)[1] - {os.getpid()})
    ended = len(stub_trials.journal().trials)
    assert 4 <= ended < len(expected["arms"][0]["seeds"])
    (own / "slow").unlink()
    code, out, _ = Session(own, tmp_path, "linear", "--resume", "--workers", workers).end()
    assert (code, f"resuming after {ended} of 120 trials" in out) == (0, True)
    assert read_summary(stub_trials) == expected


def test_failed_trial_stops_the_comparison_and_resuming_decides_as_without_it(sequential, stub_trials, own):
    list(sequential(gap=1.0))
    expected = read_summary(stub_trials)
    (own / "raise-2").touch()
    with pytest.raises(FailedTrialsError) as error:
        list(sequential(gap=1.0, overwrite=True))
    assert error.value.remedies == ("retry",)
    partial = read_summary(stub_trials)["sequential"]
    assert (partial["n"], partial["decision"]) == (2, "not settled")
    (own / "raise-2").unlink()
    list(sequential(gap=1.0, backend=threads(2), resume=True))
    assert read_summary(stub_trials) == expected


def test_seed_that_diverges_makes_no_pair(sequential, stub_trials, own):
    (own / "diverge-1").touch()
    with pytest.raises(FailedTrialsError) as error:
        list(sequential(gap=1.0))
    assert error.value.remedies == ()
    result = read_summary(stub_trials)["sequential"]
    assert (result["decision"], result["last_seed"]) == ("differ", result["n"])  # one seed is passed over
    with pytest.raises(FailedTrialsError):
        assert list(sequential(gap=1.0))[-1].already


def test_larger_count_continues_what_is_not_settled_and_nothing_else(sequential, stub_trials):
    list(sequential(10, margin=0.0001))
    assert read_summary(stub_trials)["sequential"]["n"] == 10
    assert len(pairs_of(sequential(12, margin=0.0001, resume=True))) == 12
    result = read_summary(stub_trials)["sequential"]
    assert (result["n"], result["most"], result["decision"]) == (12, 12, "not settled")
    list(sequential(gap=1.0, overwrite=True))
    settled = read_summary(stub_trials)
    assert list(sequential(60, gap=1.0, resume=True))[-1].already
    assert read_summary(stub_trials) == settled


def test_both_arms_of_one_recipe_are_compared(sequential, stub_trials, own):
    def run_swa(model, seed, settings):
        parts = {
            name: stubs.stub_result(seed, arm, 1.0)
            for name, arm in (("baseline", "logit"), ("averaged", "linear"))
        }
        return stubs.merge_results(parts)

    list(sequential(models=("swa",), changes={"batch_size": 100}, run_trial=run_swa))
    result = read_summary(stub_trials)["sequential"]
    assert (result["first"], result["second"], result["decision"]) == ("baseline", "averaged", "differ")
    assert len(stub_trials.journal().trials) == result["n"]


def test_margin_and_mode_are_fixed_before_the_first_trial(sequential, stub_trials):
    list(sequential(6, margin=0.0001))
    with pytest.raises(CheckpointError, match=r"started with 0\.0001") as error:
        list(sequential(8, margin=1.0, resume=True))
    assert (error.value.field, error.value.value) == ("margin", "1")
    with pytest.raises(UsageError, match="has other trials"):
        list(sequential(6, margin=1.0))
    list(sequential(6, until=None, margin=None, overwrite=True))
    with pytest.raises(CheckpointError, match="started without it") as error:
        list(sequential(8, margin=1.0, resume=True))
    assert error.value.field == "until"


def test_resumed_comparison_is_not_compared_with_published_accuracies_either(sequential):
    list(sequential(gap=3.0))
    with pytest.raises(UsageError, match="its test needs a fixed number of trials"):
        list(sequential(None, until=None, margin=None, resume=True, reference="ktorch"))


def test_trials_after_the_last_pair_count_for_nothing_while_it_is_not_settled(sequential, stub_trials):
    def fail(model, seed, settings):
        if (model, seed) == ("linear", 7):
            raise RuntimeError("out of luck")
        return stubs.run_stub_trial(model, seed, settings)

    with pytest.raises(FailedTrialsError):
        list(sequential(margin=0.01, run_trial=fail))
    body = json.loads((stub_trials.folder / "t.json").read_text())
    assert (body["sequential"]["decision"], body["sequential"]["last_seed"]) == ("not settled", 6)
    assert [arm["seeds"] for arm in body["arms"]] == [[*range(7)]] * 2
    assert (body["later_trials"], [trial["seed"] for trial in body["failed"]]) == (1, [7])
