"""Four convolutions with batch norm, trained with augmentation: 150,890 parameters.

After 80 epochs: 99.713 % of MNIST's test images, mean of 4 seeds (SD 0.022). The result is the average of
the weights of the last 32 epochs.
Records: records/best.json, records/best-1.json, records/best-2.json, records/best-3.json

The recipe is this package's own. docs/fast-and-best.md says how it was chosen.
"""

from functools import partial

from torch import nn
from torch.optim import AdamW

from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.augmentation import Augmentation
from mnistctl.nn.schedules import Cosine


def net(channels: tuple[int, int, int] = (32, 64, 128), dropout: float = 0.4) -> nn.Sequential:
    """Pixels [N, 1, 28, 28] to logits [N, 10]."""
    a, b, c = channels
    return nn.Sequential(
        *block(1, a, 5, pool=2),                                   #  32 x 12 x 12
        *block(a, b, 3),                                           #  64 x 10 x 10
        *block(b, b, 3, pool=2),                                   #  64 x 4 x 4
        *block(b, c, 3, padding=1),                                # 128 x 4 x 4
        nn.Flatten(), nn.Dropout(dropout), nn.Linear(c * 16, 10),  # 2,048 to 10
    )  # fmt: skip


def block(
    in_channels: int, out_channels: int, kernel: int, *, padding: int = 0, pool: int = 1
) -> list[nn.Module]:
    """A convolution, a pool if it is not 1, batch norm and relu. After a pool there is less to normalize."""
    return [
        nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=False),
        *([nn.MaxPool2d(pool)] if pool > 1 else []),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    ]


recipe = ClassifierRecipe(
    net=net,
    optimizer=partial(AdamW, lr=0.003, weight_decay=0.05),
    epochs=80,
    peak_lr=0.003,
    lr_schedule=Cosine(),
    batch_size=100,
    label_smoothing=0.01,
    augment=Augmentation(shift=2, rotation=10, scale=0.1, shear=0.1, elastic=0.5, stroke=0.5),
    swa_fraction=0.4,
)
