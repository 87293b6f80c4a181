"""The page about installation and CITATION.cff agree with the package."""

import json
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from mnistctl import __version__
from mnistctl.models.pretrained import PRETRAINED, WEIGHTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/install.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_trained_weights_of_the_page_are_those_of_the_package():
    rows = dict(re.findall(r"^\| `(pretrained[\w-]*)` \| (.*?) \|", PAGE, re.M))
    assert rows.keys() == PRETRAINED.keys()
    origin = json.loads((WEIGHTS / "origin.json").read_text())["weights"]
    assert f"{origin['pretrained']['accuracy']:.2f} %" in rows["pretrained"]
    assert f"{origin['pretrained-cgan']['frechet']:.3f}" in rows["pretrained-cgan"]


def test_further_packages_are_those_of_the_extras():
    installed = {frozenset(names.split()) for names in re.findall(r"`pip install ([a-z ]+)`", PAGE)}
    extras = {
        frozenset(Requirement(line).name for line in lines)
        for name, lines in PROJECT["optional-dependencies"].items()
        if name != "dev"
    }
    assert installed == extras


def test_hints_name_packages_and_never_the_extras_of_a_package_on_no_index():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "mnistctl").rglob("*.py")]
    assert [path.name for path in pages if re.search(r"pip install .*mnistctl\[", path.read_text())] == []


def test_index_of_torch_for_the_cpu_is_named_once():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert [page.name for page in pages for _ in re.findall(r"download\.pytorch\.org", page.read_text())] == [
        "README.md"
    ]


def test_citation_has_the_version_and_licence_of_the_package():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {__version__}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
    assert f"mnistctl-{__version__}-py3-none-any.whl" in PAGE
