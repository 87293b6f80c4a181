"""Trials: the same values wherever they run, none lost and none done twice, whatever dies meanwhile."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import stubs
import torch

from mnistctl.artifacts import files
from mnistctl.cli import app
from mnistctl.data import datasets, idx
from mnistctl.errors import (
    CheckpointError,
    DataError,
    FailedTrialsError,
    MnistctlError,
    OutputError,
    UnmetError,
    UsageError,
)
from mnistctl.models import CLASSIFIERS, load
from mnistctl.models.published import load_published
from mnistctl.training import classifier
from mnistctl.training.environment import versions
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train
from mnistctl.trials import cluster as cluster_module
from mnistctl.trials import executors, worker
from mnistctl.trials import run as trials_run
from mnistctl.trials.cluster import is_safe_address
from mnistctl.trials.events import TrialEnded, TrialsFinished, TrialsStarted, WorkerDied
from mnistctl.trials.executors import Backend, get_backend
from mnistctl.trials.journal import TrialsJournal, read
from mnistctl.trials.local import WorkerSlot
from mnistctl.trials.options import TrialsOptions
from mnistctl.trials.run import run_trials
from mnistctl.trials.summary import summarize_trials
from mnistctl.trials.worker import arms_of, run_trial, shared_epochs

TESTS = Path(__file__).parents[1]
STUBS = TESTS / "stubs.py"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder of 600 digits to train on, 200 to test."""
    folder = tmp_path_factory.mktemp("own")
    for split, name, n in (("train", "train", 600), ("test", "t10k", 200)):
        arrays, _ = datasets.load("sample", None, split)
        files.write(folder / f"{name}-images-idx3-ubyte", idx.dump(arrays.images[:n]))
        files.write(folder / f"{name}-labels-idx1-ubyte", idx.dump(arrays.labels[:n]))
    return folder


@pytest.fixture
def own(digits, tmp_path):
    """These digits, in a folder where a test may leave what stubs look for."""
    return shutil.copytree(digits, tmp_path / "own")


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Here(Executor):
    """Performs each task at once, in this process; breaks as often as a file die-SEED says."""

    broken = False

    def submit(self, fn, /, model, seed, settings):
        future = Future()
        deaths = Path(settings["data_dir"]) / f"die-{seed}"
        if self.broken:
            raise BrokenExecutor
        if deaths.exists() and (left := int(deaths.read_text())):
            deaths.write_text(str(left - 1))
            self.broken = True
            future.set_exception(BrokenExecutor("a worker died"))
            return future
        try:
            future.set_result(fn(model, seed, settings))
        except (RuntimeError, MnistctlError) as fault:
            future.set_exception(fault)
        return future


HERE = Backend(lambda device, count: [WorkerSlot(Here, 1, device)])


def asked(own, tmp_path, count=4, models=("logit",), **given):
    usual = {"epochs": 1, "dataset": "own", "data_dir": own, "out_dir": tmp_path / "out", "name": "t"}
    options = RunOptions(**{k: v for k, v in (usual | given).items() if v is not None})
    return TrialsOptions(models=models, count=count, options=options)


def stubbed(*given, place=HERE, **flags):
    return run_trials(asked(*given), place, perform=stubs.perform, **flags)


def record(tmp_path):
    return read(tmp_path / "out/trials/t.jsonl")


def values(tmp_path, *left_out):
    """What the record has of each trial, but for what clocks say."""
    drop = {"seconds", "processor_seconds", "checksum", *left_out}
    return {
        task: {key: value for key, value in line.items() if key not in drop}
        for task, line in record(tmp_path).trials.items()
    }


def expected(count, first=0):
    outcomes = {seed: stubs.outcome(seed) for seed in range(first, first + count)}
    for told in outcomes.values():
        del told["seconds"], told["processor_seconds"]
    return {("logit", seed): {"model": "logit", "seed": seed} | told for seed, told in outcomes.items()}


def begun(own):
    """How often each seed's trial was begun, and by which processes."""
    pairs = [line.split() for line in (own / "begun").read_text().splitlines()]
    return Counter(int(seed) for seed, _ in pairs), {int(pid) for _, pid in pairs}


def alive(pids):
    """Those of the processes that are still there after 2 s, but for the dead that nobody has asked after."""
    until = time.monotonic() + 2
    while (found := _running(pids)) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def _running(pids):
    found = set()
    for pid in pids:
        ran = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
        if ran.stdout.strip() and not ran.stdout.startswith("Z"):
            found.add(pid)
    return found


# The trial itself


def settings(own, **given):
    sums = {}
    for split in ("train", "test"):
        sums |= datasets.load("own", own, split)[1]
    return {
        "epochs": 6,
        "batch_size": 100,
        "lr": None,
        "precision": "float32",
        "dataset": "own",
        "data_dir": str(own),
        "device": "cpu",
        "sha256": sums,
        "versions": versions(),
        **given,
    }


def alone(own, tmp_path, model, **given):
    """The digest and accuracy that `train MODEL --threads 1` leaves."""
    options = RunOptions(dataset="own", data_dir=own, out_dir=tmp_path, threads=1, device="cpu", **given)
    list(train(model, options, overwrite=True))
    told = json.loads(files.with_ending(options.run_path(model), "json").read_text())
    return told["digest"], told["accuracy"], [list(m.values()) for m in told["mismatches"]]


def assert_columns_are_those_of_train(model, own, tmp_path, seed, **given):
    told = run_trial(model, seed, settings(own, **given))
    assert told["results"].keys() == arms_of(model).keys()
    for column, name in arms_of(model).items():
        digest, accuracy, missed = alone(
            own, tmp_path, name, seed=seed, **{"epochs": 6, "batch_size": 100} | given
        )
        assert (told["digests"][column], told["results"][column]) == (digest, accuracy)
        assert told["wrong"][column] == missed


@pytest.mark.parametrize("model", ["logit", "swa"])
def test_a_trial_gives_the_bits_that_train_gives(model, own, tmp_path):
    assert_columns_are_those_of_train(model, own, tmp_path, 3, epochs=4)


@pytest.mark.long
@pytest.mark.parametrize("model", CLASSIFIERS)
def test_a_trial_of_any_model_gives_the_bits_that_train_gives(model, own, tmp_path):
    for seed, epochs in ((0, 6), (1, 1), (5, 3)):
        assert_columns_are_those_of_train(model, own, tmp_path, seed, epochs=epochs)


def test_the_shared_stretch_is_that_of_equal_rates():
    swa, wsimple = load("swa"), load("wsimple")
    assert shared_epochs(swa.baseline, swa) == 31  # of 50: the first averaged epoch is the last one shared
    assert shared_epochs(wsimple.baseline, wsimple) == 0
    assert arms_of("swa") == {"regular": "conv", "averaging": "swa"}
    assert arms_of("wsimple") == {"regular": "simple", "averaging": "wsimple"}
    for epochs, stretch in ((1, 1), (2, 2), (3, 3), (10, 7), (25, 16)):
        pair = [RunOptions(epochs=epochs).recipe(name) for name in ("conv", "swa")]
        assert shared_epochs(*pair) == stretch


def test_the_shared_stretch_is_trained_once(own, monkeypatch):
    epochs = []
    batches = classifier.iterate_batches

    def counted(training, recipe, train, epoch):
        epochs.append(epoch)
        return batches(training, recipe, train, epoch)

    monkeypatch.setattr(classifier, "iterate_batches", counted)
    run_trial("swa", 0, settings(own, epochs=5, batch_size=600))
    assert Counter(epochs) == {1: 1, 2: 1, 3: 1, 4: 1, 5: 2}


def test_a_worker_with_other_versions_or_digits_is_refused(own, tmp_path):
    other = settings(own)["versions"] | {"torch": "1.0"}
    with pytest.raises(UsageError, match=r"torch .*, not 1\.0"):
        run_trial("logit", 0, settings(own, versions=other))
    sums = settings(own)["sha256"]
    with pytest.raises(DataError, match="not those of the parent"):
        run_trial("logit", 0, settings(own, sha256=sums | {"t10k-labels-idx1-ubyte": "0"}))
    with pytest.raises(DataError, match="missing"):
        run_trial("logit", 0, settings(tmp_path / "nowhere"[:0], data_dir=str(tmp_path / "nowhere")))


def test_a_refusal_by_a_worker_stops_everything(own, tmp_path, monkeypatch):
    ours = versions()
    monkeypatch.setattr(worker, "versions", lambda: ours | {"numpy": "0"})

    def refuse(model, seed, told):
        worker._check_match("versions", told["versions"], worker.versions())

    with pytest.raises(UsageError, match="other versions: numpy"):
        list(run_trials(asked(own, tmp_path), HERE, perform=refuse))
    assert record(tmp_path).trials == {}


def test_a_trial_that_diverges_says_so(own):
    told = run_trial("logit", 0, settings(own, lr=1e30, epochs=1))
    assert told.keys() == {"diverged"}
    assert "no longer a finite number" in told["diverged"]


# The engine and the record, with stubs in this process


def test_each_trial_is_told_and_recorded_once(own, tmp_path):
    told = list(stubbed(own, tmp_path))
    assert isinstance(told[0], TrialsStarted)
    assert [event.seed for event in told if isinstance(event, TrialEnded)] == [0, 1, 2, 3]
    assert isinstance(told[-1], TrialsFinished)
    assert values(tmp_path) == expected(4)
    assert sorted(path.name for path in (tmp_path / "out/trials").iterdir()) == ["t.json", "t.jsonl", "t.png"]
    body = json.loads((tmp_path / "out/trials/t.json").read_text())
    assert files.verify_checksum((tmp_path / "out/trials/t.json").read_bytes())
    assert body["columns"][0]["accuracies"] == [stubs.outcome(seed)["results"]["logit"] for seed in range(4)]
    assert body["columns"][0]["errors"][0] == {"index": 0, "true": 3, "wrong": 1, "read": {"5": 1}}
    assert body["columns"][0]["confusion"][3][5] == 4
    assert sum(map(sum, body["columns"][0]["confusion"])) == 4 * 200


def test_the_values_do_not_depend_on_the_workers(own, tmp_path):
    """Real trials, of threads, which take turns since random draws belong to the process."""
    found = []
    for workers in (1, 2, 4):
        place = Backend(lambda device, n, w=workers: [WorkerSlot(lambda: ThreadPoolExecutor(w), w, device)])
        list(run_trials(asked(own, tmp_path), place, overwrite=True))
        found.append(values(tmp_path))
    assert found[0] == found[1] == found[2]
    assert len({line["digests"]["logit"] for line in found[0].values()}) == 4


@pytest.mark.parametrize("deaths", [3, 4])
def test_a_trial_is_begun_again_three_times_and_then_failed(deaths, own, tmp_path):
    (own / "die-1").write_text(str(deaths))
    told = []
    try:
        for event in stubbed(own, tmp_path):
            told.append(event)
    except FailedTrialsError as fault:
        assert (deaths, fault.exit_code) == (4, 6)
        assert "1 of 4" in str(fault)
        assert "--name t --resume" in str(fault)
    else:
        assert deaths == 3
    assert [event.times for event in told if isinstance(event, WorkerDied)] == [1, 2, 3]
    want = expected(4)
    if deaths == 4:
        want["logit", 1] = {"model": "logit", "seed": 1, "failed": "its worker died 4 times"}
    assert values(tmp_path) == want
    assert begun(own)[0] == Counter({0: 1, 2: 1, 3: 1} | ({1: 1} if deaths == 3 else {}))


def test_failed_trials_are_tried_again_on_resume_and_no_others(own, tmp_path):
    (own / "raise-2").touch()
    with pytest.raises(FailedTrialsError):
        list(stubbed(own, tmp_path))
    assert "RuntimeError: out of luck" in record(tmp_path).trials["logit", 2]["failed"]
    (own / "raise-2").unlink()
    with pytest.raises(FailedTrialsError):  # without --resume it only says how it stands
        list(stubbed(own, tmp_path))
    list(stubbed(own, tmp_path, resume=True))
    assert values(tmp_path) == expected(4)
    assert begun(own)[0] == {0: 1, 1: 1, 2: 2, 3: 1}


def test_a_diverging_trial_leaves_the_others_and_ends_with_6(own, tmp_path):
    (own / "diverge-1").touch()
    told = []
    with pytest.raises(FailedTrialsError, match="1 of 4 trials gave no result"):
        told.extend(stubbed(own, tmp_path))
    want = expected(4)
    want["logit", 1] = {"model": "logit", "seed": 1, "diverged": "the loss is nan"}
    assert values(tmp_path) == want
    with pytest.raises(FailedTrialsError):
        list(stubbed(own, tmp_path, resume=True))
    assert begun(own)[0][1] == 1  # it would only diverge again
    assert json.loads((tmp_path / "out/trials/t.json").read_text())["columns"][0]["n"] == 3


def stop_after(ended, *given, **flags):
    told = stubbed(*given, **flags)
    for event in told:
        if isinstance(event, TrialEnded) and not event.earlier:
            ended -= 1
            if not ended:
                break
    told.close()


@pytest.mark.parametrize("torn", [1, 40, 10_000])
def test_a_torn_last_line_is_repeated_and_nothing_else(torn, own, tmp_path):
    stop_after(3, own, tmp_path)
    path = tmp_path / "out/trials/t.jsonl"
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    path.write_bytes(whole[: -min(torn, len(last) - 1)])
    told = list(stubbed(own, tmp_path, resume=True))
    assert [event.earlier for event in told if isinstance(event, TrialEnded)] == [True, True, False, False]
    assert values(tmp_path) == expected(4)
    assert begun(own)[0] == {0: 1, 1: 1, 2: 2, 3: 1}
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    assert all(files.verify_checksum(line) for line in lines)


def test_a_damaged_earlier_line_is_refused_with_its_number(own, tmp_path):
    list(stubbed(own, tmp_path))
    path = tmp_path / "out/trials/t.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"90.", b"99.")
    path.write_bytes(b"".join(lines))
    with pytest.raises(CheckpointError, match="line 3 is damaged"):
        list(stubbed(own, tmp_path, resume=True))
    path.write_bytes(b"not a record\n")
    with pytest.raises(CheckpointError, match="not a record of trials"):
        list(stubbed(own, tmp_path))


def test_the_same_trials_again_are_done_already(own, tmp_path):
    list(stubbed(own, tmp_path))
    for flags in ({}, {"resume": True}):
        told = list(stubbed(own, tmp_path, **flags))
        assert told[-1].already
        assert not [event for event in told if isinstance(event, TrialEnded)]
    assert begun(own)[0] == {0: 1, 1: 1, 2: 1, 3: 1}


def test_what_stands_is_refused_with_both_ways_on(own, tmp_path):
    stop_after(2, own, tmp_path)
    with pytest.raises(UsageError, match=r"unfinished trials .*2 of 4") as refused:
        list(stubbed(own, tmp_path))
    for words in ("mnistctl trials logit --out-dir", "--name t --resume`", "--overwrite"):
        assert words in str(refused.value)
    list(stubbed(own, tmp_path, overwrite=True))
    stop_after(2, own, tmp_path, overwrite=True)  # the summary of what it replaces does not stay
    assert [path.name for path in (tmp_path / "out/trials").iterdir()] == ["t.jsonl"]
    list(stubbed(own, tmp_path, resume=True))
    with pytest.raises(UsageError, match="with -n 6"):
        list(stubbed(own, tmp_path, 6))
    with pytest.raises(UsageError, match="taken by other trials"):
        list(run_trials(asked(own, tmp_path, epochs=2), HERE, perform=stubs.perform))
    assert values(tmp_path) == expected(4)


def test_a_larger_n_extends_on_resume_and_a_smaller_one_is_refused(own, tmp_path):
    list(stubbed(own, tmp_path, 2))
    list(stubbed(own, tmp_path, 5, resume=True))
    assert values(tmp_path) == expected(5)
    assert begun(own)[0] == dict.fromkeys(range(5), 1)
    assert list(stubbed(own, tmp_path, None, resume=True))[-1].already
    with pytest.raises(CheckpointError, match="-n 3 is asked for, it has 5"):
        list(stubbed(own, tmp_path, 3, resume=True))


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("epochs", 2, "epochs 1, now 2"),
        ("batch_size", 50, "batch 100, now 50"),
        ("lr", 0.1, "rates"),
    ],
)
def test_what_changed_is_refused_by_name_unless_mixed_and_then_marked(field, value, told, own, tmp_path):
    stop_after(2, own, tmp_path)
    other = asked(own, tmp_path, **{field: value})
    with pytest.raises(CheckpointError, match=told) as refused:
        list(run_trials(other, HERE, perform=stubs.perform, resume=True))
    assert "--allow-mixed" in str(refused.value)
    list(run_trials(other, HERE, perform=stubs.perform, resume=True, allow_mixed=True))
    (note,) = record(tmp_path).resumed
    assert note["after"] == 2
    assert any(field[:4] in name for name in note["mixed"])
    assert json.loads((tmp_path / "out/trials/t.json").read_text())["mixed"] is True


def test_each_stretch_of_mixed_trials_is_marked_and_what_adds_none_is_not(own, tmp_path):
    stop_after(1, own, tmp_path)
    other = asked(own, tmp_path, epochs=2)
    mixed = {"resume": True, "allow_mixed": True}
    told = run_trials(other, HERE, perform=stubs.perform, **mixed)
    while not (isinstance(event := next(told), TrialEnded) and not event.earlier):
        pass
    told.close()
    list(stubbed(own, tmp_path, resume=True))  # as it began
    list(run_trials(other, HERE, perform=stubs.perform, **mixed))  # there is nothing left to do
    assert [(note["after"], "mixed" in note) for note in record(tmp_path).resumed] == [(1, True), (2, False)]


def test_other_digits_and_versions_are_refused(own, tmp_path, monkeypatch):
    stop_after(1, own, tmp_path)
    with monkeypatch.context() as patched:
        changed = versions() | {"torch": "9.9"}
        patched.setattr(trials_run, "versions", lambda: changed)
        with pytest.raises(CheckpointError, match=r"versions\.torch .*, now 9\.9"):
            list(stubbed(own, tmp_path, resume=True))
    path = own / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(CheckpointError, match=r"dataset\.sha256\.train-labels"):
        list(stubbed(own, tmp_path, resume=True))


def test_resume_knows_the_options_and_refuses_other_models_and_seeds(own, tmp_path):
    with pytest.raises(CheckpointError, match=r"no trials .*`mnistctl trials logit .*-n N` begins them"):
        list(stubbed(own, tmp_path, resume=True))
    stop_after(2, own, tmp_path)
    bare = asked(own, tmp_path, None, epochs=None, dataset=None, data_dir=None)
    with pytest.raises(CheckpointError, match="--seed 1 is asked for"):
        list(run_trials(asked(own, tmp_path, seed=1), HERE, resume=True, perform=stubs.perform))
    with pytest.raises(CheckpointError, match="has trials of logit"):
        list(run_trials(asked(own, tmp_path, models=("linear",)), HERE, resume=True))
    list(run_trials(bare, HERE, perform=stubs.perform, resume=True))
    assert values(tmp_path) == expected(4)


def test_a_second_parent_is_refused_at_once(own, tmp_path):
    first = stubbed(own, tmp_path)
    next(first)
    for flags in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(UsageError, match="another run of this name is going on"):
            next(stubbed(own, tmp_path, **flags))
    list(first)
    assert values(tmp_path) == expected(4)


def test_several_models_share_their_seeds_and_are_paired(own, tmp_path):
    body = list(run_trials(asked(own, tmp_path, 3, ("logit", "linear")), HERE))[-1].tally
    assert [column["label"] for column in body["columns"]] == ["logit", "linear"]
    assert all(column["seeds"] == [0, 1, 2] for column in body["columns"])
    (comparison,) = body["comparisons"]
    assert (comparison["from"], comparison["to"]) == ("logit", "linear")
    assert (comparison["method"], comparison["n"]) == ("paired", (3, 3))


# Beside published accuracies


def with_accuracies(accuracies, model="conv", asked=None):
    """A record as if these trials of `model` had been run in full on MNIST."""
    header = {
        "models": [model],
        "seed": 0,
        "count": len(accuracies),
        "started": "",
        "machine": {},
        "asked": {"epochs": None, "batch_size": None, "lr": None} | (asked or {}),
        "setting": {"columns": {model: {model: model}}, "dataset": {"name": "mnist"}},
        "support": [1000] * 10,
    }
    lines = {
        (model, seed): {"model": model, "seed": seed, "results": {model: value}, "wrong": {model: []}}
        for seed, value in enumerate(accuracies)
    }
    return TrialsJournal(header, lines)


THEIRS = load_published("ktorch")["models"]


@pytest.mark.parametrize(
    ("ours", "require", "met"),
    [
        (THEIRS["conv"]["accuracies"], "same", True),
        (THEIRS["conv"]["accuracies"], "better", False),
        ([99.68, 99.70, 99.69, 99.66], "better", True),
        ([99.38, 99.40, 99.39, 99.36], "same", False),
        ([99.59], "same", False),
        ([99.65, 99.65], "better", True),
    ],
)
def test_a_requirement_is_met_by_the_interval_of_the_difference(ours, require, met):
    body = summarize_trials(with_accuracies(ours), "ktorch", require)
    assert (body["unmet"] == []) is met
    (row,) = body["against"]
    assert row["says"]
    assert row["n"] == (100, len(ours))


def test_a_single_published_run_is_taken_as_one_draw_and_said_to_be_one():
    body = summarize_trials(with_accuracies([99.30, 99.36, 99.33, 99.31], "lstm"), "ktorch", "same")
    (row,) = body["against"]
    assert (row["method"], row["n"]) == ("single", (1, 4))
    assert "a single run" in row["says"]
    assert body["unmet"] == []


def test_trials_unlike_the_published_ones_are_said_to_be(own, tmp_path):
    (row,) = summarize_trials(with_accuracies([99.5, 99.6], asked={"epochs": 10}), "ktorch")["against"]
    assert row["unlike"] == ["--epochs 10"]


def test_an_unmet_requirement_ends_with_7_after_the_results(own, tmp_path):
    told = []
    with pytest.raises(UnmetError, match="--require same: logit is not shown to be as good") as fault:
        for event in stubbed(own, tmp_path, reference="ktorch", require="same"):
            told.append(event)
    assert fault.value.exit_code == 7
    assert isinstance(told[-1], TrialsFinished)


@pytest.mark.parametrize("asked", [(), ("--json",), ("--quiet",)])
def test_results_are_printed_before_the_program_ends_with_6_or_7(asked, own, tmp_path, capsys):
    list(stubbed(own, tmp_path))
    words = ["trials", "logit", "-n", "4", "--epochs", "1", "--dataset", "own", "--data-dir", str(own)]
    words += ["--out-dir", str(tmp_path / "out"), "--name", "t", "--reference", "ktorch"]
    with pytest.raises(UnmetError):
        app([*words, "--require", "same", *asked], standalone_mode=False)
    printed = capsys.readouterr().out
    if not asked:
        assert "95 % interval" in printed
        assert f"see {tmp_path}/out/trials/t.json" in printed
    elif asked == ("--json",):
        assert json.loads(printed)["unmet"]
    else:
        assert float(printed) > 0


# Real processes


LOCAL = get_backend(workers=2)


def test_a_killed_worker_costs_only_its_own_trial_a_try(own, tmp_path):
    (own / "die-1").write_text("3")
    told = list(stubbed(own, tmp_path, place=LOCAL))
    assert sum(isinstance(event, WorkerDied) for event in told) == 3
    assert values(tmp_path) == expected(4)
    count, pids = begun(own)
    assert count == {0: 1, 1: 4, 2: 1, 3: 1}
    assert not alive(pids)


def test_a_process_of_its_own_gives_the_bits_of_this_one(own, tmp_path):
    list(run_trials(asked(own, tmp_path, 1, seed=2), get_backend(workers=1)))
    (line,) = values(tmp_path).values()
    assert line["digests"] == run_trial("logit", 2, settings(own, epochs=1))["digests"]
    assert "machine" not in line  # that of the record's head


class Sitting:
    """The command in a process group of its own, as a terminal has it, with stubs for trials."""

    def __init__(self, own, tmp_path, *words):
        where = ("--dataset", "own", "--data-dir", str(own), "--out-dir", str(tmp_path / "out"))
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MNISTCTL_")}
        self.process = subprocess.Popen(
            [sys.executable, str(STUBS), "trials", "logit", "--name", "t", "--epochs", "1", *where, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean,
            start_new_session=True,
        )

    def until(self, *shown):
        for line in self.process.stdout:
            if line.split()[:2] == list(shown):
                return
        raise AssertionError(self.process.communicate()[1])

    def end(self):
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_a_stopped_parent_leaves_no_orphans_and_resume_goes_on(number, own, tmp_path):
    (own / "slow").write_text("0.15")
    sitting = Sitting(own, tmp_path, "-n", "8", "--workers", "2")
    sitting.until("logit", "2")
    (own / "slow").write_text("60")
    time.sleep(0.5)  # both workers are in a trial that would take a minute
    began = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(sitting.process.pid, number)  # as a terminal does
    else:
        sitting.process.send_signal(number)
    code, _, err = sitting.end()
    assert time.monotonic() - began < 2
    _, pids = begun(own)
    assert not alive(pids)
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    if number != signal.SIGKILL:
        assert err.count("\n") == 1
        assert "--name t --workers 2 --resume` goes on from the trials that have ended" in err
    else:
        path = tmp_path / "out/trials/t.jsonl"
        path.write_bytes(path.read_bytes()[:-9])  # the last line, torn
    ended = {seed for _, seed in record(tmp_path).trials}  # the slower worker may not have ended its first
    assert 2 <= len(ended) < 8
    (own / "slow").unlink()
    told = list(stubbed(own, tmp_path, None, place=get_backend(workers=1), resume=True))
    assert sum(event.earlier for event in told if isinstance(event, TrialEnded)) == len(ended)
    assert values(tmp_path) == expected(8)
    again, _ = begun(own)
    assert all(again[seed] == 1 for seed in ended)
    assert max(again.values()) == 2


def test_the_command_prints_rows_table_statistics_and_paths(own, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(run_trials.__kwdefaults__, "perform", stubs.perform)
    monkeypatch.setattr(executors, "get_backend", lambda *_, **__: HERE)
    words = ["trials", "logit", "-n", "4", "--dataset", "own", "--data-dir", str(own), "--epochs", "1"]
    words += ["--out-dir", str(tmp_path / "out"), "--name", "t"]
    app([*words, "--reference", "ktorch"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert "logit         1      0.1  90.37 %" in lines
    table = lines.index("accuracy| logit")
    assert lines[table + 1 : table + 6] == [
        *("--------| -----", "90.00   | 1", "90.11   | 1", "90.37   | 1", "90.74   | 1")
    ]
    assert any(line.startswith("logit                   4  90.3050") for line in lines)
    assert any("less ktorch's logit: -2.0750 points" in line for line in lines)
    assert any("these have --epochs 1, --dataset own" in line for line in lines)
    assert "  test digit 0, a 3: wrong in 1 of 4, read as 5 (1)" in lines
    assert lines[-1].startswith("see") is False
    assert [line.rpartition(".")[2] for line in lines if line.startswith("wrote ")] == [
        "jsonl",
        "png",
        "json",
    ]
    app([*words, "--json"], standalone_mode=False)
    body = json.loads(capsys.readouterr().out)
    assert (body["version"], body["already"], body["columns"][0]["n"]) == (1, True, 4)
    app([*words, "--quiet"], standalone_mode=False)
    assert capsys.readouterr().out == "90.3050\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("cnov", "-n", "2"), "did you mean conv"),
        (("logit",), "-n is missing"),
        (("logit", "-n", "0"), "-n 0"),
        (("logit", "-n", "2", "--epochs", "0"), "--epochs 0"),
        (("logit", "-n", "2", "--seed", "-1"), "--seed -1"),
        (("logit", "logit", "-n", "2"), "named twice"),
        (("logit", "-n", "2", "--workers", "0"), "--workers 0"),
        (("logit", "-n", "2", "--name", "a/b"), "--name"),
        (("logit", "-n", "2", "--require", "same"), "--reference"),
        (("logit", "-n", "2", "--reference", "keras"), "ktorch"),
        (("logit", "-n", "2", "--allow-mixed"), "--resume"),
        (("logit", "-n", "2", "--resume", "--overwrite"), "--overwrite"),
        (("logit", "-n", "2", "--device", "tpu"), "--device"),
        (("logit", "-n", "2", "--batch-size", "5000"), "--batch-size"),
        (("logit", "-n", "2", "--scheduler", "tcp://127.0.0.1:1"), "--executor dask"),
        (("logit", "-n", "2", "--executor", "nowhere:at_all"), "nowhere"),
        (("logit", "-n", "2", "--executor", "elsewhere"), "module:factory"),
        (("logit", "-n", "2", "--executor", "dask", "--scheduler", "tcp://10.0.0.1:8786"), "--insecure"),
    ],
)
def test_a_bad_request_is_a_usage_error_and_leaves_nothing(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=told):
        app(["trials", *words, "--dataset", "sample"], standalone_mode=False)
    assert not list(tmp_path.glob("out/trials/*"))


def test_a_record_that_cannot_be_written_is_an_error_of_output(own, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/trials").write_text("here first")
    with pytest.raises(OutputError, match="--out-dir"):
        list(stubbed(own, tmp_path))


def test_any_executor_will_do_and_its_trials_are_the_same(own, tmp_path, monkeypatch):
    monkeypatch.setattr(stubs, "factory", Here, raising=False)
    list(stubbed(own, tmp_path, place=get_backend("stubs:factory")))
    assert values(tmp_path) == expected(4)
    monkeypatch.setattr(stubs, "factory", dict)
    with pytest.raises(UsageError, match="it gives no concurrent"):
        list(stubbed(own, tmp_path, place=get_backend("stubs:factory"), overwrite=True))


def test_the_cuda_devices_are_dealt_out(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [slot.device for slot in get_backend().slots("cuda", 9)] == ["cuda:0", "cuda:1"]
    more = get_backend(workers=3).slots("cuda", 9)
    assert [slot.device for slot in more] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [slot.device for slot in get_backend(workers=2).slots("cuda:1", 9)] == ["cuda:1"] * 2
    assert len(get_backend(workers=5).slots("cpu", 3)) == 3


@pytest.mark.long
def test_real_trials_are_the_same_for_1_2_and_4_processes_one_of_them_killed(own, tmp_path):
    found = []
    for workers in (1, 2, 4):
        lost = 0
        many = asked(own, tmp_path, 8, ("logit", "swa"), batch_size=100)
        for number, event in enumerate(run_trials(many, get_backend(workers=workers))):
            lost += isinstance(event, WorkerDied)
            if (workers, number) == (4, 3):
                multiprocessing.active_children()[0].kill()
        assert lost <= 1  # none if it had nothing to do
        found.append(values(tmp_path))
        shutil.rmtree(tmp_path / "out")
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 16
    digest, _, _ = alone(own, tmp_path, "logit", seed=5, epochs=1, batch_size=100)
    assert found[0]["logit", 5]["digests"]["logit"] == digest


# A cluster


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("tcp://127.0.0.1:8786", True),
        ("127.0.0.1:8786", True),
        ("tcp://[::1]:8786", True),
        ("localhost:8786", True),
        ("tls://10.1.2.3:8786", True),
        ("tcp://10.1.2.3:8786", False),
        ("head-node:8786", False),
        ("ws://10.1.2.3:1", False),
        ("tcp://127.0.0.1.evil.example:8786", False),
    ],
)
def test_a_scheduler_is_safe_on_this_machine_or_by_tls(address, safe):
    assert is_safe_address(address) is safe


def test_without_dask_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'mnistctl\[cluster\]'"):
        get_backend("dask")


@pytest.fixture
def cluster(tmp_path):
    """A Dask scheduler and two workers on 127.0.0.1, without nannies: its address and the workers."""
    clean = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    started = []

    def start(*words):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen([sys.executable, *words], env=clean, cwd=tmp_path, **quiet))

    written = tmp_path / "scheduler.json"
    start(
        *("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"),
        *("--no-dashboard", "--scheduler-file", str(written)),
    )
    for _ in range(300):
        if written.exists() and written.stat().st_size:
            break
        time.sleep(0.1)
    address = json.loads(written.read_text())["address"]
    for _ in range(2):
        start(
            *("-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"),
            *("--host", "127.0.0.1", "--no-dashboard", "--local-directory", str(tmp_path / "dask")),
        )
    yield address, written, started[1:]
    for process in started:
        process.kill()
        process.wait()


def test_a_cluster_gives_the_same_values_though_a_worker_is_killed(cluster, own, tmp_path):
    address, written, workers = cluster
    (own / "slow").write_text("0.2")
    told = []
    for event in stubbed(own, tmp_path, 8, place=get_backend("dask", scheduler=address)):
        told.append(event)
        if isinstance(event, TrialEnded) and event.seed and workers[0].poll() is None:
            _, pids = begun(own)
            if len(pids) == 2:
                workers[0].kill()
    assert workers[0].poll() is not None
    assert values(tmp_path) == expected(8)
    assert sum(isinstance(event, TrialEnded) for event in told) == 8
    again = list(stubbed(own, tmp_path, 9, place=get_backend("dask", scheduler_file=written), resume=True))
    assert sum(isinstance(event, TrialEnded) and not event.earlier for event in again) == 1


@pytest.mark.long
def test_real_trials_on_a_cluster_are_those_of_this_machine(cluster, own, tmp_path):
    address, _, workers = cluster
    many = asked(own, tmp_path, 6, ("logit", "swa"), epochs=3, batch_size=100)
    list(run_trials(many, get_backend(workers=2)))
    local = values(tmp_path)
    killed = False
    for event in run_trials(many, get_backend("dask", scheduler=address), overwrite=True):
        if isinstance(event, TrialEnded) and not killed:
            workers[0].kill()
            killed = True
    assert values(tmp_path) == local


@pytest.mark.long
def test_a_cluster_of_ones_own_ends_with_the_trials_or_ctrl_c(own, tmp_path):
    list(stubbed(own, tmp_path, place=get_backend("dask", workers=2)))
    assert values(tmp_path) == expected(4)
    assert not alive(begun(own)[1])
    (own / "slow").write_text("60")
    sitting = Sitting(own, tmp_path, "-n", "8", "--executor", "dask", "--workers", "2", "--overwrite")
    while len(begun(own)[0] if (own / "begun").exists() else ()) < 4 or sum(begun(own)[0].values()) < 6:
        time.sleep(0.1)
    began = time.monotonic()
    os.killpg(sitting.process.pid, signal.SIGINT)
    code, _, err = sitting.end()
    assert time.monotonic() - began < 2
    assert (code, err.count("\n")) == (130, 1)
    assert "--executor dask --workers 2 --resume`" in err
    time.sleep(0.5)
    assert not alive(begun(own)[1])


@pytest.mark.long
@pytest.mark.parametrize("deaths", [3, 4])
def test_a_cluster_begins_a_trial_again_three_times_too(deaths, own, tmp_path):
    (own / "die-1").write_text(str(deaths))
    told = stubbed(own, tmp_path, place=get_backend("dask", workers=2))
    if deaths == 3:
        list(told)
        assert values(tmp_path) == expected(4)
    else:
        with pytest.raises(FailedTrialsError, match="1 of 4"):
            list(told)
        assert record(tmp_path).trials["logit", 1]["failed"].startswith("KilledWorker")
        others = {task: line for task, line in values(tmp_path).items() if task[1] != 1}
        assert others == {task: line for task, line in expected(4).items() if task[1] != 1}


def test_a_scheduler_that_is_not_there_is_one_line(own, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(MnistctlError, match=r"tcp://127\.0\.0\.1:9"):
        list(stubbed(own, tmp_path, place=get_backend("dask", scheduler="tcp://127.0.0.1:9")))
