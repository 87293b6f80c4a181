"""What the core tells as it works: frozen records, for whoever prints, writes or tests them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Started:
    """A run is about to take its first step, or its next one.

    `after` is the number of epochs that it has behind it from earlier sittings, None at its very beginning:
    they are told once more.
    """

    model: str
    parameters: int
    epochs: int
    batch_size: int
    iterations: int  # steps of the optimizer in one epoch
    device: str
    threads: int
    precision: str
    seed: int
    dataset: str
    digits: int
    after: int | None


@dataclass(frozen=True)
class Progress:
    """So many of the epoch's iterations have been handed to the device."""

    epoch: int
    done: int
    total: int


@dataclass(frozen=True)
class Epoch:
    """One pass over the training digits, and the score on the test digits after it.

    `loss` is the mean over the epoch's batches while training, smoothing included; `test_loss` the plain
    cross entropy, mean over digits; `accuracy` in percent.
    """

    epoch: int
    lr: float
    loss: float
    test_loss: float
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class GanEpoch:
    """One pass over the training digits by a generator and its discriminator.

    `discriminator` and `generator` are the medians over the epoch's batches of their losses, the
    discriminator's being the sum over real and generated digits; `ended` is the local time, ISO 8601.
    """

    epoch: int
    ended: str
    discriminator: float
    generator: float
    seconds: float


@dataclass(frozen=True)
class AveragedWeights:
    """The mean of the weights after epochs `first` to `last`, judged as an epoch is.

    `recomputed` says whether batch norm's statistics are those of the averaged weights, taken over the
    training digits, or still the last epoch's.
    """

    first: int
    last: int
    test_loss: float
    accuracy: float
    recomputed: bool
    seconds: float


@dataclass(frozen=True)
class Finished:
    """The run's headline: the accuracy of what it saved in percent, and the seconds it took in all.

    A generator has no accuracy.
    """

    accuracy: float | None
    seconds: float
    already: bool = False  # it had been done before; nothing was trained
