"""A run that is stopped can be resumed, and ends with the same files as an uninterrupted one."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.errors import CheckpointError, DivergedError, OutputError, UsageError
from mnistctl.training import checkpoints, config
from mnistctl.training.checkpoints import RunCheckpoints
from mnistctl.training.events import Epoch, Finished
from mnistctl.training.options import RunOptions
from mnistctl.training.record import read_record
from mnistctl.training.run import train

SLOWED = Path(__file__).parents[1] / "slowed.py"
EPOCHS = 6
KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
TIMES = ("seconds", "processor_seconds", "training_seconds", "started", "resumed", "checksum")


@dataclass
class Session:
    """The program in a process of its own, with one thread and a pause before every step."""

    folder: Path
    words: tuple[str, ...]
    pause: float = 0.05

    def __enter__(self):
        words = [sys.executable, str(SLOWED), str(self.pause), *self.words]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MNISTCTL_")}
        self.process = subprocess.Popen(
            words, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean
        )
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def wait_for(self, start):
        """Read its output up to the line that starts so."""
        for line in self.process.stdout:
            if line.lstrip().startswith(start):
                return
        raise AssertionError(self.process.communicate()[1])

    def wait(self):
        """Wait for its end; return the exit code and what it printed to stderr."""
        _, err = self.process.communicate(timeout=300)
        return self.process.returncode, err

    def stop(self, number):
        """Send the signal; return the seconds until its end, the exit code and what it printed to stderr."""
        started = time.monotonic()
        self.process.send_signal(number)
        result = self.wait()
        return time.monotonic() - started, *result


def command(model, own, out, *more):
    """The arguments of a run of six epochs, named `run`."""
    recipe = ("--epochs", str(EPOCHS), "--batch-size", "100", "--dataset", "own", "--threads", "1")
    folders = ("--data-dir", str(own), "--out-dir", str(out), "--name", "run")
    return ("train", model, *recipe, *folders, *more)


def files_without_times(out):
    """The contents of a run's files, without times."""
    record = json.loads((out / "run.json").read_text())
    log = [json.loads(line) for line in (out / "run.jsonl").read_text().splitlines()]
    record = {key: value for key, value in record.items() if key not in TIMES}
    for row in log + record.get("swa", []):
        del row["seconds"]
        row.pop("ended", None)
    others = {p.name: p.read_bytes() for p in out.iterdir() if p.suffix not in (".json", ".jsonl")}
    return record, log, others


def run_to_the_end(folder, words):
    with Session(folder, words) as session:
        code, err = session.wait()
    assert code == 0, err


def assert_stopped(code, err):
    assert code in (-signal.SIGKILL, 130, 143), err
    if code > 0:
        assert err.count("\n") == 1
        assert "--resume` continues" in err


@pytest.fixture(scope="module")
def whole(own, tmp_path_factory):
    """The files of an uninterrupted run of linear in this process, with the command that gives them."""
    out = tmp_path_factory.mktemp("whole") / "out"
    same = {"epochs": EPOCHS, "batch_size": 100, "dataset": "own", "threads": 1}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MNISTCTL_OFFLINE", "1")
        list(train("linear", RunOptions(**same, data_dir=own, out_dir=out, name="run")))
    record, log, others = files_without_times(out)
    words = f"--epochs {EPOCHS} --batch-size 100 --threads 1 --dataset own --name run"
    return record | {"command": f"mnistctl train linear {words}"}, log, others


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, *(pytest.param(n, marks=pytest.mark.long) for n in (signal.SIGINT, signal.SIGTERM))],
)
def test_resumed_run_leaves_the_files_of_an_uninterrupted_one(number, whole, own, tmp_path):
    with Session(tmp_path, command("linear", own, "parts")) as session:
        session.wait_for("2  ")
        seconds, code, err = session.stop(number)
    assert seconds < 20
    assert code == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert_stopped(code, err)
    names = sorted(path.name for path in (tmp_path / "parts/run.unfinished").iterdir())
    assert [name for name in names if not name.startswith(".")] == [
        "epoch-0001.safetensors",
        "epoch-0002.safetensors",
        "log.jsonl",
    ]
    # Its options come from the checkpoint. The command only says where it is.
    where = ("--name", "run", "--out-dir", "parts")
    with Session(tmp_path, ("train", "linear", "--resume", *where)) as session:
        session.wait_for("resuming after epoch 2 of 6")
        code, err = session.wait()
    assert code == 0, err
    assert files_without_times(tmp_path / "parts") == whole
    assert json.loads((tmp_path / "parts/run.json").read_text())["resumed"] == [{"after": 2}]


@pytest.mark.long
@pytest.mark.parametrize("model", [*models.CLASSIFIERS, *models.GENERATORS])
def test_every_model_can_be_stopped_anywhere_and_resumed(model, own, tmp_path):
    rng = random.Random(model)
    run_to_the_end(tmp_path, command(model, own, "whole"))
    whole = files_without_times(tmp_path / "whole")
    epoch = json.loads((tmp_path / "whole/run.json").read_text())["training_seconds"] / EPOCHS
    averaged = getattr(RunOptions(epochs=EPOCHS).recipe(model), "swa_epochs", 0)
    first = EPOCHS - averaged + 1
    for after in [3, *([first - 1, first, EPOCHS] if averaged else [])]:
        out = f"after {after}"
        with Session(tmp_path, command(model, own, out)) as session:
            session.wait_for(f"{after}  ")
            session.stop(signal.SIGKILL)
        run_to_the_end(tmp_path, command(model, own, out, "--resume"))
        assert files_without_times(tmp_path / out) == whole
    for kill, number in enumerate(KILLS):
        more = ("--resume",) if kill else ()
        with Session(tmp_path, command(model, own, "parts", *more)) as session:
            session.wait_for("epoch  ")  # the header of the table
            time.sleep(epoch * rng.uniform(0, 1.3 if kill else 0.8))
            seconds, code, err = session.stop(number)
        assert seconds < 20
        assert_stopped(code, err)
    run_to_the_end(tmp_path, command(model, own, "parts", "--resume"))
    assert files_without_times(tmp_path / "parts") == whole


# In this process: a run is a generator, and closing it stops it.


def make_options(own, tmp_path, **fields):
    usual = {"epochs": 3, "dataset": "own", "data_dir": own, "out_dir": tmp_path / "out"}
    return RunOptions(**usual | fields)


def train_for(epochs, options, model="logit", **flags):
    """Train for this number of epochs and stop."""
    run = train(model, options, **flags)
    next(event for event in run if isinstance(event, Epoch) and event.epoch == epochs)
    run.close()


def finish(options, model="logit", **flags):
    """Train to the end and return the events."""
    return list(train(model, options, **flags))


def test_unfinished_run_is_not_started_again_unless_resumed_or_overwritten(own, tmp_path):
    options = make_options(own, tmp_path, name="mine")
    train_for(2, options)
    with pytest.raises(UsageError, match=r"out/mine: unfinished run \(after epoch 2 of 3\)") as refused:
        finish(options)
    assert refused.value.remedies == ("resume", "overwrite", "name")
    finish(options, overwrite=True)
    assert not (tmp_path / "out/mine.unfinished").exists()


def test_resuming_a_finished_run_returns_its_record(own, tmp_path):
    trained = finish(make_options(own, tmp_path))[-1]
    (event,) = finish(make_options(own, tmp_path, epochs=None), resume=True)
    assert event == Finished(trained.record, already=True)
    with pytest.raises(CheckpointError, match=r"epochs 4: .* has 3"):
        finish(make_options(own, tmp_path, epochs=4), resume=True)


def test_nothing_to_resume_is_an_error(own, tmp_path):
    with pytest.raises(CheckpointError, match="out/logit-own: nothing to resume") as refused:
        finish(make_options(own, tmp_path), resume=True)
    assert refused.value.remedies == ("start",)


def test_nothing_to_resume_suggests_an_unfinished_run(own, tmp_path):
    train_for(1, make_options(own, tmp_path, name="mine"))
    with pytest.raises(CheckpointError, match=r"out/mime: nothing to resume; did you mean mine\?"):
        finish(make_options(own, tmp_path, name="mime"), resume=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 4), ("batch_size", 50), ("lr", 0.1), ("seed", 1), ("precision", "bf16"), ("model", "linear")],
)
def test_option_that_differs_is_refused_with_both_values(field, value, own, tmp_path):
    train_for(1, make_options(own, tmp_path, name="n"))
    model, fields = (value, {}) if field == "model" else ("logit", {field: value})
    with pytest.raises(CheckpointError, match=str(value)) as refused:
        finish(make_options(own, tmp_path, name="n", **fields), model, resume=True)
    saved = {"epochs": 3, "batch_size": 100, "lr": 0.04, "seed": 0, "precision": "float32", "model": "logit"}
    assert str(saved[field]) in str(refused.value)
    assert refused.value.exit_code == 5


def test_other_initial_weights_are_refused_also_of_a_finished_run(own, tmp_path):
    for seed in (0, 1):
        finish(make_options(own, tmp_path, epochs=1, seed=seed, name=f"seed{seed}"))
    first, other = (tmp_path / f"out/seed{seed}.safetensors" for seed in (0, 1))
    train_for(1, make_options(own, tmp_path, name="n", init=first))
    with pytest.raises(CheckpointError, match="out/n started from other weights") as refused:
        finish(make_options(own, tmp_path, name="n", init=other), resume=True)
    assert (refused.value.field, refused.value.value, refused.value.exit_code) == ("init", other, 5)
    kept = first.rename(tmp_path / "moved.safetensors")
    finish(make_options(own, tmp_path, name="n", init=first), resume=True)  # the run itself needs it no more
    with pytest.raises(CheckpointError, match="out/n started from other weights"):
        finish(make_options(own, tmp_path, name="n", init=other), resume=True)
    (event,) = finish(make_options(own, tmp_path, name="n", init=kept), resume=True)
    assert event.already


def test_other_thread_count_is_refused_unless_allowed_and_then_recorded(own, tmp_path, monkeypatch):
    train_for(1, make_options(own, tmp_path, threads=1))
    monkeypatch.setattr(config, "set_threads", lambda count: 2)
    with pytest.raises(CheckpointError, match=r"threads 1, now 2") as refused:
        finish(make_options(own, tmp_path), resume=True)
    assert refused.value.remedies == ("allow_inexact",)
    finish(make_options(own, tmp_path), resume=True, allow_inexact=True)
    body = json.loads((tmp_path / "out/logit-own.json").read_text())
    assert body["resumed"] == [{"after": 1, "environment_changes": {"threads": [1, 2]}}]
    assert body["threads"] == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("torch", "1.0"),
        ("mnistctl", "0.0"),
        ("processor", "another"),
        ("vectors", "none"),
        ("instructions", "amx"),
        ("gpu", "one"),
    ],
)
def test_another_machine_or_version_is_refused_unless_allowed(name, value, own, tmp_path, monkeypatch):
    train_for(1, make_options(own, tmp_path))
    if name in ("torch", "mnistctl"):
        patched = (config, "__version__") if name == "mnistctl" else (config.torch, "__version__")
        monkeypatch.setattr(*patched, value)
    else:
        change = {"features": (value,)} if name == "instructions" else {name: value}
        machine = replace(config.machine_info(), **change)
        monkeypatch.setattr(config, "machine_info", lambda device: machine)
    with pytest.raises(CheckpointError, match=f"{name} .*, now {value}"):
        finish(make_options(own, tmp_path), resume=True)
    last = finish(make_options(own, tmp_path), resume=True, allow_inexact=True)[-1]
    assert isinstance(last, Finished)


def test_instructions_that_an_earlier_version_did_not_save_are_no_change(own, tmp_path, monkeypatch):
    machines = [replace(config.machine_info(), features=each) for each in (("amx_bf16",), ())]
    monkeypatch.setattr(config, "machine_info", lambda device: machines.pop())
    train_for(1, make_options(own, tmp_path))
    assert isinstance(finish(make_options(own, tmp_path), resume=True)[-1], Finished)


def test_changed_data_are_refused(own, tmp_path):
    train_for(1, make_options(own, tmp_path))
    copy = tmp_path / "copy"
    shutil.copytree(own, copy)
    labels = bytearray((copy / "train-labels-idx1-ubyte").read_bytes())
    labels[-1] ^= 1
    (copy / "train-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(CheckpointError, match="the data differ"):
        finish(make_options(copy, tmp_path), resume=True)


def test_unfinished_run_of_an_older_format_is_refused_in_one_sentence(own, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "FORMAT", 2)
        train_for(1, make_options(own, tmp_path))
    for flags in ({"resume": True}, {}):
        with pytest.raises(CheckpointError, match="an unfinished run of an older version") as refused:
            finish(make_options(own, tmp_path), **flags)
        assert refused.value.remedies == ("overwrite",)
    finish(make_options(own, tmp_path), overwrite=True)


def test_second_run_of_the_same_name_is_refused_at_once(own, tmp_path):
    options = make_options(own, tmp_path)
    run = train("logit", options)
    next(run)
    for flags in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(UsageError, match="in use by another process"):
            next(train("logit", options, **flags))
    finish(make_options(own, tmp_path, name="other"))
    run.close()
    assert isinstance(finish(options, resume=True)[-1], Finished)
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_run_stopped_between_record_and_deletion_of_checkpoints_is_finished(own, tmp_path, monkeypatch):
    options = make_options(own, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(RunCheckpoints, "clear", lambda self: None)
        finish(options)
    assert (tmp_path / "out/logit-own.unfinished").is_dir()
    (event,) = finish(options)
    assert event.already
    assert not (tmp_path / "out/logit-own.unfinished").exists()


def test_unfinished_replacement_leaves_the_finished_run_unchanged(own, tmp_path):
    finish(make_options(own, tmp_path))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    train_for(2, make_options(own, tmp_path, seed=1), overwrite=True)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    finish(make_options(own, tmp_path, seed=None), resume=True)
    assert read_record(tmp_path / "out/logit-own.json").seed == 1


def test_damaged_checkpoint_is_reported_and_never_skipped(own, tmp_path):
    train_for(2, make_options(own, tmp_path))
    newest = tmp_path / "out/logit-own.unfinished/epoch-0002.safetensors"
    content = bytearray(newest.read_bytes())
    content[-5] ^= 1
    newest.write_bytes(content)
    for flags in ({"resume": True}, {}):
        with pytest.raises(CheckpointError, match=r"epoch-0002.*delete it to continue after epoch 1"):
            finish(make_options(own, tmp_path), **flags)
    newest.unlink()
    run = finish(make_options(own, tmp_path), resume=True)
    assert [e.epoch for e in run if isinstance(e, Epoch)] == [1, 2, 3]


def test_checkpoint_that_its_run_deletes_while_it_is_read_is_not_damaged(own, tmp_path, monkeypatch):
    train_for(2, make_options(own, tmp_path))
    saved, read = RunCheckpoints(tmp_path / "out/logit-own"), checkpoints._read

    def read_too_late(path):
        path.unlink()
        return read(path)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "_read", read_too_late)
        assert saved.load() is None  # each was deleted before it was read


def test_deleted_folder_ends_the_run_and_is_not_created_again(own, tmp_path):
    with pytest.raises(OutputError, match="was deleted"):
        for event in train("logit", make_options(own, tmp_path)):
            if isinstance(event, Epoch):
                shutil.rmtree(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_diverged_run_keeps_its_last_checkpoint(own, tmp_path):
    with pytest.raises(DivergedError, match="checkpoint after epoch 0 is kept"):
        finish(make_options(own, tmp_path, lr=1e30), "linear")
    assert RunCheckpoints(tmp_path / "out/linear-own").load().header.progress.epochs == []
