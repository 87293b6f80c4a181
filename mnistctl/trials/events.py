"""Events of trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from mnistctl.data.holdout import HeldOut
from mnistctl.evaluation.sequential import Look, StoppingRule
from mnistctl.models.sources import Origin
from mnistctl.trials.sweep import Sweep

if TYPE_CHECKING:
    from mnistctl.trials.entries import JournalHeader
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

    @classmethod
    def of(
        cls, header: "JournalHeader", *, device: str | None = None, done: int = 0, workers: int | None = None
    ) -> Self:
        """The event for trials with this header of their journal.

        Args:
            header: the header.
            device: the device of the trials; None for the kind of device in the header.
            done: number of trials that ended in previous sessions.
            workers: number of trials at a time; None if the executor decides.
        """
        settings = header.settings
        return cls(
            models=header.models,
            origins=settings.origins,
            arms={model: tuple(arms) for model, arms in settings.arms.items()},
            trials=len(header.models) * header.count,
            done=done,
            workers=workers,
            device=settings.device if device is None else device,
            precision=settings.precision,
            dataset=settings.dataset.name,
            seed=header.seed,
            count=header.count,
            scored=sum(header.support),
            holdout=settings.holdout,
            stopping=header.stopping,
            sweep=header.sweep,
        )


@dataclass(frozen=True)
class TrialsJoined:
    """Recorded trials become one record. Nothing is trained.

    Args:
        trials: all trials, as if they were to start.
        parts: the path of each part's journal and its seeds, in the order of the first seeds.
    """

    trials: TrialsStarted
    parts: tuple[tuple[Path, range], ...]


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
