"""Two nets of four convolutions that train each other (DCGAN): 837,504 and 659,456 parameters."""

from functools import partial

from torch import nn
from torch.optim import Adam

from mnistctl.models.recipe import NOISE_SIZE, GanRecipe
from mnistctl.nn.schedules import constant

up = partial(nn.ConvTranspose2d, bias=False)  # in, out, kernel, stride, padding
down = partial(nn.Conv2d, bias=False)


# fmt: off
def generator(channels: int = NOISE_SIZE) -> nn.Sequential:
    """[N, channels, 1, 1] of noise to [N, 1, 28, 28] pixels."""
    return nn.Sequential(
        up(channels, 256, 4, 1, 0), nn.BatchNorm2d(256), nn.ReLU(),       # 256 x 4 x 4
        up(256, 128, 3, 2, 1), nn.BatchNorm2d(128), nn.ReLU(),            # 128 x 7 x 7
        up(128, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ReLU(),              #  64 x 14 x 14
        up(64, 1, 4, 2, 1), nn.Tanh(),                                    #   1 x 28 x 28
    )


def discriminator(channels: int = 1) -> nn.Sequential:
    """[N, channels, 28, 28] pixels to [N] logits; the sigmoid is a part of the loss."""
    return nn.Sequential(
        down(channels, 64, 4, 2, 1), nn.LeakyReLU(0.2),                   #  64 x 14 x 14
        down(64, 128, 4, 2, 1), nn.BatchNorm2d(128), nn.LeakyReLU(0.2),   # 128 x 7 x 7
        down(128, 256, 4, 2, 1), nn.BatchNorm2d(256), nn.LeakyReLU(0.2),  # 256 x 3 x 3
        down(256, 1, 3, 1, 0), nn.Flatten(0),                             #   1
    )


# fmt: on


recipe = GanRecipe(
    generator=generator,
    discriminator=discriminator,
    optimizer=partial(Adam, lr=0.0002, betas=(0.5, 0.999)),
    epochs=20,
    peak_lr=0.0002,
    lr_schedule=constant,
    batch_size=60,
)
