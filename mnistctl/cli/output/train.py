"""What `train` prints: a header, a row for each epoch, the result, the errors and the paths."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import TextColumn

from mnistctl.artifacts import files, json_file
from mnistctl.artifacts.rounding import format_learning_rate, format_loss, format_percent
from mnistctl.cli.output.pace import Pace, describe_time
from mnistctl.cli.output.terminal import (
    get_console,
    print_error,
    print_json,
    print_line,
    print_warning,
    progress_bars,
    results_stream,
    silence,
)
from mnistctl.errors import OutputError, StoppedError, plural
from mnistctl.models.values import format_value
from mnistctl.training import events

if TYPE_CHECKING:
    from mnistctl.data.holdout import HeldOut
    from mnistctl.evaluation.metrics import Mismatches
    from mnistctl.models.sources import Origin
    from mnistctl.training.record import RunRecord
    from mnistctl.training.run import Event


_MAX_LISTED = 20  # wrong predictions of a digit that are counted instead of listed
_NARROW = {"test": 60, "validation": 75}  # columns; a narrower terminal gets fewer decimals
_LONG = 600  # seconds; the header of a longer run says how long it takes
Print = Callable[..., None]


def print_run(
    run: Iterable["Event"], *, quiet: bool, json: bool, run_path: Path, resume_command: str
) -> None:
    """Print a run while it goes on.

    Args:
        run: its events.
        quiet: print only the accuracy, or the last losses of a GAN.
        json: print only the record, as one JSON object.
        run_path: path of the run's files without their endings.
        resume_command: the command that resumes the run if it is stopped.
    """
    from mnistctl.evaluation.metrics import Mismatches

    say: Print = print_line if not (quiet or json) else lambda *_: None
    rows = _Rows(say)
    paths: list[str] = []
    warnings: list[files.Warned] = []
    mismatches: Mismatches | None = None
    columns = TextColumn("{task.fields[left]}", markup=False)
    with progress_bars(columns) as bars, resume_hint(resume_command) as hint:
        task = bars.add_task("", total=None, left="", visible=False)
        for event in run:
            match event:
                case events.Started():
                    hint.enabled = True
                    rows.start(event)
                case events.Progress(_, done, total):
                    pace = rows.step(event)
                    if not bars.disable:
                        about: dict[str, Any] = {
                            "description": pace.epoch_name(),
                            "left": pace.left(),
                            "visible": True,
                        }
                        bars.update(task, completed=done, total=total, **about)
                case events.Epoch() | events.GanEpoch():
                    rows.print_epoch(event)
                case events.AveragedWeights():
                    rows.print_average(event)
                case Mismatches():
                    mismatches = event
                case files.Warned():
                    print_warning(event)
                    warnings.append(event)
                case files.Saved(path):
                    paths.append(path)
                case events.Finished():
                    finished = event
                    hint.enabled = False
        bars.remove_task(task)
    if finished.already:
        paths = [str(files.with_ending(run_path, "json"))]
    _print_result(finished, mismatches, paths, say)
    if json:
        body = {"version": json_file.VERSION} | finished.record.to_json()
        listed = [each.to_json() for each in warnings]
        print_json(body | {"already": finished.already, "paths": paths, "warnings": listed})
    elif quiet:
        print_line(_quiet_result(finished.record))


def _print_result(
    finished: events.Finished, mismatches: "Mismatches | None", paths: list[str], say: Print
) -> None:
    result = finished.record
    if finished.already:
        say("already finished; --overwrite trains again")
    if result.accuracy is None:
        say(f"done  ({result.seconds:.1f} s)", "bold green")
    else:
        name = "accuracy" if result.holdout is None else "validation accuracy"
        say(f"{name}: {format_percent(result.accuracy)} %  ({result.seconds:.1f} s)", "bold green")
    if mismatches is not None:
        print_mismatches(mismatches, say)
    for path in _fold_paths(paths):
        say(f"see {path}" if finished.already else f"wrote {path}")


def _quiet_result(result: "RunRecord") -> str:
    if result.accuracy is not None:
        return format_percent(result.accuracy)
    losses = result.discriminator_losses or (), result.generator_losses or ()
    return " ".join(f"{each[-1]:.3f}" for each in losses)


@dataclass
class ResumeHint:
    """Whether a message about an interruption names the command that resumes."""

    enabled: bool = False


@contextmanager
def resume_hint(command: str, after: str = "the last finished epoch") -> Iterator[ResumeHint]:
    """Add the command that resumes to an interruption or an error of the output in the block, once enabled.

    Args:
        command: the command.
        after: what it continues from.
    """
    hint = ResumeHint()
    try:
        yield hint
    except (StoppedError, OSError, OutputError) as error:
        if hint.enabled:
            note = f"`{command}` continues from {after}"
            if isinstance(error, BrokenPipeError):  # Typer would end the program without a message
                silence(results_stream())
                print_error(f"stopped: the output was closed; {note}")
                raise SystemExit(1) from None
            error.add_note(note)
        raise


class _Rows:
    """Prints the header and the rows of a run.

    The header of a long run says how long it takes, which is measured in the first steps. The names of the
    columns are printed only then, or before the first row.
    """

    def __init__(self, say: Print) -> None:
        self._say = say
        self._wide = True
        self._names = ""  # of the columns, until they are printed
        self._estimated = False
        self._last: events.Epoch | None = None

    def start(self, event: events.Started) -> None:
        """Print the header."""
        _print_header(event, self._say)
        self._pace = Pace(event.epochs)
        split: events.Scored = "test" if event.holdout is None else "validation"
        self._wide = get_console().width >= _NARROW[split]
        self._names = _column_names(event.generator, self._wide, split)
        self._of = "time left" if event.resumed_after else "time"

    def step(self, event: events.Progress) -> Pace:
        """Note a step, print how long the run takes once that is known, and return the pace."""
        self._pace.step(event)
        if not self._estimated and (seconds := self._pace.first_estimate()) is not None:
            self._estimated = True
            if seconds > _LONG:
                self._say(f"{self._of}: {describe_time(seconds)} on this machine")
            self._print_names()
        return self._pace

    def print_epoch(self, event: events.Epoch | events.GanEpoch) -> None:
        """Print the row of an epoch."""
        self._pace.finish_epoch(event.epoch)
        self._print_names()
        if isinstance(event, events.Epoch):
            self._last = event
            self._say(_epoch_row(event, self._wide))
        else:
            self._say(_gan_row(event, self._wide))

    def print_average(self, event: events.AveragedWeights) -> None:
        """Print the score of the averaged weights, below that of the last epoch's."""
        if self._last is not None and not event.recomputed:
            self._say(_score_row("last epoch's weights", self._last))
        self._say(_score_row(_average_name(event), event))

    def _print_names(self) -> None:
        if self._names:
            self._say(self._names, "bold")
        self._names = ""


def _print_header(event: events.Started, say: Print) -> None:
    precision = "" if event.precision == "float32" else f", precision: {event.precision}"
    say(f"model: {event.model}, {event.parameters:,} parameters")
    for line in describe_origin(event.origin):
        say(line)
    if event.initial_weights is not None:
        say(f"initial weights: those with SHA-256 {event.initial_weights[:12]}")
    say(f"data: {event.dataset}, {plural(event.images, 'image')}, seed {event.seed}")
    if not event.generator:
        say(describe_scored(event.scored, event.holdout))
    say(f"epochs: {event.epochs}, batch size: {event.batch_size}, iterations per epoch: {event.iterations}")
    say(f"device: {event.device}, threads: {event.threads}{precision}")
    if event.resumed_after is not None:
        say(f"resuming after epoch {event.resumed_after} of {event.epochs}")


def describe_scored(count: int, holdout: "HeldOut | None") -> str:
    """The line of a header that says which digits, and how many, are scored after every epoch."""
    if holdout is None:
        return f"scored after every epoch: the {plural(count, 'test image')}"
    chosen = "the last of each class" if holdout.rule == "last of each class" else "at random"
    return f"scored after every epoch: {plural(count, 'validation image')}, held out of training ({chosen})"


def describe_origin(origin: "Origin | None") -> Iterator[str]:
    """Lines that say where a recipe that is not shipped came from, and which settings were changed."""
    if origin is None:
        return
    if origin.kind == "file":
        yield f"recipe: {origin.file}, SHA-256 {str(origin.sha256)[:12]}"
    elif origin.kind == "package":
        yield f"recipe: {origin.base} of the package {origin.package}"
    if origin.settings:
        yield "settings: " + ", ".join(f"{k}={format_value(v)}" for k, v in origin.settings.items())


def _column_names(generator: bool, wide: bool, split: events.Scored) -> str:
    if generator:
        if wide:
            return "epoch  time      median losses: discriminator  generator  seconds"
        return "  #  time      discr.    gen.      s"
    if wide:
        return f"epoch      lr  training loss  {split} loss  {split} accuracy  seconds"
    return f"  #     lr   loss {'  test' if split == 'test' else 'valid.'} accuracy    s"


def _epoch_row(e: events.Epoch, wide: bool) -> str:
    lr, accuracy = format_learning_rate(e.lr), format_percent(e.accuracy)
    if wide:
        width = len(e.scored)  # of a part of the names of the columns
        scored = f"{format_loss(e.scored_loss, 4, 9):>{width + 5}}  {accuracy:>{width + 7}} %"
        return f"{e.epoch:5d}  {lr}  {format_loss(e.loss, 6, 13):>13}  {scored}  {e.seconds:7.1f}"
    losses = f"{format_loss(e.loss, 4, 7):>6} {format_loss(e.scored_loss, 4, 7):>6}"
    return f"{e.epoch:3d} {lr} {losses}  {accuracy:>5} % {e.seconds:5.1f}"


def _gan_row(e: events.GanEpoch, wide: bool) -> str:
    clock, d_loss, g_loss = e.ended[11:19], e.discriminator_loss, e.generator_loss
    if wide:
        return f"{e.epoch:5d}  {clock}  {d_loss:28.3f}  {g_loss:9.3f}  {e.seconds:7.1f}"
    return f"{e.epoch:3d}  {clock}  {d_loss:6.3f}  {g_loss:6.3f}  {e.seconds:5.1f}"


def _fold_paths(paths: list[str]) -> list[str]:
    """The paths in their order, those of a GAN's grids in one line."""
    grids = [path for path in paths if path.endswith(".png") and not path.endswith("-curves.png")]
    if len(grids) < 2:
        return paths
    return [f"{path} to {grids[-1]}" if path == grids[0] else path for path in paths if path not in grids[1:]]


def _average_name(average: events.AveragedWeights) -> str:
    weights = f"average of epochs {average.first}-{average.last}"
    return f"{weights}, batch norm recomputed" if average.recomputed else weights


def _score_row(name: str, score: events.Epoch | events.AveragedWeights) -> str:
    return f"{name}: {score.scored} loss {score.scored_loss:.4f}, {format_percent(score.accuracy)} %"


def print_mismatches(mismatches: "Mismatches", say: Print, marked: Collection[int] = frozenset()) -> bool:
    """Print how to read the lines, then the wrong predictions of each digit in a line.

    A digit with many wrong predictions has the number of each in place of a list.

    Args:
        mismatches: the images with a wrong prediction.
        say: prints a line.
        marked: indices of images whose predictions get a star.

    Returns:
        Whether there is a star.
    """
    by_digit = mismatches.by_digit()
    counted = any(len(predictions) >= _MAX_LISTED for predictions in by_digit.values())
    many = f"; from {_MAX_LISTED} on, how many of each" if counted else ""
    say(f"mismatches (digit| wrong predictions{many}):" if by_digit else "mismatches: none")
    stars = False
    for digit, predictions in by_digit.items():
        if len(predictions) >= _MAX_LISTED:
            counts = Counter(predicted for predicted, _ in predictions)
            starred = Counter(predicted for predicted, index in predictions if index in marked)
            words = [
                f"{predicted}: {count}" + (f" ({starred[predicted]}*)" if starred[predicted] else "")
                for predicted, count in counts.most_common()
            ]
            say(f"{digit}| {len(predictions)} wrong, {', '.join(words)}")
        else:
            words = [f"{predicted}{'*' * (index in marked)}" for predicted, index in predictions]
            say(f"{digit}| {' '.join(words)}")
        stars = stars or any("*" in word for word in words)
    return stars
