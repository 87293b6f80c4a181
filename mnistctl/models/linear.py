"""Two linear layers with a relu between: 636,010 parameters."""

from functools import partial

from torch import nn
from torch.optim import SGD

from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.schedules import constant


# fmt: off
def net() -> nn.Sequential:
    """[N, 1, 28, 28] pixels to [N, 10] logits."""
    return nn.Sequential(
        nn.Flatten(),                    # 784
        nn.Linear(784, 800), nn.ReLU(),  # 800
        nn.Linear(800, 10),              # 10
    )


# fmt: on


recipe = ClassifierRecipe(
    net=net,
    optimizer=partial(SGD, lr=0.05, momentum=0.9, nesterov=True),
    epochs=50,
    peak_lr=0.05,
    lr_schedule=constant,
    batch_size=100,
)
