"""TensorBoard logs of a run, written from its events to a folder next to its files: NAME.tensorboard."""

import os
import struct
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistctl.artifacts import files
from mnistctl.errors import UsageError
from mnistctl.training import events, outputs

if TYPE_CHECKING:
    from mnistctl.training.run import Event


_PREFIX = "events.out.tfevents."  # TensorBoard reads only files with this prefix
Row = events.Epoch | events.GanEpoch | events.AveragedWeights


def log_dir(run_path: Path) -> Path:
    """The folder of the logs of the run whose files begin with `run_path`."""
    return files.with_ending(run_path, "tensorboard")


def require_installed() -> None:
    """Check that TensorBoard is installed.

    Raises:
        UsageError: it is not.
    """
    if find_spec("tensorboard") is None:
        raise UsageError("TensorBoard is not installed; run pip install tensorboard")


def log_to_tensorboard(run: "Iterable[Event]", run_path: Path, *, enabled: bool) -> "Iterator[Event]":
    """Pass on the events of a run, and log them if `enabled`.

    A resumed run repeats the events of its earlier epochs, so its log is written again from the start, and
    each epoch is in it once. If not `enabled`, the logs of an earlier run of this name are deleted when this
    one is finished.

    Args:
        run: the events of a run.
        run_path: path of the run's files without their endings.
        enabled: whether to log them.

    Raises:
        OutputError: the logs cannot be written.
    """
    log: _EventFile | None = None
    for event in run:
        match event:
            case events.Started() if enabled:
                _delete_logs(log_dir(run_path))
                log = _EventFile(run_path, event)
            case events.Epoch() | events.GanEpoch() | events.AveragedWeights() if log is not None:
                log.add(event)
            case events.Finished() if log is not None:
                yield files.Saved(str(log_dir(run_path)))
            case events.Finished() if not event.already:
                _delete_logs(log_dir(run_path))
        yield event


class _EventFile:
    """A TensorBoard event file. Each row is on disk when `add` returns.

    TensorBoard's own writer works in a thread, where a full disk ends in a traceback.
    """

    def __init__(self, run_path: Path, started: events.Started) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._grids = outputs.grid_paths(run_path, started.epochs)
        self._path = log_dir(run_path) / f"{_PREFIX}{time.time_ns() // 10**9}.{os.getpid()}"
        self._n_repeated = started.resumed_after or 0
        self._repeated: list[Row] = []
        self._write([self._event(wall_time=time.time(), file_version="brain.Event:2")])

    def add(self, row: Row) -> None:
        """Log an epoch. Those of earlier sessions get times as if they had just run one after the other."""
        self._repeated.append(row)
        if len(self._repeated) < self._n_repeated:
            return
        self._n_repeated = 0
        ended = time.time() - sum(each.seconds for each in self._repeated)
        logged = []
        for each in self._repeated:
            ended += each.seconds
            logged.append(self._event(wall_time=ended, step=_step(each), summary=self._summarize(each)))
        self._repeated = []
        self._write(logged)

    def _summarize(self, row: Row) -> Any:
        values = [self._summary.Value(tag=tag, simple_value=value) for tag, value in _scalars(row).items()]
        if isinstance(row, events.GanEpoch) and (grid := self._grids[row.epoch - 1]).exists():
            content = grid.read_bytes()
            width, height = struct.unpack(">II", content[16:24])  # of the header chunk that begins every PNG
            image = self._summary.Image(
                height=height, width=width, colorspace=1, encoded_image_string=content
            )
            values.append(self._summary.Value(tag="grid", image=image))
        return self._summary(value=values)

    def _write(self, logged: list[Any]) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        try:
            self._path.parent.mkdir(exist_ok=True)
            with self._path.open("ab") as file:
                for event in logged:
                    RecordWriter(file).write(event.SerializeToString())
        except OSError as error:
            raise files.unwritable(self._path.parent, error) from None


def _step(row: Row) -> int:
    return row.last if isinstance(row, events.AveragedWeights) else row.epoch


def _scalars(row: Row) -> dict[str, float]:
    match row:
        case events.Epoch():
            return {
                "loss/training": row.loss,
                f"loss/{row.scored}": row.scored_loss,
                f"accuracy/{row.scored}": row.accuracy,
                "lr": row.lr,
            }
        case events.GanEpoch():
            return {"loss/discriminator": row.discriminator_loss, "loss/generator": row.generator_loss}
        case events.AveragedWeights():
            name = "average, recomputed" if row.recomputed else "average"
            name += "" if row.scored == "test" else f", {row.scored}"
            return {f"loss/{name}": row.scored_loss, f"accuracy/{name}": row.accuracy}


def _delete_logs(folder: Path) -> None:
    """Delete the event files in `folder`, and the folder unless it holds other files."""
    if folder.is_dir():
        for path in folder.glob(f"{_PREFIX}*"):
            path.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
