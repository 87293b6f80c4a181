"""The checkpoints of an unfinished run, in a folder next to its files: NAME.unfinished."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mnistctl.artifacts import checkpoint, files
from mnistctl.artifacts.bounds import Seconds
from mnistctl.errors import CheckpointError, OutputError
from mnistctl.schema import Schema
from mnistctl.training.events import Epoch, GanEpoch
from mnistctl.training.machine import MachineInfo
from mnistctl.training.options import RunOptions, saved_options
from mnistctl.training.record import Resumption, RunSettings

_KEEP = 2  # the newest checkpoints; older ones are deleted
# The rows of the epochs are not in the header, whose size is limited, but in this tensor: the bytes of JSON.
_ROWS, _ROWS_TENSOR = ("epochs", "gan_epochs"), "rows"
_NAME = re.compile(r"epoch-(\d{4,})\.safetensors")


@dataclass(kw_only=True)
class RunProgress(Schema):
    """How far a run is.

    Args:
        started: when it was started, ISO 8601 in UTC.
        seconds: wall-clock time of all sessions.
        processor_seconds: processor time of all threads.
        epochs: the finished epochs of a classifier.
        gan_epochs: the finished epochs of a GAN.
        resumed: each time that the run was resumed.
    """

    started: str
    seconds: Seconds = 0.0
    processor_seconds: Seconds = 0.0
    epochs: list[Epoch] = field(default_factory=list)
    gan_epochs: list[GanEpoch] = field(default_factory=list)
    resumed: list[Resumption] = field(default_factory=list)

    @property
    def all_epochs(self) -> list[Epoch | GanEpoch]:
        """The finished epochs, of whichever kind they are."""
        return [*self.epochs, *self.gan_epochs]

    def add(self, epoch: Epoch | GanEpoch) -> None:
        """Append a finished epoch."""
        if isinstance(epoch, GanEpoch):
            self.gan_epochs.append(epoch)
        else:
            self.epochs.append(epoch)


@dataclass(frozen=True, kw_only=True)
class CheckpointHeader(Schema):
    """What the checkpoint of an unfinished run holds, apart from its tensors.

    Args:
        command: the command that started the run.
        options: the options it was started with.
        settings: what the options and the machine gave.
        machine: the machine it ran on.
        progress: how far it was.
    """

    command: str
    options: RunOptions
    settings: RunSettings
    machine: MachineInfo
    progress: RunProgress

    def __post_init__(self) -> None:
        settings, epochs = self.settings, self.progress.all_epochs
        if [epoch.epoch for epoch in epochs] != [*range(1, len(epochs) + 1)]:
            raise ValueError("progress: the epochs are not numbered 1, 2, 3 and so on")
        if len(epochs) > settings.recipe.epochs:
            raise ValueError(f"progress: {len(epochs)} epochs of {settings.recipe.epochs}")
        kind = GanEpoch if settings.generator else Epoch
        if not all(isinstance(epoch, kind) for epoch in epochs):
            raise ValueError(f"progress: epochs of another kind of model than {settings.model}")
        for name, value in saved_options(settings).items():
            if getattr(self.options, name) not in (None, value):
                raise ValueError(f"options.{name}: differs from the settings")


@dataclass(frozen=True)
class RunCheckpoint:
    """The checkpoint at `path`, read from there: its header and its tensors."""

    path: Path
    header: CheckpointHeader
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class RunCheckpoints:
    """The checkpoints of the run whose files begin with `run_path`."""

    run_path: Path

    @property
    def folder(self) -> Path:
        """Their folder. It exists while the run is unfinished."""
        return files.with_ending(self.run_path, "unfinished")

    @property
    def log(self) -> Path:
        """The log of the unfinished run, which grows by a line an epoch. The checkpoints do not need it."""
        return self.folder / "log.jsonl"

    def create_folder(self) -> None:
        """Create the folder, without the checkpoints of an earlier run.

        Raises:
            OutputError: it cannot be created.
        """
        self.clear()
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise files.unwritable(self.folder, error, what="created") from None
        files.fsync_dir(self.folder.parent)

    def save(self, header: CheckpointHeader, tensors: dict[str, Tensor]) -> None:
        """Write the checkpoint after the last finished epoch, and delete all but the one before.

        Raises:
            OutputError: it cannot be written, or the folder is gone. The folder is not created again: whoever
                deleted it may be using its name.
        """
        if not self.folder.is_dir():
            raise OutputError(f"{self.folder}: was deleted")
        path = self.folder / f"epoch-{len(header.progress.all_epochs):04d}.safetensors"
        body = header.to_json()
        rows = {name: body["progress"].pop(name) for name in _ROWS}
        checkpoint.save(path, checkpoint.RUN, body, tensors | {_ROWS_TENSOR: _to_tensor(rows)})
        for _, old in self._list()[:-_KEEP]:
            old.unlink(missing_ok=True)

    def load(self) -> RunCheckpoint | None:
        """Read the newest checkpoint; None if there is none.

        Raises:
            CheckpointError: it is damaged. The checkpoint before it is never used instead: that is the user's
                decision, made by deleting the damaged one.
        """
        files.remove_stale_temp_files(self.folder)  # of a checkpoint whose writing was interrupted
        while existing := self._list():
            path = existing[-1][1]
            try:
                return _read(path)
            except CheckpointError as error:
                if not path.exists():  # its run went on or ended, while another process lists the runs
                    continue
                message = error.message
                if len(existing) > 1:
                    message = f"{message}; delete it to continue after epoch {existing[-2][0]}"
                raise CheckpointError(message, remedies=("overwrite",)) from None
        return None

    def clear(self) -> None:
        """Delete the checkpoints, the newest first, the log, and the folder unless it holds other files."""
        for _, path in reversed(self._list()):
            path.unlink(missing_ok=True)
        if self.folder.is_dir():
            self.log.unlink(missing_ok=True)
            files.remove_stale_temp_files(self.folder)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _list(self) -> list[tuple[int, Path]]:
        """The checkpoints by epoch: (epoch, path)."""
        matches = ((_NAME.fullmatch(path.name), path) for path in self.folder.glob("*"))
        return sorted((int(match[1]), path) for match, path in matches if match)


def _read(path: Path) -> RunCheckpoint:
    body, tensors = checkpoint.load(path, checkpoint.RUN)
    try:
        if _ROWS_TENSOR in tensors:
            body["progress"] = body["progress"] | _from_tensor(tensors.pop(_ROWS_TENSOR))
        header = CheckpointHeader.from_json(body)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not the checkpoint of a run ({error})") from None
    epoch = tensors.get("epoch")
    if epoch is None or epoch.numel() != 1 or epoch.item() != len(header.progress.all_epochs):
        raise CheckpointError(f"{path}: the header is not of its epoch")
    return RunCheckpoint(path, header, tensors)


def _to_tensor(rows: dict[str, list[object]]) -> Tensor:
    """The rows of the epochs as bytes, uint8 [N]."""
    return torch.frombuffer(bytearray(json.dumps(rows).encode()), dtype=torch.uint8)


def _from_tensor(tensor: Tensor) -> dict[str, object]:
    """The rows of the epochs from `_to_tensor`.

    Raises:
        ValueError: the tensor has something else.
    """
    rows = files.parse_json(tensor.numpy().tobytes())
    if not isinstance(rows, dict) or not rows.keys() <= set(_ROWS):
        raise ValueError("progress: no rows of epochs")
    return rows
