"""Generators: what a recipe is, how two nets train each other by it, and how a net draws digits."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from mnistctl import compute, draws, state
from mnistctl.data import Digits
from mnistctl.errors import DivergedError
from mnistctl.events import Duel, Progress
from mnistctl.schedules import Schedule

NOISE = 100  # the numbers that a picture is drawn from
REAL = (0.8, 1.0)  # the targets of real digits are drawn between these
_DRAWN_AT_ONCE = 500  # pictures


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that makes a training run what it is, as data beside the nets."""

    generator: Callable[[], nn.Module]  # noise [N, 100, 1, 1] to pictures [N, 1, 28, 28] in [-1, 1]
    discriminator: Callable[[], nn.Module]  # pictures to logits [N]: the higher, the more real
    optimizer: Callable[[Iterable[Tensor]], Optimizer]  # one for each net
    epochs: int
    peak: float  # the rate that --rate sets
    rates: Schedule  # peak, epochs -> one rate per epoch
    batch: int
    conditional: bool = False  # whether both nets are told the digit, as their second input

    def given(self, labels: Tensor) -> tuple[Tensor, ...]:
        """What the nets are given beside their first input."""
        return (labels,) if self.conditional else ()

    def schedule(self) -> tuple[float, ...]:
        """The rate of each epoch."""
        return self.rates(self.peak, self.epochs)


class Training:
    """All that a run needs to go on: both nets, their optimizers, the epochs behind them, the seed.

    Every draw is a function of the seed and the epoch's number, so there is no random state to keep.
    """

    def __init__(
        self, recipe: Recipe, seed: int, device: torch.device, *, precision: str = "float32"
    ) -> None:
        self.arithmetic = compute.precision(precision, device)
        torch.manual_seed(draws.stream(seed, 0))
        self.generator = compute.prepare(recipe.generator(), device)
        self.discriminator = compute.prepare(recipe.discriminator(), device)
        self.drawing, self.judging = (list(net.parameters()) for net in (self.generator, self.discriminator))
        self._make = recipe.optimizer
        self.drawer, self.judge = (
            compute.optimizer(recipe.optimizer, weights) for weights in (self.drawing, self.judging)
        )
        self.epoch = 0
        self.seed = seed

    def nets(self) -> dict[str, Tensor]:
        """The weights and statistics of both nets as named tensors, shared with the run."""
        return state.flat(
            generator=self.generator.state_dict(), discriminator=self.discriminator.state_dict()
        )

    def state(self) -> dict[str, Tensor]:
        """The whole state as named tensors, which it shares with the run: copy them to keep them."""
        kept = state.flat(drawer=state.moments(self.drawer), judge=state.moments(self.judge))
        return self.nets() | kept | {"epoch": torch.tensor(self.epoch)}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Go back to what `state` gave, in this or another process, for the same recipe and seed.

        Raises:
            ValueError: it is the state of something else.
        """
        names = ("generator", "discriminator", "drawer", "judge", "epoch")
        try:
            generator, discriminator, drawer, judge, number = state.parts(kept, *names)
            epoch = int(number[""])
            state.restore_moments(self.drawer, self._make, self.drawing, drawer, epoch > 0)
            state.restore_moments(self.judge, self._make, self.judging, judge, epoch > 0)
            self.generator.load_state_dict(generator)
            self.discriminator.load_state_dict(discriminator)
        except (KeyError, RuntimeError) as fault:
            raise ValueError(f"not the state of this run: {fault}") from None
        self.epoch = epoch


def fit(training: Training, recipe: Recipe, train: Digits) -> Iterator[Progress | Duel]:
    """Train both nets in place from the epoch after `training.epoch` to the recipe's last, telling each.

    A last short batch is left out.

    Raises:
        DivergedError: a loss or a weight is no longer finite; that epoch is not told.
    """
    rates = recipe.schedule()
    iterations = len(train) // recipe.batch
    for epoch in range(training.epoch + 1, recipe.epochs + 1):
        began = time.perf_counter()
        for optimizer in (training.drawer, training.judge):
            for group in optimizer.param_groups:
                group["lr"] = rates[epoch - 1]
        training.generator.train()
        training.discriminator.train()
        torch.manual_seed(draws.stream(training.seed, epoch))  # whatever the caller drew between epochs
        order = torch.randperm(len(train))[: iterations * recipe.batch]
        losses = []
        for done, (pixels, labels) in enumerate(train.batches(order, recipe.batch), start=1):
            losses.append(duel(training, recipe, pixels, labels))
            yield Progress(epoch, done, iterations)
        judged, drawn = (statistics.median(each) for each in torch.stack(losses).T.tolist())
        weights = torch.stack(torch._foreach_norm([*training.drawing, *training.judging]))
        if not (math.isfinite(judged + drawn) and bool(weights.isfinite().all())):
            raise DivergedError(
                f"epoch {epoch}: the median losses are {judged} and {drawn}, these or the weights no longer "
                f"finite numbers; try a lower --rate (it was {recipe.peak:g})"
            )
        training.epoch = epoch
        ended = datetime.now().astimezone().isoformat(timespec="seconds")
        yield Duel(epoch, ended, judged, drawn, time.perf_counter() - began)


def duel(training: Training, recipe: Recipe, real: Tensor, labels: Tensor) -> Tensor:
    """One step of each net on the pixels `real` [B, 1, 28, 28] and their digits; the losses of both, [2].

    The discriminator learns to tell `real` from as many pictures that the generator draws; then the generator
    from what the changed discriminator says of these (Goodfellow et al., arXiv 1406.2661, algorithm 1, with
    the loss of its section 3 that does not saturate). Both losses are binary cross entropies in float32, the
    sigmoid a part of them; the targets of real digits are below 1 (one-sided label smoothing, Salimans et
    al., arXiv 1606.03498, section 3.4), here drawn anew for each.
    """
    generator, discriminator = training.generator, training.discriminator
    noise = torch.randn(len(real), NOISE, 1, 1, device=real.device)
    asked = recipe.given(torch.randint(10, (len(real),), device=real.device))
    targets = torch.empty(len(real), device=real.device).uniform_(*REAL)

    with training.arithmetic():
        drawn = generator(noise, *asked)
        of_real = discriminator(real, *recipe.given(labels)).float()
        of_drawn = discriminator(drawn.detach(), *asked).float()
    judging = _entropy(of_real, targets) + _entropy(of_drawn, torch.zeros_like(of_drawn))
    _learn(judging, training.judge, training.judging)

    with training.arithmetic():
        of_drawn = discriminator(drawn, *asked).float()
    drawing = _entropy(of_drawn, torch.ones_like(of_drawn))
    _learn(drawing, training.drawer, training.drawing)
    return torch.stack((judging.detach(), drawing.detach()))


_entropy = F.binary_cross_entropy_with_logits


def _learn(loss: Tensor, optimizer: Optimizer, weights: list[nn.Parameter]) -> None:
    for weight in weights:
        weight.grad = None
    loss.backward(inputs=weights)  # of no other net's weights
    compute.step(optimizer)


def fixed(recipe: Recipe, seed: int) -> tuple[Tensor, ...]:
    """What the grid after each epoch is drawn from, for `sample`, row by row.

    Ten rows of six; or, of a conditional net, ten noises, each of them for the digits 0 to 9.
    """
    torch.manual_seed(draws.stream(seed, 0, 1))
    if recipe.conditional:
        return torch.randn(10, NOISE, 1, 1).repeat_interleave(10, 0), torch.arange(10).repeat(10)
    return (torch.randn(60, NOISE, 1, 1),)


def sample(generator: nn.Module, *inputs: Tensor) -> Tensor:
    """The pictures that `generator`, in evaluation mode, makes of its inputs: uint8 [N, 28, 28], on the CPU.

    The inputs are noise [N, 100, 1, 1] and, of a conditional net, the digits asked for [N].
    """
    generator.eval()
    where = next(generator.parameters()).device
    with torch.inference_mode():
        parts = [
            generator(*(each.to(where) for each in part)).squeeze(1).add(1).mul(127.5).round().byte().cpu()
            for part in zip(*(each.split(_DRAWN_AT_ONCE) for each in inputs), strict=True)
        ]
    return torch.cat(parts)
