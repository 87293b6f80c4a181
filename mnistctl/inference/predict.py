"""Pictures of one's own read by a trained net: what it saw, what it takes each for, and how surely."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mnistctl.artifacts import checkpoint
from mnistctl.data import datasets
from mnistctl.data.digits import Digits
from mnistctl.data.images import find_images, load_image, to_mnist
from mnistctl.errors import CheckpointError, OutputError, UsageError
from mnistctl.inference import load
from mnistctl.inference.forward import compute_logits
from mnistctl.nn.device import get_device, set_threads

MIN_CONFIDENCE = 0.6  # of the probability; docs/contract.md has what lies below it


@dataclass(frozen=True)
class Prediction:
    """What a net makes of a picture: the likeliest digits with their probabilities, most likely first.

    `seen` is what the net was shown, [28, 28], and None where no digit was found, or the file failed with
    `error`. `frames` is how many pictures are in the file, of which the first was read.
    """

    file: str
    likeliest: tuple[tuple[int, float], ...] = ()
    unsure: bool = False
    frames: int = 1
    seen: NDArray[np.uint8] | None = None
    error: str | None = None


@dataclass(frozen=True)
class Predictions:
    """Pictures read by one net, in the order in which they were given."""

    model: str
    digest: str
    threshold: float
    images: tuple[Prediction, ...]


def predict_images(
    path: Path,
    places: Sequence[Path],
    *,
    min_confidence: float | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Predictions:
    """The pictures at `places`, files or folders of them, read by the net in the checkpoint at `path`.

    A picture that cannot be read has an `error`, and the others go on.

    Raises:
        CheckpointError: no such checkpoint, not a classifier's, or one with senseless weights.
        UsageError: a threshold that is no probability, a folder without pictures, no such device.
        OutputError: a folder cannot be read.
    """
    least = MIN_CONFIDENCE if min_confidence is None else min_confidence
    if not 0 <= least <= 1:
        raise UsageError(f"--min-confidence {least:g}: give a probability, 0 to 1")
    where = get_device(device)
    set_threads(threads)
    found = find_images(places)
    model, net = load.load_classifier(path)
    looked = [_prepare(picture) for picture in found]
    seen = [reading.seen for reading in looked if reading.seen is not None]
    chances = iter(compute_probabilities(path, net.to(where), np.stack(seen), where) if seen else ())
    images = tuple(
        reading if reading.seen is None else _with_probabilities(reading, next(chances), least)
        for reading in looked
    )
    return Predictions(model, checkpoint.digest(net.state_dict()), least, images)


def _prepare(path: Path) -> Prediction:
    try:
        grey, frames = load_image(path)
    except OutputError as fault:
        return Prediction(str(path), error=str(fault))
    return Prediction(str(path), frames=frames, seen=to_mnist(grey))


def compute_probabilities(
    path: Path, net: torch.nn.Module, images: NDArray[np.uint8], where: torch.device
) -> NDArray[np.float64]:
    """What the net of the checkpoint at `path` gives each digit [N, 10] for prepared pictures [N, 28, 28].

    Raises:
        CheckpointError: its weights are senseless.
    """
    unlabelled = datasets.Arrays(images, np.zeros(len(images), np.uint8))
    outputs = compute_logits(net, Digits.of(unlabelled, where))
    if not bool(outputs.isfinite().all()):
        raise CheckpointError(f"{path}: its weights are so large that its answers are no numbers")
    return torch.softmax(outputs.double().cpu(), 1).numpy()


def _with_probabilities(reading: Prediction, chances: NDArray[np.float64], least: float) -> Prediction:
    likeliest = tuple((int(d), float(chances[d])) for d in np.argsort(-chances, kind="stable")[:3])
    return Prediction(reading.file, likeliest, likeliest[0][1] < least, reading.frames, reading.seen)
