"""The program as its users run it, and a place of their own for its files."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch

from mnistctl.__main__ import main
from mnistctl.artifacts import files
from mnistctl.data import datasets, idx

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def mnistctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Run the program with these words in an empty folder; gives exit code, stdout and stderr.

    In this process, all of `main`: a process of its own would spend two seconds on importing torch.
    """

    def program(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        out, err, code = io.StringIO(), io.StringIO(), 0
        before, threads = (
            {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)},
            torch.get_num_threads(),
        )
        with monkeypatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
            for name in [name for name in os.environ if name.startswith("MNISTCTL_")]:
                patched.delenv(name)
            for name, value in {"MNISTCTL_OFFLINE": "1", **environment}.items():
                patched.setenv(name, value)
            patched.chdir(tmp_path)
            patched.setattr(sys, "argv", ["mnistctl", *words])
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
            finally:
                torch.set_num_threads(threads)
                for number, handler in before.items():
                    signal.signal(number, handler)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    return program


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of 600 digits to train on, 200 to test."""
    return few_digits(tmp_path_factory.mktemp("own"), 600, 200)


def few_digits(folder: Path, train: int, test: int) -> Path:
    """Write the first digits of the sample into `folder`, as a data set of one's own."""
    for split, name, count in (("train", "train", train), ("test", "t10k", test)):
        arrays, _ = datasets.load("sample", None, split)
        files.write(folder / f"{name}-images-idx3-ubyte", idx.dump(arrays.images[:count]))
        files.write(folder / f"{name}-labels-idx1-ubyte", idx.dump(arrays.labels[:count]))
    return folder
