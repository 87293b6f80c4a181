"""Corrupted digits: shifted, rotated, blurred, noisy, with thinner or thicker strokes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mnistctl.artifacts.grids import ImageArray
from mnistctl.data.batches import Digits
from mnistctl.data.datasets import Arrays
from mnistctl.evaluation.metrics import compute_score
from mnistctl.evaluation.predictions import Classifier
from mnistctl.inference.forward import ProgressCallback
from mnistctl.nn.seeding import derive_seed
from mnistctl.schema import Schema

Rng: TypeAlias = np.random.Generator


@dataclass(frozen=True)
class Corruption:
    """A kind of corruption, its severities in ascending order, and their unit."""

    kind: str
    severities: tuple[float, ...]
    unit: str
    function: Callable[[ImageArray, float, Rng], ImageArray]

    def apply(self, images: ImageArray, severity: float) -> ImageArray:
        """Corrupt the images [N, 28, 28], white on black. The same images always give the same result."""
        seed = derive_seed(0, CORRUPTIONS.index(self), self.severities.index(severity))
        return self.function(images, severity, np.random.default_rng(seed))


@dataclass(frozen=True)
class CorruptionScore(Schema):
    """The accuracy in percent of each classifier on images with one corruption."""

    kind: str
    severity: float
    unit: str
    accuracies: tuple[float, ...]


def evaluate_corruptions(
    classifiers: Sequence[Classifier], arrays: Arrays, on_progress: ProgressCallback | None = None
) -> tuple[tuple[CorruptionScore, ...], ImageArray]:
    """Evaluate classifiers on the images of `arrays` under every corruption.

    Returns:
        A score for each kind and severity, in the order of CORRUPTIONS, and the first image under each of
        them: [number of scores, 28, 28].
    """
    scores, examples = [], []
    total = sum(len(corruption.severities) for corruption in CORRUPTIONS)
    for corruption in CORRUPTIONS:
        for severity in corruption.severities:
            images = corruption.apply(arrays.images, severity)
            accuracies = tuple(
                compute_score(each.net, Digits.of(Arrays(images, arrays.labels), each.device))[0].accuracy
                for each in classifiers
            )
            scores.append(CorruptionScore(corruption.kind, severity, corruption.unit, accuracies))
            examples.append(images[0])
            if on_progress is not None:
                on_progress("corruptions", len(scores), total)
    return tuple(scores), np.stack(examples)


def _shift(images: ImageArray, pixels: float, rng: Rng) -> ImageArray:
    """Shift each image in one of four random directions. What leaves the image is lost."""
    from scipy import ndimage

    directions = rng.integers(4, size=len(images))
    shifted = np.empty_like(images)
    for direction, (down, right) in enumerate(((0, 1), (0, -1), (1, 0), (-1, 0))):
        chosen = directions == direction
        shifted[chosen] = ndimage.shift(images[chosen], (0, pixels * down, pixels * right), order=0)
    return shifted


def _rotation(images: ImageArray, degrees: float, rng: Rng) -> ImageArray:
    """Rotate each image about its centre, left or right at random, with linear interpolation."""
    from scipy import ndimage

    angles = degrees * rng.choice((-1, 1), len(images))
    return np.stack(
        [
            ndimage.rotate(image, angle, reshape=False, order=1)
            for image, angle in zip(images, angles, strict=True)
        ]
    )


def _blur(images: ImageArray, sigma: float, _: Rng) -> ImageArray:
    """Gaussian blur."""
    from scipy import ndimage

    blurred: ImageArray = ndimage.gaussian_filter(images, (0, sigma, sigma))
    return blurred


def _noise(images: ImageArray, sigma: float, rng: Rng) -> ImageArray:
    """Gaussian noise, `sigma` as a share of white. Pixels are clipped to 0 and 255."""
    noise = rng.standard_normal(images.shape, np.float32) * np.float32(255 * sigma)
    return np.rint(images + noise).clip(0, 255).astype(np.uint8)


def _thinner(images: ImageArray, pixels: float, _: Rng) -> ImageArray:
    """Erosion: each pixel becomes the darkest of a square. A stroke loses `pixels` of its width."""
    from scipy import ndimage

    return _filter_squares(ndimage.minimum_filter, images, pixels)


def _thicker(images: ImageArray, pixels: float, _: Rng) -> ImageArray:
    """Dilation: each pixel becomes the brightest of a square. A stroke gains `pixels` of width."""
    from scipy import ndimage

    return _filter_squares(ndimage.maximum_filter, images, pixels)


def _filter_squares(filter_: Callable[..., ImageArray], images: ImageArray, pixels: float) -> ImageArray:
    """Filter over squares with a side of `pixels + 1`; between whole sides, interpolate linearly."""
    whole = int(pixels)
    smaller, larger = (filter_(images, (1, side, side)) for side in (whole + 1, whole + 2))
    return np.rint(smaller + (pixels - whole) * (larger.astype(np.float32) - smaller)).astype(np.uint8)


# The idea is that of MNIST-C (Mu and Gilmer, arXiv 1906.02337) and, for stroke width, of Morpho-MNIST (Castro
# et al., arXiv 1809.10780). Code and severities are our own, so accuracies cannot be compared with theirs.
CORRUPTIONS = (
    Corruption("shift", (2, 4, 6), "pixels", _shift),
    Corruption("rotation", (15, 30, 45), "degrees", _rotation),
    Corruption("blur", (1, 1.5, 2), "sigma in pixels", _blur),
    Corruption("noise", (0.1, 0.2, 0.4), "sigma, of white", _noise),
    Corruption("thinner", (0.5, 1, 1.5), "pixels", _thinner),
    Corruption("thicker", (1, 2, 3), "pixels", _thicker),
)
