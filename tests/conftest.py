"""The program as its users run it, and a place of their own for its files."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistctl import datasets, files, idx

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def mnistctl(tmp_path: Path) -> Program:
    """Run `python -m mnistctl` with these words in an empty folder; gives exit code, stdout and stderr."""

    def program(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MNISTCTL_")}
        return subprocess.run(
            [sys.executable, "-m", "mnistctl", *words],
            cwd=tmp_path,
            env=clean | {"MNISTCTL_OFFLINE": "1", **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return program


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of 600 digits to train on, 200 to test."""
    return few_digits(tmp_path_factory.mktemp("own"), 600, 200)


def few_digits(folder: Path, train: int, test: int) -> Path:
    """Write the first digits of the sample into `folder`, as a data set of one's own."""
    for split, name, count in (("train", "train", train), ("test", "t10k", test)):
        arrays, _ = datasets.load("sample", None, split)
        files.write(folder / f"{name}-images-idx3-ubyte", idx.pack(arrays.images[:count]))
        files.write(folder / f"{name}-labels-idx1-ubyte", idx.pack(arrays.labels[:count]))
    return folder
