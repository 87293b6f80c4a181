"""Checkpoints and records of runs whose values are wrong, with a checksum that fits."""

import json
import random
import shutil
import sys
from collections import Counter

import pytest
import torch
from conftest import few_digits
from safetensors.torch import load as unpack
from safetensors.torch import save as pack
from warping import DELETED, VALUES, nested, places, with_value

from mnistctl.artifacts import checkpoint, files
from mnistctl.artifacts.drawing import Chart
from mnistctl.errors import CheckpointError
from mnistctl.training import checkpoints
from mnistctl.training.events import Epoch, GanEpoch
from mnistctl.training.options import RunOptions
from mnistctl.training.record import read_record
from mnistctl.training.run import train


def sign_record(body):
    if isinstance(body, dict):
        body = body | {"checksum": files.CHECKSUM_PLACEHOLDER}
    return files.add_checksum(json.dumps(body).encode())


def open_checkpoint(content):
    """The header of a checkpoint, its rows included, and a function that makes the file with another one."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["mnistctl"])
    tensors = unpack(content)
    rows = json.loads(tensors.pop("rows").numpy().tobytes()) if "rows" in tensors else {}

    def sign(header):
        packed = dict(tensors)
        if isinstance(header, dict):
            header = header | {"checksum": files.CHECKSUM_PLACEHOLDER}
            if isinstance(progress := header.get("progress"), dict):
                warped = json.dumps({name: progress[name] for name in rows if name in progress})
                header["progress"] = {name: value for name, value in progress.items() if name not in rows}
                packed["rows"] = torch.frombuffer(bytearray(warped.encode()), dtype=torch.uint8)
        return files.add_checksum(pack(packed, {"mnistctl": json.dumps(header)}))

    if rows:
        header["progress"] |= rows
    return header, sign


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A data folder with one batch of training images, so that an epoch takes a moment."""
    return few_digits(tmp_path_factory.mktemp("few"), 20, 50)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, few):
    """A finished run of logit, and unfinished ones of logit and gan, on few digits."""
    out = tmp_path_factory.mktemp("runs") / "out"

    def options(name):
        return RunOptions(epochs=2, batch_size=20, dataset="own", data_dir=few, out_dir=out, name=name)

    list(train("logit", options("finished")))
    for model in ("logit", "gan"):
        run = train(model, options(model))
        next(event for event in run if isinstance(event, Epoch | GanEpoch))
        run.close()
    return out


UNFINISHED = "{}.unfinished/epoch-0001.safetensors"


def warp_record(runs, target, place, value):
    body = with_value(json.loads((runs / "finished.json").read_bytes()), place, value)
    target.write_bytes(sign_record(body))
    return target


def warp_checkpoint(runs, folder, place, value, model="logit"):
    header, sign = open_checkpoint((runs / UNFINISHED.format(model)).read_bytes())
    (folder / f"{model}.unfinished").mkdir(exist_ok=True)
    (folder / UNFINISHED.format(model)).write_bytes(sign(with_value(header, place, value)))
    return checkpoints.RunCheckpoints(folder / model)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["settings", "seed"], 1.5, "settings.seed"),
        (["settings", "seed"], -1, "settings.seed"),
        (["settings", "threads"], True, "settings.threads"),
        (["settings", "threads"], 0, "settings.threads"),
        (["settings", "precision"], "float99", "settings.precision"),
        (["settings", "device"], "toaster", "settings.device"),
        (["settings", "versions"], nested(100, lambda value: {"a": value}), "nested deeper than 50"),
        (["settings", "dataset", "sha256", "train-images-idx3-ubyte"], "abc", "settings.dataset.sha256"),
        (["settings", "recipe", "lr_schedule"], [0.1], "1 values for 2 epochs"),
        (["options", "seed"], 7, "options.seed: differs"),
        (["options", "dataset"], "cifar", "options.dataset: differs"),
        (["options", "data_dir"], [], "options.data_dir"),
        (["progress", "epochs", 0, "loss"], "low", r"progress.epochs\[0\].loss"),
        (["progress", "epochs", 0, "loss"], float("nan"), "progress.epochs.0.loss: not a finite number"),
        (["progress", "epochs", 0, "epoch"], 2, "not numbered 1, 2, 3"),
        (["progress", "epochs", 0], [1, 2, 3], r"progress.epochs\[0\]"),
        (["progress", "epochs"], [], "the header is not of its epoch"),
        (["progress", "seconds"], -1, "progress.seconds"),
        (["progress", "resumed"], [{"after": -1}], r"progress.resumed\[0\].after"),
        (["machine"], "fast", "machine"),
    ],
)
def test_wrong_value_in_a_checkpoint_is_named(place, value, message, runs, tmp_path):
    with pytest.raises(CheckpointError, match=message) as caught:
        warp_checkpoint(runs, tmp_path, place, value).load()
    assert str(tmp_path) in str(caught.value)


def test_epochs_of_a_gan_in_a_checkpoint_of_a_classifier_are_refused(runs, tmp_path):
    epochs = open_checkpoint((runs / UNFINISHED.format("gan")).read_bytes())[0]["progress"]["gan_epochs"]
    progress = {"started": "now", "gan_epochs": epochs}
    with pytest.raises(CheckpointError, match="another kind of model than logit"):
        warp_checkpoint(runs, tmp_path, ["progress"], progress).load()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["accuracies"], [99.0], "accuracies: 1 values for 2 epochs"),
        (["losses"], [0.1, 0.2, 0.3], "losses: 3 values for 2 epochs"),
        (["test_losses"], DELETED, "test_losses: missing"),
        (["accuracies", 0], 101, "accuracies"),
        (["accuracy"], float("nan"), "accuracy: not a finite number"),
        (["digest"], "0" * 63, "digest"),
        (["state_digest"], "F" * 64, "state_digest"),
        (["state_digest"], 5, "state_digest"),
        (["mismatches", 0, "predicted"], 10, "predicted"),
        (["mismatches", 0, "index"], -1, "index"),
        (["recipe", "epochs"], True, "recipe.epochs"),
        (["recipe", "epochs"], 10**7, "recipe.epochs"),
        (["seconds"], -0.1, "seconds"),
        (["parameters"], 1.5, "parameters"),
        (["threads"], True, "threads"),
        (["seed"], 1.5, "seed"),
    ],
)
def test_wrong_value_in_a_record_is_named(place, value, message, runs, tmp_path):
    with pytest.raises(CheckpointError, match=message):
        read_record(warp_record(runs, tmp_path / "a.json", place, value))


def test_digests_in_a_record_are_those_of_its_weights(runs):
    record = read_record(runs / "finished.json")
    _, weights = checkpoint.load(runs / "finished.safetensors", checkpoint.NET)
    assert record.digest == checkpoint.digest(weights)
    assert record.state_digest != record.digest


# The words of errors that a changed value may end in, by exit code. All others name the file and end in 5.
ALLOWED = {
    0: [],
    2: ["belongs to a different run", "--device", "--threads", "20 training images"],
    3: ["--dataset"],
    5: [],
}


KINDS = ["record", "logit", "gan"]  # a finished run, and the checkpoints of two unfinished ones


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_1000_warped_files_end_in_one_line_and_a_right_exit_code(
    kind, runs, few, mnistctl, tmp_path, capsys, monkeypatch
):
    """Every field of a file gets every value in turn, by way of the program: 3,000 of the three kinds.

    A changed value may be as sound as the old one: a record of another run (2), a folder without data (3), a
    device or threads that this machine lacks (2), or nothing that matters to the run (0).
    """
    monkeypatch.setattr(Chart, "write", lambda *_: None)  # of runs that go on, for speed
    out, seen, tracebacks = tmp_path / "out", Counter(), []
    shared = ["--out-dir", str(out), "--quiet"]
    if kind == "record":
        path, sign = runs / "finished.json", sign_record
        body = json.loads(path.read_bytes())
        body["mismatches"] = body["mismatches"][:2]
        arguments = ["train", "logit", "--epochs", "2", "--batch-size", "20", "--name", "finished"]
        arguments += ["--dataset", "own", "--data-dir", str(few), *shared]
    else:
        path = runs / UNFINISHED.format(kind)
        body, sign = open_checkpoint(path.read_bytes())
        arguments = ["train", kind, "--resume", *shared]
    ignored = {f"{other}.unfinished" for other in KINDS if other != kind}
    pairs = [(place, value) for place in places(body) for value in VALUES]
    random.Random(0).shuffle(pairs)
    for place, value in pairs[:1000]:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(runs, out, ignore=shutil.ignore_patterns(*ignored))
        (out / path.relative_to(runs)).write_bytes(sign(with_value(body, place, value)))
        try:
            ran = mnistctl(*arguments)
        except Exception as error:  # noqa: BLE001
            tracebacks.append((place, value, error))
            continue
        seen[ran.returncode] += 1
        assert ran.returncode in ALLOWED, (place, value, ran.stderr)
        if ran.returncode:
            assert ran.stderr.count("\n") == 1, (place, value, ran.stderr)
            words = ALLOWED[ran.returncode] or [str(out)]
            assert any(word in ran.stderr for word in words), (place, value, ran.stderr)
    with capsys.disabled():
        sys.stdout.write("".join(f"\n{kind}: exit {code}: {count}" for code, count in sorted(seen.items())))
    assert not tracebacks, tracebacks[:3]
    assert seen.total() == 1000
