"""Two linear layers with a relu between them: 636,010 parameters.

After 50 epochs: 98.518 % of MNIST's test images, mean of 5 seeds (SD 0.037).
Record: records/trials-linear-5.jsonl
"""

from functools import partial

from torch import nn
from torch.optim import SGD

from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.schedules import Constant


def net(hidden: int = 800) -> nn.Sequential:
    """Pixels [N, 1, 28, 28] to logits [N, 10]."""
    return nn.Sequential(
        nn.Flatten(),                       # 784
        nn.Linear(784, hidden), nn.ReLU(),  # 800
        nn.Linear(hidden, 10),              # 10
    )  # fmt: skip


recipe = ClassifierRecipe(
    net=net,
    optimizer=partial(SGD, lr=0.05, momentum=0.9, nesterov=True),
    epochs=50,
    peak_lr=0.05,
    lr_schedule=Constant(),
    batch_size=100,
)
