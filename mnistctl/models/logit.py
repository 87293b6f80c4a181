"""One linear layer, logistic regression on the pixels: 7,850 parameters."""

from functools import partial

from torch import nn
from torch.optim import SGD

from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.schedules import constant


# fmt: off
def net() -> nn.Sequential:
    """[N, 1, 28, 28] pixels to [N, 10] logits."""
    return nn.Sequential(
        nn.Flatten(),        # 784
        nn.Linear(784, 10),  # 10
    )


# fmt: on


recipe = ClassifierRecipe(
    net=net, optimizer=partial(SGD, lr=0.04), epochs=20, peak_lr=0.04, lr_schedule=constant, batch_size=100
)
