"""How far a net's confidence can be believed: how often it is right at each level of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15  # as in the source


@dataclass(frozen=True)
class Bin:
    """The digits read with a confidence above `low` and up to `high`: how many, its mean, how many right.

    All but the count in percent.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error in percent, and the bins that hold any digits, by confidence."""

    ece: float
    bins: tuple[Bin, ...]


def compute_calibration(probabilities: NDArray[Any], labels: NDArray[Any]) -> Calibration:
    """How the confidence in each answer goes with its being right.

    Takes what a net gives each digit [N, 10] and the true digits [N]. The confidence is the largest
    probability; of 15 bins of equal width, the expected calibration error is
    `sum over bins of count / N * |accuracy - mean confidence|` (Guo et al., arXiv 1706.04599).
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    places = np.ceil(confidence * BINS).astype(int) - 1  # the upper end belongs to a bin, the lower does not
    bins = []
    for place in np.unique(places):
        inside = places == place
        means = (100 * float(values[inside].mean()) for values in (confidence, right))
        bins.append(Bin(100 * place / BINS, 100 * (place + 1) / BINS, int(inside.sum()), *means))
    ece = sum(bin.count * abs(bin.accuracy - bin.confidence) for bin in bins) / len(labels)
    return Calibration(ece, tuple(bins))
