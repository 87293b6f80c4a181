"""Measure which digits get a warning because they look unlike the training digits.

    python bench/likeness.py DATA --out FILE.json

DATA is a folder with MNIST. The training digits are MNIST's, or the sample's. For test digits under every
change, the record has the warning, the numbers behind it, and the accuracy of records/conv.safetensors.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
from scipy import ndimage

from mnistctl.data import datasets
from mnistctl.data.datasets import Arrays
from mnistctl.data.likeness import TURNS, Pictures, View
from mnistctl.data.training_set import TrainingSet, describe_training_set, mean_pictures
from mnistctl.evaluation.corruptions import CORRUPTIONS
from mnistctl.evaluation.warnings import check_digits
from mnistctl.inference.forward import classify_images
from mnistctl.inference.load import load_classifier

ROOT = Path(__file__).parents[1]
COUNT, DRAWS, FEW = 1000, 200, (20, 50, 100)


def moved(images: np.ndarray, size: float, down: float = 0, right: float = 0) -> np.ndarray:
    """The images, enlarged about their centre and displaced, with linear interpolation."""
    offset = 13.5 - 13.5 / size - np.array([down, right]) / size
    return np.stack(
        [ndimage.affine_transform(image, np.eye(2) / size, offset, order=1) for image in images]
    ).astype(np.uint8)


def changes(images: np.ndarray) -> dict[str, np.ndarray]:
    """The images under every change, by its name."""
    made = {"as they are": images}
    for corruption in CORRUPTIONS:
        for severity in corruption.severities:
            made[f"{corruption.kind} {severity:g}"] = corruption.apply(images, severity)
    for inverted in (False, True):
        for turned in TURNS:
            view = View(inverted, turned)
            name = ", ".join([*(["inverted"] if inverted else []), *([turned] if turned else [])])
            if name:
                made[name] = np.ascontiguousarray(view.apply(images, 255))
    for size in (0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.4):
        made[f"size {size:g}"] = moved(images, size)
    for pixels in (1, 2, 3, 4):
        made[f"displaced by {pixels} pixels down"] = moved(images, 1, pixels)
        made[f"displaced by {pixels} pixels up and left"] = moved(images, 1, -pixels, -pixels)
    made["black"] = np.zeros_like(images)
    made["noise only"] = np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)
    made["labels of other digits"] = np.roll(images, 1, 0)
    return made


def numbers(training: TrainingSet, arrays: Arrays) -> dict[str, float]:
    """The difference and the correlation of the mean pictures."""
    pictures = Pictures(mean_pictures(arrays)[0], np.bincount(arrays.labels, minlength=10))
    others = training.mean_pictures
    return {
        "difference": round(pictures.difference(others), 4),
        "correlation": round(pictures.correlation(others), 4),
    }


def measure_changes(training: TrainingSet, arrays: Arrays) -> dict[str, object]:
    """The warning, its numbers and the accuracy under every change."""
    _, net = load_classifier(ROOT / "records/conv.safetensors")
    rows = {}
    for name, images in changes(arrays.images).items():
        changed = Arrays(images, arrays.labels)
        predicted = classify_images(net, images)
        rows[name] = numbers(training, changed) | {
            "accuracy": 100 * float((predicted == arrays.labels).mean()),
            "warnings": [warning.message for warning in check_digits(training, changed)],
        }
    return rows


def measure_few(training: TrainingSet, arrays: Arrays) -> dict[str, dict[str, dict[str, int]]]:
    """How often each warning appears for few digits, drawn at random, under some changes."""
    rng = np.random.default_rng(0)
    made = {
        "as they are": arrays.images,
        "inverted": 255 - arrays.images,
        "transposed": arrays.images.swapaxes(1, 2),
        "mirrored": arrays.images[:, :, ::-1],
    }
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for count in FEW:
        counts[str(count)] = {}
        for name, images in made.items():
            kinds: Counter[str] = Counter()
            for _ in range(DRAWS):
                chosen = rng.choice(len(images), count, replace=False)
                drawn = Arrays(np.ascontiguousarray(images[chosen]), arrays.labels[chosen])
                kinds[", ".join(warning.message for warning in check_digits(training, drawn)) or "none"] += 1
            counts[str(count)][name] = dict(kinds)
    return counts


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    train, test = (datasets.load("mnist", options.data, split)[0] for split in ("train", "test"))
    sample_train, sample_test = (datasets.load("sample", None, split)[0] for split in ("train", "test"))
    mnist, sample = describe_training_set(train, "mnist"), describe_training_set(sample_train, "sample")
    first = Arrays(test.images[:COUNT], test.labels[:COUNT])
    body = {
        "command": "python bench/likeness.py DATA --out FILE.json",
        "bytes": {
            name: len(json.dumps(each.to_json())) for name, each in (("mnist", mnist), ("sample", sample))
        },
        "whole": {
            name: numbers(each, arrays) | {"warnings": [w.message for w in check_digits(each, arrays)]}
            for name, each, arrays in (
                ("mnist, test", mnist, test),
                ("mnist, sample", mnist, sample_test),
                ("sample, mnist's test", sample, test),
                ("sample, test", sample, sample_test),
            )
        },
        "count": COUNT,
        "changes": {"mnist": measure_changes(mnist, first), "sample": measure_changes(sample, first)},
        "draws": DRAWS,
        "few": measure_few(mnist, test),
    }
    options.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
