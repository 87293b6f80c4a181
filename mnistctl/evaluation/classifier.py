"""Evaluate one classifier: score, calibration, confusion matrix, errors, accuracy under corruptions.

Nothing here draws or writes; `figures.py` does.
"""

from dataclasses import dataclass, field

from mnistctl.artifacts.files import Warned
from mnistctl.artifacts.grids import ImageArray
from mnistctl.data.batches import Digits
from mnistctl.data.datasets import LabelIssues
from mnistctl.evaluation.calibration import Bin, compute_calibration
from mnistctl.evaluation.corruptions import CorruptionScore, evaluate_corruptions
from mnistctl.evaluation.metrics import (
    DigitMetrics,
    Mismatches,
    compute_confusion,
    compute_digit_metrics,
    find_mismatches,
)
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


@dataclass(frozen=True, kw_only=True)
class Evaluation(Schema):
    """The results of a classifier on a split. `loss` is the mean cross entropy; all rates are in percent.

    `accuracy_interval` is Wilson's 95 % interval of the accuracy. `confusion` is [true, predicted]. `ece` is
    the expected calibration error, `calibration` its bins. `label_issues` and
    `accuracy_without_label_issues` are None if the split has no known label issues, and `corruptions` is None
    if they were not evaluated. `warnings` are reasons to doubt the results. The last three fields stay out of
    the JSON.
    """

    name: str
    model: str
    digest: str
    dataset: str
    split: str
    count: int
    loss: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    accuracy_without_label_issues: float | None
    label_issues: LabelIssues | None
    ece: float
    calibration: tuple[Bin, ...]
    confusion: list[list[int]]
    per_digit: tuple[DigitMetrics, ...]
    mismatches: Mismatches
    corruptions: tuple[CorruptionScore, ...] | None
    warnings: tuple[Warned, ...]
    labelled: LabelledSplit = field(repr=False, compare=False, metadata=IN_MEMORY)
    predictions: ModelPredictions = field(repr=False, compare=False, metadata=IN_MEMORY)
    corruption_examples: ImageArray | None = field(repr=False, compare=False, metadata=IN_MEMORY)


def evaluate_classifier(
    classifier: Classifier,
    labelled: LabelledSplit,
    *,
    corrupt: bool = False,
    on_progress: ProgressCallback | None = None,
) -> Evaluation:
    """Evaluate a classifier on a split, in memory: no file is read or written.

    Args:
        classifier: the net and its name.
        labelled: the images and labels.
        corrupt: also measure the accuracy under every corruption.
        on_progress: called after each batch and each corruption.

    Raises:
        CheckpointError: the outputs are not finite.
    """
    arrays = labelled.arrays
    digits = Digits.of(arrays, classifier.device)
    predictions = predict(classifier, digits, on_progress)
    calibration = compute_calibration(predictions.probabilities, arrays.labels)
    confusion = compute_confusion(arrays.labels, predictions.predicted)
    corruptions, examples = None, None
    if corrupt:
        corruptions, examples = evaluate_corruptions([classifier], arrays, on_progress)
    return Evaluation(
        name=classifier.name,
        model=classifier.model,
        digest=classifier.digest,
        dataset=labelled.dataset,
        split=labelled.split,
        count=len(digits),
        loss=predictions.score.loss,
        accuracy=predictions.score.accuracy,
        accuracy_interval=accuracy_interval(predictions.predicted, arrays.labels),
        accuracy_without_label_issues=accuracy_without_label_issues(predictions.predicted, labelled),
        label_issues=labelled.label_issues,
        ece=calibration.ece,
        calibration=calibration.bins,
        confusion=confusion,
        per_digit=compute_digit_metrics(confusion),
        mismatches=find_mismatches(predictions.logits, digits),
        corruptions=corruptions,
        warnings=check_digits(classifier.training_set, arrays),
        labelled=labelled,
        predictions=predictions,
        corruption_examples=examples,
    )
