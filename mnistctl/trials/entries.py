"""The lines of a journal of trials: its header, then trials, later sessions, and the winner of a sweep."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from msgspec import Meta

from mnistctl.artifacts.bounds import Count, Percent
from mnistctl.data.holdout import HeldOut
from mnistctl.errors import plural
from mnistctl.evaluation.sequential import StoppingRule
from mnistctl.models.sources import Origin
from mnistctl.models.summary import RecipeSummary
from mnistctl.schema import Schema
from mnistctl.training.machine import MachineInfo
from mnistctl.training.options import RunOptions
from mnistctl.training.record import DatasetFiles
from mnistctl.trials import version1
from mnistctl.trials.sweep import Sweep
from mnistctl.trials.task import ResultChecker, TrialResult

VERSION = 2  # of the format; version 1 is read as well
MAX_TRIALS = 1_000_000  # per model


@dataclass(frozen=True, kw_only=True)
class SharedSettings(Schema):
    """The settings that are the same for all trials of a journal.

    Args:
        arms: by model, the name of each arm and the model whose recipe it trains.
        recipes: the recipes that the arms train, by model.
        precision: "float32" or "bf16".
        device: kind of the device: "cpu", "cuda" or "mps".
        threads: number of processor threads of a trial.
        dataset: the data set.
        versions: versions of mnistctl, torch, numpy and Python.
        origins: by model, where a recipe came from that is not shipped, and what was changed in it.
        holdout: the training digits that were scored in the place of the test digits; None for none.
    """

    arms: dict[str, dict[str, str]]
    recipes: dict[str, RecipeSummary]
    precision: str
    device: str
    threads: int
    dataset: DatasetFiles
    versions: dict[str, str]
    origins: dict[str, Origin] = field(default_factory=dict)
    holdout: HeldOut | None = None


@dataclass(frozen=True)
class Arm:
    """A column of the result.

    Args:
        label: name of the arm, unique among the arms of a journal.
        model, name: the model of the trials, and the arm's name in them.
        recipe: the model whose recipe it trains.
    """

    label: str
    model: str
    name: str
    recipe: str


@dataclass(frozen=True, kw_only=True)
class JournalHeader(Schema):
    """The first line of a journal.

    Args:
        version: version of the format.
        command: command line that started the trials.
        started: when, UTC, ISO 8601.
        models: the models.
        seed: the first seed.
        count: number of seeds, which may grow when the trials are resumed.
        options: the options that started the trials.
        settings: what the options, the recipes and the machine determined.
        support: number of scored images of each digit.
        machine: hardware and system.
        stopping: when the comparison of the two arms is settled, so that no more trials are needed; None to
            run all of them.
        sweep: the settings that are varied, if the models are the arms of a sweep.
        parts: the commands of the parts, if these trials were joined.
    """

    version: int = VERSION
    command: str = ""
    started: str
    models: tuple[str, ...]
    seed: Count
    count: Annotated[int, Meta(ge=1, le=MAX_TRIALS)]
    options: RunOptions
    settings: SharedSettings
    support: tuple[Count, ...]
    machine: MachineInfo
    stopping: StoppingRule | None = None
    sweep: Sweep | None = None
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.support) != 10:
            raise ValueError(f"support: {len(self.support)} counts instead of 10")
        if sorted(self.models) != sorted(self.settings.arms):
            raise ValueError("models: not those of settings.arms")
        if self.sweep is not None and tuple(self.sweep.arms) != self.models:
            raise ValueError("models: not the arms of the sweep")
        if self.stopping is not None and (count := len(self.arms())) != 2:
            raise ValueError(f"stopping: {plural(count, 'arm')} instead of 2")
        if self.stopping is not None and not sum(self.support):
            raise ValueError("support: no test images")

    def arms(self) -> tuple[Arm, ...]:
        """All arms. One of several models has the model in its label, unless it is called as the model."""
        if self.sweep is not None:
            return tuple(Arm(self.sweep.label(model), model, model, model) for model in self.models)
        return tuple(
            Arm(name if len(self.models) == 1 or name == model else f"{model} {name}", model, name, recipe)
            for model in self.models
            for name, recipe in self.settings.arms[model].items()
        )

    @property
    def has_winner(self) -> bool:
        """Whether the nets of the best arm are scored on the test set at the end, which chose nothing."""
        return self.sweep is not None and self.stopping is None and self.settings.holdout is not None

    def result_checker(self, *, nets: bool = False) -> ResultChecker:
        """The checker of the trials' results, which must have their `nets` if that is set."""
        arms = {model: tuple(names) for model, names in self.settings.arms.items()}
        return ResultChecker(arms, sum(self.support), nets)

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the keys of this version."""
        if value.get("version") == 1:
            value = version1.upgrade_header(value)
        settings = value["settings"]
        recipes = {name: RecipeSummary.upgrade(recipe) for name, recipe in settings["recipes"].items()}
        return value | {"settings": settings | {"recipes": recipes}}

    def to_json(self) -> dict[str, Any]:
        """Plain values that `json.dumps` takes; the options without the folder of the journal."""
        return super().to_json() | {"options": self.options.to_dict()}


@dataclass(frozen=True, kw_only=True)
class TrialRecord(Schema):
    """The line of a trial that ended.

    Args:
        model, seed: which trial it is.
        state: "done", "diverged" or "failed".
        reason: why it diverged or failed.
        result: what the worker sent; None unless the state is "done".
    """

    model: str
    seed: int
    state: Literal["done", "diverged", "failed"] = "done"
    reason: str = ""
    result: TrialResult | None = None

    def __post_init__(self) -> None:
        if (self.state == "done") != (self.result is not None):
            raise ValueError(f"a trial that is {self.state} {'has a' if self.result else 'without a'} result")

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the keys of this version."""
        return value if "state" in value else version1.upgrade_trial(value)


@dataclass(frozen=True, kw_only=True)
class ResumeNote(Schema):
    """The line of a session that adds trials or changes settings.

    Args:
        after: number of trials that had ended before.
        count: number of seeds from this session on.
        mismatched_settings: the settings that differ from the header, as [saved value, new value].
    """

    after: Count
    count: Annotated[int, Meta(ge=0, le=MAX_TRIALS)]
    mismatched_settings: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the keys of this version."""
        return version1.upgrade_note(value)


@dataclass(frozen=True, kw_only=True)
class WinnerScores(Schema):
    """The line at the end of a sweep: how the nets of the winner score on the test set.

    Args:
        model: the winner.
        images: number of test images.
        seeds, accuracies: seed and test accuracy in percent of each net.
    """

    model: str
    images: Annotated[int, Meta(ge=1)]
    seeds: tuple[int, ...]
    accuracies: tuple[Percent, ...]

    def __post_init__(self) -> None:
        if not self.seeds or len(self.seeds) != len(self.accuracies):
            raise ValueError(f"{len(self.seeds)} seeds and {len(self.accuracies)} accuracies")


def compare_settings(saved: SharedSettings, current: SharedSettings) -> dict[str, tuple[Any, Any]]:
    """The settings that differ, by dotted name: (saved value, current value)."""
    return find_differences(without_texts(saved), without_texts(current))


def without_texts(settings: SharedSettings) -> Any:
    """The settings as JSON, with the SHA-256 of recipe files instead of their texts."""
    origins = {name: replace(origin, text=None) for name, origin in settings.origins.items()}
    return replace(settings, origins=origins).to_json()


def find_differences(saved: Any, current: Any, name: str = "") -> dict[str, tuple[Any, Any]]:
    """What differs between two JSON values, by dotted name: (first value, second value)."""
    if isinstance(saved, dict) and isinstance(current, dict):
        differences: dict[str, tuple[Any, Any]] = {}
        for key in sorted(saved.keys() | current.keys()):
            inner = f"{name}.{key}" if name else key
            differences |= find_differences(saved.get(key), current.get(key), inner)
        return differences
    return {} if saved == current else {name: (saved, current)}
