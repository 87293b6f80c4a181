"""What TensorBoard is given: each figure once, the grids, nothing of a run that was replaced."""

import json

import pytest
from conftest import few_digits
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnistctl.training import events, tensorboard
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train
from mnistctl.training.tensorboard import log_to_tensorboard

TRAIN = ("train", "logit", "--dataset", "sample", "--batch-size", "500")
TOLD = ("--tensorboard", "--epochs", "3")


def read(folder):
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def scalars(folder):
    found = read(folder)
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def expected(rows):
    tags = {"loss/training": "loss", "loss/test": "test_loss", "accuracy/test": "accuracy", "lr": "lr"}
    return {tag: [(r["epoch"], pytest.approx(r[name])) for r in rows] for tag, name in tags.items()}


def test_the_figures_of_each_epoch_are_written_and_the_folder_is_told(mnistctl, tmp_path):
    ran = mnistctl(*TRAIN, *TOLD, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["paths"][-1] == "out/logit-sample.tensorboard"
    assert "--tensorboard" not in json.loads(ran.stdout)["command"]  # which repeats the run alone
    rows = lines(tmp_path / "out/logit-sample.jsonl")
    assert scalars(tmp_path / "out/logit-sample.tensorboard") == expected(rows)


def test_a_resumed_run_has_each_epoch_once_and_in_the_order_of_time(mnistctl, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = RunOptions(model="logit", dataset="sample", batch_size=500, epochs=5)
    told = log_to_tensorboard(train(options), options.stem, asked=True)
    next(event for event in told if isinstance(event, events.Epoch) and event.epoch == 2)
    told.close()
    folder = tmp_path / "out/logit-sample.tensorboard"
    assert [step for step, _ in scalars(folder)["lr"]] == [1, 2]
    assert mnistctl("train", "logit", "--dataset", "sample", "--resume").returncode == 0
    assert scalars(folder) == expected(lines(tmp_path / "out/logit-sample.jsonl"))
    times = [event.wall_time for event in read(folder).Scalars("lr")]
    assert times == sorted(times)
    assert len(set(times)) == 5


def test_of_an_averaged_recipe_the_average_is_written_too(mnistctl, own, tmp_path):
    words = (
        "train",
        "swa",
        "--dataset",
        "own",
        "--data-dir",
        str(own),
        "--batch-size",
        "200",
        "--epochs",
        "1",
    )
    assert mnistctl(*words, "--tensorboard").returncode == 0
    (average,) = (row for row in lines(tmp_path / "out/swa-own.jsonl") if "event" in row)
    found = scalars(tmp_path / "out/swa-own.tensorboard")
    assert found["accuracy/average"] == [(1, pytest.approx(average["accuracy"]))]
    assert found["loss/average"] == [(1, pytest.approx(average["test_loss"]))]


def test_of_a_generator_both_losses_and_the_grids_are_written(mnistctl, tmp_path):
    few = str(few_digits(tmp_path / "few", 20, 10))
    words = ("train", "gan", "--dataset", "own", "--data-dir", few, "--epochs", "2", "--batch-size", "20")
    assert mnistctl(*words, "--tensorboard").returncode == 0
    found, rows = read(tmp_path / "out/gan-own.tensorboard"), lines(tmp_path / "out/gan-own.jsonl")
    for net in ("discriminator", "generator"):
        assert [e.value for e in found.Scalars(f"loss/{net}")] == pytest.approx([r[net] for r in rows])
    pictures = [image.encoded_image_string for image in found.Images("grid")]
    assert pictures == [(tmp_path / f"out/gan-own0{n}.png").read_bytes() for n in (1, 2)]
    assert {(image.width, image.height) for image in found.Images("grid")} == {(182, 302)}


def test_what_replaces_a_run_replaces_or_removes_what_tensorboard_had_of_it(mnistctl, tmp_path):
    folder = tmp_path / "out/logit-sample.tensorboard"
    assert mnistctl(*TRAIN, *TOLD).returncode == 0
    assert mnistctl(*TRAIN, "--tensorboard", "--epochs", "1", "--overwrite").returncode == 0
    assert [step for step, _ in scalars(folder)["lr"]] == [1]
    assert mnistctl(*TRAIN, "--epochs", "1").returncode == 0  # done already: nothing is touched
    assert folder.is_dir()
    (folder / "notes.txt").write_text("the user's")
    assert mnistctl(*TRAIN, "--epochs", "2", "--overwrite").returncode == 0
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    assert mnistctl(*TRAIN, "--epochs", "1", "--overwrite").returncode == 0
    assert not folder.exists()


def test_without_the_extra_it_is_said_how_to_install_it_before_anything_is_done(
    mnistctl, monkeypatch, tmp_path
):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    ran = mnistctl(*TRAIN, *TOLD)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "pip install 'mnistctl[tensorboard]'" in ran.stderr
    assert not (tmp_path / "out").exists()
    assert mnistctl(*TRAIN, "--epochs", "1").returncode == 0  # which needs none


def test_a_folder_that_cannot_be_written_is_told_before_the_first_epoch(mnistctl, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/logit-sample.tensorboard").touch()
    ran = mnistctl(*TRAIN, *TOLD)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert "logit-sample.tensorboard: cannot be written" in ran.stderr
