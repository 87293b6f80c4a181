"""Events of trials."""

from dataclasses import dataclass
from typing import Any


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
class TrialEnded:
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
class WorkerDied:
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
