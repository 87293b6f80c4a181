"""Runs of GANs: their events, their files, and the files that they replace."""

import json
import re

import numpy as np
import pytest
from conftest import few_digits
from PIL import Image

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.cli import app
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.inference import load
from mnistctl.inference.forward import generate_images
from mnistctl.training.events import Finished, GanEpoch, Started
from mnistctl.training.gan import fixed_inputs
from mnistctl.training.options import RunOptions
from mnistctl.training.record import read_record
from mnistctl.training.run import train


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A data folder of 20 digits to train on, 20 to test."""
    return few_digits(tmp_path_factory.mktemp("few"), 20, 20)


def make_options(own, out, **fields):
    usual = {"epochs": 2, "batch_size": 10, "dataset": "own", "data_dir": own, "out_dir": out, "name": "g"}
    return RunOptions(**usual | fields)


def finish(model, options, **flags):
    """Train to the end and return the events."""
    return list(train(model, options, **flags))


def train_for(epochs, model, options, **flags):
    """Train for this number of epochs and stop."""
    run = train(model, options, **flags)
    next(event for event in run if isinstance(event, GanEpoch) and event.epoch == epochs)
    run.close()


END = "g-curves.png", "g.json"


def files_in(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def whole(own, tmp_path_factory):
    """A run of cgan over two epochs of two steps: its folder and its events."""
    out = tmp_path_factory.mktemp("whole")
    return out, finish("cgan", make_options(own, out))


def test_run_reports_and_leaves_a_grid_and_two_losses_per_epoch(whole):
    out, run = whole
    (started,) = (e for e in run if isinstance(e, Started))
    assert (started.parameters, started.iterations) == (878_564 + 700_964, 2)
    epochs = [e for e in run if isinstance(e, GanEpoch)]
    record = read_record(out / "g.json")
    log = [json.loads(line) for line in (out / "g.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == [e.epoch for e in epochs] == [1, 2]
    assert record.generator_losses == tuple(e.generator_loss for e in epochs)
    assert record.discriminator_losses == tuple(row["discriminator_loss"] for row in log)
    assert run[-1] == Finished(record)
    assert record.accuracy is None
    assert set(files_in(out)) == {"g.safetensors", "g.jsonl", "g01.png", "g02.png", "g.gif", *END}


def test_grids_are_the_frames_of_the_animation(whole):
    out, _ = whole
    grids = [np.asarray(Image.open(out / f"g{epoch:02d}.png")) for epoch in (1, 2)]
    assert [grid.shape for grid in grids] == [(302, 302)] * 2
    assert (grids[0] != grids[1]).any()
    with Image.open(out / "g.gif") as animation:
        assert (animation.n_frames, animation.info["loop"]) == (2, 0)
        for frame_number, grid in enumerate(grids):
            animation.seek(frame_number)
            assert animation.info["duration"] == 1000
            frame = np.asarray(animation.convert("L")).astype(int)
            assert np.abs(frame[: len(grid)] - grid).max() <= 9  # 16 greys
            assert frame[len(grid) :].max() > 200  # the number of the epoch


def test_grid_shows_images_of_the_trained_generator(whole):
    out, _ = whole
    _, net = load.load_generator(out / "g.safetensors")
    images = generate_images(net, *fixed_inputs(models.load_generator("cgan"), 0))
    grid = np.asarray(Image.open(out / "g02.png"))
    cell = grid[2 + 30 : 30 + 30, 2 + 60 : 30 + 60].astype(int)  # second row, third column
    assert np.abs(cell - images[12].numpy()).max() <= 1


def test_resumed_run_leaves_the_files_of_an_uninterrupted_one_and_restores_deleted_grids(
    whole, own, tmp_path
):
    train_for(1, "cgan", make_options(own, tmp_path))
    (tmp_path / "g01.png").unlink()
    events = finish("cgan", make_options(own, tmp_path), resume=True)
    assert [e.epoch for e in events if isinstance(e, GanEpoch)] == [1, 2]
    theirs, ours = files_in(whole[0]), files_in(tmp_path)
    for name in ("g.safetensors", "g01.png", "g02.png", "g.gif"):
        assert ours[name] == theirs[name]
    bodies = [json.loads(files["g.json"]) for files in (theirs, ours)]
    for body in bodies:
        for name in ("started", "seconds", "processor_seconds", "training_seconds", "checksum", "resumed"):
            body.pop(name, None)
    assert bodies[0] == bodies[1]
    assert finish("cgan", make_options(own, tmp_path))[-1].already


@pytest.mark.parametrize("change", ["gone", "small", "floats"])
def test_checkpoint_without_one_grid_per_epoch_is_refused(change, own, tmp_path):
    train_for(1, "cgan", make_options(own, tmp_path))
    path = tmp_path / "g.unfinished/epoch-0001.safetensors"
    header, tensors = checkpoint.load(path, checkpoint.RUN)
    grid = tensors.pop("grids.0001")
    changed = {"gone": {}, "small": {"grids.0001": grid[:9]}, "floats": {"grids.0001": grid.float()}}
    checkpoint.save(path, checkpoint.RUN, header, tensors | changed[change])
    with pytest.raises(CheckpointError, match="one grid per epoch"):
        finish("cgan", make_options(own, tmp_path), resume=True)


def test_run_that_replaces_a_longer_one_leaves_none_of_its_images(own, tmp_path):
    finish("gan", make_options(own, tmp_path, epochs=3))
    finish("gan", make_options(own, tmp_path, epochs=1), overwrite=True)
    assert {name for name in files_in(tmp_path) if name.endswith("png")} == {"g01.png", "g-curves.png"}
    finish("logit", make_options(own, tmp_path, epochs=1), overwrite=True)
    assert set(files_in(tmp_path)) == {"g.safetensors", "g.jsonl", "g.png", *END}
    finish("gan", make_options(own, tmp_path, epochs=1), overwrite=True)
    assert set(files_in(tmp_path)) == {"g.safetensors", "g.jsonl", "g01.png", "g.gif", *END}


def test_unfinished_run_that_is_replaced_leaves_no_grid(own, tmp_path):
    finish("gan", make_options(own, tmp_path, epochs=1))
    train_for(2, "gan", make_options(own, tmp_path, epochs=3), overwrite=True)
    assert (tmp_path / "g02.png").exists()
    finish("gan", make_options(own, tmp_path, epochs=1, seed=1), overwrite=True)
    assert set(files_in(tmp_path)) == {"g.safetensors", "g.jsonl", "g01.png", "g.gif", *END}


def test_images_of_other_runs_stay(own, tmp_path):
    for name in ("g02.png", "g05.png", "g10.png", "gg.png"):
        (tmp_path / name).write_bytes(b"another run's")
    finish("gan", make_options(own, tmp_path, epochs=1))
    finish("gan", make_options(own, tmp_path, epochs=1, seed=1), overwrite=True)
    assert len([name for name in files_in(tmp_path) if name.endswith("png")]) == 6


def test_each_kind_of_model_is_refused_where_the_other_is_needed(whole, own, tmp_path):
    with pytest.raises(CheckpointError, match="cgan is a generator"):
        load.load_classifier(whole[0] / "g.safetensors")
    finish("logit", make_options(own, tmp_path, epochs=1))
    with pytest.raises(CheckpointError, match="logit is a classifier; generators are gan, cgan"):
        load.load_generator(tmp_path / "g.safetensors")
    weights = checkpoint.load(tmp_path / "g.safetensors", checkpoint.NET)[1]
    checkpoint.save(tmp_path / "false.safetensors", checkpoint.NET, {"model": "gan"}, weights)
    with pytest.raises(CheckpointError, match="the weights do not fit the model 'gan'"):
        load.load_generator(tmp_path / "false.safetensors")


def test_batch_size_above_the_number_of_images_is_a_usage_error(own, tmp_path):
    with pytest.raises(UsageError, match="batch_size 21"):
        finish("gan", make_options(own, tmp_path, batch_size=21))


def test_program_prints_time_and_losses_of_each_epoch(own, tmp_path, capsys):
    words = ["train", "gan", "--dataset", "own", "--data-dir", str(own), "--out-dir", str(tmp_path)]
    words += ["--epochs", "2", "--batch-size", "10"]
    app(words, standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "model: gan, 1,496,960 parameters"
    assert lines[4] == "epoch  time      median losses: discriminator  generator  seconds"
    rows = [
        re.fullmatch(r" +(\d)  \d\d:\d\d:\d\d +(\d+\.\d{3}) +(\d+\.\d{3}) +\d+\.\d", row)
        for row in lines[5:7]
    ]
    record = read_record(tmp_path / "gan-own.json")
    losses = zip(record.discriminator_losses, record.generator_losses, strict=True)
    assert [row.groups() for row in rows] == [
        (str(epoch), f"{d_loss:.3f}", f"{g_loss:.3f}") for epoch, (d_loss, g_loss) in enumerate(losses, 1)
    ]
    assert f"wrote {tmp_path}/gan-own01.png to {tmp_path}/gan-own02.png" in lines
    app([*words, "--quiet"], standalone_mode=False)
    assert capsys.readouterr().out == f"{rows[1][2]} {rows[1][3]}\n"
    app([*words, "--json"], standalone_mode=False)
    printed = json.loads(capsys.readouterr().out)
    assert printed["already"]
    assert printed["digest"] == record.digest
