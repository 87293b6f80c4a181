"""One setting of a recipe: its value, which values it may have, and how they are typed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mnistctl.errors import UsageError, suggest
from mnistctl.nn.schedules import MAX_EPOCHS

SettingValue = bool | int | float | str | tuple[int | float, ...] | None


def format_value(value: SettingValue) -> str:
    """A value as it is typed: `0.1`, `true`, `none`, `0.9,0.999`."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(map(format_value, value))
    return str(value)


def is_value(value: object) -> bool:
    """Whether the default value of an argument makes it a setting."""
    if isinstance(value, tuple):
        return bool(value) and all(type(number) in (int, float) for number in value)
    return type(value) in (bool, int, float, str)


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`. An end that is open is not among them."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.low < value if self.open_low else self.low <= value
        below = value < self.high if self.open_high else value <= self.high
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        """As in "0 to 1", "above 0", "0 or more, below 1"."""
        if self == Range():
            return "any number"
        low = f"above {self.low:,}" if self.open_low else f"{self.low:,} or more"
        if self.high == math.inf:
            return low
        if not (self.open_low or self.open_high):
            return f"{self.low:,} to {self.high:,}"
        return f"{low}, {'below' if self.open_high else 'at most'} {self.high:,}"


_ANY = Range()
_NOT_NEGATIVE, _POSITIVE = Range(0), Range(0, open_low=True)
_SHARE, _SHARE_BELOW_1 = Range(0, 1), Range(0, 1, open_high=True)
# By the key, or by its last part in what torch and mnistctl define: what is the user's own has arguments of
# its own, which may have any value of their type.
_RANGES = {
    "alpha": _SHARE_BELOW_1,
    "augment.elastic": Range(0, 14),
    "augment.elastic_width": Range(1, 28),
    "augment.erase": Range(0, 0.5),
    "augment.mixup": Range(0, 100),
    "augment.rotation": Range(0, 180),
    "augment.scale": Range(0, 0.9),
    "augment.shear": Range(0, 2),
    "augment.shift": Range(0, 28),
    "augment.stroke": Range(0, 2),
    "batch_size": Range(1, 1_000_000_000),
    "betas": _SHARE_BELOW_1,
    "channels": Range(1, 10_000),
    "dampening": _SHARE,
    "dropout": _SHARE_BELOW_1,
    "epochs": Range(1, MAX_EPOCHS),
    "eps": _NOT_NEGATIVE,
    "features": Range(1, 10_000),
    "floor": _NOT_NEGATIVE,
    "fractions": _NOT_NEGATIVE,
    "hidden": Range(1, 10_000),
    "initial_accumulator_value": _NOT_NEGATIVE,
    "label_smoothing": _SHARE,
    "layers": Range(1, 1000),
    "lr": _POSITIVE,
    "lr_decay": _NOT_NEGATIVE,
    "momentum": _SHARE_BELOW_1,
    "momentum_decay": _NOT_NEGATIVE,
    "real_targets": _SHARE,
    "seed_offset": Range(0, 10**12),
    "slope": _SHARE,
    "start": _SHARE,
    "swa_fraction": Range(0, 1, open_low=True),
    "warmup": _SHARE,
    "weight_decay": _NOT_NEGATIVE,
}
_WHOLE = frozenset(("batch_size", "channels", "epochs", "features", "hidden", "layers", "seed_offset"))
_OPTIONAL = frozenset(("swa_fraction",))  # may also be none


@dataclass(frozen=True)
class Setting:
    """One value of a recipe.

    Args:
        key: its name: `optimizer.weight_decay`.
        value: its value in the recipe.
        range: the numbers that it may be, or that each of several numbers may be.
        choices: the words that it may be.
    """

    key: str
    value: SettingValue
    range: Range = _ANY
    choices: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the value could be set: an own optimizer or schedule has no name here."""
        return not self.choices or self.value in self.choices

    @property
    def optional(self) -> bool:
        """Whether the value may be none."""
        return self.key in _OPTIONAL

    @property
    def type(self) -> str:
        """What values look like, in words."""
        value = self.value
        if self.choices:
            return "a name"
        if isinstance(value, bool):
            return "true or false"
        if isinstance(value, int):
            return "a whole number"
        if isinstance(value, float) or self.optional:
            return "a number"
        if isinstance(value, tuple):
            whole = all(isinstance(number, int) for number in value)
            count = "" if self.key == "schedule.fractions" else f"{len(value)} "
            return f"{count}{'whole ' if whole else ''}numbers with commas"
        return "text"

    @property
    def values(self) -> str:
        """The type and the range, in words: "a number, 0 to 1"."""
        if self.choices:
            return ", ".join(self.choices)
        if self.type in ("true or false", "text") or self.range == _ANY:
            return self.type
        each = ", each " if isinstance(self.value, tuple) else ", "
        return f"{self.type}{each}{self.range}" + (", or none" if self.optional else "")

    def parse(self, text: str) -> SettingValue:
        """The value that `text` means.

        Raises:
            UsageError: it is not a value of this setting.
        """
        try:
            value: SettingValue = self._with_type(self._read(text.strip()))
        except ValueError:
            raise self._error(text) from None
        return value

    def _read(self, text: str) -> SettingValue:
        """The value in a text, whose range is not checked.

        Raises:
            ValueError: the text has another type.
        """
        value = self.value
        if self.optional and text.lower() == "none":
            return None
        if isinstance(value, bool):
            if text.lower() not in ("true", "false"):
                raise ValueError(text)
            return text.lower() == "true"
        if isinstance(value, int):
            return int(text)
        if isinstance(value, float) or self.optional:
            return float(text)
        if isinstance(value, tuple):
            read: Callable[[str], int | float] = float
            if all(isinstance(number, int) for number in value):
                read = int
            return tuple(read(part) for part in text.split(","))
        return text

    def check(self, value: Any) -> SettingValue:
        """`value`, as read from a file, with the type of this setting.

        Raises:
            UsageError: it is not a value of this setting.
        """
        try:
            typed: SettingValue = self._with_type(value)
        except ValueError:
            raise self._error(format_value(value)) from None
        return typed

    def _error(self, text: str) -> UsageError:
        """The error for a text that is not a value of this setting."""
        message = f"give {self.values}"
        if self.choices:
            message = f"{suggest(text, self.choices)} choose one of {self.values}".lstrip("; ")
        return UsageError(message, field="settings", value=f"{f'{self.key}={text}':.80}")

    def _with_type(self, value: Any) -> Any:
        """`value` with this setting's type.

        Raises:
            ValueError: it is none of the setting's values.
        """
        current = self.value
        if self.optional and value in (None, "none"):
            return None
        if isinstance(current, tuple):
            return self._with_types(current, value)
        if isinstance(current, str) and isinstance(value, str):
            if not self.choices:
                return value
            if value.lower() in self.choices:
                return value.lower()
        elif isinstance(current, bool) or isinstance(value, bool):  # which are numbers, too
            if isinstance(current, bool) and isinstance(value, bool):
                return value
        elif not isinstance(current, str) and isinstance(value, int | float) and value in self.range:
            if not isinstance(current, int):
                return float(value)
            if isinstance(value, int):
                return value
        raise ValueError(value)

    def _with_types(self, current: tuple[int | float, ...], values: Any) -> tuple[int | float, ...]:
        """`values` as numbers of the type of the `current` ones.

        Raises:
            ValueError: they are not numbers, out of range, or of another number than the current ones.
        """
        if not isinstance(values, tuple | list) or not values:
            raise ValueError(values)
        if len(values) != len(current) and self.key != "schedule.fractions":
            raise ValueError(values)
        one = replace(self, value=current[0])
        return tuple(one._with_type(value) for value in values)


def make_setting(key: str, value: Any, *, known: bool = True) -> Setting:
    """The setting with this key and value, and the range that the key has.

    Args:
        key: its key, as `optimizer.weight_decay`.
        value: its value.
        known: whether it is torch's or mnistctl's, so that a range holds for the last part of the key alone.
    """
    name = key.rpartition(".")[2]
    found = _RANGES.get(key) or (_RANGES.get(name) if known else None)
    if found is None:
        return Setting(key, value)
    return Setting(key, value if name in _WHOLE else _as_float(value), found)


def _as_float(value: Any) -> Any:
    """`value` with whole numbers as others, since a recipe may have `label_smoothing=0`."""
    if isinstance(value, tuple):
        return tuple(map(float, value))
    return float(value) if type(value) is int else value
