"""The files that a run leaves, and their paths."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from mnistctl.artifacts import files
from mnistctl.artifacts.outputs import ANIMATION, LOG, PICTURE, RECORD, WEIGHTS, Output, check_outputs
from mnistctl.errors import OutputError, UsageError
from mnistctl.training.events import AveragedWeights, Epoch, GanEpoch

_FORMATS = {form.endings[0]: form for form in (WEIGHTS, LOG, PICTURE, ANIMATION, RECORD)}


def output_files(run_path: Path, generator: bool, epochs: int) -> list[Path]:
    """The files of a finished run over so many epochs, of a generator or not; the record is the last one."""
    if generator:
        images = [*grid_paths(run_path, epochs), files.with_ending(run_path, "gif")]
    else:
        images = [files.with_ending(run_path, "png")]
    images.append(curves_path(run_path))
    weights, log, record = (
        files.with_ending(run_path, ending) for ending in ("safetensors", "jsonl", "json")
    )
    return [weights, log, *images, record]


def grid_paths(run_path: Path, epochs: int) -> list[Path]:
    """The images that a GAN's run leaves, one for each epoch: NAME01.png, NAME02.png."""
    digits = max(2, len(str(epochs)))
    return [run_path.with_name(f"{run_path.name}{epoch:0{digits}d}.png") for epoch in range(1, epochs + 1)]


def curves_path(run_path: Path) -> Path:
    """The picture of a run's learning curves: NAME-curves.png."""
    return run_path.with_name(f"{run_path.name}-curves.png")


def check_run_outputs(run_path: Path, generator: bool, epochs: int, *, replace: bool) -> None:
    """Check that all files of a run can be written, before its first step.

    Args:
        run_path: path of the run's files without their endings.
        generator: whether it is the run of a generator.
        epochs: number of epochs.
        replace: whether files of this name belong to the run, so that it may replace them.

    Raises:
        UsageError: a file is of another kind or of another run, or a file exists and `replace` is not set.
        OutputError: a folder has the name of a file, or a name is too long for the file system.
    """
    # Of a million pictures only those that exist matter.
    existing = {path.name for path in run_path.parent.iterdir()}
    grids = set(grid_paths(run_path, epochs)) if generator else set()
    paths = output_files(run_path, generator, epochs)
    shown = [path for path in paths if path.name in existing or path not in grids]
    check_outputs([Output(path, _FORMATS[path.suffix], run=run_path.name) for path in shown])
    require_unused([path for path in shown if path.name in existing], replace=replace)
    folder = files.with_ending(run_path, "unfinished")
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; the run keeps its checkpoints in a folder of this name")


def require_unused(existing: list[Path], *, replace: bool) -> None:
    """Check that a new run finds no files of its name, which then are not of a run that is known.

    Raises:
        UsageError: there are some, and `replace` is not set.
    """
    if existing and not replace:
        message = f"{existing[0]}: exists already, without the record of its run"
        raise UsageError(message, remedies=("overwrite", "name", "out_dir"))


def log_row(event: Epoch | GanEpoch | AveragedWeights) -> str:
    """The line of a log for an event: a JSON object and a line break."""
    name = {"event": "swa"} if isinstance(event, AveragedWeights) else {}
    return json.dumps(name | event.to_json()) + "\n"


def write_log(path: Path, events: Iterable[Epoch | GanEpoch | AveragedWeights]) -> None:
    """Write a whole log: a line for each event.

    Raises:
        OutputError: the file cannot be written.
    """
    files.write(path, "".join(map(log_row, events)))


def append_log(path: Path, event: Epoch | GanEpoch | AveragedWeights) -> None:
    """Append the line of an event to a log, for whoever follows it.

    Raises:
        OutputError: the file cannot be written. It is written again when the run is resumed.
    """
    try:
        with path.open("ab", buffering=0) as file:  # the whole line with one call
            file.write(log_row(event).encode())
    except OSError as error:
        raise files.unwritable(path, error) from None
