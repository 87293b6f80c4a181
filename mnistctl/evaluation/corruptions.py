"""Digits as a net meets them outside MNIST: shifted, turned, blurred, noisy, drawn with other pens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mnistctl.artifacts.grids import ImageArray
from mnistctl.nn.seeding import derive_seed

Rng: TypeAlias = np.random.Generator


@dataclass(frozen=True)
class Corruption:
    """A way to spoil digits: what it is called, its strengths from the weakest on, and their unit."""

    kind: str
    strengths: tuple[float, ...]
    unit: str
    spoil: Callable[[ImageArray, float, Rng], ImageArray]

    def apply(self, images: ImageArray, strength: float) -> ImageArray:
        """The digits [N, 28, 28], white on black, spoilt: the same digits always in the same way."""
        place = CORRUPTIONS.index(self), self.strengths.index(strength)
        return self.spoil(images, strength, np.random.default_rng(derive_seed(0, *place)))


def _shift(images: ImageArray, pixels: float, chance: Rng) -> ImageArray:
    """To one of the four sides, drawn for each digit; what leaves the picture is lost."""
    from scipy import ndimage

    sides = chance.integers(4, size=len(images))
    shifted = np.empty_like(images)
    for side, (down, right) in enumerate(((0, 1), (0, -1), (1, 0), (-1, 0))):
        shifted[sides == side] = ndimage.shift(
            images[sides == side], (0, pixels * down, pixels * right), order=0
        )
    return shifted


def _rotation(images: ImageArray, degrees: float, chance: Rng) -> ImageArray:
    """About the centre, to the left or to the right, drawn for each digit; linear between pixels."""
    from scipy import ndimage

    turns = degrees * chance.choice((-1, 1), len(images))
    return np.stack(
        [
            ndimage.rotate(image, turn, reshape=False, order=1)
            for image, turn in zip(images, turns, strict=True)
        ]
    )


def _blur(images: ImageArray, sigma: float, _: Rng) -> ImageArray:
    """A Gaussian."""
    from scipy import ndimage

    blurred: ImageArray = ndimage.gaussian_filter(images, (0, sigma, sigma))
    return blurred


def _noise(images: ImageArray, sigma: float, chance: Rng) -> ImageArray:
    """Gaussian, `sigma` as a share of white; each pixel cut to black and white."""
    noise = chance.standard_normal(images.shape, np.float32) * np.float32(255 * sigma)
    return np.rint(images + noise).clip(0, 255).astype(np.uint8)


def _thinner(images: ImageArray, pixels: float, _: Rng) -> ImageArray:
    """Each pixel the darkest of a square: a stroke loses so many pixels of its width."""
    from scipy import ndimage

    return _over_squares(ndimage.minimum_filter, images, pixels)


def _thicker(images: ImageArray, pixels: float, _: Rng) -> ImageArray:
    """Each pixel the brightest of a square: a stroke gains so many pixels in width."""
    from scipy import ndimage

    return _over_squares(ndimage.maximum_filter, images, pixels)


def _over_squares(chosen: Callable[..., ImageArray], images: ImageArray, pixels: float) -> ImageArray:
    """What is chosen over a square with a side of `pixels + 1`; between whole pixels, in their proportion."""
    whole = int(pixels)
    few, more = (chosen(images, (1, side, side)) for side in (whole + 1, whole + 2))
    return np.rint(few + (pixels - whole) * (more.astype(np.float32) - few)).astype(np.uint8)


# The idea is MNIST-C's (Mu and Gilmer, arXiv 1906.02337), that of other pens Morpho-MNIST's (Castro et al.,
# arXiv 1809.10780). Code and strengths are our own: figures of the two do not compare with ours.
CORRUPTIONS = (
    Corruption("shift", (2, 4, 6), "pixels", _shift),
    Corruption("rotation", (15, 30, 45), "degrees", _rotation),
    Corruption("blur", (1, 1.5, 2), "sigma in pixels", _blur),
    Corruption("noise", (0.1, 0.2, 0.4), "sigma, of white", _noise),
    Corruption("thinner", (0.5, 1, 1.5), "pixels", _thinner),
    Corruption("thicker", (1, 2, 3), "pixels", _thicker),
)
