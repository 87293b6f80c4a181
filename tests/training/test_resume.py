"""A run that is stopped, however and whenever, goes on and ends as one that was not."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mnistctl import models
from mnistctl.artifacts import checkpoint, record
from mnistctl.errors import CheckpointError, DivergedError, OutputError, UsageError
from mnistctl.training import config
from mnistctl.training.checkpoints import RunCheckpoints
from mnistctl.training.events import Epoch, Finished
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train

SLOWED = Path(__file__).parents[1] / "slowed.py"
EPOCHS = 6
KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
OF_TIME = ("seconds", "processor_seconds", "training_seconds", "started", "resumed", "checksum")


@dataclass
class Sitting:
    """The program at work in a process of its own, one thread, each step slowed."""

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

    def until(self, shown):
        """Read on to the line that begins so."""
        for line in self.process.stdout:
            if line.lstrip().startswith(shown):
                return
        raise AssertionError(self.process.communicate()[1])

    def end(self):
        """The exit code, and what it printed to stderr."""
        _, told = self.process.communicate(timeout=300)
        return self.process.returncode, told

    def stop(self, number):
        """Send the signal; the seconds it took to end, the exit code and what it printed to stderr."""
        began = time.monotonic()
        self.process.send_signal(number)
        ended = self.end()
        return time.monotonic() - began, *ended


def asked(model, own, out, *more):
    return (
        *(
            "train",
            model,
            "--epochs",
            str(EPOCHS),
            "--batch-size",
            "100",
            "--dataset",
            "own",
            "--threads",
            "1",
        ),
        *("--data-dir", str(own), "--out-dir", str(out), "--name", "run", *more),
    )


def result(out):
    """All that a run left, but for what clocks say."""
    told = json.loads((out / "run.json").read_text())
    lines = [json.loads(line) for line in (out / "run.jsonl").read_text().splitlines()]
    kept = {key: value for key, value in told.items() if key not in OF_TIME}
    for line in lines + kept.get("averages", []):
        del line["seconds"]
        line.pop("ended", None)
    rest = {p.name: p.read_bytes() for p in out.iterdir() if p.suffix not in (".json", ".jsonl")}
    return kept, lines, rest


def finish(folder, words):
    with Sitting(folder, words) as sitting:
        code, told = sitting.end()
    assert code == 0, told


def stopped(code, told):
    assert code in (-signal.SIGKILL, 130, 143), told
    if code > 0:
        assert told.count("\n") == 1
        assert "--resume` goes on" in told


@pytest.fixture(scope="module")
def whole(own, tmp_path_factory):
    """What a run of linear leaves that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    finish(folder, asked("linear", own, "out"))
    return result(folder / "out")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_ends_as_one_that_was_not(number, whole, own, tmp_path):
    with Sitting(tmp_path, asked("linear", own, "parts")) as sitting:
        sitting.until("2  ")
        seconds, code, told = sitting.stop(number)
    assert seconds < 2
    assert code == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    stopped(code, told)
    names = sorted(path.name for path in (tmp_path / "parts/run.unfinished").iterdir())
    assert [name for name in names if not name.startswith(".")] == [
        "epoch-0001.safetensors",
        "epoch-0002.safetensors",
    ]
    # By its own options: all that is told is where it is.
    where = ("--name", "run", "--out-dir", "parts")
    with Sitting(tmp_path, ("train", "linear", "--resume", *where)) as sitting:
        sitting.until("going on after epoch 2 of 6")
        code, told = sitting.end()
    assert code == 0, told
    assert result(tmp_path / "parts") == whole
    assert json.loads((tmp_path / "parts/run.json").read_text())["resumed"] == [{"after": 2}]


@pytest.mark.long
@pytest.mark.parametrize("model", [*models.CLASSIFIERS, *models.GENERATORS])
def test_any_model_stopped_anywhere_ends_as_one_that_was_not(model, own, tmp_path):
    rng = random.Random(model)
    finish(tmp_path, asked(model, own, "whole"))
    whole = result(tmp_path / "whole")
    epoch = json.loads((tmp_path / "whole/run.json").read_text())["training_seconds"] / EPOCHS
    averaged = getattr(RunOptions(model=model, epochs=EPOCHS).recipe(), "swa_epochs", 0)
    first = EPOCHS - averaged + 1
    for after in [3, *([first - 1, first, EPOCHS] if averaged else [])]:
        out = f"after {after}"
        with Sitting(tmp_path, asked(model, own, out)) as sitting:
            sitting.until(f"{after}  ")
            sitting.stop(signal.SIGKILL)
        finish(tmp_path, asked(model, own, out, "--resume"))
        assert result(tmp_path / out) == whole
    for kill, number in enumerate(KILLS):
        more = ("--resume",) if kill else ()
        with Sitting(tmp_path, asked(model, own, "parts", *more)) as sitting:
            sitting.until("epoch  ")  # the head of the table
            time.sleep(epoch * rng.uniform(0, 1.3 if kill else 0.8))
            seconds, code, told = sitting.stop(number)
        assert seconds < 2
        stopped(code, told)
    finish(tmp_path, asked(model, own, "parts", "--resume"))
    assert result(tmp_path / "parts") == whole


# In this process: a run is a generator, and one that is let go of is one that was stopped.


def some(own, tmp_path, **given):
    usual = {"model": "logit", "epochs": 3, "dataset": "own", "data_dir": own, "out_dir": tmp_path / "out"}
    return RunOptions(**usual | given)


def begin(options, epochs, **flags):
    """Train for so many epochs and let go."""
    told = train(options, **flags)
    for event in told:
        if isinstance(event, Epoch) and event.epoch == epochs:
            break
    told.close()


def test_a_plain_train_of_an_unfinished_run_names_both_ways_on(own, tmp_path):
    options = some(own, tmp_path, name="mine")
    begin(options, 2)
    with pytest.raises(UsageError, match="epoch 2 of 3") as refused:
        list(train(options))
    for words in ("--name mine --resume`", "--overwrite"):
        assert words in str(refused.value)
    list(train(options, overwrite=True))
    assert not (tmp_path / "out/mine.unfinished").exists()


def test_a_finished_run_is_not_resumed_and_says_so(own, tmp_path):
    options = some(own, tmp_path)
    list(train(options))
    (told,) = train(some(own, tmp_path, epochs=None), resume=True)
    assert isinstance(told, Finished)
    assert told.already
    with pytest.raises(CheckpointError, match=r"--epochs 4 .* 3"):
        list(train(some(own, tmp_path, epochs=4), resume=True))


def test_nothing_to_resume_is_said_with_the_command_that_begins(own, tmp_path):
    with pytest.raises(CheckpointError, match=r"`mnistctl train logit .*--dataset own` begins one"):
        list(train(some(own, tmp_path), resume=True))


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 4), ("batch_size", 50), ("lr", 0.1), ("seed", 1), ("precision", "bf16"), ("model", "linear")],
)
def test_an_option_that_differs_is_refused_with_both_values(field, value, own, tmp_path):
    begin(some(own, tmp_path, name="n"), 1)
    with pytest.raises(CheckpointError, match=str(value)) as refused:
        list(train(some(own, tmp_path, name="n", **{field: value}), resume=True))
    kept = {"epochs": 3, "batch_size": 100, "lr": 0.04, "seed": 0, "precision": "float32", "model": "logit"}
    assert str(kept[field]) in str(refused.value)
    assert refused.value.exit_code == 5


def test_other_threads_are_refused_unless_allowed_and_then_recorded(own, tmp_path, monkeypatch):
    options = some(own, tmp_path, threads=1)
    begin(options, 1)
    monkeypatch.setattr(config, "set_threads", lambda count: 2)
    with pytest.raises(CheckpointError, match=r"threads 1, now 2.*--allow-inexact"):
        list(train(some(own, tmp_path), resume=True))
    list(train(some(own, tmp_path), resume=True, allow_inexact=True))
    told = record.read(tmp_path / "out/logit-own.json")
    assert told["resumed"] == [{"after": 1, "inexact": {"threads": [1, 2]}}]
    assert told["threads"] == 2


@pytest.mark.parametrize(
    ("name", "value"), [("torch", "1.0"), ("processor", "another"), ("vectors", "none"), ("mnistctl", "0.0")]
)
def test_another_machine_or_version_is_refused_unless_allowed(name, value, own, tmp_path, monkeypatch):
    begin(some(own, tmp_path), 1)
    if name in ("torch", "mnistctl"):
        where = (config, "__version__") if name == "mnistctl" else (config.torch, "__version__")
        monkeypatch.setattr(*where, value)
    else:
        machine = config.hardware_info()
        monkeypatch.setattr(config, "hardware_info", lambda: machine | {name: value})
    with pytest.raises(CheckpointError, match=f"{name} .*, now {value}"):
        list(train(some(own, tmp_path), resume=True))
    assert isinstance(list(train(some(own, tmp_path), resume=True, allow_inexact=True))[-1], Finished)


def test_other_digits_are_refused(own, tmp_path):
    begin(some(own, tmp_path), 1)
    copy = tmp_path / "copy"
    shutil.copytree(own, copy)
    labels = bytearray((copy / "train-labels-idx1-ubyte").read_bytes())
    labels[-1] ^= 1
    (copy / "train-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(CheckpointError, match="the digits are others"):
        list(train(some(copy, tmp_path), resume=True))


def test_a_second_run_on_one_name_is_refused_at_once(own, tmp_path):
    options = some(own, tmp_path)
    told = train(options)
    next(told)
    for flags in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(UsageError, match="another run of this name is going on"):
            next(train(options, **flags))
    list(train(some(own, tmp_path, name="other")))
    told.close()
    assert isinstance(list(train(options, resume=True))[-1], Finished)
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_a_run_that_ended_between_its_record_and_its_checkpoints_is_finished(own, tmp_path, monkeypatch):
    options = some(own, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(RunCheckpoints, "clear", lambda self: None)
        list(train(options))
    assert (tmp_path / "out/logit-own.unfinished").is_dir()
    (told,) = train(options)
    assert told.already
    assert not (tmp_path / "out/logit-own.unfinished").exists()


def test_an_unfinished_replacement_leaves_the_finished_run_as_it_was(own, tmp_path):
    options = some(own, tmp_path)
    list(train(options))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    begin(some(own, tmp_path, seed=1), 2, overwrite=True)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    list(train(some(own, tmp_path, seed=None), resume=True))
    assert record.read(tmp_path / "out/logit-own.json")["seed"] == 1


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_not_taken_unasked(own, tmp_path):
    begin(some(own, tmp_path), 2)
    newest = tmp_path / "out/logit-own.unfinished/epoch-0002.safetensors"
    content = bytearray(newest.read_bytes())
    content[-5] ^= 1
    newest.write_bytes(content)
    for flags in ({"resume": True}, {}):
        with pytest.raises(CheckpointError, match=r"epoch-0002.*delete it to go on after epoch 1"):
            next(train(some(own, tmp_path), **flags))
    newest.unlink()
    told = list(train(some(own, tmp_path), resume=True))
    assert [e.epoch for e in told if isinstance(e, Epoch)] == [1, 2, 3]


def test_a_vanished_folder_ends_the_run_and_is_not_made_again(own, tmp_path):
    with pytest.raises(OutputError, match="is gone"):
        for event in train(some(own, tmp_path)):
            if isinstance(event, Epoch):
                shutil.rmtree(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_diverged_run_keeps_its_last_good_checkpoint(own, tmp_path):
    options = some(own, tmp_path, lr=1e30, model="linear")
    with pytest.raises(DivergedError, match="checkpoint after epoch 0 is kept"):
        list(train(options))
    (kept,) = (tmp_path / "out/linear-own.unfinished").iterdir()
    assert checkpoint.load(kept, checkpoint.RUN)[0]["journal"]["epochs"] == []
