"""Which trials to run."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal

from mnistctl.artifacts import files
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.evaluation.sequential import StoppingRule
from mnistctl.models.sources import Model, check_distinct, to_model
from mnistctl.nn.seeding import MAX_SEED
from mnistctl.schema import check_options
from mnistctl.training.options import RunOptions
from mnistctl.trials.entries import MAX_TRIALS, JournalHeader
from mnistctl.trials.journal import TrialsJournal
from mnistctl.trials.scheduler import TrialKey
from mnistctl.trials.sweep import Sweep
from mnistctl.trials.worker import arms_of

# The options that a resumed session takes from the journal, unless this session sets them.
_SAVED_FIELDS = (
    *("epochs", "batch_size", "lr", "seed", "dataset", "data_dir", "holdout", "device", "precision"),
)
_MAX_NAME = 120  # characters of the default name


@dataclass(frozen=True, kw_only=True)
class TrialsOptions:
    """Which trials to run.

    Args:
        models: the models, or their names, or the paths of their recipe files.
        count: number of seeds, each of which every model is trained from; None for that of the journal.
        options: options of every run; its seed is the first one.
        until: "settled" to add seeds only until the comparison of the two arms is settled, at most `count`.
        margin: in points; with `until`, arms that differ by less count as equal.
        sweep: the settings that are varied, if the models are the arms of a sweep.

    Raises:
        UsageError: a value has another type, or a model does not exist.
    """

    models: tuple[Model, ...]
    count: int | None
    options: RunOptions
    until: Literal["settled"] | None = None
    margin: float | None = None
    sweep: Sweep | None = None

    def __post_init__(self) -> None:
        models: object = self.models
        if isinstance(models, str) or not isinstance(models, Iterable) or not models:
            message = "give a list of one model or more"
            raise UsageError(message, field="models", value=f"{models!r:.40}")
        object.__setattr__(self, "models", tuple(map(to_model, self.models)))
        check_options(self, "count", "options", "margin", "sweep")
        if self.until not in (None, "settled"):
            raise UsageError("give 'settled' or None", field="until", value=repr(self.until))

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
        names = self.names if self.sweep is None else (self.sweep.baseline, "vary", *self.sweep.values)
        return replace(self.options, out_dir=folder).run_path(_joined(names))

    @property
    def journal_path(self) -> Path:
        """The path of the journal."""
        return files.with_ending(self.run_path, "jsonl")

    @property
    def stopping(self) -> StoppingRule | None:
        """When the comparison of the two arms is settled; None to run all trials."""
        return None if self.until is None or self.margin is None else StoppingRule(margin=self.margin)

    @property
    def first_seed(self) -> int:
        """The first seed."""
        return self.options.get("seed")

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
        for key in () if self.sweep is None else self.sweep.values:
            if getattr(self.options, key, None) is not None:
                message = "is given as an option of all arms, too"
                raise UsageError(message, field="vary", value=key, remedies=("settings",))
        if self.count is not None and not 1 <= self.count <= MAX_TRIALS:
            raise UsageError(f"give 1 to {MAX_TRIALS:,}", field="count", value=self.count)
        if self.first_seed > (most := MAX_SEED - (self.count or 1)):
            raise UsageError(f"give {most:,} or less", field="seed", value=self.first_seed)
        self._check_stopping()

    def _check_stopping(self) -> None:
        if self.margin is not None and not 0 < self.margin < 100:
            message = "give a number of points above 0 and below 100"
            raise UsageError(message, field="margin", value=f"{self.margin:g}")
        if self.until is None:
            if self.margin is not None:
                message = "applies only to trials that end when their comparison is settled"
                raise UsageError(message, field="margin", value=f"{self.margin:g}", remedies=("until",))
            return
        if self.margin is None:
            message = "say which difference, in points, is too small to matter"
            raise UsageError(message, field="until", value=self.until, remedies=("margin",))
        sweep = self.sweep is not None
        arms = [arm for model in self.models for arm in arms_of(model, sweep=sweep)]
        if len(arms) != 2:
            message = f"compares two arms, and these trials have {len(arms)}"
            raise UsageError(message, field="until", value=self.until)
        fewest = StoppingRule(margin=self.margin).fewest_pairs
        if self.count is not None and self.count < fewest:
            message = f"{fewest} pairs are the fewest that can settle a comparison"
            raise UsageError(message, field="count", value=self.count)

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
        if self.sweep not in (None, header.sweep):
            saved_sweep = "no sweep" if header.sweep is None else " ".join(header.sweep.assignments())
            message = f"{path}: has other values ({saved_sweep:.200}); leave the option out"
            raise CheckpointError(message, field="vary", value=" ".join(self.sweep.assignments())[:80])
        models = self._with_saved_settings(header)
        if header.models != tuple(model.name for model in models):
            message = f"{path}: has trials of {' '.join(header.models)}"
            raise CheckpointError(message, remedies=("name",))
        current = {field: getattr(self.options, field) for field in _SAVED_FIELDS}
        current = {field: value for field, value in current.items() if value is not None}
        saved = {field: getattr(header.options, field) for field in _SAVED_FIELDS}
        self._check_saved_stopping(header, path)
        options = TrialsOptions(
            models=models,
            count=self.count or journal.count,
            options=replace(self.options, **saved | current),
            sweep=header.sweep,
            until=None if header.stopping is None else "settled",
            margin=None if header.stopping is None else header.stopping.margin,
        )
        if options.first_seed != header.seed:
            message = f"the trials in {path} start at seed {header.seed}"
            raise CheckpointError(message, field="seed", value=options.first_seed)
        if options.count is not None and options.count < journal.count:
            message = f"{path} has {journal.count} trials of each model; leave the option out"
            raise CheckpointError(message, field="count", value=options.count)
        if options.count != journal.count and journal.winner is not None:
            message = f"the winner of the sweep in {path} was scored on the test set; no seeds can be added"
            raise CheckpointError(message, field="count", value=options.count, remedies=("name",))
        return options

    def _check_saved_stopping(self, header: JournalHeader, path: Path) -> None:
        """Check `until` and `margin`, which are fixed before the first trial.

        Raises:
            CheckpointError: those of the journal differ.
        """
        saved = header.stopping
        if saved is None and self.until is not None:
            message = f"the trials in {path} were started without it"
            raise CheckpointError(message, field="until", value=self.until)
        if saved is not None and self.margin not in (None, saved.margin):
            message = f"the trials in {path} were started with {saved.margin:g}"
            raise CheckpointError(message, field="margin", value=f"{self.margin:g}")

    def _with_saved_settings(self, header: JournalHeader) -> tuple[Model, ...]:
        """The models; those without settings have the ones that the journal saves at their place."""
        origins = [header.settings.origins.get(name) for name in header.models]
        if header.sweep is not None and self.sweep is None and len(self.models) == 1:
            (model,) = self.models
            return tuple(model.with_settings({} if origin is None else origin.settings) for origin in origins)
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
