"""Runs with held-out digits: what they score, what they write, and that they resume bit for bit."""

import json

import pytest
import torch

from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.data.holdout import hold_out
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.evaluation.metrics import compute_score
from mnistctl.inference import load
from mnistctl.training.events import Epoch, Started
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train

SWA = ("--set", "swa_fraction=0.5")


def options(tmp_path, **changes):
    values = {"epochs": 2, "batch_size": 100, "dataset": "sample", "holdout": 400, "threads": 1}
    return RunOptions(out_dir=tmp_path / "out", **values | changes)


def run(tmp_path, resume=False, **changes):
    return list(train("logit", options(tmp_path, **changes), resume=resume))


def test_run_trains_on_the_kept_digits_and_scores_the_held_out_ones(tmp_path):
    events = run(tmp_path)
    (started,) = [event for event in events if isinstance(event, Started)]
    assert (started.images, started.scored, started.holdout.count) == (3600, 400, 400)
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert all(epoch.test_loss is None and epoch.scored == "validation" for epoch in epochs)
    record = events[-1].record
    split = hold_out(datasets.load("sample", None, "train")[0], 400, "sample")
    assert record.holdout == split.held_out
    assert record.test_losses is None
    assert record.validation_losses == tuple(epoch.validation_loss for epoch in epochs)

    path = tmp_path / "out/logit-sample.safetensors"
    _, net = load.load_classifier(path)
    score, _ = compute_score(net, Digits.of(split.validation, torch.device("cpu")))
    assert score.accuracy == record.accuracy == epochs[-1].accuracy
    training_set = load.load_header(path).training_set
    assert (training_set.count, training_set.holdout) == (3600, split.held_out)
    assert training_set.count_used(split.validation.images) == (0, 400)
    log = [json.loads(line) for line in (tmp_path / "out/logit-sample.jsonl").read_text().splitlines()]
    assert [row["validation_loss"] for row in log] == list(record.validation_losses)
    assert not any("test_loss" in row for row in log)


def test_resumed_run_has_the_bits_of_an_uninterrupted_one_and_keeps_its_held_out_digits(tmp_path):
    whole = run(tmp_path, name="whole")[-1].record
    for event in (events := train("logit", options(tmp_path, name="part"))):
        if isinstance(event, Epoch):
            break
    events.close()
    with pytest.raises(CheckpointError, match="has 400; leave the option out") as error:
        run(tmp_path, resume=True, name="part", holdout=100)
    assert (error.value.field, error.value.value) == ("holdout", 100)
    with pytest.raises(CheckpointError, match="has 400"):
        run(tmp_path, resume=True, name="part", holdout=0)
    resumed = run(tmp_path, resume=True, name="part", holdout=None, epochs=None, batch_size=None)[-1].record
    assert (resumed.digest, resumed.state_digest) == (whole.digest, whole.state_digest)
    assert (resumed.validation_losses, resumed.holdout) == (whole.validation_losses, whole.holdout)


def test_finished_run_with_other_held_out_digits_is_another_run(tmp_path):
    run(tmp_path)
    assert run(tmp_path)[-1].already
    with pytest.raises(UsageError, match="holdout 400, now 0"):
        run(tmp_path, holdout=None)
    with pytest.raises(UsageError, match="holdout 400, now 100"):
        run(tmp_path, holdout=100)


def test_holdout_of_zero_is_none(tmp_path):
    one, other = (
        run(tmp_path, name=name, holdout=count)[-1].record for name, count in (("a", 0), ("b", None))
    )
    assert one.digest == other.digest
    assert (one.holdout, one.validation_losses) == (None, None)
    assert one.test_losses == other.test_losses


def test_averaged_weights_are_scored_on_the_held_out_digits(mnistctl, tmp_path):
    words = ("--dataset", "sample", "--epochs", "2", "--holdout", "400", *SWA)
    ran = mnistctl("train", "logit", *words)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert (
        "scored after every epoch: 400 validation images, held out of training (the last of each class)"
        in lines
    )
    assert "epoch      lr  training loss  validation loss  validation accuracy  seconds" in lines
    assert any(line.startswith("average of epochs 2-2: validation loss ") for line in lines)
    assert any(line.startswith("validation accuracy: ") for line in lines)
    assert "test" not in ran.stdout
    (record,) = (tmp_path / "out").glob("*.json")
    (average,) = json.loads(record.read_text())["swa"]
    assert average["test_loss"] is None
    again = mnistctl("train", "--like", str(record), "--name", "again", "--json")
    body = json.loads(again.stdout)
    assert body["swa"][0]["validation_loss"] == average["validation_loss"]
    assert body["holdout"] == json.loads(record.read_text())["holdout"]
    assert "--holdout 400" in body["command"]


def test_header_of_a_run_without_held_out_digits_says_that_the_test_set_is_scored(mnistctl):
    ran = mnistctl("train", "logit", "--dataset", "sample", "--epochs", "1")
    assert "scored after every epoch: the 1,000 test images" in ran.stdout.splitlines()


def test_configuration_file_may_hold_digits_out(mnistctl, tmp_path):
    (tmp_path / "c.toml").write_text('holdout = 100\ndataset = "sample"\nepochs = 1\n')
    body = json.loads(mnistctl("train", "logit", "--config", "c.toml", "--json").stdout)
    assert body["holdout"]["count"] == 100
    (tmp_path / "c.toml").write_text('holdout = "100"\n')
    ran = mnistctl("train", "logit", "--config", "c.toml")
    assert (ran.returncode, ran.stderr) == (2, "mnistctl: c.toml: holdout: give a whole number\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("train", "logit", "--holdout", "4000"),
            "--holdout 4000: sample has 4,000 training images; give 1 to 3999",
        ),
        (("train", "logit", "--holdout", "-1"), "--holdout -1: give 0 or more"),
        (("train", "logit", "--holdout", "15"), "--holdout 15: give a multiple of 10"),
        (("train", "gan", "--holdout", "10"), "--holdout 10: gan is a generator"),
        (
            ("train", "logit", "--holdout", "3900", "--batch-size", "200"),
            "without the 3,900 that are held out",
        ),
        (("trials", "logit", "-n", "2", "--holdout", "15"), "--holdout 15: give a multiple of 10"),
        (
            ("trials", "logit", "-n", "2", "--holdout", "10", "--reference", "ktorch"),
            "--reference ktorch: the published accuracies are of the test set",
        ),
    ],
)
def test_wrong_holdout_is_a_usage_error(words, message, mnistctl):
    ran = mnistctl(*words, "--dataset", "sample")
    assert ran.returncode == 2
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
