"""Everything that is printed: results on stdout; progress, warnings and errors on stderr."""

import json as jsons
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from mnistctl import events
from mnistctl.errors import OutputError, StoppedError
from mnistctl.models import CLASSIFIERS, GENERATORS

if TYPE_CHECKING:
    import numpy as np

    from mnistctl.describe import Layer
    from mnistctl.download import Status
    from mnistctl.evaluation import Evaluation
    from mnistctl.fidelity import Fidelity
    from mnistctl.generation import Made
    from mnistctl.runs import Event
    from mnistctl.trials import Event as TrialsEvent

JSON = 1  # the version of what --json prints

_WIDEST = 200  # columns; more than any table here takes
_NARROW = 60  # columns; below, the rows give up decimals


def line(text: str, style: str = "") -> None:
    """One line of a result on stdout: never wrapped or cut, in a style on a terminal that has styles."""
    shown = _shown(text, sys.stdout)
    if style and (console := Console(highlight=False)).is_terminal:
        console.print(Text(shown, style), soft_wrap=True)
    else:
        print(shown, flush=True)


def complain(fault: BaseException | str) -> None:
    """One line about what went wrong, with the notes that were added to it on its way, on stderr."""
    text = "; ".join([str(fault), *getattr(fault, "__notes__", ())])
    with suppress(OSError):  # nobody is left to tell
        print(_shown(f"mnistctl: {text}", sys.stderr), file=sys.stderr, flush=True)


def hush() -> None:
    """Send what is still to be printed nowhere: its reader is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _shown(text: str, stream: TextIO) -> str:
    # In one line, and what the stream's encoding has no sign for in escapes: a path may hold anything.
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


@contextmanager
def downloading() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for each file that comes in, on a terminal; gives the function that moves it."""
    with _bars(DownloadColumn()) as bars:
        tasks: dict[str, TaskID] = {}

        def moved(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield moved


def statuses(found: Iterable["Status"]) -> None:
    """The files of a data set, and whether each is there and verified."""
    states = {"present": "verified", "fetched": "fetched, verified"}
    table = _table("file", "holds", "count", "state")
    table.columns[2].justify = "right"
    for status in found:
        count = "-" if status.count is None else str(status.count)
        table.add_row(status.file, status.kind, count, states.get(status.action, status.action))
    _print(table)


def digits(images: "np.ndarray", labels: "Iterable[object]", style: str) -> None:
    """Each image as text under its label."""
    from mnistctl import figures

    console = Console(highlight=False, soft_wrap=True)
    for image, label in zip(images, labels, strict=True):
        line(str(label))
        if style == "stars":
            drawn = figures.stars(image)
        elif console.color_system is None or "utf" not in console.encoding:
            drawn = figures.shades(image)
        else:
            for row in figures.half_blocks(image):
                pairs = (f"[rgb({t},{t},{t}) on rgb({b},{b},{b})]\u2580[/]" for t, b in row)
                console.print("".join(pairs))
            continue
        for text in drawn:
            line(text)


def model(name: str, nets: "dict[str, list[Layer]]", recipe: dict[str, Any]) -> None:
    """Each net as a table of its layers, with their sum, and the recipe."""
    line(f"{name}: {(CLASSIFIERS | GENERATORS)[name]}")
    for net, layers in nets.items():
        table = _table("name", "layer", "output", "parameters")
        table.columns[3].justify = "right"
        for layer in layers:
            output = " x ".join(map(str, layer.output))
            table.add_row(layer.name, Text(layer.layer), output, f"{layer.parameters:,}")
        table.add_row("", net or "all", "", f"{sum(layer.parameters for layer in layers):,}", style="bold")
        _print(table)
    settings = ", ".join(f"{k} {v}" for k, v in recipe["settings"].items() if v is not False)
    both = ", one for each net" if name in GENERATORS else ""
    order = "shuffled anew in each" if recipe.get("shuffle", True) else "in file order"
    line(f"epochs: {recipe['epochs']} of batches of {recipe['batch']}, {order}")
    line(f"optimizer: {recipe['optimizer']}, {settings}{both}")
    line(f"rates: {_rates(recipe['rates'])}")
    if name in GENERATORS:
        low, high = recipe["targets"]
        line(f"loss: binary cross entropy; targets {low:g} to {high:g} for real digits, 0 for generated ones")
        return
    line(f"loss: cross entropy, label smoothing {recipe['smoothing']:g}")
    if recipe["averaged"]:
        line(f"averaged: the weights after each of the last {recipe['averaged']} epochs")


def _rates(rates: list[float]) -> str:
    if len(set(rates)) == 1:
        return f"{rates[0]:g} in every epoch"
    return f"{', '.join(f'{rate:.4g}' for rate in rates[:5])} ... {rates[-1]:.4g}"


def run(told: Iterable["Event"], *, quiet: bool, json: bool, record: Path) -> None:
    """Follow a run as it happens: header, a row an epoch, the headline, the mismatches, the paths."""
    say: Callable[..., None] = line if not (quiet or json) else lambda *_: None
    wide = Console().width >= _NARROW
    paths: list[str] = []
    missed: events.Mismatches | None = None
    with _bars(TextColumn("{task.completed}/{task.total}")) as bars, _resumable() as going:
        task = bars.add_task("", total=None)
        for event in told:
            match event:
                case events.Started():
                    going.append(event)
                    for text in _header(event):
                        say(text)
                    say(_columns(event.model, wide), "bold")
                case events.Progress(epoch, done, total) if not bars.disable:
                    bars.update(task, description=f"epoch {epoch}", completed=done, total=total)
                case events.Epoch():
                    say(_row(event, wide))
                    latest = event
                case events.Duel():
                    say(_duel(event, wide))
                case events.Averaged():
                    if not event.recomputed:
                        say(_average("last epoch's weights", latest))
                    say(_average(_named(event), event))
                case events.Mismatches():
                    missed = event
                case events.Saved(path):
                    paths.append(path)
                case events.Finished():
                    finished = event
                    going.clear()
        bars.remove_task(task)
    if finished.already:
        say(f"already done: finished in {finished.seconds:.1f} s; --overwrite does it again")
        paths = [str(record)]
    if finished.accuracy is None:
        say(f"done  ({finished.seconds:.1f} s)", "bold green")
    else:
        say(f"accuracy: {finished.accuracy:.2f} %  ({finished.seconds:.1f} s)", "bold green")
    if missed is not None:
        _mismatches(missed, say)
    for path in _folded(paths):
        say(f"wrote {path}" if not finished.already else f"see {path}")
    if json:
        body = jsons.loads(record.read_bytes())
        line(jsons.dumps(body | {"already": finished.already, "paths": paths}))
    elif quiet and finished.accuracy is not None:
        line(f"{finished.accuracy:.2f}")
    elif quiet:
        body = jsons.loads(record.read_bytes())
        line(f"{body['discriminator_losses'][-1]:.3f} {body['generator_losses'][-1]:.3f}")


@contextmanager
def _resumable(after: str = "the last whole epoch") -> Iterator[list[Any]]:
    """Add to what stops the block how what has started goes on; gives the list to put that event into."""
    going: list[Any] = []
    try:
        yield going
    except (StoppedError, BrokenPipeError, OutputError) as fault:
        if going:
            way = f"`{going[0].resume}` goes on from {after}"
            if isinstance(fault, BrokenPipeError):  # of which Typer would end the program without a word
                hush()
                complain(f"stopped, since nobody reads on; {way}")
                raise SystemExit(1) from None
            fault.add_note(way)
        raise


def trials(told: Iterable["TrialsEvent"], *, quiet: bool, json: bool) -> None:
    """Follow trials as they end: header, a row each, then what they come to, and the paths."""
    say: Callable[..., None] = line if not (quiet or json) else lambda *_: None
    paths: list[str] = []
    columns = TextColumn("{task.completed}/{task.total}"), TextColumn("{task.fields[left]}")
    with _bars(*columns) as bars, _resumable("the trials that have ended") as going:
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
                case events.Trial():
                    seconds = "" if event.seconds is None else f"{event.seconds:.1f}"
                    say(_trials_row(event.model, str(event.seed), seconds, _outcome(event)))
                    if not event.earlier:
                        ended += 1
                        left = (going[0].trials - going[0].done - ended) * (time.monotonic() - began) / ended
                        bars.update(task, completed=ended, left=f"{timedelta(seconds=round(left))} left")
                case events.Lost():
                    again = f"begun again ({event.times} of {event.most})"
                    complain(f"{event.model}, seed {event.seed}: its worker died; {again}")
                case events.Saved(path):
                    paths.append(path)
                case events.TrialsFinished(tally, already):
                    going.clear()
                    bars.remove_task(task)
                    # Here, since what failed or is not met is raised once this was taken.
                    if already:
                        say("already done; --overwrite does them again")
                    _tally(tally, say)
                    for path in paths:
                        say(f"wrote {path}" if not already else f"see {path}")
                    if json:
                        line(jsons.dumps(tally | {"already": already, "paths": paths}))
                    elif quiet:
                        for column in tally["columns"]:
                            line(f"{column['mean']:.4f}" if column["n"] else "-")


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


def _outcome(event: events.Trial) -> str:
    if event.state != "done":
        return f"{event.state}: {event.reason}"
    if len(event.results) == 1:
        return f"{next(iter(event.results.values())):.2f} %"
    return ", ".join(f"{column} {accuracy:.2f} %" for column, accuracy in event.results.items())


_WORST = 5  # digits, of those that the trials misread


def _tally(tally: dict[str, Any], say: Callable[..., None]) -> None:
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
        say(f"{c['to']} less {c['from']}: {_difference(c)}")
        say(f"{c['says']}.", "bold")
    for c in tally["against"]:
        if "difference" in c:
            say(f"{c['column']} less {c['published']}'s {c['model']}: {_difference(c)}")
        say(f"{c['says']}.", "bold")
        if c["unlike"]:
            unlike = ", ".join(c["unlike"])
            say(f"({c['published']}'s runs were of the full recipe on MNIST; these have {unlike}.)")
    for c in columns:
        _misread(c, say)
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


def _difference(c: dict[str, Any]) -> str:
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


def _misread(column: dict[str, Any], say: Callable[..., None]) -> None:
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


def evaluation(judged: "Evaluation", *, quiet: bool, json: bool) -> None:
    """The score of a net: headline, a table per digit, the confusions, the mismatches, the paths."""
    if quiet and not json:
        line(f"{judged.score.accuracy:.2f}")
        return
    if json:
        line(jsons.dumps({"version": JSON} | _evaluation(judged)))
        return
    line(f"{judged.model} on {judged.dataset}, {judged.split}: {judged.digits} digits")
    line(f"loss: {judged.score.loss:.4f}")
    line(f"accuracy: {judged.score.accuracy:.2f} %", "bold green")
    table = _table("digit", "support", "precision", "recall", "F1", justify="right")
    for row in judged.per_digit():
        scores = (f"{row[name]:.2f}" for name in ("precision", "recall", "f1"))
        table.add_row(f"{row['digit']:.0f}", f"{row['support']:.0f}", *scores)
    _print(table)
    line("confusions (row: the digit, column: read as)")
    table = _table("", *map(str, range(10)), justify="right")
    for digit, counts in enumerate(judged.confusion):
        styled = (Text(str(n), "bold" if n and d != digit else "dim") for d, n in enumerate(counts))
        table.add_row(str(digit), *styled)
    _print(table)
    _mismatches(judged.mismatches, line)
    for saved in judged.saved:
        line(f"wrote {saved.path}")


def fidelity(judged: "Fidelity", *, quiet: bool, json: bool) -> None:
    """What a judge makes of a generator: each figure beside that of real digits, then digit by digit."""
    if json:
        body = asdict(judged)
        body["paths"] = [saved["path"] for saved in body.pop("saved")]
        line(jsons.dumps({"version": JSON} | body))
        return
    if quiet:
        line(f"{judged.frechet.value:.3f}")
        return
    line(f"{judged.model} beside {judged.dataset}: {judged.digits} generated digits, seed {judged.seed}")
    judge, name = (
        judged.judge,
        f"{judged.judge['model']} ({judged.judge['path']}, {judged.judge['digest'][:12]})",
    )
    line(f"judge: {name}, accuracy {judge['accuracy']:.2f} %")
    times = judged.frechet.value / judged.frechet_floor if judged.frechet_floor > 0 else float("inf")
    line(f"Frechet distance: {judged.frechet.value:.3f}, {times:.2f} times that of real digits", "bold green")
    if judged.asked is not None:
        line(f"read as asked: {judged.asked.value:.2f} %", "bold green")
    table = _table("", "generated", "95 % interval", "real", justify="right")
    table.columns[0].justify = "left"
    for name, estimate, floor, form in (
        ("Frechet distance", judged.frechet, judged.frechet_floor, ".3f"),
        ("density", judged.density, judged.density_floor, ".3f"),
        ("coverage", judged.coverage, judged.coverage_floor, ".3f"),
        ("near copies, %", judged.copies, judged.copies_floor, ".2f"),
        ("entropy of classes, bits", judged.entropy, judged.entropy_floor, ".3f"),
        *([("read as asked, %", judged.asked, judge["accuracy"], ".2f")] if judged.asked else []),
    ):
        interval = f"{estimate.low:{form}} to {estimate.high:{form}}"
        table.add_row(name, f"{estimate.value:{form}}", interval, f"{floor:{form}}")
    _print(table)
    table = _table("digit", "read", "share", *(["as asked"] if judged.asked else []), justify="right")
    for digit, count in enumerate(judged.classes):
        row = [str(digit), str(count), f"{100 * count / judged.digits:.2f} %"]
        if judged.asked_by_digit is not None:
            share = judged.asked_by_digit[digit]
            row.append("-" if share is None else f"{share:.2f} %")
        table.add_row(*row)
    _print(table)
    for saved in judged.saved:
        line(f"wrote {saved.path}")


def generated(made: "Made", *, show: bool, json: bool) -> None:
    """What a generator drew, in the terminal if asked, and the files that hold it."""
    asked = None if made.drawn is None or made.drawn.digits is None else made.drawn.digits
    if json:
        body = {"model": made.model, "digest": made.digest, "seed": made.seed, "count": made.count}
        body |= {"digits": None if asked is None else asked.tolist(), "paths": [s.path for s in made.saved]}
        line(jsons.dumps({"version": JSON} | body))
        return
    if show and made.drawn is not None:
        digits(made.drawn.images, asked if asked is not None else [made.model] * made.count, "blocks")
    for saved in made.saved:
        line(f"wrote {saved.path}")


def _table(*columns: str, justify: JustifyMethod = "left") -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column, justify=justify, no_wrap=True)
    return table


def _print(table: Table) -> None:
    # As wide as it needs: a terminal wraps what does not fit, where rich would cut numbers short.
    Console(highlight=False, width=_WIDEST).print(table)


def _header(event: events.Started) -> list[str]:
    precision = "" if event.precision == "float32" else f", precision: {event.precision}"
    return [
        f"model: {event.model}, {event.parameters:,} parameters",
        f"data: {event.dataset}, {event.digits:,} digits, seed {event.seed}",
        f"epochs: {event.epochs}, batch size: {event.batch}, iterations per epoch: {event.iterations}",
        f"device: {event.device}, threads: {event.threads}{precision}",
        *([f"going on after epoch {event.after} of {event.epochs}"] if event.after is not None else []),
    ]


def _columns(model: str, wide: bool) -> str:
    if model in GENERATORS:
        if wide:
            return "epoch  time      median losses: discriminator  generator  seconds"
        return "  #  time      discr.    gen.      s"
    if wide:
        return "epoch    rate  training loss  test loss  test accuracy  seconds"
    return "  #   rate   loss   test accuracy    s"


def _row(e: events.Epoch, wide: bool) -> str:
    if wide:
        scores = f"{e.loss:13.6f}  {e.test_loss:9.4f}  {e.accuracy:11.2f} %"
        return f"{e.epoch:5d}  {e.rate:.4f}  {scores}  {e.seconds:7.1f}"
    return f"{e.epoch:3d} {e.rate:.4f} {e.loss:6.4f} {e.test_loss:6.4f}  {e.accuracy:5.2f} % {e.seconds:5.1f}"


def _duel(e: events.Duel, wide: bool) -> str:
    clock = e.ended[11:19]
    if wide:
        return f"{e.epoch:5d}  {clock}  {e.discriminator:28.3f}  {e.generator:9.3f}  {e.seconds:7.1f}"
    return f"{e.epoch:3d}  {clock}  {e.discriminator:6.3f}  {e.generator:6.3f}  {e.seconds:5.1f}"


def _folded(paths: list[str]) -> list[str]:
    """The paths in their order, those of a generator's grids in one line."""
    grids = [path for path in paths if path.endswith(".png")]
    if len(grids) < 2:
        return paths
    return [f"{path} to {grids[-1]}" if path == grids[0] else path for path in paths if path not in grids[1:]]


def _named(average: events.Averaged) -> str:
    weights = f"average of epochs {average.first}-{average.last}"
    return f"{weights}, batch norm recomputed" if average.recomputed else weights


def _average(name: str, scored: events.Epoch | events.Averaged) -> str:
    return f"{name}: test loss {scored.test_loss:.4f}, {scored.accuracy:.2f} %"


def _mismatches(missed: events.Mismatches, say: Callable[[str], None]) -> None:
    say("mismatches:" if missed.indices else "mismatches: none")
    for digit, answers in missed.by_digit().items():
        say(f"{digit}| {' '.join(map(str, answers))}")


def _evaluation(judged: "Evaluation") -> dict[str, Any]:
    body = asdict(judged) | {"per_digit": judged.per_digit()}
    body |= body.pop("score")
    body["paths"] = [saved["path"] for saved in body.pop("saved")]
    return body


def _bars(*columns: Any) -> Progress:
    console = Console(stderr=True)
    shown = console.is_terminal and not console.is_dumb_terminal
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        *columns,
        console=console,
        transient=True,
        disable=not shown,
        redirect_stdout=shown and sys.stdout.isatty(),
    )
