"""The files, functions, layers and the error that docs/architecture.md and other pages mention exist."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mnistctl"
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
TO_ADD = (
    "mlp.py",
    "mine.py",
    "mnistctl/models/mlp.py",
    "__init__.py",
)  # the last is one of several
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_file_that_a_page_mentions_exists(page):
    for name in re.findall(r"`(?:python )?((?:\w+/)*\w+\.py)\b", page.read_text()):
        if name in TO_ADD:
            continue
        places = [ROOT / name, PACKAGE / name, *PACKAGE.glob(f"*/{name}"), *ROOT.glob(f"tests/*/{name}")]
        assert any(path.is_file() for path in places), name


def test_calls_from_train_to_backward_are_at_most_five_and_exist():
    rows = re.findall(r"^\| `(?:(\w+)\.)?(\w+)\(\)` \| `([\w/]+\.py)` \|", ARCHITECTURE, re.M)
    assert rows[0][1:] == ("train", "cli/train.py")
    assert rows[-1][1:] == ("train_step", "training/classifier.py")
    assert len(rows) - 1 <= 5
    for owner, function, file in rows:
        source = (PACKAGE / file).read_text()
        assert re.search(rf"^( *)def {function}\(", source, re.M), function
        assert not owner or owner in (Path(file).stem,) or f"class {owner}" in source
    for (*_, file), (_, called, _) in pairwise(rows):
        assert re.search(rf"\b{called}\(", (PACKAGE / file).read_text()), f"{file} does not call {called}"
    assert "loss.backward()" in (PACKAGE / rows[-1][2]).read_text()


def read_contracts():
    """The layers, top first, and for each folder the further folders that it must not import."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    forbidden = {
        source.removeprefix("mnistctl."): {
            each.removeprefix("mnistctl.") for each in contract["forbidden_modules"]
        }
        for contract in contracts
        if contract["type"] == "forbidden"
        for source in contract["source_modules"]
    }
    return layers, forbidden


def test_folders_may_import_what_the_contracts_allow():
    layers, forbidden = read_contracts()
    below = {}
    for number, layer in enumerate(layers):
        lower = {
            name.strip().removeprefix("mnistctl.")
            for each in layers[number + 1 :]
            for name in each.split("|")
        }
        for name in layer.split("|"):
            below[name.strip().removeprefix("mnistctl.")] = lower - {"schema", "errors"}
    allowed = {name: lower - forbidden.get(name, set()) for name, lower in below.items()}
    rows = re.findall(r"^\| `(\w+)/` \| .* \| (.*?) ?\|$", ARCHITECTURE, re.M)
    assert len(rows) == 10
    for number, (folder, cell) in enumerate(rows):
        named = set(re.findall(r"`(\w+)/`", cell))
        if cell == "all below":
            named = {name for name, _ in rows[number + 1 :]}
        elif cell.endswith("and what is below it"):
            named |= set.union(*(allowed[name] for name in named))
        assert named == allowed[folder], folder


def test_folders_are_listed_in_the_order_of_the_layers():
    layers, _ = read_contracts()
    expected = [name.strip().removeprefix("mnistctl.") for layer in layers for name in layer.split("|")]
    listed = re.findall(r"^\| `(\w+)(?:/|\.py)` \| ", ARCHITECTURE, re.M)
    assert listed == [name for name in expected if name != "__main__"]


def test_error_of_the_page_is_what_the_command_line_prints(mnistctl):
    (line,) = re.findall(r"^`(--batch-size 0: .*)`\.", ARCHITECTURE, re.M)
    ran = mnistctl("train", "conv", "--dataset", "sample", "--batch-size", "0")
    assert ran.returncode == 2
    assert ran.stderr.strip().endswith(line)
