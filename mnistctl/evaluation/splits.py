"""The digits to evaluate classifiers on, where some of them were trained with held-out digits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnistctl.data import datasets
from mnistctl.data.datasets import Arrays
from mnistctl.data.holdout import HeldOut, choose_held_out, hold_out
from mnistctl.errors import UsageError
from mnistctl.evaluation.predictions import Classifier, LabelledSplit, SplitName, load_split


def load_split_for(
    classifiers: Sequence[Classifier], dataset: str, data_dir: Path | None, split: SplitName
) -> LabelledSplit:
    """A split of the data set `dataset` to evaluate `classifiers` on.

    "validation" are the training digits that were held out of their trainings. "train" are the digits that
    none of them held out.

    Raises:
        DataError: a file is missing or damaged.
        UsageError: for "validation", one of them held out none, or others, or the data set has other digits.
    """
    if split == "test":
        return load_split(dataset, data_dir, split)
    if split == "train":
        return _without_held_out(classifiers, load_split(dataset, data_dir, split))
    holdouts = {classifier.name: _holdout(classifier) for classifier in classifiers}
    for name, holdout in holdouts.items():
        if holdout is None:
            message = f"{name} was trained without held-out digits"
            raise UsageError(message, field="split", value=split, remedies=("train_holdout",))
    (first, holdout), *others = holdouts.items()
    for name, other in others:
        if other != holdout:
            message = f"{first} and {name} were trained with different held-out digits"
            raise UsageError(message, field="split", value=split)
    assert holdout is not None
    train, _ = datasets.load(dataset, data_dir, "train")
    validation = _find_held_out(train, holdout, dataset)
    if validation is None:
        message = f"the training digits of {dataset} do not have those that {first} held out"
        raise UsageError(message, field="split", value=split, remedies=("dataset", "data_dir"))
    return LabelledSplit(validation, dataset, split)


def _holdout(classifier: Classifier) -> HeldOut | None:
    return None if classifier.training_set is None else classifier.training_set.holdout


def _find_held_out(train: Arrays, holdout: HeldOut, dataset: str) -> Arrays | None:
    """The digits that were held out; None if they are not where the rule says."""
    try:
        split = hold_out(train, holdout.count, dataset)
    except UsageError:  # a data set with fewer digits
        return None
    return split.validation if split.held_out == holdout else None


def _without_held_out(classifiers: Sequence[Classifier], labelled: LabelledSplit) -> LabelledSplit:
    """The training split without the digits that any of the classifiers held out of it."""
    train, dataset = labelled.arrays, labelled.dataset
    kept = np.ones(len(train.labels), bool)
    for holdout in filter(None, map(_holdout, classifiers)):
        if _find_held_out(train, holdout, dataset) is not None:
            kept[choose_held_out(train.labels, holdout.count, dataset)[0]] = False
    if kept.all():
        return labelled
    return LabelledSplit(Arrays(train.images[kept], train.labels[kept]), dataset, labelled.split)
