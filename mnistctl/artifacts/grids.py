"""Images of digits: glyphs, grids, PNG and GIF files."""

import io
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistctl.artifacts import files
from mnistctl.errors import UsageError

MAX_COLUMNS = 50  # errors in a row
_MAX_PIXELS = 80_000_000  # of a picture; Pillow warns of larger ones
_MAX_ANIMATION_PIXELS = 200_000_000  # in all frames
_MAX_SCALE = 32  # how many times a pixel is repeated
_GAP = 2  # white pixels around each cell
_DARK = 64  # grey of a cell's corners and of most of its pixels at most
_CAPTION = 18  # pixels of a line of text below a grid
ImageArray = NDArray[np.uint8]


@cache
def glyphs() -> ImageArray:
    """The ten digits as glyphs, white on black, in the font of Pillow: [10, 28, 28]."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(18)
    cells = []
    for digit in range(10):
        cell = Image.new("L", (28, 28))
        ImageDraw.Draw(cell).text((14, 14), str(digit), 255, font, anchor="mm", stroke_width=0.6)
        cells.append(np.asarray(cell))
    return np.stack(cells)


def tile(cells: ImageArray) -> ImageArray:
    """Images [rows, columns, 28, 28] as one, with 2 white pixels between and around them."""
    rows, columns, height, width = cells.shape
    grid = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP), 255, np.uint8)
    for r in range(rows):
        for c in range(columns):
            top, left = _GAP + r * (height + _GAP), _GAP + c * (width + _GAP)
            grid[top : top + height, left : left + width] = cells[r, c]
    return grid


def untile(picture: ImageArray) -> ImageArray | None:
    """The images [rows, columns, 28, 28] that `tile` put together, from a picture enlarged by a whole number.

    Args:
        picture: grey [height, width].

    Returns:
        None if it is another picture: its lines are not white, or its cells are not white on black.
    """
    cell = 28 + _GAP
    for scale in range(1, min(picture.shape) // (cell + _GAP) + 1):
        height, width = (side // scale for side in picture.shape)
        fits = (height - _GAP) % cell == 0 and (width - _GAP) % cell == 0
        small = picture[::scale, ::scale]
        if not fits or not np.array_equal(enlarge(small, scale), picture):
            continue
        rows, columns = (height - _GAP) // cell, (width - _GAP) // cell
        parts = small[_GAP:, _GAP:].reshape(rows, cell, columns, cell).swapaxes(1, 2)
        cells = np.ascontiguousarray(parts[:, :, :28, :28])
        corners = cells[:, :, ::27, ::27]
        dark = bool(corners.max() < _DARK) and bool((np.median(cells, (2, 3)) < _DARK).all())
        if dark and np.array_equal(tile(cells), small):
            return cells
    return None


def check_scale(scale: int) -> None:
    """Check how many times each pixel is repeated.

    Raises:
        UsageError: it is out of range.
    """
    if not 1 <= scale <= _MAX_SCALE:
        raise UsageError(f"give 1 to {_MAX_SCALE}", field="scale", value=scale)


def check_size(count: int, columns: int, scale: int, *, frames: int = 1) -> None:
    """Check that a grid is not too large to be made in little memory and time.

    Args:
        count: number of images.
        columns: number of images in a row.
        scale: how many times each pixel is repeated, in both directions.
        frames: number of grids, in an animation.

    Raises:
        UsageError: it has more pixels.
    """
    height, width = ((28 + _GAP) * cells + _GAP for cells in (-(-count // columns), columns))
    what, limit = ("picture", _MAX_PIXELS) if frames == 1 else ("animation", _MAX_ANIMATION_PIXELS)
    pixels = frames * height * width
    largest = math.isqrt(limit // pixels)
    message = f"the {what} would have {pixels * scale**2:,} pixels, more than {limit:,}"
    if not largest:
        raise UsageError(f"{message}; give fewer images", field="count")
    if scale > largest:
        raise UsageError(f"{message}; give {largest} or less", field="scale", value=scale)


def make_grid(images: ImageArray, columns: int) -> ImageArray:
    """Images [N, 28, 28] in rows of `columns`. The cells after the last image are black."""
    rows = -(-len(images) // columns)
    cells = np.zeros((rows * columns, 28, 28), np.uint8)
    cells[: len(images)] = images
    return tile(cells.reshape(rows, columns, 28, 28))


def with_caption(grid: ImageArray, text: str) -> ImageArray:
    """The grid, grey [height, width], above a line of text, black on white."""
    from PIL import Image, ImageDraw, ImageFont

    line = Image.new("L", (grid.shape[1], _CAPTION), 255)
    place = (grid.shape[1] / 2, _CAPTION / 2 - 1)
    ImageDraw.Draw(line).text(place, text, 0, ImageFont.load_default(12), anchor="mm")
    return np.concatenate((grid, np.asarray(line)))


def enlarge(image: ImageArray, scale: int) -> ImageArray:
    """The image, grey [height, width], with each pixel repeated `scale` times in both directions."""
    return image.repeat(scale, 0).repeat(scale, 1)


def mismatch_grid(
    images: ImageArray, true: NDArray[Any], predicted: NDArray[Any], marked: NDArray[Any] | None = None
) -> ImageArray:
    """A grid of the images with a wrong prediction, two rows for each true digit.

    The upper row has the predictions as glyphs, the lower one the true digit and the images. They are sorted
    by prediction. Of more than 50 errors with one digit, 50 at equal distances are shown.

    Args:
        images: the images, [M, 28, 28].
        true: their true digits, [M].
        predicted: the predictions, [M].
        marked: whether to show the prediction black on white, [M].
    """
    if not len(images):
        return tile(np.zeros((1, 1, 28, 28), np.uint8))
    rows = []
    for digit in np.unique(true):
        chosen = np.flatnonzero(true == digit)
        chosen = chosen[np.argsort(predicted[chosen], kind="stable")]
        rows.append(
            (digit, chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MAX_COLUMNS)).astype(int)])
        )
    cells = np.zeros((2 * len(rows), 1 + max(len(chosen) for _, chosen in rows), 28, 28), np.uint8)
    for row, (digit, chosen) in enumerate(rows):
        predictions = glyphs()[predicted[chosen]]
        if marked is not None:
            predictions[marked[chosen]] = 255 - predictions[marked[chosen]]
        cells[2 * row, 1 : 1 + len(chosen)] = predictions
        cells[2 * row + 1, 0] = glyphs()[digit]
        cells[2 * row + 1, 1 : 1 + len(chosen)] = images[chosen]
    return tile(cells)


def write_png(path: Path, image: ImageArray) -> None:
    """Write an image, grey [height, width] or RGB [height, width, 3], as PNG. Equal images give equal bytes.

    Raises:
        OutputError: `path` cannot be written.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    files.write(path, buffer.getvalue())


def write_gif(path: Path, frames: Sequence[ImageArray], *, seconds: float) -> None:
    """Write grey images of one size as a looping GIF that shows each for `seconds`.

    It has 16 shades of grey, which look the same as 256 and take half the bytes. Equal frames give equal
    bytes.

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
