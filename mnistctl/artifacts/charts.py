"""Charts: confusion matrix, learning curves, calibration, histograms, labelled images.

All have one style, and the same input always gives the same bytes.
"""

import itertools
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistctl.artifacts.grids import ImageArray
from mnistctl.artifacts.rounding import format_percent
from mnistctl.errors import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_DPI = 100
_INK, _PALE = "#333333", "#cccccc"
_COLOURS = ("#1f6fb2", "#d1495b", "#2e8b57", "#b8860b", "#7b4fa3", "#4f6d7a")
_STYLE: Any = {
    "figure.dpi": _DPI,
    "text.parse_math": False,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_FEW = 10  # a share of fewer images is not reliable, and has a hollow marker
_SCALE = 2  # magnification of images in a chart
_CELL, _CAPTION, _HEAD, _GAP, _LETTER = 28 * _SCALE + 6, 17, 42, 34, 7  # pixels, in a chart of images


@contextmanager
def canvas(width: float, height: float) -> Iterator[tuple["Figure", list[ImageArray]]]:
    """A figure of this size in inches, in our style. After the block the list has its pixels, RGB."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it would report its font caches
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # without the user's own settings
        matplotlib.rcParams.update(_STYLE)
        figure, images = Figure(figsize=(width, height)), list[ImageArray]()
        yield figure, images
        agg = FigureCanvasAgg(figure)
        agg.draw()
        # 16 shades of each colour look the same and take fewer bytes.
        images.append((np.rint(np.asarray(agg.buffer_rgba())[..., :3] / 17) * 17).astype(np.uint8))


def _printable(name: str) -> str:
    """`name` with escapes for characters that the font lacks. The name of a file may have any."""
    return "".join(c if c == "\n" or (c.isprintable() and c < "\u0250") else ascii(c)[1:-1] for c in name)


def confusion_chart(title: str, counts: Sequence[Sequence[int]]) -> ImageArray:
    """A confusion matrix [true, predicted] of ten digits. Errors are coloured by their number."""
    table = np.array(counts)
    errors = np.ma.masked_where(np.eye(10, dtype=bool), table)
    with canvas(5.2, 5) as (figure, images):
        axes = figure.add_axes((0.1, 0.1, 0.87, 0.83))
        axes.set_facecolor("#eeeeee")
        maximum = max(1, int(errors.max()))
        axes.imshow(errors, cmap="Reds", vmin=0, vmax=1.3 * maximum)
        for (true, predicted), count in np.ndenumerate(table):
            if count:
                white = true != predicted and count > 0.75 * maximum
                colour = "white" if white else _INK
                axes.text(predicted, true, str(count), ha="center", va="center", color=colour)
        axes.set(xlabel="predicted digit", ylabel="true digit", xticks=range(10), yticks=range(10))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        figure.text(0.02, 0.97, _printable(title), weight="bold", va="center")
    return images[0]


@dataclass(frozen=True)
class LearningCurves:
    """The course of a classifier's training; each sequence has a value for each epoch.

    Args:
        losses: training losses.
        test_losses: test losses.
        accuracies: test accuracies in percent.
        learning_rates: learning rates.
        averaged: for averaged weights, the first and the last epoch of the average and the accuracy.

    Raises:
        ValueError: the sequences differ in length.
    """

    losses: Sequence[float]
    test_losses: Sequence[float]
    accuracies: Sequence[float]
    learning_rates: Sequence[float]
    averaged: tuple[int, int, float] | None = None

    def __post_init__(self) -> None:
        sequences = (self.losses, self.test_losses, self.accuracies, self.learning_rates)
        lengths = {len(each) for each in sequences}
        if len(lengths) > 1:
            raise ValueError(f"learning curves of different lengths: {sorted(lengths)}")


def curves_chart(title: str, curves: LearningCurves) -> ImageArray:
    """Losses, accuracy and learning rate over the epochs of a training run."""
    epochs = range(1, len(curves.accuracies) + 1)
    with canvas(9, 2.9) as (figure, images):
        loss, accuracy, learning_rate = figure.subplots(1, 3)
        figure.subplots_adjust(0.06, 0.17, 0.99, 0.83, wspace=0.26)
        for name, values, colour in (
            ("training", curves.losses, _COLOURS[0]),
            ("test", curves.test_losses, _COLOURS[1]),
        ):
            loss.plot(epochs, values, color=colour, label=name, marker=".")
        loss.set(title="loss", yscale="log")
        loss.yaxis.get_major_locator().set_params(subs=(1, 2, 5))
        loss.yaxis.set_major_formatter("{x:g}")
        loss.yaxis.set_minor_formatter("")
        loss.legend()
        accuracy.plot(epochs, curves.accuracies, color=_COLOURS[1], marker=".")
        accuracy.set(title="test accuracy, %")
        if curves.averaged is not None:
            first, last, value = curves.averaged
            style: Any = {"color": _INK, "linestyle": "--", "marker": "|"}
            accuracy.plot(
                (first, last), (value, value), label=f"averaged weights, epochs {first}-{last}", **style
            )
            accuracy.legend(loc="lower right")
        learning_rate.step(epochs, curves.learning_rates, where="mid", color=_INK, marker=".")
        learning_rate.set(title="learning rate", ylim=(0, None))
        for axes in (loss, accuracy, learning_rate):
            axes.set(xlabel="epoch", xlim=(0, len(epochs) + 1))
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.text(0.01, 0.94, _printable(title), weight="bold")
    return images[0]


@dataclass(frozen=True)
class ReliabilityCurve:
    """The calibration of one classifier.

    Args:
        label: its name in the legend.
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


def calibration_chart(title: str, curves: Sequence[ReliabilityCurve]) -> ImageArray:
    """Accuracy over confidence, and below it the number of predictions of each confidence."""
    height = 5 + 0.2 * len(curves)
    with canvas(5.2, height) as (figure, images):
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        figure.subplots_adjust(0.16, 0.5 / height, 0.97, 4.6 / height, hspace=0.12)
        upper.plot((0, 100), (0, 100), color=_PALE, linewidth=1)
        for curve, colour in zip(curves, itertools.cycle(_COLOURS), strict=False):
            x, y, counts = map(np.array, (curve.confidence, curve.accuracy, curve.counts))
            few = counts < _FEW
            upper.plot(x, y, color=colour, label=_printable(curve.label))
            upper.plot(x[~few], y[~few], "o", color=colour)
            upper.plot(x[few], y[few], "o", color=colour, markerfacecolor="white")
            edges = np.linspace(0, 100, len(curve.histogram) + 1)
            lower.stairs(np.array(curve.histogram, float), edges, color=colour)
        upper.set(ylabel="accuracy, %", xlim=(0, 102), ylim=(-2, 102))
        upper.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
        upper.text(100, 1, f"hollow: fewer than {_FEW} images", ha="right", fontsize=8)
        lower.set(ylabel="images", xlabel="confidence, %", yscale="log")
        lower.yaxis.set_major_formatter("{x:,.0f}")
        figure.text(0.02, 1 - 0.16 / height, _printable(title), weight="bold", va="center")
    return images[0]


def histogram_chart(columns: Sequence[tuple[str, Sequence[float]]]) -> ImageArray:
    """Histograms of accuracies in percent: a panel for each (name, accuracies), all on one scale.

    A bar is 0.01 points wide, or a multiple of that, so that there are at most 60. A line marks the mean.
    """
    hundredths = [np.floor(np.asarray(values, np.float64) * 100 + 1e-6).astype(int) for _, values in columns]
    lowest, highest = int(np.concatenate(hundredths).min()), int(np.concatenate(hundredths).max())
    step = -(-(highest - lowest + 1) // 60)
    height = 0.5 + 1.6 * len(columns)
    with canvas(5.2, height) as (figure, images):
        panels = figure.subplots(len(columns), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        figure.subplots_adjust(0.04, 0.5 / height, 0.97, 1 - 0.3 / height, hspace=0.4)
        for axes, (name, values), rounded in zip(panels, columns, hundredths, strict=True):
            bins, counts = np.unique((rounded - lowest) // step, return_counts=True)
            centres = (lowest + bins * step + (step - 1) / 2) / 100
            bars = axes.bar(centres, counts, 0.9 * step / 100, color=_COLOURS[0])
            axes.bar_label(bars)
            mean = float(np.mean(values))
            axes.axvline(mean, color=_COLOURS[1], linewidth=1)
            axes.set(
                title=f"{name}: {plural(len(values), 'run')}, mean {format_percent(mean, 4)} %", yticks=[]
            )
            axes.spines["left"].set_visible(False)
        panels[0].margins(y=0.25)
        panels[-1].set_xlabel("accuracy, %")
        panels[-1].xaxis.set_major_formatter("{x:.2f}")
    return images[0]


@dataclass(frozen=True)
class Cell:
    """An image [28, 28] in a chart, the caption below it, and whether it has a frame."""

    image: ImageArray
    caption: str
    framed: bool = False


@dataclass(frozen=True)
class Block:
    """Rows of images under one heading."""

    heading: str
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class _Text:
    """A line of text; `x` and `y` are in pixels from the upper left corner."""

    x: float
    y: float
    text: str
    align: str = "left"
    weight: str = "normal"
    size: int = 10


def digits_chart(title: str, labels: Sequence[str], blocks: Sequence[Block]) -> ImageArray:
    """Blocks of images next to each other, with one label for each row.

    Args:
        title: text at the top.
        labels: a label for each row.
        blocks: with at least one image.
    """
    widths = [max(map(len, block.rows)) for block in blocks]
    edge = 30 + _LETTER * max(map(len, "\n".join(labels).split("\n")))
    starts = [edge + sum(widths[:n]) * _CELL + n * _GAP for n in range(len(blocks))]
    width = starts[-1] + max(1, widths[-1]) * _CELL + 8
    height = _HEAD + len(labels) * (_CELL + _CAPTION) + 4
    pixels = np.full((height, width, 3), 255, np.uint8)
    texts = [_Text(8, 12, title, weight="bold")]
    for row, label in enumerate(labels):
        top = _HEAD + row * (_CELL + _CAPTION)
        texts.append(_Text(edge - 10, top + _CELL / 2, label, align="right"))
        for block, start in zip(blocks, starts, strict=True):
            for column, cell in enumerate(block.rows[row]):
                left = start + column * _CELL
                if cell.framed:
                    pixels[top : top + _CELL, left : left + _CELL] = (209, 73, 91)
                inner = slice(top + 3, top + _CELL - 3), slice(left + 3, left + _CELL - 3)
                pixels[inner] = cell.image.repeat(_SCALE, 0).repeat(_SCALE, 1)[..., None]
                texts.append(_Text(left + _CELL / 2, top + _CELL + 6, cell.caption, "center", size=8))
    texts += [_Text(start, 30, block.heading) for start, block in zip(starts, blocks, strict=True)]
    with canvas(width / _DPI, height / _DPI) as (figure, images):
        figure.figimage(pixels, origin="upper")
        for text in texts:
            figure.text(
                text.x / width,
                1 - text.y / height,
                _printable(text.text),
                va="center",
                ha=text.align,
                weight=text.weight,
                fontsize=text.size,
            )
    return images[0]
