"""What is ink in a picture: how much darker than its paper each pixel is, in any light, without lines."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Grey: TypeAlias = NDArray[np.float32]  # [rows, columns]; of a picture black 0 to white 255
Mask: TypeAlias = NDArray[np.bool_]
_COARSE = 96  # pixels on the longer side of what the paper is estimated on


def extract_ink(grey: Grey) -> Grey:
    """How much darker than the paper each pixel is, or lighter than the board: 0 paper, 1 all of it."""
    rows, columns = grey.shape
    factor = max(1.0, max(rows, columns) / _COARSE)
    size = max(4, round(columns / factor)), max(4, round(rows / factor))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    sheet = _find_sheet(small) if min(small.shape) > _COARSE / 2 else None
    if sheet is not None:
        wide = np.asarray(Image.fromarray(sheet).resize(grey.shape[::-1], Image.Resampling.NEAREST))
        grey, small = (np.where(m, v, np.median(small[sheet])) for m, v in ((wide, grey), (sheet, small)))
    light = _illumination(small)
    board = _is_light_on_dark(small - light)
    if board:
        grey, small, light = 255 - grey, 255 - small, 255 - light
    # Light that falls on paper multiplies its grey, so a ratio is what the ink is; a board has no ratio.
    slope = light - light.max() if board else light.clip(0.2 * light.max()) / light.max()
    whole = np.asarray(Image.fromarray(slope).resize(grey.shape[::-1], Image.Resampling.BILINEAR))
    grey, small = (grey - whole, small - slope) if board else (grey / whole, small / slope)
    side = 0.4 * min(small.shape)
    ink = _subtract_paper(grey, small, side, board)
    for _ in range(2):  # nearer the strokes, now that their width is known: shadows are wider
        narrow = max(5.0, 3 * stroke_width(foreground_mask(ink)[1]) / factor)
        if narrow < 0.75 * side:
            side = narrow
            ink = _subtract_paper(grey, small, side, board)
    return _remove_rules(ink)


def _find_sheet(small: Grey) -> Mask | None:
    """Where a sheet of paper lies on a table that shows on most sides, a little within its edge."""
    bins = np.arange(257)
    counts = np.histogram(small, bins)[0].astype(np.float64)
    below, sums = np.cumsum(counts), np.cumsum(counts * bins[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):  # Otsu, IEEE SMC-9 (1979) 62: the classes' variance
        between = (sums[-1] * below / below[-1] - sums) ** 2 / (below * (below[-1] - below))
    light = small > np.nanargmax(np.where(np.isfinite(between), between, 0))
    for side in (light, ~light):
        if border_pixels(side).mean() > 0.4:
            continue
        labels = ndimage.label(ndimage.binary_fill_holes(side))[0]
        for n, box in enumerate(ndimage.find_objects(labels), 1):
            area = (labels == n).sum()
            if area > 0.25 * small.size and area > 0.8 * labels[box].size:
                within: Mask = ndimage.binary_erosion(labels == n, iterations=3)
                return within
    return None


def border_pixels(values: NDArray[Any]) -> NDArray[Any]:
    """What lies on the border."""
    return np.concatenate((values[0], values[-1], values[1:-1, 0], values[1:-1, -1]))


def _subtract_paper(grey: Grey, small: Grey, side: float, board: bool) -> Grey:
    # A closing fills what is darker and narrower than the square: the paper remains, in its own light.
    square = (int(side) | 1, int(side) | 1)
    paper = ndimage.gaussian_filter(ndimage.grey_closing(small, square), 1)
    whole = np.asarray(Image.fromarray(paper).resize(grey.shape[::-1], Image.Resampling.BILINEAR))
    ink = (whole - grey) / 255 if board else 1 - grey / np.maximum(whole, 1)
    level = np.median(ink[ink < max(0.5 * ink.max(), ink.min()) + 1e-6])
    flat: Grey = (ink - level).astype(np.float32)
    return flat


def foreground_mask(ink: Grey) -> tuple[Grey, Mask]:
    """The ink a little blurred, and where it stands out of the noise."""
    soft = ndimage.gaussian_filter(ink, max(ink.shape) / 400)
    return soft, soft > max(5 * noise_level(soft), 0.06)


def stroke_width(strokes: Mask) -> float:
    """The mean width of strokes in pixels: four times the mean distance to the edge, as in a long one."""
    inside = ndimage.distance_transform_edt(np.pad(strokes, 1))
    inside = inside[inside > 0]
    return 4 * (float(inside.mean()) - 0.5) if len(inside) else 0.0


def _illumination(small: Grey) -> Grey:
    """How the light falls: the quadric through the paper, which what is ink pulls at less and less."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in small.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1).reshape(-1, 6)
    values = small.reshape(-1).astype(np.float64)
    weights = np.ones_like(values)
    for _ in range(5):
        fit = terms @ np.linalg.lstsq(terms * weights[:, None], values * weights, rcond=None)[0]
        away = np.abs(values - fit)
        weights = 1 / (1 + (away / max(1.0, 2 * float(np.median(away)))) ** 2)
    light: Grey = fit.reshape(small.shape).clip(1, 255).astype(np.float32)
    return light


def _is_light_on_dark(away: Grey) -> bool:
    """Whether what is rare in the picture is lighter than the rest, of its greys less the light's.

    Where the ink is not rare, whether it is lighter than three sides of the picture.
    """
    edges = np.array([np.median(away[0]), np.median(away[-1]), np.median(away[:, 0]), np.median(away[:, -1])])
    lighter = edges - away.mean() > 0.25 * away.std()
    darker = away.mean() - edges > 0.25 * away.std()
    if max(lighter.sum(), darker.sum()) > 2:
        return bool(darker.sum() > 2)
    return bool(np.mean(away**3) > 0)


def _remove_rules(ink: Grey) -> Grey:
    """Without the lines of ruled or squared paper: through the whole picture, nearly level.

    One line alone must be thin and fainter than the ink: a 7 may fill the picture with its bar.
    """
    for turned in (False, True):
        view = ink.T if turned else ink
        grain = noise_level(view)
        columns = np.arange(0, view.shape[1], max(1, view.shape[1] // 64))
        best, chosen = 0.0, (0.0, np.zeros(view.shape[0]))
        for slope in np.tan(np.radians(np.arange(-6, 6.1, 0.5))):
            level = np.percentile(_shear_rows(view[:, columns], columns, slope), 20, axis=1)
            if (told := float((level.clip(0) ** 2).sum())) > best:
                best, chosen = told, (slope, level)
        slope, level = chosen
        lines = level > max(2 * grain, 0.02)
        several, faint = ndimage.label(lines)[1] > 1, level.max() < 0.75 * np.percentile(view, 99)
        if 0 < lines.mean() < (0.25 if several else 0.04 if faint else 0):
            every = np.arange(view.shape[1])
            line = np.percentile(_shear_rows(view, every, slope), 45, axis=1) * ndimage.binary_dilation(
                lines, iterations=2
            )
            under = _shear_rows(np.broadcast_to(line[:, None], view.shape), every, -slope)
            view[...] = np.where(view < 2 * under + 2 * grain, view - under, view)
    return ink


def _shear_rows(values: NDArray[Any], columns: NDArray[np.int64], slope: float) -> NDArray[Any]:
    """Each row read along a line of that slope."""
    rows = np.arange(len(values))[:, None] + np.rint(columns * slope).astype(int)
    return np.take_along_axis(values, rows.clip(0, len(values) - 1), 0)


def noise_level(ink: Grey) -> float:
    """The standard deviation of the paper, from the half below its median, where no ink is."""
    below = ink[ink <= 0]
    return 1.4826 * float(np.median(-below)) if len(below) else 0.0
