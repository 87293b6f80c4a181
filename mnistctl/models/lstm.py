"""Two LSTM layers that read the image row by row, and a linear layer: 214,282 parameters.

After 40 epochs: 99.282 % of MNIST's test images, mean of 8 seeds (SD 0.053).
Records: records/lstm.json, records/lstm-1.json, records/lstm-2.json, records/lstm-3.json,
records/lstm-4.json, records/lstm-5.json, records/lstm-6.json, records/lstm-7.json
"""

from torch import nn
from torch.optim import AdamW

from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.layers import LastStep
from mnistctl.nn.schedules import Cycle


def net(hidden: int = 128, layers: int = 2) -> nn.Sequential:
    """Pixels [N, 1, 28, 28] to logits [N, 10]."""
    return nn.Sequential(
        nn.Flatten(1, 2),                                          # 28 steps of 28
        nn.LSTM(28, hidden, num_layers=layers, batch_first=True),  # 28 steps of 128, from a zero state
        LastStep(),                                                # 128
        nn.Linear(hidden, 10),                                     # 10
    )  # fmt: skip


recipe = ClassifierRecipe(
    net=net,
    optimizer=AdamW,
    epochs=40,
    peak_lr=0.001,
    lr_schedule=Cycle((1.0, 0.5, 0.2, 0.1)),
    batch_size=60,
    shuffle=False,
)
