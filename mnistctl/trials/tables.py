"""The table of an arm per row that trials and their comparisons are exported as."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mnistctl.artifacts.tables import Cell, Table
from mnistctl.models.values import format_value

if TYPE_CHECKING:
    from mnistctl.models.values import SettingValue
    from mnistctl.trials.comparisons import Comparison
    from mnistctl.trials.recorded import RecordsComparison
    from mnistctl.trials.sequential import SequentialComparison
    from mnistctl.trials.summary import ArmSummary, TrialsSummary

_STATISTICS = ("n", "mean", "sd", "low", "high", "min", "median", "max")
_DIFFERENCES = ("difference", "difference_low", "difference_high", "test", "p", "p_adjusted")
_DECIMALS = dict.fromkeys((*_STATISTICS[1:], *_DIFFERENCES[:3]), 4)


def trials_table(summary: "TrialsSummary") -> Table:
    """A row for each arm: the settings that are varied, its accuracies, its difference from the first arm.

    Accuracies are in percent, differences in points, both with 95 % intervals `low` to `high`.
    """
    varied = {} if summary.sweep is None else summary.sweep.settings
    changed = [] if summary.sweep is None else [*summary.sweep.values]
    return _make_table(summary.arms, changed, varied, summary.comparisons, summary.sequential)


def comparison_table(comparison: "RecordsComparison") -> Table:
    """As `trials_table`, for the arms of several records."""
    return _make_table(comparison.arms, [], {}, comparison.comparisons, None)


def _make_table(
    arms: "Sequence[ArmSummary]",
    changed: Sequence[str],
    settings: "Mapping[str, Mapping[str, SettingValue]]",
    comparisons: "Sequence[Comparison]",
    sequential: "SequentialComparison | None",
) -> Table:
    with_first = {row.second: row for row in comparisons if row.first == arms[0].label}
    rows = []
    for arm in arms:
        low, high = arm.interval or (None, None)
        row: list[Cell] = [arm.label, arm.recipe]
        row += [_to_cell(settings.get(arm.label, {}).get(key)) for key in changed]
        row += [arm.n, arm.mean, arm.sd, low, high, arm.min, arm.median, arm.max]
        if sequential is not None and arm.label == sequential.second:
            row += [sequential.difference, *(sequential.interval or (None, None)), "sequential", None, None]
        elif arm.label in with_first:
            found = with_first[arm.label]
            ends = found.interval or (None, None)
            row += [found.difference, *ends, found.method, found.p, found.p_adjusted]
        else:
            row += [None] * len(_DIFFERENCES)
        rows.append(tuple(row))
    return Table(("arm", "recipe", *changed, *_STATISTICS, *_DIFFERENCES), tuple(rows), _DECIMALS)


def _to_cell(value: "SettingValue") -> Cell:
    if value is None or (isinstance(value, int | float | str) and not isinstance(value, bool)):
        return value
    return format_value(value)
