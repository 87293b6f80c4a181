"""Bringing a digit into the layout of MNIST: 28x28 pixels, the digit in 20x20, centred by mass."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mnistctl.data import segmentation
from mnistctl.data.segmentation import Grey, Mask

_MIN_DETAIL = 160  # pixels on the longer side of a digit whose strokes are measured
_BOX = 20  # side of the square in which MNIST's digits fit
_CENTRE = 14  # pixel at which MNIST's digits have their centre of mass
_MIN_STROKE = 1.9  # pixels, in that square; one in ten of MNIST's training digits has thinner strokes


def fit(digit: Grey) -> NDArray[np.uint8]:
    """A digit in the layout of MNIST: its longer side scaled to 20 pixels, its centre of mass at pixel 14.

    MNIST's own images were prepared like this (LeCun et al., Proc. IEEE 86 (1998) 2278). A drawing on an
    empty canvas needs nothing else.

    Args:
        digit: cropped to its strokes, [rows, columns], 0 for paper to 1 for strokes.

    Returns:
        White on black, uint8 [28, 28].
    """
    # Reduce the digit to 20 pixels on the longer side, and make its strokes white again.
    longer = max(digit.shape)
    square = np.zeros((longer, longer), np.float32)
    square[: digit.shape[0], : digit.shape[1]] = digit
    small = np.asarray(Image.fromarray(square).resize((_BOX, _BOX), Image.Resampling.BICUBIC)).clip(0)
    strokes = small[small >= 0.2 * small.max()]
    small = (small / max(float(np.percentile(strokes, 90)), 1e-6)).clip(0, 1)

    # Cut 28x28 pixels around the centre of mass out of a larger black canvas.
    canvas = np.zeros((3 * _BOX, 3 * _BOX), np.float32)
    canvas[_BOX : 2 * _BOX, _BOX : 2 * _BOX] = small
    top, left = (round(c) - _CENTRE for c in ndimage.center_of_mass(canvas))
    return np.rint(255 * canvas[top : top + 28, left : left + 28]).astype(np.uint8)


def extract_digit(ink: Grey, mask: Mask) -> Grey:
    """The ink at the mask with full strokes, neither too faint nor too thin, cropped to them.

    Args:
        ink: [rows, columns], as `segmentation.extract_ink` gives it.
        mask: the pixels of the digit.

    Returns:
        [rows, columns], 0 for paper to 1 for strokes, at least 160 pixels on the longer side.
    """
    digit = _normalize_contrast(ink, mask)
    rows, columns = (np.flatnonzero((digit > 0.1).any(axis)) for axis in (1, 0))
    digit = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # Enlarge a small one, so that its strokes can be measured and thickened smoothly.
    if max(digit.shape) < _MIN_DETAIL:
        digit = _enlarge(digit, _MIN_DETAIL / max(digit.shape))
    return _thicken(digit, max(digit.shape) / _BOX)


def _normalize_contrast(ink: Grey, mask: Mask) -> Grey:
    """The ink at the mask and right next to it, from 0 for paper to 1 for strokes."""
    full = max(float(np.percentile(ink[mask], 80)), 0.3 * float(ink[mask].max()))  # the maximum for hairlines
    none = min(2 * segmentation.noise_level(ink), 0.3 * full)
    near = ndimage.binary_dilation(mask, iterations=max(1, max(ink.shape) // 200))
    digit: Grey = ((ink - none) / (full - none)).clip(0, 1) * near
    return digit


def _enlarge(digit: Grey, factor: float) -> Grey:
    size = [max(1, round(n * factor)) for n in digit.shape[::-1]]
    larger = Image.fromarray(digit).resize((size[0], size[1]), Image.Resampling.BICUBIC)
    return np.asarray(larger, np.float32).clip(0, 1)


def _thicken(digit: Grey, unit: float) -> Grey:
    """Widen strokes that would be thinner than `_MIN_STROKE` pixels in MNIST's square.

    Args:
        digit: [rows, columns], 0 to 1.
        unit: the size of one pixel of that square, in pixels of `digit`.
    """
    missing = (_MIN_STROKE * unit - segmentation.stroke_width(digit > 0.5)) / 2  # on each side of a stroke
    if missing <= 0:
        return digit
    padded = np.pad(digit, int(np.ceil(missing)))
    distances = ndimage.distance_transform_edt(padded <= 0.5)
    thick: Grey = np.maximum(padded, (missing + 1 - distances).clip(0, 1)).astype(np.float32)
    return thick
