"""Generators: what a recipe is, how two nets train each other by it, and how a net draws digits."""

import math
import statistics
import time
from collections.abc import Iterator, Mapping
from datetime import datetime

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from mnistctl.artifacts import checkpoint
from mnistctl.data.digits import Digits
from mnistctl.errors import DivergedError
from mnistctl.models.recipe import NOISE_SIZE, REAL_TARGETS, GanRecipe
from mnistctl.nn.device import autocast_for
from mnistctl.nn.fusion import optimize_for
from mnistctl.nn.optim import make_optimizer, optimizer_step
from mnistctl.nn.seeding import derive_seed
from mnistctl.training.events import GanEpoch, Progress
from mnistctl.training.state import optimizer_state, restore_optimizer_state


class GanTraining:
    """All that a run needs to go on: both nets, their optimizers, the epochs behind them, the seed.

    Every draw is a function of the seed and the epoch's number, so there is no random state to keep.
    """

    def __init__(
        self, recipe: GanRecipe, seed: int, device: torch.device, *, precision: str = "float32"
    ) -> None:
        self.arithmetic = autocast_for(precision, device)
        torch.manual_seed(derive_seed(seed, 0))
        self.generator = optimize_for(recipe.generator(), device)
        self.discriminator = optimize_for(recipe.discriminator(), device)
        self.drawing, self.judging = (list(net.parameters()) for net in (self.generator, self.discriminator))
        self._make = recipe.optimizer
        self.drawer, self.judge = (
            make_optimizer(recipe.optimizer, weights) for weights in (self.drawing, self.judging)
        )
        self.epoch = 0
        self.seed = seed

    def nets(self) -> dict[str, Tensor]:
        """The weights and statistics of both nets as named tensors, shared with the run."""
        return checkpoint.flatten_state(
            generator=self.generator.state_dict(), discriminator=self.discriminator.state_dict()
        )

    def state(self) -> dict[str, Tensor]:
        """The whole state as named tensors, which it shares with the run: copy them to keep them."""
        kept = checkpoint.flatten_state(
            drawer=optimizer_state(self.drawer), judge=optimizer_state(self.judge)
        )
        return self.nets() | kept | {"epoch": torch.tensor(self.epoch)}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Go back to what `state` gave, in this or another process, for the same recipe and seed.

        Raises:
            ValueError: it is the state of something else.
        """
        names = ("generator", "discriminator", "drawer", "judge", "epoch")
        try:
            generator, discriminator, drawer, judge, number = checkpoint.split_state(kept, *names)
            epoch = int(number[""])
            restore_optimizer_state(self.drawer, self._make, self.drawing, drawer, epoch > 0)
            restore_optimizer_state(self.judge, self._make, self.judging, judge, epoch > 0)
            self.generator.load_state_dict(generator)
            self.discriminator.load_state_dict(discriminator)
        except (KeyError, RuntimeError) as fault:
            raise ValueError(f"not the state of this run: {fault}") from None
        self.epoch = epoch


def fit(training: GanTraining, recipe: GanRecipe, train: Digits) -> Iterator[Progress | GanEpoch]:
    """Train both nets in place from the epoch after `training.epoch` to the recipe's last, telling each.

    A last short batch is left out.

    Raises:
        DivergedError: a loss or a weight is no longer finite; that epoch is not told.
    """
    rates = recipe.learning_rates()
    iterations = len(train) // recipe.batch_size
    for epoch in range(training.epoch + 1, recipe.epochs + 1):
        began = time.perf_counter()
        for optimizer in (training.drawer, training.judge):
            for group in optimizer.param_groups:
                group["lr"] = rates[epoch - 1]
        training.generator.train()
        training.discriminator.train()
        torch.manual_seed(derive_seed(training.seed, epoch))  # whatever the caller drew between epochs
        order = torch.randperm(len(train))[: iterations * recipe.batch_size]
        losses = []
        for done, (pixels, labels) in enumerate(train.batches(order, recipe.batch_size), start=1):
            losses.append(train_step(training, recipe, pixels, labels))
            yield Progress(epoch, done, iterations)
        judged, drawn = (statistics.median(each) for each in torch.stack(losses).T.tolist())
        weights = torch.stack(torch._foreach_norm([*training.drawing, *training.judging]))
        if not (math.isfinite(judged + drawn) and bool(weights.isfinite().all())):
            raise DivergedError(
                f"epoch {epoch}: the median losses are {judged} and {drawn}, these or the weights no longer "
                f"finite numbers; try a lower --lr (it was {recipe.peak_lr:g})"
            )
        training.epoch = epoch
        ended = datetime.now().astimezone().isoformat(timespec="seconds")
        yield GanEpoch(epoch, ended, judged, drawn, time.perf_counter() - began)


def train_step(training: GanTraining, recipe: GanRecipe, real: Tensor, labels: Tensor) -> Tensor:
    """One step of each net on the pixels `real` [B, 1, 28, 28] and their digits; the losses of both, [2].

    The discriminator learns to tell `real` from as many pictures that the generator draws; then the generator
    from what the changed discriminator says of these (Goodfellow et al., arXiv 1406.2661, algorithm 1, with
    the loss of its section 3 that does not saturate). Both losses are binary cross entropies in float32, the
    sigmoid a part of them; the targets of real digits are below 1 (one-sided label smoothing, Salimans et
    al., arXiv 1606.03498, section 3.4), here drawn anew for each.
    """
    generator, discriminator = training.generator, training.discriminator
    noise = torch.randn(len(real), NOISE_SIZE, 1, 1, device=real.device)
    asked = recipe.condition(torch.randint(10, (len(real),), device=real.device))
    targets = torch.empty(len(real), device=real.device).uniform_(*REAL_TARGETS)

    with training.arithmetic():
        drawn = generator(noise, *asked)
        of_real = discriminator(real, *recipe.condition(labels)).float()
        of_drawn = discriminator(drawn.detach(), *asked).float()
    judging = _cross_entropy(of_real, targets) + _cross_entropy(of_drawn, torch.zeros_like(of_drawn))
    _update(judging, training.judge, training.judging)

    with training.arithmetic():
        of_drawn = discriminator(drawn, *asked).float()
    drawing = _cross_entropy(of_drawn, torch.ones_like(of_drawn))
    _update(drawing, training.drawer, training.drawing)
    return torch.stack((judging.detach(), drawing.detach()))


_cross_entropy = F.binary_cross_entropy_with_logits


def _update(loss: Tensor, optimizer: Optimizer, weights: list[nn.Parameter]) -> None:
    for weight in weights:
        weight.grad = None
    loss.backward(inputs=weights)  # of no other net's weights
    optimizer_step(optimizer)


def fixed_inputs(recipe: GanRecipe, seed: int) -> tuple[Tensor, ...]:
    """What the grid after each epoch is drawn from, for `sample`, row by row.

    Ten rows of six; or, of a conditional net, ten noises, each of them for the digits 0 to 9.
    """
    torch.manual_seed(derive_seed(seed, 0, 1))
    if recipe.conditional:
        return torch.randn(10, NOISE_SIZE, 1, 1).repeat_interleave(10, 0), torch.arange(10).repeat(10)
    return (torch.randn(60, NOISE_SIZE, 1, 1),)
