"""The nets of gan with the digit as a second input (conditional GAN): 878,564 and 700,964 parameters.

After 20 epochs: Fréchet distance 0.432 from MNIST's images, where other real images have 0.312.
conv recognizes 99.12 % of the generated images as the requested digit.
Record: records/cgan-eval.json
"""

from dataclasses import replace

from torch import nn

from mnistctl.models import gan
from mnistctl.models.recipe import NOISE_SIZE
from mnistctl.nn.layers import ConditionedNet


def generator(features: int = 64) -> ConditionedNet:
    """Noise [N, 100, 1, 1] and digits [N] to images [N, 1, 28, 28] in [-1, 1]."""
    digit = nn.Sequential(
        nn.Embedding(10, 10),         # 10
        nn.Unflatten(1, (10, 1, 1)),  # 10 x 1 x 1
    )  # fmt: skip
    return ConditionedNet(digit, gan.upsampling(NOISE_SIZE + 10, features))


def discriminator(features: int = 64, slope: float = 0.2) -> ConditionedNet:
    """Images [N, 1, 28, 28] and digits [N] to logits [N]. The loss includes the sigmoid."""
    digit = nn.Sequential(
        nn.Embedding(10, 50),          # 50
        nn.Linear(50, 784),            # 784
        nn.Unflatten(1, (1, 28, 28)),  # 1 x 28 x 28
    )  # fmt: skip
    return ConditionedNet(digit, gan.downsampling(1 + 1, features, slope))


recipe = replace(gan.recipe, generator=generator, discriminator=discriminator, conditional=True)
