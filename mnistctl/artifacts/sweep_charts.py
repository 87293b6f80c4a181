"""Charts of a sweep: accuracy by the value of one setting, or a grid for two settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnistctl.artifacts.drawing import COLOURS, INK, PALE, Chart, printable, text_width
from mnistctl.artifacts.rounding import cut_percent_interval, format_percent, format_percent_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STEP = 90  # pixels between two values of a line, or more if their texts are wider
_CELL_WIDTH, _CELL_HEIGHT = 130, 60  # pixels, or more if the texts beside the grid are wider


@dataclass(frozen=True)
class SweepAxis:
    """A setting that is varied: its key and the texts of its values, in the order of the axis."""

    key: str
    values: Sequence[str]

    @property
    def widest(self) -> float:
        """The pixels that the widest text of a value needs, with a gap."""
        return 12 + max(map(text_width, self.values))


@dataclass(frozen=True)
class SweepPoint:
    """The accuracies of an arm in percent, the interval of their mean, and whether it is unchanged."""

    accuracies: Sequence[float]
    interval: tuple[float, float] | None
    unchanged: bool

    @property
    def mean(self) -> float:
        """The mean accuracy."""
        return float(np.mean(self.accuracies))


def sweep_line_chart(title: str, axis: SweepAxis, points: Mapping[int, SweepPoint], ylabel: str) -> Chart:
    """Mean and interval for each value of one setting, with the single accuracies as pale dots.

    Args:
        title: text at the top.
        axis: the setting.
        points: the arms with results, by the index of their value.
        ylabel: what the accuracies are.
    """
    count = len(axis.values)
    steps = max(_STEP * count, axis.widest * (count + 0.4))
    width = max(100 + steps, 20 + text_width(title, weight="bold"), 400)

    def top(point: SweepPoint) -> float:
        return max(*point.accuracies, *cut_percent_interval(point.interval or (0, 0)))

    def draw(figure: "Figure") -> None:
        axes = figure.add_axes((80 / width, 0.16, 1 - 100 / width, 0.72))
        for index, point in points.items():
            colour = COLOURS[1] if point.unchanged else COLOURS[0]
            spread = [index + 0.12] * len(point.accuracies)
            axes.plot(spread, point.accuracies, color=PALE, marker=".", linestyle="")
            if point.interval is not None:
                axes.plot((index, index), cut_percent_interval(point.interval), color=colour, linewidth=1.5)
            axes.plot([index], [point.mean], color=colour, marker="o", linestyle="")
            if point.unchanged:
                axes.annotate("unchanged", (index, top(point)), (0, 4), textcoords="offset points",
                              ha="center", fontsize=8)  # fmt: skip
        axes.set(xlabel=printable(axis.key), ylabel=ylabel, xlim=(-0.7, count - 0.3))
        axes.set_xticks(range(count), [printable(value) for value in axis.values])
        axes.yaxis.set_major_formatter("{x:.2f}")
        figure.text(10 / width, 0.95, printable(title), weight="bold", va="center")

    return Chart(width, 360, draw)


def sweep_grid_chart(
    title: str, columns: SweepAxis, rows: SweepAxis, points: Mapping[tuple[int, int], SweepPoint]
) -> Chart:
    """The mean of each combination of two settings, and below it its interval. The unchanged one is framed.

    Args:
        title: text at the top.
        columns, rows: the settings.
        points: the arms with results, by the index of their values in columns and rows.
    """
    left = 28 + rows.widest
    cells_width = max(_CELL_WIDTH, columns.widest) * len(columns.values)
    cells_height = max(_CELL_HEIGHT * len(rows.values), text_width(rows.key))
    width = max(left + cells_width + 20, 20 + text_width(title, weight="bold"))
    height = 110 + cells_height
    means = np.full((len(rows.values), len(columns.values)), np.nan)
    for (column, row), point in points.items():
        means[row, column] = point.mean

    def draw(figure: "Figure") -> None:
        axes = figure.add_axes((left / width, 60 / height, cells_width / width, cells_height / height))
        low, high = np.nanmin(means), np.nanmax(means)
        axes.imshow(np.ma.masked_invalid(means), cmap="Blues", aspect="auto",
                    vmin=low, vmax=high + 0.7 * (high - low) + 1e-9)  # fmt: skip
        for (column, row), point in points.items():
            text = format_percent(point.mean, 3)
            if point.interval is not None:
                text += f"\n{format_percent_interval(point.interval, 2)}"
            axes.text(column, row, text, ha="center", va="center", fontsize=9)
            if point.unchanged:
                frame = (column - 0.47, column + 0.47, column + 0.47, column - 0.47, column - 0.47)
                axes.plot(frame, (row - 0.44, row - 0.44, row + 0.44, row + 0.44, row - 0.44), color=INK)
        axes.set_xticks(range(len(columns.values)), [printable(value) for value in columns.values])
        axes.set_yticks(range(len(rows.values)), [printable(value) for value in rows.values])
        axes.set(xlabel=printable(columns.key), ylabel=printable(rows.key))
        axes.set(xlim=(-0.5, len(columns.values) - 0.5), ylim=(len(rows.values) - 0.5, -0.5))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        figure.text(10 / width, 1 - 22 / height, printable(title), weight="bold", va="center")

    return Chart(width, height, draw)
