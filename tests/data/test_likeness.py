"""Digits that look unlike the training digits are recognized, and natural variation is not."""

import numpy as np
import pytest

from mnistctl.data import datasets
from mnistctl.data.datasets import Arrays
from mnistctl.data.likeness import AS_THEY_ARE, TURNS, Pictures, View, compare_pictures, view_of_mnist
from mnistctl.data.training_set import describe_training_set, mean_pictures

TRAIN, TEST = (datasets.load("sample", None, split)[0] for split in ("train", "test"))
TRAINING = describe_training_set(TRAIN, "sample")
# A view that undoes each of these is that view, except for quarter turns.
UNDO = {"rotated by 90 degrees to the right": "rotated by 90 degrees to the left"}
UNDO |= {after: before for before, after in UNDO.items()}
VIEWS = [View(inverted, turned) for inverted in (False, True) for turned in TURNS]


def compare(images, labels, training=TRAINING):
    pictures = Pictures(mean_pictures(Arrays(images, labels))[0], np.bincount(labels, minlength=10))
    return compare_pictures(pictures, training.mean_pictures, training.variance)


def seen(arrays, view):
    return Arrays(np.ascontiguousarray(view.apply(arrays.images, 255)), arrays.labels)


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("count", [1000, 20])
def test_inverted_and_turned_digits_are_recognized(view, count):
    """The digits are made so that `view` undoes what was done to them."""
    undone = View(view.inverted, UNDO.get(view.turned, view.turned))
    for start in range(0, 1000, max(count, 100)):
        part = Arrays(TEST.images[start : start + count], TEST.labels[start : start + count])
        made = seen(part, undone)
        likeness = compare(made.images, made.labels)
        if count == 20 and not likeness.view.inverted and "mirrored" in view.turned:
            continue  # of few digits, a mirrored one is not always recognized
        assert likeness.view == view
        assert likeness.framing is None


@pytest.mark.parametrize("count", [1, 5, 20, 100, 1000])
def test_other_digits_look_like_the_training_digits(count):
    rng = np.random.default_rng(0)
    for _ in range(50):
        chosen = rng.choice(1000, count, replace=False)
        likeness = compare(TEST.images[chosen], TEST.labels[chosen])
        assert (likeness.view, likeness.framing, likeness.unlike) == (AS_THEY_ARE, None, False)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_a_picture_is_turned_as_the_training_digits_were(view):
    assert view_of_mnist(describe_training_set(seen(TRAIN, view), "own")) == view


def test_polarity_is_followed_where_the_training_images_are_no_digits():
    rng = np.random.default_rng(0)
    shapes = np.zeros((200, 28, 28), np.uint8)
    labels = np.repeat(np.arange(10, dtype=np.uint8), 20)
    for image, label in zip(shapes, labels, strict=True):
        image[4 + label : 6 + label, 4:24] = rng.integers(100, 256)
    assert view_of_mnist(describe_training_set(Arrays(shapes, labels), "own")) == AS_THEY_ARE
    assert view_of_mnist(describe_training_set(Arrays(255 - shapes, labels), "own")) == View(inverted=True)
