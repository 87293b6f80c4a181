"""Separating the ink in an image from its paper, whatever the light, a table around it, or ruled lines."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Grey: TypeAlias = NDArray[np.float32]  # [rows, columns]; black is 0 and white 255, or ink from 0 to 1
Mask: TypeAlias = NDArray[np.bool_]  # [rows, columns]
_COARSE = 96  # pixels on the longer side of the small copy from which the paper is estimated


def extract_ink(grey: Grey) -> Grey:
    """The amount of ink at each pixel: 0 for paper, 1 if no light of the paper is left.

    Args:
        grey: an image [rows, columns], black 0 to white 255; dark ink on paper or light ink on a board.
    """
    # A small copy is enough for the paper and the light, which change slowly.
    rows, columns = grey.shape
    factor = max(1.0, max(rows, columns) / _COARSE)
    size = max(4, round(columns / factor)), max(4, round(rows / factor))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))

    # Replace what surrounds a sheet of paper by the sheet's median grey. Otherwise it would look like ink.
    sheet = _find_sheet(small) if min(small.shape) > _COARSE / 2 else None
    if sheet is not None:
        large = np.asarray(Image.fromarray(sheet).resize(grey.shape[::-1], Image.Resampling.NEAREST))
        median = np.median(small[sheet])
        grey, small = np.where(large, grey, median), np.where(sheet, small, median)

    # Invert an image of light ink on a dark board.
    light = _estimate_light(small)
    board = _is_light_on_dark(small - light)
    if board:
        grey, small, light = 255 - grey, 255 - small, 255 - light

    # Make the light even. It multiplies the grey of paper, so divide by it. On a dark board subtract it.
    relative = light - light.max() if board else light.clip(0.2 * light.max()) / light.max()
    large = _resize_to(relative, grey)
    grey, small = (grey - large, small - relative) if board else (grey / large, small / relative)

    # Subtract the paper. The first estimate uses a large window and leaves shadows in the ink. Once the width
    # of the strokes is known, a window of three strokes removes shadows.
    window = 0.4 * min(small.shape)
    ink = _subtract_paper(grey, small, window, board)
    for _ in range(2):
        narrow = max(5.0, 3 * stroke_width(foreground_mask(ink)[1]) / factor)
        if narrow < 0.75 * window:
            window = narrow
            ink = _subtract_paper(grey, small, window, board)
    return _remove_rules(ink)


def _resize_to(small: NDArray[Any], grey: Grey) -> NDArray[Any]:
    """`small`, interpolated to the shape of `grey`."""
    return np.asarray(Image.fromarray(small).resize(grey.shape[::-1], Image.Resampling.BILINEAR))


def _find_sheet(small: Grey) -> Mask | None:
    """The inside of a sheet of paper on a table, if the table shows on most sides of the image; else None.

    Otsu's threshold (IEEE Transactions on Systems, Man, and Cybernetics 9, 1979, page 62) separates the sheet
    from the table. A sheet is a large, nearly rectangular region.
    """
    bins = np.arange(257)
    counts = np.histogram(small, bins)[0].astype(np.float64)
    below, sums = np.cumsum(counts), np.cumsum(counts * bins[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (sums[-1] * below / below[-1] - sums) ** 2 / (below * (below[-1] - below))
    light = small > np.nanargmax(np.where(np.isfinite(variance), variance, 0))
    for region in (light, ~light):
        if border_pixels(region).mean() > 0.4:
            continue
        labels = ndimage.label(ndimage.binary_fill_holes(region))[0]
        for n, box in enumerate(ndimage.find_objects(labels), 1):
            area = (labels == n).sum()
            if area > 0.25 * small.size and area > 0.8 * labels[box].size:
                inside: Mask = ndimage.binary_erosion(labels == n, iterations=3)  # without the sheet's edge
                return inside
    return None


def border_pixels(values: NDArray[Any]) -> NDArray[Any]:
    """The values on the border of an image, each once."""
    return np.concatenate((values[0], values[-1], values[1:-1, 0], values[1:-1, -1]))


def _estimate_light(small: Grey) -> Grey:
    """The light on the paper at each pixel: a quadratic surface.

    The fit is robust: a pixel counts less the further it is from the surface, so that ink hardly matters.
    """
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in small.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1).reshape(-1, 6)
    values = small.reshape(-1).astype(np.float64)
    weights = np.ones_like(values)
    for _ in range(5):
        fit = terms @ np.linalg.lstsq(terms * weights[:, None], values * weights, rcond=None)[0]
        residuals = np.abs(values - fit)
        weights = 1 / (1 + (residuals / max(1.0, 2 * float(np.median(residuals)))) ** 2)
    light: Grey = fit.reshape(small.shape).clip(1, 255).astype(np.float32)
    return light


def _is_light_on_dark(difference: Grey) -> bool:
    """Whether the ink is lighter than the paper.

    If three sides of the image are clearly lighter or darker than the mean, they are paper. Otherwise the ink
    is what is rare: the sign of the skewness shows whether rare pixels are light.

    Args:
        difference: the image minus the light on the paper.
    """
    mean, deviation = difference.mean(), difference.std()
    sides = difference[0], difference[-1], difference[:, 0], difference[:, -1]
    medians = np.array([np.median(side) for side in sides])
    lighter = medians - mean > 0.25 * deviation
    darker = mean - medians > 0.25 * deviation
    if max(lighter.sum(), darker.sum()) > 2:
        return bool(darker.sum() > 2)
    return bool(np.mean(difference**3) > 0)


def _subtract_paper(grey: Grey, small: Grey, window: float, board: bool) -> Grey:
    """The ink, given a window that is wider than the strokes.

    Args:
        grey, small: the image with even light, and its small copy.
        window: side of the window, in pixels of `small`.
        board: the image is an inverted one of a board.
    """
    # A closing fills everything that is dark and narrower than the window. Only the paper is left.
    square = (int(window) | 1, int(window) | 1)
    paper = _resize_to(ndimage.gaussian_filter(ndimage.grey_closing(small, square), 1), grey)
    ink = (paper - grey) / 255 if board else 1 - grey / np.maximum(paper, 1)
    # The closing is a little lighter than most of the paper. Let the median of what is not ink be 0.
    zero = np.median(ink[ink < max(0.5 * ink.max(), ink.min()) + 1e-6])
    centred: Grey = (ink - zero).astype(np.float32)
    return centred


def foreground_mask(ink: Grey) -> tuple[Grey, Mask]:
    """The ink, slightly blurred, and where it stands out from the noise of the paper."""
    blurred = ndimage.gaussian_filter(ink, max(ink.shape) / 400)
    return blurred, blurred > max(5 * noise_level(blurred), 0.06)


def stroke_width(strokes: Mask) -> float:
    """The mean width of strokes in pixels: four times the mean distance to the edge, as for a long stroke."""
    distances = ndimage.distance_transform_edt(np.pad(strokes, 1))
    distances = distances[distances > 0]
    return 4 * (float(distances.mean()) - 0.5) if len(distances) else 0.0


def noise_level(ink: Grey) -> float:
    """The standard deviation of the paper, from the values below 0, where there is no ink."""
    below = ink[ink <= 0]
    return 1.4826 * float(np.median(-below)) if len(below) else 0.0


def _remove_rules(ink: Grey) -> Grey:
    """Remove the lines of ruled or squared paper: they cross the whole image, tilted by at most 6 degrees.

    Lines are rows that are dark in at least 80 % of their length. A single line is removed only if it is thin
    and fainter than the ink, because the bar of a 7 may cross the whole image, too.

    Args:
        ink: is changed in place, and returned.
    """
    for view in (ink, ink.T):  # horizontal lines, then vertical ones
        noise = noise_level(view)
        slope, darkness = _find_rules(view)
        lines = darkness > max(2 * noise, 0.02)
        several, faint = ndimage.label(lines)[1] > 1, darkness.max() < 0.75 * np.percentile(view, 99)
        if 0 < lines.mean() < (0.25 if several else 0.04 if faint else 0):
            # Subtract the lines, except where something much darker crosses them: a stroke.
            columns = np.arange(view.shape[1])
            median = np.percentile(_shear_rows(view, columns, slope), 45, axis=1)
            line = median * ndimage.binary_dilation(lines, iterations=2)
            rules = _shear_rows(np.broadcast_to(line[:, None], view.shape), columns, -slope)
            view[...] = np.where(view < 2 * rules + 2 * noise, view - rules, view)
    return ink


def _find_rules(ink: Grey) -> tuple[float, NDArray[Any]]:
    """The slope along which the rows of an image are darkest, and how dark each row is along it.

    The darkness of a row is its 20th percentile: a line is dark nearly everywhere, a stroke is not. About 64
    columns are enough to measure it.
    """
    columns = np.arange(0, ink.shape[1], max(1, ink.shape[1] // 64))
    best, best_slope, best_darkness = 0.0, 0.0, np.zeros(ink.shape[0])
    for slope in np.tan(np.radians(np.arange(-6, 6.1, 0.5))):
        darkness = np.percentile(_shear_rows(ink[:, columns], columns, slope), 20, axis=1)
        total = float((darkness.clip(0) ** 2).sum())
        if total > best:
            best, best_slope, best_darkness = total, slope, darkness
    return best_slope, best_darkness


def _shear_rows(values: NDArray[Any], columns: NDArray[np.int64], slope: float) -> NDArray[Any]:
    """The values along lines of this slope, one line for each row.

    Args:
        values: [rows, columns].
        columns: horizontal position of each column, in pixels.
        slope: rise per pixel.
    """
    rows = np.arange(len(values))[:, None] + np.rint(columns * slope).astype(int)
    return np.take_along_axis(values, rows.clip(0, len(values) - 1), 0)
