"""Classifiers: what a recipe is, how a net is trained by it, and how a net is scored."""

import math
import time
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from mnistctl.artifacts import checkpoint
from mnistctl.data.digits import Digits
from mnistctl.errors import DivergedError
from mnistctl.evaluation.metrics import compute_score
from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.device import autocast_for
from mnistctl.nn.fusion import has_batch_norm, micro_batch_size, optimize_for
from mnistctl.nn.optim import make_optimizer, optimizer_step
from mnistctl.nn.seeding import derive_seed
from mnistctl.training.events import AveragedWeights, Epoch, Progress
from mnistctl.training.state import optimizer_state, restore_optimizer_state


class ClassifierTraining:
    """All that a run needs to go on: the net, its optimizer, their average, the epochs behind it, the seed.

    Every draw is a function of the seed and the epoch's number, so there is no random state to keep.
    """

    def __init__(
        self, recipe: ClassifierRecipe, seed: int, device: torch.device, *, precision: str = "float32"
    ) -> None:
        self.arithmetic = autocast_for(precision, device)
        torch.manual_seed(derive_seed(seed, 0))
        self.net = optimize_for(recipe.net(), device)
        self.slice = micro_batch_size(self.net, recipe.batch_size, device)
        self.weights = list(self.net.parameters())
        self._make = recipe.optimizer
        self.optimizer = make_optimizer(recipe.optimizer, self.weights)
        self.averaged_model = AveragedModel(self.net) if recipe.swa_epochs else None
        self.epoch = 0
        self.seed = seed

    @property
    def result(self) -> nn.Module:
        """The net that the run is about: the averaged one where there is one."""
        return self.net if self.averaged_model is None else self.averaged_model.module

    def state(self) -> dict[str, Tensor]:
        """The whole state as named tensors, which it shares with the run: copy them to keep them."""
        average = {} if self.averaged_model is None else self.averaged_model.state_dict()
        parts = {
            "net": self.net.state_dict(),
            "optimizer": optimizer_state(self.optimizer),
            "average": average,
        }
        return checkpoint.flatten_state(**parts) | {"epoch": torch.tensor(self.epoch)}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Go back to what `state` gave, in this or another process, for the same recipe and seed.

        Raises:
            ValueError: it is the state of something else.
        """
        try:
            net, moments, average, number = checkpoint.split_state(
                kept, "net", "optimizer", "average", "epoch"
            )
            epoch = int(number[""])
            restore_optimizer_state(self.optimizer, self._make, self.weights, moments, epoch > 0)
            self.net.load_state_dict(net)
            if self.averaged_model is not None:
                self.averaged_model.load_state_dict(average)
        except (KeyError, RuntimeError) as fault:
            raise ValueError(f"not the state of this run: {fault}") from None
        self.epoch = epoch


def fit(
    training: ClassifierTraining, recipe: ClassifierRecipe, train: Digits, test: Digits
) -> Iterator[Progress | Epoch | AveragedWeights]:
    """Train in place from the epoch after `training.epoch` to the recipe's last, telling each as it ends.

    An averaged recipe then tells the average: with the last epoch's batch norm statistics, and once more
    after they were recomputed, where the net has any.

    Raises:
        DivergedError: a loss or a weight is no longer finite; that epoch is not told.
    """
    rates = recipe.learning_rates()
    first = recipe.epochs - recipe.swa_epochs + 1
    iterations = math.ceil(len(train) / recipe.batch_size)
    for epoch in range(training.epoch + 1, recipe.epochs + 1):
        began = time.perf_counter()
        for group in training.optimizer.param_groups:
            group["lr"] = rates[epoch - 1]
        training.net.train()
        losses = torch.zeros((), device=train.device)
        for done, (pixels, labels) in enumerate(iterate_batches(training, recipe, train, epoch), start=1):
            losses += train_step(training, recipe, pixels, labels)
            yield Progress(epoch, done, iterations)
        loss = losses.item() / iterations
        score, _ = compute_score(training.net, test)
        weights = torch.stack(torch._foreach_norm(list(training.net.parameters())))
        if not (math.isfinite(loss) and math.isfinite(score.loss) and bool(weights.isfinite().all())):
            raise DivergedError(
                f"epoch {epoch}: the loss is {loss}, no longer a finite number; try a lower --lr "
                f"(the peak was {recipe.peak_lr:g})"
            )
        if training.averaged_model is not None and epoch >= first:
            training.averaged_model.update_parameters(training.net)
        training.epoch = epoch
        yield Epoch(epoch, rates[epoch - 1], loss, score.loss, score.accuracy, time.perf_counter() - began)
    if training.averaged_model is not None:
        yield from _evaluate_average(training, recipe, train, test)


def _evaluate_average(
    training: ClassifierTraining, recipe: ClassifierRecipe, train: Digits, test: Digits
) -> Iterator[AveragedWeights]:
    assert training.averaged_model is not None
    first = recipe.epochs - recipe.swa_epochs + 1
    net = training.averaged_model.module
    began = time.perf_counter()
    score, _ = compute_score(net, test)
    seconds = time.perf_counter() - began
    yield AveragedWeights(first, recipe.epochs, score.loss, score.accuracy, False, seconds)
    if has_batch_norm(net):
        began = time.perf_counter()
        batches = iterate_batches(training, recipe, train, recipe.epochs + 1)
        with training.arithmetic():
            update_bn((pixels for pixels, _ in batches), net)
        score, _ = compute_score(net, test)
        seconds = time.perf_counter() - began
        yield AveragedWeights(first, recipe.epochs, score.loss, score.accuracy, True, seconds)


def iterate_batches(
    training: ClassifierTraining, recipe: ClassifierRecipe, digits: Digits, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    torch.manual_seed(derive_seed(training.seed, epoch))  # whatever the caller drew between epochs
    order = torch.randperm(len(digits)) if recipe.shuffle else torch.arange(len(digits))
    yield from digits.batches(order, recipe.batch_size)


def train_step(
    training: ClassifierTraining, recipe: ClassifierRecipe, pixels: Tensor, labels: Tensor
) -> Tensor:
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
    optimizer_step(training.optimizer)
    return loss.detach()


def _loss(training: ClassifierTraining, recipe: ClassifierRecipe, pixels: Tensor, labels: Tensor) -> Tensor:
    with training.arithmetic():
        outputs = training.net(pixels)
    return F.cross_entropy(outputs.float(), labels, label_smoothing=recipe.label_smoothing)
