"""Whether the metrics of `eval gan` agree with expectation on images of known quality.

    python bench/sanity.py DATA_DIR [--judge records/conv.safetensors] [--out FILE]

The reference classifier compares 10,000 training images with the 10,000 test images: unchanged, blurred, one
of them repeated, and noise; and the test images with themselves.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

from mnistctl.data import datasets
from mnistctl.evaluation.fidelity import (
    bootstrap_mean,
    compute_fidelity,
    copy_thresholds,
    estimate_class_entropy,
    extract_features,
    nearest_training_digits,
)
from mnistctl.inference import load
from mnistctl.nn.device import hardware_info

CPU = torch.device("cpu")


def blur(image: np.ndarray) -> np.ndarray:
    """The image after a Gaussian blur."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.5)))


def main() -> None:
    """Measure each kind of image, print a table, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--judge", type=Path, default=Path("records/conv.safetensors"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    train, test = (datasets.load("mnist", arguments.data, split)[0] for split in ("train", "test"))
    classifier = load.load_classifier(arguments.judge)[1]
    digits, rng = train.images[:10_000], np.random.default_rng(0)
    kinds = {
        "training digits": digits,
        "test digits": test.images,
        "blurred": np.stack([blur(image) for image in digits]),
        "noise": rng.integers(0, 256, digits.shape, dtype=np.uint8),
        "one repeated": np.repeat(digits[:1], len(digits), 0),
    }
    real = extract_features(classifier, test.images)
    real_distances, _ = nearest_training_digits(test.images, test.labels, train, CPU)
    thresholds = copy_thresholds(real_distances, test.labels)
    rows = {}
    print(f"{'':16s}{'Fréchet':>9s}{'density':>9s}{'coverage':>9s}{'entropy':>9s}{'copies, %':>10s}")
    for name, images in kinds.items():
        features = extract_features(classifier, images)
        fidelity = compute_fidelity(features, real, rng)
        _, entropy = estimate_class_entropy(features.predicted, rng)
        distances, _ = nearest_training_digits(images, features.predicted, train, CPU)
        duplicates = (distances < thresholds[features.predicted]).astype(np.float64)
        rows[name] = {
            "frechet": round(fidelity.frechet.value, 4),
            "density": round(fidelity.density.value, 4),
            "coverage": round(fidelity.coverage.value, 4),
            "entropy": round(entropy.value, 4),
            "copies": round(100 * bootstrap_mean(duplicates, rng).value, 2),
        }
        row = rows[name]
        print(f"{name:16s}{row['frechet']:9.3f}{row['density']:9.3f}{row['coverage']:9.3f}"
              f"{row['entropy']:9.3f}{row['copies']:10.2f}", flush=True)  # fmt: skip
    body = {
        "command": "python bench/sanity.py data",
        "judge": str(arguments.judge),
        "machine": hardware_info(),
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(body | {"kinds": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
