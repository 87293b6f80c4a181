"""Two convolutions with batch norm and two linear layers, trained with Adam: 108,922 parameters.

After one epoch: 99.222 % of MNIST's test images, mean of 20 seeds (SD 0.056).
Record: records/trials-fast-20.jsonl

The recipe is this package's own. It is made to reach 99 % in a few seconds.
"""

from functools import partial

from torch import nn
from torch.optim import Adam

from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.schedules import OneCycle


def net(channels: tuple[int, int] = (16, 32), hidden: int = 128) -> nn.Sequential:
    """Pixels [N, 1, 28, 28] to logits [N, 10].

    The first convolution has a stride of 2, which halves its cost and that of the next. Pooling comes before
    batch norm, which then has a quarter of the numbers to normalize.
    """
    a, b = channels
    return nn.Sequential(
        nn.Conv2d(1, a, 5, stride=2, bias=False),                  # 16 x 12 x 12
        nn.BatchNorm2d(a), nn.ReLU(),
        nn.Conv2d(a, b, 3, bias=False), nn.MaxPool2d(2),           # 32 x 5 x 5
        nn.BatchNorm2d(b), nn.ReLU(), nn.Flatten(),                # 800
        nn.Linear(b * 5 * 5, hidden), nn.ReLU(),                   # 128
        nn.Linear(hidden, 10),                                     # 10
    )  # fmt: skip


recipe = ClassifierRecipe(
    net=net,
    optimizer=partial(Adam, lr=0.01, betas=(0.7, 0.9)),
    epochs=1,
    peak_lr=0.01,
    lr_schedule=OneCycle(warmup=0.2),
    batch_size=125,
    label_smoothing=0.05,
)
