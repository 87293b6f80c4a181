"""Classify image files with a trained net."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mnistctl.artifacts import checkpoint
from mnistctl.artifacts.grids import ImageArray
from mnistctl.data.labels import find_labels
from mnistctl.data.likeness import AS_THEY_ARE, view_of_mnist
from mnistctl.data.photos import find_images, find_ink, load_grid, load_image
from mnistctl.data.rows import Box
from mnistctl.errors import CheckpointError, OutputError, UsageError
from mnistctl.inference import load
from mnistctl.inference.accuracy import wilson
from mnistctl.inference.confidence import MIN_CONFIDENCE, confidences, temperature_of
from mnistctl.inference.forward import compute_image_logits
from mnistctl.inference.load import Recipes
from mnistctl.inference.reading import FoundDigit, digits_of_grid, find_digits
from mnistctl.nn.device import get_device, set_arithmetic, set_threads
from mnistctl.schema import IN_MEMORY, Schema


@dataclass(frozen=True)
class DigitPrediction(Schema):
    """The prediction for one digit of an image.

    `box` is left, top, width and height, in shares of the image's width and height. `row` counts from 0.
    `confidence` is the probability times the probability that the image is a digit at all; `low_confidence`
    is true if it is below the minimum confidence.
    """

    digit: int
    probability: float
    top3: tuple[tuple[int, float], ...]
    confidence: float
    low_confidence: bool
    box: Box
    row: int = 0


@dataclass(frozen=True)
class Prediction(Schema):
    """The prediction for an image file.

    `digits` are all digits that were read, in order, and `number` is their text, with a space between rows.
    `digit` is the only one; `probability` and `top3` belong to it. `low_confidence` is true if it is true for
    one of the digits. Where no digit was detected, several were, or the file could not be read because of
    `error`, `digit` and `probability` are None. `n_unread` is the number of further digits that seem to be
    there. `n_frames` is the number of images in the file; the first one is classified. `label` is the true
    digit, if it is known.
    """

    file: str
    digit: int | None = None
    probability: float | None = None
    top3: tuple[tuple[int, float], ...] = ()
    low_confidence: bool = False
    n_frames: int = 1
    error: str | None = None
    number: str | None = None
    digits: tuple[DigitPrediction, ...] = ()
    n_unread: int = 0
    label: int | None = None


@dataclass(frozen=True)
class ImageAccuracy(Schema):
    """How many of the images with a known digit are read correctly.

    `accuracy` is in percent, with its 95 % interval from `low` to `high` (Wilson, Journal of the American
    Statistical Association 22 (1927) 209). Files that cannot be read do not count.
    """

    images: int
    right: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Predictions(Schema):
    """The predictions of one net for image files, in the order of the files.

    `inputs` stays out of the JSON: for each file what the net received, [N, 28, 28] for N digits. N is 0 if
    there is none or the file could not be read.
    """

    model: str
    digest: str
    min_confidence: float
    images: tuple[Prediction, ...]
    temperature: float
    inputs: tuple[ImageArray, ...] = field(repr=False, compare=False, metadata=IN_MEMORY)
    left_out: tuple[str, ...] = ()
    accuracy: ImageAccuracy | None = None

    def misread(self) -> list[int]:
        """The places of the images whose known digit is another one than what was read."""
        known = [(n, image) for n, image in enumerate(self.images) if image.label is not None]
        return [n for n, image in known if image.error is None and image.digit != image.label]


def predict_images(
    path: Path,
    image_paths: Sequence[Path],
    *,
    min_confidence: float | None = None,
    expect: int | None = None,
    labels: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    recipes: Recipes = load.NO_RECIPES,
) -> Predictions:
    """Classify image files with the net in the checkpoint at `path`.

    The images are prepared as MNIST's digits, and inverted or turned if the net's training digits were. A
    file that cannot be read has an `error` in its prediction; the others are classified.

    Args:
        path: the checkpoint.
        image_paths: files, or folders of files.
        min_confidence: predictions with a lower confidence get `low_confidence`; MIN_CONFIDENCE if None.
        expect: how many digits each image shows; None if that is unknown.
        labels: a CSV file of image files and their digits; if None, the digits are those in the names.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: number of CPU threads.
        recipes: the recipe files that may be executed to make the net.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, not a classifier's, or has unusable weights.
        UsageError: `min_confidence` is not a probability, `expect` is below 1, a folder has no images,
            `labels` is not valid, or the device is missing.
        OutputError: a folder cannot be read.
    """
    minimum = MIN_CONFIDENCE if min_confidence is None else min_confidence
    if not 0 <= minimum <= 1:
        raise UsageError("give a probability, 0 to 1", field="min_confidence", value=f"{minimum:g}")
    if expect is not None and expect < 1:
        raise UsageError("give 1 or more", field="expect", value=expect)
    target = get_device(device)
    set_threads(threads)
    set_arithmetic()
    files, left_out = find_images(image_paths)
    labelled = find_labels(files, labels)
    header, net = load.load_trained(path, recipes)
    model, training = header.model, header.training_set
    view = AS_THEY_ARE if training is None else view_of_mnist(training)
    prepared = [_prepare(file, label, expect) for file, label in zip(files, labelled, strict=True)]
    temperature = temperature_of(model)
    images = np.array([each.image for _, found in prepared for each in found], np.uint8).reshape(-1, 28, 28)
    seen = np.ascontiguousarray(view.apply(images, 255))
    probabilities = compute_probabilities(path, net.to(target), seen, temperature)
    confidence = confidences(images, probabilities)
    predictions, inputs, start = [], [], 0
    for prediction, found in prepared:
        own = slice(start, start + len(found))
        start += len(found)
        inputs.append(seen[own])
        predictions.append(_with_digits(prediction, found, probabilities[own], confidence[own], minimum))
    digest = checkpoint.digest(net.state_dict())
    return Predictions(
        model,
        digest,
        minimum,
        tuple(predictions),
        temperature,
        tuple(inputs),
        tuple(map(str, left_out)),
        _accuracy(predictions),
    )


def _accuracy(predictions: Sequence[Prediction]) -> ImageAccuracy | None:
    """None if no digit is known."""
    known = [each for each in predictions if each.label is not None and each.error is None]
    if not known:
        return None
    right = sum(each.digit == each.label for each in known)
    low, high = wilson(right, len(known))
    return ImageAccuracy(len(known), right, 100 * right / len(known), 100 * low, 100 * high)


def _prepare(path: Path, label: int | None, expect: int | None) -> tuple[Prediction, tuple[FoundDigit, ...]]:
    """The digits in an image file, and a prediction without them; no digits if it cannot be read."""
    try:
        grey, n_frames = load_image(path)
    except OutputError as error:
        return Prediction(str(path), error=str(error), label=label), ()
    if (cells := load_grid(path)) is not None:
        in_cells = digits_of_grid(cells)
        if expect in (None, len(in_cells)):
            return Prediction(str(path), label=label), in_cells
    ink = find_ink(grey)
    found, unread = ((), 0) if ink is None else find_digits(*ink, expect)
    return Prediction(str(path), n_frames=n_frames, n_unread=unread, label=label), found


def compute_probabilities(
    path: Path, net: torch.nn.Module, images: ImageArray, temperature: float = 1.0
) -> NDArray[np.float64]:
    """The probability of each digit, [N, 10], for prepared images [N, 28, 28].

    Args:
        path: the net's checkpoint, for the error.
        net: a classifier.
        images: white on black, in the layout of MNIST.
        temperature: what the logits are divided by.

    Raises:
        CheckpointError: the outputs are not finite.
    """
    if not len(images):
        return np.zeros((0, 10))
    logits = compute_image_logits(net, images)
    if not bool(logits.isfinite().all()):
        raise CheckpointError(f"{path}: the model's outputs are not finite", remedies=("retrain",))
    return torch.softmax(logits.double().cpu() / temperature, 1).numpy()


def _with_digits(
    prediction: Prediction,
    found: Sequence[FoundDigit],
    probabilities: NDArray[np.float64],
    confidence: NDArray[np.float64],
    minimum: float,
) -> Prediction:
    """The prediction with its digits, given their probabilities [N, 10] and confidences [N]."""
    digits = []
    for each, row, certain in zip(found, probabilities, confidence, strict=True):
        order = np.argsort(-row, kind="stable")[:3]
        top3 = tuple((int(digit), float(row[digit])) for digit in order)
        digits.append(
            DigitPrediction(*top3[0], top3, float(certain), bool(certain < minimum), each.box, each.row)
        )
    if not digits:
        return prediction
    rows = range(digits[-1].row + 1)
    number = " ".join("".join(str(each.digit) for each in digits if each.row == row) for row in rows)
    several = replace(
        prediction,
        number=number,
        digits=tuple(digits),
        low_confidence=any(each.low_confidence for each in digits),
    )
    if len(digits) > 1:
        return several
    only = digits[0]
    return replace(several, digit=only.digit, probability=only.probability, top3=only.top3)
