"""Dataclasses that are read from and written to JSON, and options. Each field is checked against its type."""

import math
import numbers
import operator
import os
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Self, TypeVar, get_args, get_type_hints

from mnistctl.errors import UsageError

T = TypeVar("T")
# Metadata of a dataclass field that is not saved, such as an array from which a figure is drawn.
IN_MEMORY = {"json": False}
_MAX_DEPTH = 50
_KINDS = {int: "a whole number", float: "a number", str: "text", Path: "a path"}  # of options, in errors


class Schema:
    """Base class of dataclasses that are saved in files.

    Subclasses are dataclasses whose fields are plain types, other dataclasses, tuples, lists, dicts or Paths.
    Bounds are written as `Annotated[int, msgspec.Meta(ge=0)]`. Unknown keys are ignored, so that files of
    later versions with more fields can be read.
    """

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The dataclass for a value that `json.loads` returned.

        Raises:
            ValueError: a field is missing, has another type or is out of bounds, or a number is not
                finite; the message names it.
        """
        import msgspec

        try:
            if where := _find_infinite(value, "", 0):
                raise ValueError(f"{where.lstrip('.')}: not a finite number")
            return msgspec.convert(cls.upgrade(value), cls, dec_hook=_decode, str_keys=True)
        except msgspec.ValidationError as error:
            raise ValueError(_readable(error)) from None
        except (RecursionError, AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not {cls.__name__} ({error})") from None

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the keys of this version. Subclasses whose keys have changed override this."""
        return value

    def to_json(self) -> dict[str, Any]:
        """The fields as values that `json.dumps` accepts, except those with IN_MEMORY as metadata."""
        return {name: _to_builtins(getattr(self, name)) for name in _saved_fields(self)}


def check_options(options: object, *names: str) -> None:
    """Check fields of a frozen dataclass of options, and convert them as `to_type` does.

    Call it in `__post_init__`.

    Args:
        options: the dataclass.
        names: the fields, each of one type or of one type and None; all fields if none is named.

    Raises:
        UsageError: a field has a value of another type.
    """
    hints = get_type_hints(type(options))
    for name in names or hints:
        value, (kind, *more) = getattr(options, name), get_args(hints[name]) or (hints[name],)
        if value is not None or not more:
            object.__setattr__(options, name, to_type(value, kind, name))


def to_type(value: object, kind: type[T], field: str) -> T:
    """`value` as `kind`: a path may be text, and a number one of another library, such as numpy's int64.

    Raises:
        UsageError: it is of another type. A truth value is no number, and text is none.
    """
    converted: object = None
    if kind in (int, float):
        converted = _to_number(value, kind)
    elif kind is Path:
        converted = Path(value) if isinstance(value, str | os.PathLike) else None
    elif isinstance(value, kind):
        converted = str.__str__(value) if isinstance(value, str) else value
    if not isinstance(converted, kind):
        message = f"give {_KINDS.get(kind, kind.__name__)}, not {type(value).__name__}"
        raise UsageError(message, field=field, value=None if value is None else f"{value!r:.40}")
    return converted


def _to_number(value: object, kind: type) -> int | float | None:
    """`value` as an int or a float; None if it is no number."""
    if isinstance(value, bool):
        return None
    try:
        if kind is int:
            return operator.index(value)  # type: ignore[arg-type]
        return float(value) if isinstance(value, numbers.Real) else None
    except TypeError:
        return None
    except OverflowError:  # an int that no float can hold
        return math.inf


def _saved_fields(value: Any) -> list[str]:
    return [each.name for each in fields(value) if each.metadata.get("json", True)]


def _to_builtins(value: Any) -> Any:
    """`value` as plain values. msgspec leaves fields out that had no key where the object was read."""
    import msgspec

    if is_dataclass(value):
        return {name: _to_builtins(getattr(value, name)) for name in _saved_fields(value)}
    if isinstance(value, dict):
        return {str(key): _to_builtins(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and value and is_dataclass(value[0]):
        return [_to_builtins(item) for item in value]
    return msgspec.to_builtins(value, enc_hook=_encode, str_keys=True)


def _find_infinite(value: object, where: str, depth: int) -> str:
    """The name of a number that is not finite, which Python's JSON allows; empty if there is none.

    Raises:
        ValueError: the value is nested deeper than any file of ours.
    """
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, float):
        return "" if math.isfinite(value) else where or "."
    if isinstance(value, dict):
        items: Iterable[tuple[object, object]] = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return ""
    return next(filter(None, (_find_infinite(item, f"{where}.{key}", depth + 1) for key, item in items)), "")


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"expected {kind.__name__}")


def _encode(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):  # of numpy, in a recipe of the user's
        return float(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _readable(error: Exception) -> str:
    # msgspec: "Expected `int`, got `str` - at `$.recipe.epochs`"
    what, _, where = str(error).partition(" - at `$.")
    return f"{where.rstrip('`')}: {what.replace('`', '')}" if where else what.replace("`", "")
