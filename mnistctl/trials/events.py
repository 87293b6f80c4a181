"""Events of trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mnistctl.data.holdout import HeldOut
from mnistctl.evaluation.sequential import Look, StoppingRule
from mnistctl.models.sources import Origin
from mnistctl.trials.sweep import Sweep

if TYPE_CHECKING:
    from mnistctl.trials.summary import TrialsSummary


@dataclass(frozen=True)
class TrialsStarted:
    """Trials are about to start or to continue.

    Args:
        models: the models, each trained from the same seeds.
        origins: by model, where a recipe came from that is not shipped, and what was changed in it.
        arms: by model, the names of the accuracies that one trial of it has.
        trials: number of all trials.
        done: number of trials that ended in previous sessions.
        workers: number of trials at a time; None if the executor decides.
        device, precision, dataset: settings of all trials.
        seed: the first seed.
        count: number of seeds; the most of them if there is a stopping rule.
        stopping: when the comparison of the two arms is settled, so that no more trials are started.
        sweep: the settings that are varied, if the models are the arms of a sweep.
        scored: number of images that each trial scores.
        holdout: which training digits these are; None if they are the test digits.
    """

    models: tuple[str, ...]
    origins: Mapping[str, Origin]
    arms: dict[str, tuple[str, ...]]
    trials: int
    done: int
    workers: int | None
    device: str
    precision: str
    dataset: str
    seed: int
    count: int
    scored: int
    holdout: HeldOut | None
    stopping: StoppingRule | None = None
    sweep: Sweep | None = None


@dataclass(frozen=True)
class PairCompared:
    """One more pair of trials has been looked at, and what all pairs up to its seed show."""

    seed: int
    look: Look


@dataclass(frozen=True)
class TrialEnded:
    """A trial has ended and is in the journal.

    Args:
        model, seed: which trial it was.
        accuracies: accuracy in percent of each arm; empty unless the state is "done".
        seconds: wall-clock time that the trial took.
        state: "done", "diverged" or "failed".
        reason: why it diverged or failed.
        from_previous_session: it ended before this session started.
    """

    model: str
    seed: int
    accuracies: dict[str, float]
    seconds: float | None
    state: Literal["done", "diverged", "failed"]
    reason: str
    from_previous_session: bool


@dataclass(frozen=True)
class WorkerDied:
    """The worker of a trial died, and the trial starts again: retry `retry` of at most `max_retries`."""

    model: str
    seed: int
    retry: int
    max_retries: int
    reason: str


@dataclass(frozen=True)
class TrialsFinished:
    """All trials have ended. `already`: they had ended before, and nothing was trained in this session."""

    summary: "TrialsSummary"
    already: bool
