"""Charts of images: rows of digits with their captions, and grids with a title and a legend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnistctl.artifacts.drawing import Chart, printable, text_width
from mnistctl.artifacts.grids import ImageArray, enlarge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCALE = 2  # magnification of the images
_CELL, _CAPTION, _HEAD, _GAP = 28 * _SCALE + 6, 17, 42, 34  # pixels
_FRAME = (213, 94, 0)  # around an image, RGB
_LINE = 20  # pixels of a line of text


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


def digits_chart(title: str, labels: Sequence[str], blocks: Sequence[Block]) -> Chart:
    """Blocks of images next to each other, with one label for each row.

    Args:
        title: text at the top.
        labels: a label for each row.
        blocks: with at least one image.
    """
    images = [max(map(len, block.rows)) * _CELL for block in blocks]
    widths = [
        max(width, round(text_width(block.heading))) for width, block in zip(images, blocks, strict=True)
    ]
    edge = 30 + round(max(map(text_width, labels)))
    starts = [edge + sum(widths[:n]) + n * _GAP for n in range(len(blocks))]
    width = max(starts[-1] + max(_CELL, widths[-1]) + 8, 16 + round(text_width(title, weight="bold")))
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
                    pixels[top : top + _CELL, left : left + _CELL] = _FRAME
                inner = slice(top + 3, top + _CELL - 3), slice(left + 3, left + _CELL - 3)
                pixels[inner] = enlarge(cell.image, _SCALE)[..., None]
                texts.append(_Text(left + _CELL / 2, top + _CELL + 6, cell.caption, "center", size=8))
    texts += [_Text(start, 30, block.heading) for start, block in zip(starts, blocks, strict=True)]
    return _picture(pixels, texts)


def grid_chart(
    title: str, grid: ImageArray, *, legend: Sequence[str] = (), rows: Sequence[str] = ()
) -> Chart:
    """A grid of images under its title and the lines of a legend, with a label left of each row.

    Args:
        title: text at the top.
        grid: grey [height, width].
        legend: what is where in the grid.
        rows: labels of rows of equal height; empty for none.
    """
    scale = _SCALE if grid.shape[1] * _SCALE <= 1600 and grid.shape[0] * _SCALE <= 1000 else 1
    enlarged = enlarge(grid, scale)
    left = 8 + (12 + round(max(map(text_width, rows))) if rows else 0)
    top = 12 + _LINE * (1 + len(legend))
    texts = [_Text(8, 14, title, weight="bold")]
    texts += [_Text(8, 14 + _LINE * (index + 1), line) for index, line in enumerate(legend)]
    for index, label in enumerate(rows):
        texts.append(_Text(left - 10, top + enlarged.shape[0] * (index + 0.5) / len(rows), label, "right"))
    width = 16 + max(map(round, [text_width(title, weight="bold"), *map(text_width, legend)]))
    pixels = np.full(
        (top + enlarged.shape[0] + 8, max(width, left + enlarged.shape[1] + 8), 3), 255, np.uint8
    )
    pixels[top : top + enlarged.shape[0], left : left + enlarged.shape[1]] = enlarged[..., None]
    return _picture(pixels, texts)


def _picture(pixels: ImageArray, texts: Sequence[_Text]) -> Chart:
    """A chart of these pixels, RGB, with texts on them."""
    height, width = pixels.shape[:2]

    def draw(figure: "Figure") -> None:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.imshow(pixels, interpolation="none", aspect="auto", extent=(0, width, height, 0))
        for text in texts:
            figure.text(
                text.x / width,
                1 - text.y / height,
                printable(text.text),
                va="center",
                ha=text.align,
                weight=text.weight,
                fontsize=text.size,
            )

    return Chart(width, height, draw)
