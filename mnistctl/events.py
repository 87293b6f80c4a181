"""What the core tells as it works: frozen records, for whoever prints, writes or tests them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Started:
    """A run is about to take its first step, or its next one.

    `after` is the number of epochs that it has behind it from earlier sittings, None at its very beginning:
    they are told once more. `resume` is the command that goes on with it, should it be stopped.
    """

    model: str
    parameters: int
    epochs: int
    batch: int
    iterations: int  # steps of the optimizer in one epoch
    device: str
    threads: int
    precision: str
    seed: int
    dataset: str
    digits: int
    after: int | None
    resume: str


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
    rate: float
    loss: float
    test_loss: float
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class Duel:
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
class Averaged:
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
class Score:
    """A net judged on one split: mean cross entropy and accuracy in percent."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Mismatches:
    """The misread digits: their indices in the split, the true digits and what was read, in file order."""

    indices: tuple[int, ...]
    true: tuple[int, ...]
    predicted: tuple[int, ...]

    def by_digit(self) -> dict[int, list[tuple[int, int]]]:
        """For each true digit that has any, the wrong answers, sorted, each with the index of its digit."""
        answers: dict[int, list[tuple[int, int]]] = {}
        for digit, answer, index in sorted(zip(self.true, self.predicted, self.indices, strict=True)):
            answers.setdefault(digit, []).append((answer, index))
        return answers


@dataclass(frozen=True)
class Saved:
    """A file now stands at `path`."""

    path: str


@dataclass(frozen=True)
class Finished:
    """The run's headline: the accuracy of what it saved in percent, and the seconds it took in all.

    A generator has no accuracy.
    """

    accuracy: float | None
    seconds: float
    already: bool = False  # it had been done before; nothing was trained


@dataclass(frozen=True)
class TrialsStarted:
    """Trials are about to begin, or to go on: `done` of them have ended in earlier sittings.

    `columns` names, by model, what each trial gives; `workers` is None where the parent does not know.
    """

    models: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    trials: int
    done: int
    workers: int | None
    device: str
    precision: str
    dataset: str
    seed: int  # the first
    count: int  # of seeds
    resume: str  # the command that goes on with them, should they be stopped


@dataclass(frozen=True)
class Trial:
    """A trial has ended and is in the record; `state` is done, or with a reason diverged or failed.

    `results` are accuracies in percent by column.
    """

    model: str
    seed: int
    results: dict[str, float]
    seconds: float | None
    state: str
    reason: str
    earlier: bool  # it ended in an earlier sitting


@dataclass(frozen=True)
class Lost:
    """The worker of a trial died, for the `times`-th time of at most `most`, and the trial is begun again."""

    model: str
    seed: int
    times: int
    most: int
    reason: str


@dataclass(frozen=True)
class TrialsFinished:
    """All trials have ended; `tally` is what they come to, as NAME.json has it."""

    tally: dict[str, Any]
    already: bool  # they had ended before; nothing was trained
