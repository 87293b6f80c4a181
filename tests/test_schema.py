"""Dataclasses from JSON: every field is checked, and the error names the field."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistctl.errors import UsageError
from mnistctl.schema import IN_MEMORY, Schema, check_options, to_type


@dataclass(frozen=True)
class Point(Schema):
    x: int
    y: float = 0.0


@dataclass(frozen=True)
class Route(Schema):
    points: tuple[Point, ...]
    file: Path | None = None
    cache: object = field(default=None, compare=False, metadata=IN_MEMORY)

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        return {"points": value["dots"]} if "dots" in value else value


def test_dataclasses_are_unchanged_by_json():
    path = Route((Point(1), Point(2, 0.5)), Path("a/b"), cache=object())
    body = json.loads(json.dumps(path.to_json()))
    assert body == {"points": [{"x": 1, "y": 0.0}, {"x": 2, "y": 0.5}], "file": "a/b"}
    assert Route.from_json(body) == path


def test_fields_that_had_no_key_are_written_again():
    route = Route.from_json({"points": [{"x": 1}]})
    assert route.to_json() == {"points": [{"x": 1, "y": 0.0}], "file": None}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"points": [{"x": "one"}]}, "points.*x: Expected int, got str"),
        ({"points": [{}]}, "points.*missing required field x"),
        ({"points": [{"x": True}]}, "Expected int, got bool"),
        ({}, "missing required field points"),
        ([], "Expected object, got array"),
        (None, "not Route"),
        ({"points": [], "file": 3}, "file"),
    ],
)
def test_wrong_field_is_a_value_error_that_names_it(body, message):
    with pytest.raises(ValueError, match=message):
        Route.from_json(body)


def test_unknown_keys_are_ignored_and_old_keys_are_upgraded():
    assert Route.from_json({"dots": [{"x": 1, "z": 2}], "more": 1}) == Route((Point(1),))


@dataclass(frozen=True)
class Options:
    folder: Path = Path("out")
    count: int | None = None
    rate: float | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_options(self)


def test_options_take_text_as_paths_and_numbers_of_numpy():
    options = Options("a/b", np.int64(3), np.float32(0.5), np.str_("x"))
    assert options == Options(Path("a/b"), 3, 0.5, "x")
    assert [type(value) for value in vars(options).values()] == [type(Path()), int, float, str]
    assert type(Options(rate=1).rate) is float
    assert Options(rate=10**400).rate == float("inf")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"folder": None}, "folder: give a path, not NoneType"),
        ({"folder": b"a"}, "folder b'a': give a path, not bytes"),
        ({"count": "3"}, "count '3': give a whole number, not str"),
        ({"count": 3.0}, "count 3.0: give a whole number, not float"),
        ({"count": True}, "count True: give a whole number, not bool"),
        ({"count": [3] * 30}, f"count {[3] * 30!r:.40}: give a whole number, not list"),
        ({"rate": "0.1"}, "rate '0.1': give a number, not str"),
        ({"rate": 1j}, "rate 1j: give a number, not complex"),
        ({"name": 3}, "name 3: give text, not int"),
    ],
)
def test_option_of_another_type_is_an_error_that_names_it(wrong, message):
    with pytest.raises(UsageError) as caught:
        Options(**wrong)
    assert str(caught.value) == message


def test_value_of_any_other_type_is_returned_as_it_is():
    options = Options()
    assert to_type(options, Options, "options") is options
    with pytest.raises(UsageError, match=r"options {}: give Options, not dict"):
        to_type({}, Options, "options")
