"""Two convolutions and two linear layers with dropout, trained with LAMB: 431,080 parameters.

After 50 epochs: 99.590 % of MNIST's test images, mean of 40 seeds (SD 0.030).
Record: records/trials-swa-40.jsonl
"""

from functools import partial

from torch import nn

from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.lamb import LAMB
from mnistctl.nn.schedules import Cosine


def net(channels: tuple[int, int] = (20, 50), hidden: int = 500, dropout: float = 0.5) -> nn.Sequential:
    """Pixels [N, 1, 28, 28] to logits [N, 10]."""
    a, b = channels
    return nn.Sequential(
        nn.Conv2d(1, a, 5), nn.ReLU(), nn.Dropout(dropout),            # 20 x 24 x 24
        nn.MaxPool2d(2),                                               # 20 x 12 x 12
        nn.Conv2d(a, b, 5), nn.ReLU(), nn.Dropout(dropout),            # 50 x 8 x 8
        nn.MaxPool2d(2), nn.Flatten(),                                 # 50 x 4 x 4 = 800
        nn.Linear(b * 4 * 4, hidden), nn.ReLU(), nn.Dropout(dropout),  # 500
        nn.Linear(hidden, 10),                                         # 10
    )  # fmt: skip


recipe = ClassifierRecipe(
    net=net,
    optimizer=partial(LAMB, lr=0.01, weight_decay=0.1),
    epochs=50,
    peak_lr=0.01,
    lr_schedule=Cosine(floor=0.0002),
    batch_size=1000,
    label_smoothing=0.01,
)
