"""Held-out digits: which they are, by hand-computed examples, and what is refused."""

import hashlib

import numpy as np
import pytest

from mnistctl.data import datasets, holdout
from mnistctl.data.datasets import Arrays
from mnistctl.errors import UsageError

# Three of each digit, then one more of each from 9 down to 0.
LABELS = np.array([*[label for label in range(10) for _ in range(3)], *range(9, -1, -1)], np.uint8)
IMAGES = np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)


def test_last_digits_of_each_class_are_held_out_in_file_order():
    indices, rule = holdout.choose_held_out(LABELS, 10, "own")
    assert rule == "last of each class"
    assert indices.tolist() == list(range(30, 40))
    indices, _ = holdout.choose_held_out(LABELS, 20, "own")
    assert indices.tolist() == [2, 5, 8, 11, 14, 17, 20, 23, 26, 29, *range(30, 40)]


def test_parts_are_all_digits_in_file_order_and_the_digest_is_that_of_the_held_out_ones():
    split = holdout.hold_out(Arrays(IMAGES, LABELS), 10, "own")
    assert split.kept.images[:, 0, 0].tolist() == list(range(30))
    assert split.kept.labels.tolist() == LABELS[:30].tolist()
    assert split.validation.images[:, 0, 0].tolist() == list(range(30, 40))
    content = IMAGES[30:].tobytes() + bytes(range(9, -1, -1))
    assert split.held_out.sha256 == hashlib.sha256(content).hexdigest()
    assert (split.held_out.count, split.held_out.rule) == (10, "last of each class")


@pytest.mark.parametrize(
    ("labels", "count"),
    [
        (LABELS[LABELS != 4], 10),  # a class is missing
        (LABELS, 39),  # no class would be left
        (LABELS[:31], 30),  # nine classes would be gone
        (np.zeros(7, np.uint8), 3),
    ],
)
def test_sets_without_enough_of_each_digit_lose_the_end_of_a_seeded_permutation(labels, count):
    indices, rule = holdout.choose_held_out(labels, count, "own")
    assert len(set(indices.tolist())) == count
    assert rule == "random"
    permutation = np.random.default_rng(0).permutation(len(labels))
    assert indices.tolist() == sorted(permutation[len(labels) - count :].tolist())


@pytest.mark.parametrize(
    ("count", "message"),
    [(0, "give 1 to 39"), (40, "own has 40 training images; give 1 to 39"), (15, "give a multiple of 10")],
)
def test_count_that_cannot_be_held_out_is_refused(count, message):
    with pytest.raises(UsageError, match=message) as error:
        holdout.choose_held_out(LABELS, count, "own")
    assert (error.value.field, error.value.value) == ("holdout", count)


def test_a_sixth_is_held_out_by_default_and_as_many_of_each_digit():
    assert holdout.default_count(np.zeros(60_000, np.uint8)) == 10_000
    assert holdout.default_count(np.zeros(4000, np.uint8)) == 660
    assert holdout.default_count(np.zeros(30, np.uint8)) == 5


def test_sample_loses_the_last_ten_of_each_digit():
    train, _ = datasets.load("sample", None, "train")
    split = holdout.hold_out(train, 100, "sample")
    assert np.bincount(split.validation.labels).tolist() == [10] * 10
    for label in range(10):
        of_label = train.images[train.labels == label]
        assert (split.validation.images[split.validation.labels == label] == of_label[-10:]).all()
        assert (split.kept.images[split.kept.labels == label] == of_label[:-10]).all()
