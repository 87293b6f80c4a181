"""Dataclasses from JSON: every field is checked, and the error names the field."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mnistctl.schema import IN_MEMORY, Schema


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
