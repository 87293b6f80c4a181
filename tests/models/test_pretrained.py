"""The weights in the package: made from those in records/, small, with their origin beside them."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from mnistctl.artifacts import checkpoint
from mnistctl.inference import load
from mnistctl.models.pretrained import PRETRAINED, WEIGHTS, pretrained_path

ROOT = Path(__file__).parents[2]
ORIGIN = json.loads((WEIGHTS / "origin.json").read_text())["weights"]


def record(name):
    return json.loads((ROOT / f"records/{name}.json").read_text())


def test_every_name_has_its_file_and_its_origin():
    names = {path.stem for path in WEIGHTS.glob("*.safetensors")}
    assert names == PRETRAINED.keys() == ORIGIN.keys()
    assert pretrained_path("conv") is None


@pytest.mark.parametrize("name", PRETRAINED)
def test_weights_are_those_of_the_records_in_half_precision(name):
    entry, path = ORIGIN[name], pretrained_path(name)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
    header, half = checkpoint.load(path, checkpoint.NET)
    _, full = checkpoint.load(ROOT / entry["source"], checkpoint.NET)
    assert (header["model"], checkpoint.digest(full)) == (entry["model"], entry["source_digest"])
    assert half.keys() == {key for key in full if not key.startswith("discriminator.")}
    for key, tensor in half.items():
        rounded = full[key].half() if full[key].is_floating_point() else full[key]
        assert torch.equal(tensor, rounded)
    loader = load.load_classifier if name == "pretrained" else load.load_generator
    model, net = loader(path)
    assert (model, checkpoint.digest(net.state_dict())) == (entry["model"], entry["digest"])
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_weights_are_as_good_as_the_originals():
    conv, cgan = ORIGIN["pretrained"], ORIGIN["pretrained-cgan"]
    assert conv["accuracy"] == conv["source_accuracy"] == record("conv")["accuracy"]
    assert conv["other_predictions"] == 0
    assert abs(cgan["frechet"] - cgan["source_frechet"]) < 0.001
    assert abs(cgan["conditional_accuracy"] - cgan["source_conditional_accuracy"]) < 0.05


def test_digits_that_the_weights_were_trained_on_are_known(mnistctl):
    training = load.load_header(pretrained_path("pretrained")).training_set
    assert (training.dataset, training.count, training.style.polarity) == ("mnist", 60_000, "light on dark")
    ran = mnistctl("eval", "pretrained", "--dataset", "sample", "--quiet")
    assert ran.returncode == 0
    assert "were used in training" in ran.stderr


def test_weights_are_small():
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 3_000_000


@pytest.mark.parametrize("name", PRETRAINED)
def test_origin_page_has_the_measured_figures(name):
    page = " ".join((WEIGHTS / "ORIGIN.md").read_text().split())
    entry = ORIGIN[name]
    figures = [f"{entry['accuracy']:.2f} %"] if name == "pretrained" else [f"{entry['frechet']:.3f}"]
    assert all(figure in page for figure in [*figures, entry["source"], entry["trained_by"], name])
