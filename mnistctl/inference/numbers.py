"""Choosing how a row of digits is cut: which pieces between its seams are digits.

Every piece that may be one digit by its size is scored by the detector: the log of the odds that it is a
digit. The row is the sequence of pieces with the highest sum, found by dynamic programming. A wrong cut makes
pieces that are no digits, and a missing cut makes one that is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mnistctl.data.rows import CROSSING, Row
from mnistctl.data.segmentation import Grey
from mnistctl.inference import detector

_MAX_ODDS = 10.0  # of the log of the odds: the detector is never more certain
_CUT_COST = 0.05  # of each pixel of ink that a seam crosses
_CUT = 1.5  # of a seam that crosses ink at all, in addition
_DIGIT = 1.0  # of each digit, so that fewer are preferred
_SPECK = -1.0  # the score of a dot that is left out
_SKIPPED = -8.0  # the score of a row that is not read, for each of its heights in its width


@dataclass(frozen=True)
class Piece:
    """A piece of a row that is read as one digit.

    Args:
        first, last: its seams.
        score: the log of the odds that it is a digit.
    """

    first: int
    last: int
    score: float


def best_pieces(row: Row, count: int | None = None) -> dict[int, tuple[float, tuple[Piece, ...]]]:
    """The best way to read a row, for each number of digits: its score and its pieces.

    Args:
        row: as `find_rows` gives it.
        count: the largest number of digits; None if there may be any.
    """
    scores = score_pieces(row)
    last = len(row.seams) - 1
    most = count or last
    best: list[dict[int, tuple[float, tuple[Piece, ...]]]] = [{} for _ in range(last + 1)]
    best[0][0] = 0.0, ()
    prices = [_CUT_COST * float(cost) + (_CUT if cost >= CROSSING else 0) for cost in row.costs]
    for stop in range(1, last + 1):
        for start in range(stop):
            score = scores.get((start, stop))
            skipped = score is None and stop == start + 1 and row.is_speck(start, stop)
            if score is None and not skipped:
                continue
            added = (_SPECK if score is None else score - _DIGIT) - prices[stop]
            for number, (total, pieces) in best[start].items():
                count_now = number + (score is not None)
                if count_now <= most and total + added > best[stop].get(count_now, (-np.inf, ()))[0]:
                    more = () if score is None else (Piece(start, stop, score),)
                    best[stop][count_now] = total + added, (*pieces, *more)
    return best[last]


def choose(rows: Sequence[Row], expect: int | None = None) -> list[tuple[Row, tuple[Piece, ...]]]:
    """The pieces of each row that are read as digits; rows without any are left out.

    Args:
        rows: as `find_rows` gives them.
        expect: the number of digits in all rows together; None if it is unknown.

    Returns:
        The rows with their pieces: fewer than expected if the ink cannot be cut into as many.
    """
    ways = [best_pieces(row, expect) | {0: (_SKIPPED * max(1.0, row.proportion), ())} for row in rows]
    if expect is None:
        chosen = [max(each.values(), key=lambda way: way[0])[1] for each in ways]
        return [(row, pieces) for row, pieces in zip(rows, chosen, strict=True) if pieces]
    totals: dict[int, tuple[float, tuple[tuple[Piece, ...], ...]]] = {0: (0.0, ())}
    for each in ways:
        sums: dict[int, tuple[float, tuple[tuple[Piece, ...], ...]]] = {}
        for before, (total, taken) in totals.items():
            for number, (score, pieces) in each.items():
                if before + number <= expect and total + score > sums.get(before + number, (-np.inf, ()))[0]:
                    sums[before + number] = total + score, (*taken, pieces)
        totals = sums
    taken = totals[max(totals)][1] if totals else ()
    return [(row, pieces) for row, pieces in zip(rows, taken, strict=False) if pieces]


def score_pieces(row: Row) -> dict[tuple[int, int], float]:
    """The log of the odds that the ink between two seams is one digit, for all that may be one by size."""
    found: dict[tuple[int, int], Grey] = {}
    for start in range(len(row.seams)):
        for stop in range(start + 1, len(row.seams)):
            piece = row.piece(start, stop)
            if piece is not None:
                found[start, stop] = piece
    if not found:
        return {}
    odds = detector.digit_odds(np.stack([frame(piece) for piece in found.values()]))
    return {seams: float(score) for seams, score in zip(found, odds.clip(-_MAX_ODDS, _MAX_ODDS), strict=True)}


def frame(piece: Grey) -> NDArray[np.uint8]:
    """A cropped piece in MNIST's layout: in 20x20 pixels, its centre of mass in the middle."""
    factor = 20 / max(piece.shape)
    size = [max(1, round(side * factor)) for side in piece.shape[::-1]]
    pixels = np.asarray(Image.fromarray(piece).resize((size[0], size[1]), Image.Resampling.BILINEAR)).clip(
        0, 1
    )
    pixels = pixels / max(float(pixels.max()), 1e-6)
    result = np.zeros((28, 28), np.uint8)
    centre = ndimage.center_of_mass(pixels)
    top, left = (int(np.clip(round(14 - c), 0, 28 - n)) for c, n in zip(centre, pixels.shape, strict=True))
    result[top : top + pixels.shape[0], left : left + pixels.shape[1]] = np.rint(255 * pixels)
    return result
