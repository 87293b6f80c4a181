"""ONNX export: every classifier, what the file has in it, and what is refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from recipe_files import classifier, module

from mnistctl import models
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.errors import OutputError
from mnistctl.inference import export, load
from mnistctl.inference.export import export_onnx
from mnistctl.inference.forward import compute_logits

# An export takes seconds. conv is exported by `eval` below; lstm is the only recurrent net.
NETS = [
    "lstm",
    *(pytest.param(name, marks=pytest.mark.long) for name in models.CLASSIFIERS if name != "lstm"),
]
CONV = Path(__file__).parents[2] / "records/conv.safetensors"
CPU = torch.device("cpu")


def first_digits(count):
    arrays, _ = datasets.load("sample", None, "test")
    return Digits.of(datasets.Arrays(arrays.images[:count], arrays.labels[:count]), CPU)


@pytest.mark.parametrize("name", NETS)
def test_onnx_runtime_agrees_with_torch_on_batches_of_any_size(name, tmp_path):
    torch.manual_seed(0)
    net, digits = models.load_classifier(name).net(), first_digits(60)
    logits = compute_logits(net, digits)
    result = export_onnx(tmp_path / "net.onnx", net, digits, logits)
    assert result.count == 60
    assert result.max_difference < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    for count in (1, 3):
        (actual,) = session.run(None, {"pixels": digits.take(slice(count))[0].numpy()})
        assert np.abs(actual - logits[:count].numpy()).max() < 1e-4
    (pixels,), (output,) = session.get_inputs(), session.get_outputs()
    assert (pixels.name, pixels.type, pixels.shape) == ("pixels", "tensor(float)", ["batch", 1, 28, 28])
    assert (output.name, output.shape) == ("logits", ["batch", 10])
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert name != "lstm" or [node.op_type for node in graph.node].count("LSTM") == 2
    assert b"site-packages" not in (tmp_path / "net.onnx").read_bytes()  # no path of this machine


def test_eval_writes_the_net_as_onnx_and_reports_the_difference_of_the_logits(mnistctl, tmp_path):
    ran = mnistctl("eval", str(CONV), "--dataset", "sample", "--onnx", "net.onnx", "--json")
    assert ran.returncode == 0
    assert "all 1,000 digits were used in training" in ran.stderr
    body = json.loads(ran.stdout)
    assert body["onnx"].keys() == {"path", "opset", "count", "max_difference"}
    assert (body["onnx"]["path"], body["onnx"]["count"]) == ("net.onnx", 1000)
    assert "net.onnx" in body["paths"]
    digits = first_digits(1000)
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    (logits,) = session.run(None, {"pixels": digits.images.numpy().astype(np.float32) / 127.5 - 1})
    wrong = np.flatnonzero(logits.argmax(1) != digits.labels.numpy())
    assert body["mismatches"]["indices"] == wrong.tolist()
    assert onnx.load(tmp_path / "net.onnx").opset_import[0].version == body["onnx"]["opset"]


@pytest.fixture
def quick(monkeypatch):
    """Replace the exporter, and return a function that sets the logits of ONNX Runtime."""
    monkeypatch.setattr(export, "_to_onnx", lambda net: b"a graph")
    return lambda logits: monkeypatch.setattr(export, "_run_onnx", lambda content, digits: logits)


def test_a_net_that_predicts_other_digits_in_onnx_runtime_is_not_written(quick, tmp_path):
    net, digits = models.load_classifier("logit").net(), first_digits(20)
    logits = compute_logits(net, digits)
    quick(logits.roll(1, 1))
    with pytest.raises(OutputError, match="another digit for 20 of 20 images"):
        export_onnx(tmp_path / "net.onnx", net, digits, logits)
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("x if x.sum() > 0 else 2 * x", "Could not guard on data-dependent expression"),
        pytest.param("torch.linalg.qr(x)[0]", "No ONNX function found for", marks=pytest.mark.long),
    ],
)
def test_net_that_cannot_be_exported_is_reported_in_one_line_after_its_results(
    code, reason, mnistctl, tmp_path
):
    forward = f"def forward(self, x):\n    x = {code}\n    return self.l(x.flatten(1))"
    (tmp_path / "own.py").write_text(classifier(module(forward), epochs="1"))
    assert mnistctl("train", "own.py", "--dataset", "sample", "--quiet").returncode == 0
    ran = mnistctl("eval", "own.py", "--dataset", "sample", "--quiet", "--onnx", "own.onnx")
    assert (ran.returncode, ran.stdout.count("\n"), ran.stderr.count("\n")) == (1, 1, 1)
    message = "mnistctl: own.onnx: not written: this net cannot be exported ("
    assert ran.stderr.startswith(f"{message}{reason}")
    assert not (tmp_path / "own.onnx").exists()


def test_eval_prints_the_difference_of_the_logits_and_reports_an_unwritable_file(quick, mnistctl, tmp_path):
    logits = compute_logits(load.load_classifier(CONV)[1], first_digits(1000))
    logits[0, 0] -= 0.5
    quick(logits)
    words = ("eval", str(CONV), "--dataset", "sample", "--onnx")
    ran = mnistctl(*words, "net.onnx")
    assert (
        "ONNX Runtime: the same prediction for all 1,000 images, logits differ by at most 5.0e-01\n"
        in ran.stdout
    )
    assert (tmp_path / "net.onnx").read_bytes() == b"a graph"
    ran = mnistctl(*words, "net.onnx/below.onnx")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert "net.onnx/below.onnx" in ran.stderr


def test_a_missing_package_is_reported_with_the_command_that_installs_it(mnistctl, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name.startswith("onnx") else name)
    ran = mnistctl("eval", str(CONV), "--dataset", "sample", "--onnx", "net.onnx")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "run pip install onnx" in ran.stderr


def test_a_generator_is_not_exported(mnistctl):
    ran = mnistctl("eval", str(CONV.with_name("gan.safetensors")), "--onnx", "net.onnx")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "--onnx is only for a single classifier" in ran.stderr
