"""Whether the figures of `eval gan` say what they should of digits whose likeness is known.

    python bench/sanity.py DATA_DIR [--judge records/conv.safetensors] [--out FILE]

The judge looks at 10,000 training digits, as they are, blurred, one of them repeated, and at noise, each
beside the 10,000 test digits; and at the test digits themselves.
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


def blurred(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.5)))


def main() -> None:
    """Judge each kind of picture, print a table, and write it as JSON."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", type=Path)
    asked.add_argument("--judge", type=Path, default=Path("records/conv.safetensors"))
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    train, test = (datasets.load("mnist", given.data, split)[0] for split in ("train", "test"))
    judge = load.load_classifier(given.judge)[1]
    digits, rng = train.images[:10_000], np.random.default_rng(0)
    kinds = {
        "training digits": digits,
        "test digits": test.images,
        "blurred": np.stack([blurred(image) for image in digits]),
        "noise": rng.integers(0, 256, digits.shape, dtype=np.uint8),
        "one repeated": np.repeat(digits[:1], len(digits), 0),
    }
    real = extract_features(judge, test.images)
    usual = copy_thresholds(nearest_training_digits(test.images, test.labels, train, CPU)[0], test.labels)
    rows = {}
    print(f"{'':16s}{'Frechet':>9s}{'density':>9s}{'coverage':>9s}{'entropy':>9s}{'copies, %':>10s}")
    for name, images in kinds.items():
        seen = extract_features(judge, images)
        told, spread = compute_fidelity(seen, real, rng), estimate_class_entropy(seen.read, rng)[1]
        near = nearest_training_digits(images, seen.read, train, CPU)[0] < usual[seen.read]
        rows[name] = {
            "frechet": round(told.frechet.value, 4),
            "density": round(told.density.value, 4),
            "coverage": round(told.coverage.value, 4),
            "entropy": round(spread.value, 4),
            "copies": round(100 * bootstrap_mean(near.astype(np.float64), rng).value, 2),
        }
        row = rows[name]
        print(f"{name:16s}{row['frechet']:9.3f}{row['density']:9.3f}{row['coverage']:9.3f}"
              f"{row['entropy']:9.3f}{row['copies']:10.2f}", flush=True)  # fmt: skip
    body = {"command": "python bench/sanity.py data", "judge": str(given.judge), "machine": hardware_info()}
    if given.out:
        given.out.write_text(json.dumps(body | {"kinds": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
