"""Runs of a user's recipe file: resumed to the same bits, logged, exported; nothing saved is executed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import few_digits
from recipe_files import GAN, HEAD, classifier
from safetensors.torch import load_file

from mnistctl.artifacts import checkpoint, files, json_file
from mnistctl.cli import completion
from mnistctl.errors import CheckpointError
from mnistctl.models.sources import find
from mnistctl.training.events import Epoch, Finished, GanEpoch
from mnistctl.training.options import RunOptions
from mnistctl.training.record import read_record
from mnistctl.training.run import train

PATCHES = Path(__file__).parents[2] / "docs/examples/patches.py"
TEXTS = {
    "net": classifier(swa_fraction="0.5", epochs="3"),
    "gan": HEAD + GAN.replace("epochs=1", "epochs=3"),
    "adamw": classifier(epochs="3", optimizer="partial(AdamW, lr=0.01)", loss="nn.CrossEntropyLoss()"),
    "transformer": PATCHES.read_text(),
}


@pytest.fixture
def few(tmp_path):
    """A data folder with 120 training images and 60 test images."""
    return few_digits(tmp_path / "few", 120, 60)


def options(few, out, **changes):
    values = {"dataset": "own", "data_dir": few, "out_dir": out, "threads": 1, "batch_size": 50, "epochs": 3}
    return RunOptions(**values | changes)


def stop_after_epoch_1(model, run_options):
    run = train(model, run_options)
    next(event for event in run if isinstance(event, Epoch | GanEpoch))
    run.close()


def finish(model, run_options, **arguments):
    return next(e for e in train(model, run_options, **arguments) if isinstance(e, Finished)).record


@pytest.mark.parametrize("name", TEXTS)
def test_run_of_a_file_is_resumed_to_the_same_bits(name, few, tmp_path):
    path = tmp_path / f"my_{name}.py"
    path.write_text(TEXTS[name])
    whole = finish(find(str(path)), options(few, tmp_path / "whole"))
    stop_after_epoch_1(find(str(path)), options(few, tmp_path / "out"))
    resumed = finish(find(str(path)), options(few, tmp_path / "out"), resume=True)
    assert len(resumed.resumed) == 1
    assert (resumed.digest, resumed.state_digest) == (whole.digest, whole.state_digest)
    assert resumed.origin.text == TEXTS[name]
    assert resumed.origin.sha256 == find(str(path)).sha256


def test_edited_file_is_resumed_only_with_an_option_and_the_record_says_so(few, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(classifier(epochs="3"))
    before = find(str(path)).sha256
    stop_after_epoch_1(find(str(path)), options(few, tmp_path))
    path.write_text(classifier(epochs="3") + "# edited\n")
    with pytest.raises(CheckpointError, match="has changed since the run") as caught:
        finish(find(str(path)), options(few, tmp_path), resume=True)
    assert caught.value.exit_code == 5
    record = finish(find(str(path)), options(few, tmp_path), resume=True, allow_inexact=True)
    assert record.resumed[0].environment_changes == {"recipe file": (before, find(str(path)).sha256)}
    assert record.origin.text.endswith("# edited\n")


def test_run_is_resumed_without_its_settings_and_refused_with_others(few, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(classifier(epochs="3"))
    model = find(str(path)).with_settings({"net.hidden": 4})
    here = options(few, tmp_path, name="r")
    stop_after_epoch_1(model, here)
    with pytest.raises(CheckpointError, match=r"other settings \(net\.hidden=4\)"):
        finish(model.with_settings({"net.hidden": 5}), here, resume=True)
    assert finish(find(str(path)), here, resume=True).model == "mine-net.hidden=4"


def test_file_is_logged_exported_and_evaluated_on_corrupted_images(mnistctl, few, tmp_path):
    (tmp_path / "patches.py").write_text(TEXTS["transformer"])
    where = ("--dataset", "own", "--data-dir", str(few))
    ran = mnistctl("train", "patches.py", *where, "--epochs", "1", "--tensorboard")
    assert ran.returncode == 0, ran.stderr
    assert list((tmp_path / "out/patches-own.tensorboard").iterdir())
    ran = mnistctl("eval", "patches.py", *where, "--corrupt", "--onnx", "patches.onnx", "--json")
    assert ran.returncode == 0, ran.stderr
    body = json.loads(ran.stdout)
    assert body["model"] == "patches"
    assert body["onnx"]["max_difference"] < 1e-3
    assert body["corruptions"]


def test_example_of_a_transformer_is_short_and_has_the_accuracy_of_its_record():
    record = read_record(PATCHES.parents[2] / "records/patches-sample.json")
    page = (PATCHES.parents[1] / "own-recipes.md").read_text()
    lines = len(PATCHES.read_text().splitlines())
    assert lines <= 80
    assert record.origin.text == PATCHES.read_text()
    assert f"in {lines} lines" in page
    assert f"it has {record.accuracy:.2f} %" in page


@pytest.fixture
def harmful(mnistctl, few, tmp_path):
    """A finished run, a stopped run and trials of a file whose saved texts were changed to harmful code."""
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w').close()\n" + classifier(epochs="3")
    path = tmp_path / "mine.py"
    path.write_text(classifier(epochs="3"))
    finish(find(str(path)), options(few, tmp_path / "out", name="done"))
    stop_after_epoch_1(find(str(path)), options(few, tmp_path / "out", name="stopped"))
    digest = find(str(path)).sha256
    for saved in (tmp_path / "out/done.safetensors", *tmp_path.glob("out/stopped.unfinished/*.safetensors")):
        kind = checkpoint.NET if saved.stem == "done" else checkpoint.RUN
        header, tensors = checkpoint.load(saved, kind)
        origin = header["origin"] if kind == checkpoint.NET else header["settings"]["origin"]
        assert origin["sha256"] == digest
        origin["text"] = code
        origin["file"] = "evil.py"
        files.write(saved, b"")
        checkpoint.save(saved, kind, header, tensors)
    record = json.loads((tmp_path / "out/done.json").read_text())
    record["origin"] |= {"text": code, "package": "os", "file": "evil.py"}
    record["command"] = code
    del record["checksum"], record["version"]
    json_file.write(tmp_path / "out/done.json", record)
    (tmp_path / "evil.py").write_text(code)  # a folder's file is not executed, either
    (tmp_path / "c.toml").write_text(f"recipe = {code!r}\n")
    return canary


def test_saved_texts_are_never_executed(harmful, mnistctl, few, tmp_path, monkeypatch):
    where = ("--dataset", "own", "--data-dir", str(few))
    commands = {
        ("eval", "done", *where): 5,
        ("eval", "done", "--recipe", "mine.py", "--quiet", *where): 0,
        ("generate", "done"): 5,
        ("train", "conv", "--name", "stopped", "--resume", *where): 5,
        ("train", "mine.py", "--name", "stopped", "--resume", *where): 0,  # the digest is that of the file
        ("train", "--like", "out/done.json", *where): 5,
        ("train", "conv", "--config", "c.toml", *where): 2,
        ("train", "mine.py", "--init", "done", "--epochs", "1", *where): 0,
        ("show", "--machine", "--out-dir", "out"): 0,
        ("show", "--model", "done"): 2,
        ("train", "--list"): 0,
    }
    for words, code in commands.items():
        ran = mnistctl(*words)
        assert ran.returncode == code, (words, ran.stderr)
        assert ran.returncode == 0 or ran.stderr.count("\n") == 1, ran.stderr
    monkeypatch.chdir(tmp_path)
    environment = {"_MNISTCTL_COMPLETE": "complete_bash", "COMP_WORDS": "mnistctl eval d", "COMP_CWORD": "2"}
    for words in ("eval d", "train --name s"):
        subprocess.run(
            [sys.executable, "-m", "mnistctl"],
            env=os.environ | environment | {"COMP_WORDS": f"mnistctl {words}"},
            check=False,
            capture_output=True,
        )
    assert list(completion.models("ev")) == []
    assert not harmful.exists()


def test_weights_that_layers_share_are_saved_and_restored(tmp_path):
    shared = torch.nn.Parameter(torch.ones(2))
    checkpoint.save(
        tmp_path / "x.safetensors", checkpoint.NET, {}, {"a": shared, "b": shared, "c": shared[:1]}
    )
    loaded = load_file(tmp_path / "x.safetensors")
    assert {name: tensor.tolist() for name, tensor in loaded.items()} == {
        "a": [1, 1],
        "b": [1, 1],
        "c": [1],
    }
