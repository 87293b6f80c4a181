"""Charts of what a net confuses, how it learned and when it is sure: one style, the same bytes each time."""

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistctl.artifacts.grids import ImageArray
from mnistctl.evaluation.calibration import BINS, Calibration

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
_FEW = 10  # digits, of which a share says little
_SCALE = 2  # of the digits that stand in a chart
_CELL, _CAPTION, _HEAD, _BETWEEN, _LETTER = 28 * _SCALE + 6, 17, 42, 34, 7  # pixels, of a chart of digits


@contextmanager
def _canvas(width: float, height: float) -> Iterator[tuple["Figure", list[ImageArray]]]:
    """A figure so many inches wide and high, in our style; at the end the list has its pixels, RGB."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it would tell of its caches
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's own settings are
        matplotlib.rcParams.update(_STYLE)
        figure, pictures = Figure(figsize=(width, height)), list[ImageArray]()
        yield figure, pictures
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        # In 16 shades of each colour, which look the same and take fewer bytes.
        pictures.append((np.rint(np.asarray(canvas.buffer_rgba())[..., :3] / 17) * 17).astype(np.uint8))


def _printable(name: str) -> str:
    """What a file is called, in signs that the font has: a name may hold anything."""
    return "".join(c if c == "\n" or (c.isprintable() and c < "\u0250") else ascii(c)[1:-1] for c in name)


def confusion_chart(title: str, counts: Sequence[Sequence[int]]) -> ImageArray:
    """The counts [true, read] of ten digits, the misread ones in shades of one colour."""
    table = np.array(counts)
    missed = np.ma.masked_where(np.eye(10, dtype=bool), table)
    with _canvas(5.2, 5) as (figure, pictures):
        axes = figure.add_axes((0.1, 0.1, 0.87, 0.83))
        axes.set_facecolor("#eeeeee")
        most = max(1, int(missed.max()))
        axes.imshow(missed, cmap="Reds", vmin=0, vmax=1.3 * most)
        for (digit, read), count in np.ndenumerate(table):
            if count:
                light = digit != read and count > 0.75 * most
                axes.text(read, digit, str(count), ha="center", va="center", color="white" if light else _INK)
        axes.set(xlabel="read as", ylabel="digit", xticks=range(10), yticks=range(10))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        figure.text(0.02, 0.97, _printable(title), weight="bold", va="center")
    return pictures[0]


def curves_chart(title: str, run: Mapping[str, Any]) -> ImageArray:
    """Losses, accuracy and rate of a classifier's run over its epochs, of the record `run`.

    Raises:
        KeyError, TypeError, ValueError: it is not such a record.
    """
    told = {"training": run["losses"], "test": run["test_losses"]}
    accuracies, rates = run["accuracies"], run["recipe"]["rates"]
    epochs = range(1, len(accuracies) + 1)
    with _canvas(9, 2.9) as (figure, pictures):
        losses, accuracy, rate = figure.subplots(1, 3)
        figure.subplots_adjust(0.06, 0.17, 0.99, 0.83, wspace=0.26)
        for (name, values), colour in zip(told.items(), _COLOURS, strict=False):
            losses.plot(epochs, values, color=colour, label=name, marker=".")
        losses.set(title="loss", yscale="log")
        losses.yaxis.get_major_locator().set_params(subs=(1, 2, 5))
        losses.yaxis.set_major_formatter("{x:g}")
        losses.yaxis.set_minor_formatter("")
        losses.legend()
        accuracy.plot(epochs, accuracies, color=_COLOURS[1], marker=".")
        accuracy.set(title="test accuracy, %")
        for average in run.get("averages", [])[-1:]:
            of = average["first"], average["last"]
            weights = {"color": _INK, "linestyle": "--", "marker": "|"}
            accuracy.plot(of, [average["accuracy"]] * 2, label=f"mean weights of {of[0]}-{of[1]}", **weights)
            accuracy.legend(loc="lower right")
        rate.step(epochs, rates, where="mid", color=_INK, marker=".")
        rate.set(title="rate", ylim=(0, None))
        for axes in (losses, accuracy, rate):
            axes.set(xlabel="epoch", xlim=(0, len(accuracies) + 1))
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.text(0.01, 0.94, _printable(title), weight="bold")
    return pictures[0]


def calibration_chart(title: str, nets: Mapping[str, Calibration]) -> ImageArray:
    """How often each net is right at each level of its confidence, and how many digits are read at it."""
    height = 5 + 0.2 * len(nets)
    with _canvas(5.2, height) as (figure, pictures):
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        figure.subplots_adjust(0.16, 0.5 / height, 0.97, 4.6 / height, hspace=0.12)
        upper.plot((0, 100), (0, 100), color=_PALE, linewidth=1)
        for (name, told), colour in zip(nets.items(), itertools.cycle(_COLOURS), strict=False):
            x, y, counts = (
                np.array([getattr(bin, side) for bin in told.bins])
                for side in ("confidence", "accuracy", "count")
            )
            few = counts < _FEW
            upper.plot(x, y, color=colour, label=f"{_printable(name)}: ECE {told.ece:.2f} %")
            upper.plot(x[~few], y[~few], "o", color=colour)
            upper.plot(x[few], y[few], "o", color=colour, markerfacecolor="white")
            heights = np.zeros(BINS)
            heights[[round(bin.low * BINS / 100) for bin in told.bins]] = counts
            lower.stairs(heights, np.linspace(0, 100, BINS + 1), color=colour)
        upper.set(ylabel="right, %", xlim=(0, 102), ylim=(-2, 102))
        upper.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
        upper.text(100, 1, f"hollow: fewer than {_FEW} digits", ha="right", fontsize=8)
        lower.set(ylabel="digits", xlabel="confidence, %", yscale="log")
        lower.yaxis.set_major_formatter("{x:,.0f}")
        figure.text(0.02, 1 - 0.16 / height, _printable(title), weight="bold", va="center")
    return pictures[0]


def histogram_chart(columns: Sequence[tuple[str, Sequence[float]]]) -> ImageArray:
    """How often each accuracy comes up, a panel for each named column, all to one scale.

    A bar is 0.01 points wide, or as many times that as keep 60 bars; a line stands at the mean.
    """
    hundredths = [np.floor(np.asarray(values, np.float64) * 100 + 1e-6).astype(int) for _, values in columns]
    least, most = (pick(np.concatenate(hundredths)) for pick in (np.min, np.max))
    step = -(-(most - least + 1) // 60)
    height = 0.5 + 1.6 * len(columns)
    with _canvas(5.2, height) as (figure, pictures):
        panels = figure.subplots(len(columns), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        figure.subplots_adjust(0.04, 0.5 / height, 0.97, 1 - 0.3 / height, hspace=0.4)
        for axes, (name, values), places in zip(panels, columns, hundredths, strict=True):
            bins, counts = np.unique((places - least) // step, return_counts=True)
            middles = (least + bins * step + (step - 1) / 2) / 100
            bars = axes.bar(middles, counts, 0.9 * step / 100, color=_COLOURS[0])
            axes.bar_label(bars)
            mean = float(np.mean(values))
            axes.axvline(mean, color=_COLOURS[1], linewidth=1)
            axes.set(title=f"{name}: {len(values)} runs, mean {mean:.4f} %", yticks=[])
            axes.spines["left"].set_visible(False)
        panels[0].margins(y=0.25)
        panels[-1].set_xlabel("accuracy, %")
        panels[-1].xaxis.set_major_formatter("{x:.2f}")
    return pictures[0]


@dataclass(frozen=True)
class Cell:
    """A digit [28, 28] in a chart of digits, what is written below it, and whether it is framed."""

    image: ImageArray
    caption: str
    framed: bool = False


@dataclass(frozen=True)
class Block:
    """Rows of digits under one heading."""

    heading: str
    rows: Sequence[Sequence[Cell]]


def digits_chart(title: str, labels: Sequence[str], blocks: Sequence[Block]) -> ImageArray:
    """Blocks of digits side by side, their rows under the same labels; `blocks` have a digit at least."""
    widths = [max(map(len, block.rows)) for block in blocks]
    edge = 30 + _LETTER * max(map(len, "\n".join(labels).split("\n")))
    starts = [edge + sum(widths[:n]) * _CELL + n * _BETWEEN for n in range(len(blocks))]
    width = starts[-1] + max(1, widths[-1]) * _CELL + 8
    height = _HEAD + len(labels) * (_CELL + _CAPTION) + 4
    pixels = np.full((height, width, 3), 255, np.uint8)
    written: list[tuple[float, float, str, dict[str, Any]]] = [(8, 12, title, {"weight": "bold"})]
    for row, label in enumerate(labels):
        top = _HEAD + row * (_CELL + _CAPTION)
        written.append((edge - 10, top + _CELL / 2, label, {"ha": "right"}))
        for block, start in zip(blocks, starts, strict=True):
            for place, cell in enumerate(block.rows[row]):
                left = start + place * _CELL
                if cell.framed:
                    pixels[top : top + _CELL, left : left + _CELL] = (209, 73, 91)
                inner = slice(top + 3, top + _CELL - 3), slice(left + 3, left + _CELL - 3)
                pixels[inner] = cell.image.repeat(_SCALE, 0).repeat(_SCALE, 1)[..., None]
                below = left + _CELL / 2, top + _CELL + 6
                written.append((*below, cell.caption, {"ha": "center", "fontsize": 8}))
    written += [(start, 30, block.heading, {}) for start, block in zip(starts, blocks, strict=True)]
    with _canvas(width / _DPI, height / _DPI) as (figure, pictures):
        figure.figimage(pixels, origin="upper")
        for x, y, text, style in written:
            figure.text(x / width, 1 - y / height, _printable(text), va="center", **style)
    return pictures[0]
