"""Finding the digits in an image: a single one, or those of a number in one or more rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from mnistctl.artifacts.grids import ImageArray
from mnistctl.data import components, layout, rows
from mnistctl.data.rows import CROSSING, Box, Row
from mnistctl.data.segmentation import Grey, Mask
from mnistctl.inference import detector, numbers

_CERTAIN = 2.0  # log of the odds above which a narrow single digit is not cut
_SURE_OF_TWO = 2.5  # mean log of the odds of two digits
_STROKE = -3.0  # mean log of the odds of pieces of a wide row that are strokes of one digit at most
_WIDE = 1.2  # width of a row, in heights, that is more likely two digits
_SHARED = (1, 4)  # columns of a row on each side of a cut through ink that belong to both digits
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
    if expect is not None and sum(len(pieces) for _, pieces in chosen) < 2:
        chosen = numbers.choose(found_rows)  # one digit is read; the others are counted
        expect = 1
    odds_of_each = [piece.odds for _, pieces in chosen for piece in pieces]
    if expect == 1 or len(odds_of_each) < 2:
        return (single,), max(0, len(odds_of_each) - 1)
    wide = max((row.proportion for row, _ in chosen), default=0.0) > _WIDE
    if expect is None and not _is_number(odds_of_each, wide):
        return (single,), 0
    digits = tuple(
        _fit(ink, margin, row, (piece.first, piece.last), number)
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


def _is_number(odds: Sequence[float], wide: bool) -> bool:
    """Whether pieces with these log odds are digits of a number, not strokes of one digit.

    Two strokes of a digit, as of an open 4, may look like two digits, so two must be surer than more. Pieces
    of a wide row may be damaged digits that touched.
    """
    if wide:
        return sum(odds) > _STROKE * len(odds)
    return sum(each > 0 for each in odds) > 1 and sum(odds) > (0 if len(odds) > 2 else 2 * _SURE_OF_TWO)


def _is_surely_one(foreground: Mask, mask: Mask, odds: float, expect: int | None) -> bool:
    """Whether the digit is all that an image shows, so that it need not be cut."""
    if expect is not None and expect > 1:
        return False
    inside, outside = components.count_tall(foreground, mask)
    found, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    narrow = columns[-1] - columns[0] + 1 < _NARROW * (found[-1] - found[0] + 1)
    return outside == 0 and bool(odds > _CERTAIN or (inside == 1 and narrow))


def _fit(ink: Grey, margin: int, row: Row, seams: tuple[int, int], number: int) -> FoundDigit:
    """The digit between two seams, without the ink of its neighbours in the row.

    Next to a cut through ink, some of it belongs to both digits. Of little and much, the detector chooses.
    """
    before, behind = (_SHARED if row.costs[n] >= CROSSING else (0,) for n in seams)
    masks = [row.piece_mask(*seams, shared) for shared in product(before, behind)]
    images = [
        layout.fit(layout.extract_digit(np.where(row.mask & ~mask, 0, ink).astype(np.float32), mask))
        for mask in masks
    ]
    best = int(detector.digit_odds(np.stack(images)).argmax()) if len(images) > 1 else 0
    return FoundDigit(images[best], rows.box_of(masks[best], margin), number)
