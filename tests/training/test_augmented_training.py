"""Training with augmentation: order, dropout, gradients, resuming."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.nn.augmentation import Augmentation, MixedLabels
from mnistctl.training.classifier import ClassifierTraining, fit, iterate_batches, train_step
from mnistctl.training.events import Epoch
from mnistctl.trials.worker import shared_epochs

CPU = torch.device("cpu")
ALL = Augmentation(shift=2, rotation=10, scale=0.1, shear=0.1, elastic=0.6, stroke=0.7, erase=0.2, mixup=0.4)


@pytest.fixture(scope="module")
def digits():
    return Digits.of(datasets.load("sample", None, "train")[0], CPU)


def some(digits, n):
    return Digits(digits.images[:n], digits.labels[:n])


def augmented(name="conv", augment=ALL, **changes):
    return replace(models.load(name), augment=augment, **changes)


def epochs(training, digits):
    return [replace(e, seconds=0) for e in fit(training, *digits) if isinstance(e, Epoch)]


@pytest.mark.parametrize("name", ["conv", "swa", "linear"])
def test_resumed_training_ends_with_the_bits_of_an_uninterrupted_one(name, digits):
    recipe = augmented(name, epochs=3, batch_size=50)
    subset = some(digits, 120), some(digits, 20)
    whole, first, second = (ClassifierTraining(recipe, 4, CPU) for _ in range(3))
    expected = epochs(whole, subset)
    events = fit(first, *subset)
    while first.epoch < 1:
        if isinstance(next(events), Epoch):
            torch.rand(3)  # random draws of the caller between epochs change nothing
    second.restore({key: value.clone() for key, value in first.state().items()})
    assert epochs(second, subset) == expected[1:]
    assert checkpoint.digest(second.state()) == checkpoint.digest(whole.state())


@pytest.mark.parametrize("name", [name for name in models.CLASSIFIERS if name != "best"])
def test_published_recipes_are_trained_on_images_as_they_are(name):
    assert models.load(name).augment == Augmentation()


def test_best_augments_its_images():
    moved = {"shift": 2, "rotation": 10, "scale": 0.1, "shear": 0.1, "elastic": 0.5, "elastic_width": 4.0}
    assert models.load("best").augment.in_effect() == moved | {"stroke": 0.5}


def test_order_and_dropout_masks_are_those_without_augmentation(digits):
    recipe = augmented(augment=replace(ALL, mixup=0), batch_size=50)
    plain = replace(recipe, augment=Augmentation())
    after = []
    for each in (recipe, plain):
        batches = iterate_batches(ClassifierTraining(each, 0, CPU), some(digits, 120), 2)
        after.append([(x, y, torch.rand(3)) for x, y in batches])  # the latter as dropout masks
    for ours, theirs in zip(*after, strict=True):
        assert all(map(torch.equal, ours[1:], theirs[1:]))
        assert not torch.equal(ours[0], theirs[0])


def test_epochs_differ_and_are_functions_of_the_seed(digits):
    recipe = augmented(shuffle=False, batch_size=100)

    def images(seed, epoch):
        training = ClassifierTraining(recipe, seed, CPU)
        return next(iter(iterate_batches(training, some(digits, 100), epoch)))[0]

    assert torch.equal(images(0, 1), images(0, 1))
    assert not torch.equal(images(0, 1), images(0, 2))
    assert not torch.equal(images(0, 1), images(1, 1))


@pytest.mark.parametrize("loss", [None, nn.MultiMarginLoss()])
@pytest.mark.parametrize("name", ["conv", "linear"])  # in micro-batches, and with written out gradients
def test_loss_of_mixed_images_is_the_weighted_sum_for_both_labels(name, loss, digits):
    smoothing = 0.1 if loss is None else 0
    recipe = augmented(
        name, loss=loss, label_smoothing=smoothing, optimizer=lambda p: torch.optim.SGD(p, lr=0.0)
    )
    training = ClassifierTraining(recipe, 0, CPU)
    training.net.eval()  # dropout off: its masks depend on the micro-batches
    x, labels = digits.take(slice(0, 250))
    result = train_step(training, x, MixedLabels(labels, labels.flip(0), 0.3))
    ours = [p.grad.clone() for p in training.net.parameters()]
    training.net.zero_grad()
    logits = training.net(x)
    if loss is None:
        targets = 0.3 * F.one_hot(labels, 10) + 0.7 * F.one_hot(labels.flip(0), 10)
        expected = F.cross_entropy(logits, targets, label_smoothing=smoothing)
    else:
        expected = 0.3 * loss(logits, labels) + 0.7 * loss(logits, labels.flip(0))
    expected.backward()
    assert float(result) == pytest.approx(float(expected.detach()), rel=1e-5)
    for grad, param in zip(ours, training.net.parameters(), strict=True):
        torch.testing.assert_close(grad, param.grad, rtol=1e-3, atol=1e-6)


def test_arms_with_another_augmentation_share_no_epoch():
    plain = models.load("conv")
    assert shared_epochs(plain, replace(plain)) == plain.epochs
    assert shared_epochs(plain, augmented()) == 0
