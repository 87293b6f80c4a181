"""The output of `trials`: a row for each trial that ends, then the statistics and the paths."""

import json as jsons
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from rich.progress import Progress, TaskID, TextColumn

from mnistctl.artifacts import files
from mnistctl.artifacts.rounding import format_percent, format_percent_interval
from mnistctl.cli.errors import option_of
from mnistctl.cli.output.sweep import describe_sweep, print_sweep
from mnistctl.cli.output.terminal import (
    format_duration,
    plain_table,
    print_error,
    print_line,
    print_table,
    print_warning,
    progress_bars,
)
from mnistctl.cli.output.train import describe_origin, describe_scored, resume_hint
from mnistctl.errors import plural
from mnistctl.trials import events

if TYPE_CHECKING:
    from mnistctl.evaluation.statistics import Difference
    from mnistctl.trials.comparisons import ReferenceComparison
    from mnistctl.trials.run import Event
    from mnistctl.trials.sequential import SequentialComparison
    from mnistctl.trials.summary import ArmSummary, TrialsSummary
    from mnistctl.trials.sweep import Sweep

_MAX_IMAGES = 5  # images with wrong predictions that are printed for each arm
_MAX_PARTS = 5  # of joined trials that are printed
_TESTS = {"paired": "paired t", "welch": "Welch's t", "one_sample": "t against a single run"}


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
        print_line(jsons.dumps(summary.to_json() | added))
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


def print_conclusions(summary: "TrialsSummary") -> None:
    """Print the distribution of the accuracies, a row for each arm, the comparisons, and the errors."""
    arms = [arm for arm in summary.arms if arm.n]
    if summary.sweep is not None and summary.sequential is None:
        print_sweep(summary)
        _print_failures(summary)
        return
    if arms:
        for text in _distribution(summary):
            print_line(text)
        print_arms(arms)
    for row in summary.comparisons:
        print_line(f"{row.second} minus {row.first}: {describe_difference(row)}")
        print_line(f"{row.conclusion}.", "bold")
    if summary.sequential is not None:
        _print_sequential(summary.sequential, summary.later_trials)
    for published in summary.reference:
        _print_reference(published)
    for label in summary.not_compared:
        print_line(f"{label}: no published accuracies to compare with, or no results")
    for arm in arms:
        _print_errors(arm, "test" if summary.holdout is None else "validation")
    _print_failures(summary)


def _print_failures(summary: "TrialsSummary") -> None:
    """Print which settings are mixed, and which trials have no result."""
    if summary.mismatched_settings:
        print_line(f"mixed settings: {', '.join(summary.mismatched_settings)} (see `resumed` in the summary)")
    for state, trials in (("diverged", summary.diverged), ("failed", summary.failed)):
        for trial in trials:
            print_line(f"{state}: {trial.model}, seed {trial.seed}: {trial.reason}")


def _distribution(summary: "TrialsSummary") -> Iterator[str]:
    """How often each accuracy occurs, in the format of ktorch's documentation."""
    labels = [arm.label for arm in summary.arms]
    yield "accuracy| " + " ".join(labels)
    yield "--------| " + "-" * len(" ".join(labels))
    for row in summary.distribution:
        counts = (f"{count or '':<{len(label)}}" for count, label in zip(row.counts, labels, strict=True))
        yield f"{format_percent(row.accuracy):<8}| {' '.join(counts)}".rstrip()


def print_arms(arms: "Sequence[ArmSummary]") -> None:
    """Print a table with the statistics of each arm, which has results."""
    headers = ("", "n", "mean", "SD", "min", "median", "max", "95 % interval")
    table = plain_table(*headers, justify="right", left=[0])
    for arm in arms:
        assert arm.mean is not None and arm.min is not None and arm.median is not None and arm.max is not None
        sd = "-" if arm.sd is None else f"{arm.sd:.4f}"
        interval = "-" if arm.interval is None else format_percent_interval(arm.interval, 4)
        # The median of an even number of accuracies can have a third decimal.
        median = format_percent(arm.median, 2 if round(arm.median, 2) == round(arm.median, 4) else 3)
        extremes = format_percent(arm.min), median, format_percent(arm.max)
        table.add_row(arm.label, str(arm.n), format_percent(arm.mean, 4), sd, *extremes, interval)
    print_table(table)


def _print_sequential(row: "SequentialComparison", later_trials: int) -> None:
    level = f"{100 * (1 - row.rule.alpha):g} %"
    interval = "unbounded" if row.interval is None else "{:+z.4f} to {:+z.4f}".format(*row.interval)
    parts = [
        f"{row.difference:+z.4f} points after {plural(row.n, 'pair')} of at most {row.most}",
        f"{level} confidence sequence {interval}",
        f"e-value {row.e_value:.3g}",
    ]
    print_line(f"{row.second} minus {row.first}: {', '.join(parts)}")
    print_line(f"{row.conclusion}.", "bold")
    rate = f"at most {100 * row.rule.alpha:g} %, although the result was checked after every pair"
    print_line(f"The probability of a wrong decision is {rate}, if the differences are Gaussian.")
    if later_trials:
        later = plural(later_trials, "trial")
        print_line(f"({later} of later seeds had ended too. The result leaves them out.)")


def _print_reference(row: "ReferenceComparison") -> None:
    print_line(f"{row.label} minus {row.published}'s {row.model}: {describe_difference(row)}")
    print_line(f"{row.conclusion}.", "bold")
    if row.differences_from_published:
        options = ", ".join(f"{option_of(k)} {v}" for k, v in row.differences_from_published.items())
        print_line(f"({row.published} ran the full recipe on MNIST; these trials have {options}.)")


def describe_difference(row: "Difference") -> str:
    """A difference with its interval and its tests."""
    parts = [f"{row.difference:+z.4f} points"]
    if row.interval is not None:
        parts.append("95 % interval {:+z.4f} to {:+z.4f}".format(*row.interval))
    if row.t is not None:
        freedom = f"{row.df:.4g} {'degree' if row.df == 1 else 'degrees'} of freedom"
        parts.append(f"{_TESTS[row.method]} {row.t:.2f}, {freedom}, p {row.p:.2g}")
    if row.permutation_p is not None:
        parts.append(f"permutation p {row.permutation_p:.2g}")
    if row.minimum_detectable_effect is not None:
        parts.append(f"detectable at 80 % power: {row.minimum_detectable_effect:.4f} points")
    return ", ".join(parts)


def _print_errors(arm: "ArmSummary", split: str) -> None:
    """Print the scored images with the most wrong predictions, and the confusion matrix."""
    n = arm.n
    wrong = f"{plural(len(arm.errors), f'{split} image')} with wrong predictions in {plural(n, 'trial')}"
    print_line(f"{arm.label}: {wrong}, the worst:" if arm.errors else f"{arm.label}: {wrong}")
    for image in arm.errors[:_MAX_IMAGES]:
        predicted = ", ".join(f"{digit} ({count})" for digit, count in image.predicted.items())
        true = f"an {image.true}" if image.true == 8 else f"a {image.true}"
        print_line(
            f"  {split} image {image.index}, {true}: wrong in {image.errors} of {n}, predicted {predicted}"
        )
    print_line(f"confusion matrix of {plural(n, 'trial')} (rows: true digit, columns: prediction)")
    table = plain_table("", *map(str, range(10)), justify="right")
    for digit, counts in enumerate(arm.confusion):
        table.add_row(str(digit), *map(str, counts))
    print_table(table)
