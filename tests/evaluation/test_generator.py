"""The evaluation of a generator: which digits it is asked for, and how many images are compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mnistctl.data import datasets
from mnistctl.data.datasets import Arrays
from mnistctl.data.training_set import describe_training_set, find_known_training_set
from mnistctl.errors import DataError
from mnistctl.evaluation import fidelity, generator
from mnistctl.evaluation.predictions import LabelledSplit, load_classifiers
from mnistctl.inference.sampling import TrainedGenerator

RECORDS = Path(__file__).parents[2] / "records"
TRAIN, TEST = (datasets.load("sample", None, split)[0] for split in ("train", "test"))


@pytest.fixture(scope="module")
def nets():
    (classifier,) = load_classifiers([RECORDS / "conv.safetensors"])
    return TrainedGenerator.load(RECORDS / "cgan.safetensors"), classifier


def evaluate(nets, train, test, count, training=None, monkeypatch=None):
    monkeypatch.setattr(fidelity, "FRECHET_RESAMPLES", 2)
    drawing, classifier = nets
    classifier = replace(classifier, training_set=training)
    return generator.evaluate_generator(drawing, classifier, train, LabelledSplit(test), count=count)


def in_order(arrays):
    order = np.argsort(arrays.labels, kind="stable")
    return Arrays(arrays.images[order], arrays.labels[order])


def test_all_digits_are_asked_for_although_the_file_is_sorted(nets, monkeypatch):
    result = evaluate(nets, in_order(TRAIN), in_order(TEST), 200, monkeypatch=monkeypatch)
    assert np.bincount(result.samples.digits, minlength=10).tolist() == [20] * 10
    again = evaluate(nets, in_order(TRAIN), in_order(TEST), 200, monkeypatch=monkeypatch)
    assert (again.samples.digits == result.samples.digits).all()
    # As close to the test digits as digits in a random order are; 0s and 1s alone are far from them.
    mixed = evaluate(nets, TRAIN, TEST, 200, monkeypatch=monkeypatch)
    assert result.frechet.real_reference == pytest.approx(mixed.frechet.real_reference, rel=0.3)
    assert mixed.samples.digits.tolist() == TEST.labels[:200].tolist()


def test_both_distances_are_of_the_same_number_of_images(nets, monkeypatch):
    few = Arrays(TRAIN.images[:150], TRAIN.labels[:150])
    result = evaluate(nets, few, TEST, 400, monkeypatch=monkeypatch)
    assert (result.count, result.compared) == (400, 150)
    alone = evaluate(nets, few, TEST, 150, monkeypatch=monkeypatch)
    assert (alone.count, alone.compared) == (150, 150)
    assert result.frechet.value == alone.frechet.value
    assert result.frechet.real_reference == alone.frechet.real_reference


@pytest.mark.parametrize("count", [1, 99])
def test_too_few_training_images_to_compare_with_are_an_error(count, nets, monkeypatch):
    few = Arrays(TRAIN.images[:count], TRAIN.labels[:count])
    message = f"custom: the training split has {count} images?; a comparison needs 100 or more"
    with pytest.raises(DataError, match=message):
        evaluate(nets, few, TEST, 100, monkeypatch=monkeypatch)


def test_digits_that_the_reference_classifier_was_trained_on_are_reported(nets, monkeypatch):
    known = find_known_training_set("mnist")
    result = evaluate(nets, TRAIN, TEST, 100, known, monkeypatch)
    (warning,) = result.warnings
    assert warning.kind == "used_in_training"
    assert warning.message.startswith("reference classifier: all 1,000 digits were used in training")


def test_images_that_look_inverted_to_the_reference_classifier_are_reported(nets, monkeypatch):
    inverted = Arrays(255 - TRAIN.images, TRAIN.labels)
    training = describe_training_set(inverted, "own")
    result = evaluate(nets, TRAIN, TEST, 100, training, monkeypatch)
    assert [warning.kind for warning in result.warnings] == ["inverted", "inverted"]
    assert result.warnings[1].message.startswith("generated images, for the reference classifier: ")
