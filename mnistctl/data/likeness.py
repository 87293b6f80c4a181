"""Whether digits look like others: inverted, turned, framed in another way, or unlike them.

All is decided on the mean picture of each label. The pictures of MNIST's test digits differ from those of the
training digits by 0.4 % of their squared ink, those of transposed digits by 57 %. records/likeness.json has
the measurements behind the thresholds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistctl.data.datasets import load
from mnistctl.data.training_set import SIDE, Floats, TrainingSet, mean_pictures

Images: TypeAlias = NDArray[Any]
MIN_COUNT = 20  # digits; the mean pictures of fewer show an inversion only
_EXPLAINED = 0.6  # a view is taken if it leaves less than this share of the difference
_EXPLAINED_BY_FRAMING = 0.4
_MIN_DIFFERENCE = 0.3  # another framing hardly costs accuracy below it: 2 pixels further down are 0.27
_MIN_CORRELATION = 0.4  # after a view: 20 of MNIST's digits have 0.52 or more
_UNLIKE = 0.2  # correlation below which digits are unlike
_CHANCE = 2.0  # a difference below this multiple of that of so few digits may be chance


# How to turn images [..., rows, columns] back, by what they look like.
TURNS: dict[str, Callable[[Images], Images]] = {
    "": lambda images: images,
    "transposed (rows and columns exchanged)": lambda images: images.swapaxes(-1, -2),
    "mirrored from left to right": lambda images: images[..., ::-1],
    "mirrored from top to bottom": lambda images: images[..., ::-1, :],
    "rotated by 180 degrees": lambda images: images[..., ::-1, ::-1],
    "rotated by 90 degrees to the right": lambda images: np.rot90(images, 1, (-2, -1)),
    "rotated by 90 degrees to the left": lambda images: np.rot90(images, -1, (-2, -1)),
    "transposed and rotated by 180 degrees": lambda images: images.swapaxes(-1, -2)[..., ::-1, ::-1],
}


@dataclass(frozen=True)
class View:
    """How digits are to be seen to look like others: inverted or not, and turned back as in TURNS."""

    inverted: bool = False
    turned: str = ""

    def apply(self, images: Images, white: float) -> Images:
        """The images [..., rows, columns], seen in this way; `white` is the value of a white pixel."""
        turned = TURNS[self.turned](images)
        return white - turned if self.inverted else turned


AS_THEY_ARE = View()


@dataclass(frozen=True)
class Framing:
    """Where digits are, compared with others: pixels further down and right, and their relative size."""

    down: float
    right: float
    size: float


@dataclass(frozen=True)
class Pictures:
    """The mean picture of each label, [10, 14, 14] from 0 to 1, and its number of digits, [10]."""

    means: Floats
    counts: NDArray[np.int64]

    def difference(self, others: Floats) -> float:
        """The squared difference from the pictures of others, as a share of their squared ink."""
        return float(self.counts @ ((self.means - others) ** 2).sum((1, 2))) / self.squared_ink(others)

    def squared_ink(self, others: Floats) -> float:
        """The sum over the digits of the squared ink in the pictures of others."""
        ink = others - _paper(np.tensordot(self.counts / self.counts.sum(), others, 1))
        return max(1e-9, float(self.counts @ (ink**2).sum((1, 2))))

    def correlation(self, others: Floats) -> float:
        """The correlation with the pictures of other digits, after the mean over all labels is subtracted."""
        weights = (self.counts / self.counts.sum())[:, None, None]
        own, other = (means - (weights * means).sum(0) for means in (self.means, others))
        norm = np.sqrt((weights * own**2).sum() * (weights * other**2).sum())
        return float((weights * own * other).sum() / norm) if norm > 1e-9 else 0.0

    def seen(self, view: View) -> "Pictures":
        """The pictures, seen in another way."""
        return Pictures(view.apply(self.means, 1.0), self.counts)


@dataclass(frozen=True)
class Likeness:
    """How digits look, compared with others.

    Args:
        view: how they look like the others.
        framing: how they are framed, if that explains a difference.
        unlike: they look unlike the others in every view.
    """

    view: View = AS_THEY_ARE
    framing: Framing | None = None
    unlike: bool = False


def compare_pictures(pictures: Pictures, others: Floats, variance: float) -> Likeness:
    """How digits look, compared with others.

    Args:
        pictures: the mean pictures of the digits.
        others: the mean pictures of the others, [10, 14, 14].
        variance: mean squared distance of one of the others from the picture of its label.
    """
    difference, few = pictures.difference(others), pictures.counts.sum() < MIN_COUNT
    view = min(_views(few), key=lambda each: pictures.seen(each).difference(others))
    seen = pictures.seen(view)
    explained = seen.difference(others) < _EXPLAINED * difference
    if explained and (few or seen.correlation(others) > _MIN_CORRELATION):
        return Likeness(view)
    by_chance = np.count_nonzero(pictures.counts) * variance / pictures.squared_ink(others)
    if few or difference < _CHANCE * by_chance:
        return Likeness()
    if difference <= _MIN_DIFFERENCE and pictures.correlation(others) >= _UNLIKE:
        return Likeness()  # whatever the framing is: it would not be mentioned
    framing, framed = _find_framing(pictures, others)
    explained = framed.difference(others) < _EXPLAINED_BY_FRAMING * difference
    if framing is not None and explained and framed.correlation(others) > _MIN_CORRELATION:
        return Likeness(framing=framing if difference > _MIN_DIFFERENCE else None)
    return Likeness(unlike=pictures.correlation(others) < _UNLIKE)


def view_of_mnist(training: TrainingSet) -> View:
    """How a picture that is prepared as MNIST's digits must be seen to look like these training digits.

    Digits are compared with the sample in the package. Where the training digits are unlike them, as clothes
    are, only their polarity is followed.
    """
    arrays, _ = load("sample", None, "train")
    sample = Pictures(mean_pictures(arrays)[0], np.bincount(arrays.labels, minlength=10))
    view = compare_pictures(sample, training.mean_pictures, training.variance).view
    if view == AS_THEY_ARE and training.style.polarity == "dark on light":
        return View(inverted=True)
    return view


def _views(few: bool) -> Iterator[View]:
    turns = ("",) if few else tuple(TURNS)
    return (View(inverted, turned) for inverted in (False, True) for turned in turns)


def _find_framing(pictures: Pictures, others: Floats) -> tuple[Framing | None, Pictures]:
    """The framing of digits compared with others, and their pictures framed as these."""
    from scipy import ndimage

    own, other = (_locate(means, pictures.counts) for means in (pictures.means, others))
    if own is None or other is None:
        return None, pictures
    size = own[2] / other[2]
    offset = np.array(own[:2]) - size * np.array(other[:2])
    matrix = np.eye(2) * size
    means = [ndimage.affine_transform(m, matrix, offset, order=1, mode="nearest") for m in pictures.means]
    pixels = 28 / SIDE
    framing = Framing(pixels * (own[0] - other[0]), pixels * (own[1] - other[1]), size)
    return framing, Pictures(np.stack(means), pictures.counts)


def _locate(means: Floats, counts: NDArray[np.int64]) -> tuple[float, float, float] | None:
    """Centre (row, column) and radius of the ink in the mean of all digits; None if there is none."""
    mean = np.tensordot(counts / counts.sum(), means, 1)
    paper = _paper(mean)
    ink = ((mean - paper) * (1 if paper < 0.5 else -1)).clip(0)
    total = ink.sum()
    if total < 1e-6:
        return None
    rows, columns = np.mgrid[:SIDE, :SIDE]
    row, column = float((ink * rows).sum() / total), float((ink * columns).sum() / total)
    radius = float(np.sqrt((ink * ((rows - row) ** 2 + (columns - column) ** 2)).sum() / total))
    return row, column, max(radius, 0.1)


def _paper(picture: Floats) -> float:
    """The brightness of the paper, that of most of the border."""
    return float(np.median(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])))
