"""The nets of gan, both told which digit is meant (conditional GAN): 878,564 and 700,964 parameters."""

from dataclasses import replace

from torch import nn

from mnistctl.models import gan
from mnistctl.models.recipe import NOISE_SIZE
from mnistctl.nn.layers import ConditionedNet


def generator() -> ConditionedNet:
    """[N, 100, 1, 1] of noise and [N] digits to [N, 1, 28, 28] pixels."""
    digit = nn.Sequential(nn.Embedding(10, 10), nn.Unflatten(1, (10, 1, 1)))  # 10 x 1 x 1
    return ConditionedNet(digit, gan.generator(NOISE_SIZE + 10))


def discriminator() -> ConditionedNet:
    """[N, 1, 28, 28] pixels and [N] digits to [N] logits; the sigmoid is a part of the loss."""
    digit = nn.Sequential(
        nn.Embedding(10, 50), nn.Linear(50, 784), nn.Unflatten(1, (1, 28, 28))
    )  # 1 x 28 x 28
    return ConditionedNet(digit, gan.discriminator(1 + 1))


recipe = replace(gan.recipe, generator=generator, discriminator=discriminator, conditional=True)
