"""The training loop of GANs: a generator and a discriminator, trained against each other.

`fit` runs the epochs, `train_step` takes one step of each net.
"""

import math
import statistics
import time
from collections.abc import Iterator, Mapping
from datetime import datetime

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Optimizer

from mnistctl.artifacts import checkpoint
from mnistctl.data.batches import Digits
from mnistctl.errors import DivergedError
from mnistctl.models.checks import check_numbers
from mnistctl.models.recipe import NOISE_SIZE, GanRecipe
from mnistctl.nn.device import autocast_for
from mnistctl.nn.fusion import optimize_for
from mnistctl.nn.optim import make_optimizer, optimizer_step
from mnistctl.nn.seeding import RandomStream, check_seed, derive_seed, seeded_generator, with_own_draws
from mnistctl.training.events import GanEpoch, Progress
from mnistctl.training.state import (
    has_finite_values,
    optimizer_state,
    restore_optimizer_state,
    set_initial_weights,
)

# The optimizers' parts of a training state. They keep their first names, which checkpoints hold.
_G_OPTIMIZER, _D_OPTIMIZER = "drawer", "judge"


class GanTraining:
    """The state of a GAN's training: recipe, both nets, their optimizers, epochs done, seed.

    No random state is part of it. Every random draw is a function of the seed and the epoch's number, so a
    resumed run draws what an uninterrupted one draws.

    Args:
        recipe: what to train and how.
        seed: seed of the initial weights and of every epoch.
        device: where to train.
        precision: arithmetic of the forward passes, float32 or bf16.
        initial_weights: weights of both nets to start from, by name; None for random ones.

    Raises:
        UsageError: a value of the recipe is wrong, or the seed, or the device only emulates the precision.
        CheckpointError: the initial weights do not fit the nets.
    """

    def __init__(
        self,
        recipe: GanRecipe,
        seed: int,
        device: torch.device | str,
        *,
        precision: str = "float32",
        initial_weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        check_numbers(recipe, "the recipe")
        device = torch.device(device)
        self.recipe = recipe
        self.autocast = autocast_for(precision, device)
        self.seed = check_seed(seed) + recipe.seed_offset
        self.draws = RandomStream()
        with self.draws:
            torch.manual_seed(derive_seed(self.seed, 0))  # the initial weights, the generator's first
            self.generator = optimize_for(recipe.generator(), device)
            self.discriminator = optimize_for(recipe.discriminator(), device)
        if initial_weights is not None:
            both = nn.ModuleDict({"generator": self.generator, "discriminator": self.discriminator})
            set_initial_weights(both, initial_weights)
        self.g_params = list(self.generator.parameters())
        self.d_params = list(self.discriminator.parameters())
        self.g_optimizer = make_optimizer(recipe.optimizer, self.g_params)
        self.d_optimizer = make_optimizer(recipe.optimizer, self.d_params)
        self.epoch = 0

    def has_finite_values(self) -> bool:
        """Whether all weights and saved buffers of both nets are finite."""
        return has_finite_values(self.generator) and has_finite_values(self.discriminator)

    def net_state(self) -> dict[str, Tensor]:
        """Parameters and batch norm statistics of both nets as named tensors, memory shared."""
        return checkpoint.flatten_state(
            generator=self.generator.state_dict(), discriminator=self.discriminator.state_dict()
        )

    def state(self) -> dict[str, Tensor]:
        """The whole state as named tensors. They share memory with the training: copy them to keep them."""
        parts = {
            _G_OPTIMIZER: optimizer_state(self.g_optimizer),
            _D_OPTIMIZER: optimizer_state(self.d_optimizer),
        }
        return self.net_state() | checkpoint.flatten_state(**parts) | {"epoch": torch.tensor(self.epoch)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state` of the same recipe and seed, from this or another process.

        Raises:
            ValueError: it is the state of another recipe.
        """
        names = ("generator", "discriminator", _G_OPTIMIZER, _D_OPTIMIZER, "epoch")
        try:
            generator, discriminator, g_moments, d_moments, number = checkpoint.split_state(state, *names)
            epoch = int(number[""])
            for optimizer, params, moments in (
                (self.g_optimizer, self.g_params, g_moments),
                (self.d_optimizer, self.d_params, d_moments),
            ):
                restore_optimizer_state(optimizer, self.recipe.optimizer, params, moments, stepped=epoch > 0)
            self.generator.load_state_dict(generator)
            self.discriminator.load_state_dict(discriminator)
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"not the state of this run: {error}") from None
        if not self.has_finite_values():
            raise ValueError("not the state of this run: a weight or a buffer is not finite")
        self.epoch = epoch


@with_own_draws
def fit(training: GanTraining, train: Digits) -> Iterator[Progress | GanEpoch]:
    """Train both nets from the epoch after `training.epoch` to the recipe's last one.

    Args:
        training: the state to start from; it is trained in place.
        train: the digits to train on; a last short batch of an epoch is dropped.

    Yields:
        Progress after every step, GanEpoch after every epoch.

    Raises:
        DivergedError: a loss, a weight or a buffer is no longer finite. That epoch is not yielded.
    """
    recipe = training.recipe
    steps = len(train) // recipe.batch_size
    rates_in = recipe.learning_rates_by_step(steps)

    for epoch in range(training.epoch + 1, recipe.epochs + 1):
        started = time.perf_counter()

        training.generator.train()
        training.discriminator.train()

        # One pass over the training digits, in an order drawn from (seed, epoch). The noise and the
        # targets of the epoch's steps continue the same stream of random numbers.
        torch.manual_seed(derive_seed(training.seed, epoch))
        order = torch.randperm(len(train))[: steps * recipe.batch_size]
        rates = rates_in(epoch)
        losses = []
        for step, (x, y) in enumerate(train.batches(order, recipe.batch_size), start=1):
            for group in training.g_optimizer.param_groups + training.d_optimizer.param_groups:
                group["lr"] = rates[step - 1]
            losses.append(train_step(training, x, y))
            yield Progress(epoch, step, steps)
        d_loss, g_loss = (statistics.median(each) for each in torch.stack(losses).T.tolist())

        # A run that has left the finite numbers cannot come back.
        if not (math.isfinite(d_loss + g_loss) and training.has_finite_values()):
            raise DivergedError(
                f"epoch {epoch}: a loss, a weight or a buffer is no longer a finite number (median losses "
                f"{d_loss:.4g} and {g_loss:.4g}, peak learning rate {recipe.peak_lr:g})",
                remedies=("lower_lr",),
            )

        training.epoch = epoch
        ended = datetime.now().astimezone().isoformat(timespec="seconds")
        yield GanEpoch(epoch, ended, d_loss, g_loss, time.perf_counter() - started)


def train_step(training: GanTraining, real: Tensor, labels: Tensor) -> Tensor:
    """Take one step of the discriminator, then one of the generator.

    Goodfellow et al., arXiv 1406.2661, algorithm 1, with the non-saturating loss of the generator (section 3
    there). The targets of real digits are below 1 (one-sided label smoothing, Salimans et al., arXiv
    1606.03498, section 3.4), here drawn for each digit separately.

    Args:
        training: the state; its nets must be in training mode.
        real: pixels of real digits [B, 1, 28, 28] in [-1, 1].
        labels: their labels [B].

    Returns:
        The losses of the discriminator and the generator: [2], on the device.
    """
    recipe, generator, discriminator = training.recipe, training.generator, training.discriminator
    noise = torch.randn(len(real), NOISE_SIZE, 1, 1, device=real.device)
    fake_condition = recipe.condition(torch.randint(10, (len(real),), device=real.device))
    real_targets = torch.empty(len(real), device=real.device).uniform_(*recipe.real_targets)

    # The discriminator learns to tell real digits from generated ones. `detach` keeps its gradient out of
    # the generator. The logits leave autocast as float32, so that the loss, sigmoid included, is exact.
    with training.autocast():
        fake = generator(noise, *fake_condition)  # [B, 1, 28, 28]
        real_logits = discriminator(real, *recipe.condition(labels)).float()  # [B]
        fake_logits = discriminator(fake.detach(), *fake_condition).float()
    d_loss = binary_cross_entropy_with_logits(real_logits, real_targets)
    d_loss = d_loss + binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    _update(d_loss, training.d_optimizer, training.d_params)

    # The generator learns to make the updated discriminator take the same images for real ones.
    with training.autocast():
        fake_logits = discriminator(fake, *fake_condition).float()
    g_loss = binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))
    _update(g_loss, training.g_optimizer, training.g_params)

    return torch.stack((d_loss.detach(), g_loss.detach()))


def _update(loss: Tensor, optimizer: Optimizer, params: list[nn.Parameter]) -> None:
    for param in params:
        param.grad = None
    # No gradients for the other net, which would be thrown away.
    loss.backward(inputs=[param for param in params if param.requires_grad])
    optimizer_step(optimizer)


def fixed_inputs(recipe: GanRecipe, seed: int) -> tuple[Tensor, ...]:
    """The inputs of the grid that a run draws after every epoch, for `generate_images`.

    Args:
        recipe: a conditional recipe gives ten noise vectors, each for the digits 0 to 9; another one sixty.
        seed: the run's seed.

    Returns:
        Noise [N, 100, 1, 1] and, for a conditional recipe, digits [N].
    """
    generator = seeded_generator(seed + recipe.seed_offset, 0, 1)
    if recipe.conditional:
        noise = torch.randn(10, NOISE_SIZE, 1, 1, generator=generator)
        return noise.repeat_interleave(10, 0), torch.arange(10).repeat(10)
    return (torch.randn(60, NOISE_SIZE, 1, 1, generator=generator),)
