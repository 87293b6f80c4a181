"""Which digits a trained net was trained on, from its checkpoint or from the record next to it."""

from pathlib import Path

from mnistctl.artifacts import checkpoint
from mnistctl.data.training_set import TrainingSet, find_known_training_set
from mnistctl.evaluation.predictions import Classifier
from mnistctl.inference import load
from mnistctl.training.record import find_record


def find_training_set(classifier: Classifier) -> TrainingSet | None:
    """The digits that a classifier was trained on, from its checkpoint or else from the record next to it."""
    if classifier.training_set is not None or classifier.path is None:
        return classifier.training_set
    record = find_record(classifier.path.with_suffix(".json"), classifier.digest)
    return None if record is None else find_known_training_set(record.dataset.name)


def find_training_dataset(path: Path) -> str | None:
    """The name of the data set that the net in the checkpoint at `path` was trained on; None if unknown.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, or of another program.
    """
    training = load.load_training_set(path)
    if training is not None:
        return training.dataset
    _, weights = checkpoint.load(path, checkpoint.NET)
    record = find_record(path.with_suffix(".json"), checkpoint.digest(weights))
    return None if record is None else record.dataset.name
