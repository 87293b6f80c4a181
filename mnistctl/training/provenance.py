"""How a trained net was trained: its digits and its curves, from its checkpoint or the record next to it."""

from pathlib import Path

from mnistctl.artifacts import checkpoint
from mnistctl.artifacts.charts import LearningCurves
from mnistctl.data.training_set import TrainingSet, find_known_training_set
from mnistctl.evaluation.predictions import Classifier
from mnistctl.inference import load
from mnistctl.training.record import find_record


def find_training_set(classifier: Classifier) -> TrainingSet | None:
    """The digits that a classifier was trained on, from its checkpoint or else from the record next to it."""
    if classifier.training_set is not None or classifier.path is None:
        return classifier.training_set
    record = find_record(classifier.path, classifier.digest)
    return None if record is None else find_known_training_set(record.dataset.name)


def find_training_dataset(path: Path) -> str | None:
    """The name of the data set that the net in the checkpoint at `path` was trained on; None if unknown.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, or of another program.
    """
    header, weights = load.load_weights(path)
    if header.training_set is not None:
        return header.training_set.dataset
    record = find_record(path, checkpoint.digest(weights))
    return None if record is None else record.dataset.name


def find_curves(path: Path, digest: str) -> LearningCurves | None:
    """The learning curves of the net with this digest, from the record next to its checkpoint at `path`."""
    record = find_record(path, digest)
    if record is None:
        return None
    scored = record.test_losses or record.validation_losses
    if not (record.losses and scored and record.accuracies):
        return None
    averages = [(average.first, average.last, average.accuracy) for average in record.swa or ()]
    try:
        return LearningCurves(
            record.losses,
            scored,
            record.accuracies,
            record.recipe.lr_schedule,
            averages[-1] if averages else None,
            "test" if record.holdout is None else "validation",
        )
    except ValueError:
        return None
