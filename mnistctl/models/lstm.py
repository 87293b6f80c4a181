"""Two recurrent layers that read a digit row by row, and a linear layer: 214,282 parameters."""

from torch import nn
from torch.optim import AdamW

from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.layers import LastStep
from mnistctl.nn.schedules import cycle


# fmt: off
def net() -> nn.Sequential:
    """[N, 1, 28, 28] pixels to [N, 10] logits."""
    return nn.Sequential(
        nn.Flatten(1, 2),                                  # 28 steps of 28
        nn.LSTM(28, 128, num_layers=2, batch_first=True),  # 28 x 128, from a zero state
        LastStep(),                                        # 128
        nn.Linear(128, 10),                                # 10
    )


# fmt: on


recipe = ClassifierRecipe(
    net=net,
    optimizer=AdamW,
    epochs=40,
    peak_lr=0.001,
    lr_schedule=cycle(1.0, 0.5, 0.2, 0.1),
    batch_size=60,
    shuffle=False,
)
