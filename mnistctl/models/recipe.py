"""Recipes: everything that defines a training run, as data.

A recipe is a frozen dataclass. A variant is `dataclasses.replace(recipe, ...)`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.optim import Optimizer

from mnistctl.nn.augmentation import Augmentation
from mnistctl.nn.schedules import Schedule, changes_every_step, hold_after, rates_by_step, wrong_rates

NOISE_SIZE = 100  # length of the noise vector that a generator turns into an image
Loss = Callable[[Tensor, Tensor], Tensor]  # (logits [N, 10], labels [N]) to the mean loss of the N images


@dataclass(frozen=True, kw_only=True)
class ClassifierRecipe:
    """How a classifier is trained.

    Args:
        net: makes the net, which maps pixels [N, 1, 28, 28] in [-1, 1] to logits [N, 10].
        optimizer: makes the optimizer for the net's parameters.
        epochs: number of passes over the training images.
        peak_lr: peak learning rate.
        lr_schedule: maps (peak_lr, epochs) to one learning rate per epoch; with a true attribute
            `every_step`, (peak_lr, steps of the run) to one per step.
        batch_size: images per optimizer step; the last batch of an epoch may be smaller.
        shuffle: shuffle the images before each epoch; otherwise use the order of the file.
        label_smoothing: fraction of each target that is spread evenly over the ten classes.
        loss: replaces the cross entropy; None for the cross entropy with `label_smoothing`.
        augment: random changes of the training images; none of them by default.
        swa_fraction: fraction of the epochs, at the end, whose weights are averaged (stochastic weight
            averaging, Izmailov et al., arXiv 1803.05407); None means no averaging.
        baseline: the recipe without averaging that trials compare this one with.
        seed_offset: added to the seed of every run.
    """

    net: Callable[[], nn.Module]
    optimizer: Callable[[Iterable[Tensor]], Optimizer]
    epochs: int
    peak_lr: float
    lr_schedule: Schedule
    batch_size: int
    shuffle: bool = True
    label_smoothing: float = 0.0
    loss: Loss | None = None
    augment: Augmentation = field(default_factory=Augmentation)
    swa_fraction: float | None = None
    baseline: "ClassifierRecipe | None" = None
    seed_offset: int = 0

    @property
    def swa_epochs(self) -> int:
        """Number of epochs at the end whose weights are averaged: at least 1 with averaging, else 0."""
        return 0 if self.swa_fraction is None else max(1, round(self.swa_fraction * self.epochs))

    @property
    def first_averaged(self) -> int:
        """The first epoch whose weights are averaged, counted from 1; without averaging, `epochs` + 1."""
        return self.epochs - self.swa_epochs + 1

    def learning_rates(self) -> tuple[float, ...]:
        """The learning rate of each epoch. From the first averaged epoch on it is constant."""
        rates = tuple(map(float, self.lr_schedule(self.peak_lr, self.epochs)))
        return hold_after(rates, self.first_averaged) if self.swa_epochs else rates

    def learning_rates_by_step(self, steps: int) -> Callable[[int], tuple[float, ...]]:
        """A function that gives the learning rate of each of the `steps` of an epoch, counted from 1."""
        rates_in = rates_by_step(self.lr_schedule, self.peak_lr, self.epochs, steps)
        if not self.swa_epochs:
            return rates_in
        held = self.learning_rates()[-1:] * steps
        return lambda epoch: held if epoch > self.first_averaged else rates_in(epoch)


@dataclass(frozen=True, kw_only=True)
class GanRecipe:
    """How a generator and its discriminator are trained against each other.

    Args:
        generator: makes the net that maps noise [N, 100, 1, 1] to images [N, 1, 28, 28] in [-1, 1].
        discriminator: makes the net that maps images to logits [N]; a higher logit means more real.
        optimizer: makes an optimizer; called once for each net.
        epochs: number of passes over the training images.
        peak_lr: peak learning rate of both optimizers.
        lr_schedule: as that of a classifier.
        batch_size: images per step; a last, smaller batch is dropped.
        conditional: both nets take the digit [N] as a second input.
        real_targets: range of the discriminator's random targets for real images; those for generated images
            are 0 (one-sided label smoothing, Salimans et al., arXiv 1606.03498).
        seed_offset: added to the seed of every run.
    """

    generator: Callable[[], nn.Module]
    discriminator: Callable[[], nn.Module]
    optimizer: Callable[[Iterable[Tensor]], Optimizer]
    epochs: int
    peak_lr: float
    lr_schedule: Schedule
    batch_size: int
    conditional: bool = False
    real_targets: tuple[float, float] = (0.8, 1.0)
    seed_offset: int = 0

    def condition(self, labels: Tensor) -> tuple[Tensor, ...]:
        """The second input of both nets as a tuple: (labels [N],) if the recipe is conditional, else ()."""
        return (labels,) if self.conditional else ()

    def learning_rates(self) -> tuple[float, ...]:
        """The learning rate of each epoch."""
        return tuple(map(float, self.lr_schedule(self.peak_lr, self.epochs)))

    def learning_rates_by_step(self, steps: int) -> Callable[[int], tuple[float, ...]]:
        """A function that gives the learning rate of each of the `steps` of an epoch, counted from 1."""
        return rates_by_step(self.lr_schedule, self.peak_lr, self.epochs, steps)


Recipe = ClassifierRecipe | GanRecipe


def wrong_learning_rates(recipe: Recipe) -> str:
    """What is wrong with the learning rates of a recipe; empty if nothing is.

    A schedule that changes every step is asked for another number of rates, too: a run has more steps than
    epochs.
    """
    message = wrong_rates(recipe.learning_rates(), recipe.epochs)
    if not message and changes_every_step(recipe.lr_schedule):
        steps = 2 * recipe.epochs
        message = wrong_rates(tuple(map(float, recipe.lr_schedule(recipe.peak_lr, steps))), steps, "steps")
    return message
