"""Which trials to run."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mnistctl.errors import CheckpointError, UsageError
from mnistctl.training.options import RunOptions
from mnistctl.trials.executors import Backend
from mnistctl.trials.journal import TrialsJournal

_SAVED_FIELDS = ("epochs", "batch_size", "lr", "seed", "dataset", "data_dir", "device", "precision")
_PLACE_FIELDS = ("name", "out_dir", "data_dir")
_MAX_TRIALS = 1_000_000  # trials of a model


@dataclass(frozen=True, kw_only=True)
class TrialsOptions:
    """Which trials are asked for: models, the number of seeds of each, and train's options for all."""

    models: tuple[str, ...]
    count: int | None
    options: RunOptions

    @property
    def stem(self) -> Path:
        """The path of the trials' files, less their endings.

        Raises:
            UsageError: the name is not that of a file.
        """
        folder = self.options.out_dir / "trials"
        return replace(self.options, out_dir=folder).run_path("-".join(self.models))

    @property
    def first(self) -> int:
        """The first seed."""
        return int(self.options.get("seed"))

    def check(self) -> None:
        """See that there are such models, and that the numbers are in range.

        Raises:
            UsageError: not so.
        """
        for model in self.models:
            self.options.classifier_recipe(model)
        if len(set(self.models)) < len(self.models):
            raise UsageError("a model is named twice; -n gives the number of its trials")
        if self.count is not None and not 1 <= self.count <= _MAX_TRIALS:
            raise UsageError(f"-n {self.count}: give 1 to {_MAX_TRIALS:,}")
        if self.first + (self.count or 1) >= 2**63:
            raise UsageError(f"--seed {self.first}: give less")

    def command(self, *more: str) -> str:
        """What repeats the trials, wherever their folders are."""
        told = self.options.to_argv(lambda field: field not in ("out_dir", "data_dir"))
        return " ".join([*self._words(), f"-n {self.count}", *told, *more])

    def resume(self, place: Backend) -> str:
        """What goes on with them, in the same place."""
        found = _PLACE_FIELDS if self.options.name is not None else ("dataset", *_PLACE_FIELDS)
        told = self.options.to_argv(lambda field: field in found)
        return " ".join([*self._words(), *told, *place.words, "--resume"])

    def _words(self) -> list[str]:
        return ["mnistctl trials", *self.models]

    def to_dict(self) -> dict[str, Any]:
        """The options as the record keeps them, for `joined`."""
        kept = {field: getattr(self.options, field) for field in _SAVED_FIELDS}
        return kept | {"data_dir": str(self.options.get("data_dir"))}

    def with_saved(self, standing: TrialsJournal, path: Path) -> "TrialsOptions":
        """What a record was asked for, where nothing else is asked for now.

        Raises:
            CheckpointError: it is of other models or seeds, or of more of them.
        """
        header, kept = standing.header, standing.header["asked"]
        if tuple(header["models"]) != self.models:
            raise CheckpointError(f"{path}: has trials of {' '.join(header['models'])}; give another --name")
        theirs = {field: kept[field] for field in _SAVED_FIELDS}
        ours = {field: getattr(self.options, field) for field in _SAVED_FIELDS}
        joined = theirs | {field: value for field, value in ours.items() if value is not None}
        joined["data_dir"] = Path(joined["data_dir"])
        asked = TrialsOptions(
            models=self.models,
            count=self.count or standing.count,
            options=replace(self.options, **joined),
        )
        if asked.first != header["seed"]:
            raise CheckpointError(
                f"{path}: --seed {asked.first} is asked for, the trials begin at {header['seed']}"
            )
        if asked.count is not None and asked.count < standing.count:
            raise CheckpointError(
                f"{path}: -n {self.count} is asked for, it has {standing.count}; leave it out"
            )
        return asked
