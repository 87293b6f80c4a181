"""Files that are damaged or hostile, read the way `eval` and `train` read them."""

import io
import json
import os
import pickle  # noqa: TID251
import random
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save as pack

from mnistctl.artifacts import checkpoint, files
from mnistctl.errors import CheckpointError, MnistctlError
from mnistctl.inference import load
from mnistctl.training import run
from mnistctl.training.events import Epoch
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A finished run and an unfinished one, whose files the tests replace."""
    folder = tmp_path_factory.mktemp("out")
    list(train("logit", options(folder)))
    stop_after_first_epoch("logit", options(folder, name="unfinished"))
    return folder


def options(folder, name="finished"):
    return RunOptions(epochs=2, dataset="sample", out_dir=folder, name=name)


def stop_after_first_epoch(model, options):
    run = train(model, options)
    next(event for event in run if isinstance(event, Epoch))
    run.close()


READERS = {
    "net": ("finished.safetensors", lambda folder: load.load_classifier(folder / "finished.safetensors")),
    "run": (
        "unfinished.unfinished/epoch-0001.safetensors",
        lambda folder: list(train("logit", options(folder, "unfinished"), resume=True)),
    ),
    "record": ("finished.json", lambda folder: list(train("logit", options(folder)))),
}


@pytest.fixture
def replace(out):
    """Replace the bytes of a file of those runs, until the end of the test."""
    before = {}

    def replace_file(name, content):
        before.setdefault(out / name, (out / name).read_bytes())
        (out / name).write_bytes(content)

    yield replace_file
    for path, content in before.items():
        path.write_bytes(content)


@pytest.mark.parametrize("kind", READERS)
def test_changes_of_200_sampled_bytes_are_noticed(kind, out, replace):
    name, read = READERS[kind]
    whole, rng = (out / name).read_bytes(), random.Random(kind)
    header = 8 + int.from_bytes(whole[:8], "little") if kind != "record" else len(whole)
    for flip in range(200):
        position = rng.randrange(header if flip % 2 else len(whole))  # half of them in the header
        content = bytearray(whole)
        content[position] ^= rng.randrange(1, 256)
        replace(name, content)
        with pytest.raises(CheckpointError):
            read(out)


class Payload:
    """An object that creates a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload()))
    return buffer.getvalue()


def wrong_value(rng):
    return rng.choice(
        [None, True, -1, 2**70, 1e308, "x" * 50, [], {}, [[]], {"a": {}}, "../../etc", float("nan")]
    )


def with_one_change(value, rng):
    """The same JSON with one value, at any depth, replaced or removed."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        if rng.random() < 0.2:
            return {k: v for k, v in value.items() if k != key}
        return value | {key: with_one_change(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.5:
        return [*value[:-1], with_one_change(value[-1], rng)]
    return wrong_value(rng)


def with_new_checksum(whole, kind, rng):
    """The file with one value changed and a checksum that fits it."""
    if kind == "record":
        body = with_one_change(json.loads(whole), rng)
        if isinstance(body, dict):
            body["checksum"] = files.CHECKSUM_PLACEHOLDER
        return files.add_checksum(json.dumps(body).encode())
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    own = json.loads(header["__metadata__"]["mnistctl"])
    if rng.random() < 0.3:
        tensors = {k: v for k, v in header.items() if k != "__metadata__"}
        tensors = with_one_change(tensors, rng)
        header = {"__metadata__": 0} | (tensors if isinstance(tensors, dict) else {})
    else:
        own = with_one_change(own, rng)
    if isinstance(own, dict):
        own["checksum"] = files.CHECKSUM_PLACEHOLDER
    header["__metadata__"] = {"mnistctl": json.dumps(own)}
    text = json.dumps(header).encode()
    return files.add_checksum(len(text).to_bytes(8, "little") + text + whole[8 + size :])


def foreign(whole, rng):
    """Bytes of another program, or a part of one of our files."""
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
            lambda: pack({"a": torch.zeros(2)}, {"mnistctl": rng.choice(["", "{}", "[]", '{"format": 3}'])}),
            lambda: pack({"a": torch.zeros(2)}, {"other": "x"}),
            lambda: json.dumps({"version": 3, "checksum": files.CHECKSUM_PLACEHOLDER}).encode(),
            lambda: files.add_checksum(
                json.dumps({"version": rng.choice([1, 2, 3, 4]), "c": files.CHECKSUM_PLACEHOLDER}).encode()
            ),
        ]
    )()


@pytest.mark.parametrize("kind", READERS)
def test_hostile_files_are_refused_and_nothing_in_them_is_executed(kind, out, replace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, read = READERS[kind]
    whole, rng, loaded = (out / name).read_bytes(), random.Random(kind), set(sys.modules)
    for _ in range(200):
        replace(name, foreign(whole, rng))
        with pytest.raises(CheckpointError) as raised:
            read(out)
        assert raised.value.exit_code == 5
        assert "\n" not in str(raised.value)
    assert set(sys.modules) == loaded
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", READERS)
def test_changed_files_with_a_fitting_checksum_are_refused_or_harmless(kind, out, replace, monkeypatch):
    """A file with a computed checksum may hold other values. It never ends the program in a traceback."""
    monkeypatch.setattr(run, "execute", lambda *_: iter(()))  # for the files that are accepted
    name, read = READERS[kind]
    whole, rng, refused = (out / name).read_bytes(), random.Random(kind), 0
    for _ in range(120):
        replace(name, with_new_checksum(whole, kind, rng))
        try:
            read(out)
        except MnistctlError as error:
            refused += 1
            assert error.exit_code in (2, 5)
    assert refused > 40


def test_checkpoint_of_another_net_or_with_nan_is_refused(out, replace, tmp_path):
    path = "unfinished.unfinished/epoch-0001.safetensors"
    header, tensors = checkpoint.load(out / path, checkpoint.RUN)
    bad = [
        ("not the state of this run", tensors | {"net.1.weight": torch.zeros(10, 783)}),
        ("not the state of this run", {k: v for k, v in tensors.items() if k != "net.1.bias"}),
        ("0.momentum_buffer", tensors | {"optimizer.0.momentum_buffer": torch.zeros(10, 784)}),
        ("not finite", tensors | {"net.1.bias": torch.full((10,), torch.nan)}),
        ("not of its epoch", tensors | {"epoch": torch.tensor(2)}),
    ]
    for message, state in bad:
        checkpoint.save(tmp_path / "c", checkpoint.RUN, header, state)
        replace(path, (tmp_path / "c").read_bytes())
        with pytest.raises(CheckpointError, match=message):
            list(train("logit", options(out, "unfinished"), resume=True))


def test_optimizer_state_of_another_shape_is_refused(tmp_path):
    """A fused kernel would read beyond the end of a tensor that is too short."""
    stop_after_first_epoch("linear", options(tmp_path, "a"))
    path = tmp_path / "a.unfinished/epoch-0001.safetensors"
    header, tensors = checkpoint.load(path, checkpoint.RUN)
    name = "optimizer.0.momentum_buffer"
    without = {k: v for k, v in tensors.items() if k != name}
    for moment in ({name: torch.zeros(1)}, {name: torch.zeros(800, 784).double()}, {}):
        state = without | moment
        checkpoint.save(path, checkpoint.RUN, header, state)
        with pytest.raises(CheckpointError, match=r"0\.momentum_buffer"):
            list(train("linear", options(tmp_path, "a"), resume=True))


def test_pipe_in_place_of_a_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "finished.json")
    with pytest.raises(CheckpointError, match="not a file"):
        list(train("logit", options(tmp_path)))
    os.mkfifo(tmp_path / "c")
    with pytest.raises(CheckpointError, match="not a file"):
        checkpoint.load(tmp_path / "c", checkpoint.NET)
