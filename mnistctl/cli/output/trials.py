"""Trials as they end, and what they come to."""

import json as jsons
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.progress import TextColumn

from mnistctl.artifacts import files
from mnistctl.cli.output.terminal import print_error, print_line, progress_bars
from mnistctl.cli.output.train import with_resume_hint
from mnistctl.trials import events

if TYPE_CHECKING:
    from mnistctl.trials.run import Event


def print_trials(told: Iterable["Event"], *, quiet: bool, json: bool) -> None:
    """Follow trials as they end: header, a row each, then what they come to, and the paths."""
    say: Callable[..., None] = print_line if not (quiet or json) else lambda *_: None
    paths: list[str] = []
    columns = TextColumn("{task.completed}/{task.total}"), TextColumn("{task.fields[left]}")
    with progress_bars(*columns) as bars, with_resume_hint("the trials that have ended") as going:
        task = bars.add_task("trials", total=None, left="")
        ended, began = 0, time.monotonic()
        for event in told:
            match event:
                case events.TrialsStarted():
                    going.append(event)
                    for text in _trials_header(event):
                        say(text)
                    say(_trials_row("model", "seed", "seconds", "accuracy"), "bold")
                    bars.update(task, total=event.trials - event.done)
                case events.TrialEnded():
                    seconds = "" if event.seconds is None else f"{event.seconds:.1f}"
                    say(_trials_row(event.model, str(event.seed), seconds, _trial_outcome(event)))
                    if not event.earlier:
                        ended += 1
                        left = (going[0].trials - going[0].done - ended) * (time.monotonic() - began) / ended
                        bars.update(task, completed=ended, left=f"{timedelta(seconds=round(left))} left")
                case events.WorkerDied():
                    again = f"begun again ({event.times} of {event.most})"
                    print_error(f"{event.model}, seed {event.seed}: its worker died; {again}")
                case files.Saved(path):
                    paths.append(path)
                case events.TrialsFinished(tally, already):
                    going.clear()
                    bars.remove_task(task)
                    # Here, since what failed or is not met is raised once this was taken.
                    if already:
                        say("already done; --overwrite does them again")
                    print_conclusions(tally, say)
                    for path in paths:
                        say(f"wrote {path}" if not already else f"see {path}")
                    if json:
                        print_line(jsons.dumps(tally | {"already": already, "paths": paths}))
                    elif quiet:
                        for column in tally["columns"]:
                            print_line(f"{column['mean']:.4f}" if column["n"] else "-")


def _trials_header(event: events.TrialsStarted) -> list[str]:
    seeds = (
        f"seeds {event.seed} to {event.seed + event.count - 1}" if event.count > 1 else f"seed {event.seed}"
    )
    precision = "" if event.precision == "float32" else f", precision: {event.precision}"
    workers = "" if event.workers is None else f", workers: {event.workers}"
    return [
        f"trials: {', '.join(event.models)}; {seeds}",
        f"data: {event.dataset}",
        f"device: {event.device}{workers}, threads: 1 each{precision}",
        *([f"going on after {event.done} of {event.trials}"] if event.done else []),
    ]


def _trials_row(model: str, seed: str, seconds: str, outcome: str) -> str:
    return f"{model:8} {seed:>6} {seconds:>8}  {outcome}"


def _trial_outcome(event: events.TrialEnded) -> str:
    if event.state != "done":
        return f"{event.state}: {event.reason}"
    if len(event.results) == 1:
        return f"{next(iter(event.results.values())):.2f} %"
    return ", ".join(f"{column} {accuracy:.2f} %" for column, accuracy in event.results.items())


_WORST = 5  # digits, of those that the trials misread


def print_conclusions(tally: dict[str, Any], say: Callable[..., None]) -> None:
    """The distribution, the summaries, the differences in a sentence each, and the misread digits."""
    columns = [column for column in tally["columns"] if column["n"]]
    if columns:
        for text in _distribution(tally):
            say(text)
        say(
            f"{'':20} {'n':>4} {'mean':>8} {'SD':>7} {'min':>6} {'median':>7} {'max':>6}  95 % interval",
            "bold",
        )
    for c in columns:
        sd = "-" if c["sd"] is None else f"{c['sd']:.4f}"
        span = "-" if c["interval"] is None else f"{c['interval'][0]:.4f} to {c['interval'][1]:.4f}"
        least, middle, most = (f"{c[name]:.2f}" for name in ("least", "median", "most"))
        median = f"{c['median']:.3f}" if round(c["median"], 2) != round(c["median"], 4) else middle
        say(f"{c['label']:20} {c['n']:4} {c['mean']:8.4f} {sd:>7} {least:>6} {median:>7} {most:>6}  {span}")
    for c in tally["comparisons"]:
        say(f"{c['to']} less {c['from']}: {_difference_line(c)}")
        say(f"{c['says']}.", "bold")
    for c in tally["against"]:
        if "difference" in c:
            say(f"{c['column']} less {c['published']}'s {c['model']}: {_difference_line(c)}")
        say(f"{c['says']}.", "bold")
        if c["unlike"]:
            unlike = ", ".join(c["unlike"])
            say(f"({c['published']}'s runs were of the full recipe on MNIST; these have {unlike}.)")
    for c in columns:
        _print_errors(c, say)
    if tally["mixed"]:
        say("mixed: some of these trials are of other settings; `resumed` in the summary says which")
    for state in ("diverged", "failed"):
        for row in tally[state]:
            say(f"{state}: {row['model']}, seed {row['seed']}: {row['reason']}")


def _distribution(tally: dict[str, Any]) -> Iterator[str]:
    # As ktorch's documentation has it.
    labels = [column["label"] for column in tally["columns"]]
    yield "accuracy| " + " ".join(labels)
    yield "--------| " + "-" * len(" ".join(labels))
    for row in tally["distribution"]:
        counts = (f"{count or '':<{len(label)}}" for count, label in zip(row["counts"], labels, strict=True))
        yield f"{row['accuracy']:<8.2f}| {' '.join(counts)}".rstrip()


def _difference_line(c: dict[str, Any]) -> str:
    tests = {"paired": "paired t", "welch": "Welch's t", "single": "t, beside a single run,"}
    parts = [f"{c['difference']:+z.4f} points"]
    if c["interval"] is not None:
        parts.append(f"95 % interval {c['interval'][0]:+z.4f} to {c['interval'][1]:+z.4f}")
    if c["t"] is not None:
        parts.append(f"{tests[c['method']]} {c['t']:.2f} on {c['df']:.4g} degrees of freedom, p {c['p']:.2g}")
    if c["permutation_p"] is not None:
        parts.append(f"permutation p {c['permutation_p']:.2g}")
    if c["detectable"] is not None:
        parts.append(f"{c['detectable']:.4f} would show at 80 % power")
    return ", ".join(parts)


def _print_errors(column: dict[str, Any], say: Callable[..., None]) -> None:
    errors, n = column["errors"], column["n"]
    say(f"{column['label']}: {len(errors)} test digits misread in any of {n} runs, the worst:")
    for digit in errors[:_WORST]:
        read = ", ".join(f"{answer} ({count})" for answer, count in digit["read"].items())
        times = f"wrong in {digit['wrong']} of {n}"
        true = f"an {digit['true']}" if digit["true"] == 8 else f"a {digit['true']}"
        say(f"  test digit {digit['index']}, {true}: {times}, read as {read}")
    say(f"confusions of all {n} (row: the digit, column: read as)")
    width = max(3, len(str(max(map(max, column["confusion"])))))
    say(" ".join(["  ", *(f"{digit:{width}}" for digit in range(10))]), "bold")
    for digit, counts in enumerate(column["confusion"]):
        say(" ".join([f"{digit:2}", *(f"{count:{width}}" for count in counts)]))
