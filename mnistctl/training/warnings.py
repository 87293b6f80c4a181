"""Warnings about a training: about its digits, such as sorted ones, and about its losses."""

import math

from mnistctl.artifacts.files import Warned
from mnistctl.data.datasets import Arrays, is_sorted_by_label
from mnistctl.data.training_set import TrainingSet
from mnistctl.evaluation.warnings import check_digits
from mnistctl.training.events import Epoch, GanEpoch

_LARGE_LOSS = 100.0  # no training that learns has it; guessing one of ten digits has log(10)


def check_data(
    training: TrainingSet, train: Arrays, scored: Arrays, *, shuffle: bool | None
) -> tuple[Warned, ...]:
    """Warnings about the digits of a classifier's training.

    Args:
        training: what the checkpoint will keep about the training digits.
        train, scored: the digits to train on, and those to score: the test digits or held-out ones.
        shuffle: whether the recipe shuffles the training digits.
    """
    split = "test digits" if training.holdout is None else "validation digits"
    warnings = check_digits(training, scored, split)
    if not shuffle and is_sorted_by_label(train.labels):
        message = (
            "the training digits are sorted by label, and this recipe does not shuffle them, so that it "
            "sees one label after the other"
        )
        warnings = (Warned(message, "sorted", ("shuffle",)), *warnings)
    return warnings


def check_loss(epoch: Epoch | GanEpoch) -> Warned | None:
    """A warning if a loss of the epoch is finite but much larger than that of guessing."""
    # Each with that of guessing: one of ten digits, or real or not, of which the discriminator sees both.
    if isinstance(epoch, Epoch):
        losses = {
            "training loss": (epoch.loss, math.log(10)),
            f"{epoch.scored} loss": (epoch.scored_loss, math.log(10)),
        }
    else:
        losses = {
            "discriminator's loss": (epoch.discriminator_loss, 2 * math.log(2)),
            "generator's loss": (epoch.generator_loss, math.log(2)),
        }
    name, (loss, guessing) = max(losses.items(), key=lambda item: item[1])
    if loss <= _LARGE_LOSS:
        return None
    message = f"epoch {epoch.epoch}: the {name} is {loss:.3g}, and that of guessing {guessing:.1f}"
    return Warned(message, "large_loss", ("lower_lr",))
