"""TensorBoard logs: each value once, the grids, and nothing of a run that was replaced."""

import json
import time

import pytest
from conftest import few_digits
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnistctl.training import events, tensorboard
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train
from mnistctl.training.tensorboard import log_to_tensorboard

TRAIN = ("train", "logit", "--dataset", "sample", "--batch-size", "500")
LOG = ("--tensorboard", "--epochs", "3")


def read(folder):
    logs = EventAccumulator(str(folder))
    logs.Reload()
    return logs


def scalars(folder):
    logs = read(folder)
    return {tag: [(e.step, e.value) for e in logs.Scalars(tag)] for tag in logs.Tags()["scalars"]}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def expected(rows):
    tags = {"loss/training": "loss", "loss/test": "test_loss", "accuracy/test": "accuracy", "lr": "lr"}
    return {tag: [(r["epoch"], pytest.approx(r[name])) for r in rows] for tag, name in tags.items()}


def test_each_epoch_is_logged_and_the_folder_is_among_the_paths(mnistctl, tmp_path):
    ran = mnistctl(*TRAIN, *LOG, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["paths"][-1] == "out/logit-sample.tensorboard"
    assert "--tensorboard" not in json.loads(ran.stdout)["command"]  # logging does not change the run
    rows = lines(tmp_path / "out/logit-sample.jsonl")
    assert scalars(tmp_path / "out/logit-sample.tensorboard") == expected(rows)


def test_resumed_run_logs_each_epoch_once_in_the_order_of_time(mnistctl, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = RunOptions(dataset="sample", batch_size=500, epochs=5)
    folder = tmp_path / "out/logit-sample.tensorboard"
    for resume in (False, True):  # the second time stopped after the events of earlier epochs
        run = train("logit", options, resume=resume)
        run = log_to_tensorboard(run, options.run_path("logit"), enabled=True)
        next(event for event in run if isinstance(event, events.Epoch) and event.epoch == 2)
        run.close()
        assert [step for step, _ in scalars(folder)["lr"]] == [1, 2]
    assert mnistctl("train", "logit", "--dataset", "sample", "--resume").returncode == 0
    assert scalars(folder) == expected(lines(tmp_path / "out/logit-sample.jsonl"))
    times = [event.wall_time for event in read(folder).Scalars("lr")]
    assert times == sorted(times)
    assert times[-1] <= time.time()
    assert len(set(times)) == 5


def test_averaged_weights_are_logged(mnistctl, own, tmp_path):
    data = ("--dataset", "own", "--data-dir", str(own))
    words = ("train", "swa", *data, "--batch-size", "200", "--epochs", "1")
    assert mnistctl(*words, "--tensorboard").returncode == 0
    (average,) = (row for row in lines(tmp_path / "out/swa-own.jsonl") if "event" in row)
    logged = scalars(tmp_path / "out/swa-own.tensorboard")
    assert logged["accuracy/average"] == [(1, pytest.approx(average["accuracy"]))]
    assert logged["loss/average"] == [(1, pytest.approx(average["test_loss"]))]


def test_scores_on_held_out_digits_are_logged_as_those_of_validation(mnistctl, own, tmp_path):
    data = ("--dataset", "own", "--data-dir", str(own), "--holdout", "100")
    words = ("train", "swa", *data, "--batch-size", "200", "--epochs", "1")
    assert mnistctl(*words, "--tensorboard").returncode == 0
    epoch, average = lines(tmp_path / "out/swa-own.jsonl")
    logged = scalars(tmp_path / "out/swa-own.tensorboard")
    assert logged["loss/validation"] == [(1, pytest.approx(epoch["validation_loss"]))]
    assert logged["accuracy/validation"] == [(1, pytest.approx(epoch["accuracy"]))]
    assert logged["loss/average, validation"] == [(1, pytest.approx(average["validation_loss"]))]
    assert not any("test" in tag for tag in logged)


def test_losses_and_grids_of_a_gan_are_logged(mnistctl, tmp_path):
    few = str(few_digits(tmp_path / "few", 20, 10))
    words = ("train", "gan", "--dataset", "own", "--data-dir", few, "--epochs", "2", "--batch-size", "20")
    assert mnistctl(*words, "--tensorboard").returncode == 0
    logs, rows = read(tmp_path / "out/gan-own.tensorboard"), lines(tmp_path / "out/gan-own.jsonl")
    for net in ("discriminator", "generator"):
        assert [e.value for e in logs.Scalars(f"loss/{net}")] == pytest.approx(
            [r[f"{net}_loss"] for r in rows]
        )
    images = [image.encoded_image_string for image in logs.Images("grid")]
    assert images == [(tmp_path / f"out/gan-own0{n}.png").read_bytes() for n in (1, 2)]
    assert {(image.width, image.height) for image in logs.Images("grid")} == {(182, 302)}


def test_run_that_replaces_another_replaces_or_deletes_its_logs(mnistctl, tmp_path):
    folder = tmp_path / "out/logit-sample.tensorboard"
    assert mnistctl(*TRAIN, *LOG).returncode == 0
    assert mnistctl(*TRAIN, "--tensorboard", "--epochs", "1", "--overwrite").returncode == 0
    assert [step for step, _ in scalars(folder)["lr"]] == [1]
    assert mnistctl(*TRAIN, "--epochs", "1").returncode == 0  # already finished: nothing is touched
    assert folder.is_dir()
    (folder / "notes.txt").write_text("the user's")
    assert mnistctl(*TRAIN, "--epochs", "2", "--overwrite").returncode == 0
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    assert mnistctl(*TRAIN, "--epochs", "1", "--overwrite").returncode == 0
    assert not folder.exists()


def test_missing_tensorboard_is_reported_before_any_work(mnistctl, monkeypatch, tmp_path):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    ran = mnistctl(*TRAIN, *LOG)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "run pip install tensorboard" in ran.stderr
    assert not (tmp_path / "out").exists()
    assert mnistctl(*TRAIN, "--epochs", "1").returncode == 0  # needs no TensorBoard


def test_unwritable_log_folder_is_reported_before_the_first_epoch(mnistctl, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/logit-sample.tensorboard").touch()
    ran = mnistctl(*TRAIN, *LOG)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert "logit-sample.tensorboard: cannot be written" in ran.stderr
