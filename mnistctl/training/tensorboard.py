"""A run's figures and grids for TensorBoard, as its events tell them, in a folder beside its files."""

import os
import struct
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistctl.artifacts import files
from mnistctl.errors import OutputError, UsageError
from mnistctl.training import events, outputs

if TYPE_CHECKING:
    from mnistctl.training.run import Event


_PREFIX = "events.out.tfevents."  # by which TensorBoard knows its files
Row = events.Epoch | events.GanEpoch | events.AveragedWeights


def folder(stem: Path) -> Path:
    """Where they stand, of the run whose files begin with the path `stem`."""
    return files.with_ending(stem, "tensorboard")


def require_installed() -> None:
    """See that what it takes is installed.

    Raises:
        UsageError: it is not.
    """
    if find_spec("tensorboard") is None:
        raise UsageError("--tensorboard needs TensorBoard: pip install 'mnistctl[tensorboard]'")


def log_to_tensorboard(told: "Iterable[Event]", stem: Path, *, asked: bool) -> "Iterator[Event]":
    """Pass on what is told of a run, and write it for TensorBoard if that is `asked`.

    A run that goes on tells its earlier epochs once more, so what stood there is replaced, never added to.
    If it is not asked, what an earlier run of that name left goes when this one is finished.

    Raises:
        OutputError: it cannot be written.
    """
    board: _EventFile | None = None
    for event in told:
        match event:
            case events.Started() if asked:
                _remove_logs(folder(stem))
                board = _EventFile(stem, event)
            case events.Epoch() | events.GanEpoch() | events.AveragedWeights() if board is not None:
                board.add(event)
            case events.Finished() if board is not None:
                yield files.Saved(str(folder(stem)))
            case events.Finished() if not event.already:
                _remove_logs(folder(stem))
        yield event


class _EventFile:
    """A file of TensorBoard's to which each row is added, flushed at once.

    TensorBoard's own writer would do it in a thread, where a full disk ends in a traceback.
    """

    def __init__(self, stem: Path, started: events.Started) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._grids = outputs.grid_paths(stem, started.epochs)
        self._path = folder(stem) / f"{_PREFIX}{time.time_ns() // 10**9}.{os.getpid()}"
        self._earlier, self._retold = started.after or 0, []  # type: int, list[Row]
        self._write([self._event(wall_time=time.time(), file_version="brain.Event:2")])

    def add(self, row: Row) -> None:
        """Add what is told of an epoch; those of earlier sittings as if they had just ended, one by one."""
        self._retold.append(row)
        if len(self._retold) < self._earlier:
            return
        self._earlier = 0
        ended = time.time() - sum(row.seconds for row in self._retold)
        made = []
        for each in self._retold:
            ended += each.seconds
            made.append(self._event(wall_time=ended, step=_step(each), summary=self._summed(each)))
        self._retold = []
        self._write(made)

    def _summed(self, row: Row) -> Any:
        values = [self._summary.Value(tag=tag, simple_value=value) for tag, value in _scalars(row).items()]
        if isinstance(row, events.GanEpoch) and (grid := self._grids[row.epoch - 1]).exists():
            content = grid.read_bytes()
            width, height = struct.unpack(">II", content[16:24])  # where every PNG has them
            image = self._summary.Image(
                height=height, width=width, colorspace=1, encoded_image_string=content
            )
            values.append(self._summary.Value(tag="grid", image=image))
        return self._summary(value=values)

    def _write(self, made: list[Any]) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        try:
            self._path.parent.mkdir(exist_ok=True)
            with self._path.open("ab") as file:
                for event in made:
                    RecordWriter(file).write(event.SerializeToString())
        except OSError as fault:
            raise OutputError(f"{self._path.parent}: cannot be written ({files.reason(fault)})") from None


def _step(row: Row) -> int:
    return row.last if isinstance(row, events.AveragedWeights) else row.epoch


def _scalars(row: Row) -> dict[str, float]:
    match row:
        case events.Epoch():
            return {
                "loss/training": row.loss,
                "loss/test": row.test_loss,
                "accuracy/test": row.accuracy,
                "lr": row.lr,
            }
        case events.GanEpoch():
            return {"loss/discriminator": row.discriminator, "loss/generator": row.generator}
        case events.AveragedWeights():
            name = "average, recomputed" if row.recomputed else "average"
            return {f"loss/{name}": row.test_loss, f"accuracy/{name}": row.accuracy}


def _remove_logs(place: Path) -> None:
    """Delete what TensorBoard's writers left there, and the folder unless it holds something else."""
    if place.is_dir():
        for path in place.glob(f"{_PREFIX}*"):
            path.unlink(missing_ok=True)
        if not any(place.iterdir()):
            place.rmdir()
