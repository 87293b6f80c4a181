"""The answers of trained classifiers on a split of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistctl.artifacts import checkpoint
from mnistctl.data import datasets
from mnistctl.data.digits import Digits
from mnistctl.errors import CheckpointError
from mnistctl.evaluation.metrics import Score, compute_score
from mnistctl.inference import load
from mnistctl.nn.device import get_device, set_threads


@dataclass(frozen=True)
class ModelPredictions:
    """A net that a checkpoint holds, and its logits [N, 10] of the digits that it was shown."""

    path: Path
    model: str
    net: nn.Module
    score: Score
    outputs: Tensor

    @cached_property
    def digest(self) -> str:
        """Of its weights, as their run's record has it."""
        return checkpoint.digest(self.net.state_dict())

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """What it gives each digit for each answer: [N, 10]."""
        return torch.softmax(self.outputs.double(), 1).cpu().numpy()

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """Its answers: [N]."""
        return self.outputs.argmax(1).cpu().numpy()


def predict_split(
    paths: Sequence[Path],
    *,
    data_dir: Path,
    dataset: str = "mnist",
    split: datasets.Split = "test",
    device: str = "auto",
    threads: int | None = None,
) -> tuple[datasets.Arrays, Digits, list[ModelPredictions]]:
    """The digits of a split, as they are and on the device, and the nets in the checkpoints judged on them.

    Raises:
        CheckpointError: no such checkpoint, or not one that can be judged.
        DataError, UsageError: as `runs.train`.
    """
    where = get_device(device)
    set_threads(threads)
    held = [load.load_classifier(path) for path in paths]
    arrays, _ = datasets.load(dataset, data_dir, split)
    digits = Digits.of(arrays, where)
    judged = []
    for path, (model, net) in zip(paths, held, strict=True):
        score, outputs = compute_score(net.to(where), digits)
        if not bool(outputs.isfinite().all()):
            raise CheckpointError(f"{path}: its weights are so large that its answers are no numbers")
        judged.append(ModelPredictions(path, model, net, score, outputs))
    return arrays, digits, judged


def accuracy_without_label_issues(
    predicted: NDArray[Any], arrays: datasets.Arrays, doubted: datasets.LabelIssues | None
) -> float | None:
    """The accuracy in percent of the answers [N] to the digits whose labels are not doubted."""
    if doubted is None:
        return None
    right = np.delete(predicted == arrays.labels, doubted.indices)
    return 100 * float(right.mean())
