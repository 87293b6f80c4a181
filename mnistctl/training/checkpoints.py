"""A run that is not finished: what it needs to go on, in a folder beside its files."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from mnistctl.artifacts import checkpoint, files
from mnistctl.errors import CheckpointError, OutputError
from mnistctl.training.events import Epoch, GanEpoch

_MAX_KEPT = 2  # checkpoints
_NAME = re.compile(r"epoch-(\d{4,})\.safetensors")


@dataclass
class RunProgress:
    """What is behind a run: when it started, the time it took, its epochs, and after which it was resumed."""

    started: str
    seconds: float = 0.0
    processor_seconds: float = 0.0  # of all threads together
    epochs: list[Epoch | GanEpoch] = field(default_factory=list)
    resumed: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class RunCheckpoint:
    """A checkpoint as it was read."""

    path: Path
    run: dict[str, Any]  # what makes it this run, as its record will tell it
    machine: dict[str, Any]
    options: dict[str, Any]
    command: str
    journal: RunProgress
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class RunCheckpoints:
    """The checkpoints of the run whose files begin with the path `stem`."""

    stem: Path

    @property
    def folder(self) -> Path:
        """Where they stand while the run goes on; it is gone when the run is finished."""
        return files.with_ending(self.stem, "unfinished")

    def begin(self) -> None:
        """Make the folder, and clear it of an earlier run.

        Raises:
            OutputError: it cannot be made.
        """
        self.clear()
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as fault:
            raise OutputError(f"{self.folder}: cannot be made ({files.reason(fault)})") from None
        files.fsync_dir(self.folder.parent)

    def save(self, journal: RunProgress, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Keep the state after the journal's last epoch, and of those before it only the last.

        Raises:
            OutputError: it cannot be written, or the folder is gone: it is not made a second time, since
                whoever took it away may be using its place.
        """
        if not self.folder.is_dir():
            raise OutputError(f"{self.folder}: is gone")
        path = self.folder / f"epoch-{len(journal.epochs):04d}.safetensors"
        checkpoint.save(path, checkpoint.RUN, {**about, "journal": asdict(journal)}, tensors)
        for _, old in self._standing()[:-_MAX_KEPT]:
            old.unlink(missing_ok=True)

    def load(self) -> RunCheckpoint | None:
        """The newest checkpoint; None where there is none.

        Raises:
            CheckpointError: it is damaged. The one before it is not taken in its place: that is for the user
                to say, by deleting it.
        """
        files.remove_stale_temp_files(self.folder)  # of what was being written when the run was killed
        standing = self._standing()
        if not standing:
            return None
        path = standing[-1][1]
        try:
            return _load_checkpoint(path)
        except CheckpointError as fault:
            older = f"delete it to go on after epoch {standing[-2][0]}, or " if len(standing) > 1 else ""
            raise CheckpointError(f"{fault}; {older}give --overwrite to begin anew") from None

    def clear(self) -> None:
        """Delete the checkpoints, the newest first, and the folder unless it holds something else."""
        for _, path in reversed(self._standing()):
            path.unlink(missing_ok=True)
        if self.folder.is_dir():
            files.remove_stale_temp_files(self.folder)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _standing(self) -> list[tuple[int, Path]]:
        named = ((_NAME.fullmatch(path.name), path) for path in self.folder.glob("*"))
        return sorted((int(match[1]), path) for match, path in named if match)


def _load_checkpoint(path: Path) -> RunCheckpoint:
    about, tensors = checkpoint.load(path, checkpoint.RUN)
    try:
        told = about["journal"]
        journal = RunProgress(**told | {"epochs": [_epoch_from_json(row) for row in told["epochs"]]})
        held = RunCheckpoint(
            path, about["run"], about["machine"], about["options"], about["command"], journal, tensors
        )
        epoch = tensors["epoch"].item()
    except (KeyError, TypeError, RuntimeError) as fault:
        raise CheckpointError(f"{path}: not the checkpoint of a run ({fault})") from None
    if len(journal.epochs) != epoch:
        raise CheckpointError(f"{path}: its journal is not of its epoch")
    return held


def _epoch_from_json(told: dict[str, Any]) -> Epoch | GanEpoch:
    return GanEpoch(**told) if "generator" in told else Epoch(**told)
