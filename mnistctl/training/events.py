"""What a run reports while it goes on. Frozen dataclasses, for whoever prints, logs or tests them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from mnistctl.data.holdout import HeldOut
from mnistctl.models.sources import Origin
from mnistctl.schema import Schema

if TYPE_CHECKING:
    from mnistctl.training.record import RunRecord


Scored = Literal["test", "validation"]  # which digits are scored


@dataclass(frozen=True, kw_only=True)
class Started:
    """A run is about to take its first step, or the first one after it was resumed.

    Args:
        model: the model's name.
        generator: whether it is a generator.
        parameters: number of parameters of all nets.
        epochs: number of epochs of the whole run.
        batch_size: images per optimizer step.
        iterations: optimizer steps per epoch.
        device: torch's name of the device.
        threads: number of processor threads.
        precision: "float32" or "bf16".
        seed: random seed.
        dataset: name of the data set.
        images: number of training images.
        scored: number of images that are scored after every epoch; 0 for a generator.
        holdout: which training digits these are; None if they are the test digits.
        origin: where the recipe came from, and what was changed in it; None for a shipped recipe.
        initial_weights: SHA-256 of the weights it starts from; None for random ones.
        resumed_after: number of epochs that earlier sessions finished, whose events are repeated next; None
            if the run starts at its beginning.
    """

    model: str
    generator: bool
    parameters: int
    epochs: int
    batch_size: int
    iterations: int
    device: str
    threads: int
    precision: str
    seed: int
    dataset: str
    images: int
    scored: int
    holdout: HeldOut | None
    origin: Origin | None
    initial_weights: str | None
    resumed_after: int | None


@dataclass(frozen=True)
class Progress:
    """`done` of the epoch's `total` iterations were handed to the device."""

    epoch: int
    done: int
    total: int


def by_split(split: Scored, loss: float) -> dict[str, float | None]:
    """The fields `test_loss` and `validation_loss` of an event, one of which is None."""
    return {f"{name}_loss": loss if name == split else None for name in get_args(Scored)}


class _Scores(Schema):
    """What the events of scores have in common: one of two losses, the other is None."""

    test_loss: float | None
    validation_loss: float | None

    @property
    def scored(self) -> Scored:
        """Which digits were scored."""
        return "test" if self.validation_loss is None else "validation"

    @property
    def scored_loss(self) -> float:
        """The mean cross entropy on the digits that were scored."""
        loss = self.test_loss if self.validation_loss is None else self.validation_loss
        assert loss is not None
        return loss

    def to_json(self) -> dict[str, Any]:
        """The fields, without the loss that there is not."""
        return {key: value for key, value in super().to_json().items() if value is not None}


@dataclass(frozen=True)
class Epoch(_Scores):
    """A classifier finished an epoch and was scored on the test images, or on held-out digits.

    Args:
        epoch: its number, counted from 1.
        lr: its learning rate.
        loss: mean training loss over its batches, label smoothing included.
        test_loss: mean cross entropy on the test images; None with held-out digits.
        accuracy: accuracy in percent on the same images.
        seconds: wall-clock time of both.
        validation_loss: mean cross entropy on the held-out digits; None without.
    """

    epoch: int
    lr: float
    loss: float
    test_loss: float | None
    accuracy: float
    seconds: float
    validation_loss: float | None = None


@dataclass(frozen=True)
class GanEpoch(Schema):
    """A generator and its discriminator finished an epoch.

    Args:
        epoch: its number, counted from 1.
        ended: local time, ISO 8601.
        discriminator_loss: median over the batches of the sum of the losses on real and generated images.
        generator_loss: median over the batches.
        seconds: wall-clock time.
    """

    epoch: int
    ended: str
    discriminator_loss: float
    generator_loss: float
    seconds: float


@dataclass(frozen=True)
class AveragedWeights(_Scores):
    """The mean of the weights after several epochs was scored on the test images, or on held-out digits.

    Args:
        first: the first of these epochs.
        last: the last one.
        test_loss: mean cross entropy on the test images; None with held-out digits.
        accuracy: accuracy in percent on the same images.
        recomputed: whether the batch norm statistics are those of the averaged weights, computed on the
            training images, or still those of the last epoch.
        seconds: wall-clock time.
        validation_loss: mean cross entropy on the held-out digits; None without.
    """

    first: int
    last: int
    test_loss: float | None
    accuracy: float
    recomputed: bool
    seconds: float
    validation_loss: float | None = None


@dataclass(frozen=True)
class Finished:
    """The run is finished, and so are its files.

    Args:
        record: the run's record.
        already: whether the run had been finished before, and nothing was trained now.
    """

    record: "RunRecord"
    already: bool = False
