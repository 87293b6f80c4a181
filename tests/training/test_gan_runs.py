"""A generator's run: what it tells, what it leaves, and what it takes away."""

import json
import re

import numpy as np
import pytest
from conftest import few_digits
from PIL import Image

from mnistctl import models
from mnistctl.artifacts import checkpoint, record
from mnistctl.cli import app
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.inference import load
from mnistctl.inference.forward import generate_images
from mnistctl.training.events import Finished, GanEpoch, Started
from mnistctl.training.gan import fixed_inputs
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A data folder of 60 digits to train on, 20 to test."""
    return few_digits(tmp_path_factory.mktemp("few"), 60, 20)


def some(own, out, **given):
    usual = {
        "model": "cgan",
        "epochs": 2,
        "batch_size": 30,
        "dataset": "own",
        "data_dir": own,
        "out_dir": out,
    }
    return RunOptions(**usual | {"name": "g"} | given)


def begin(options, epochs, **flags):
    """Train for so many epochs and let go."""
    told = train(options, **flags)
    for event in told:
        if isinstance(event, GanEpoch) and event.epoch == epochs:
            break
    told.close()


def files_in(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def whole(own, tmp_path_factory):
    """A run of cgan over two epochs of two steps: its folder and what it told."""
    out = tmp_path_factory.mktemp("whole")
    return out, list(train(some(own, out)))


def test_a_run_tells_and_leaves_a_grid_and_two_losses_an_epoch(whole):
    out, told = whole
    (started,) = (e for e in told if isinstance(e, Started))
    assert (started.parameters, started.iterations) == (878_564 + 700_964, 2)
    duels = [e for e in told if isinstance(e, GanEpoch)]
    body = record.read(out / "g.json")
    lines = [json.loads(line) for line in (out / "g.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [e.epoch for e in duels] == [1, 2]
    assert body["generator_losses"] == [e.generator for e in duels]
    assert body["discriminator_losses"] == [line["discriminator"] for line in lines]
    assert told[-1] == Finished(None, body["seconds"])
    assert set(files_in(out)) == {"g.safetensors", "g.jsonl", "g01.png", "g02.png", "g.gif", "g.json"}


def test_the_grids_are_the_frames_of_the_animation_a_second_each_in_a_loop(whole):
    out, _ = whole
    grids = [np.asarray(Image.open(out / f"g{epoch:02d}.png")) for epoch in (1, 2)]
    assert [grid.shape for grid in grids] == [(302, 302)] * 2
    assert (grids[0] != grids[1]).any()
    with Image.open(out / "g.gif") as animation:
        assert (animation.n_frames, animation.info["loop"]) == (2, 0)
        for place, grid in enumerate(grids):
            animation.seek(place)
            assert animation.info["duration"] == 1000
            frame = np.asarray(animation.convert("L")).astype(int)
            assert np.abs(frame - grid).max() <= 9  # 16 greys


def test_a_cell_of_the_grid_is_what_the_finished_net_draws(whole):
    out, _ = whole
    _, net = load.load_generator(out / "g.safetensors")
    drawn = generate_images(net, *fixed_inputs(models.load_generator("cgan"), 0))
    grid = np.asarray(Image.open(out / "g02.png"))
    cell = grid[2 + 30 : 30 + 30, 2 + 60 : 30 + 60].astype(int)  # second row, third column
    assert np.abs(cell - drawn[12].numpy()).max() <= 1


def test_a_stopped_run_ends_as_one_that_was_not_with_the_grids_that_went_meanwhile(whole, own, tmp_path):
    begin(some(own, tmp_path), 1)
    (tmp_path / "g01.png").unlink()
    events = list(train(some(own, tmp_path), resume=True))
    assert [e.epoch for e in events if isinstance(e, GanEpoch)] == [1, 2]
    theirs, ours = files_in(whole[0]), files_in(tmp_path)
    for name in ("g.safetensors", "g01.png", "g02.png", "g.gif"):
        assert ours[name] == theirs[name]
    bodies = [json.loads(files["g.json"]) for files in (theirs, ours)]
    for body in bodies:
        for name in ("started", "seconds", "processor_seconds", "training_seconds", "checksum", "resumed"):
            body.pop(name, None)
    assert bodies[0] == bodies[1]
    assert list(train(some(own, tmp_path)))[-1].already


@pytest.mark.parametrize("change", ["gone", "small", "floats"])
def test_grids_that_are_not_one_an_epoch_are_refused(change, own, tmp_path):
    begin(some(own, tmp_path), 1)
    path = tmp_path / "g.unfinished/epoch-0001.safetensors"
    about, tensors = checkpoint.load(path, checkpoint.RUN)
    grid = tensors.pop("grids.0001")
    changed = {"gone": {}, "small": {"grids.0001": grid[:9]}, "floats": {"grids.0001": grid.float()}}
    checkpoint.save(path, checkpoint.RUN, about, tensors | changed[change])
    with pytest.raises(CheckpointError, match="its grids are not one an epoch"):
        list(train(some(own, tmp_path), resume=True))


def test_a_run_that_replaces_a_longer_one_leaves_none_of_its_pictures(own, tmp_path):
    list(train(some(own, tmp_path, model="gan", epochs=3)))
    list(train(some(own, tmp_path, model="gan", epochs=1), overwrite=True))
    assert {name for name in files_in(tmp_path) if name.endswith("png")} == {"g01.png"}
    list(train(some(own, tmp_path, model="logit", epochs=1), overwrite=True))
    assert set(files_in(tmp_path)) == {"g.safetensors", "g.jsonl", "g.png", "g.json"}
    list(train(some(own, tmp_path, model="gan", epochs=1), overwrite=True))
    assert set(files_in(tmp_path)) == {"g.safetensors", "g.jsonl", "g01.png", "g.gif", "g.json"}


def test_a_run_that_is_given_up_leaves_no_grid_of_its_own(own, tmp_path):
    list(train(some(own, tmp_path, model="gan", epochs=1)))
    begin(some(own, tmp_path, model="gan", epochs=3), 2, overwrite=True)
    assert (tmp_path / "g02.png").exists()
    list(train(some(own, tmp_path, model="gan", epochs=1, seed=1), overwrite=True))
    assert set(files_in(tmp_path)) == {"g.safetensors", "g.jsonl", "g01.png", "g.gif", "g.json"}


def test_the_pictures_of_other_runs_stay(own, tmp_path):
    for name in ("g02.png", "g05.png", "g10.png", "gg.png"):
        (tmp_path / name).write_bytes(b"another run's")
    list(train(some(own, tmp_path, model="gan", epochs=1)))
    list(train(some(own, tmp_path, model="gan", epochs=1, seed=1), overwrite=True))
    assert len([name for name in files_in(tmp_path) if name.endswith("png")]) == 5


def test_each_kind_of_net_is_refused_where_the_other_is_needed(whole, own, tmp_path):
    with pytest.raises(CheckpointError, match="cgan is a generator"):
        load.load_classifier(whole[0] / "g.safetensors")
    list(train(some(own, tmp_path, model="logit", epochs=1)))
    with pytest.raises(CheckpointError, match="logit is a classifier; generators are gan, cgan"):
        load.load_generator(tmp_path / "g.safetensors")
    weights = checkpoint.load(tmp_path / "g.safetensors", checkpoint.NET)[1]
    checkpoint.save(tmp_path / "false.safetensors", checkpoint.NET, {"model": "gan"}, weights)
    with pytest.raises(CheckpointError, match="its weights are not those of 'gan'"):
        load.load_generator(tmp_path / "false.safetensors")


def test_a_batch_larger_than_the_digits_is_a_usage_error(own, tmp_path):
    with pytest.raises(UsageError, match="--batch-size 61"):
        list(train(some(own, tmp_path, batch_size=61)))


def test_the_program_prints_a_row_an_epoch_with_the_clock_and_both_losses(own, tmp_path, capsys):
    words = ["train", "gan", "--dataset", "own", "--data-dir", str(own), "--out-dir", str(tmp_path)]
    words += ["--epochs", "2", "--batch-size", "30"]
    app(words, standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "model: gan, 1,496,960 parameters"
    assert lines[4] == "epoch  time      median losses: discriminator  generator  seconds"
    rows = [
        re.fullmatch(r" +(\d)  \d\d:\d\d:\d\d +(\d+\.\d{3}) +(\d+\.\d{3}) +\d+\.\d", row)
        for row in lines[5:7]
    ]
    body = record.read(tmp_path / "gan-own.json")
    losses = zip(body["discriminator_losses"], body["generator_losses"], strict=True)
    assert [row.groups() for row in rows] == [
        (str(epoch), f"{judging:.3f}", f"{drawing:.3f}") for epoch, (judging, drawing) in enumerate(losses, 1)
    ]
    assert f"wrote {tmp_path}/gan-own01.png to {tmp_path}/gan-own02.png" in lines
    app([*words, "--quiet"], standalone_mode=False)
    assert capsys.readouterr().out == f"{rows[1][2]} {rows[1][3]}\n"
    app([*words, "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert told["already"]
    assert told["digest"] == body["digest"]
