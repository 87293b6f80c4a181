"""Fixtures: the program as users run it, and a small data set."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

# Before torch loads: its threads would spin at their barriers while another test has the core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # there is one process per core already
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from white_charts import white

from mnistctl.__main__ import main
from mnistctl.artifacts import drawing, files
from mnistctl.data import datasets, idx
from mnistctl.nn.cores import available_cores


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than there are cores: some tests wait, for a signal, a timeout or a browser."""
    return available_cores() + 1


Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def mnistctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Program:
    """A function that runs the program with these arguments in an empty folder, with these variables set.

    It runs `main` in this process. A process of its own would take two seconds to import torch. Charts are
    white, except in tests marked `charts`: drawing takes most of the time of a short run. The variable
    PYTHONIOENCODING has its effect, as in a new process.
    """
    drawn = request.node.get_closest_marker("charts") is not None

    def program(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        encoding, code = environment.get("PYTHONIOENCODING", "utf-8"), 0
        out = io.TextIOWrapper(io.BytesIO(), encoding)
        err = io.TextIOWrapper(io.BytesIO(), encoding, "backslashreplace", write_through=True)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        threads = torch.get_num_threads()
        with monkeypatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
            # COLUMNS is set in the processes of a test run that uses several.
            for name in [name for name in os.environ if name.startswith("MNISTCTL_") or name == "COLUMNS"]:
                patched.delenv(name)
            for name, value in {"MNISTCTL_OFFLINE": "1", **environment}.items():
                patched.setenv(name, value)
            patched.chdir(tmp_path)
            if not drawn:
                patched.setattr(drawing.Chart, "pixels", white)
            patched.setattr(sys, "argv", ["mnistctl", *args])
            try:
                main()
            except SystemExit as exited:
                code = int(exited.code or 0)
            finally:
                torch.set_num_threads(threads)
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        out.flush()
        printed = (stream.buffer.getvalue().decode() for stream in (out, err))
        return subprocess.CompletedProcess(args, code, *printed)

    return program


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 600 training images and 200 test images."""
    return few_digits(tmp_path_factory.mktemp("own"), 600, 200)


def few_digits(folder: Path, train: int, test: int) -> Path:
    """Write the first images of the sample into `folder`, for --dataset own."""
    for split, name, count in (("train", "train", train), ("test", "t10k", test)):
        arrays, _ = datasets.load("sample", None, split)
        files.write(folder / f"{name}-images-idx3-ubyte", idx.dump(arrays.images[:count]))
        files.write(folder / f"{name}-labels-idx1-ubyte", idx.dump(arrays.labels[:count]))
    return folder
