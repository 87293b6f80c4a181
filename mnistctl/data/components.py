"""Finding the digit among the connected parts of the ink in an image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mnistctl.data import segmentation
from mnistctl.data.segmentation import Grey, Mask

TOUCHING = np.ones((3, 3))  # pixels that touch at a corner are connected


@dataclass(frozen=True)
class Foreground:
    """Where the ink of an image stands out.

    Args:
        blurred: the ink, slightly blurred, [rows, columns].
        mask: where it stands out.
        main: the component with the most ink.
    """

    blurred: Grey
    mask: Mask
    main: Mask


def find_digit(found: Foreground) -> Mask:
    """The pixels of the digit: the main component, and other components near it.

    A digit may consist of several components, as a 5 whose bar is apart.
    """

    # Add components from large to small, unless they are specks, shadows along the border, or far away.
    labels, _ = ndimage.label(found.mask, TOUCHING)
    masses = np.bincount(labels.ravel(), found.blurred.ravel())[1:]
    boxes = ndimage.find_objects(labels)
    border = lie_along_border(labels, boxes)
    first = int(labels[found.main][0])
    chosen, box = {first}, boxes[first - 1]
    for n in np.argsort(-masses) + 1:
        if n in chosen or masses[n - 1] < 0.03 * masses[first - 1] or border[n - 1]:
            continue
        if box_gap(box, boxes[n - 1]) < 0.25 * longer_side(box):
            chosen.add(int(n))
    mask: Mask = np.isin(labels, list(chosen))
    return mask


def find_foreground(ink: Grey) -> Foreground | None:
    """Where the ink of an image stands out; None if nothing does.

    What is much fainter than the main component, such as traces of lines and shadows, is left out.
    """
    blurred, foreground = segmentation.foreground_mask(ink)
    main = _main_component(blurred, foreground)
    if main is None:
        return None
    foreground &= blurred > 0.35 * np.percentile(blurred[main], 90)
    main = _main_component(blurred, foreground)
    return None if main is None else Foreground(blurred, foreground, main)


def count_tall(foreground: Mask, digit: Mask) -> tuple[int, int]:
    """How many components are at least half as high as the digit: in its mask, and outside of it."""
    counts = [0, 0]
    rows = np.flatnonzero(digit.any(1))
    for n, mask in enumerate((digit, ~digit)):
        labels, _ = ndimage.label(foreground & mask, TOUCHING)
        boxes = ndimage.find_objects(labels)
        border = lie_along_border(labels, boxes)
        heights = [box[0].stop - box[0].start for box in boxes]
        tall = [height > 0.5 * (rows[-1] - rows[0]) for height in heights]
        counts[n] = sum(high and not (n and along) for high, along in zip(tall, border, strict=True))
    return counts[0], counts[1]


def _main_component(blurred: Grey, foreground: Mask) -> Mask | None:
    """The component with the most ink, or None if all components are too small.

    Components along the border count only if there are no others, and if they are dark enough.
    """
    labels, count = ndimage.label(foreground, TOUCHING)
    if not count:
        return None
    masses = np.bincount(labels.ravel(), blurred.ravel())[1:]
    boxes = ndimage.find_objects(labels)
    large = np.array([longer_side(box) >= max(6, 0.05 * max(blurred.shape)) for box in boxes])
    if not large.any():
        return None
    masses[~large] = 0
    inner = large & ~lie_along_border(labels, boxes)
    if inner.any():
        masses[~inner] = 0
    elif blurred[foreground].max() < 0.2:
        return None
    main: Mask = labels == 1 + int(masses.argmax())
    return main


def lie_along_border(labels: NDArray[np.int32], boxes: list[tuple[slice, ...]]) -> Mask:
    """For each component, whether it lies along the border of the image, as a shadow does.

    A component that only touches the border, as a digit that is cut off, does not.
    """
    on_border = np.bincount(segmentation.border_pixels(labels), minlength=len(boxes) + 1)[1:]
    along: Mask = on_border > 0.3 * np.array([longer_side(box) for box in boxes])
    return along


def longer_side(box: tuple[slice, ...]) -> int:
    side: int = max(s.stop - s.start for s in box)
    return side


def box_gap(one: tuple[slice, ...], other: tuple[slice, ...]) -> int:
    """The number of pixels between two boxes, along the axis on which they are further apart."""
    gap: int = max(max(a.start - b.stop, b.start - a.stop) for a, b in zip(one, other, strict=True))
    return gap
