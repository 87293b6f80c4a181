"""The summary of trials: each arm's accuracies, the comparisons, and the images with wrong predictions."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files
from mnistctl.artifacts.bounds import Percent
from mnistctl.artifacts.rounding import format_percent
from mnistctl.data.holdout import HeldOut
from mnistctl.errors import FailedTrialsError, UnmetError
from mnistctl.evaluation import statistics
from mnistctl.evaluation.statistics import Summary
from mnistctl.models.published import load_published
from mnistctl.models.sources import Origin
from mnistctl.models.summary import RecipeSummary
from mnistctl.models.values import SettingValue
from mnistctl.schema import Schema
from mnistctl.training.environment import MachineInfo
from mnistctl.training.record import DatasetFiles
from mnistctl.trials import version1
from mnistctl.trials.comparisons import (
    ArmAccuracies,
    Comparison,
    ReferenceComparison,
    Requirement,
    compare_arms,
    compare_with_published,
    failed_requirements,
)
from mnistctl.trials.journal import Arm, ResumeNote, TrialRecord, TrialsJournal
from mnistctl.trials.sequential import SequentialComparison
from mnistctl.trials.task import TrialResult
from mnistctl.trials.winner import mean_accuracies

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
            `journal.SharedSettings`.
        started: when the trials started, UTC, ISO 8601.
        machine: hardware and system.
        resumed: the sessions that added trials or changed settings.
        mismatched_settings: names of settings that differ between the trials.
        trial_seconds: wall-clock time of all trials together.
        failed, diverged: the trials without a result.
        distribution: the accuracies and how often they occur.
        comparisons: every two arms compared, or in a sweep each arm with the unchanged recipe; none if the
            trials end when their comparison is settled.
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


def summarize_trials(
    journal: TrialsJournal, reference: str | None = None, require: Requirement | None = None
) -> TrialsSummary:
    """The summary of the trials in a journal.

    Args:
        journal: the journal.
        reference: name of published accuracies to compare with.
        require: what the comparison must show for each arm.

    Raises:
        UsageError: there are no published accuracies of this name.
    """
    header, settings = journal.header, journal.header.settings
    pairs = journal.pairs()
    settled = pairs is not None and pairs.settled
    last_seed = journal.last_seed() if pairs is None or pairs.last_seed is None else pairs.last_seed
    ended = sorted(journal.trials.values(), key=lambda record: record.seed)
    records = [record for record in ended if record.seed <= last_seed]
    # While the comparison is not settled, a trial without a result is reported, whatever its seed is.
    reported = records if settled else ended
    arms = _collect_results(journal, records)
    accuracies = [arm.accuracies for arm in arms]
    compared: tuple[ReferenceComparison, ...] = ()
    not_compared: list[str] = []
    if reference is not None:
        compared = compare_with_published(reference, load_published(reference), header, accuracies)
        labels = {row.label for row in compared}
        not_compared = [arm.label for arm in accuracies if arm.label not in labels]
    return TrialsSummary(
        models=header.models,
        seed=header.seed,
        count=journal.count,
        arms=tuple(_summarize_arm(arm, header.support) for arm in arms),
        recipes=settings.recipes,
        precision=settings.precision,
        device=settings.device,
        threads=settings.threads,
        dataset=settings.dataset,
        versions=settings.versions,
        origins=settings.origins,
        holdout=settings.holdout,
        started=header.started,
        machine=header.machine,
        resumed=tuple(journal.resumed),
        mismatched_settings=tuple(
            sorted({name for note in journal.resumed for name in note.mismatched_settings})
        ),
        trial_seconds=sum(record.result.seconds for record in records if record.result is not None),
        failed=_failed_trials(reported, "failed"),
        diverged=_failed_trials(reported, "diverged"),
        distribution=_distribution([arm.values for arm in accuracies]),
        comparisons=(compare_arms(accuracies, with_first=header.sweep is not None) if pairs is None else ()),
        sweep=_summarize_sweep(journal),
        sequential=None if pairs is None else pairs.compare(journal.count),
        later_trials=sum(record.seed > last_seed for record in ended if record.result or settled),
        reference=compared,
        not_compared=tuple(not_compared),
        failed_requirements=() if require is None else failed_requirements(require, compared, not_compared),
        command=header.command,
    )


def raise_failures(
    summary: TrialsSummary, trials: int, require: Requirement | None = None, *, remedy: str = "retry"
) -> None:
    """Report what makes a command fail although there are results.

    Args:
        summary: the results.
        trials: number of trials that have ended.
        require: what the comparison with published accuracies must show.
        remedy: what helps if trials failed.

    Raises:
        FailedTrialsError: some trials diverged or failed.
        UnmetError: the comparison does not show what is required.
    """
    failures = len(summary.failed) + len(summary.diverged)
    if failures:
        message = f"{failures} of {trials} trials gave no result"
        raise FailedTrialsError(message, remedies=(remedy,) if summary.failed else ())
    if summary.failed_requirements:
        raise UnmetError("; ".join(summary.failed_requirements), field="require", value=require)


def _summarize_sweep(journal: TrialsJournal) -> SweepSummary | None:
    sweep, winner = journal.header.sweep, journal.winner
    if sweep is None:
        return None
    described = None
    if winner is not None:
        means = mean_accuracies(journal)
        described = Winner(
            label=sweep.label(winner.model),
            mean=means[winner.model],
            chosen_from=len(means),
            images=winner.images,
            seeds=winner.seeds,
            accuracies=winner.accuracies,
            test=statistics.summarize(winner.accuracies),
        )
    return SweepSummary(
        values=sweep.values,
        baseline=sweep.label(sweep.baseline),
        settings={sweep.label(model): values for model, values in sweep.arms.items()},
        winner=described,
    )


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


@dataclass(frozen=True)
class _ArmResults:
    """One arm of a journal with the results of its trials, in the order of the seeds."""

    arm: Arm
    accuracies: ArmAccuracies
    results: tuple[TrialResult, ...]

    def mismatches(self) -> list[tuple[int, int, int]]:
        """(index, true digit, predicted digit) of every wrong prediction in any trial."""
        return [row for result in self.results for row in result.mismatches[self.arm.name]]


def _collect_results(journal: TrialsJournal, records: Sequence[TrialRecord]) -> list[_ArmResults]:
    arms = []
    for arm in journal.header.arms():
        results = {r.seed: r.result for r in records if r.model == arm.model and r.result is not None}
        by_seed = {seed: result.accuracies[arm.name] for seed, result in results.items()}
        accuracies = ArmAccuracies(arm.label, arm.recipe, by_seed)
        arms.append(_ArmResults(arm, accuracies, tuple(results.values())))
    return arms


def _summarize_arm(results: _ArmResults, support: Sequence[int]) -> ArmSummary:
    values = results.accuracies.values
    numbers = asdict(statistics.summarize(values)) if values else {"n": 0}
    return ArmSummary(
        label=results.accuracies.label,
        model=results.arm.model,
        arm=results.arm.name,
        recipe=results.accuracies.recipe,
        seeds=tuple(results.accuracies.by_seed),
        accuracies=tuple(values),
        **numbers,
        errors=_count_errors(results),
        confusion=_confusion(results, support),
    )


def _count_errors(results: _ArmResults) -> tuple[ImageErrors, ...]:
    predictions: dict[tuple[int, int], Counter[int]] = {}
    for index, true, predicted in results.mismatches():
        predictions.setdefault((index, true), Counter())[predicted] += 1
    errors = [
        ImageErrors(index=index, true=true, errors=counts.total(), predicted=dict(sorted(counts.items())))
        for (index, true), counts in predictions.items()
    ]
    return tuple(sorted(errors, key=lambda image: (-image.errors, image.index)))


def _confusion(results: _ArmResults, support: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Start as if every prediction were right, and move the wrong ones off the diagonal."""
    trials = len(results.results)
    counts = [[0] * 10 for _ in support]
    for digit, images in enumerate(support):
        counts[digit][digit] = trials * images
    for _, true, predicted in results.mismatches():
        counts[true][true] -= 1
        counts[true][predicted] += 1
    return tuple(map(tuple, counts))


def _failed_trials(records: Sequence[TrialRecord], state: str) -> tuple[FailedTrial, ...]:
    return tuple(
        FailedTrial(model=record.model, seed=record.seed, reason=record.reason)
        for record in records
        if record.state == state
    )


def _distribution(arms: Sequence[Sequence[float]]) -> tuple[AccuracyCount, ...]:
    counts = [Counter(float(format_percent(value)) for value in values) for values in arms]
    accuracies = sorted(set().union(*counts))
    return tuple(
        AccuracyCount(accuracy=accuracy, counts=tuple(count[accuracy] for count in counts))
        for accuracy in accuracies
    )
