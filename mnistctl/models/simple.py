"""SimpNet: thirteen small convolutions with batch norm, trained with AdamW: 1,022,656 parameters."""

from functools import partial

from torch import nn
from torch.optim import AdamW

from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.schedules import cosine

# fmt: off
BLOCKS = (  # in, out, kernel, pool: Hasanpour et al., SimpNet, arXiv 1802.06205
    (  1,  66, 3, 1),  #  66 x 28 x 28
    ( 66,  64, 3, 1),  #  64 x 28 x 28
    ( 64,  64, 3, 1),
    ( 64,  64, 3, 1),
    ( 64,  96, 3, 2),  #  96 x 14 x 14
    ( 96,  96, 3, 1),
    ( 96,  96, 3, 1),
    ( 96,  96, 3, 1),
    ( 96,  96, 3, 1),
    ( 96, 144, 3, 2),  # 144 x 7 x 7
    (144, 144, 1, 1),
    (144, 178, 1, 1),
    (178, 216, 3, 7),  # 216 x 1 x 1
)


# fmt: on


def net() -> nn.Sequential:
    """[N, 1, 28, 28] pixels to [N, 10] logits."""
    return nn.Sequential(*(block(*row) for row in BLOCKS), nn.Flatten(), nn.Linear(216, 10))


def block(channels: int, filters: int, kernel: int, pool: int) -> nn.Sequential:
    """[N, channels, H, W] to [N, filters, H / pool, W / pool], dropout after the pool, if there is one."""
    convolution = nn.Conv2d(channels, filters, kernel, padding="same")
    nn.init.xavier_normal_(convolution.weight, nn.init.calculate_gain("relu"))
    return nn.Sequential(
        convolution,
        nn.BatchNorm2d(filters, eps=1e-5, momentum=0.05),
        nn.ReLU(),
        *([nn.MaxPool2d(pool)] if pool > 1 else []),
        nn.Dropout(0.2),
    )


recipe = ClassifierRecipe(
    net=net,
    optimizer=partial(AdamW, lr=0.01, betas=(0.5, 0.95), weight_decay=0.1),
    epochs=50,
    peak_lr=0.01,
    lr_schedule=cosine(),
    batch_size=100,
    label_smoothing=0.01,
)
