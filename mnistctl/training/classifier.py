"""The training loop of classifiers.

`fit` runs the epochs, `train_step` takes one step of the optimizer. Both are read from top to bottom; what
makes them fast is in `nn/fusion.py` and `nn/optim.py`, and does not change what they compute.
"""

import copy
import math
import time
from collections.abc import Iterator, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from mnistctl.artifacts import checkpoint
from mnistctl.data.batches import Digits
from mnistctl.errors import DivergedError
from mnistctl.evaluation.metrics import Score, compute_score
from mnistctl.models.checks import check_numbers
from mnistctl.models.recipe import ClassifierRecipe, Loss
from mnistctl.nn.augmentation import Augmenter, Labels, MixedLabels
from mnistctl.nn.device import autocast_for
from mnistctl.nn.fusion import has_batch_norm, micro_batch_size, optimize_for
from mnistctl.nn.optim import make_optimizer, optimizer_step
from mnistctl.nn.perceptron import find_perceptron
from mnistctl.nn.seeding import RandomStream, check_seed, derive_seed, with_own_draws
from mnistctl.training.events import AveragedWeights, Epoch, Progress, Scored, by_split
from mnistctl.training.state import (
    has_finite_values,
    optimizer_state,
    restore_optimizer_state,
    set_initial_weights,
)


class ClassifierTraining:
    """The state of a classifier's training: recipe, net, optimizer, average, loss, epochs done, seed.

    No random state is part of it. Every random draw is a function of the seed and the epoch's number, so a
    resumed run draws what an uninterrupted one draws.

    Args:
        recipe: what to train and how.
        seed: seed of the initial weights and of every epoch.
        device: where to train.
        precision: arithmetic of the forward pass, float32 or bf16.
        initial_weights: weights to start from, by name; None for random ones.

    Raises:
        UsageError: a value of the recipe is wrong, or the seed, or the device only emulates the precision.
        CheckpointError: the initial weights do not fit the net.
    """

    def __init__(
        self,
        recipe: ClassifierRecipe,
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
            torch.manual_seed(derive_seed(self.seed, 0))  # the initial weights
            self.net = optimize_for(recipe.net(), device)
        if initial_weights is not None:
            set_initial_weights(self.net, initial_weights)
        self.micro_batch_size = (
            micro_batch_size(self.net, recipe.batch_size, device)
            if recipe.loss is None  # another loss need not be a sum over the images
            else recipe.batch_size
        )
        self.loss: Loss = partial(F.cross_entropy, label_smoothing=recipe.label_smoothing)
        if recipe.loss is not None:
            self.loss = recipe.loss
        if isinstance(recipe.loss, nn.Module):  # it may have tensors, and other runs need it unchanged
            self.loss = copy.deepcopy(recipe.loss).to(device)
        self.params = list(self.net.parameters())
        self.optimizer = make_optimizer(recipe.optimizer, self.params)
        plain = precision == "float32" and recipe.loss is None
        # After the optimizer, which may have added hooks to the parameters.
        self.perceptron = find_perceptron(self.net) if plain else None
        self.averaged_model = AveragedModel(self.net) if recipe.swa_epochs else None
        self.epoch = 0
        self.in_float32 = precision == "float32"
        # The final net's score and logits for the scored digits of `fit`, in float32, once they are known.
        self.final_score: tuple[Score, Tensor] | None = None

    @property
    def final_net(self) -> nn.Module:
        """The net that the run is evaluated by: the averaged one if the recipe averages weights."""
        return self.net if self.averaged_model is None else self.averaged_model.module

    def state(self) -> dict[str, Tensor]:
        """The whole state as named tensors. They share memory with the training: copy them to keep them."""
        average = {} if self.averaged_model is None else self.averaged_model.state_dict()
        parts = {
            "net": self.net.state_dict(),
            "optimizer": optimizer_state(self.optimizer),
            "average": average,
            "loss": self.loss.state_dict() if isinstance(self.loss, nn.Module) else {},
        }
        return checkpoint.flatten_state(**parts) | {"epoch": torch.tensor(self.epoch)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state` of the same recipe and seed, from this or another process.

        Raises:
            ValueError: it is the state of another recipe.
        """
        try:
            net, moments, average, loss, number = checkpoint.split_state(
                state, "net", "optimizer", "average", "loss", "epoch"
            )
            epoch = int(number[""])
            restore_optimizer_state(
                self.optimizer, self.recipe.optimizer, self.params, moments, stepped=epoch > 0
            )
            self.net.load_state_dict(net)
            if self.averaged_model is not None:
                self.averaged_model.load_state_dict(average)
            if isinstance(self.loss, nn.Module):
                self.loss.load_state_dict(loss)
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"not the state of this run: {error}") from None
        if not has_finite_values(self.net):
            raise ValueError("not the state of this run: a weight or a buffer is not finite")
        self.epoch = epoch
        self.final_score = None


@with_own_draws
def fit(
    training: ClassifierTraining, train: Digits, scored: Digits, *, split: Scored = "test"
) -> Iterator[Progress | Epoch | AveragedWeights]:
    """Train from the epoch after `training.epoch` to the recipe's last one.

    The generator's consumer sets the pace: it may print, plot, save a checkpoint or stop between two events.

    Args:
        training: the state to start from; it is trained in place.
        train: the digits to train on.
        scored: the digits to score after every epoch.
        split: what these are.

    Yields:
        Progress after every step, Epoch after every epoch. A recipe with weight averaging then yields
        AveragedWeights: with the batch norm statistics of the last epoch, and, if the net has batch norm,
        once more with recomputed ones.

    Raises:
        DivergedError: a loss, a weight or a buffer is no longer finite. That epoch is not yielded.
    """
    recipe = training.recipe
    learning_rates = recipe.learning_rates()
    steps = math.ceil(len(train) / recipe.batch_size)
    rates_in = recipe.learning_rates_by_step(steps)

    for epoch in range(training.epoch + 1, recipe.epochs + 1):
        started = time.perf_counter()

        # One pass over the training digits. The losses add up on the device: reading each one there would
        # make the processor wait for every step. Most schedules have the same rate in all steps of an epoch.
        rates = rates_in(epoch)
        training.net.train()
        training.final_score = None
        loss_sum = torch.zeros((), device=train.device)
        for step, (x, y) in enumerate(iterate_batches(training, train, epoch), start=1):
            for group in training.optimizer.param_groups:
                group["lr"] = rates[step - 1]
            loss_sum += train_step(training, x, y)
            yield Progress(epoch, step, steps)
        loss = loss_sum.item() / steps  # the plain mean over the batches, label smoothing included

        # Score the other digits: plain cross entropy and accuracy, dropout off. The arithmetic is that of the
        # training; the final net is scored in float32.
        with training.autocast():
            score, logits = compute_score(training.net, scored)
        if training.in_float32 and training.averaged_model is None:
            training.final_score = score, logits

        # A run that has left the finite numbers cannot come back.
        if not (math.isfinite(loss + score.loss) and has_finite_values(training.net)):
            raise _diverged_error(f"epoch {epoch}", f"training loss {loss:.4g}", recipe)

        # The last epochs' weights join the average. The loop itself goes on with its own weights.
        if training.averaged_model is not None and epoch >= recipe.first_averaged:
            training.averaged_model.update_parameters(training.net)

        training.epoch = epoch
        lr, seconds = learning_rates[epoch - 1], time.perf_counter() - started
        losses = by_split(split, score.loss)
        yield Epoch(epoch=epoch, lr=lr, loss=loss, accuracy=score.accuracy, seconds=seconds, **losses)

    if training.averaged_model is not None:
        yield from _score_average(training, train, scored, split)


def _diverged_error(where: str, loss: str, recipe: ClassifierRecipe) -> DivergedError:
    return DivergedError(
        f"{where}: a loss, a weight or a buffer is no longer a finite number ({loss}, "
        f"peak learning rate {recipe.peak_lr:g})",
        remedies=("lower_lr",),
    )


def iterate_batches(
    training: ClassifierTraining, digits: Digits, epoch: int
) -> Iterator[tuple[Tensor, Labels]]:
    """The batches of one epoch: pixels [B, 1, 28, 28] in [-1, 1] and labels [B]; the last may be shorter.

    The order is drawn from (seed, epoch), whatever the caller drew in between. The dropout masks of the
    epoch's steps continue the same stream of random numbers. The augmentation has streams of its own.

    Args:
        training: the state, which has the recipe and the seed.
        digits: the digits to train on.
        epoch: number of the epoch, counted from 1.
    """
    recipe = training.recipe
    torch.manual_seed(derive_seed(training.seed, epoch))
    order = torch.randperm(len(digits)) if recipe.shuffle else torch.arange(len(digits))
    batches = digits.batches(order, recipe.batch_size)
    if not recipe.augment.changes_images:
        yield from batches
        return
    augmenter = Augmenter(recipe.augment, training.seed, epoch, digits.device)
    yield from (augmenter(x, y) for x, y in batches)


def train_step(training: ClassifierTraining, x: Tensor, y: Labels) -> Tensor:
    """Take one step of the optimizer on a batch, and return its loss.

    Args:
        training: the state; its net must be in training mode.
        x: pixels [B, 1, 28, 28] in [-1, 1].
        y: labels [B]; of mixed images, those of both.

    Returns:
        The batch's mean loss, label smoothing included: a tensor without dimensions, on the device.
    """
    # Every parameter gets the gradient of the batch's mean loss.
    loss = _set_gradients(training, x, y)

    # The optimizer changes the weights, at the learning rate that `fit` has set.
    optimizer_step(training.optimizer)

    return loss


def _set_gradients(training: ClassifierTraining, x: Tensor, y: Labels) -> Tensor:
    """Set the gradient of each parameter to that of the batch's mean loss, and return this loss.

    There are three ways. They differ in speed, and in their results only by rounding and dropout masks.
    """
    # The gradients of linear layers with relus are written out, without autograd, except for mixed images.
    if training.perceptron is not None and isinstance(y, Tensor):
        return training.perceptron.backward(x, y, training.recipe.label_smoothing)

    # `backward` adds to the gradients that are there.
    for param in training.params:
        param.grad = None  # what optimizer.zero_grad() does, in a tenth of its time

    # The usual way: forward through the net to the loss of the whole batch, then backward.
    size = training.micro_batch_size
    if len(y) <= size:
        loss = _loss(training, x, y)
        loss.backward()
        return loss.detach()

    # The same for a large batch, in micro-batches that fit the processor's caches. Each loss is weighted
    # by its share of the batch, so that the gradients add up to those of the whole batch.
    loss = torch.zeros((), device=x.device)
    for micro_x, micro_y in zip(x.split(size), y.split(size), strict=True):
        micro_loss = _loss(training, micro_x, micro_y) * (len(micro_y) / len(y))
        micro_loss.backward()
        loss += micro_loss.detach()
    return loss


def _loss(training: ClassifierTraining, x: Tensor, y: Labels) -> Tensor:
    """The mean loss of a batch or a part of it, with a gradient."""
    with training.autocast():
        logits = training.net(x)  # [B, 10]
    # In float32 under bf16, too: a loss in bfloat16 has two or three digits.
    loss = partial(training.loss, logits.float())
    return y.weigh(loss) if isinstance(y, MixedLabels) else loss(y)


def _score_average(
    training: ClassifierTraining, train: Digits, scored: Digits, split: Scored
) -> Iterator[AveragedWeights]:
    """Score the averaged weights, then recompute their batch norm statistics and score them once more.

    The statistics of the last epoch belong to other weights. New ones are the plain mean over the training
    batches, in training mode with dropout on, as `torch.optim.swa_utils.update_bn` takes them.

    Raises:
        DivergedError: the loss, a weight or a buffer is not finite.
    """
    assert training.averaged_model is not None
    recipe = training.recipe
    net = training.averaged_model.module

    def averaged(*, recomputed: bool) -> AveragedWeights:
        score, _ = training.final_score = compute_score(net, scored)
        if not (math.isfinite(score.loss) and has_finite_values(net)):
            raise _diverged_error("averaged weights", f"{split} loss {score.loss:.4g}", recipe)
        return AveragedWeights(
            first=recipe.first_averaged,
            last=recipe.epochs,
            accuracy=score.accuracy,
            recomputed=recomputed,
            seconds=time.perf_counter() - started,
            **by_split(split, score.loss),
        )

    started = time.perf_counter()
    yield averaged(recomputed=False)

    if has_batch_norm(net):
        started = time.perf_counter()
        batches = iterate_batches(training, train, recipe.epochs + 1)
        with training.autocast():
            update_bn((x for x, _ in batches), net)
        yield averaged(recomputed=True)
