"""Disks that fill or fail, and processes that are killed while they save."""

import errno
import io
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from run_headers import header

from mnistctl.artifacts import checkpoint, files, grids, json_file
from mnistctl.data import idx
from mnistctl.errors import OutputError
from mnistctl.training.checkpoints import RunCheckpoints
from mnistctl.training.events import Epoch

WEIGHTS = {"1.weight": torch.arange(7840.0).view(10, 784), "1.bias": torch.zeros(10)}
IMAGE = np.zeros((28, 28), np.uint8)


KINDS = {
    "net": ("a.safetensors", lambda p: checkpoint.save(p, checkpoint.NET, {"model": "logit"}, WEIGHTS)),
    "run": ("epoch-0000.safetensors", lambda p: RunCheckpoints(run_path_of(p)).save(header(), WEIGHTS)),
    "record": ("a.json", lambda p: json_file.write(p, {"model": "logit"})),
    "log": ("a.jsonl", lambda p: files.write(p, "{}\n")),
    "image": ("a.png", lambda p: grids.write_png(p, IMAGE)),
    "digits": ("train-images-idx3-ubyte", lambda p: files.write(p, idx.dump(IMAGE[None]))),
}


def run_path_of(path):
    return path.parent.with_suffix("")


class Failing(io.FileIO):
    """A file that takes some bytes and then no more."""

    def write(self, content):
        super().write(bytes(content)[:3])
        raise OSError(Failing.number, os.strerror(Failing.number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("operation", ["open", "write", "fsync", "rename"])
@pytest.mark.parametrize("kind", KINDS)
def test_disk_error_leaves_the_old_file_and_names_path_and_reason(
    kind, operation, number, tmp_path, monkeypatch
):
    name, write = KINDS[kind]
    path = tmp_path / "a.unfinished" / name
    path.parent.mkdir()
    path.write_bytes(b"before")

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    opened = Path.open
    Failing.number = number
    failing = {
        "open": (Path, "open", lambda p, mode="r": fail() if mode == "xb" else opened(p, mode)),
        "write": (Path, "open", lambda p, mode="r": Failing(p, "x") if mode == "xb" else opened(p, mode)),
        "fsync": (os, "fsync", fail),
        "rename": (Path, "replace", fail),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*failing[operation])
        with pytest.raises(OutputError) as raised:
            write(path)
    assert str(path) in str(raised.value)
    assert os.strerror(number) in str(raised.value)
    assert raised.value.exit_code == 1
    assert [p.name for p in path.parent.iterdir()] == [name]
    assert path.read_bytes() == b"before"
    write(path)
    assert path.read_bytes() != b"before"


def test_full_disk_ends_the_program_with_exit_code_1_and_loses_nothing(tmp_path, mnistctl):
    """The system reports a full disk when a file of this process grows beyond a limit."""
    limit = 3_000_000  # bytes: the first checkpoint is smaller, the second has the momentum too
    words = ["train", "linear", "--dataset", "sample", "--epochs", "2"]
    ran = subprocess.run(
        [sys.executable, "-m", "mnistctl", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "/epoch-0001.safetensors: cannot be written (File too large)" in ran.stderr
    assert "`mnistctl train linear --dataset sample --resume` continues" in ran.stderr
    names = {path.name for path in (tmp_path / "out/linear-sample.unfinished").iterdir()}
    assert names == {"epoch-0000.safetensors", "log.jsonl"}
    again = mnistctl(*words, "--resume", "--allow-inexact")  # this process may use another number of threads
    assert again.returncode == 0, again.stderr


def save_forever(folder):
    """Save checkpoints without training in between."""
    checkpoints, saved = RunCheckpoints(folder / "a"), header(recipe_epochs=1000)
    checkpoints.create_folder()
    (folder / "ready").touch()
    weights = {"w": torch.zeros(100_000)}
    while True:
        epoch = torch.tensor(len(saved.progress.epochs))
        checkpoints.save(saved, weights | {"epoch": epoch})
        saved.progress.add(Epoch(len(saved.progress.epochs) + 1, 0.1, 0.1, 0.1, 99.0, 1.0))
        weights["w"] += 1


def kill_while_saving(folder, rng):
    """Kill a process that saves at a random moment; return the newest checkpoint that it left."""
    folder.mkdir()
    child = os.fork()
    if not child:
        torch.set_num_threads(1)
        save_forever(folder)
    while not (folder / "ready").exists():
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return RunCheckpoints(folder / "a").load()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.long)])
def test_kill_while_saving_leaves_a_checkpoint_that_can_be_loaded(kills, tmp_path):
    rng, epochs = random.Random(kills), []
    torch.set_num_threads(1)  # the other threads do not survive a fork
    for kill in range(kills):
        saved = kill_while_saving(tmp_path / str(kill), rng)
        if saved is None:  # killed before its first checkpoint was complete
            epochs.append(0)
            continue
        epochs.append(len(saved.header.progress.epochs))
        assert float(saved.tensors["w"][0]) == float(saved.tensors["w"][-1]) == epochs[-1]
        assert len(list((tmp_path / str(kill) / "a.unfinished").glob("epoch-*"))) <= 3
    assert len(set(epochs)) > kills / 10
