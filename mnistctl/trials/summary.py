"""The summary of trials: each arm's accuracies, the comparisons, and the images with wrong predictions."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files
from mnistctl.artifacts.bounds import Percent
from mnistctl.data.holdout import HeldOut
from mnistctl.evaluation.statistics import Summary
from mnistctl.models.sources import Origin
from mnistctl.models.summary import RecipeSummary
from mnistctl.models.values import SettingValue
from mnistctl.schema import Schema
from mnistctl.training.machine import MachineInfo
from mnistctl.training.record import DatasetFiles
from mnistctl.trials import version1
from mnistctl.trials.comparisons import Comparison, ReferenceComparison
from mnistctl.trials.entries import ResumeNote
from mnistctl.trials.sequential import SequentialComparison

VERSION = 2  # of the format; version 1 is read as well


@dataclass(frozen=True, kw_only=True)
class ImageErrors(Schema):
    """A scored image that some trials got wrong.

    Args:
        index: position of the image in the test split, or among the held-out digits.
        true: its digit.
        errors: number of trials with a wrong prediction.
        predicted: how often each wrong digit was predicted.
    """

    index: int
    true: int
    errors: int
    predicted: dict[int, int]


@dataclass(frozen=True, kw_only=True)
class ArmSummary(Schema):
    """The results of one arm.

    Args:
        label: name of the arm, unique in the summary.
        model, arm: the model of the trials, and the arm's name in them.
        recipe: the model whose recipe it trains.
        seeds, accuracies: seed and accuracy in percent of each trial with a result.
        before_averaging: if the nets are averages, the accuracy of each trial's last epoch in percent. Trials
            of earlier versions have none.
        n, mean, sd, min, median, max, interval: see `statistics.Summary`; None if n is 0.
        errors: the images with wrong predictions, most errors first.
        confusion: confusion matrix [true digit, predicted digit], summed over the trials.
    """

    label: str
    model: str
    arm: str
    recipe: str
    seeds: tuple[int, ...]
    accuracies: tuple[Percent, ...]
    before_averaging: tuple[Percent, ...] = ()
    n: int
    mean: float | None = None
    sd: float | None = None
    min: float | None = None
    median: float | None = None
    max: float | None = None
    interval: tuple[float, float] | None = None
    errors: tuple[ImageErrors, ...]
    confusion: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not len(set(self.seeds)) == len(self.seeds) == len(self.accuracies) == self.n:
            numbers = f"{len(set(self.seeds))} different seeds, {len(self.accuracies)} accuracies"
            raise ValueError(f"n: {self.n} trials with {numbers}")
        if len(self.before_averaging) not in (0, self.n):
            raise ValueError(f"n: {self.n} trials with {len(self.before_averaging)} last epochs")


@dataclass(frozen=True, kw_only=True)
class FailedTrial(Schema):
    """A trial without a result, and why."""

    model: str
    seed: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class AccuracyCount(Schema):
    """How many trials of each arm, in the order of the arms, have this accuracy.

    It is rounded to two decimals, or to more if it would be 100 otherwise.
    """

    accuracy: float
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Winner(Schema):
    """The best arm of a sweep.

    Args:
        label: its label.
        mean: its mean accuracy in percent on the held-out digits, by which it was chosen.
        chosen_from: number of arms with a result of every seed. The highest mean of several is optimistic.
        images: number of test images.
        seeds, accuracies: seed and test accuracy in percent of each of its nets.
        test: these accuracies in numbers.
    """

    label: str
    mean: float
    chosen_from: int
    images: int
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    test: Summary


@dataclass(frozen=True, kw_only=True)
class SweepSummary(Schema):
    """What a sweep varied, and what it found.

    Args:
        values: the values of each setting, by key.
        baseline: label of the unchanged recipe.
        settings: by the label of each arm, its value of each of these settings.
        winner: the best arm; None if none was chosen.
    """

    values: dict[str, tuple[SettingValue, ...]]
    baseline: str
    settings: dict[str, dict[str, SettingValue]]
    winner: Winner | None


@dataclass(frozen=True, kw_only=True)
class TrialsSummary(Schema):
    """All results of trials, as NAME.json has them.

    Args:
        version: version of the format.
        models, seed, count: the models, the first seed and the number of seeds.
        arms: the results of each arm.
        recipes, precision, device, threads, dataset, versions, origins, holdout: see
            `entries.SharedSettings`.
        started: when the trials started, UTC, ISO 8601.
        machine: hardware and system.
        resumed: the sessions that added trials or changed settings.
        mismatched_settings: names of settings that differ between the trials.
        trial_seconds: wall-clock time of all trials together.
        failed, diverged: the trials without a result.
        distribution: the accuracies and how often they occur.
        comparisons: every two arms compared, or in a sweep each arm with the unchanged recipe; none if the
            trials end when their comparison is settled.
        averaging: each arm whose nets are averages, compared with the last epoch of the same trials; none in
            a sweep, or if the trials end when their comparison is settled.
        sequential: the comparison that was checked after every pair.
        sweep: what a sweep varied, and its winner; None unless the trials are those of a sweep.
        later_trials: number of trials with later seeds than the last pair that was looked at. They are in
            the journal, and nothing here is computed from them.
        reference: the arms compared with published accuracies.
        not_compared: labels of arms that should be compared with published accuracies, but cannot.
        failed_requirements: which arms do not meet the requirement, and why.
        command: command line that repeats the trials.
        session_seconds: wall-clock time of the last session.
    """

    version: int = VERSION
    models: tuple[str, ...]
    seed: int
    count: int
    arms: tuple[ArmSummary, ...]
    recipes: dict[str, RecipeSummary]
    precision: str
    device: str
    threads: int
    dataset: DatasetFiles
    versions: dict[str, str]
    origins: dict[str, Origin] = field(default_factory=dict)
    holdout: HeldOut | None = None
    started: str
    machine: MachineInfo
    resumed: tuple[ResumeNote, ...]
    mismatched_settings: tuple[str, ...]
    trial_seconds: float
    failed: tuple[FailedTrial, ...]
    diverged: tuple[FailedTrial, ...]
    distribution: tuple[AccuracyCount, ...]
    comparisons: tuple[Comparison, ...]
    averaging: tuple[Comparison, ...] = ()
    sequential: SequentialComparison | None = None
    sweep: SweepSummary | None = None
    later_trials: int = 0
    reference: tuple[ReferenceComparison, ...] = ()
    not_compared: tuple[str, ...] = ()
    failed_requirements: tuple[str, ...] = ()
    command: str = ""
    session_seconds: float | None = None

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the keys of this version."""
        return version1.upgrade_summary(value) if value.get("version") == 1 else value


def write(path: Path, summary: TrialsSummary) -> None:
    """Write the summary as JSON, with a checksum of the whole file.

    Raises:
        OutputError: the file cannot be written.
    """
    content = json.dumps(summary.to_json() | {"checksum": files.CHECKSUM_PLACEHOLDER}, indent=1)
    files.write(path, files.add_checksum((_fold_numbers(content) + "\n").encode()))


def _fold_numbers(text: str) -> str:
    """Indented JSON with each list of numbers on one line; a thousand errors would take 10,000 lines."""
    lines: list[str] = []
    row: list[str] | None = None  # the lines of a list that has only numbers so far
    for line in text.split("\n"):
        item = line.strip()
        if row is not None and (item.rstrip(",").lstrip("-")[:1].isdigit() or item in ("]", "],")):
            row.append(item)
            if item[0] == "]":
                lines.append(row[0] + " ".join(row[1:-1]) + row[-1])
                row = None
            continue
        if row is not None:
            lines.extend(row)
            row = None
        if item.endswith("["):
            row = [line]
        else:
            lines.append(line)
    return "\n".join(lines)
