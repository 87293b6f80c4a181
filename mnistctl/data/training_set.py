"""What a checkpoint keeps about the digits that its net was trained on: how they look, and which they were.

With it, digits that look unlike the training digits can be recognized, and digits that were used in training.
"""

import base64
import binascii
import hashlib
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from mnistctl.artifacts.bounds import Count
from mnistctl.data.datasets import Arrays, load
from mnistctl.data.holdout import HeldOut
from mnistctl.schema import Schema

Floats: TypeAlias = NDArray[np.float64]
Polarity = Literal["light on dark", "dark on light"]
SIDE = 14  # pixels of a mean picture: each is the mean of 2x2 pixels
MAX_DIGESTS = 8192  # that are kept. Of more digits, these are a random sample.
_DIGEST_BYTES = 5
_AT_ONCE = 10_000  # images whose pixels are counted at once: each takes eight bytes then
_NO_LIMIT = 256**_DIGEST_BYTES  # larger than every digest


@dataclass(frozen=True, kw_only=True)
class DigitStyle(Schema):
    """How digits look: ink on paper, and mean and standard deviation of the pixels from 0 to 255."""

    polarity: Polarity
    mean: float
    sd: float


@dataclass(frozen=True, kw_only=True)
class TrainingSet(Schema):
    """The digits that a net was trained on.

    Args:
        dataset: name of the data set.
        count: number of digits.
        style: how they look.
        pictures: the mean picture of each label, bytes [10, 14, 14] in base64.
        variance: mean squared distance of a digit from the mean picture of its label, in pixels from 0 to 1.
        digests: sorted digests of digits, 5 bytes each, in base64.
        limit: all digests of training digits below this number are in `digests`. None: any may be missing.
        holdout: digits of the data set's training split that are not among these; None for none.
    """

    dataset: str
    count: Annotated[int, Meta(ge=1)]
    style: DigitStyle
    pictures: str
    variance: Annotated[float, Meta(ge=0)]
    digests: str
    limit: Count | None
    holdout: HeldOut | None = None

    def __post_init__(self) -> None:
        if len(_decode(self.pictures, "pictures")) != 10 * SIDE * SIDE:
            raise ValueError("pictures: not ten pictures")
        if len(_decode(self.digests, "digests")) % _DIGEST_BYTES:
            raise ValueError("digests: not whole digests")

    @cached_property
    def mean_pictures(self) -> Floats:
        """The mean picture of each label, [10, 14, 14] from 0 to 1."""
        pixels = np.frombuffer(_decode(self.pictures, "pictures"), np.uint8)
        return pixels.reshape(10, SIDE, SIDE) / 255

    def count_used(self, images: NDArray[np.uint8]) -> tuple[int, int]:
        """How many of the images [N, 28, 28] were used in training, of how many that can be checked.

        Two different digits have the same digest with a probability of 1 in 10^12. So with 60,000 training
        digits, one of 10,000 others is counted by mistake with a probability below 0.1 %.
        """
        known = np.frombuffer(_decode(self.digests, "digests"), np.uint8).reshape(-1, _DIGEST_BYTES)
        digests = compute_digests(images)
        if self.limit is not None:
            digests = digests[digests < self.limit]
        return int(np.isin(digests, _to_numbers(known)).sum()), len(digests)


def describe_training_set(arrays: Arrays, dataset: str, holdout: HeldOut | None = None) -> TrainingSet:
    """What a checkpoint keeps about the training digits `arrays` of a data set, and what was held out."""
    pictures, variance = mean_pictures(arrays)
    digests = np.unique(compute_digests(arrays.images))
    limit = _NO_LIMIT if len(digests) <= MAX_DIGESTS else int(digests[MAX_DIGESTS])
    return TrainingSet(
        dataset=dataset,
        count=len(arrays.labels),
        style=describe_style(arrays.images),
        pictures=_encode(np.rint(255 * pictures).astype(np.uint8)),
        variance=variance,
        digests=_encode(_to_bytes(digests[:MAX_DIGESTS])),
        limit=limit,
        holdout=holdout,
    )


def find_known_training_set(dataset: str) -> TrainingSet | None:
    """What is known about the training digits of a net that was trained on `dataset`, from the package alone.

    The sample is in the package. Its digits are among MNIST's training digits, and look like these.
    """
    if dataset not in ("mnist", "sample"):
        return None
    train, _ = load("sample", None, "train")
    known = describe_training_set(train, dataset)
    if dataset == "sample":
        return known
    test, _ = load("sample", None, "test")
    digests = np.unique(compute_digests(np.concatenate((train.images, test.images))))
    return replace(known, count=60_000, digests=_encode(_to_bytes(digests)), limit=None)


def describe_style(images: NDArray[np.uint8]) -> DigitStyle:
    """How the images [N, 28, 28] look. Their borders are paper."""
    borders = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    paper = np.mean([border.mean() for border in borders])
    parts = np.array_split(images, 1 + len(images) // _AT_ONCE)
    counts = sum(np.bincount(part.reshape(-1), minlength=256) for part in parts) / images.size
    mean = float(counts @ np.arange(256))
    return DigitStyle(
        polarity="dark on light" if paper > 127.5 else "light on dark",
        mean=mean,
        sd=math.sqrt(float(counts @ (np.arange(256) - mean) ** 2)),
    )


def mean_pictures(arrays: Arrays) -> tuple[Floats, float]:
    """The mean picture of each label, and how much digits differ from it.

    Returns:
        [10, 14, 14] from 0 to 1, black where there is no digit of a label; and the mean squared distance of a
        digit from the picture of its label.
    """
    halves = arrays.images[:, ::2].astype(np.uint16) + arrays.images[:, 1::2]
    small = (halves[:, :, ::2] + halves[:, :, 1::2]).astype(np.float32) / np.float32(4 * 255)  # [N, 14, 14]
    pictures = np.zeros((10, SIDE, SIDE))
    squares = float(np.einsum("nij,nij->", small, small, dtype=np.float64))
    for label in range(10):
        of_label = small[arrays.labels == label]
        if len(of_label):
            pictures[label] = of_label.mean(0, dtype=np.float64)
            squares -= len(of_label) * float((pictures[label] ** 2).sum())
    return pictures, max(0.0, squares) / len(arrays.labels)


def compute_digests(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A number for each of the images [N, 28, 28], always the same for the same image: BLAKE2b, 40 bits."""
    content = np.ascontiguousarray(images)
    digests = b"".join(hashlib.blake2b(image, digest_size=_DIGEST_BYTES).digest() for image in content)
    return _to_numbers(np.frombuffer(digests, np.uint8).reshape(-1, _DIGEST_BYTES))


def _to_numbers(content: NDArray[np.uint8]) -> NDArray[np.uint64]:
    padded = np.zeros((len(content), 8), np.uint8)
    padded[:, 8 - _DIGEST_BYTES :] = content
    return padded.view(">u8")[:, 0].astype(np.uint64)


def _to_bytes(digests: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return digests.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - _DIGEST_BYTES :]


def _encode(content: NDArray[np.uint8]) -> str:
    return base64.b64encode(content.tobytes()).decode()


def _decode(text: str, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{field}: not base64") from None
