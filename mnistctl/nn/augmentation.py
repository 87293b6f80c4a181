"""Augmentation: random changes of training images that leave their digit the same.

The functions take whole batches, on any device, and draw from a generator that the caller gives.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mnistctl.nn.seeding import derive_seed
from mnistctl.schema import Schema

BACKGROUND = -1.0  # the value of black, outside the image, too
_MARGIN = 3  # standard deviations of the Gaussian that the elastic noise goes beyond the image
_ASPECT = 2.0  # largest ratio of the sides of an erased rectangle
_OF_IMAGES, _OF_MIXTURES = 1, 2  # the two streams of random numbers of an epoch


@dataclass(frozen=True, kw_only=True)
class Augmentation(Schema):
    """How much training images are changed. 0 is not at all.

    Each amount is drawn anew for every image in every epoch, evenly between the ends given here.

    Args:
        shift: largest shift in each direction, in pixels.
        rotation: largest rotation to either side, in degrees.
        scale: largest change of the size: 0.1 for factors of 0.9 to 1.1.
        shear: largest tangent of the slant: 0.1 moves the upper and the lower edge by 1.4 pixels.
        elastic: standard deviation of each pixel's own displacement in each direction, in pixels (Simard,
            Steinkraus and Platt, Best Practices for Convolutional Neural Networks, 2003).
        elastic_width: standard deviation of the Gaussian that smooths these displacements, in pixels.
        stroke: largest change of the width of strokes, in pixels.
        erase: largest share of the image that a rectangle of background covers, before its sides become
            whole pixels (random erasing, Zhong et al., arXiv 1708.04896).
        mixup: alpha of the distribution Beta(alpha, alpha), from which the share of each of two mixed images
            is drawn, once for a batch (Zhang et al., arXiv 1710.09412).
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    elastic_width: float = 4.0
    stroke: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0

    @property
    def moves_pixels(self) -> bool:
        """Whether pixels change their place."""
        return any((self.shift, self.rotation, self.scale, self.shear, self.elastic))

    @property
    def changes_images(self) -> bool:
        """Whether anything is changed at all."""
        return bool(self.in_effect())

    def in_effect(self) -> dict[str, float]:
        """The amounts that change anything, by name."""
        left_out = () if self.elastic else ("elastic_width",)
        return {name: value for name, value in vars(self).items() if value and name not in left_out}


@dataclass(frozen=True)
class MixedLabels:
    """The labels of images that are each a mixture of two.

    Args:
        first: labels [B] of the first images.
        second: labels [B] of the second ones.
        share: the share of the first images.
    """

    first: Tensor
    second: Tensor
    share: float

    def __len__(self) -> int:
        return len(self.first)

    def split(self, size: int) -> "tuple[MixedLabels, ...]":
        """The labels in parts of `size`, as those of `Tensor.split`."""
        parts = zip(self.first.split(size), self.second.split(size), strict=True)
        return tuple(MixedLabels(first, second, self.share) for first, second in parts)

    def weigh(self, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """The sum of the loss for either labels, each weighted by its share."""
        return self.share * loss(self.first) + (1 - self.share) * loss(self.second)


Labels = Tensor | MixedLabels


class Augmenter:
    """Changes the batches of one epoch.

    Its random draws are functions of the seed, the epoch and the batch's place in it. They take nothing from
    torch's own generator, so that the order of the images and the dropout masks are those of a run without.

    Args:
        augmentation: how much to change.
        seed: the seed of the run.
        epoch: the number of the epoch, from 1.
        device: where the images are.
    """

    def __init__(self, augmentation: Augmentation, seed: int, epoch: int, device: torch.device) -> None:
        self._augmentation = augmentation
        self._generator = torch.Generator(device)
        self._generator.manual_seed(derive_seed(seed, epoch, _OF_IMAGES))
        self._mixtures = np.random.default_rng(derive_seed(seed, epoch, _OF_MIXTURES))

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Labels]:
        """The next batch of the epoch, changed.

        Args:
            x: pixels [B, 1, 28, 28] in [-1, 1].
            y: labels [B].

        Returns:
            Pixels of the same shape and range, and labels; with mixup, of both images.
        """
        chosen, generator = self._augmentation, self._generator
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            if chosen.stroke:
                x = change_strokes(x, chosen.stroke, generator)
            if chosen.moves_pixels:
                x = move_pixels(x, chosen, generator)
            if chosen.erase:
                x = erase(x, chosen.erase, generator)
            if chosen.mixup:
                share = float(self._mixtures.beta(chosen.mixup, chosen.mixup))
                return mix(x, y, share, generator)
        return x, y


def change_strokes(x: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """The images with wider or thinner strokes.

    The largest value of each pixel and its eight neighbours is an image with strokes that are 2 pixels wider,
    the smallest value one with strokes that are 2 pixels thinner. Blended with the image itself, they give
    the widths in between. This holds for upright and level strokes; slanted ones change by up to 2.8 pixels.

    Args:
        x: pixels [B, 1, H, W].
        most: largest change of the width, in pixels, 2 at most.
        generator: source of the random numbers.
    """
    change = _draw(len(x), most, generator).view(-1, 1, 1, 1)
    sign = torch.where(change < 0, -1.0, 1.0)
    # The smallest value is minus the largest one of minus the image, so that one filter does for both.
    signed = x * sign
    return x.lerp(_spread(_spread(signed, 2), 3).mul_(sign), change.abs_().div_(2))


def _spread(x: Tensor, dim: int) -> Tensor:
    """The largest of each value and its two neighbours along a dimension."""
    result, count = x.clone(), x.shape[dim] - 1
    first, last = result.narrow(dim, 0, count), result.narrow(dim, 1, count)
    torch.maximum(first, x.narrow(dim, 1, count), out=first)
    torch.maximum(last, x.narrow(dim, 0, count), out=last)
    return result


def move_pixels(x: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """The images shifted, rotated, scaled, sheared and elastically deformed, by one interpolation.

    Args:
        x: pixels [B, 1, H, W], square.
        augmentation: the amounts.
        generator: source of the random numbers.
    """
    size = x.shape[-1]
    places = _affine_places(len(x), size, augmentation, generator)
    if augmentation.elastic:
        strength = 2 * augmentation.elastic / size
        places += _elastic_field(len(x), size, strength, augmentation.elastic_width, generator)
    # Outside the image, the interpolation takes 0.
    moved = F.grid_sample(x - BACKGROUND, places, "bilinear", "zeros", align_corners=False)
    moved += BACKGROUND
    return moved


def _affine_places(count: int, size: int, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """The places in the image that its pixels come from, [count, size, size, 2]: x to the right, y down.

    -1 and 1 are the edges of the image, as `grid_sample` has it. A point q of the digit is moved to
    R S H q + t: by the shear H, the scale S, the rotation R and the shift t. Here is the inverse.
    """
    angle = _draw(count, math.radians(augmentation.rotation), generator)
    factor = 1 + _draw(count, augmentation.scale, generator)
    slant = _draw(count, augmentation.shear, generator)
    shift_x, shift_y = _draw(2 * count, 2 * augmentation.shift / size, generator).view(2, count)
    cos, sin = angle.cos() / factor, angle.sin() / factor
    matrix = torch.stack((cos + slant * sin, sin - slant * cos, -sin, cos), 1).view(count, 2, 2)
    shift = torch.stack((shift_x, shift_y), 1).unsqueeze(2)
    return F.affine_grid(
        torch.cat((matrix, -(matrix @ shift)), 2), [count, 1, size, size], align_corners=False
    )


def _elastic_field(
    count: int, size: int, strength: float, width: float, generator: torch.Generator
) -> Tensor:
    """Smooth random displacements [count, size, size, 2] with standard deviation `strength`."""
    kernel = _smoothing(size, width).to(generator.device)
    points = kernel.shape[1]
    noise = torch.randn(count, 2, points, points, generator=generator, device=generator.device)
    return ((kernel * strength) @ noise @ kernel.t()).permute(0, 2, 3, 1)


@cache
def _smoothing(size: int, width: float) -> Tensor:
    """The matrix [size, points] that smooths noise by a Gaussian and keeps its variance.

    The noise is at points that are `width` apart, not at every pixel. White noise that is smoothed by a
    Gaussian has the same covariances up to a ten thousandth: the sum of exp(-(m - k)^2) over all whole k
    depends on m by a factor of 1 +- 2 exp(-pi^2) only.
    """
    pixels = torch.arange(size, dtype=torch.float64)
    beyond = math.ceil((size / 2 - 0.5) / width + _MARGIN)
    points = (size - 1) / 2 + width * torch.arange(-beyond, beyond + 1)
    weights = torch.exp(-((pixels.unsqueeze(1) - points) ** 2) / (2 * width**2))
    weights /= weights.square().sum(1, keepdim=True).sqrt()
    return weights.float()


def erase(x: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """The images with a rectangle of background anywhere in them.

    Args:
        x: pixels [B, 1, H, W].
        most: largest share of the image's area, 0.5 at most. The sides' ratio is at most 2.
        generator: source of the random numbers.
    """
    share = (1 + _draw(len(x), 1.0, generator)) * (most / 2)
    ratio = _draw(len(x), math.log(_ASPECT) / 2, generator).exp_()
    side = share.sqrt_()
    inside = _span(x.shape[-2], side * ratio, generator).unsqueeze(2)
    inside = inside & _span(x.shape[-1], side / ratio, generator).unsqueeze(1)
    return x.masked_fill(inside.unsqueeze(1), BACKGROUND)


def _span(size: int, part: Tensor, generator: torch.Generator) -> Tensor:
    """Which of `size` pixels in a row are in a span at a random place, [B, size].

    Args:
        size: the number of pixels.
        part: the length of the span as a part of the row, [B].
        generator: source of the random numbers.
    """
    pixels = (torch.arange(size, device=part.device) + 0.5) / size
    start = (1 + _draw(len(part), 1.0, generator)) / 2 * (1 - part)
    start, end = start.unsqueeze(1), (start + part).unsqueeze(1)
    return (start <= pixels) & (pixels < end)


def mix(x: Tensor, y: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, MixedLabels]:
    """Each image mixed with another one of the batch, and the labels of both.

    Args:
        x: pixels [B, 1, H, W].
        y: labels [B].
        share: the share of the image itself.
        generator: source of the random numbers.
    """
    others = torch.randperm(len(x), generator=generator, device=x.device)
    mixed = x.index_select(0, others).lerp_(x, share)
    return mixed, MixedLabels(y, y.index_select(0, others), share)


def draw_examples(
    images: NDArray[np.uint8], augmentation: Augmentation, *, count: int, seed: int
) -> NDArray[np.uint8]:
    """How images look in the first `count` epochs, as one batch: [N, count, 28, 28].

    Args:
        images: the images [N, 28, 28].
        augmentation: how much to change.
        count: the number of epochs.
        seed: the seed of the run.
    """
    x = torch.from_numpy(images).unsqueeze(1).float().div_(127.5).sub_(1)
    labels = torch.zeros(len(x), dtype=torch.int64)  # which are not shown
    drawn = []
    for epoch in range(1, count + 1):
        changed, _ = Augmenter(augmentation, seed, epoch, x.device)(x, labels)
        drawn.append(((changed + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8))
    return torch.cat(drawn, 1).numpy()


def _draw(count: int, most: float, generator: torch.Generator) -> Tensor:
    """Random numbers, evenly between -most and most: [count]."""
    numbers = torch.empty(count, device=generator.device)
    numbers.uniform_(-most, most, generator=generator)
    return numbers
