"""Rows of digits in an image: where they are, and into which pieces they can be cut.

A row is cut along seams: paths from its top to its bottom that cross as little ink as possible. A seam
between two separate digits crosses none, even where their boxes overlap because they are slanted. There are
more seams than digits; `mnistctl.inference.numbers` chooses among them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mnistctl.data import components
from mnistctl.data.segmentation import Grey, Mask

HEIGHT = 48  # pixels to which a row is scaled before it is cut
INKED = 0.4  # least ink of a stroke
_STEP_COST = 0.25  # of a seam that moves by a column, in pixels of ink
_INK_COST = 1.0  # of a seam that crosses a pixel of ink
CROSSING = 1.5  # cost of a seam that crosses ink at least; others touch the edges of strokes
_MAX_CROSSING = 20.0  # cost of a seam at most: two to three strokes
_SPECK = 90  # pixels of ink in a dot at most
_MIN_INK = 12  # pixels between two seams; a speck has less
_NEAR = 2  # columns; of seams that are nearer, only the cheapest is kept
_MAX_WIDTH = 1.5  # of a piece, in heights of its row
_MIN_HEIGHT = 0.4  # of a piece, in heights of its row
_MAX_GAP = 0.3  # between two strokes of one digit, in heights of its row

# Left, top, width and height, in shares of an image's width and height.
Box = tuple[float, float, float, float]


def box_of(mask: Mask, margin: int = 0) -> Box:
    """The box around the pixels of a mask, [rows, columns] of an image with a margin of this width."""
    spans = []
    for axis, length in ((0, mask.shape[1]), (1, mask.shape[0])):
        inked = np.flatnonzero(mask.any(axis))
        start, stop = (min(max(int(n) - margin, 0), length - 2 * margin) for n in (inked[0], inked[-1] + 1))
        spans.append((start / (length - 2 * margin), (stop - start) / (length - 2 * margin)))
    (left, width), (top, height) = spans
    return left, top, width, height


@dataclass(frozen=True)
class Piece:
    """The ink between two seams of a row.

    Args:
        first, last: the seams.
        top: the first line with ink, in the row.
        ink: cropped to its strokes, from 0 to 1, [rows, columns].
    """

    first: int
    last: int
    top: int
    ink: Grey


@dataclass(frozen=True)
class Row:
    """A row of digits, scaled to a height of 48 pixels.

    Args:
        ink: from 0 to 1, [48, columns].
        seams: the columns at which each seam passes each line, [seams, 48], from left to right; the first
            and the last lie outside.
        costs: the ink that each seam crosses, [seams].
        top, left: of the row in the image, in pixels.
        scale: pixels of the image per pixel of `ink`.
        mask: the pixels of the row in the image, [rows, columns of the image].
    """

    ink: Grey
    seams: NDArray[np.int64]
    costs: NDArray[np.float64]
    top: int
    left: int
    scale: float
    mask: Mask

    def between(self, first: int, last: int) -> Mask:
        """Whether each pixel of `ink` lies between two seams."""
        columns = np.arange(self.ink.shape[1])
        inside: Mask = (columns >= self.seams[first][:, None]) & (columns < self.seams[last][:, None])
        return inside

    def piece(self, first: int, last: int) -> Piece | None:
        """The ink between two seams, or None if it cannot be one digit by its size."""
        start, stop = max(0, int(self.seams[first].min())), int(self.seams[last].max())
        columns = np.arange(start, stop)[: self.ink.shape[1] - start]
        inside = (columns >= self.seams[first][:, None]) & (columns < self.seams[last][:, None])
        ink: Grey = self.ink[:, start:stop] * inside
        inked = ink > INKED
        rows, across = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
        if not len(rows) or rows[-1] - rows[0] + 1 < _MIN_HEIGHT * HEIGHT:
            return None
        if (
            across[-1] - across[0] + 1 > _MAX_WIDTH * HEIGHT
            or np.diff(across).max(initial=0) > _MAX_GAP * HEIGHT
        ):
            return None
        return Piece(first, last, int(rows[0]), ink[rows[0] : rows[-1] + 1, across[0] : across[-1] + 1])

    def pieces(self) -> list[Piece]:
        """The ink between any two seams that may be one digit by its size."""
        seams = range(len(self.seams))
        found = [self.piece(first, last) for first in seams for last in seams[first + 1 :]]
        return [piece for piece in found if piece is not None]

    def is_speck(self, first: int, last: int) -> bool:
        """Whether the ink between two seams is too little for a digit, as a dot is."""
        inked = (self.ink > INKED) & self.between(first, last)
        rows = np.flatnonzero(inked.any(1))
        return not len(rows) or (rows[-1] - rows[0] + 1 < _MIN_HEIGHT * HEIGHT and inked.sum() < _SPECK)

    @property
    def proportion(self) -> float:
        """The width of the row in heights."""
        return float(self.ink.shape[1] / HEIGHT)

    def piece_mask(self, first: int, last: int, shared: tuple[int, int] = (0, 0)) -> Mask:
        """The pixels between two seams in the image, [rows, columns of the image].

        Args:
            first, last: the seams.
            shared: the columns of `ink` before the first and behind the last seam that belong to it too.
        """
        lines = ((np.arange(self.mask.shape[0]) - self.top) / self.scale).astype(int).clip(0, HEIGHT - 1)
        start, stop = (self.seams[n][lines][:, None] for n in (first, last))
        columns = (np.arange(self.mask.shape[1]) - self.left) / self.scale
        inside: Mask = self.mask & (columns >= start - shared[0]) & (columns < stop + shared[1])
        return inside


def find_rows(ink: Grey) -> list[Row]:
    """The rows of digits in an image, from top to bottom.

    Args:
        ink: as `segmentation.extract_ink` gives it.
    """
    found = components.find_foreground(ink)
    if found is None:
        return []
    labels, _ = ndimage.label(found.mask, components.TOUCHING)
    boxes = ndimage.find_objects(labels)
    border = components.lie_along_border(labels, boxes)
    heights = np.array([box[0].stop - box[0].start for box in boxes])
    usable = [n for n in range(len(boxes)) if not border[n]] or list(range(len(boxes)))
    tallest = max((heights[n] for n in usable), default=0)
    groups: list[list[int]] = []
    # The tall components form the rows, each from left to right.
    for n in sorted((n for n in usable if heights[n] >= 0.4 * tallest), key=lambda n: boxes[n][1].start):
        for group in groups:
            if _continues(boxes[group[-1]], boxes[n]):
                group.append(n)
                break
        else:
            groups.append([n])
    # Small components, such as the bar of a 5, belong to the row that is nearest.
    tall = {n for group in groups for n in group}
    frames = [_union([boxes[n] for n in group]) for group in groups]
    for n in set(usable) - tall:
        gaps = [components.box_gap(frame, boxes[n]) for frame in frames]
        nearest = int(np.argmin(gaps))
        height = frames[nearest][0].stop - frames[nearest][0].start
        if gaps[nearest] < 0.1 * height and components.longer_side(boxes[n]) > 0.12 * height:
            groups[nearest].append(n)
    rows = [cut(found.blurred, np.isin(labels, [n + 1 for n in group])) for group in groups]
    return sorted(rows, key=lambda row: row.top)


def _continues(last: tuple[slice, ...], box: tuple[slice, ...]) -> bool:
    """Whether a component continues a row whose last component is given: at its height, and not far away."""
    rows = [each[0].stop - each[0].start for each in (last, box)]
    overlap = min(last[0].stop, box[0].stop) - max(last[0].start, box[0].start)
    return bool(overlap > 0.4 * min(rows) and box[1].start - last[1].stop < 3 * max(rows))


def _union(boxes: list[tuple[slice, ...]]) -> tuple[slice, ...]:
    return tuple(
        slice(min(b[axis].start for b in boxes), max(b[axis].stop for b in boxes)) for axis in (0, 1)
    )


def cut(blurred: Grey, mask: Mask) -> Row:
    """The row at the mask with its seams."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    top, left, bottom, right = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    crop = (blurred * mask)[top:bottom, left:right] / max(float(np.percentile(blurred[mask], 70)), 1e-6)
    scale = (bottom - top) / HEIGHT
    size = max(1, round((right - left) / scale)), HEIGHT
    ink = np.asarray(
        Image.fromarray(crop.clip(0, 1).astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    ).clip(0, 1)
    # Faint edges of strokes cost a little, so that seams keep away from them.
    seams, costs = _find_seams(np.where(ink > INKED, 1.0, 0.1 * ink))
    return Row(ink, seams, costs, int(top), int(left), scale, mask)


def _find_seams(inked: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The cheapest paths from top to bottom, and the ink that each crosses.

    The best path through each column of the middle line is found by dynamic programming, from the middle up
    and from the middle down. Of similar ones the cheapest is kept.
    """
    height, width = inked.shape
    middle = height // 2
    padded = np.pad(inked, ((0, 0), (1, 1)))  # the columns outside are free
    up, up_paths = _best_paths(padded[:middle][::-1])
    down, down_paths = _best_paths(padded[middle:])
    costs = up + down
    paths = np.concatenate((up_paths[:, ::-1], down_paths), 1) - 1
    # Of free seams side by side, the one in the middle of the gap is best.
    off_centre = np.abs(np.arange(width + 2) - _centres(ndimage.label(costs < _INK_COST)[0]))
    kept: list[int] = []
    for n in np.lexsort((off_centre, costs)):
        if costs[n] <= _MAX_CROSSING and 0 < n <= width and all(abs(n - k) > _NEAR for k in kept):
            kept.append(int(n))
    ends = np.full((1, height), -1), np.full((1, height), width + 1)
    all_paths = np.concatenate((ends[0], paths[sorted(kept)], ends[1]))
    all_costs = np.concatenate(([0.0], costs[sorted(kept)], [0.0]))
    return _with_ink_between(inked, all_paths, all_costs)


def _with_ink_between(
    inked: NDArray[np.float64], paths: NDArray[np.int64], costs: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The paths and their costs. Of two with hardly any ink between them, the cheaper is kept."""
    totals = np.pad(np.cumsum(inked >= 1, 1), ((0, 0), (1, 0)))
    left = np.array([totals[np.arange(len(inked)), path.clip(0, inked.shape[1])].sum() for path in paths])
    chosen = [0]
    for n in range(1, len(paths)):
        if left[n] - left[chosen[-1]] > _MIN_INK:
            chosen.append(n)
        elif n == len(paths) - 1 or (len(chosen) > 1 and costs[n] < costs[chosen[-1]]):
            if len(chosen) > 1:
                chosen[-1] = n
            else:
                chosen.append(n)
    return paths[chosen], costs[chosen]


def _centres(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """For each position, the centre of its run; 0 outside of runs."""
    positions = np.arange(len(labels))
    centres = ndimage.mean(positions, labels, np.arange(labels.max() + 1)) if labels.any() else np.zeros(1)
    centres = np.nan_to_num(np.atleast_1d(centres))
    return np.where(labels > 0, centres[labels], positions)


def _best_paths(inked: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each column of the first line, the cost of the cheapest path to the last line, and its columns."""
    height, width = inked.shape
    cost = _INK_COST * inked[-1]
    choices = np.zeros((height, width), np.int64)
    for line in range(height - 2, -1, -1):
        ahead = np.stack([np.pad(cost, 1, constant_values=np.inf)[1 + d : 1 + d + width] for d in (0, -1, 1)])
        ahead[1:] += _STEP_COST
        best = ahead.argmin(0)
        choices[line] = np.array([0, -1, 1])[best]
        cost = _INK_COST * inked[line] + ahead[best, np.arange(width)]
    paths = np.zeros((width, height), np.int64)
    paths[:, 0] = np.arange(width)
    for line in range(height - 1):
        paths[:, line + 1] = paths[:, line] + choices[line][paths[:, line]]
    return cost, paths
