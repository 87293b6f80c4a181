"""ONNX files: every classifier as one, what is in it, and what refuses to become one."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mnistctl import models
from mnistctl.data import datasets
from mnistctl.data.digits import Digits
from mnistctl.errors import OutputError
from mnistctl.inference import export, load
from mnistctl.inference.export import export_onnx
from mnistctl.inference.forward import compute_logits

# conv's is exported by `eval` below; an export takes seconds, and that of a recurrent net is the odd one.
KINDS = [
    "lstm",
    *(pytest.param(name, marks=pytest.mark.long) for name in models.CLASSIFIERS if name != "lstm"),
]
CONV = Path(__file__).parents[2] / "records/conv.safetensors"
CPU = torch.device("cpu")


def some_digits(count):
    arrays, _ = datasets.load("sample", None, "test")
    return Digits.of(datasets.Arrays(arrays.images[:count], arrays.labels[:count]), CPU)


@pytest.mark.parametrize("name", KINDS)
def test_every_net_is_read_by_onnx_runtime_as_by_torch_in_batches_of_any_size(name, tmp_path):
    torch.manual_seed(0)
    net, digits = models.load_classifier(name).net(), some_digits(60)
    outputs = compute_logits(net, digits)
    told = export_onnx(tmp_path / "net.onnx", net, digits, outputs)
    assert told.digits == 60
    assert told.difference < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    for count in (1, 3):
        (found,) = session.run(None, {"pixels": digits.take(slice(count))[0].numpy()})
        assert np.abs(found - outputs[:count].numpy()).max() < 1e-4
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type, taken.shape) == ("pixels", "tensor(float)", ["batch", 1, 28, 28])
    assert (given.name, given.shape) == ("logits", ["batch", 10])
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert name != "lstm" or [node.op_type for node in graph.node].count("LSTM") == 2
    assert (
        b"site-packages" not in (tmp_path / "net.onnx").read_bytes()
    )  # nor where torch stands on this machine


def test_eval_writes_the_net_as_onnx_and_says_how_near_its_logits_are(mnistctl, tmp_path):
    ran = mnistctl("eval", str(CONV), "--dataset", "sample", "--onnx", "net.onnx", "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert told["onnx"].keys() == {"path", "opset", "digits", "difference"}
    assert (told["onnx"]["path"], told["onnx"]["digits"]) == ("net.onnx", 1000)
    assert told["paths"][-1] == "net.onnx"
    digits = some_digits(1000)
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    (found,) = session.run(None, {"pixels": digits.images.numpy().astype(np.float32) / 127.5 - 1})
    assert told["mismatches"]["indices"] == np.flatnonzero(found.argmax(1) != digits.labels.numpy()).tolist()
    assert onnx.load(tmp_path / "net.onnx").opset_import[0].version == told["onnx"]["opset"]


@pytest.fixture
def quick(monkeypatch):
    """An exporter that gives any bytes, and a runtime that gives what it is told: where neither matters."""
    monkeypatch.setattr(export, "_to_onnx", lambda net: b"a graph")
    return lambda outputs: monkeypatch.setattr(export, "_run_onnx", lambda content, digits: outputs)


def test_a_file_that_would_read_other_digits_is_not_written(quick, tmp_path):
    net, digits = models.load_classifier("logit").net(), some_digits(20)
    outputs = compute_logits(net, digits)
    quick(outputs.roll(1, 1))
    with pytest.raises(OutputError, match="20 of 20 digits otherwise"):
        export_onnx(tmp_path / "net.onnx", net, digits, outputs)
    assert not (tmp_path / "net.onnx").exists()


def test_the_text_tells_how_far_apart_the_logits_are_and_a_file_that_cannot_be_written(
    quick, mnistctl, tmp_path
):
    outputs = compute_logits(load.load_classifier(CONV)[1], some_digits(1000))
    outputs[0, 0] -= 0.5
    quick(outputs)
    words = ("eval", str(CONV), "--dataset", "sample", "--onnx")
    ran = mnistctl(*words, "net.onnx")
    assert "onnx: ONNX Runtime reads all 1000 digits alike, logits at most 5.0e-01 apart\n" in ran.stdout
    assert (tmp_path / "net.onnx").read_bytes() == b"a graph"
    ran = mnistctl(*words, "net.onnx/below.onnx")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert "net.onnx/below.onnx" in ran.stderr


def test_without_the_extra_it_is_said_how_to_install_it(mnistctl, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name.startswith("onnx") else name)
    ran = mnistctl("eval", str(CONV), "--dataset", "sample", "--onnx", "net.onnx")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "pip install 'mnistctl[onnx]'" in ran.stderr


def test_a_generator_is_refused(mnistctl):
    ran = mnistctl("eval", str(CONV.with_name("gan.safetensors")), "--onnx", "net.onnx")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "--onnx is for a classifier only" in ran.stderr
