"""The command show: JSON of images and models, enlarged pictures, options that exclude each other."""

import json

import numpy as np
import pytest
from PIL import Image

from mnistctl.artifacts import grids
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


def test_picture_that_would_be_huge_is_refused_with_the_largest_scale(mnistctl, tmp_path):
    ran = mnistctl("show", *SAMPLE, "-n", "4000", "--scale", "32", "--png", "a.png")
    message = "--scale 32: the picture would have 3,711,594,496 pixels, more than 80,000,000; give 4 or less"
    assert (ran.returncode, ran.stderr) == (2, f"mnistctl: {message}\n")
    assert not (tmp_path / "a.png").exists()


def test_picture_of_an_augmentation_has_each_image_beside_changed_ones(mnistctl, tmp_path):
    words = ("show", *SAMPLE, "--index", "5", "-n", "3", "--set", "augment.shift=2", "--png")
    for name in ("a.png", "b.png"):
        assert mnistctl(*words, name).returncode == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert mnistctl(*words, "c.png", "--seed", "1").returncode == 0
    with Image.open(tmp_path / "a.png") as picture, Image.open(tmp_path / "c.png") as other:
        cells, others = grids.untile(np.asarray(picture)), grids.untile(np.asarray(other))
    assert cells.shape == (3, 10, 28, 28)
    images = datasets.load("sample", None, "train")[0].images[5:8]
    for row, other_row, image in zip(cells, others, images, strict=True):
        assert np.array_equal(row[0], image)
        assert len({cell.tobytes() for cell in row}) == 10
        assert not np.array_equal(row[1:], other_row[1:])
        assert row[1:].mean() == pytest.approx(image.mean(), rel=0.02)  # a shift keeps the ink


def test_model_with_augmentation_says_so(mnistctl):
    words = ("show", "--model", "logit", "--set", "augment.shift=2", "--set", "augment.elastic=1")
    assert "augmentation: shift 2, elastic 1, elastic_width 4\n" in mnistctl(*words).stdout
    assert "augmentation:" not in mnistctl("show", "--model", "logit").stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--set", "augment.shift=2"), "--set needs --model, or --png to show an augmentation"),
        (("--set", "net.dropout=0", "--png", "a.png"), "--set net.dropout=0: needs --model; without one"),
        (("--set", "augment.shift=29", "--png", "a.png"), "--set augment.shift=29: give a number, 0 to 28"),
        (("--set", "augment.shfit=2", "--png", "a.png"), "did you mean augment.shift?"),
        (("--set", "augment.shift", "--png", "a.png"), "--set augment.shift: give KEY=VALUE"),
        (("--glyphs", "--set", "augment.shift=2", "--png", "a.png"), "--set cannot be combined with"),
    ],
)
def test_augmentation_that_cannot_be_shown_is_one_line(words, expected, mnistctl, tmp_path):
    ran = mnistctl("show", *SAMPLE[: 0 if "--glyphs" in words else 2], *words)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert expected in ran.stderr
    assert not (tmp_path / "a.png").exists()


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
        ("--overwrite",),
    ],
)
def test_options_that_do_not_fit_together_are_refused(words, mnistctl, tmp_path):
    ran = mnistctl("show", *words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert not (tmp_path / "a.png").exists()
