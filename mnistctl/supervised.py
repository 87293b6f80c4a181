"""Classifiers: what a recipe is, how a net is trained by it, and how a net is scored."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, update_bn

from mnistctl import compute, draws, state
from mnistctl.data import Digits
from mnistctl.errors import DivergedError
from mnistctl.events import Averaged, Epoch, Mismatches, Progress, Score
from mnistctl.schedules import Schedule, held

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
    average: float | None = None  # the share of the epochs, at the end, whose weights are averaged
    regular: "Recipe | None" = None  # the recipe that an averaged one is compared with

    @property
    def averaged(self) -> int:
        """How many epochs, at the end, have their weights averaged: at least one where any should."""
        return 0 if self.average is None else max(1, round(self.average * self.epochs))

    def schedule(self) -> tuple[float, ...]:
        """The rate of each epoch: held from the first that is averaged."""
        rates = self.rates(self.peak, self.epochs)
        return held(rates, self.epochs - self.averaged + 1) if self.averaged else rates


class Training:
    """All that a run needs to go on: the net, its optimizer, their average, the epochs behind it, the seed.

    Every draw is a function of the seed and the epoch's number, so there is no random state to keep.
    """

    def __init__(
        self, recipe: Recipe, seed: int, device: torch.device, *, precision: str = "float32"
    ) -> None:
        self.arithmetic = compute.precision(precision, device)
        torch.manual_seed(draws.stream(seed, 0))
        self.net = compute.prepare(recipe.net(), device)
        self.slice = compute.slice_of(self.net, recipe.batch, device)
        self.weights = list(self.net.parameters())
        self._make = recipe.optimizer
        self.optimizer = compute.optimizer(recipe.optimizer, self.weights)
        self.average = AveragedModel(self.net) if recipe.averaged else None
        self.epoch = 0
        self.seed = seed

    @property
    def result(self) -> nn.Module:
        """The net that the run is about: the averaged one where there is one."""
        return self.net if self.average is None else self.average.module

    def state(self) -> dict[str, Tensor]:
        """The whole state as named tensors, which it shares with the run: copy them to keep them."""
        average = {} if self.average is None else self.average.state_dict()
        parts = {"net": self.net.state_dict(), "optimizer": state.moments(self.optimizer), "average": average}
        return state.flat(**parts) | {"epoch": torch.tensor(self.epoch)}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Go back to what `state` gave, in this or another process, for the same recipe and seed.

        Raises:
            ValueError: it is the state of something else.
        """
        try:
            net, moments, average, number = state.parts(kept, "net", "optimizer", "average", "epoch")
            epoch = int(number[""])
            state.restore_moments(self.optimizer, self._make, self.weights, moments, epoch > 0)
            self.net.load_state_dict(net)
            if self.average is not None:
                self.average.load_state_dict(average)
        except (KeyError, RuntimeError) as fault:
            raise ValueError(f"not the state of this run: {fault}") from None
        self.epoch = epoch


def fit(
    training: Training, recipe: Recipe, train: Digits, test: Digits
) -> Iterator[Progress | Epoch | Averaged]:
    """Train in place from the epoch after `training.epoch` to the recipe's last, telling each as it ends.

    An averaged recipe then tells the average: with the last epoch's batch norm statistics, and once more
    after they were recomputed, where the net has any.

    Raises:
        DivergedError: a loss or a weight is no longer finite; that epoch is not told.
    """
    rates = recipe.schedule()
    first = recipe.epochs - recipe.averaged + 1
    iterations = math.ceil(len(train) / recipe.batch)
    for epoch in range(training.epoch + 1, recipe.epochs + 1):
        began = time.perf_counter()
        for group in training.optimizer.param_groups:
            group["lr"] = rates[epoch - 1]
        training.net.train()
        losses = torch.zeros((), device=train.device)
        for done, (pixels, labels) in enumerate(_batches(training, recipe, train, epoch), start=1):
            losses += _step(training, recipe, pixels, labels)
            yield Progress(epoch, done, iterations)
        loss = losses.item() / iterations
        score, _ = judge(training.net, test)
        weights = torch.stack(torch._foreach_norm(list(training.net.parameters())))
        if not (math.isfinite(loss) and math.isfinite(score.loss) and bool(weights.isfinite().all())):
            raise DivergedError(
                f"epoch {epoch}: the loss is {loss}, no longer a finite number; try a lower --rate "
                f"(the peak was {recipe.peak:g})"
            )
        if training.average is not None and epoch >= first:
            training.average.update_parameters(training.net)
        training.epoch = epoch
        yield Epoch(epoch, rates[epoch - 1], loss, score.loss, score.accuracy, time.perf_counter() - began)
    if training.average is not None:
        yield from _averaged(training, recipe, train, test)


def _averaged(training: Training, recipe: Recipe, train: Digits, test: Digits) -> Iterator[Averaged]:
    assert training.average is not None
    first = recipe.epochs - recipe.averaged + 1
    net = training.average.module
    began = time.perf_counter()
    score, _ = judge(net, test)
    seconds = time.perf_counter() - began
    yield Averaged(first, recipe.epochs, score.loss, score.accuracy, False, seconds)
    if compute.looks_across(net):
        began = time.perf_counter()
        batches = _batches(training, recipe, train, recipe.epochs + 1)
        with training.arithmetic():
            update_bn((pixels for pixels, _ in batches), net)
        score, _ = judge(net, test)
        seconds = time.perf_counter() - began
        yield Averaged(first, recipe.epochs, score.loss, score.accuracy, True, seconds)


def _batches(
    training: Training, recipe: Recipe, digits: Digits, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    torch.manual_seed(draws.stream(training.seed, epoch))  # whatever the caller drew between epochs
    order = torch.randperm(len(digits)) if recipe.shuffle else torch.arange(len(digits))
    yield from digits.batches(order, recipe.batch)


def _step(training: Training, recipe: Recipe, pixels: Tensor, labels: Tensor) -> Tensor:
    for weight in training.weights:
        weight.grad = None  # what zero_grad does, in a tenth of its time
    if len(labels) <= training.slice:
        loss = _loss(training, recipe, pixels, labels)
        loss.backward()
    else:  # gives the same for one slice; but a small net's time goes into calls like these
        loss = torch.zeros((), device=pixels.device)
        for x, y in zip(pixels.split(training.slice), labels.split(training.slice), strict=True):
            part = _loss(training, recipe, x, y) * (len(y) / len(labels))
            part.backward()
            loss += part.detach()
    compute.step(training.optimizer)
    return loss.detach()


def _loss(training: Training, recipe: Recipe, pixels: Tensor, labels: Tensor) -> Tensor:
    with training.arithmetic():
        outputs = training.net(pixels)
    return F.cross_entropy(outputs.float(), labels, label_smoothing=recipe.smoothing)


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
