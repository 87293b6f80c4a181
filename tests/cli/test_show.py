"""The command show: JSON of images and models, enlarged pictures, options that exclude each other."""

import json

import numpy as np
import pytest
from PIL import Image

from mnistctl.data import datasets

SAMPLE = ("--dataset", "sample")


def test_images_are_printed_as_json(mnistctl):
    ran = mnistctl("show", *SAMPLE, "--index", "5", "-n", "2", "--json")
    body = json.loads(ran.stdout)
    arrays, _ = datasets.load("sample", None, "train")
    assert (body["dataset"], body["split"]) == ("sample", "train")
    for index, image in zip((5, 6), body["images"], strict=True):
        assert (image["index"], image["label"]) == (index, arrays.labels[index])
        assert np.array_equal(image["pixels"], arrays.images[index])


def test_model_is_printed_as_json(mnistctl):
    body = json.loads(mnistctl("show", "--model", "cgan", "--json").stdout)
    layers = body["nets"]["generator"]
    assert sum(layer["parameters"] for layer in layers) == 878_564
    assert layers[0].keys() == {"name", "layer", "output", "parameters"}
    assert body["recipe"]["epochs"] == 20


def test_state_of_the_files_of_a_data_set_is_printed_as_json(mnistctl, tmp_path):
    ran = mnistctl("download", *SAMPLE, "--check", "--json")
    body = json.loads(ran.stdout)
    assert body["dataset"] == "sample"
    assert [file["count"] for file in body["files"]] == [4000, 4000, 1000, 1000]
    ran = mnistctl("download", "--check", "--json")
    assert ran.returncode == 3
    assert {file["action"] for file in json.loads(ran.stdout)["files"]} == {"missing"}


def test_picture_is_enlarged_pixel_by_pixel(mnistctl, tmp_path):
    for name, words in (("a", ()), ("b", ("--scale", "3"))):
        ran = mnistctl("show", *SAMPLE, "--index", "5", "-n", "2", "--png", f"{name}.png", *words)
        assert ran.returncode == 0, ran.stderr
    with Image.open(tmp_path / "a.png") as small, Image.open(tmp_path / "b.png") as large:
        assert large.size == tuple(3 * side for side in small.size)
        assert np.array_equal(np.asarray(large), np.asarray(small).repeat(3, 0).repeat(3, 1))


@pytest.mark.parametrize(
    "words",
    [
        ("--runs", "--machine"),
        ("--csv",),
        ("--runs", "--csv", "--json"),
        ("--json", "--png", "a.png"),
        ("--model", "conv", "--toml", "--json"),
        ("--png", "a.png", "--scale", "0"),
        ("--scale", "2"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(words, mnistctl, tmp_path):
    ran = mnistctl("show", *words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert not (tmp_path / "a.png").exists()
