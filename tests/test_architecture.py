"""Rules for the code base: what may import, print and run the backward pass, and where files belong."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mnistctl"
SOURCES = sorted(PACKAGE.rglob("*.py"))
DATA = ("data/idx.py", "data/datasets.py", "data/download.py")
TORCH_FREE = (
    "cli/**/*.py",
    "errors.py",
    "schema.py",
    "models/__init__.py",
    "artifacts/files.py",
    "artifacts/outputs.py",
    "artifacts/rounding.py",
    *DATA,
)


@cache
def trees():
    """The syntax tree of each module, by its path in the package."""
    return {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in SOURCES}


def in_command_line(name):
    return name.startswith("cli/") or name == "__main__.py"


def imported_packages(tree):
    """The top-level packages that a module imports anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def docstrings(tree):
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            yield node.body[0].value


def test_imports_run_down_the_layers():
    program = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-2000:]


def test_backward_is_called_in_two_files():
    files = {path.name for path in SOURCES if ".backward(" in path.read_text()}
    assert files == {"classifier.py", "gan.py"}


def test_only_the_output_folder_prints():
    printing = {
        name
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == {"cli/output/terminal.py"}
    using_rich = [name for name, tree in trees().items() if "rich" in imported_packages(tree)]
    assert [name for name in using_rich if not name.startswith("cli/output/")] == []


def test_only_the_command_line_uses_typer():
    using_typer = [name for name, tree in trees().items() if "typer" in imported_packages(tree)]
    assert [name for name in using_typer if not name.startswith("cli/")] == []


def test_core_names_no_options_and_no_commands_in_its_messages():
    named = []
    for name, tree in trees().items():
        ignored = set(docstrings(tree))
        if not in_command_line(name):
            strings = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
            named += [
                f"{name}:{string.lineno}"
                for string in strings
                if string not in ignored and re.search(r"--[a-z]|`mnistctl", string.value)
            ]
    assert named == []


def test_every_module_has_a_docstring():
    assert [name for name, tree in trees().items() if not ast.get_docstring(tree)] == []


def test_names_of_modules_say_what_is_in_them():
    vague = {"utils", "util", "common", "base", "helpers", "helper", "manager", "misc"}
    assert [name for name in trees() if vague & set(Path(name).with_suffix("").parts)] == []


def test_tests_mirror_the_folders_of_the_package():
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders - {"docs"} <= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_no_test_file_is_longer_than_400_lines():
    lengths = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "tests").rglob("test_*.py")}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_function_of_the_core_is_longer_than_70_lines():
    assert [
        f"{name}: {node.name}"
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno - node.lineno >= 70
        and not in_command_line(name)
    ] == []


def test_untyped_dicts_are_rare():
    pattern = re.compile(r"\b(?:dict|Mapping)\[str, Any\]")
    assert sum(len(pattern.findall(path.read_text())) for path in SOURCES) <= 30


def test_torch_free_modules_load_neither_torch_nor_numpy():
    paths = {path for pattern in TORCH_FREE for path in PACKAGE.glob(pattern)}
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(paths)]
    assert len(modules) > 20
    code = f"""
import importlib, sys
for module in {modules}:
    importlib.import_module(module.removesuffix(".__init__"))
    assert not {{"torch", "numpy"}} & sys.modules.keys(), module
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "train --help",
        "trials --help",
        "train --list",
        "--version",
        "eval --help",
        "show --glyphs",
        "show --dataset sample",
    ],
)
def test_commands_that_need_no_net_never_import_torch(command):
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mnistctl", *command.split()],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-500:]
    loaded = {
        line.split("|")[-1].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")
    }
    assert "mnistctl.cli" in loaded
    assert "torch" not in loaded
    if not command.startswith("show"):
        assert "numpy" not in loaded
