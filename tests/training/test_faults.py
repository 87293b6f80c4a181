"""Disks that fill or fail, processes that are killed as they save, and files that are damaged or hostile."""

import errno
import io
import json
import os
import pickle  # noqa: TID251
import random
import resource
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save as pack

from mnistctl.artifacts import checkpoint, files, grids, record
from mnistctl.data import idx
from mnistctl.errors import CheckpointError, MnistctlError, OutputError
from mnistctl.inference import load
from mnistctl.training import run
from mnistctl.training.checkpoints import RunCheckpoints, RunProgress
from mnistctl.training.events import Epoch
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train

WEIGHTS = {"1.weight": torch.arange(7840.0).view(10, 784), "1.bias": torch.zeros(10)}
PICTURE = np.zeros((28, 28), np.uint8)


KINDS = {
    "net": ("a.safetensors", lambda p: checkpoint.save(p, checkpoint.NET, {"model": "logit"}, WEIGHTS)),
    "run": ("epoch-0000.safetensors", lambda p: RunCheckpoints(stem(p)).save(*JOURNAL, WEIGHTS)),
    "record": ("a.json", lambda p: record.write(p, {"model": "logit"})),
    "lines": ("a.jsonl", lambda p: files.write(p, "{}\n")),
    "picture": ("a.png", lambda p: grids.write_png(p, PICTURE)),
    "digits": ("train-images-idx3-ubyte", lambda p: files.write(p, idx.dump(PICTURE[None]))),
}
JOURNAL = (RunProgress("now"), {})


def stem(path):
    return path.parent.with_suffix("")


class Failing(io.FileIO):
    """A file that takes some bytes and then no more."""

    def write(self, content):
        super().write(bytes(content)[:3])
        raise OSError(Failing.number, os.strerror(Failing.number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("place", ["open", "write", "fsync", "rename"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_the_disk_leaves_the_file_before_and_names_path_and_reason(
    kind, place, number, tmp_path, monkeypatch
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
        patched.setattr(*failing[place])
        with pytest.raises(OutputError) as told:
            write(path)
    assert str(path) in str(told.value)
    assert os.strerror(number) in str(told.value)
    assert told.value.exit_code == 1
    assert [p.name for p in path.parent.iterdir()] == [name]
    assert path.read_bytes() == b"before"
    write(path)
    assert path.read_bytes() != b"before"


def test_a_full_disk_ends_the_program_with_1_and_one_line_and_loses_nothing(tmp_path):
    """As the system tells it: no file of this process may grow beyond a limit."""
    limit = 3_000_000  # bytes: the first checkpoint is smaller, the second has the momentum too
    words = [sys.executable, "-m", "mnistctl", "train", "linear", "--dataset", "sample", "--epochs", "2"]
    ran = subprocess.run(
        words,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "/epoch-0001.safetensors: cannot be written (File too large)" in ran.stderr
    assert "`mnistctl train linear --dataset sample --resume` goes on" in ran.stderr
    names = [path.name for path in (tmp_path / "out/linear-sample.unfinished").iterdir()]
    assert names == ["epoch-0000.safetensors"]
    again = subprocess.run([*words, "--resume"], cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr


def saving(folder):
    """Save for ever, faster than any run does."""
    place, told = RunCheckpoints(folder / "a"), RunProgress("now")
    place.begin()
    (folder / "ready").touch()
    weights = {"w": torch.zeros(100_000)}
    while True:
        place.save(
            told,
            {"run": {}, "machine": {}, "options": {}},
            weights | {"epoch": torch.tensor(len(told.epochs))},
        )
        told.epochs.append(EPOCH)
        weights["w"] += 1


EPOCH = Epoch(1, 0.1, 0.1, 0.1, 99.0, 1.0)


def kill_as_it_saves(folder, rng):
    """A process that saves, killed at a random moment; the newest of what it left."""
    folder.mkdir()
    child = os.fork()
    if not child:
        torch.set_num_threads(1)
        saving(folder)
    while not (folder / "ready").exists():
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return RunCheckpoints(folder / "a").load()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.long)])
def test_a_kill_as_it_saves_leaves_a_checkpoint_that_can_be_loaded(kills, tmp_path):
    rng, epochs = random.Random(kills), []
    torch.set_num_threads(1)  # a fork has no use of the other threads
    for kill in range(kills):
        held = kill_as_it_saves(tmp_path / str(kill), rng)
        if held is None:  # killed before its first save was whole
            epochs.append(0)
            continue
        epochs.append(len(held.journal.epochs))
        assert float(held.tensors["w"][0]) == float(held.tensors["w"][-1]) == epochs[-1]
        assert len(list((tmp_path / str(kill) / "a.unfinished").glob("epoch-*"))) <= 3
    assert len(set(epochs)) > kills / 10


# Damaged and hostile files: the readers are asked as `eval` and `train` ask them.


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run and an unfinished one, whose files are then written over."""
    out = tmp_path_factory.mktemp("out")
    list(train(options(out)))
    told = train(options(out, name="going"))
    for event in told:
        if isinstance(event, Epoch):
            break
    told.close()
    return out


def options(out, **more):
    return RunOptions(
        **{"model": "logit", "epochs": 2, "dataset": "sample", "out_dir": out, "name": "done"} | more
    )


READERS = {
    "net": ("done.safetensors", lambda out: load.load_classifier(out / "done.safetensors")),
    "run": (
        "going.unfinished/epoch-0001.safetensors",
        lambda out: list(train(options(out, name="going"), resume=True)),
    ),
    "record": ("done.json", lambda out: list(train(options(out)))),
}


@pytest.fixture
def changed(made):
    """Write other bytes over a file of those runs; it is as it was after the test."""
    before = {}

    def change(name, content):
        before.setdefault(made / name, (made / name).read_bytes())
        (made / name).write_bytes(content)

    yield change
    for path, content in before.items():
        path.write_bytes(content)


@pytest.mark.parametrize("kind", READERS)
def test_200_sampled_bytes_are_noticed_when_they_change(kind, made, changed):
    name, read = READERS[kind]
    whole, rng = (made / name).read_bytes(), random.Random(kind)
    header = 8 + int.from_bytes(whole[:8], "little") if kind != "record" else len(whole)
    for flip in range(200):
        at = rng.randrange(header if flip % 2 else len(whole))  # half of them where a reader looks first
        content = bytearray(whole)
        content[at] ^= rng.randrange(1, 256)
        changed(name, content)
        with pytest.raises(CheckpointError):
            read(made)


class Payload:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload()))
    return buffer.getvalue()


def wrong(rng):
    return rng.choice(
        [None, True, -1, 2**70, 1e308, "x" * 50, [], {}, [[]], {"a": {}}, "../../etc", float("nan")]
    )


def warped(value, rng):
    """The same JSON with one value, wherever it stands, of another kind or gone."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        if rng.random() < 0.2:
            return {k: v for k, v in value.items() if k != key}
        return value | {key: warped(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.5:
        return [*value[:-1], warped(value[-1], rng)]
    return wrong(rng)


def signed_again(whole, kind, rng):
    """The file with one value warped, a checksum that fits it and all else sound."""
    if kind == "record":
        told = warped(json.loads(whole), rng)
        if isinstance(told, dict):
            told["checksum"] = files.CHECKSUM_PLACEHOLDER
        return files.add_checksum(json.dumps(told).encode())
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    about = json.loads(header["__metadata__"]["mnistctl"])
    if rng.random() < 0.3:
        tensors = {k: v for k, v in header.items() if k != "__metadata__"}
        tensors = warped(tensors, rng)
        header = {"__metadata__": 0} | (tensors if isinstance(tensors, dict) else {})
    else:
        about = warped(about, rng)
    if isinstance(about, dict):
        about["checksum"] = files.CHECKSUM_PLACEHOLDER
    header["__metadata__"] = {"mnistctl": json.dumps(about)}
    text = json.dumps(header).encode()
    return files.add_checksum(len(text).to_bytes(8, "little") + text + whole[8 + size :])


def foreign(whole, rng):
    """Bytes that are none of our files, or only a part of one."""
    size = rng.choice([0, 1, 7, 8, 9, 100, 5000])
    noise = rng.randbytes(size)
    return rng.choice(
        [
            lambda: noise,
            lambda: whole[: rng.randrange(len(whole))],
            lambda: whole + (noise or b"\0"),
            lambda: pickle.dumps(Payload(), protocol=rng.randrange(6)),
            lambda: zipped(),
            lambda: rng.choice([2**63, 2**64 - 1, 2**40, 101, 2]).to_bytes(8, "little") + b"{}" + noise,
            lambda: b"[" * rng.choice([10, 1000, 100_000]),
            lambda: (2 * size + 2).to_bytes(8, "little") + b"[" * (2 * size + 2),
            lambda: b'{"version": ' + b"9" * rng.choice([1, 4000, 5000]) + b"}",
            lambda: pack({"a": torch.zeros(2)}, {"mnistctl": rng.choice(["", "{}", "[]", '{"format": 2}'])}),
            lambda: pack({"a": torch.zeros(2)}, {"other": "x"}),
            lambda: json.dumps({"version": 2, "checksum": files.CHECKSUM_PLACEHOLDER}).encode(),
            lambda: files.add_checksum(
                json.dumps({"version": rng.choice([1, 3]), "c": files.CHECKSUM_PLACEHOLDER}).encode()
            ),
        ]
    )()


@pytest.mark.parametrize("kind", READERS)
def test_500_hostile_files_are_refused_and_nothing_in_them_runs(kind, made, changed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, read = READERS[kind]
    whole, rng, loaded = (made / name).read_bytes(), random.Random(kind), set(sys.modules)
    for _ in range(500):
        changed(name, foreign(whole, rng))
        with pytest.raises(CheckpointError) as refused:
            read(made)
        assert refused.value.exit_code == 5
        assert "\n" not in str(refused.value)
    assert set(sys.modules) == loaded
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", READERS)
def test_files_that_are_signed_but_warped_are_refused_or_harmless(kind, made, changed, monkeypatch):
    """Whoever signs a file of their own may change what it tells, never how the program ends."""
    monkeypatch.setattr(run, "_execute", lambda *_: iter(()))  # where it was believed
    name, read = READERS[kind]
    whole, rng, refused = (made / name).read_bytes(), random.Random(kind), 0
    for _ in range(300):
        changed(name, signed_again(whole, kind, rng))
        try:
            read(made)
        except MnistctlError as fault:
            refused += 1
            assert fault.exit_code in (2, 5)
    assert refused > 100


def test_a_checkpoint_of_another_net_or_with_a_number_that_is_none_is_refused(made, changed, tmp_path):
    path = "going.unfinished/epoch-0001.safetensors"
    about, tensors = checkpoint.load(made / path, checkpoint.RUN)
    bad = [
        ("not the state of this run", tensors | {"net.1.weight": torch.zeros(10, 783)}),
        ("not the state of this run", {k: v for k, v in tensors.items() if k != "net.1.bias"}),
        ("0.momentum_buffer", tensors | {"optimizer.0.momentum_buffer": torch.zeros(10, 784)}),
        ("not finite", tensors | {"net.1.bias": torch.full((10,), torch.nan)}),
        ("not of its epoch", tensors | {"epoch": torch.tensor(2)}),
    ]
    for told, state in bad:
        checkpoint.save(tmp_path / "c", checkpoint.RUN, about, state)
        changed(path, (tmp_path / "c").read_bytes())
        with pytest.raises(CheckpointError, match=told):
            list(train(options(made, name="going"), resume=True))


def test_moments_of_another_size_are_refused_before_a_kernel_trusts_them(tmp_path):
    given = RunOptions(model="linear", epochs=2, dataset="sample", out_dir=tmp_path, name="a")
    told = train(given)
    next(event for event in told if isinstance(event, Epoch))
    told.close()
    path = tmp_path / "a.unfinished/epoch-0001.safetensors"
    about, tensors = checkpoint.load(path, checkpoint.RUN)
    name = "optimizer.0.momentum_buffer"
    without = {k: v for k, v in tensors.items() if k != name}
    for moment in ({name: torch.zeros(1)}, {name: torch.zeros(800, 784).double()}, {}):
        state = without | moment
        checkpoint.save(path, checkpoint.RUN, about, state)
        with pytest.raises(CheckpointError, match="momentum_buffer"):
            list(train(given, resume=True))


def test_a_pipe_under_a_files_name_is_refused_without_waiting(made, tmp_path):
    os.mkfifo(tmp_path / "done.json")
    with pytest.raises(CheckpointError, match="not a file"):
        list(train(options(tmp_path)))
    os.mkfifo(tmp_path / "c")
    with pytest.raises(CheckpointError, match="not a file"):
        checkpoint.load(tmp_path / "c", checkpoint.NET)
