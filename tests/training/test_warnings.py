"""Warnings of a training: sorted digits, test digits from the training set, and large losses."""

import json

import numpy as np
import pytest
from stubs import IN_THREAD

from mnistctl.artifacts import files
from mnistctl.data import datasets, idx
from mnistctl.data.datasets import is_sorted_by_label, mixed_order
from mnistctl.training.events import Epoch, GanEpoch
from mnistctl.training.warnings import check_loss

TRAIN, TEST = (datasets.load("sample", None, split)[0] for split in ("train", "test"))


def write_digits(folder, train_order, test_images=None):
    """A data set of the sample's digits: the training digits in this order, and these test images."""
    test_images = TEST.images if test_images is None else test_images
    for name, images, labels in (
        ("train", TRAIN.images[train_order], TRAIN.labels[train_order]),
        ("t10k", test_images, TEST.labels[: len(test_images)]),
    ):
        files.write(folder / f"{name}-images-idx3-ubyte", idx.dump(images))
        files.write(folder / f"{name}-labels-idx1-ubyte", idx.dump(labels))
    return "--dataset", "own", "--data-dir", str(folder), "--epochs", "1", "--batch-size", "100"


@pytest.mark.parametrize("command", [("train", "lstm"), ("trials", "lstm", "-n", "1", *IN_THREAD)])
def test_sorted_digits_are_reported_before_a_training_that_does_not_shuffle(command, mnistctl, tmp_path):
    data = write_digits(tmp_path / "sorted", np.argsort(TRAIN.labels, kind="stable")[::10])
    ran = mnistctl(*command, *data, "--json")
    assert ran.returncode == 0, ran.stderr
    line = ran.stderr.splitlines()[0]
    assert line.startswith("mnistctl: warning: the training digits are sorted by label")
    assert line.endswith("; use --set shuffle=true")
    assert [warning["kind"] for warning in json.loads(ran.stdout)["warnings"]] == ["sorted"]


def test_shuffled_digits_or_a_recipe_that_shuffles_need_no_warning(mnistctl, tmp_path):
    in_order = write_digits(tmp_path / "sorted", np.argsort(TRAIN.labels, kind="stable")[::10])
    assert mnistctl("train", "logit", *in_order).stderr == ""
    assert mnistctl("train", "lstm", *in_order, "--set", "shuffle=true").stderr == ""
    mixed = write_digits(tmp_path / "mixed", np.random.default_rng(0).permutation(4000)[:400])
    assert mnistctl("train", "lstm", *mixed, "--name", "mixed").stderr == ""


def test_test_digits_that_are_training_digits_are_reported_before_the_training(mnistctl, tmp_path):
    images = np.concatenate((TRAIN.images[:30], TEST.images[30:]))
    data = write_digits(tmp_path / "leak", np.arange(400), images)
    ran = mnistctl("train", "logit", *data)
    assert ran.stderr == (
        "mnistctl: warning: test digits: 30 of the 1,000 digits were used in training, "
        "so the results are too good\n"
    )


def test_large_loss_is_reported_once(mnistctl):
    words = ("train", "logit", "--dataset", "sample", "--epochs", "3", "--lr", "1e9", "--quiet")
    ran = mnistctl(*words)
    assert ran.returncode == 0
    assert ran.stderr.count("\n") == 1
    assert "mnistctl: warning: epoch 1: the training loss is " in ran.stderr
    assert "that of guessing 2.3; use a lower --lr" in ran.stderr


def test_usual_losses_get_no_warning():
    assert check_loss(Epoch(1, 0.1, 9.0, 30.0, 10.0, 1.0)) is None
    assert check_loss(GanEpoch(1, "", 1.4, 12.0, 1.0)) is None


@pytest.mark.parametrize(
    ("epoch", "message"),
    [
        (Epoch(1, 0.1, 2.0, 1e9, 10.0, 1.0), "epoch 1: the test loss is 1e+09, and that of guessing 2.3"),
        (
            GanEpoch(2, "", 1.4, 500.0, 1.0),
            "epoch 2: the generator's loss is 500, and that of guessing 0.7",
        ),
        (
            GanEpoch(2, "", 600.0, 500.0, 1.0),
            "epoch 2: the discriminator's loss is 600, and that of guessing 1.4",
        ),
    ],
)
def test_largest_loss_is_named_with_that_of_guessing(epoch, message):
    assert check_loss(epoch).message == message


@pytest.mark.parametrize("seed", range(3))
def test_order_by_label_is_told_from_a_random_one(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, 2000).astype(np.uint8)
    assert not is_sorted_by_label(labels)
    assert is_sorted_by_label(np.sort(labels))
    assert is_sorted_by_label(np.sort(labels)[::-1])
    assert is_sorted_by_label(np.concatenate([np.sort(part) for part in np.array_split(labels, 5)]))
    assert not is_sorted_by_label(np.tile(np.arange(10, dtype=np.uint8), 50))
    assert not is_sorted_by_label(np.zeros(50, np.uint8))
    assert not is_sorted_by_label(np.zeros(1, np.uint8))


def test_every_part_of_a_mixed_order_has_all_labels_in_their_shares():
    labels = np.repeat(np.arange(10, dtype=np.uint8), np.arange(100, 1100, 100))
    order = mixed_order(labels, 0)
    assert sorted(order) == list(range(len(labels)))
    for start in range(0, len(labels) - 550, 550):
        counts = np.bincount(labels[order[start : start + 550]], minlength=10)
        assert np.abs(counts - np.arange(10, 110, 10)).max() <= 1
    assert (mixed_order(labels, 0) == order).all()
    assert (mixed_order(labels, 1) != order).any()
