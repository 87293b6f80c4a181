"""The picture of docs/digit-reading.md that shows what each step of `eval --image` does to an image.

python bench/steps.py [--out docs/own-digits-steps.png]
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from digit_images import DIGITS, enlarged

from mnistctl.artifacts import grids
from mnistctl.artifacts.drawing import canvas
from mnistctl.data import components, layout, photos, segmentation

ROOT = Path(__file__).parents[1]
SIDE, HEAD, COLUMNS = 130, 34, 4  # of a picture and of the caption, in pixels; steps in a line


def find_pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each step, an image before and after it, in grey from 0 to 255."""
    small = 255 - DIGITS.images[3].astype(np.float32)
    page = np.pad(np.asarray(enlarged(5, 7, 0), np.float32), 60, constant_values=255) * 0.92
    table = np.pad(page, 70, constant_values=70)
    rows, columns = (np.flatnonzero((DIGITS.images[8] > 60).any(axis)) for axis in (1, 0))
    crop = 255 - DIGITS.images[8][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    tight = np.asarray(Image.fromarray(crop).resize((160, 200), Image.Resampling.BICUBIC)).clip(0, 255)
    photo = photos.load_image(ROOT / "docs/own-digit.jpg")[0]
    ink, margin = segmentation.extract_ink(photo)
    found = components.find_foreground(ink)
    assert found is not None
    digit = components.find_digit(found)
    as_grey = 255 * ink.clip(0, 1)
    inside = slice(margin, ink.shape[0] - margin), slice(margin, ink.shape[1] - margin)
    return {
        "2 enlarge": (small, segmentation.enlarge_small(small)),
        "3 hide the table": (table, segmentation.hide_table(table)),
        "4 add a margin": (tight, segmentation.add_margin(tight)[0]),
        "5, 6 even light, local background": (photo, as_grey[inside]),
        "7 keep what stands out": (as_grey[inside], 255.0 * found.mask[inside]),
        "8 take the digit": (255.0 * found.mask[inside], 255.0 * digit[inside]),
        "9 fit into 20x20, centre by mass": (
            as_grey[inside] * digit[inside],
            layout.fit(layout.extract_digit(ink, digit)).astype(np.float32),
        ),
    }


def in_square(grey: np.ndarray) -> np.ndarray:
    """An image scaled to SIDE on the longer side, on white."""
    factor = SIDE / max(grey.shape)
    method = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX
    size = [max(1, round(n * factor)) for n in grey.shape[::-1]]
    result = np.full((SIDE, SIDE), 255, np.uint8)
    scaled = np.asarray(Image.fromarray(grey.clip(0, 255).astype(np.uint8)).resize(size, method))
    result[: scaled.shape[0], : scaled.shape[1]] = scaled
    return result


def main() -> None:
    """Draw the pairs with their captions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/own-digits-steps.png")
    arguments = parser.parse_args()
    pairs = find_pairs()
    cell = 2 * SIDE + 24
    width, height = COLUMNS * cell, -(-len(pairs) // COLUMNS) * (SIDE + HEAD)
    pixels = np.full((height, width, 3), 255, np.uint8)
    captions = []
    for n, (name, images) in enumerate(pairs.items()):
        top, left = n // COLUMNS * (SIDE + HEAD) + HEAD - 6, n % COLUMNS * cell + 8
        for place, image in enumerate(images):
            start = left + place * (SIDE + 6)
            pixels[top : top + SIDE, start : start + SIDE] = in_square(image)[..., None]
        captions.append((left, top - 12, name))
    with canvas(width / 100, height / 100) as (figure, drawn):
        figure.figimage(pixels, origin="upper")
        for x, y, text in captions:
            figure.text(x / width, 1 - y / height, text, fontsize=9, va="center")
    grids.write_png(arguments.out, drawn[0])


if __name__ == "__main__":
    main()
