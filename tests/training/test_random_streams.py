"""Runs in one process do not change one another's random draws, whether they alternate or are in threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
import torch

from mnistctl import models
from mnistctl.artifacts.checkpoint import digest
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.inference.load import load_classifier
from mnistctl.inference.sampling import TrainedGenerator
from mnistctl.models.pretrained import pretrained_path
from mnistctl.models.summary import count_parameters
from mnistctl.training import gan
from mnistctl.training.classifier import ClassifierTraining, fit
from mnistctl.training.gan import GanTraining

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    arrays, _ = datasets.load("sample", None, "test")
    digits = Digits.of(arrays, CPU)
    return Digits(digits.images[:100], digits.labels[:100])


def classifier_run(digits, seed):
    """A run whose steps draw dropout masks; its last item is the digest of its state."""
    recipe = replace(models.load("conv"), epochs=2, batch_size=50)
    training = ClassifierTraining(recipe, seed, CPU)
    yield from fit(training, digits, digits)
    yield digest(training.state())


def gan_run(digits, seed):
    """The same of a GAN, whose steps draw noise."""
    training = GanTraining(replace(models.load("gan"), epochs=2, batch_size=10), seed, CPU)
    yield from gan.fit(training, Digits(digits.images[:30], digits.labels[:30]))
    yield digest(training.state())


def last(run):
    *_, result = run
    return result


@pytest.fixture(scope="module")
def alone(digits):
    return [last(classifier_run(digits, 0)), last(classifier_run(digits, 1)), last(gan_run(digits, 0))]


def test_runs_that_alternate_have_the_bits_of_runs_alone(digits, alone):
    runs = [classifier_run(digits, 0), classifier_run(digits, 1), gan_run(digits, 0)]
    results = [None] * 3
    for _ in range(20):
        results = [next(run, result) for run, result in zip(runs, results, strict=True)]
    assert results == alone


def test_runs_in_threads_have_the_bits_of_runs_alone(digits, alone):
    runs = [
        partial(classifier_run, digits, 0),
        partial(classifier_run, digits, 1),
        partial(gan_run, digits, 0),
    ]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda run: last(run()), runs)) == alone


@pytest.mark.parametrize("use", ["load", "sample", "count"])
def test_use_of_nets_between_two_steps_leaves_the_run_as_it_is(digits, alone, use):
    generator = TrainedGenerator.load(pretrained_path("pretrained-cgan"))
    uses = {
        "load": lambda: load_classifier(pretrained_path("pretrained")),
        "sample": lambda: generator.draw(3, seed=0),
        "count": lambda: count_parameters(models.load("conv")),
    }
    run, result = classifier_run(digits, 0), None
    for result in run:  # noqa: B007 - the last one
        uses[use]()
    assert result == alone[0]
