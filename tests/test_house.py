"""The house rules: imports run one way, only one room prints, one word of a net stands in one place."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mnistctl"

# For each room, the rooms that it may import; `errors` and `files` and the version stand below them all.
MAY = {
    "__main__": {"cli", "report"},
    "cli": {
        *("report", "models", "options", "runs", "evaluation", "describe", "download", "datasets"),
        *("figures", "nets", "fidelity", "generation", "executors", "trials", "comparison", "diagnosis"),
        *("board", "reading"),
    },
    "report": {
        *("events", "figures", "runs", "evaluation", "fidelity", "generation", "describe", "download"),
        *("models", "trials", "comparison", "datasets", "inference", "reading"),
    },
    "events": set(),
    "board": {"events", "record", "runs"},
    "runs": {
        *("tasks", "models", "datasets", "describe", "compute", "events", "options", "record", "unfinished"),
    },
    "tasks": {
        *("supervised", "adversarial", "data", "datasets", "evaluation", "figures", "checkpoint", "events"),
        "record",
    },
    "trials": {
        *("trial", "executors", "ledger", "tally", "events", "options", "models", "describe"),
        *("datasets", "figures", "compute", "charts"),
    },
    "trial": {
        *("supervised", "models", "data", "datasets", "checkpoint", "compute", "events", "options"),
    },
    "executors": set(),
    "ledger": set(),
    "tally": {"inference", "ledger"},
    "inference": set(),
    "evaluation": {
        *("supervised", "nets", "data", "datasets", "figures", "checkpoint", "compute", "events", "charts"),
        *("calibration", "corruption", "record", "export"),
    },
    "reading": {"supervised", "nets", "pictures", "data", "datasets", "checkpoint", "compute"},
    "pictures": {"inks"},
    "inks": set(),
    "export": {"data"},
    "comparison": {
        *("evaluation", "charts", "calibration", "datasets", "events", "figures", "inference"),
    },
    "calibration": set(),
    "charts": {"calibration", "figures"},
    "corruption": {"draws", "figures"},
    "fidelity": {
        *("generation", "nets", "datasets", "figures", "checkpoint", "compute", "draws", "events"),
    },
    "generation": {
        *("adversarial", "supervised", "nets", "models", "layers", "data", "datasets", "figures", "idx"),
        *("checkpoint", "compute", "draws", "events"),
    },
    "nets": {"models", "checkpoint", "state"},
    "options": {"models", "supervised", "adversarial"},
    "record": {"models", "options"},
    "unfinished": {"checkpoint", "events"},
    "describe": {"supervised", "adversarial", "models", "tally", "compute"},
    "diagnosis": {"compute", "datasets", "download"},
    "supervised": {"compute", "draws", "state", "schedules", "events", "data"},
    "adversarial": {"compute", "draws", "state", "schedules", "events", "data"},
    "models": {"supervised", "adversarial", "schedules", "layers", "lamb"},
    "data": {"datasets"},
    "download": {"datasets", "idx"},
    "datasets": {"idx"},
    "compute": {"layers"},
    "checkpoint": set(),
    "figures": set(),
    "draws": set(),
    "state": {"compute"},
    "schedules": set(),
    "layers": set(),
    "lamb": set(),
    "idx": set(),
    "files": set(),
    "errors": set(),
}
BELOW = {"errors", "files", "__version__"}
SOURCES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The rooms that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "mnistctl":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mnistctl."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("mnistctl.")}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    if path == PACKAGE / "__init__.py":
        assert imported(path) == set()
        return
    assert imported(path) - BELOW - {room(path)} <= MAY[room(path)]


def test_backward_is_called_in_the_two_loops_alone():
    found = {p.name for p in SOURCES if ".backward(" in p.read_text()}
    assert found == {"supervised.py", "adversarial.py"}


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
