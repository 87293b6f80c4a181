"""What a checkpoint keeps about the training digits: which they were, and how they look."""

import json

import numpy as np
import pytest

from mnistctl.artifacts import checkpoint
from mnistctl.data import datasets
from mnistctl.data.datasets import Arrays
from mnistctl.data.training_set import (
    MAX_DIGESTS,
    TrainingSet,
    compute_digests,
    describe_style,
    describe_training_set,
)
from mnistctl.errors import CheckpointError
from mnistctl.inference.load import load_header

TRAIN, TEST = (datasets.load("sample", None, split)[0] for split in ("train", "test"))


def random_digits(count, seed):
    images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return Arrays(images, np.arange(count, dtype=np.uint64).astype(np.uint8) % 10)


def test_digits_that_were_used_in_training_are_counted():
    training = describe_training_set(TRAIN, "sample")
    assert training.count_used(TRAIN.images[:700]) == (700, 700)
    assert training.count_used(TEST.images) == (0, 1000)
    mixed = np.concatenate((TEST.images[:50], TRAIN.images[:3], TRAIN.images[:3]))
    assert training.count_used(mixed) == (6, 56)


def test_of_many_training_digits_a_random_sample_is_kept():
    train, other = random_digits(40_000, 0), random_digits(5000, 1)
    training = describe_training_set(train, "own")
    assert len(training.digests) < 60_000  # bytes in the checkpoint
    used, checked = training.count_used(train.images)
    assert used == checked == MAX_DIGESTS
    used, checked = training.count_used(other.images)
    assert used == 0
    assert checked == pytest.approx(5000 * MAX_DIGESTS / 40_000, rel=0.15)


def test_a_digest_depends_on_the_pixels_only():
    images = TEST.images[:50]
    digests = compute_digests(images)
    assert len(set(digests.tolist())) == 50
    assert (compute_digests(images[:, ::-1][:, ::-1]) == digests).all()
    changed = images.copy()
    changed[7, 14, 14] ^= 1
    assert np.flatnonzero(compute_digests(changed) != digests).tolist() == [7]


def test_polarity_and_moments_are_those_of_the_pixels():
    style = describe_style(TEST.images)
    assert style.polarity == "light on dark"
    assert (style.mean, style.sd) == pytest.approx((TEST.images.mean(), TEST.images.std()))
    assert describe_style(255 - TEST.images).polarity == "dark on light"


def test_description_is_the_same_after_reading_it():
    training = describe_training_set(Arrays(TRAIN.images[:200], TRAIN.labels[:200]), "own")
    read = TrainingSet.from_json(json.loads(json.dumps(training.to_json())))
    assert read == training
    assert read.count_used(TRAIN.images[:300]) == (200, 300)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pictures", ""),
        ("pictures", "###"),
        ("digests", "AAAA"),
        ("digests", "é"),
        ("count", -1),
        ("limit", -5),
        ("variance", float("nan")),
        ("style", {"polarity": "red on blue", "mean": 1.0, "sd": 1.0}),
    ],
)
def test_damaged_description_is_an_error_of_the_checkpoint(field, value, tmp_path):
    body = describe_training_set(Arrays(TRAIN.images[:200], TRAIN.labels[:200]), "own").to_json()
    header = {"model": "logit", "training_set": body | {field: value}}
    checkpoint.save(tmp_path / "a.safetensors", checkpoint.NET, header, {})
    with pytest.raises(CheckpointError, match=f"training_set.*{field}|training_set.style"):
        load_header(tmp_path / "a.safetensors")


def test_checkpoint_of_an_earlier_version_has_no_description(tmp_path):
    checkpoint.save(tmp_path / "a.safetensors", checkpoint.NET, {"model": "logit"}, {})
    assert load_header(tmp_path / "a.safetensors").training_set is None
