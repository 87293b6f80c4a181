"""Classifiers: what a recipe is, how a net is trained by it, and how a net is scored."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from mnistctl import compute
from mnistctl.data import Digits
from mnistctl.errors import DivergedError
from mnistctl.events import Epoch, Mismatches, Progress, Score
from mnistctl.schedules import Schedule

_SCORED_AT_ONCE = 500  # digits; more do not fit the processor's caches, and accuracy does not depend on it


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that makes a training run what it is, as data beside the net."""

    net: Callable[[], nn.Module]
    optimizer: Callable[[Iterable[Tensor]], Optimizer]
    epochs: int
    peak: float  # the rate that --rate sets
    rates: Schedule  # peak, epochs -> one rate per epoch
    batch: int
    shuffle: bool = True
    smoothing: float = 0.0


class Training:
    """All that a run needs to go on: the net, its optimizer, the epochs behind it, and the seed.

    Every draw is a function of the seed and the epoch's number, so there is no random state to keep.
    """

    def __init__(self, recipe: Recipe, seed: int, device: torch.device) -> None:
        torch.manual_seed(_stream(seed, 0))
        self.net = compute.prepare(recipe.net(), device)
        self.slice = compute.slice_of(self.net, recipe.batch, device)
        self.optimizer = recipe.optimizer(self.net.parameters())
        self.epoch = 0
        self.seed = seed

    def state(self) -> dict[str, Any]:
        """The whole state, sharing its tensors with the run: copy it to keep it."""
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "seed": self.seed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned, in this or another process."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.seed = state["epoch"], state["seed"]


def fit(training: Training, recipe: Recipe, train: Digits, test: Digits) -> Iterator[Progress | Epoch]:
    """Train in place from the epoch after `training.epoch` to the recipe's last, telling each as it ends.

    Raises:
        DivergedError: a loss or a weight is no longer finite; that epoch is not told.
    """
    rates = recipe.rates(recipe.peak, recipe.epochs)
    iterations = math.ceil(len(train) / recipe.batch)
    for epoch in range(training.epoch + 1, recipe.epochs + 1):
        began = time.perf_counter()
        for group in training.optimizer.param_groups:
            group["lr"] = rates[epoch - 1]
        torch.manual_seed(_stream(training.seed, epoch))  # whatever the caller drew between epochs
        order = torch.randperm(len(train)) if recipe.shuffle else torch.arange(len(train))
        training.net.train()
        losses = torch.zeros((), device=train.device)
        for done, index in enumerate(order.to(train.device).split(recipe.batch), start=1):
            losses += _step(training, recipe, *train.take(index))
            yield Progress(epoch, done, iterations)
        loss = losses.item() / iterations
        score, _ = judge(training.net, test)
        weights = torch.stack(torch._foreach_norm(list(training.net.parameters())))
        if not (math.isfinite(loss) and math.isfinite(score.loss) and bool(weights.isfinite().all())):
            raise DivergedError(
                f"epoch {epoch}: the loss is {loss}, no longer a finite number; try a lower --rate "
                f"(the peak was {recipe.peak:g})"
            )
        training.epoch = epoch
        yield Epoch(epoch, rates[epoch - 1], loss, score.loss, score.accuracy, time.perf_counter() - began)


def _step(training: Training, recipe: Recipe, pixels: Tensor, labels: Tensor) -> Tensor:
    training.optimizer.zero_grad()
    total = torch.zeros((), device=pixels.device)
    for x, y in zip(pixels.split(training.slice), labels.split(training.slice), strict=True):
        loss = F.cross_entropy(training.net(x), y, label_smoothing=recipe.smoothing) * (len(y) / len(labels))
        loss.backward()
        total += loss.detach()
    training.optimizer.step()
    return total


def logits(net: nn.Module, digits: Digits) -> Tensor:
    """What the net makes of each digit, dropout off: float32 [N, 10], on the digits' device."""
    net.eval()
    with torch.inference_mode():
        parts = [
            net(digits.take(slice(i, i + _SCORED_AT_ONCE))[0]) for i in range(0, len(digits), _SCORED_AT_ONCE)
        ]
    return torch.cat(parts).float()


def judge(net: nn.Module, digits: Digits) -> tuple[Score, Tensor]:
    """Mean cross entropy and accuracy in percent over `digits`, and the logits behind them."""
    outputs = logits(net, digits)
    loss = F.cross_entropy(outputs, digits.labels).item()
    right = (outputs.argmax(1) == digits.labels).sum().item()
    return Score(loss, 100 * right / len(digits)), outputs


def mismatches(outputs: Tensor, digits: Digits) -> Mismatches:
    """Which digits the logits `outputs` [N, 10] misread."""
    predicted = outputs.argmax(1)
    wrong = (predicted != digits.labels).nonzero().flatten()
    return Mismatches(
        tuple(wrong.tolist()), tuple(digits.labels[wrong].tolist()), tuple(predicted[wrong].tolist())
    )


def _stream(seed: int, epoch: int) -> int:
    # Nearby seeds and epochs must not give related streams: NumPy's SeedSequence is made to mix such pairs.
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0])
