"""Which trials to run."""

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from mnistctl.artifacts import files
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.models.sources import Model, check_distinct, to_model
from mnistctl.training.options import RunOptions
from mnistctl.trials.journal import MAX_TRIALS, JournalHeader, TrialsJournal
from mnistctl.trials.scheduler import TrialKey

# The options that a resumed session takes from the journal, unless this session sets them.
_SAVED_FIELDS = ("epochs", "batch_size", "lr", "seed", "dataset", "data_dir", "device", "precision")
_MAX_NAME = 120  # characters of the default name


@dataclass(frozen=True, kw_only=True)
class TrialsOptions:
    """Which trials to run.

    Args:
        models: the models, or their names, or the paths of their recipe files.
        count: number of seeds, each of which every model is trained from; None for that of the journal.
        options: options of every run; its seed is the first one.
    """

    models: tuple[Model, ...]
    count: int | None
    options: RunOptions

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", tuple(map(to_model, self.models)))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the models."""
        return tuple(model.name for model in self.models)

    @property
    def run_path(self) -> Path:
        """The path of the trials' files without their endings: `out/trials/swa`.

        Raises:
            UsageError: the name is not a plain file name.
        """
        folder = self.options.out_dir / "trials"
        return replace(self.options, out_dir=folder).run_path(_joined(self.names))

    @property
    def journal_path(self) -> Path:
        """The path of the journal."""
        return files.with_ending(self.run_path, "jsonl")

    @property
    def first_seed(self) -> int:
        """The first seed."""
        return int(self.options.get("seed"))

    def keys(self) -> list[TrialKey]:
        """Model and seed of all trials, in the order in which they start."""
        assert self.count is not None
        seeds = range(self.first_seed, self.first_seed + self.count)
        return [(model, seed) for seed in seeds for model in self.names]

    def check(self) -> None:
        """Check the models and the numbers.

        Raises:
            UsageError: a model does not exist or is named twice, or a number is out of range.
        """
        for model in self.models:
            self.options.classifier_recipe(model)
        check_distinct(self.models)
        if self.count is not None and not 1 <= self.count <= MAX_TRIALS:
            raise UsageError(f"give 1 to {MAX_TRIALS:,}", field="count", value=self.count)
        if self.first_seed + (self.count or 1) >= 2**63:
            raise UsageError("too large", field="seed", value=self.first_seed)

    def saved_options(self) -> RunOptions:
        """The options that the journal saves: without those that only say where its files are."""
        values = {field: getattr(self.options, field) for field in _SAVED_FIELDS}
        return RunOptions(**values | {"data_dir": self.options.get("data_dir")})

    def with_saved(self, journal: TrialsJournal, path: Path) -> "TrialsOptions":
        """These options, with those of the journal at `path` where they are None.

        Raises:
            CheckpointError: the journal has other models, another first seed, or more seeds.
        """
        header = journal.header
        models = self._with_saved_settings(header)
        if header.models != tuple(model.name for model in models):
            message = f"{path}: has trials of {' '.join(header.models)}"
            raise CheckpointError(message, remedies=("name",))
        current = {field: getattr(self.options, field) for field in _SAVED_FIELDS}
        current = {field: value for field, value in current.items() if value is not None}
        saved = {field: getattr(header.options, field) for field in _SAVED_FIELDS}
        options = TrialsOptions(
            models=models,
            count=self.count or journal.count,
            options=replace(self.options, **saved | current),
        )
        if options.first_seed != header.seed:
            message = f"the trials in {path} start at seed {header.seed}"
            raise CheckpointError(message, field="seed", value=options.first_seed)
        if options.count is not None and options.count < journal.count:
            message = f"{path} has {journal.count} trials of each model; leave the option out"
            raise CheckpointError(message, field="count", value=options.count)
        return options

    def _with_saved_settings(self, header: JournalHeader) -> tuple[Model, ...]:
        """The models; those without settings have the ones that the journal saves at their place."""
        origins = [header.settings.origins.get(name) for name in header.models]
        if any(model.settings for model in self.models) or len(origins) != len(self.models):
            return self.models
        return tuple(
            model.with_settings({} if origin is None else origin.settings)
            for model, origin in zip(self.models, origins, strict=True)
        )


def _joined(names: tuple[str, ...]) -> str:
    """The names as the name of a file: shortened to a digest where they are long."""
    joined = "-".join(names)
    if len(joined) <= _MAX_NAME:
        return joined
    return f"{joined[: _MAX_NAME // 2]}-{sha256(joined.encode()).hexdigest()[:12]}"
