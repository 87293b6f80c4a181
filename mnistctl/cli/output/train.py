"""A run as it goes: header, a row an epoch, the headline, the mismatches, the paths."""

import json as jsons
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import TextColumn

from mnistctl.artifacts import files
from mnistctl.cli.output.terminal import print_error, print_line, progress_bars, silence_stdout
from mnistctl.errors import OutputError, StoppedError
from mnistctl.models import GENERATORS
from mnistctl.training import events

if TYPE_CHECKING:
    from mnistctl.evaluation.metrics import Mismatches
    from mnistctl.training.run import Event


_NARROW = 60  # columns; below, the rows give up decimals


def print_run(told: Iterable["Event"], *, quiet: bool, json: bool, record: Path, resume_command: str) -> None:
    """Follow a run as it happens: header, a row an epoch, the headline, the mismatches, the paths."""
    say: Callable[..., None] = print_line if not (quiet or json) else lambda *_: None
    wide = Console().width >= _NARROW
    paths: list[str] = []
    from mnistctl.evaluation.metrics import Mismatches

    missed: Mismatches | None = None
    with (
        progress_bars(TextColumn("{task.completed}/{task.total}")) as bars,
        resume_hint(resume_command) as hint,
    ):
        task = bars.add_task("", total=None)
        for event in told:
            match event:
                case events.Started():
                    hint.shown = True
                    for text in _run_header(event):
                        say(text)
                    say(_epoch_columns(event.model, wide), "bold")
                case events.Progress(epoch, done, total) if not bars.disable:
                    bars.update(task, description=f"epoch {epoch}", completed=done, total=total)
                case events.Epoch():
                    say(_epoch_row(event, wide))
                    latest = event
                case events.GanEpoch():
                    say(_gan_row(event, wide))
                case events.AveragedWeights():
                    if not event.recomputed:
                        say(_average_row("last epoch's weights", latest))
                    say(_average_row(_average_name(event), event))
                case Mismatches():
                    missed = event
                case files.Saved(path):
                    paths.append(path)
                case events.Finished():
                    finished = event
                    hint.shown = False
        bars.remove_task(task)
    if finished.already:
        say(f"already done: finished in {finished.seconds:.1f} s; --overwrite does it again")
        paths = [str(record)]
    if finished.accuracy is None:
        say(f"done  ({finished.seconds:.1f} s)", "bold green")
    else:
        say(f"accuracy: {finished.accuracy:.2f} %  ({finished.seconds:.1f} s)", "bold green")
    if missed is not None:
        print_mismatches(missed, say)
    for path in _fold_paths(paths):
        say(f"wrote {path}" if not finished.already else f"see {path}")
    if json:
        body = jsons.loads(record.read_bytes())
        print_line(jsons.dumps(body | {"already": finished.already, "paths": paths}))
    elif quiet and finished.accuracy is not None:
        print_line(f"{finished.accuracy:.2f}")
    elif quiet:
        body = jsons.loads(record.read_bytes())
        print_line(f"{body['discriminator_losses'][-1]:.3f} {body['generator_losses'][-1]:.3f}")


@dataclass
class ResumeHint:
    """Whether an interruption is answered with the command that resumes: once there is something to resume."""

    shown: bool = False


@contextmanager
def resume_hint(command: str, after: str = "the last finished epoch") -> Iterator[ResumeHint]:
    """Add to an error or a signal that leaves the block that `command` continues `after` that point."""
    hint = ResumeHint()
    try:
        yield hint
    except (StoppedError, BrokenPipeError, OutputError) as error:
        if hint.shown:
            note = f"`{command}` continues from {after}"
            if isinstance(error, BrokenPipeError):  # Typer would end the program without a message
                silence_stdout()
                print_error(f"stopped: the output was closed; {note}")
                raise SystemExit(1) from None
            error.add_note(note)
        raise


@contextmanager
def with_resume_hint(after: str = "the last whole epoch") -> Iterator[list[Any]]:
    """Add to what stops the block how what has started goes on; gives the list to put that event into."""
    going: list[Any] = []
    try:
        yield going
    except (StoppedError, BrokenPipeError, OutputError) as fault:
        if going:
            way = f"`{going[0].resume}` goes on from {after}"
            if isinstance(fault, BrokenPipeError):  # of which Typer would end the program without a word
                silence_stdout()
                print_error(f"stopped, since nobody reads on; {way}")
                raise SystemExit(1) from None
            fault.add_note(way)
        raise


def _run_header(event: events.Started) -> list[str]:
    precision = "" if event.precision == "float32" else f", precision: {event.precision}"
    return [
        f"model: {event.model}, {event.parameters:,} parameters",
        f"data: {event.dataset}, {event.digits:,} digits, seed {event.seed}",
        f"epochs: {event.epochs}, batch size: {event.batch_size}, iterations per epoch: {event.iterations}",
        f"device: {event.device}, threads: {event.threads}{precision}",
        *([f"going on after epoch {event.after} of {event.epochs}"] if event.after is not None else []),
    ]


def _epoch_columns(model: str, wide: bool) -> str:
    if model in GENERATORS:
        if wide:
            return "epoch  time      median losses: discriminator  generator  seconds"
        return "  #  time      discr.    gen.      s"
    if wide:
        return "epoch    rate  training loss  test loss  test accuracy  seconds"
    return "  #   rate   loss   test accuracy    s"


def _epoch_row(e: events.Epoch, wide: bool) -> str:
    if wide:
        scores = f"{e.loss:13.6f}  {e.test_loss:9.4f}  {e.accuracy:11.2f} %"
        return f"{e.epoch:5d}  {e.lr:.4f}  {scores}  {e.seconds:7.1f}"
    return f"{e.epoch:3d} {e.lr:.4f} {e.loss:6.4f} {e.test_loss:6.4f}  {e.accuracy:5.2f} % {e.seconds:5.1f}"


def _gan_row(e: events.GanEpoch, wide: bool) -> str:
    clock = e.ended[11:19]
    if wide:
        return f"{e.epoch:5d}  {clock}  {e.discriminator:28.3f}  {e.generator:9.3f}  {e.seconds:7.1f}"
    return f"{e.epoch:3d}  {clock}  {e.discriminator:6.3f}  {e.generator:6.3f}  {e.seconds:5.1f}"


def _fold_paths(paths: list[str]) -> list[str]:
    """The paths in their order, those of a generator's grids in one line."""
    grids = [path for path in paths if path.endswith(".png")]
    if len(grids) < 2:
        return paths
    return [f"{path} to {grids[-1]}" if path == grids[0] else path for path in paths if path not in grids[1:]]


def _average_name(average: events.AveragedWeights) -> str:
    weights = f"average of epochs {average.first}-{average.last}"
    return f"{weights}, batch norm recomputed" if average.recomputed else weights


def _average_row(name: str, scored: events.Epoch | events.AveragedWeights) -> str:
    return f"{name}: test loss {scored.test_loss:.4f}, {scored.accuracy:.2f} %"


def print_mismatches(
    missed: "Mismatches", say: Callable[[str], None], marked: Collection[int] = frozenset()
) -> None:
    """The dictionary of what was misread: a line for each digit that was, a star at the `marked` indices."""
    say("mismatches:" if missed.indices else "mismatches: none")
    for digit, answers in missed.by_digit().items():
        told = (f"{answer}*" if index in marked else str(answer) for answer, index in answers)
        say(f"{digit}| {' '.join(told)}")
