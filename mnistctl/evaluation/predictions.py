"""Load classifiers and a split of a data set, and predict every image."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistctl.artifacts import checkpoint, files
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.data.training_set import TrainingSet
from mnistctl.errors import CheckpointError
from mnistctl.evaluation.metrics import Score, compute_score
from mnistctl.inference import load
from mnistctl.inference.accuracy import wilson
from mnistctl.inference.forward import ProgressCallback, stage
from mnistctl.inference.load import Recipes
from mnistctl.nn.device import get_device, set_arithmetic, set_threads
from mnistctl.schema import to_type

SplitName = Literal["train", "test", "validation"]


@dataclass(frozen=True)
class Classifier:
    """A classifier to evaluate, on the device where it runs.

    Args:
        net: takes pixels [N, 1, 28, 28] in [-1, 1] and returns logits [N, 10].
        name: its label in tables and figures.
        model: the name of its architecture.
        path: its checkpoint, if it has one.
        training_set: the digits that it was trained on, if they are known.
    """

    net: nn.Module
    name: str = "model"
    model: str = "custom"
    path: Path | None = None
    training_set: TrainingSet | None = None

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of its weights, as in the record of its run."""
        return checkpoint.digest(self.net.state_dict())

    @property
    def device(self) -> torch.device:
        return next(self.net.parameters()).device


@dataclass(frozen=True)
class LabelledSplit:
    """The images and labels to evaluate on, and what they are called."""

    arrays: datasets.Arrays
    dataset: str = "custom"
    split: SplitName = "test"
    label_issues: datasets.LabelIssues | None = None


@dataclass(frozen=True)
class ModelPredictions:
    """A classifier's score on a split, and the logits [N, 10] behind it."""

    score: Score
    logits: Tensor

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """The probability of each digit for each image: [N, 10]."""
        return torch.softmax(self.logits.double(), 1).cpu().numpy()

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable digit of each image: [N]."""
        return self.logits.argmax(1).cpu().numpy()


def load_classifiers(
    paths: Sequence[Path],
    *,
    device: str = "auto",
    threads: int | None = None,
    recipes: Recipes = load.NO_RECIPES,
) -> list[Classifier]:
    """The classifiers in the checkpoints at `paths`, on `device`.

    Each is named after its file. If two files have the same name, the whole paths are the names.

    Args:
        paths: the checkpoints.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: number of CPU threads.
        recipes: the recipe files that may be executed to make the nets.

    Raises:
        CheckpointError: a checkpoint is missing, damaged, not a classifier's, or of a recipe file that is not
            among `recipes`.
        UsageError: the device or the number of threads is not available.
    """
    target = get_device(device)
    set_threads(threads)
    set_arithmetic()
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    nets = [load.load_trained(path, recipes) for path in paths]
    return [
        Classifier(net.to(target), name, header.model, path, header.training_set)
        for path, name, (header, net) in zip(paths, names, nets, strict=True)
    ]


def load_split(dataset: str, data_dir: Path | str | None, split: datasets.Split = "test") -> LabelledSplit:
    """A split of the data set `dataset`, with its known label issues.

    Raises:
        DataError: a file is missing or damaged.
        UsageError: there is no such data set or split.
    """
    data_dir = None if data_dir is None else to_type(data_dir, Path, "data_dir")
    arrays, _ = datasets.load(dataset, data_dir, split)
    return LabelledSplit(arrays, dataset, split, datasets.label_issues(dataset, split))


def predict(
    classifier: Classifier, digits: Digits, on_progress: ProgressCallback | None = None
) -> ModelPredictions:
    """The classifier's predictions for `digits`, which are on its device.

    `on_progress` is called after every batch, with the classifier's name.

    Raises:
        CheckpointError: the outputs are not finite.
    """
    score, logits = compute_score(classifier.net, digits, stage(on_progress, classifier.name))
    if not bool(logits.isfinite().all()):
        message = f"{classifier.path or classifier.name}: the model's outputs are not finite"
        raise CheckpointError(message, remedies=("retrain",))
    return ModelPredictions(score, logits)


def accuracy_interval(predicted: NDArray[Any], labels: NDArray[Any]) -> tuple[float, float]:
    """Wilson's 95 % interval of the accuracy of the predictions [N], in percent."""
    low, high = wilson(int((predicted == labels).sum()), len(labels))
    return 100 * low, 100 * high


def accuracy_without_label_issues(predicted: NDArray[Any], split: LabelledSplit) -> float | None:
    """The accuracy in percent of the predictions [N], without the images whose labels are disputed.

    None if the split has no known label issues.
    """
    if split.label_issues is None:
        return None
    correct = np.delete(predicted == split.arrays.labels, split.label_issues.indices)
    return 100 * float(correct.mean())


def save_predictions(path: Path, split: LabelledSplit, predictions: ModelPredictions) -> None:
    """Write a CSV file of index, label, predicted digit and the ten logits of each image.

    Raises:
        OutputError: `path` cannot be written.
    """
    header = ",".join(["index", "label", "predicted", *(f"logit{digit}" for digit in range(10))])
    rows = zip(split.arrays.labels, predictions.predicted, predictions.logits.cpu().tolist(), strict=True)
    lines = (
        f"{index},{label},{predicted},{','.join(f'{logit:.6g}' for logit in logits)}"
        for index, (label, predicted, logits) in enumerate(rows)
    )
    files.write(path, "\n".join([header, *lines]) + "\n")
