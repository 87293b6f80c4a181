"""Charts as matplotlib draws them: one style, as pixels or as a PNG, SVG or PDF file.

The same chart always gives the same bytes, whatever the user's own settings of matplotlib are.
"""

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistctl.artifacts import files
from mnistctl.artifacts.grids import ImageArray, write_png
from mnistctl.schema import to_type

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


DPI = 100
INK, PALE = "#333333", "#cccccc"
# The colours of Okabe and Ito, which colour-blind readers can tell apart, without the yellow, which is too
# pale on white. Those that are closest to each other come last. Markers tell lines apart without colours.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#56B4E9", "#000000", "#E69F00", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "X", "v", "P")
_STYLE: Any = {
    "figure.dpi": DPI,
    "text.parse_math": False,
    "axes.formatter.useoffset": False,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "mnistctl",  # element names that do not change from run to run
    "svg.fonttype": "path",
}
_WITHOUT_DATE = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


@dataclass(frozen=True)
class Chart:
    """A chart that can be drawn.

    Args:
        width, height: in pixels.
        draw: draws it on a figure of this size.
    """

    width: float
    height: float
    draw: Callable[["Figure"], None]

    def pixels(self) -> ImageArray:
        """The chart as RGB, [height, width, 3]."""
        with canvas(self.width / DPI, self.height / DPI) as (figure, images):
            self.draw(figure)
        return images[0]

    def write(self, path: Path | str) -> None:
        """Write the chart to `path`: as SVG or PDF if the name ends so, else as PNG.

        Raises:
            OutputError: `path` cannot be written.
        """
        path = to_type(path, Path, "path")
        ending = path.suffix.lower().removeprefix(".")
        if ending not in _WITHOUT_DATE:
            write_png(path, self.pixels())
            return
        buffer = io.BytesIO()
        with _figure(self.width / DPI, self.height / DPI) as figure:
            self.draw(figure)
            figure.savefig(buffer, format=ending, metadata=_WITHOUT_DATE[ending])
        files.write(path, buffer.getvalue())


@contextmanager
def canvas(width: float, height: float) -> Iterator[tuple["Figure", list[ImageArray]]]:
    """A figure of this size in inches, in our style. After the block the list has its pixels, RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with _figure(width, height) as figure:
        images = list[ImageArray]()
        yield figure, images
        agg = FigureCanvasAgg(figure)
        agg.draw()
        images.append(np.array(agg.buffer_rgba())[..., :3])


@contextmanager
def _figure(width: float, height: float) -> Iterator["Figure"]:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it would report its font caches
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # without the user's own settings
        matplotlib.rcParams.update(_STYLE)
        yield Figure(figsize=(width, height))


def printable(name: str) -> str:
    """`name` with escapes for characters that the font lacks. The name of a file may have any."""
    return "".join(c if c == "\n" or (c.isprintable() and c < "\u0250") else ascii(c)[1:-1] for c in name)


def text_width(text: str, *, weight: str = "normal") -> float:
    """The width in pixels of the longest line of `text`."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(family="DejaVu Sans", size=10, weight=weight)
    lines = printable(text).split("\n")
    widths = (TextToPath().get_text_width_height_descent(line, font, ismath=False)[0] for line in lines)
    return 1.03 * max(widths) * DPI / 72  # on the screen letters lie on whole pixels, which takes more room


def label_line_ends(axes: "Axes", labels: Sequence[tuple[str, float, float, str]]) -> None:
    """Label lines at the right of the axes, each next to its end, at a distance from each other.

    Args:
        axes: with its final limits.
        labels: for each line its label, the x and the y of its end, and its colour.
    """
    box = axes.get_position()
    height = box.height * axes.figure.get_figheight() * DPI  # type: ignore[union-attr]
    gap = 18 / height  # of the axes' height, between two labels
    heights = [
        axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[1] for _, x, y, _ in labels
    ]
    order = np.argsort(heights, kind="stable")
    spread = np.array(heights)[order]
    for index in range(1, len(spread)):
        spread[index] = max(spread[index], spread[index - 1] + gap)
    over = max(0.0, spread[-1] - 1.0) if len(spread) else 0.0
    spread -= over
    for index in range(len(spread) - 2, -1, -1):
        spread[index] = min(spread[index], spread[index + 1] - gap)
    for index, place in zip(order, spread, strict=True):
        label, x, y, colour = labels[index]
        axes.annotate(
            printable(label),
            (x, y),
            (1.03, place),
            textcoords="axes fraction",
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.8,
                "shrinkA": 1,
                "shrinkB": 3,
                "relpos": (0, 0.5),  # from the middle of the label's left side
            },
        )
