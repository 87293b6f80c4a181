"""What a check of a recipe says about batches of one image."""

from dataclasses import replace

from torch import nn

from mnistctl import models
from mnistctl.models.checks import error_with_one_image


def normed():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.BatchNorm1d(10))


def generator():
    return nn.Sequential(nn.Flatten(), nn.Linear(100, 784), nn.Unflatten(1, (1, 28, 28)))


def discriminator():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 1), nn.Flatten(0))


def squeezed():
    return nn.Sequential(nn.Conv2d(1, 1, 28), nn.Flatten(0), nn.Unflatten(0, (1, -1)))


def test_net_that_cannot_be_trained_on_one_image_is_told_from_one_that_can():
    classifier = models.load("logit")
    assert error_with_one_image(classifier) == ""
    assert error_with_one_image(replace(classifier, net=normed)).startswith(
        "ValueError: Expected more than 1"
    )
    gan = replace(models.load("gan"), generator=generator, discriminator=discriminator)
    assert error_with_one_image(gan) == ""
    wrong = error_with_one_image(replace(gan, discriminator=squeezed))
    assert wrong == "the discriminator gives [1, 1], not [1]"
