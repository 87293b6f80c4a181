"""The output of `trials`: a header, a row for each trial that ends, then the results and the paths."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from rich.progress import Progress, TaskID, TextColumn

from mnistctl.artifacts import files
from mnistctl.artifacts.rounding import format_percent
from mnistctl.cli.output.conclusions import print_conclusions
from mnistctl.cli.output.sweep import describe_sweep
from mnistctl.cli.output.terminal import (
    format_duration,
    print_error,
    print_json,
    print_line,
    print_warning,
    progress_bars,
)
from mnistctl.cli.output.train import describe_origin, describe_scored, resume_hint
from mnistctl.trials import events

if TYPE_CHECKING:
    from mnistctl.trials.run import Event
    from mnistctl.trials.sweep import Sweep

_MAX_PARTS = 5  # of joined trials that are printed


class Print(Protocol):
    """Prints a line in a style."""

    def __call__(self, text: str, style: str = "") -> None: ...


def print_trials(
    trial_events: Iterable["Event | events.TrialsJoined"], *, quiet: bool, json: bool, resume_command: str
) -> None:
    """Print a header, a row for each trial as it ends, the statistics, and the paths of the files.

    Args:
        trial_events: the events of `run_trials` or `join_trials`.
        quiet: print only the mean accuracies.
        json: print only one JSON object, the summary.
        resume_command: command that continues the trials, for errors and interruptions.
    """
    emit = _print_nothing if quiet or json else print_line
    columns = [TextColumn(text, markup=False) for text in ("{task.fields[done]}", "{task.fields[left]}")]
    paths: list[str] = []
    warnings: list[files.Warned] = []
    with progress_bars(*columns) as bars, resume_hint(resume_command, "the trials that have ended") as hint:
        bar, names = _TrialsBar(bars), _Names()
        for event in trial_events:
            match event:
                case events.TrialsStarted():
                    hint.enabled = True
                    for text in _header(event):
                        emit(text)
                    names = _Names(event.models, event.sweep)
                    emit(names.row("model", "seed", "seconds", "accuracy"), "bold")
                    bar.start(event.trials - event.done, event.workers, most=event.stopping is not None)
                case events.TrialsJoined():
                    for text in [*_header(event.trials), *_parts(event)]:
                        emit(text)
                case events.TrialEnded():
                    seconds = "" if event.seconds is None else f"{event.seconds:.1f}"
                    emit(names.row(event.model, str(event.seed), seconds, _outcome(event)))
                    if not event.from_previous_session:
                        bar.advance(event.seconds)
                case events.PairCompared():
                    emit(_pair_row(event))
                case events.WorkerDied():
                    retry = f"retry {event.retry} of {event.max_retries}"
                    print_error(f"{event.model}, seed {event.seed}: its worker died; {retry}")
                case files.Warned():
                    print_warning(event)
                    warnings.append(event)
                case files.Saved(path):
                    paths.append(path)
                case events.TrialsFinished():
                    # Printed here, because failures are raised after this event.
                    hint.enabled = False
                    bar.remove()
                    _print_results(event, paths, warnings, emit, quiet=quiet, json=json)


def _print_nothing(text: str, style: str = "") -> None:
    pass


@dataclass
class _TrialsBar:
    """A progress bar with the estimated time left.

    Args:
        bars: where it is shown.
        total: number of trials of this session.
        most: whether fewer may be enough, so that the time left is not known.
        workers: number of trials at a time; None if it is not known.
        seconds: the time of each trial that ended with a result.
    """

    bars: Progress
    task: TaskID = field(init=False)
    total: int = 0
    most: bool = False
    workers: int | None = None
    ended: int = 0
    seconds: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.task = self.bars.add_task("trials", total=None, done="", left="", visible=False)

    def start(self, total: int, workers: int | None, *, most: bool) -> None:
        self.total, self.workers, self.most = total, workers, most
        self.bars.update(self.task, total=total, done=self.done(), visible=True)

    def advance(self, seconds: float | None) -> None:
        self.ended += 1
        if seconds is not None:
            self.seconds.append(seconds)
        left = "" if self.most else f"{format_duration(self.left())} left"
        self.bars.update(self.task, completed=self.ended, done=self.done(), left=left)

    def done(self) -> str:
        return f"{self.ended} of at most {self.total}" if self.most else f"{self.ended}/{self.total}"

    def left(self) -> float:
        """The estimated seconds until all trials of this session have ended."""
        elapsed = time.monotonic() - self.started
        if self.workers is None or not self.seconds:
            return (self.total - self.ended) * elapsed / self.ended
        rounds = -(-self.total // self.workers)
        return max(0.0, rounds * sum(self.seconds) / len(self.seconds) - elapsed)

    def remove(self) -> None:
        self.bars.remove_task(self.task)


def _print_results(
    event: events.TrialsFinished,
    paths: list[str],
    warnings: list[files.Warned],
    emit: Print,
    *,
    quiet: bool,
    json: bool,
) -> None:
    summary = event.summary
    if event.already:
        emit("already done; use --overwrite to run again")
    if not (quiet or json):
        print_conclusions(summary)
    for path in paths:
        emit(f"see {path}" if event.already else f"wrote {path}")
    if json:
        listed = [each.to_json() for each in warnings]
        added = {"already": event.already, "paths": paths, "warnings": listed}
        print_json(summary.to_json() | added)
    elif quiet:
        for arm in summary.arms:
            print_line("-" if arm.mean is None else format_percent(arm.mean, 4))


def _header(event: events.TrialsStarted) -> list[str]:
    seeds = _format_seeds(range(event.seed, event.seed + event.count))
    precision = "" if event.precision == "float32" else f", precision: {event.precision}"
    workers = "" if event.workers is None else f", workers: {event.workers}"
    if event.sweep is None:
        what = ", ".join(event.models)
        origins = event.origins
        vary: list[str] = []
    else:
        what = f"sweep of {event.sweep.baseline}"
        origins = {k: v for k, v in event.origins.items() if k == event.sweep.baseline}
        vary = [*describe_sweep(event, event.sweep)]
    return [
        f"trials: {what}; {seeds}",
        *(f"{name}: {line}" for name, origin in origins.items() for line in describe_origin(origin)),
        *vary,
        *_stopping(event),
        f"data: {event.dataset}",
        describe_scored(event.scored, event.holdout),
        f"device: {event.device}{workers}, threads: 1 each{precision}",
        *([f"resuming after {event.done} of {event.trials} trials"] if event.done else []),
    ]


def _format_seeds(seeds: range) -> str:
    return f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"


def _parts(event: events.TrialsJoined) -> list[str]:
    """The parts, at most five of them: a cluster may have run a thousand."""
    parts = [f"{path}, {_format_seeds(seeds)}" for path, seeds in event.parts]
    more = len(parts) - _MAX_PARTS
    lines = parts if more <= 0 else [*parts[:_MAX_PARTS], f"and {more} more"]
    return ["joined from", *(f"  {line}" for line in lines)]


def _stopping(event: events.TrialsStarted) -> list[str]:
    if event.stopping is None:
        return []
    margin = f"margin {event.stopping.margin:g} points"
    return [f"until settled: {margin}, checked after every pair, at most {event.count} pairs"]


def _pair_row(event: events.PairCompared) -> str:
    look = event.look
    interval = "unbounded" if look.interval is None else "{:+z.4f} to {:+z.4f}".format(*look.interval)
    return f"pair {look.n} (seed {event.seed}): difference {look.difference:+z.4f}, sequence {interval}"


@dataclass(frozen=True)
class _Names:
    """What the rows of trials call the models: in a sweep, the arms by their values."""

    models: Sequence[str] = ()
    sweep: "Sweep | None" = None

    def row(self, model: str, seed: str, seconds: str, outcome: str) -> str:
        """The row of a trial, or of the names of the columns."""
        arms = {} if self.sweep is None else {arm: self.sweep.label(arm) for arm in self.sweep.arms}
        labels = {name: arms.get(name, name) for name in self.models} | arms
        width = max([8, *map(len, labels.values())])
        return f"{labels.get(model, model):{width}} {seed:>6} {seconds:>8}  {outcome}"


def _outcome(event: events.TrialEnded) -> str:
    if event.state != "done":
        return f"{event.state}: {event.reason}"
    if len(event.accuracies) == 1:
        return f"{format_percent(next(iter(event.accuracies.values())))} %"
    return ", ".join(f"{arm} {format_percent(accuracy)} %" for arm, accuracy in event.accuracies.items())
