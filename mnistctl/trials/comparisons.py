"""Comparisons of the arms of trials with one another and with published accuracies."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Literal

from mnistctl.evaluation import statistics
from mnistctl.evaluation.statistics import Difference, Summary
from mnistctl.models.published import Published
from mnistctl.schema import Schema
from mnistctl.trials.conclusions import conclusion
from mnistctl.trials.entries import JournalHeader

Requirement = Literal["same", "better"]
LAST_EPOCH = "the last epoch of the same trials"  # what averages are compared with


@dataclass(frozen=True)
class ArmAccuracies:
    """The accuracies of one arm in percent, by seed.

    Args:
        label: name of the arm, unique among the arms of a journal.
        recipe: the model whose recipe it trains.
        by_seed: the accuracies of the trials with a result.
        before_averaging: if the nets are averages, the accuracies of the last epochs of these trials; empty
            if any of them has none.
    """

    label: str
    recipe: str
    by_seed: dict[int, float]
    before_averaging: dict[int, float] = field(default_factory=dict)

    @property
    def values(self) -> list[float]:
        """The accuracies in the order of the seeds."""
        return list(self.by_seed.values())


@dataclass(frozen=True, kw_only=True)
class Comparison(Difference, Schema):
    """The difference of the `second` arm from the `first` one.

    Args:
        p_adjusted: the p-value, adjusted by Holm's method for all comparisons that are listed with it.
        conclusion: what may be concluded, in words.
    """

    first: str
    second: str
    p_adjusted: float | None
    conclusion: str


@dataclass(frozen=True, kw_only=True)
class ReferenceComparison(Difference, Schema):
    """The difference of an arm from published accuracies.

    Args:
        label: the arm.
        model: the model whose recipe it trains, and whose published accuracies are taken.
        published: name of the published accuracies.
        source: where they were published.
        differences_from_published: options that differ from the published runs.
        published_summary: the published accuracies in numbers.
        conclusion: what may be concluded, in words.
    """

    label: str
    model: str
    published: str
    source: str
    differences_from_published: dict[str, int | float | str]
    published_summary: Summary
    conclusion: str


def compare_arms(arms: Sequence[ArmAccuracies], *, with_first: bool = False) -> tuple[Comparison, ...]:
    """Compare every two arms: in pairs if they share seeds, else as independent samples.

    One shared seed makes a pair only if both arms have no other.

    Args:
        arms: the arms.
        with_first: compare only the first arm with each other one.
    """
    pairs: list[tuple[str, str]] = []
    differences: list[Difference] = []
    for first, second in combinations(arms, 2):
        if with_first and first is not arms[0]:
            break
        if not first.by_seed or not second.by_seed:
            continue
        shared = [seed for seed in first.by_seed if seed in second.by_seed]
        if len(shared) > 1 or len(first.by_seed) == len(second.by_seed) == len(shared) == 1:
            values = ([arm.by_seed[seed] for seed in shared] for arm in (first, second))
            differences.append(statistics.paired(*values))
        else:
            differences.append(statistics.welch(first.values, second.values))
        pairs.append((first.label, second.label))
    return make_comparisons(pairs, differences)


def compare_with_last_epochs(arms: Sequence[ArmAccuracies]) -> tuple[Comparison, ...]:
    """Compare each arm whose nets are averages with the last epoch of the same trials, in pairs."""
    averaged = [arm for arm in arms if arm.before_averaging]
    differences = [statistics.paired([*arm.before_averaging.values()], arm.values) for arm in averaged]
    return make_comparisons([(LAST_EPOCH, arm.label) for arm in averaged], differences)


def make_comparisons(
    pairs: Sequence[tuple[str, str]], differences: Sequence[Difference]
) -> tuple[Comparison, ...]:
    """Comparisons of these pairs of names, with p-values adjusted for all of them.

    Holm's adjustment is for the number of p-values. A difference without variance has none.
    """
    adjusted = statistics.holm([difference.p for difference in differences])
    tests = sum(difference.p is not None for difference in differences)
    return tuple(
        Comparison(
            **asdict(difference),
            first=first,
            second=second,
            p_adjusted=p,
            conclusion=conclusion(difference, first, second, p, tests),
        )
        for (first, second), difference, p in zip(pairs, differences, adjusted, strict=True)
    )


def compare_with_published(
    name: str, published: Published, header: JournalHeader, arms: Sequence[ArmAccuracies]
) -> tuple[ReferenceComparison, ...]:
    """Compare each arm with the published accuracies of its recipe. Arms without either are left out.

    Args:
        name: what errors and tables call the published accuracies: "ktorch".
        published: the published accuracies.
        header: the header of the trials' journal, whose options may differ from those of the published runs.
        arms: the arms.
    """
    comparisons = []
    for arm in arms:
        reference = published.accuracies(arm.recipe)
        if not reference or not arm.by_seed:
            continue
        if len(reference) == 1:
            difference = statistics.one_sample(reference[0], arm.values)
        else:
            difference = statistics.welch(reference, arm.values)
        comparisons.append(
            ReferenceComparison(
                **asdict(difference),
                label=arm.label,
                model=arm.recipe,
                published=name,
                source=published.source,
                differences_from_published=_differences_from_published(header, published),
                published_summary=statistics.summarize(reference),
                conclusion=conclusion(difference, f"{name}'s {arm.recipe}", arm.label, difference.p),
            )
        )
    return tuple(comparisons)


def failed_requirements(
    require: Requirement, comparisons: Iterable[ReferenceComparison], not_compared: Iterable[str]
) -> tuple[str, ...]:
    """Which arms are not shown to be as good as ("same") or better than ("better") the published accuracies.

    "same" fails if the whole interval of the difference is below 0, "better" unless all of it is above 0.
    """
    failed = [f"{label}: nothing to compare with" for label in not_compared]
    for row in comparisons:
        if row.interval is None:
            why = "equal accuracies have no variance" if row.n[1] > 1 else "too few runs"
            failed.append(f"{row.label}: {why}, so there is no interval")
            continue
        low, high = row.interval
        if high < 0 if require == "same" else low <= 0:
            what = "as good" if require == "same" else "better"
            size = f"{row.difference:+z.4f} points ({low:+z.4f} to {high:+z.4f})"
            failed.append(f"{row.label} is not shown to be {what}: {size}")
    return tuple(failed)


def _differences_from_published(header: JournalHeader, published: Published) -> dict[str, int | float | str]:
    """The options of the trials that the published runs did not have: they ran the recipe in full."""
    options = header.options
    values = {"epochs": options.epochs, "batch_size": options.batch_size, "lr": options.lr}
    differences: dict[str, int | float | str] = {k: v for k, v in values.items() if v is not None}
    if header.settings.dataset.name != published.dataset:
        differences["dataset"] = header.settings.dataset.name
    return differences
