"""Training digits that are held out: left out of the training and scored in the place of the test digits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from mnistctl.artifacts.bounds import Digest
from mnistctl.data.datasets import Arrays
from mnistctl.errors import UsageError, plural
from mnistctl.schema import Schema

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rule = Literal["last of each class", "random"]
_SEED = 0  # of the permutation of the rule "random"
_SHARE = 6  # one in so many digits is held out by default, as 10,000 of MNIST's 60,000
_CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class HeldOut(Schema):
    """Which training digits were held out.

    Args:
        count: their number.
        rule: how they were chosen, see `choose_held_out`.
        sha256: SHA-256 of their images followed by their labels, in file order.
    """

    count: Annotated[int, Meta(ge=1)]
    rule: Rule
    sha256: Digest


@dataclass(frozen=True)
class TrainingSplit:
    """The training digits of a data set in two parts, each in file order.

    Args:
        kept: the digits to train on.
        validation: the digits that are held out.
        held_out: which these are.
    """

    kept: Arrays
    validation: Arrays
    held_out: HeldOut


def hold_out(train: Arrays, count: int, dataset: str) -> TrainingSplit:
    """Split the training digits of the data set `dataset`, with `count` of them held out.

    Raises:
        UsageError: `count` is out of range, or ten even classes cannot give as many.
    """
    import numpy as np

    indices, rule = choose_held_out(train.labels, count, dataset)
    left_out = np.zeros(len(train.labels), bool)
    left_out[indices] = True
    kept, validation = (Arrays(train.images[mask], train.labels[mask]) for mask in (~left_out, left_out))
    digest = hashlib.sha256(validation.images.tobytes() + validation.labels.tobytes()).hexdigest()
    return TrainingSplit(kept, validation, HeldOut(count=count, rule=rule, sha256=digest))


def choose_held_out(labels: NDArray[np.uint8], count: int, dataset: str) -> tuple[NDArray[np.int64], Rule]:
    """The sorted indices of the digits to hold out of those with `labels` [N], and the rule.

    With "last of each class", they are the last `count` / 10 digits of each class in file order. It applies
    if each of the ten classes has more digits than that. Else the rule is "random": the last `count` of
    `numpy.random.default_rng(0).permutation(N)`.

    Raises:
        UsageError: as `hold_out`.
    """
    import numpy as np

    if not 1 <= count < len(labels):
        message = f"{dataset} has {plural(len(labels), 'training image')}; give 1 to {len(labels) - 1}"
        raise UsageError(message, field="holdout", value=count)
    of_each, rest = divmod(count, _CLASSES)
    if np.bincount(labels, minlength=_CLASSES).min() <= of_each + (rest > 0):
        return np.sort(np.random.default_rng(_SEED).permutation(len(labels))[-count:]), "random"
    if rest:
        message = "give a multiple of 10, so that as many of each digit are held out"
        raise UsageError(message, field="holdout", value=count)
    last = [np.flatnonzero(labels == label)[-of_each:] for label in range(_CLASSES)]
    return np.sort(np.concatenate(last)), "last of each class"


def default_count(labels: NDArray[np.uint8]) -> int:
    """The number of digits that are held out of those with `labels` [N] by default: about a sixth."""
    count = len(labels) // _SHARE
    return count - count % _CLASSES if count >= _CLASSES else count
