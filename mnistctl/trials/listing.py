"""What stands in a folder of results: runs and trials, finished or not."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mnistctl.artifacts import files
from mnistctl.artifacts.outputs import kind_of
from mnistctl.data.holdout import HeldOut
from mnistctl.errors import CheckpointError
from mnistctl.inference.load import load_header
from mnistctl.schema import Schema
from mnistctl.training.checkpoints import RunCheckpoints
from mnistctl.training.record import read_record
from mnistctl.trials import journal
from mnistctl.trials.winner import lacks_winner

TRIALS_FOLDER = "trials"
Kind = Literal["run", "trials", "weights"]


@dataclass(frozen=True, kw_only=True)
class RunEntry(Schema):
    """A run or a group of trials in a folder.

    Args:
        name: name of its files, after `trials/` in that folder.
        kind: "run", "trials", or "weights" for a checkpoint without a record.
        state: whether it is finished. What cannot be read is damaged.
        models: names of the models.
        dataset: name of the data set.
        seed: random seed, of trials the first one.
        done: number of finished epochs, or of trials that ended.
        total: number of all epochs or trials.
        accuracy: accuracy in percent, of an unfinished run after its last epoch.
        holdout: number of held-out digits, which were scored in the place of the test digits; 0 for none.
        started: when it was started, ISO 8601 in UTC.
        seconds: wall-clock time of a run.
        problem: why it cannot be read.
    """

    name: str
    kind: Kind
    state: Literal["finished", "unfinished", "damaged"]
    models: tuple[str, ...] = ()
    dataset: str | None = None
    seed: int | None = None
    done: int | None = None
    total: int | None = None
    accuracy: float | None = None
    holdout: int | None = None
    started: str | None = None
    seconds: float | None = None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunList(Schema):
    """The runs and trials in a folder, by name."""

    folder: str
    runs: tuple[RunEntry, ...]


def list_results(folder: Path) -> RunList:
    """The runs and trials in `folder`, which may be missing, and the trials in its folder `trials`."""
    found: dict[str, RunEntry] = {}
    for ending, describe in _KINDS:
        names = files.list_runs(folder, ending)
        if describe is _trials:
            names += [f"{TRIALS_FOLDER}/{name}" for name in files.list_runs(folder / TRIALS_FOLDER, ending)]
        for name in names:
            entry = None if name in found else describe(folder / name)
            if entry is not None:
                found[name] = replace(entry, name=name)
    return RunList(folder=str(folder), runs=tuple(found[name] for name in sorted(found)))


def _unfinished(run_path: Path) -> RunEntry | None:
    try:
        checkpoint = RunCheckpoints(run_path).load()
    except CheckpointError as error:
        return _damaged(run_path, "run", error)
    if checkpoint is None:
        return None
    settings, progress = checkpoint.header.settings, checkpoint.header.progress
    return RunEntry(
        name=run_path.name,
        kind="run",
        state="unfinished",
        models=(settings.model,),
        dataset=settings.dataset.name,
        seed=settings.seed,
        done=len(progress.all_epochs),
        total=settings.recipe.epochs,
        accuracy=progress.epochs[-1].accuracy if progress.epochs else None,
        holdout=_held_out(settings.holdout),
        started=progress.started,
        seconds=progress.seconds,
    )


def _trials(run_path: Path) -> RunEntry | None:
    path = files.with_ending(run_path, "jsonl")
    if kind_of(path) != "file of trials":  # the log of a run has this ending too
        return None
    try:
        content = journal.read(path)
    except CheckpointError as error:
        return _damaged(run_path, "trials", error)
    assert content is not None
    header, ended = content.header, content.trials
    keys = [(model, seed) for model in header.models for seed in range(header.seed, content.last_seed() + 1)]
    return RunEntry(
        name=run_path.name,
        kind="trials",
        state="unfinished" if content.remaining(keys) or lacks_winner(content) else "finished",
        models=header.models,
        dataset=header.settings.dataset.name,
        seed=header.seed,
        done=sum(key in ended and ended[key].state != "failed" for key in keys),
        total=len(keys),
        holdout=_held_out(header.settings.holdout),
        started=header.started,
    )


def _finished(run_path: Path) -> RunEntry | None:
    path = files.with_ending(run_path, "json")
    try:
        record = read_record(path)
    except CheckpointError as error:
        has_weights = files.with_ending(run_path, "safetensors").exists()
        return _damaged(run_path, "run", error) if has_weights else None  # a file of another program
    if record is None:
        return None
    return RunEntry(
        name=run_path.name,
        kind="run",
        state="finished",
        models=(record.model,),
        dataset=record.dataset.name,
        seed=record.seed,
        done=record.recipe.epochs,
        total=record.recipe.epochs,
        accuracy=record.accuracy,
        holdout=_held_out(record.holdout),
        started=record.started,
        seconds=record.seconds,
    )


def _weights(run_path: Path) -> RunEntry:
    try:
        header = load_header(files.with_ending(run_path, "safetensors"))
    except CheckpointError as error:
        return _damaged(run_path, "weights", error)
    training = header.training_set
    return RunEntry(
        name=run_path.name,
        kind="weights",
        state="finished",
        models=(header.model,),
        dataset=None if training is None else training.dataset,
        holdout=None if training is None else _held_out(training.holdout),
    )


def _held_out(holdout: HeldOut | None) -> int:
    return 0 if holdout is None else holdout.count


def _damaged(run_path: Path, kind: Kind, error: CheckpointError) -> RunEntry:
    return RunEntry(name=run_path.name, kind=kind, state="damaged", problem=error.message)


# How each is recognized: the ending of a name, and what describes it. The first that fits counts.
_KINDS: tuple[tuple[str, Callable[[Path], RunEntry | None]], ...] = (
    ("unfinished", _unfinished),
    ("jsonl", _trials),
    ("json", _finished),
    ("safetensors", _weights),
)
