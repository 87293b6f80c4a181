"""Loss, accuracy and errors of a classifier on labelled images."""

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistctl.data.batches import Digits
from mnistctl.inference.forward import StepCallback, compute_logits
from mnistctl.schema import Schema


@dataclass(frozen=True)
class Score:
    """Mean cross entropy, and accuracy in percent."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Mismatches(Schema):
    """The images with a wrong prediction, in file order: their indices, true digits and predicted digits."""

    indices: tuple[int, ...]
    true: tuple[int, ...]
    predicted: tuple[int, ...]

    def by_digit(self) -> dict[int, list[tuple[int, int]]]:
        """For each true digit with errors: the pairs (wrong prediction, index of the image), sorted."""
        errors: dict[int, list[tuple[int, int]]] = {}
        for digit, prediction, index in sorted(zip(self.true, self.predicted, self.indices, strict=True)):
            errors.setdefault(digit, []).append((prediction, index))
        return errors


@dataclass(frozen=True)
class DigitMetrics(Schema):
    """Precision, recall and F1 of one digit, in percent (0 where undefined); `support` counts its images."""

    digit: int
    support: int
    precision: float
    recall: float
    f1: float


def compute_score(
    net: nn.Module, digits: Digits, on_step: StepCallback | None = None
) -> tuple[Score, Tensor]:
    """Mean cross entropy and accuracy in percent over `digits`, and the logits [N, 10]."""
    logits = compute_logits(net, digits, on_step)
    loss = F.cross_entropy(logits, digits.labels).item()
    correct = (logits.argmax(1) == digits.labels).sum().item()
    return Score(loss, 100 * correct / len(digits)), logits


def find_mismatches(logits: Tensor, digits: Digits) -> Mismatches:
    """The images of `digits` whose largest logit, of `logits` [N, 10], is not their label."""
    predicted = logits.argmax(1)
    wrong = (predicted != digits.labels).nonzero().flatten()
    return Mismatches(
        tuple(wrong.tolist()), tuple(digits.labels[wrong].tolist()), tuple(predicted[wrong].tolist())
    )


def compute_confusion(labels: NDArray[np.uint8], predicted: NDArray[np.int64]) -> list[list[int]]:
    """The confusion matrix [10, 10]: rows are true digits, columns are predictions."""
    confusion = np.zeros((10, 10), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    rows: list[list[int]] = confusion.tolist()
    return rows


def compute_digit_metrics(confusion: list[list[int]]) -> tuple[DigitMetrics, ...]:
    """Precision, recall and F1 of each digit, from the confusion matrix [true, predicted]."""
    counts = np.array(confusion)
    correct, support, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    return tuple(
        DigitMetrics(
            digit,
            int(support[digit]),
            *(
                100 * float(correct[digit]) / float(total) if total else 0.0
                for total in (predicted[digit], support[digit], (predicted[digit] + support[digit]) / 2)
            ),
        )
        for digit in range(10)
    )
