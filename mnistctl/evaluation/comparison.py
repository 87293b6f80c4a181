"""Compare several classifiers on the same images: scores, their ensemble, pairwise tests, common errors.

Nothing here draws or writes; `figures.py` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mnistctl.artifacts.files import Warned
from mnistctl.artifacts.grids import ImageArray
from mnistctl.data.batches import Digits
from mnistctl.data.datasets import LabelIssues
from mnistctl.errors import UsageError
from mnistctl.evaluation import statistics
from mnistctl.evaluation.calibration import Calibration, compute_calibration
from mnistctl.evaluation.corruptions import CorruptionScore, evaluate_corruptions
from mnistctl.evaluation.predictions import (
    Classifier,
    LabelledSplit,
    ModelPredictions,
    accuracy_interval,
    accuracy_without_label_issues,
    predict,
)
from mnistctl.evaluation.warnings import check_digits
from mnistctl.inference.forward import ProgressCallback
from mnistctl.schema import IN_MEMORY, Schema

# A probability of zero comes from rounding. Its logarithm is taken of the smallest positive number instead.
_MIN_PROBABILITY = np.finfo(np.float64).tiny


@dataclass(frozen=True, kw_only=True)
class Scores(Schema):
    """Mean cross entropy; accuracy, Wilson's 95 % interval of it, and calibration error in percent."""

    loss: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    accuracy_without_label_issues: float | None
    ece: float


@dataclass(frozen=True, kw_only=True)
class NetScores(Scores):
    """One of the classifiers, and its scores."""

    name: str
    path: str | None
    model: str
    digest: str
    parameters: int


@dataclass(frozen=True)
class Pair(Schema):
    """McNemar's test of two classifiers.

    `only_first` counts the images that only the first gets wrong. `p_adjusted` is the p-value after Holm's
    correction for the number of pairs.
    """

    first: str
    second: str
    only_first: int
    only_second: int
    p: float
    p_adjusted: float


@dataclass(frozen=True)
class SharedError(Schema):
    """An image that every classifier gets wrong: its index, its true digit, and each prediction."""

    index: int
    true: int
    predicted: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison(Schema):
    """The results of several classifiers on the same split.

    `ensemble` are the scores of the mean of their probabilities, `warnings` reasons to doubt the results. The
    last four fields stay out of the JSON: `predictions` and `calibrations` are in the order of `nets`, with
    the calibration of the ensemble at the end.
    """

    dataset: str
    split: str
    count: int
    label_issues: LabelIssues | None
    nets: tuple[NetScores, ...]
    ensemble: Scores
    pairs: tuple[Pair, ...]
    misread_by_all: tuple[SharedError, ...]
    corruptions: tuple[CorruptionScore, ...] | None
    warnings: tuple[Warned, ...]
    labelled: LabelledSplit = field(repr=False, compare=False, metadata=IN_MEMORY)
    predictions: tuple[ModelPredictions, ...] = field(repr=False, compare=False, metadata=IN_MEMORY)
    calibrations: tuple[Calibration, ...] = field(repr=False, compare=False, metadata=IN_MEMORY)
    corruption_examples: ImageArray | None = field(repr=False, compare=False, metadata=IN_MEMORY)


def compare(
    classifiers: Sequence[Classifier],
    labelled: LabelledSplit,
    *,
    corrupt: bool = False,
    on_progress: ProgressCallback | None = None,
) -> Comparison:
    """Compare classifiers with different names on a split, in memory: no file is read or written.

    Args:
        classifiers: two or more.
        labelled: the images and labels.
        corrupt: also measure the accuracies under every corruption.
        on_progress: called after each batch and each corruption.

    Raises:
        UsageError: two of the classifiers have the same weights.
        CheckpointError: the outputs of one are not finite.
    """
    for one, other in combinations(classifiers, 2):
        if one.digest == other.digest:
            pair = f"{one.path or one.name} and {other.path or other.name}"
            raise UsageError(f"{pair} are the same net; compare different nets")
    labels = labelled.arrays.labels
    predictions = [
        predict(each, Digits.of(labelled.arrays, each.device), on_progress) for each in classifiers
    ]
    mean = np.mean([each.probabilities for each in predictions], axis=0)
    calibrations = [compute_calibration(p, labels) for p in (*(e.probabilities for e in predictions), mean)]
    corruptions, examples = None, None
    if corrupt:
        corruptions, examples = evaluate_corruptions(classifiers, labelled.arrays, on_progress)
    return Comparison(
        dataset=labelled.dataset,
        split=labelled.split,
        count=len(labels),
        label_issues=labelled.label_issues,
        nets=tuple(
            _net_scores(*each, labelled) for each in zip(classifiers, predictions, calibrations, strict=False)
        ),
        ensemble=_ensemble_scores(mean, calibrations[-1], labelled),
        pairs=_pairs([each.name for each in classifiers], predictions, labels),
        misread_by_all=_shared_errors(predictions, labels),
        corruptions=corruptions,
        warnings=tuple(
            warning
            for each in classifiers
            for warning in check_digits(each.training_set, labelled.arrays, each.name)
        ),
        labelled=labelled,
        predictions=tuple(predictions),
        calibrations=tuple(calibrations),
        corruption_examples=examples,
    )


def _net_scores(
    classifier: Classifier, predictions: ModelPredictions, calibration: Calibration, labelled: LabelledSplit
) -> NetScores:
    return NetScores(
        name=classifier.name,
        path=None if classifier.path is None else str(classifier.path),
        model=classifier.model,
        digest=classifier.digest,
        parameters=sum(p.numel() for p in classifier.net.parameters()),
        loss=predictions.score.loss,
        accuracy=predictions.score.accuracy,
        accuracy_interval=accuracy_interval(predictions.predicted, labelled.arrays.labels),
        accuracy_without_label_issues=accuracy_without_label_issues(predictions.predicted, labelled),
        ece=calibration.ece,
    )


def _ensemble_scores(
    probabilities: NDArray[np.float64], calibration: Calibration, labelled: LabelledSplit
) -> Scores:
    """The scores of the mean of the classifiers' probabilities, [N, 10]."""
    labels, predicted = labelled.arrays.labels, probabilities.argmax(1)
    of_label = probabilities[np.arange(len(labels)), labels].clip(_MIN_PROBABILITY)
    return Scores(
        loss=float(-np.log(of_label).mean()),
        accuracy=100 * float((predicted == labels).mean()),
        accuracy_interval=accuracy_interval(predicted, labels),
        accuracy_without_label_issues=accuracy_without_label_issues(predicted, labelled),
        ece=calibration.ece,
    )


def _shared_errors(
    predictions: Sequence[ModelPredictions], labels: NDArray[np.uint8]
) -> tuple[SharedError, ...]:
    predicted = np.stack([each.predicted for each in predictions], axis=1)
    wrong = np.flatnonzero((predicted != labels[:, None]).all(1))
    return tuple(SharedError(int(i), int(labels[i]), tuple(predicted[i].tolist())) for i in wrong)


def _pairs(
    names: Sequence[str], predictions: Sequence[ModelPredictions], labels: NDArray[np.uint8]
) -> tuple[Pair, ...]:
    wrong = {name: each.predicted != labels for name, each in zip(names, predictions, strict=True)}
    rows = []
    for first, second in combinations(names, 2):
        only_first = int((wrong[first] & ~wrong[second]).sum())
        only_second = int((wrong[second] & ~wrong[first]).sum())
        rows.append((first, second, only_first, only_second, statistics.mcnemar(only_first, only_second)))
    adjusted = statistics.holm([p for *_, p in rows])
    return tuple(Pair(*row, p_adjusted=p) for row, p in zip(rows, adjusted, strict=True) if p is not None)
