"""The nets that the trials of a sweep have trained, in files beside the journal: NAME.nets.

They are kept until the winner's were scored on the test set. Then those of the other arms are deleted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mnistctl.artifacts import checkpoint, files
from mnistctl.errors import CheckpointError
from mnistctl.trials.scheduler import TrialKey


@dataclass(frozen=True)
class KeptNets:
    """The nets of the trials whose files begin with `run_path`."""

    run_path: Path

    @property
    def folder(self) -> Path:
        """Their folder."""
        return files.with_ending(self.run_path, "nets")

    def path(self, key: TrialKey) -> Path:
        """The file of the net of a trial. The name of a model may be as long as that of a file."""
        model, seed = key
        end = f"-seed{seed}.safetensors"
        limit = files.max_name_bytes(self.run_path.parent) - len(end)
        return self.folder / f"{files.shorten(model, limit)}{end}"

    def save(self, key: TrialKey, content: bytes) -> None:
        """Write the net of a trial as a worker sent it: the contents of a checkpoint.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise files.unwritable(self.folder, error, what="created") from None
        files.write(self.path(key), content)

    def has(self, key: TrialKey, digest: str) -> bool:
        """Whether the net of a trial is there, with the weights of this digest."""
        try:
            _, weights = checkpoint.load(self.path(key), checkpoint.NET)
        except CheckpointError:
            return False
        return checkpoint.digest(weights) == digest

    def delete(self, *, keep: Iterable[TrialKey] = ()) -> None:
        """Delete the nets except those of the trials `keep`, and the folder unless it has other files."""
        if not self.folder.is_dir():
            return
        files.remove_stale_temp_files(self.folder)
        kept = {self.path(key) for key in keep}
        for path in self.folder.glob("*-seed*.safetensors"):
            if path not in kept:
                path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()
