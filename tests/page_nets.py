"""Nets for tests of pages: trained ones, and a small one with most kinds of layers."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnistctl import models
from mnistctl.data import datasets
from mnistctl.inference import load
from mnistctl.models import simple
from mnistctl.nn.optim import make_optimizer

RECORDS = Path(__file__).parents[1] / "records"
COMMITTED = {"conv": load.load_classifier, "gan": load.load_generator, "cgan": load.load_generator}
STEPS = {
    "logit": 100,
    "linear": 100,
    "swa": 20,
    "lstm": 20,
    "simple": 8,
    "wsimple": 8,
    "fast": 40,
    "best": 20,
}


@cache
def some_digits(count: int = 200) -> np.ndarray:
    """The first test digits of the sample, uint8 [count, 28, 28]."""
    return datasets.load("sample", None, "test")[0].images[:count]


@cache
def trained(name: str) -> nn.Module:
    """The net of a model: with committed weights, or after some steps on the sample. Do not change it."""
    path = RECORDS / f"{name}.safetensors"
    if name in COMMITTED:
        return COMMITTED[name](path)[1].eval()
    torch.manual_seed(0)
    recipe = models.load_classifier(name)
    return train(recipe.net(), STEPS[name], recipe.optimizer)


def train(net: nn.Module, steps: int, optimizer=torch.optim.Adam) -> nn.Module:
    """The net after some steps with 50 digits each, so that its statistics are those of digits."""
    arrays, _ = datasets.load("sample", None, "train")
    steps_of = make_optimizer(optimizer, net.parameters())
    net.train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = None  # its statistics are means over all steps
    for step in range(steps):
        chosen = np.arange(50 * step, 50 * (step + 1)) % len(arrays.labels)
        loss = F.cross_entropy(
            net(normalized(arrays.images[chosen])), torch.from_numpy(arrays.labels[chosen]).long()
        )
        steps_of.zero_grad()
        loss.backward()
        steps_of.step()
    return net.eval()


def normalized(images: np.ndarray) -> Tensor:
    """Pixels [N, 1, 28, 28] in [-1, 1] for images [N, 28, 28]."""
    return torch.from_numpy(images).unsqueeze(1).float() / 127.5 - 1


class Various(nn.Module):
    """A small net of most kinds of layers, written as people write nets."""

    def __init__(self) -> None:
        super().__init__()
        self.start = simple.block(1, 6, 3, 2, 0.2)
        self.left = nn.Conv2d(6, 6, (3, 1), padding="same", groups=3)
        self.right = nn.Conv2d(6, 4, 3, stride=2, dilation=2, padding=2, bias=False)
        self.up = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.lstm = nn.LSTM(9, 5, num_layers=2, batch_first=True, bias=False)
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.hidden = nn.Linear(12 * 9 + 12 * 4 + 12 + 5, 30)
        self.norm = nn.BatchNorm1d(30)
        self.out = nn.Linear(30, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Pixels [N, 1, 28, 28] to log probabilities [N, 10]."""
        x = self.start(x)
        x = x + F.leaky_relu(self.left(x), 0.1)
        x = torch.cat((x, torch.sigmoid(self.up(self.right(x)))), 1)
        x = F.max_pool2d(F.silu(x), 3, 2, 1)
        x = F.avg_pool2d(F.gelu(x), 2)
        states, _ = self.lstm(x.flatten(2))
        parts = (x.reshape(len(x), -1), self.pool(x).flatten(1), x.mean((2, 3)), states[:, -1])
        x = torch.tanh(self.norm(self.hidden(torch.cat(parts, dim=1))))
        return torch.log_softmax(self.out(x), 1)
