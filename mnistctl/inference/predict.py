"""Classify image files with a trained net."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mnistctl.artifacts import checkpoint
from mnistctl.artifacts.grids import ImageArray
from mnistctl.data.likeness import AS_THEY_ARE, View, view_of_mnist
from mnistctl.data.photos import find_images, load_image, to_mnist
from mnistctl.errors import CheckpointError, OutputError, UsageError
from mnistctl.inference import load
from mnistctl.inference.forward import compute_image_logits
from mnistctl.inference.load import Recipes
from mnistctl.nn.device import get_device, set_threads
from mnistctl.schema import IN_MEMORY, Schema

MIN_CONFIDENCE = 0.6  # a probability; docs/own-digits.md has the shares of predictions below it


@dataclass(frozen=True)
class Prediction(Schema):
    """The prediction for an image file.

    `digit` has the highest `probability`; `top3` are the three most probable digits with their probabilities.
    `low_confidence` is true if the probability is below the minimum confidence. Where no digit was detected,
    or the file could not be read because of `error`, `digit` and `probability` are None. `n_frames` is the
    number of images in the file; the first one is classified.
    """

    file: str
    digit: int | None = None
    probability: float | None = None
    top3: tuple[tuple[int, float], ...] = ()
    low_confidence: bool = False
    n_frames: int = 1
    error: str | None = None


@dataclass(frozen=True)
class Predictions(Schema):
    """The predictions of one net for image files, in the order of the files.

    `inputs` stays out of the JSON: for each file what the net received, [28, 28], or None if that failed.
    """

    model: str
    digest: str
    min_confidence: float
    images: tuple[Prediction, ...]
    inputs: tuple[ImageArray | None, ...] = field(repr=False, compare=False, metadata=IN_MEMORY)


def predict_images(
    path: Path,
    image_paths: Sequence[Path],
    *,
    min_confidence: float | None = None,
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
        min_confidence: predictions with a lower probability get `low_confidence`; MIN_CONFIDENCE if None.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: number of CPU threads.
        recipes: the recipe files that may be executed to make the net.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, not a classifier's, or has unusable weights.
        UsageError: `min_confidence` is not a probability, a folder has no images, or the device is missing.
        OutputError: a folder cannot be read.
    """
    minimum = MIN_CONFIDENCE if min_confidence is None else min_confidence
    if not 0 <= minimum <= 1:
        raise UsageError("give a probability, 0 to 1", field="min_confidence", value=f"{minimum:g}")
    target = get_device(device)
    set_threads(threads)
    files = find_images(image_paths)
    model, net = load.load_classifier(path, recipes)
    view = AS_THEY_ARE if (training := load.load_training_set(path)) is None else view_of_mnist(training)
    prepared = [_prepare(file, view) for file in files]
    inputs = tuple(image for _, image in prepared)
    usable = [image for image in inputs if image is not None]
    probabilities = iter(compute_probabilities(path, net.to(target), np.stack(usable)) if usable else ())
    predictions = tuple(
        prediction if image is None else _with_probabilities(prediction, next(probabilities), minimum)
        for prediction, image in prepared
    )
    return Predictions(model, checkpoint.digest(net.state_dict()), minimum, predictions, inputs)


def _prepare(path: Path, view: View) -> tuple[Prediction, ImageArray | None]:
    """An image file as the net receives it, [28, 28]; None if it has no digit or cannot be read."""
    try:
        grey, n_frames = load_image(path)
    except OutputError as error:
        return Prediction(str(path), error=str(error)), None
    image = to_mnist(grey)
    seen = None if image is None else np.ascontiguousarray(view.apply(image, 255))
    return Prediction(str(path), n_frames=n_frames), seen


def compute_probabilities(path: Path, net: torch.nn.Module, images: ImageArray) -> NDArray[np.float64]:
    """The probability of each digit, [N, 10], for prepared images [N, 28, 28].

    Args:
        path: the net's checkpoint, for the error.
        net: a classifier.
        images: white on black, in the layout of MNIST.

    Raises:
        CheckpointError: the outputs are not finite.
    """
    logits = compute_image_logits(net, images)
    if not bool(logits.isfinite().all()):
        raise CheckpointError(f"{path}: the model's outputs are not finite", remedies=("retrain",))
    return torch.softmax(logits.double().cpu(), 1).numpy()


def _with_probabilities(
    prediction: Prediction, probabilities: NDArray[np.float64], minimum: float
) -> Prediction:
    order = np.argsort(-probabilities, kind="stable")[:3]
    top3 = tuple((int(digit), float(probabilities[digit])) for digit in order)
    digit, probability = top3[0]
    return replace(
        prediction, digit=digit, probability=probability, top3=top3, low_confidence=probability < minimum
    )
