"""Calibration: how well a classifier's confidence matches its accuracy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistctl.schema import Schema

N_BINS = 15  # as in the source


@dataclass(frozen=True)
class Bin(Schema):
    """The predictions with a confidence above `low` and up to `high`.

    `confidence` is their mean confidence and `accuracy` the share that is correct. All fields except
    `count` are in percent.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration(Schema):
    """The expected calibration error in percent, and the bins that are not empty, by confidence."""

    ece: float
    bins: tuple[Bin, ...]

    def counts(self) -> list[int]:
        """The number of predictions in each of the 15 bins, empty ones included."""
        counts = [0] * N_BINS
        for each in self.bins:
            counts[round(each.low * N_BINS / 100)] = each.count
        return counts


def compute_calibration(probabilities: NDArray[Any], labels: NDArray[Any]) -> Calibration:
    """Calibration over 15 bins of equal width.

    The confidence of a prediction is its largest probability. The expected calibration error is
    `sum over bins of count / N * |accuracy - mean confidence|` (Guo et al., arXiv 1706.04599).

    Args:
        probabilities: [N, 10].
        labels: the true digits [N].
    """
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == labels
    indices = np.ceil(confidence * N_BINS).astype(int) - 1  # a bin includes its upper end, not its lower
    bins = []
    for index in np.unique(indices):
        inside = indices == index
        means = (100 * float(values[inside].mean()) for values in (confidence, correct))
        bins.append(
            Bin(float(100 * index / N_BINS), float(100 * (index + 1) / N_BINS), int(inside.sum()), *means)
        )
    ece = sum(bin.count * abs(bin.accuracy - bin.confidence) for bin in bins) / len(labels)
    return Calibration(ece, tuple(bins))
