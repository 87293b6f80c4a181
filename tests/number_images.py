"""Images of numbers, composed of digits of the sample."""

import numpy as np
from digit_images import DIGITS
from PIL import Image


def ink_of(number: str, gap: int = 4, start: int = 0) -> np.ndarray:
    """The digits of a number in a row, white on black.

    Args:
        number: digits.
        gap: pixels between their boxes, negative if they overlap.
        start: index in the sample from which each digit is searched.
    """
    row = np.zeros((28, 0), np.uint8)
    for position, digit in enumerate(number):
        n = start + position + int(np.flatnonzero(DIGITS.labels[start + position :] == int(digit))[0])
        columns = np.flatnonzero((DIGITS.images[n] > 60).any(0))
        part = DIGITS.images[n][:, columns[0] : columns[-1] + 1]
        left = max(0, row.shape[1] + gap) if row.shape[1] else 0
        joined = np.zeros((28, left + part.shape[1]), np.uint8)
        joined[:, : row.shape[1]] = row
        joined[:, left:] = np.maximum(joined[:, left:], part)
        row = joined
    return row


def picture(*numbers: str, gap: int = 4, factor: int = 4) -> Image.Image:
    """Numbers one below the other, dark on light, with a margin."""
    rows = [ink_of(number, gap, 50 * n) for n, number in enumerate(numbers)]
    width = max(row.shape[1] for row in rows)
    ink = np.concatenate([np.pad(row, ((4, 4), (0, width - row.shape[1]))) for row in rows])
    page = 255 - np.pad(ink, 8)
    return Image.fromarray(page).resize(
        (page.shape[1] * factor, page.shape[0] * factor), Image.Resampling.BICUBIC
    )
