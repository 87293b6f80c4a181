"""Print what trials show: their distribution, statistics, comparisons, and errors."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mnistctl.artifacts.rounding import format_percent, format_percent_interval
from mnistctl.cli.errors import option_of
from mnistctl.cli.output.sweep import print_sweep
from mnistctl.cli.output.terminal import plain_table, print_line, print_table
from mnistctl.errors import plural

if TYPE_CHECKING:
    from mnistctl.evaluation.statistics import Difference
    from mnistctl.trials.comparisons import ReferenceComparison
    from mnistctl.trials.sequential import SequentialComparison
    from mnistctl.trials.summary import ArmSummary, TrialsSummary

_MAX_IMAGES = 5  # images with wrong predictions that are printed for each arm
_TESTS = {"paired": "paired t", "welch": "Welch's t", "one_sample": "t against a single run"}


def print_conclusions(summary: "TrialsSummary") -> None:
    """Print the distribution of the accuracies, a row for each arm, the comparisons, and the errors."""
    arms = [arm for arm in summary.arms if arm.n]
    if summary.sweep is not None and summary.sequential is None:
        print_sweep(summary)
        _print_failures(summary)
        return
    if arms:
        for text in _distribution(summary):
            print_line(text)
        print_arms(arms)
    for row in (*summary.comparisons, *summary.averaging):
        print_line(f"{row.second} minus {row.first}: {describe_difference(row)}")
        print_line(f"{row.conclusion}.", "bold")
    if summary.sequential is not None:
        _print_sequential(summary.sequential, summary.later_trials)
    for published in summary.reference:
        _print_reference(published)
    for label in summary.not_compared:
        print_line(f"{label}: no published accuracies to compare with, or no results")
    for arm in arms:
        _print_errors(arm, "test" if summary.holdout is None else "validation")
    _print_failures(summary)


def _print_failures(summary: "TrialsSummary") -> None:
    """Print which settings are mixed, and which trials have no result."""
    if summary.mismatched_settings:
        print_line(f"mixed settings: {', '.join(summary.mismatched_settings)} (see `resumed` in the summary)")
    for state, trials in (("diverged", summary.diverged), ("failed", summary.failed)):
        for trial in trials:
            print_line(f"{state}: {trial.model}, seed {trial.seed}: {trial.reason}")


def _distribution(summary: "TrialsSummary") -> Iterator[str]:
    """How often each accuracy occurs, in the format of ktorch's documentation."""
    labels = [arm.label for arm in summary.arms]
    yield "accuracy| " + " ".join(labels)
    yield "--------| " + "-" * len(" ".join(labels))
    for row in summary.distribution:
        counts = (f"{count or '':<{len(label)}}" for count, label in zip(row.counts, labels, strict=True))
        yield f"{format_percent(row.accuracy):<8}| {' '.join(counts)}".rstrip()


def print_arms(arms: "Sequence[ArmSummary]") -> None:
    """Print a table with the statistics of each arm, which has results."""
    headers = ("", "n", "mean", "SD", "min", "median", "max", "95 % interval")
    table = plain_table(*headers, justify="right", left=[0])
    for arm in arms:
        assert arm.mean is not None and arm.min is not None and arm.median is not None and arm.max is not None
        sd = "-" if arm.sd is None else f"{arm.sd:.4f}"
        interval = "-" if arm.interval is None else format_percent_interval(arm.interval, 4)
        # The median of an even number of accuracies can have a third decimal.
        median = format_percent(arm.median, 2 if round(arm.median, 2) == round(arm.median, 4) else 3)
        extremes = format_percent(arm.min), median, format_percent(arm.max)
        table.add_row(arm.label, str(arm.n), format_percent(arm.mean, 4), sd, *extremes, interval)
    print_table(table)


def _print_sequential(row: "SequentialComparison", later_trials: int) -> None:
    level = f"{100 * (1 - row.rule.alpha):g} %"
    interval = "unbounded" if row.interval is None else "{:+z.4f} to {:+z.4f}".format(*row.interval)
    parts = [
        f"{row.difference:+z.4f} points after {plural(row.n, 'pair')} of at most {row.most}",
        f"{level} confidence sequence {interval}",
        f"e-value {row.e_value:.3g}",
    ]
    print_line(f"{row.second} minus {row.first}: {', '.join(parts)}")
    print_line(f"{row.conclusion}.", "bold")
    rate = f"at most {100 * row.rule.alpha:g} %, although the result was checked after every pair"
    print_line(f"The probability of a wrong decision is {rate}, if the differences are Gaussian.")
    if later_trials:
        later = plural(later_trials, "trial")
        print_line(f"({later} of later seeds had ended too. The result leaves them out.)")


def _print_reference(row: "ReferenceComparison") -> None:
    print_line(f"{row.label} minus {row.published}'s {row.model}: {describe_difference(row)}")
    print_line(f"{row.conclusion}.", "bold")
    if row.differences_from_published:
        options = ", ".join(f"{option_of(k)} {v}" for k, v in row.differences_from_published.items())
        print_line(f"({row.published} ran the full recipe on MNIST; these trials have {options}.)")


def describe_difference(row: "Difference") -> str:
    """A difference with its interval and its tests."""
    parts = [f"{row.difference:+z.4f} points"]
    if row.interval is not None:
        parts.append("95 % interval {:+z.4f} to {:+z.4f}".format(*row.interval))
    if row.t is not None:
        freedom = f"{row.df:.4g} {'degree' if row.df == 1 else 'degrees'} of freedom"
        parts.append(f"{_TESTS[row.method]} {row.t:z.2f}, {freedom}, p {row.p:.2g}")
    if row.permutation_p is not None:
        parts.append(f"permutation p {row.permutation_p:.2g}")
    if row.minimum_detectable_effect is not None:
        parts.append(f"detectable at 80 % power: {row.minimum_detectable_effect:.4f} points")
    return ", ".join(parts)


def _print_errors(arm: "ArmSummary", split: str) -> None:
    """Print the scored images with the most wrong predictions, and the confusion matrix."""
    n = arm.n
    wrong = f"{plural(len(arm.errors), f'{split} image')} with wrong predictions in {plural(n, 'trial')}"
    print_line(f"{arm.label}: {wrong}, the worst:" if arm.errors else f"{arm.label}: {wrong}")
    for image in arm.errors[:_MAX_IMAGES]:
        predicted = ", ".join(f"{digit} ({count})" for digit, count in image.predicted.items())
        true = f"an {image.true}" if image.true == 8 else f"a {image.true}"
        print_line(
            f"  {split} image {image.index}, {true}: wrong in {image.errors} of {n}, predicted {predicted}"
        )
    print_line(f"confusion matrix of {plural(n, 'trial')} (rows: true digit, columns: prediction)")
    table = plain_table("", *map(str, range(10)), justify="right")
    for digit, counts in enumerate(arm.confusion):
        table.add_row(str(digit), *map(str, counts))
    print_table(table)
