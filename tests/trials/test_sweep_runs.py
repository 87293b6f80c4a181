"""Sweeps from the first trial to the winner's score on the test set, stopped and resumed."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import stubs
from conftest import few_digits
from recipe_files import classifier

from mnistctl.artifacts import checkpoint, files
from mnistctl.data.batches import Digits
from mnistctl.errors import CheckpointError, FailedTrialsError, OutputError, UsageError
from mnistctl.evaluation.predictions import load_classifiers, predict
from mnistctl.evaluation.splits import load_split_for
from mnistctl.models.sources import find
from mnistctl.training.options import RunOptions
from mnistctl.trials import journal
from mnistctl.trials.events import TrialEnded, TrialsStarted
from mnistctl.trials.executors import Backend
from mnistctl.trials.listing import list_results
from mnistctl.trials.local import WorkerSlot
from mnistctl.trials.options import TrialsOptions
from mnistctl.trials.run import run_trials
from mnistctl.trials.sweep import plan_sweep
from mnistctl.trials.task import TrialWithNet
from mnistctl.trials.worker import run_trial

VARY = {"batch_size": "20", "lr": "0.004"}  # of 500 digits: better than 100 and 0.04


def threads(count):
    return Backend(lambda device, _: [WorkerSlot(lambda: ThreadPoolExecutor(count), count, device)])


class Sweeps:
    """Sweeps of logit on `own` in a folder of their own."""

    def __init__(self, own, folder):
        self.own, self.folder = own, folder
        self.path = folder / "trials/t.jsonl"
        self.nets = folder / "trials/t.nets"

    def options(self, count=2, vary=VARY, base="logit", **changes):
        models, sweep = plan_sweep(find(base), vary) if vary else ((find(base),), None)
        values = {"epochs": 1, "dataset": "own", "data_dir": self.own, "out_dir": self.folder, "name": "t"}
        options = RunOptions(**values | changes)
        return TrialsOptions(models=models, count=count, options=options, sweep=sweep)

    def start(self, *, backend=stubs.IN_PROCESS, run=run_trial, resume=False, overwrite=False, **options):
        options = self.options(**options)
        return run_trials(options, backend, run_trial=run, resume=resume, overwrite=overwrite)

    def run(self, **arguments):
        """The summary."""
        return list(self.start(**arguments))[-1].summary

    def stop_after(self, ended, **arguments):
        events = self.start(**arguments)
        for event in events:
            ended -= isinstance(event, TrialEnded) and not event.from_previous_session
            if not ended:
                break
        events.close()

    def results(self):
        """All that the summary says, without the times."""
        body = json.loads((self.folder / "trials/t.json").read_text())
        timed = ("checksum", "started", "resumed", "trial_seconds", "session_seconds", "machine")
        return {key: value for key, value in body.items() if key not in timed}


@pytest.fixture
def sweeps(own, tmp_path):
    return Sweeps(own, tmp_path / "out")


@pytest.fixture(scope="module")
def whole(own_module, tmp_path_factory):
    """A sweep without interruption, by one worker."""
    sweeps = Sweeps(own_module, tmp_path_factory.mktemp("whole"))
    sweeps.run()
    return sweeps


@pytest.fixture(scope="module")
def own_module(tmp_path_factory):
    return few_digits(tmp_path_factory.mktemp("digits"), 600, 200)


def test_winner_is_the_highest_mean_and_its_nets_are_scored_as_they_were_trained(whole):
    results = whole.results()
    arms, winner = results["arms"], results["sweep"]["winner"]
    best = max(arms, key=lambda arm: arm["mean"])
    assert (winner["label"], winner["mean"], winner["chosen_from"]) == (best["label"], best["mean"], 2)
    assert results["holdout"]["count"] == 100  # a sixth of 600
    assert sum(map(sum, arms[0]["confusion"])) == 2 * 100

    lines = [json.loads(line) for line in whole.path.read_text().splitlines()]
    model = lines[-1]["winner"]["model"]
    trained = {
        line["seed"]: line["result"]["digests"][model] for line in lines[1:-1] if line["model"] == model
    }
    paths = [whole.nets / f"{model}-seed{seed}.safetensors" for seed in (0, 1)]
    assert sorted(whole.nets.iterdir()) == paths  # those of the other arm are deleted
    for seed, path in enumerate(paths):
        assert checkpoint.digest(checkpoint.load(path, checkpoint.NET)[1]) == trained[seed]
        (classifier,) = load_classifiers([path])
        for split, accuracy in (
            ("test", winner["accuracies"][seed]),
            ("validation", best["accuracies"][seed]),
        ):
            labelled = load_split_for([classifier], "own", whole.own, split)
            assert accuracy_of(classifier, labelled) == accuracy


def accuracy_of(classifier, labelled):
    return predict(classifier, Digits.of(labelled.arrays, classifier.device)).score.accuracy


@pytest.mark.parametrize(("stopped", "workers"), [(1, 2), (3, 1), (4, 2)])
def test_stopped_sweep_resumes_to_the_same_results_under_any_number_of_workers(
    stopped, workers, whole, sweeps, own_module
):
    sweeps.own = own_module
    sweeps.stop_after(stopped, backend=threads(workers))
    assert sweeps.nets.is_dir()
    assert not (sweeps.folder / "trials/t.json").exists()
    with pytest.raises(UsageError, match="unfinished trials"):
        sweeps.run()
    sweeps.run(resume=True, backend=threads(3 - workers))
    assert sweeps.results() == whole.results()
    names = sorted(path.name for path in whole.nets.iterdir())
    assert sorted(path.name for path in sweeps.nets.iterdir()) == names
    for name in names:
        one, other = (checkpoint.load(folder / name, checkpoint.NET) for folder in (whole.nets, sweeps.nets))
        assert one[0] == other[0]
        assert checkpoint.digest(one[1]) == checkpoint.digest(other[1])


def test_sweep_stopped_before_its_winner_is_scored_trains_nothing_again(whole, sweeps, own_module):
    sweeps.own = own_module
    sweeps.stop_after(4)  # all of them
    assert len(list(sweeps.nets.iterdir())) == 4
    with pytest.raises(UsageError, match="the winner is not scored yet"):
        sweeps.run()
    ended = [e for e in sweeps.start(resume=True) if isinstance(e, TrialEnded)]
    assert all(event.from_previous_session for event in ended)
    assert sweeps.results() == whole.results()


def test_trial_whose_net_is_gone_or_damaged_runs_again(whole, sweeps, own_module):
    sweeps.own = own_module
    sweeps.stop_after(4)
    gone, damaged = sorted(sweeps.nets.iterdir())[:2]
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    ended = [e for e in sweeps.start(resume=True) if isinstance(e, TrialEnded)]
    assert sum(not event.from_previous_session for event in ended) == 2
    assert sweeps.results() == whole.results()


def test_finished_sweep_is_reported_again_and_takes_no_more_seeds(sweeps):
    first = sweeps.run()
    for arguments in ({}, {"resume": True}, {"resume": True, "vary": None, "count": None}):
        again = list(sweeps.start(**arguments))[-1]
        assert again.already
        assert again.summary.sweep == first.sweep
    with pytest.raises(CheckpointError, match="was scored on the test set; no seeds can be added"):
        sweeps.run(count=3, resume=True)
    with pytest.raises(CheckpointError, match=r"has other values \(batch_size=20 lr=0.004\)"):
        sweeps.run(vary={"lr": "0.02"}, resume=True)
    with pytest.raises(UsageError, match="has other trials"):
        sweeps.run(holdout=50)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "conv"}, "line 6 .*winner 'conv': no arm of a sweep"),
        ({"seeds": [0, 2]}, "line 6 .*winner: other seeds than those of the sweep"),
        ({"seeds": [0], "accuracies": [90.0]}, "line 6 .*winner: other seeds than those of the sweep"),
        ({"seeds": [0]}, "line 6 .*1 seeds and 2 accuracies"),
    ],
)
def test_wrong_winner_in_a_journal_is_refused(change, message, whole, tmp_path):
    *lines, last = whole.path.read_bytes().splitlines(keepends=True)
    winner = json.loads(last)["winner"] | change
    line = json.dumps({"winner": winner, "checksum": files.CHECKSUM_PLACEHOLDER}) + "\n"
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"".join([*lines, files.add_checksum(line.encode())]))
    with pytest.raises(CheckpointError, match=message):
        journal.read(path)


def test_winner_in_a_journal_without_a_sweep_is_refused(whole, stub_trials):
    stub_trials.run(2)
    path = stub_trials.folder / "t.jsonl"
    path.write_bytes(path.read_bytes() + whole.path.read_bytes().splitlines(keepends=True)[-1])
    with pytest.raises(CheckpointError, match=r"line 4 .*no arm of a sweep"):
        journal.read(path)


def test_test_set_neither_chooses_nor_judges_without_held_out_digits(sweeps):
    summary = sweeps.run(holdout=0)
    assert (summary.holdout, summary.sweep.winner) == (None, None)
    assert not sweeps.nets.exists()
    assert [row.first for row in summary.comparisons] == ["logit"]


def test_arm_that_diverges_cannot_win_and_a_failed_trial_postpones_the_choice(sweeps):
    def diverge(model, seed, settings):
        if model != "logit":
            raise stubs.DivergedError("the loss is nan")
        return run_trial(model, seed, settings)

    with pytest.raises(FailedTrialsError, match="2 of 4"):
        sweeps.run(run=diverge)
    assert sweeps.results()["sweep"]["winner"]["label"] == "logit"

    def fail(model, seed, settings):
        if seed:
            raise RuntimeError("out of luck")
        return run_trial(model, seed, settings)

    with pytest.raises(FailedTrialsError):
        sweeps.run(run=fail, overwrite=True)
    assert sweeps.results()["sweep"]["winner"] is None
    assert len(list(sweeps.nets.iterdir())) == 2
    assert sweeps.run(resume=True).sweep.winner is not None


def test_net_that_is_not_that_of_the_result_fails_the_trial(sweeps):
    def without(model, seed, settings):
        return run_trial(model, seed, settings).without_net()

    def other(model, seed, settings):
        one, another = (run_trial(model, each, settings) for each in (seed, seed + 7))
        assert isinstance(one, TrialWithNet)
        return replace(one, net=another.net)

    for wrong, reason in ((without, "without its net"), (other, "its net has another digest")):
        with pytest.raises(FailedTrialsError):
            sweeps.run(run=wrong, count=1, overwrite=True)
        assert all(reason in record.reason for record in journal.read(sweeps.path).trials.values())


def test_recipe_that_averages_weights_is_one_arm_of_a_sweep(sweeps):
    summary = sweeps.run(vary={"lr": "0.02"}, base="swa", count=1, batch_size=250)
    assert [arm.label for arm in summary.arms] == ["swa", "lr=0.02"]


def test_nets_of_a_model_with_a_long_name_are_kept(sweeps, tmp_path):
    path = tmp_path / f"{'m' * 240}.py"
    path.write_text(classifier())
    sweeps.run(base=str(path), vary={"lr": "0.004"}, count=2)
    names = {path.name for path in sweeps.nets.iterdir()}
    assert len(names) == 2
    assert all(re.fullmatch(r"m+-[0-9a-f]{8}-seed[01]\.safetensors", name) for name in names)


def test_folder_of_nets_is_neither_overwritten_nor_written_over(sweeps):
    sweeps.nets.mkdir(parents=True)
    with pytest.raises(UsageError, match="without the record of its run"):
        sweeps.run()
    sweeps.nets.rmdir()
    sweeps.nets.write_text("a file")
    with pytest.raises(OutputError, match="is a file; a sweep keeps its nets in a folder of this name"):
        sweeps.run(overwrite=True)


def test_sweep_is_listed_as_unfinished_until_its_winner_is_scored(sweeps):
    sweeps.stop_after(4)
    assert [entry.state for entry in list_results(sweeps.folder).runs] == ["unfinished"]
    sweeps.run(resume=True)
    (entry,) = list_results(sweeps.folder).runs
    assert (entry.state, entry.done, entry.total, entry.holdout) == ("finished", 4, 4, 100)


def test_trials_that_run_again_with_other_settings_are_noted_although_all_had_ended(sweeps):
    sweeps.stop_after(2, count=1)
    shutil.rmtree(sweeps.nets)
    options = sweeps.options(count=1, epochs=2)
    events = run_trials(options, stubs.IN_PROCESS, run_trial=run_trial, resume=True, allow_mixed=True)
    summary = list(events)[-1].summary
    assert [note.after for note in summary.resumed] == [2]
    assert any(name.endswith(".epochs") for name in summary.mismatched_settings)


@pytest.mark.parametrize(("holdout", "scored"), [(None, 100), (0, 200)])
def test_sweep_until_settled_scores_held_out_digits_unless_they_are_the_test_set(sweeps, holdout, scored):
    changes = {} if holdout is None else {"holdout": holdout}
    options = replace(sweeps.options(6, {"lr": "0.02"}, **changes), until="settled", margin=1.0)
    events = run_trials(options, stubs.IN_PROCESS, run_trial=stubs.run_stub_trial)
    started = next(event for event in events if isinstance(event, TrialsStarted))
    events.close()
    assert started.scored == scored
    assert (started.holdout is None) == (holdout == 0)


def test_earlier_sweep_until_settled_keeps_its_decision_by_the_test_set(sweeps, monkeypatch):
    options = replace(sweeps.options(6, {"lr": "0.02"}), until="settled", margin=50.0)

    def run(**arguments):
        return run_trials(options, stubs.IN_PROCESS, run_trial=stubs.run_stub_trial, **arguments)

    with monkeypatch.context() as earlier:  # which held out no digits
        earlier.setattr("mnistctl.trials.config._with_default_holdout", lambda options, _: options)
        events = run()
        next(event for event in events if isinstance(event, TrialEnded))
        events.close()
    finished = list(run(resume=True))[-1].summary
    assert (finished.holdout, finished.sequential.decision) == (None, "equivalent")
    again = list(run())[-1]
    assert (again.already, again.summary.sequential) == (True, finished.sequential)
