"""The program as its users run it, and a place of their own for its files."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
