"""Pictures of digits: glyphs, grids, PNG files, and text for a terminal."""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistctl import files

_PANEL_WIDTH, _PANEL_HEIGHT, _MARGIN = 480, 120, 24  # pixels, of a histogram
_GAP = 2  # pixels of white between cells and around

Picture = NDArray[np.uint8]


@cache
def glyphs() -> Picture:
    """The ten standard glyphs, 0 to 9, white on black, from the font that Pillow brings: [10, 28, 28]."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(18)
    cells = []
    for digit in range(10):
        cell = Image.new("L", (28, 28))
        ImageDraw.Draw(cell).text((14, 14), str(digit), 255, font, anchor="mm", stroke_width=0.6)
        cells.append(np.asarray(cell))
    return np.stack(cells)


def grid(cells: Picture) -> Picture:
    """[rows, columns, 28, 28] as one picture, 2 pixels of white between the cells and around them."""
    rows, columns, height, width = cells.shape
    picture = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP), 255, np.uint8)
    for r in range(rows):
        for c in range(columns):
            top, left = _GAP + r * (height + _GAP), _GAP + c * (width + _GAP)
            picture[top : top + height, left : left + width] = cells[r, c]
    return picture


def sheet(images: Picture, columns: int) -> Picture:
    """The images [N, 28, 28] in rows of `columns`, the cells after the last one black."""
    rows = -(-len(images) // columns)
    cells = np.zeros((rows * columns, 28, 28), np.uint8)
    cells[: len(images)] = images
    return grid(cells.reshape(rows, columns, 28, 28))


def mismatch_grid(images: Picture, true: NDArray[Any], predicted: NDArray[Any]) -> Picture:
    """Two rows for each digit that was misread: what was read, and below it, after the digit, the images.

    Takes the misread images [M, 28, 28], their true digits [M] and the answers [M]; sorted by answer.
    """
    if not len(images):
        return grid(np.zeros((1, 1, 28, 28), np.uint8))
    digits, counts = np.unique(true, return_counts=True)
    cells = np.zeros((2 * len(digits), 1 + counts.max(), 28, 28), np.uint8)
    for row, (digit, count) in enumerate(zip(digits, counts, strict=True)):
        chosen = np.flatnonzero(true == digit)
        chosen = chosen[np.argsort(predicted[chosen], kind="stable")]
        cells[2 * row, 1 : 1 + count] = glyphs()[predicted[chosen]]
        cells[2 * row + 1, 0] = glyphs()[digit]
        cells[2 * row + 1, 1 : 1 + count] = images[chosen]
    return grid(cells)


def histogram(columns: Sequence[tuple[str, Sequence[float]]]) -> Picture:
    """How often each accuracy comes up, a panel for each named column, all to one scale: black on white.

    A bar is 0.01 points wide, or as many times that as keep 60 bars; a line stands at the mean.
    """
    from PIL import Image, ImageDraw, ImageFont

    every = np.concatenate([np.asarray(values, np.float64) for _, values in columns])
    least = np.floor(every.min() * 100 + 1e-6)
    step = max(1, int(np.ceil((np.floor(every.max() * 100 + 1e-6) - least + 1) / 60)))  # hundredths
    bins = [
        np.floor(((np.asarray(v, np.float64) * 100 + 1e-6) - least) / step).astype(int) for _, v in columns
    ]
    count = 1 + max(int(places.max()) for places in bins)
    tallest = max(int(np.bincount(places).max()) for places in bins)
    width, height = max(12, _PANEL_WIDTH // count), _PANEL_HEIGHT
    image = Image.new("L", (count * width + 2 * _MARGIN, len(columns) * (height + 3 * _MARGIN)), 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    for row, ((name, values), places) in enumerate(zip(columns, bins, strict=True)):
        top = row * (height + 3 * _MARGIN) + _MARGIN
        base = top + _MARGIN + height
        mean = float(np.mean(values))
        draw.text((_MARGIN, top), f"{name}: {len(values)} runs, mean {mean:.4f} %", 0, font, anchor="lm")
        for place, times in enumerate(np.bincount(places, minlength=count)):
            left = _MARGIN + place * width
            if times:
                high = round(height * int(times) / tallest)
                draw.rectangle((left, base - high, left + width - 2, base), 128)
                draw.text((left + width / 2, base - high - 8), str(times), 0, font, anchor="mm")
        middle = _MARGIN + (mean * 100 + 0.5 - least) / step * width
        draw.line((middle, top + 12, middle, base), 0, 1)
        draw.line((_MARGIN, base + 1, _MARGIN + count * width, base + 1), 0, 1)
        for place in sorted({0, count // 2, count - 1}):
            text = f"{(least + place * step) / 100:.2f}"
            draw.text((_MARGIN + (place + 0.5) * width, base + 12), text, 0, font, anchor="mm")
    return np.asarray(image)


def write_png(path: Path, picture: Picture) -> None:
    """Write a grey picture [height, width] as PNG, the same bytes each time.

    Raises:
        OSError: `path` cannot be written.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    files.write(path, buffer.getvalue())


def write_gif(path: Path, frames: Sequence[Picture], *, seconds: float) -> None:
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


def stars(image: Picture) -> list[str]:
    """28 rows with a star for every pixel above 0."""
    return ["".join("*" if pixel else " " for pixel in row).rstrip() for row in image]


def half_blocks(image: Picture) -> list[list[tuple[int, int]]]:
    """14 rows of 28 pairs: the greys of the upper and the lower half of each character."""
    return [list(zip(image[r].tolist(), image[r + 1].tolist(), strict=True)) for r in range(0, 28, 2)]


def shades(image: Picture) -> list[str]:
    """14 rows of ten ASCII shades, each the mean of two pixels, for terminals without colours."""
    means = image.reshape(14, 2, 28).mean(axis=1)
    return ["".join(" .:-=+*#%@"[int(grey * 10 / 256)] for grey in row).rstrip() for row in means]
