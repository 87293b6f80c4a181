"""Charts of numbers: confusion matrix, learning curves, calibration, histograms."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistctl.artifacts.drawing import (
    COLOURS,
    INK,
    MARKERS,
    PALE,
    Chart,
    label_line_ends,
    printable,
    text_width,
)
from mnistctl.artifacts.rounding import format_percent
from mnistctl.errors import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEW = 10  # a share of fewer images is not reliable, and has a hollow marker


def _line_styles() -> Iterator[dict[str, Any]]:
    """The colour and the marker of each line of a chart."""
    for colour, marker in zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False):
        yield {"color": colour, "marker": marker}


def confusion_chart(title: str, counts: Sequence[Sequence[int]]) -> Chart:
    """A confusion matrix [true, predicted] of ten digits. Errors are coloured by their number."""
    table = np.array(counts)
    errors = np.ma.masked_where(np.eye(10, dtype=bool), table)
    maximum = max(1, int(errors.max()))

    def draw(figure: "Figure") -> None:
        axes = figure.add_axes((0.1, 0.1, 0.87, 0.83))
        axes.set_facecolor("#eeeeee")
        axes.imshow(errors, cmap="Reds", vmin=0, vmax=1.3 * maximum)
        for (true, predicted), count in np.ndenumerate(table):
            if count:
                white = true != predicted and count > 0.75 * maximum
                colour = "white" if white else INK
                axes.text(predicted, true, str(count), ha="center", va="center", color=colour)
        axes.set(xlabel="predicted digit", ylabel="true digit", xticks=range(10), yticks=range(10))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        figure.text(0.02, 0.97, printable(title), weight="bold", va="center")

    return Chart(max(520, 20 + text_width(title, weight="bold")), 500, draw)


@dataclass(frozen=True)
class LearningCurves:
    """The course of a classifier's training; each sequence has a value for each epoch.

    Args:
        losses: training losses.
        scored_losses: losses on the scored digits.
        accuracies: accuracies on the same digits in percent.
        learning_rates: learning rates.
        averaged: for averaged weights, the first and the last epoch of the average and the accuracy.
        split: what the scored digits are: "test" or "validation".

    Raises:
        ValueError: the sequences differ in length.
    """

    losses: Sequence[float]
    scored_losses: Sequence[float]
    accuracies: Sequence[float]
    learning_rates: Sequence[float]
    averaged: tuple[int, int, float] | None = None
    split: str = "test"

    def __post_init__(self) -> None:
        sequences = (self.losses, self.scored_losses, self.accuracies, self.learning_rates)
        lengths = {len(each) for each in sequences}
        if len(lengths) > 1:
            raise ValueError(f"learning curves of different lengths: {sorted(lengths)}")


def curves_chart(title: str, curves: LearningCurves) -> Chart:
    """Losses, accuracy and learning rate over the epochs of a training run."""
    epochs = range(1, len(curves.accuracies) + 1)

    def draw(figure: "Figure") -> None:
        loss, accuracy, learning_rate = figure.subplots(1, 3)
        figure.subplots_adjust(0.05, 0.17, 0.99, 0.83, wspace=0.48)
        _plot_lines(loss, epochs, {"training": curves.losses, curves.split: curves.scored_losses})
        loss.set(title="loss")
        accuracy.plot(epochs, curves.accuracies, color=COLOURS[1], marker=MARKERS[1], markersize=3)
        accuracy.set(title=f"{curves.split} accuracy, %")
        if curves.averaged is not None:
            first, last, value = curves.averaged
            style: Any = {"color": INK, "linestyle": "--", "marker": "|"}
            label = f"averaged, epochs {first}-{last}"
            accuracy.plot((first, last), (value, value), label=label, **style)
            accuracy.legend(loc="lower right", fontsize=8, handlelength=1.5)
        learning_rate.step(epochs, curves.learning_rates, where="mid", color=INK, marker=".")
        learning_rate.set(title="learning rate", ylim=(0, None))
        for axes in (accuracy, learning_rate):
            _format_epochs(axes, len(epochs))
        figure.text(0.01, 0.94, printable(title), weight="bold")

    return Chart(1060, 290, draw)


def losses_chart(title: str, losses: Mapping[str, Sequence[float]]) -> Chart:
    """Losses over the epochs of a run, by what they are the losses of."""

    def draw(figure: "Figure") -> None:
        axes = figure.add_axes((0.11, 0.17, 0.66, 0.66))
        epochs = range(1, max(map(len, losses.values())) + 1)
        _plot_lines(axes, epochs, losses, log=False)
        axes.set(title="loss")
        figure.text(0.02, 0.94, printable(title), weight="bold")

    return Chart(520, 290, draw)


def compared_curves_chart(title: str, runs: Mapping[str, LearningCurves]) -> Chart:
    """The test or validation scores of several runs over their epochs, each run a line."""
    room = 20 + max(text_width(name) for name in runs)
    panel = 400 + room
    width = 2 * panel
    split = " or ".join(sorted({curves.split for curves in runs.values()}))

    def draw(figure: "Figure") -> None:
        figure.text(10 / width, 0.94, printable(title), weight="bold")
        for index, (heading, log) in enumerate(((f"{split} loss", True), (f"{split} accuracy, %", False))):
            axes = figure.add_axes(((60 + index * panel) / width, 0.14, 330 / width, 0.7))
            longest = max(len(curves.accuracies) for curves in runs.values())
            lines = {
                name: curves.scored_losses if log else curves.accuracies for name, curves in runs.items()
            }
            _plot_lines(axes, range(1, longest + 1), lines, log=log)
            axes.set(title=heading)

    return Chart(width, 360, draw)


def _plot_lines(
    axes: "Axes", epochs: range, lines: Mapping[str, Sequence[float]], *, log: bool = True
) -> None:
    """Plot lines over the epochs, with their names at their ends. A scale may be logarithmic."""
    ends = []
    for (name, values), style in zip(lines.items(), _line_styles(), strict=False):
        every = 1 + len(values) // 40  # more markers would touch each other
        axes.plot(epochs[: len(values)], values, markersize=3, markevery=every, **style)
        ends.append((name, len(values), values[-1], style["color"]))
    if log and min(min(values) for values in lines.values()) > 0:
        _format_log_axis(axes)
    _format_epochs(axes, len(epochs))
    label_line_ends(axes, ends)


def _format_log_axis(axes: Any) -> None:
    """A logarithmic y axis with plain numbers, also where it spans much less than a decade."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    decades = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    steps = [decade * step for decade in decades for step in (1, 2, 5)]
    whole, fine = ([tick for tick in ticks if low <= tick <= high] for ticks in (decades, steps))
    if len(whole) > 2:
        locator: Any = FixedLocator(whole[:: -(-len(whole) // 5)])
    elif len(fine) > 1:
        locator = FixedLocator(fine)
    else:
        locator = MaxNLocator(4)
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_major_formatter("{x:,.10g}")
    axes.yaxis.set_minor_formatter("")  # which would write powers of ten as formulas


def _format_epochs(axes: Any, count: int) -> None:
    axes.set(xlabel="epoch", xlim=(0, count + 1))
    axes.xaxis.get_major_locator().set_params(integer=True)


@dataclass(frozen=True)
class ReliabilityCurve:
    """The calibration of one classifier.

    Args:
        label: its name, next to the end of its curve.
        confidence: mean confidence in percent of each bin that is not empty.
        accuracy: accuracy in percent of the same bins.
        counts: number of predictions in the same bins.
        histogram: number of predictions in every bin of equal width from 0 to 100 %.
    """

    label: str
    confidence: Sequence[float]
    accuracy: Sequence[float]
    counts: Sequence[int]
    histogram: Sequence[int]


def calibration_chart(title: str, curves: Sequence[ReliabilityCurve]) -> Chart:
    """Accuracy over confidence, and below it the number of predictions of each confidence."""
    width = 520 + max(text_width(curve.label) for curve in curves)

    def draw(figure: "Figure") -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        figure.subplots_adjust(80 / width, 0.1, 500 / width, 0.93, hspace=0.12)
        upper.plot((0, 100), (0, 100), color=PALE, linewidth=1)
        ends = []
        for curve, style in zip(curves, _line_styles(), strict=False):
            x, y, counts = map(np.array, (curve.confidence, curve.accuracy, curve.counts))
            few = counts < _FEW
            upper.plot(x, y, **style)
            ends.append((curve.label, x[-1], y[-1], style["color"]))
            upper.plot(x[few], y[few], **style, linestyle="", markerfacecolor="white")
            edges = np.linspace(0, 100, len(curve.histogram) + 1)
            lower.stairs(np.array(curve.histogram, float), edges, color=style["color"], linewidth=1.5)
        upper.set(ylabel="accuracy, %", xlim=(0, 102), ylim=(-2, 102))
        label_line_ends(upper, ends)
        upper.text(100, 1, f"hollow: fewer than {_FEW} images", ha="right", fontsize=8)
        lower.set(ylabel="images", xlabel="confidence, %", ylim=(0.8, None))
        _format_log_axis(lower)
        figure.text(10 / width, 0.97, printable(title), weight="bold", va="center")

    return Chart(width, 520, draw)


def histogram_chart(columns: Sequence[tuple[str, Sequence[float]]]) -> Chart:
    """Histograms of accuracies in percent: a panel for each (name, accuracies), all on one scale.

    A bar is 0.01 points wide, or a multiple of that, so that there are at most 60. A line marks the mean.
    """
    hundredths = [np.floor(np.asarray(values, np.float64) * 100 + 1e-6).astype(int) for _, values in columns]
    lowest, highest = int(np.concatenate(hundredths).min()), int(np.concatenate(hundredths).max())
    step = -(-(highest - lowest + 1) // 60)
    height = 50 + 160 * len(columns)

    def draw(figure: "Figure") -> None:
        panels = figure.subplots(len(columns), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        figure.subplots_adjust(0.06, 50 / height, 0.94, 1 - 30 / height, hspace=0.4)
        for axes, (name, values), rounded in zip(panels, columns, hundredths, strict=True):
            bins, counts = np.unique((rounded - lowest) // step, return_counts=True)
            centres = (lowest + bins * step + (step - 1) / 2) / 100
            bars = axes.bar(centres, counts, 0.9 * step / 100, color=COLOURS[0])
            axes.bar_label(bars)
            mean = float(np.mean(values))
            axes.axvline(mean, color=COLOURS[1], linewidth=1)
            title = f"{name}: {plural(len(values), 'run')}, mean {format_percent(mean, 4)} %"
            axes.set(title=printable(title), yticks=[])
            axes.spines["left"].set_visible(False)
        panels[0].margins(y=0.25)
        panels[-1].set_xlabel("accuracy, %")
        panels[-1].xaxis.get_major_locator().set_params(nbins=6)
        panels[-1].xaxis.set_major_formatter("{x:.2f}")

    return Chart(520, height, draw)
