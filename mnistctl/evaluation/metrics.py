"""Loss, accuracy and mismatches of a classifier on labelled digits."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from mnistctl.data.digits import Digits
from mnistctl.inference.forward import compute_logits


@dataclass(frozen=True)
class Score:
    """A net judged on one split: mean cross entropy and accuracy in percent."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Mismatches:
    """The misread digits: their indices in the split, the true digits and what was read, in file order."""

    indices: tuple[int, ...]
    true: tuple[int, ...]
    predicted: tuple[int, ...]

    def by_digit(self) -> dict[int, list[tuple[int, int]]]:
        """For each true digit that has any, the wrong answers, sorted, each with the index of its digit."""
        answers: dict[int, list[tuple[int, int]]] = {}
        for digit, answer, index in sorted(zip(self.true, self.predicted, self.indices, strict=True)):
            answers.setdefault(digit, []).append((answer, index))
        return answers


def compute_score(net: nn.Module, digits: Digits) -> tuple[Score, Tensor]:
    """Mean cross entropy and accuracy in percent over `digits`, and the logits behind them."""
    outputs = compute_logits(net, digits)
    loss = F.cross_entropy(outputs, digits.labels).item()
    right = (outputs.argmax(1) == digits.labels).sum().item()
    return Score(loss, 100 * right / len(digits)), outputs


def find_mismatches(outputs: Tensor, digits: Digits) -> Mismatches:
    """Which digits the logits `outputs` [N, 10] misread."""
    predicted = outputs.argmax(1)
    wrong = (predicted != digits.labels).nonzero().flatten()
    return Mismatches(
        tuple(wrong.tolist()), tuple(digits.labels[wrong].tolist()), tuple(predicted[wrong].tolist())
    )
