"""Separating the ink in an image from its paper, whatever the light, or a table around it."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Grey: TypeAlias = NDArray[np.float32]  # [rows, columns]; black is 0 and white 255, or ink from 0 to 1
Mask: TypeAlias = NDArray[np.bool_]  # [rows, columns]
_COARSE = 96  # pixels on the longer side of the small copy from which the paper is estimated
_SMALL = 64  # pixels on the longer side of images that are enlarged
_ENLARGED = 100  # pixels on their longer side after that
_DETAIL = 200  # pixels on the longer side of an area in which the width of strokes is measured
_MARGIN = 0.3  # width of the margin that is added, in longer sides of the image
_EVEN = 0.15  # largest spread of even paper, in differences between paper and ink
_SOLID = 0.6  # smallest share of a sheet that has no ink


def extract_ink(grey: Grey) -> tuple[Grey, int]:
    """The amount of ink at each pixel: 0 for paper, 1 if no light of the paper is left.

    Args:
        grey: an image [rows, columns], black 0 to white 255; dark ink on paper or light ink on a board.

    Returns:
        The ink, [rows, columns], and the width of the margin around the image that was added. Without this
        margin, the ink has the proportions of `grey`; it is larger if `grey` is small.
    """
    grey, margin = add_margin(hide_table(enlarge_small(grey)))

    # The paper and the light change slowly, so a small copy is enough for them.
    small = _small_copy(grey)
    factor = max(grey.shape) / max(small.shape)

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
    ink = _subtract_paper(grey, _estimate_paper(small, window), board)
    for _ in range(2):
        narrow = max(5.0, 3 * stroke_width(foreground_mask(ink)[1]) / factor)
        if narrow < 0.75 * window:
            window = narrow
            ink = _subtract_paper(grey, _estimate_paper(small, window), board)
    return ink, margin


def enlarge_small(grey: Grey) -> Grey:
    """An image of at most 64 pixels, enlarged to 100; others are returned as they are.

    Strokes must be some pixels wide, or their width, the paper and its noise cannot be measured.
    """
    if max(grey.shape) > _SMALL:
        return grey
    factor = _ENLARGED / max(grey.shape)
    size = max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC)).clip(0, 255)


def hide_table(grey: Grey) -> Grey:
    """An image of a sheet of paper on a table, with the table in the sheet's grey; others as they are.

    Otherwise the table would look like ink.
    """
    small = _small_copy(grey)
    sheet = _find_sheet(small) if min(small.shape) > _COARSE / 2 else None
    if sheet is None:
        return grey
    large = np.asarray(Image.fromarray(sheet).resize(grey.shape[::-1], Image.Resampling.NEAREST))
    return np.where(large, grey, np.median(small[sheet])).astype(np.float32)


def add_margin(grey: Grey) -> tuple[Grey, int]:
    """An image with a margin of its own paper, and the width of the margin: 0 if none was added.

    An image that was cropped to a digit has hardly any paper at its border. The margin shows what is paper.
    It is added only if the paper at the border is even. Otherwise its edge would look like ink.
    """
    small = _small_copy(grey)
    light = small > otsu_threshold(small)
    if light.all() or not light.any():
        return grey, 0
    of_paper = light if _is_paper_light(light) else ~light
    sides = of_paper[0], of_paper[-1], of_paper[:, 0], of_paper[:, -1]
    if sum(side.mean() < 0.05 for side in sides) > 1:  # the edges of something around the paper, not a stroke
        return grey, 0
    paper, ink = border_pixels(small)[border_pixels(of_paper)], float(np.median(small[~of_paper]))
    level = float(np.median(paper))
    # The blurred edges of strokes are between paper and ink, so look less far into that direction.
    spread = np.ptp(np.percentile(paper, (40, 95) if level > ink else (5, 60)))
    if spread > _EVEN * abs(level - ink):
        return grey, 0
    width = round(_MARGIN * max(grey.shape))
    return np.pad(grey, width, constant_values=level), width


def _is_paper_light(light: Mask) -> bool:
    """Whether the light pixels of an image, not the dark ones, are the paper.

    Most of the border is paper. If this is not clear, strokes touch the border. They are connected, and they
    cut the paper into pieces.
    """
    share = float(border_pixels(light).mean())
    if 0.3 < share < 0.7:
        of_light, of_dark = _share_of_largest(light), _share_of_largest(~light)
        if abs(of_light - of_dark) > 0.1:
            return of_light < of_dark
    return share > 0.5


def _share_of_largest(region: Mask) -> float:
    """The size of the largest connected part of a region, relative to the region."""
    sizes = np.bincount(ndimage.label(region)[0].ravel())[1:]
    return float(sizes.max() / sizes.sum())


def _small_copy(grey: Grey) -> Grey:
    """The image, at most 96 pixels long."""
    factor = max(1.0, max(grey.shape) / _COARSE)
    size = max(4, round(grey.shape[1] / factor)), max(4, round(grey.shape[0] / factor))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))


def otsu_threshold(values: NDArray[Any]) -> int:
    """The threshold that best separates dark from light: dark values are at most this.

    Source: Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979) 62.

    Args:
        values: greys from 0 to 255, of any shape.
    """
    bins = np.arange(257)
    counts = np.histogram(values, bins)[0].astype(np.float64)
    below, sums = np.cumsum(counts), np.cumsum(counts * bins[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (sums[-1] * below / below[-1] - sums) ** 2 / (below * (below[-1] - below))
    return int(np.nanargmax(np.where(np.isfinite(variance), variance, 0)))


def _resize_to(small: NDArray[Any], grey: Grey) -> NDArray[Any]:
    """`small`, interpolated to the shape of `grey`."""
    return np.asarray(Image.fromarray(small).resize(grey.shape[::-1], Image.Resampling.BILINEAR))


def _find_sheet(small: Grey) -> Mask | None:
    """The inside of a sheet of paper on a table, if the table shows on most sides of the image; else None.

    Otsu's threshold separates the sheet from the table. A sheet is a large, nearly rectangular, solid and
    even region.
    """
    light = small > otsu_threshold(small)
    contrast = float(small[light].mean() - small[~light].mean()) if 0 < light.mean() < 1 else 0.0
    for region in (light, ~light):
        if border_pixels(region).mean() > 0.4:
            continue
        labels = ndimage.label(ndimage.binary_fill_holes(region))[0]
        for n, box in enumerate(ndimage.find_objects(labels), 1):
            whole = labels == n
            area, paper = whole.sum(), small[region & whole]
            rectangular = area > 0.25 * small.size and area > 0.8 * labels[box].size
            # A closed stroke, as of a 0, is not solid. A thick blurred stroke is not even.
            solid = len(paper) > _SOLID * area
            if rectangular and solid and np.ptp(np.percentile(paper, (25, 75))) < 0.3 * contrast:
                inside: Mask = ndimage.binary_erosion(whole, iterations=3)  # without the sheet's edge
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
        weighted = terms * (weights * weights)[:, None]
        fit = terms @ np.linalg.lstsq(weighted.T @ terms, weighted.T @ values, rcond=None)[0]
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


def _estimate_paper(small: Grey, window: float) -> Grey:
    """The paper without its ink.

    A closing fills everything that is dark and narrower than the window. Strokes must be narrower.

    Args:
        small: a small copy of the image, with even light.
        window: side of the window, in pixels of `small`.
    """
    square = (int(window) | 1, int(window) | 1)
    paper: Grey = ndimage.gaussian_filter(ndimage.grey_closing(small, square), 1)
    return paper


def _subtract_paper(grey: Grey, paper: Grey, board: bool) -> Grey:
    """The ink of an image with even light.

    Args:
        grey: the image.
        paper: the paper, of any size.
        board: the image is an inverted one of a board.
    """
    paper = _resize_to(paper, grey)
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
    rows, columns = (np.flatnonzero(strokes.any(axis)) for axis in (1, 0))
    if not len(rows):
        return 0.0
    box = strokes[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    step = 1 + max(box.shape) // _DETAIL  # every second pixel is enough in a large box
    distances = ndimage.distance_transform_edt(np.pad(box[::step, ::step], 1))
    distances = distances[distances > 0]
    return 4 * step * (float(distances.mean()) - 0.5) if len(distances) else 0.0


def noise_level(ink: Grey) -> float:
    """The standard deviation of the paper, from the values below 0, where there is no ink."""
    below = ink[ink <= 0]
    return 1.4826 * float(np.median(-below)) if len(below) else 0.0
