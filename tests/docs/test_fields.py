"""The tables of docs/files.md, trial-files.md and json.md have the fields and types of the dataclasses.

A table is preceded by a line such as "`RunRecord` in `training/record.py`, with `version`:". The names after
"with" are keys that are added when the object is written.
"""

import dataclasses
import json
import re
import types
import typing
from importlib import import_module
from pathlib import Path

import pytest
from stubs import IN_THREAD

from mnistctl.artifacts import grids
from mnistctl.data import datasets
from mnistctl.evaluation import fidelity

ROOT = Path(__file__).parents[2]
TABLE = re.compile(
    r"^`(\w+)` in `([\w/]+)\.py`(?:, with ((?:`\w+`(?:, | and )?)+))?:\n\n"
    r"\| field \| type \| meaning \|\n\|---\|---\|---\|\n((?:\|.*\n)+)",
    re.M,
)
PLAIN = {
    int: "integer",
    float: "number",
    str: "string",
    bool: "boolean",
    Path: "string",
    type(None): "null",
    typing.Any: "any",
}


def documented():
    """The tables of both pages by class: module, added keys, rows of (field, type)."""
    text = "".join((ROOT / f"docs/{page}.md").read_text() for page in ("files", "trial-files", "json"))
    tables = {}
    for name, module, added, table in TABLE.findall(text):
        rows = [[cell.strip() for cell in line.split(" | ")] for line in table.strip().splitlines()]
        assert (module, name) not in tables, f"{name} has two tables"
        cells = [(row[0].strip("| `"), row[1], row[2].rstrip(" |")) for row in rows]
        tables[module, name] = (re.findall(r"`(\w+)`", added), cells)
    return tables


TABLES = documented()


def find_class(module, name):
    return getattr(import_module(f"mnistctl.{module.replace('/', '.')}"), name)


def json_fields(cls):
    return [field for field in dataclasses.fields(cls) if field.metadata.get("json", True)]


def type_name(kind, inside=False):
    """A type as the tables write it; alternatives inside another type are in brackets."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        text = " or ".join(type_name(each) for each in arguments)
        return f"({text})" if inside else text
    if origin is typing.Annotated:
        return type_name(arguments[0], inside)
    if origin is typing.Literal:
        return " or ".join(f'"{value}"' for value in arguments)
    if origin is dict:
        return f"object of {type_name(arguments[1], inside=True)}"
    if origin in (tuple, list):
        if origin is tuple and arguments[-1] is not Ellipsis:
            return f"[{', '.join(type_name(each) for each in arguments)}]"
        return f"list of {type_name(arguments[0], inside=True)}"
    assert dataclasses.is_dataclass(kind), kind
    return f"`{kind.__name__}`"


def rows(cls):
    hints = typing.get_type_hints(cls, include_extras=True)
    return [(field.name, type_name(hints[field.name])) for field in json_fields(cls)]


@pytest.mark.parametrize(("module", "name"), TABLES)
def test_table_has_the_fields_and_types_of_the_dataclass(module, name):
    added, cells = TABLES[module, name]
    own = [(field, kind) for field, kind, _ in cells if field not in added]
    assert own == rows(find_class(module, name))
    assert set(added) <= {field for field, _, _ in cells}


@pytest.mark.parametrize(("module", "name"), TABLES)
def test_every_field_has_a_meaning(module, name):
    assert [field for field, _, meaning in TABLES[module, name][1] if not meaning] == []


def test_every_object_inside_a_documented_object_is_documented():
    kinds = " ".join(kind for _, cells in TABLES.values() for _, kind, _ in cells)
    assert set(re.findall(r"`(\w+)`", kinds)) <= {name for _, name in TABLES}


# Keys that are left out where they have no value, or in what is printed.
OPTIONAL = {
    "RunRecord": {
        "checksum",
        "resumed",
        "swa",
        "discriminator_losses",
        "generator_losses",
        "origin",
        "initial_weights",
        "holdout",
        "validation_losses",
    },
    "TrialsSummary": {"checksum"},
}
PRINTED = {"already", "paths", "warnings"}  # with `train` and `trials`, as docs/json.md says


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        ("training/environment", "EnvironmentReport", "show --machine"),
        ("training/record", "RunRecord", "train logit --dataset sample --epochs 1"),
        ("evaluation/classifier", "Evaluation", "eval {conv} --dataset sample"),
        ("evaluation/comparison", "Comparison", "eval {conv} {other} --dataset sample"),
        ("evaluation/generator", "GeneratorEvaluation", "eval {cgan} --judge {conv} --dataset sample -n 100"),
        ("inference/predict", "Predictions", "eval {conv} --image {image}"),
        ("inference/generate", "GenerationResult", "generate {cgan} -n 10"),
        ("data/pictures", "ImportResult", "import {pictures} --as-is"),
        (
            "trials/summary",
            "TrialsSummary",
            f"trials logit -n 2 --epochs 1 --dataset sample {' '.join(IN_THREAD)}",
        ),
    ],
)
def test_json_of_a_command_has_the_documented_keys(module, name, words, mnistctl, tmp_path, monkeypatch):
    monkeypatch.setattr(fidelity, "FRECHET_RESAMPLES", 2)  # the keys do not depend on it, the time does
    if "{other}" in words:
        assert mnistctl("train", "logit", "--dataset", "sample", "--epochs", "1").returncode == 0
    if "{pictures}" in words:
        arrays, _ = datasets.load("sample", None, "test")
        (tmp_path / "pictures/3").mkdir(parents=True)
        for number, image in enumerate(arrays.images[:3]):
            grids.write_png(tmp_path / f"pictures/3/{number}.png", image)
    paths = {
        "pictures": tmp_path / "pictures",
        "conv": ROOT / "records/conv.safetensors",
        "cgan": ROOT / "records/cgan.safetensors",
        "image": ROOT / "docs/own-digit.jpg",
        "other": tmp_path / "out/logit-sample.safetensors",
    }
    ran = mnistctl(*words.format(**paths).split(), "--json")
    assert ran.returncode == 0, ran.stderr
    printed = json.loads(ran.stdout).keys()
    documented = {field for field, _, _ in TABLES[module, name][1]}
    assert printed <= documented | (PRINTED if name in OPTIONAL else set())
    assert documented - printed <= OPTIONAL.get(name, set())


def test_json_of_the_list_of_models_has_the_documented_keys(mnistctl):
    body = json.loads(mnistctl("train", "--list", "--json").stdout)
    assert body.keys() == {"version", "models", "packages"}
    documented = {field for field, _, _ in TABLES["models/listing", "ModelSummary"][1]}
    assert all(model.keys() == documented for model in body["models"])
