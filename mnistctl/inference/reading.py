"""Finding the digits in an image: a single one, or those of a number in one or more rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnistctl.artifacts.grids import ImageArray
from mnistctl.data import components, layout, rows
from mnistctl.data.rows import Box
from mnistctl.data.segmentation import Grey, Mask
from mnistctl.inference import detector, numbers

_CERTAIN = 2.0  # log of the odds above which a narrow single digit is not cut
_SURE_OF_TWO = 2.5  # mean log of the odds of two digits
_WIDE = 1.2  # width of a row, in heights, that is more likely two digits
_NARROW = 0.95  # width of an image's ink, in heights, that is surely not a number


@dataclass(frozen=True)
class FoundDigit:
    """A digit in an image.

    Args:
        image: as a net receives it, [28, 28].
        box: where it is.
        row: number of its row, from 0.
    """

    image: ImageArray
    box: Box
    row: int = 0


def find_digits(ink: Grey, margin: int = 0, expect: int | None = None) -> tuple[tuple[FoundDigit, ...], int]:
    """The digits in an image in reading order, and how many more seem to be there.

    Args:
        ink: as `extract_ink` gives it.
        margin: the width of the margin around the image in `ink`.
        expect: how many digits there are; None if that is unknown.
    """
    foreground = components.find_foreground(ink)
    if foreground is None:
        return (), 0
    mask = components.find_digit(foreground)
    single = FoundDigit(layout.fit(layout.extract_digit(ink, mask)), rows.box_of(mask, margin))
    odds = float(detector.digit_odds(single.image[None])[0])
    found_rows = [] if _is_surely_one(foreground.mask, mask, odds, expect) else rows.find_rows(ink)
    chosen = numbers.choose(found_rows, None if expect == 1 else expect)
    scores = [piece.score for _, pieces in chosen for piece in pieces]
    if expect == 1 or len(scores) < 2:
        return (single,), max(0, len(scores) - 1)
    wide = max((row.proportion for row, _ in chosen), default=0.0) > _WIDE
    if expect is None and not wide and not _is_number(scores):
        return (single,), 0
    digits = tuple(
        _fit(ink, margin, row.piece_mask(piece.first, piece.last), row.mask, number)
        for number, (row, pieces) in enumerate(chosen)
        for piece in pieces
    )
    return digits, 0


def digits_of_grid(cells: ImageArray) -> tuple[FoundDigit, ...]:
    """The digits in the cells [rows, columns, 28, 28] of a grid, row by row; black cells have none."""
    rows, columns = cells.shape[:2]
    return tuple(
        FoundDigit(cells[row, column], (column / columns, row / rows, 1 / columns, 1 / rows), row)
        for row in range(rows)
        for column in range(columns)
        if cells[row, column].any()
    )


def _is_number(scores: Sequence[float]) -> bool:
    """Whether pieces with these log odds are digits of a number, not strokes of one digit.

    Two strokes of a digit, as of an open 4, may look like two digits, so two must be surer than more.
    """
    return sum(score > 0 for score in scores) > 1 and (len(scores) > 2 or sum(scores) > 2 * _SURE_OF_TWO)


def _is_surely_one(foreground: Mask, mask: Mask, odds: float, expect: int | None) -> bool:
    """Whether the digit is all that an image shows, so that it need not be cut."""
    if expect is not None and expect > 1:
        return False
    inside, outside = components.count_tall(foreground, mask)
    found, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    narrow = columns[-1] - columns[0] + 1 < _NARROW * (found[-1] - found[0] + 1)
    return outside == 0 and bool(odds > _CERTAIN or (inside == 1 and narrow))


def _fit(ink: Grey, margin: int, mask: Mask, row: Mask, number: int) -> FoundDigit:
    """The digit at the mask, without the ink of its neighbours in the row."""
    alone = np.where(row & ~mask, 0, ink).astype(np.float32)
    return FoundDigit(layout.fit(layout.extract_digit(alone, mask)), rows.box_of(mask, margin), number)
