"""The house rules: imports run one way, only one room prints, one word of a net stands in one place."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mnistctl"

SOURCES = sorted(PACKAGE.rglob("*.py"))


def test_backward_is_called_in_the_two_loops_alone():
    found = {p.name for p in SOURCES if ".backward(" in p.read_text()}
    assert found == {"classifier.py", "gan.py"}


def test_every_module_opens_with_a_docstring():
    assert [str(p) for p in SOURCES if not ast.get_docstring(ast.parse(p.read_text()))] == []


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["train", "--help"],
        ["trials", "--help"],
        ["--version"],
        ["eval", "--help"],
        ["show", "--glyphs"],
        ["show", "--dataset", "sample"],
    ],
)
def test_what_needs_no_net_never_imports_torch(words):
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mnistctl", *words], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr[-500:]
    loaded = {
        line.split("|")[-1].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")
    }
    assert "mnistctl.cli" in loaded
    assert "torch" not in loaded
    if words[0] != "show":
        assert "numpy" not in loaded
