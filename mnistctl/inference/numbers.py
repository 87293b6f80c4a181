"""Choosing how a row of digits is cut: which pieces between its seams are digits.

Every piece that may be one digit by its size has a score, by the detector and by its place in the row. The
row is the sequence of pieces with the highest sum, found by dynamic programming. A wrong cut makes pieces
that are no digits, and a missing cut makes one that is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnistctl.data.rows import Row
from mnistctl.data.segmentation import Grey
from mnistctl.inference import detector
from mnistctl.inference.pieces import odds_of, score

_SPECK = -1.0  # the score of a dot that is left out
_SKIPPED = -8.0  # the score of a row that is not read, for each of its heights in its width


@dataclass(frozen=True)
class ScoredPiece:
    """A piece of a row that may be read as one digit.

    Args:
        first, last: its seams.
        score: what it adds to the score of a cut.
        odds: the log of the odds that it is a digit, by itself.
    """

    first: int
    last: int
    score: float
    odds: float


def best_pieces(row: Row, count: int | None = None) -> dict[int, tuple[float, tuple[ScoredPiece, ...]]]:
    """The best way to read a row, for each number of digits: its score and its pieces.

    Args:
        row: as `find_rows` gives it.
        count: the largest number of digits; None if there may be any.
    """
    scored = score_pieces(row)
    last = len(row.seams) - 1
    most = count or last
    best: list[dict[int, tuple[float, tuple[ScoredPiece, ...]]]] = [{} for _ in range(last + 1)]
    best[0][0] = 0.0, ()
    for stop in range(1, last + 1):
        for start in range(stop):
            piece = scored.get((start, stop))
            if piece is None and not (stop == start + 1 and row.is_speck(start, stop)):
                continue
            added, more = (_SPECK, ()) if piece is None else (piece.score, (piece,))
            for number, (total, taken) in best[start].items():
                count_now = number + len(more)
                if count_now <= most and total + added > best[stop].get(count_now, (-np.inf, ()))[0]:
                    best[stop][count_now] = total + added, (*taken, *more)
    return best[last]


def choose(rows: Sequence[Row], expect: int | None = None) -> list[tuple[Row, tuple[ScoredPiece, ...]]]:
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
    totals: dict[int, tuple[float, tuple[tuple[ScoredPiece, ...], ...]]] = {0: (0.0, ())}
    for each in ways:
        sums: dict[int, tuple[float, tuple[tuple[ScoredPiece, ...], ...]]] = {}
        for before, (total, taken) in totals.items():
            for number, (added, pieces) in each.items():
                if before + number <= expect and total + added > sums.get(before + number, (-np.inf, ()))[0]:
                    sums[before + number] = total + added, (*taken, pieces)
        totals = sums
    taken = totals[max(totals)][1] if totals else ()
    return [(row, pieces) for row, pieces in zip(rows, taken, strict=False) if pieces]


def score_pieces(row: Row) -> dict[tuple[int, int], ScoredPiece]:
    """All pieces of a row that may be one digit by size, by their seams."""
    found = row.pieces()
    if not found:
        return {}
    logits = detector.digit_logits(np.stack([frame(piece.ink) for piece in found]))
    scores, odds = score(row, found, logits), odds_of(logits)
    return {
        (piece.first, piece.last): ScoredPiece(piece.first, piece.last, float(added), float(alone))
        for piece, added, alone in zip(found, scores, odds, strict=True)
    }


def frame(piece: Grey) -> NDArray[np.uint8]:
    """A cropped piece in MNIST's layout: in 20x20 pixels, its centre of mass in the middle."""
    factor = 20 / max(piece.shape)
    size = [max(1, round(side * factor)) for side in piece.shape[::-1]]
    pixels = np.asarray(Image.fromarray(piece).resize((size[0], size[1]), Image.Resampling.BILINEAR)).clip(
        0, 1
    )
    pixels = pixels / max(float(pixels.max()), 1e-6)
    result = np.zeros((28, 28), np.uint8)
    lines = (pixels.sum(1), pixels.sum(0))
    centre = [float(each @ np.arange(len(each)) / each.sum()) for each in lines]
    top, left = (min(max(round(14 - c), 0), 28 - n) for c, n in zip(centre, pixels.shape, strict=True))
    result[top : top + pixels.shape[0], left : left + pixels.shape[1]] = np.rint(255 * pixels)
    return result
