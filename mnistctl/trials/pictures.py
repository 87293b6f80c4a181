"""The picture of trials: a histogram for each arm, or for a sweep the accuracies by the varied values."""

from collections.abc import Sequence

from mnistctl.artifacts import charts
from mnistctl.artifacts.drawing import Chart
from mnistctl.artifacts.sweep_charts import SweepAxis, SweepPoint, sweep_grid_chart, sweep_line_chart
from mnistctl.models.values import SettingValue, format_value
from mnistctl.trials.summary import SweepSummary, TrialsSummary


def draw_trials(summary: TrialsSummary) -> Chart | None:
    """The picture of trials; None without results, and for a sweep of more than two settings."""
    samples = [(arm.label, arm.accuracies) for arm in summary.arms if arm.accuracies]
    if not samples:
        return None
    if summary.sweep is None or summary.sequential is not None:
        return charts.histogram_chart(samples)
    return _draw_sweep(summary, summary.sweep)


def _draw_sweep(summary: TrialsSummary, sweep: SweepSummary) -> Chart | None:
    axes = [SweepAxis(key, _texts([s[key] for s in sweep.settings.values()])) for key in sweep.values]
    points = {}
    for arm in summary.arms:
        values = sweep.settings[arm.label]
        place = tuple(axis.values.index(format_value(values[axis.key])) for axis in axes)
        if arm.accuracies:
            points[place] = SweepPoint(arm.accuracies, arm.interval, arm.label == sweep.baseline)
    split = "test" if summary.holdout is None else "validation"
    title = f"{sweep.baseline}: mean {split} accuracy, %, 95 % intervals"
    if len(axes) == 1:
        line = {place[0]: point for place, point in points.items()}
        return sweep_line_chart(title, axes[0], line, f"{split} accuracy, %")
    if len(axes) == 2:
        grid = {(place[0], place[1]): point for place, point in points.items()}
        return sweep_grid_chart(title, axes[0], axes[1], grid)
    return None


def _texts(values: Sequence[SettingValue]) -> list[str]:
    """The different values as texts: numbers by size, others in their order."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    ordered = sorted(numbers) if len(numbers) == len(values) else values
    return list(dict.fromkeys(map(format_value, ordered)))
