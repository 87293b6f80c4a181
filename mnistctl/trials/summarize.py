"""Make the summary of trials from their journal, and report failed trials and unmet requirements."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mnistctl.artifacts.rounding import format_percent
from mnistctl.errors import FailedTrialsError, UnmetError
from mnistctl.evaluation import statistics
from mnistctl.models.published import load_published
from mnistctl.trials.comparisons import (
    ArmAccuracies,
    ReferenceComparison,
    Requirement,
    compare_arms,
    compare_with_last_epochs,
    compare_with_published,
    failed_requirements,
)
from mnistctl.trials.entries import Arm, TrialRecord
from mnistctl.trials.journal import TrialsJournal
from mnistctl.trials.summary import (
    AccuracyCount,
    ArmSummary,
    FailedTrial,
    ImageErrors,
    SweepSummary,
    TrialsSummary,
    Winner,
)
from mnistctl.trials.task import TrialResult
from mnistctl.trials.winner import mean_accuracies


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
    fixed_n = pairs is None  # no test of its own after the trials ended because of what they showed
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
        comparisons=compare_arms(accuracies, with_first=header.sweep is not None) if fixed_n else (),
        averaging=compare_with_last_epochs(accuracies) if fixed_n and header.sweep is None else (),
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
        last = {seed: result.before_averaging.get(arm.name) for seed, result in results.items()}
        known = {seed: accuracy for seed, accuracy in last.items() if accuracy is not None}
        before_averaging = known if len(known) == len(results) else {}
        accuracies = ArmAccuracies(arm.label, arm.recipe, by_seed, before_averaging)
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
        before_averaging=tuple(results.accuracies.before_averaging.values()),
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
