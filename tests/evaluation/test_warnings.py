"""Warnings: digits that look unlike the training digits, or were used in training."""

import json
from pathlib import Path

import numpy as np
import pytest

from mnistctl.artifacts import files
from mnistctl.data import datasets, idx
from mnistctl.data.datasets import Arrays
from mnistctl.data.training_set import describe_training_set, find_known_training_set
from mnistctl.evaluation.corruptions import CORRUPTIONS
from mnistctl.evaluation.warnings import check_digits

RECORDS = Path(__file__).parents[2] / "records"
CONV = str(RECORDS / "conv.safetensors")
TRAIN, TEST = (datasets.load("sample", None, split)[0] for split in ("train", "test"))
TRAINING = describe_training_set(TRAIN, "sample")


def check(images, labels=TEST.labels):
    return [
        (warning.kind, warning.message)
        for warning in check_digits(TRAINING, Arrays(np.ascontiguousarray(images), labels))
    ]


@pytest.mark.parametrize(
    ("corruption", "severity"), [(each, severity) for each in CORRUPTIONS for severity in each.severities]
)
def test_corrupted_digits_get_no_warning(corruption, severity):
    warnings = check(corruption.apply(TEST.images, severity))
    cut_off = (corruption.kind, severity) == ("shift", 6)
    assert [kind for kind, _ in warnings] == (["unlike"] if cut_off else [])


def padded(images, before, after):
    """The images with black borders."""
    return np.pad(images, ((0, 0), (before, after), (before, after)))


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda x: 255 - x, "inverted", "look inverted (dark on light), unlike the training digits"),
        (lambda x: x.swapaxes(1, 2), "turned", "look transposed (rows and columns exchanged)"),
        (lambda x: 255 - x.swapaxes(1, 2), "inverted", "inverted (dark on light) and transposed"),
        (lambda x: x[:, :, ::-1], "turned", "mirrored from left to right"),
        (lambda x: np.rot90(x, 1, (1, 2)), "turned", "rotated by 90 degrees to the left"),
        (lambda x: np.roll(x, (-4, -3), (1, 2)), "framed", ": 4 pixels higher, 3 pixels to the left"),
        (lambda x: np.roll(x, 4, 2), "framed", ": 4 pixels to the right"),
        (lambda x: padded(x[:, 4:24, 4:24], 0, 8), "framed", "4 pixels higher"),
        (lambda x: padded(x[:, ::2, ::2], 7, 7), "framed", "0.5 times as large"),
        (lambda x: np.zeros_like(x), "unlike", "of each label look unlike the training digits (sample)"),
        (lambda x: x[np.random.default_rng(0).permutation(1000)], "unlike", "of each label look unlike"),
    ],
)
def test_warning_says_what_the_digits_look_like(change, kind, words):
    ((actual, message),) = check(change(TEST.images))
    assert actual == kind
    assert words in message


@pytest.mark.parametrize(("used", "words"), [(1000, "all 1,000 digits"), (7, "7 of the 1,000 digits")])
def test_warning_says_how_many_digits_were_used_in_training(used, words):
    images, labels = TEST.images.copy(), TEST.labels.copy()
    images[:used], labels[:used] = TRAIN.images[:used], TRAIN.labels[:used]
    ((kind, message),) = check(images, labels)
    assert (kind, message) == (
        "used_in_training",
        f"{words} were used in training, so the results are too good",
    )


def test_number_is_estimated_where_not_all_digits_can_be_checked(monkeypatch):
    monkeypatch.setattr("mnistctl.data.training_set.MAX_DIGESTS", 1000)
    training = describe_training_set(TRAIN, "sample")
    (all_used,) = check_digits(training, TRAIN)
    assert all_used.message.startswith("all 4,000 digits (1,000 of the 1,000 that can be checked)")
    half = Arrays(np.concatenate((TRAIN.images[:1000], TEST.images)), np.tile(TEST.labels, 2))
    warning = check_digits(training, half)[-1]
    assert warning.kind == "used_in_training"
    estimate = int(warning.message.split()[1].replace(",", ""))
    assert abs(estimate - 1000) < 150


def test_sample_is_known_to_be_part_of_the_training_digits_of_mnist():
    known = find_known_training_set("mnist")
    (warning,) = check_digits(known, TEST)
    assert warning.message.startswith("all 1,000 digits were used")
    (warning,) = check_digits(
        known,
        Arrays(TEST.images ^ np.uint8(1), TEST.labels).__class__(
            np.concatenate((TEST.images[:5], TEST.images[5:] ^ np.uint8(1))), TEST.labels
        ),
    )
    assert warning.message.startswith("at least 5 of the 1,000 digits were used")
    assert find_known_training_set("own") is None
    assert check_digits(None, TEST) == ()


def write_digits(folder, change, train=TRAIN, test=TEST):
    for name, arrays in (("train", train), ("t10k", test)):
        images = np.ascontiguousarray(change(arrays.images))
        files.write(folder / f"{name}-images-idx3-ubyte", idx.dump(images))
        files.write(folder / f"{name}-labels-idx1-ubyte", idx.dump(arrays.labels))
    return str(folder)


def test_eval_warns_on_stderr_and_in_its_json(mnistctl, tmp_path):
    """conv.safetensors was written without its training digits; the record next to it names MNIST."""
    inverted = write_digits(tmp_path / "inverted", lambda images: 255 - images)
    ran = mnistctl("eval", CONV, "--dataset", "own", "--data-dir", inverted, "--json")
    assert ran.stderr == (
        "mnistctl: warning: the digits look inverted (dark on light), unlike the training digits\n"
    )
    (warning,) = json.loads(ran.stdout)["warnings"]
    assert warning["kind"] == "inverted"
    ran = mnistctl("eval", CONV, "--dataset", "sample", "--quiet", "--overwrite")
    assert (ran.stdout, ran.stderr.count("\n")) == ("100.00\n", 1)
    assert "all 1,000 digits were used in training" in ran.stderr


def test_several_nets_are_warned_about_by_name(mnistctl, tmp_path):
    transposed = write_digits(tmp_path / "transposed", lambda images: images.swapaxes(1, 2))
    data = ("--dataset", "own", "--data-dir", transposed)
    assert mnistctl("train", "logit", *data, "--epochs", "1", "--name", "turned").returncode == 0
    ran = mnistctl("eval", "turned", CONV, *data)
    assert "mnistctl: warning: conv: the digits look transposed" in ran.stderr
    assert ran.stderr.count("\n") == 1
