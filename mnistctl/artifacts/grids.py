"""Pictures of digits: glyphs, grids, PNG files, and text for a terminal."""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistctl.artifacts import files

_MAX_COLUMNS = 50  # mistakes in a row
_GAP = 2  # pixels of white between cells and around
ImageArray = NDArray[np.uint8]


@cache
def glyphs() -> ImageArray:
    """The ten standard glyphs, 0 to 9, white on black, from the font that Pillow brings: [10, 28, 28]."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(18)
    cells = []
    for digit in range(10):
        cell = Image.new("L", (28, 28))
        ImageDraw.Draw(cell).text((14, 14), str(digit), 255, font, anchor="mm", stroke_width=0.6)
        cells.append(np.asarray(cell))
    return np.stack(cells)


def tile(cells: ImageArray) -> ImageArray:
    """[rows, columns, 28, 28] as one picture, 2 pixels of white between the cells and around them."""
    rows, columns, height, width = cells.shape
    picture = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP), 255, np.uint8)
    for r in range(rows):
        for c in range(columns):
            top, left = _GAP + r * (height + _GAP), _GAP + c * (width + _GAP)
            picture[top : top + height, left : left + width] = cells[r, c]
    return picture


def make_grid(images: ImageArray, columns: int) -> ImageArray:
    """The images [N, 28, 28] in rows of `columns`, the cells after the last one black."""
    rows = -(-len(images) // columns)
    cells = np.zeros((rows * columns, 28, 28), np.uint8)
    cells[: len(images)] = images
    return tile(cells.reshape(rows, columns, 28, 28))


def mismatch_grid(
    images: ImageArray, true: NDArray[Any], predicted: NDArray[Any], marked: NDArray[Any] | None = None
) -> ImageArray:
    """Two rows for each digit that was misread: what was read, and below it, after the digit, the images.

    Takes the misread images [M, 28, 28], their true digits [M], the answers [M], and where some are to be
    marked, which [M]: their answers stand black on white. Sorted by answer; of more than 50 mistakes with
    one digit, 50 that are evenly spread over them.
    """
    if not len(images):
        return tile(np.zeros((1, 1, 28, 28), np.uint8))
    rows = []
    for digit in np.unique(true):
        chosen = np.flatnonzero(true == digit)
        chosen = chosen[np.argsort(predicted[chosen], kind="stable")]
        rows.append(
            (digit, chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), _MAX_COLUMNS)).astype(int)])
        )
    cells = np.zeros((2 * len(rows), 1 + max(len(chosen) for _, chosen in rows), 28, 28), np.uint8)
    for row, (digit, chosen) in enumerate(rows):
        answers = glyphs()[predicted[chosen]]
        if marked is not None:
            answers[marked[chosen]] = 255 - answers[marked[chosen]]
        cells[2 * row, 1 : 1 + len(chosen)] = answers
        cells[2 * row + 1, 0] = glyphs()[digit]
        cells[2 * row + 1, 1 : 1 + len(chosen)] = images[chosen]
    return tile(cells)


def write_png(path: Path, picture: ImageArray) -> None:
    """Write a picture, grey [height, width] or RGB [height, width, 3], as PNG, the same bytes each time.

    Raises:
        OSError: `path` cannot be written.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    files.write(path, buffer.getvalue())


def write_gif(path: Path, frames: Sequence[ImageArray], *, seconds: float) -> None:
    """Write grey pictures of one size as an animation that loops, each shown for so many seconds.

    In 16 greys, which look the same and take half the bytes of 256; the same bytes each time.

    Raises:
        OutputError: `path` cannot be written.
    """
    import imageio.v3 as imageio

    coarse = [np.round(frame / 17).astype(np.uint8) * 17 for frame in frames]
    buffer = io.BytesIO()
    imageio.imwrite(
        buffer, np.stack(coarse), extension=".gif", duration=round(1000 * seconds), loop=0, optimize=True
    )
    files.write(path, buffer.getvalue())
