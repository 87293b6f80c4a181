"""The output of `trials`: a row for each trial that ends, then the statistics and the paths."""

import json as jsons
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from rich.progress import Progress, TaskID, TextColumn

from mnistctl.artifacts import files
from mnistctl.artifacts.rounding import format_percent
from mnistctl.cli.errors import option_of
from mnistctl.cli.output.terminal import print_error, print_line, progress_bars
from mnistctl.cli.output.train import resume_hint
from mnistctl.trials import events

if TYPE_CHECKING:
    from mnistctl.evaluation.statistics import Difference
    from mnistctl.trials.comparisons import ReferenceComparison
    from mnistctl.trials.run import Event
    from mnistctl.trials.summary import ArmSummary, TrialsSummary

_MAX_IMAGES = 5  # test images with wrong predictions that are printed for each arm
_TESTS = {"paired": "paired t", "welch": "Welch's t", "one_sample": "t against a single run"}


class Print(Protocol):
    """Prints a line in a style."""

    def __call__(self, text: str, style: str = "") -> None: ...


def print_trials(trial_events: Iterable["Event"], *, quiet: bool, json: bool, resume_command: str) -> None:
    """Print a header, a row for each trial as it ends, the statistics, and the paths of the files.

    Args:
        trial_events: the events of `run_trials`.
        quiet: print only the mean accuracies.
        json: print only one JSON object, the summary.
        resume_command: command that continues the trials, for errors and interruptions.
    """
    emit = _print_nothing if quiet or json else print_line
    columns = TextColumn("{task.completed}/{task.total}"), TextColumn("{task.fields[left]}")
    paths: list[str] = []
    with progress_bars(*columns) as bars, resume_hint(resume_command, "the trials that have ended") as hint:
        bar = _TrialsBar(bars)
        for event in trial_events:
            match event:
                case events.TrialsStarted():
                    hint.enabled = True
                    for text in _header(event):
                        emit(text)
                    emit(_row("model", "seed", "seconds", "accuracy"), "bold")
                    bar.start(event.trials - event.done)
                case events.TrialEnded():
                    seconds = "" if event.seconds is None else f"{event.seconds:.1f}"
                    emit(_row(event.model, str(event.seed), seconds, _outcome(event)))
                    if not event.from_previous_session:
                        bar.advance()
                case events.WorkerDied():
                    retry = f"retry {event.retry} of {event.max_retries}"
                    print_error(f"{event.model}, seed {event.seed}: its worker died; {retry}")
                case files.Saved(path):
                    paths.append(path)
                case events.TrialsFinished():
                    # Printed here, because failures are raised after this event.
                    hint.enabled = False
                    bar.remove()
                    _print_results(event, paths, emit, quiet=quiet, json=json)


def _print_nothing(text: str, style: str = "") -> None:
    pass


@dataclass
class _TrialsBar:
    """A progress bar with the estimated time left."""

    bars: Progress
    task: TaskID = field(init=False)
    total: int = 0
    ended: int = 0
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.task = self.bars.add_task("trials", total=None, left="")

    def start(self, total: int) -> None:
        self.total = total
        self.bars.update(self.task, total=total)

    def advance(self) -> None:
        self.ended += 1
        seconds = (self.total - self.ended) * (time.monotonic() - self.started) / self.ended
        left = f"{timedelta(seconds=round(seconds))} left"
        self.bars.update(self.task, completed=self.ended, left=left)

    def remove(self) -> None:
        self.bars.remove_task(self.task)


def _print_results(
    event: events.TrialsFinished, paths: list[str], emit: Print, *, quiet: bool, json: bool
) -> None:
    summary = event.summary
    if event.already:
        emit("already done; use --overwrite to run again")
    print_conclusions(summary, emit)
    for path in paths:
        emit(f"see {path}" if event.already else f"wrote {path}")
    if json:
        print_line(jsons.dumps(summary.to_json() | {"already": event.already, "paths": paths}))
    elif quiet:
        for arm in summary.arms:
            print_line("-" if arm.mean is None else format_percent(arm.mean, 4))


def _header(event: events.TrialsStarted) -> list[str]:
    last = event.seed + event.count - 1
    seeds = f"seeds {event.seed} to {last}" if event.count > 1 else f"seed {event.seed}"
    precision = "" if event.precision == "float32" else f", precision: {event.precision}"
    workers = "" if event.workers is None else f", workers: {event.workers}"
    return [
        f"trials: {', '.join(event.models)}; {seeds}",
        f"data: {event.dataset}",
        f"device: {event.device}{workers}, threads: 1 each{precision}",
        *([f"resuming after {event.done} of {event.trials} trials"] if event.done else []),
    ]


def _row(model: str, seed: str, seconds: str, outcome: str) -> str:
    return f"{model:8} {seed:>6} {seconds:>8}  {outcome}"


def _outcome(event: events.TrialEnded) -> str:
    if event.state != "done":
        return f"{event.state}: {event.reason}"
    if len(event.accuracies) == 1:
        return f"{format_percent(next(iter(event.accuracies.values())))} %"
    return ", ".join(f"{arm} {format_percent(accuracy)} %" for arm, accuracy in event.accuracies.items())


def print_conclusions(summary: "TrialsSummary", emit: Print = print_line) -> None:
    """Print the distribution of the accuracies, a row for each arm, the comparisons, and the errors."""
    arms = [arm for arm in summary.arms if arm.n]
    if arms:
        for text in _distribution(summary):
            emit(text)
        emit(
            f"{'':20} {'n':>4} {'mean':>8} {'SD':>7} {'min':>6} {'median':>7} {'max':>6}  95 % interval",
            "bold",
        )
    for arm in arms:
        emit(_arm_row(arm))
    for row in summary.comparisons:
        emit(f"{row.second} minus {row.first}: {_describe_difference(row)}")
        emit(f"{row.conclusion}.", "bold")
    for published in summary.reference:
        _print_reference(published, emit)
    for label in summary.not_compared:
        emit(f"{label}: no published accuracies to compare with, or no results")
    for arm in arms:
        _print_errors(arm, emit)
    if summary.mismatched_settings:
        emit(f"mixed settings: {', '.join(summary.mismatched_settings)} (see `resumed` in the summary)")
    for state, trials in (("diverged", summary.diverged), ("failed", summary.failed)):
        for trial in trials:
            emit(f"{state}: {trial.model}, seed {trial.seed}: {trial.reason}")


def _distribution(summary: "TrialsSummary") -> Iterator[str]:
    """How often each accuracy occurs, in the format of ktorch's documentation."""
    labels = [arm.label for arm in summary.arms]
    yield "accuracy| " + " ".join(labels)
    yield "--------| " + "-" * len(" ".join(labels))
    for row in summary.distribution:
        counts = (f"{count or '':<{len(label)}}" for count, label in zip(row.counts, labels, strict=True))
        yield f"{format_percent(row.accuracy):<8}| {' '.join(counts)}".rstrip()


def _arm_row(arm: "ArmSummary") -> str:
    assert arm.mean is not None and arm.min is not None and arm.median is not None and arm.max is not None
    sd = "-" if arm.sd is None else f"{arm.sd:.4f}"
    interval = "-" if arm.interval is None else " to ".join(format_percent(end, 4) for end in arm.interval)
    # The median of an even number of accuracies can have a third decimal.
    median = format_percent(arm.median, 2 if round(arm.median, 2) == round(arm.median, 4) else 3)
    mean, low, high = format_percent(arm.mean, 4), format_percent(arm.min), format_percent(arm.max)
    values = f"{arm.n:4} {mean:>8} {sd:>7} {low:>6} {median:>7} {high:>6}"
    return f"{arm.label:20} {values}  {interval}"


def _print_reference(row: "ReferenceComparison", emit: Print) -> None:
    emit(f"{row.label} minus {row.published}'s {row.model}: {_describe_difference(row)}")
    emit(f"{row.conclusion}.", "bold")
    if row.differences_from_published:
        options = ", ".join(f"{option_of(k)} {v}" for k, v in row.differences_from_published.items())
        emit(f"({row.published} ran the full recipe on MNIST; these trials have {options}.)")


def _describe_difference(row: "Difference") -> str:
    parts = [f"{row.difference:+z.4f} points"]
    if row.interval is not None:
        parts.append("95 % interval {:+z.4f} to {:+z.4f}".format(*row.interval))
    if row.t is not None:
        parts.append(f"{_TESTS[row.method]} {row.t:.2f}, {row.df:.4g} degrees of freedom, p {row.p:.2g}")
    if row.permutation_p is not None:
        parts.append(f"permutation p {row.permutation_p:.2g}")
    if row.minimum_detectable_effect is not None:
        parts.append(f"detectable at 80 % power: {row.minimum_detectable_effect:.4f} points")
    return ", ".join(parts)


def _print_errors(arm: "ArmSummary", emit: Print) -> None:
    """Print the test images with the most wrong predictions, and the confusion matrix."""
    n = arm.n
    emit(f"{arm.label}: {len(arm.errors)} test images with wrong predictions in {n} trials, the worst:")
    for image in arm.errors[:_MAX_IMAGES]:
        predicted = ", ".join(f"{digit} ({count})" for digit, count in image.predicted.items())
        true = f"an {image.true}" if image.true == 8 else f"a {image.true}"
        emit(f"  test image {image.index}, {true}: wrong in {image.errors} of {n}, predicted {predicted}")
    emit(f"confusion matrix of all {n} trials (row: true digit, column: prediction)")
    width = max(3, len(str(max(map(max, arm.confusion)))))
    emit(" ".join(["  ", *(f"{digit:{width}}" for digit in range(10))]), "bold")
    for digit, counts in enumerate(arm.confusion):
        emit(" ".join([f"{digit:2}", *(f"{count:{width}}" for count in counts)]))
