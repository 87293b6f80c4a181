"""Digits as a net meets them outside MNIST: shifted, turned, blurred, noisy, drawn with other pens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mnistctl import draws
from mnistctl.figures import Picture

Chance: TypeAlias = np.random.Generator


@dataclass(frozen=True)
class Corruption:
    """A way to spoil digits: what it is called, its strengths from the weakest on, and their unit."""

    kind: str
    strengths: tuple[float, ...]
    unit: str
    spoil: Callable[[Picture, float, Chance], Picture]

    def apply(self, images: Picture, strength: float) -> Picture:
        """The digits [N, 28, 28], white on black, spoilt: the same digits always in the same way."""
        place = KINDS.index(self), self.strengths.index(strength)
        return self.spoil(images, strength, np.random.default_rng(draws.stream(0, *place)))


def _shift(images: Picture, pixels: float, chance: Chance) -> Picture:
    """To one of the four sides, drawn for each digit; what leaves the picture is lost."""
    from scipy import ndimage

    sides = chance.integers(4, size=len(images))
    shifted = np.empty_like(images)
    for side, (down, right) in enumerate(((0, 1), (0, -1), (1, 0), (-1, 0))):
        shifted[sides == side] = ndimage.shift(
            images[sides == side], (0, pixels * down, pixels * right), order=0
        )
    return shifted


def _rotation(images: Picture, degrees: float, chance: Chance) -> Picture:
    """About the centre, to the left or to the right, drawn for each digit; linear between pixels."""
    from scipy import ndimage

    turns = degrees * chance.choice((-1, 1), len(images))
    return np.stack(
        [
            ndimage.rotate(image, turn, reshape=False, order=1)
            for image, turn in zip(images, turns, strict=True)
        ]
    )


def _blur(images: Picture, sigma: float, _: Chance) -> Picture:
    """A Gaussian."""
    from scipy import ndimage

    blurred: Picture = ndimage.gaussian_filter(images, (0, sigma, sigma))
    return blurred


def _noise(images: Picture, sigma: float, chance: Chance) -> Picture:
    """Gaussian, `sigma` as a share of white; each pixel cut to black and white."""
    noise = chance.standard_normal(images.shape, np.float32) * np.float32(255 * sigma)
    return np.rint(images + noise).clip(0, 255).astype(np.uint8)


def _thinner(images: Picture, pixels: float, _: Chance) -> Picture:
    """Each pixel the darkest of a square: a stroke loses so many pixels of its width."""
    from scipy import ndimage

    return _over_squares(ndimage.minimum_filter, images, pixels)


def _thicker(images: Picture, pixels: float, _: Chance) -> Picture:
    """Each pixel the brightest of a square: a stroke gains so many pixels in width."""
    from scipy import ndimage

    return _over_squares(ndimage.maximum_filter, images, pixels)


def _over_squares(chosen: Callable[..., Picture], images: Picture, pixels: float) -> Picture:
    """What is chosen over a square with a side of `pixels + 1`; between whole pixels, in their proportion."""
    whole = int(pixels)
    few, more = (chosen(images, (1, side, side)) for side in (whole + 1, whole + 2))
    return np.rint(few + (pixels - whole) * (more.astype(np.float32) - few)).astype(np.uint8)


# The idea is MNIST-C's (Mu and Gilmer, arXiv 1906.02337), that of other pens Morpho-MNIST's (Castro et al.,
# arXiv 1809.10780). Code and strengths are our own: figures of the two do not compare with ours.
KINDS = (
    Corruption("shift", (2, 4, 6), "pixels", _shift),
    Corruption("rotation", (15, 30, 45), "degrees", _rotation),
    Corruption("blur", (1, 1.5, 2), "sigma in pixels", _blur),
    Corruption("noise", (0.1, 0.2, 0.4), "sigma, of white", _noise),
    Corruption("thinner", (0.5, 1, 1.5), "pixels", _thinner),
    Corruption("thicker", (1, 2, 3), "pixels", _thicker),
)
