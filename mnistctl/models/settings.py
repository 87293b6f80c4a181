"""The settings of a recipe: every value that can be listed and changed, by key.

Keys are the recipe's own fields (`label_smoothing`), `optimizer` and `schedule` with their arguments
(`optimizer.weight_decay`, `schedule.floor`), the amounts of the augmentation (`augment.shift`), and the
arguments of the functions that make the nets (`net.dropout`). An argument is a setting if its default value
is a number, a truth value, text or numbers.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any

from mnistctl.errors import UsageError, suggest
from mnistctl.models.recipe import ClassifierRecipe, Recipe
from mnistctl.models.sources import SettingValue, format_value
from mnistctl.nn.augmentation import Augmentation
from mnistctl.nn.known import is_known
from mnistctl.nn.optim import OPTIMIZERS
from mnistctl.nn.schedules import MAX_EPOCHS, SCHEDULES

# Which settings a recipe has itself, and the fields that hold them.
_FIELDS = {"epochs": "epochs", "batch_size": "batch_size", "lr": "peak_lr"}
_CLASSIFIER_FIELDS = ("label_smoothing", "shuffle", "swa_fraction", "seed_offset")
_GAN_FIELDS = ("real_targets", "seed_offset")
_CLASSIFIER_NETS, _GAN_NETS = ("net",), ("generator", "discriminator")
_AUGMENT = "augment"  # the field of the augmentation, and the first part of its keys

# Arguments of optimizers that are no settings: the parameters, the rate (`lr`), and how torch computes.
_TECHNICAL = frozenset(
    ("params", "lr", "foreach", "fused", "capturable", "differentiable", "maximize", "decoupled_weight_decay")
)


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


def list_settings(recipe: Recipe) -> dict[str, Setting]:
    """All settings of `recipe`, by key, in the order in which they are listed."""
    return {setting.key: setting for setting in _settings(recipe)}


def _settings(recipe: Recipe) -> Iterator[Setting]:
    for key, field in _FIELDS.items():
        yield _setting(key, getattr(recipe, field))
    schedule: Any = recipe.lr_schedule
    kind = type(schedule) if is_dataclass(schedule) else schedule
    yield Setting("schedule", _name_of(kind, SCHEDULES), choices=tuple(SCHEDULES))
    for each in fields(schedule) if is_dataclass(schedule) else ():
        if _is_value(value := getattr(schedule, each.name)):
            yield _setting(f"schedule.{each.name}", value, known=is_known(kind, "torch.optim"))
    optimizer = recipe.optimizer.func if isinstance(recipe.optimizer, partial) else recipe.optimizer
    yield Setting("optimizer", _name_of(optimizer, OPTIMIZERS), choices=tuple(OPTIMIZERS))
    for setting in _arguments("optimizer", recipe.optimizer, _TECHNICAL):
        # torch writes some of its numbers, as a momentum of 0, without a point.
        whole = is_known(optimizer, "torch.optim") and type(setting.value) is int
        yield replace(setting, value=float(setting.value)) if whole else setting  # type: ignore[arg-type]
    classifier = isinstance(recipe, ClassifierRecipe)
    for key in _CLASSIFIER_FIELDS if classifier else _GAN_FIELDS:
        if not (key == "label_smoothing" and getattr(recipe, "loss", None) is not None):
            yield _setting(key, getattr(recipe, key))
    if isinstance(recipe, ClassifierRecipe):
        yield from _amounts(recipe.augment)
    for net in _CLASSIFIER_NETS if classifier else _GAN_NETS:
        yield from _arguments(net, getattr(recipe, net), frozenset())


def _setting(key: str, value: Any, *, known: bool = True) -> Setting:
    of_name = _RANGES.get(key.rpartition(".")[2], _ANY) if known else _ANY
    return Setting(key, value, _RANGES.get(key, of_name))


def _amounts(augmentation: Augmentation) -> Iterator[Setting]:
    for each in fields(augmentation):
        yield _setting(f"{_AUGMENT}.{each.name}", float(getattr(augmentation, each.name)))


def _name_of(kind: Any, known: Mapping[str, object]) -> str:
    """The name under which `kind` is known, else its own."""
    names = [name for name, each in known.items() if each is kind]
    return names[0] if names else getattr(kind, "__name__", type(kind).__name__)


def _arguments(prefix: str, function: Callable[..., object], leave_out: frozenset[str]) -> Iterator[Setting]:
    """The arguments of `function` that are settings, with their default values."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function in C without a signature
        return
    for name, parameter in parameters.items():
        positional_only = parameter.kind is parameter.POSITIONAL_ONLY
        if name not in leave_out and not positional_only and _is_value(parameter.default):
            yield _setting(f"{prefix}.{name}", parameter.default, known=is_known(function, "torch.optim"))


def _is_value(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(type(number) in (int, float) for number in value)
    return type(value) in (bool, int, float, str)


def parse_settings(recipe: Recipe, texts: Mapping[str, str]) -> dict[str, SettingValue]:
    """The values of settings that are given as text, by key.

    Raises:
        UsageError: a setting does not exist, or a text is not one of its values.
    """
    settings = list_settings(_with_parts(recipe, texts))
    return {key: _get(settings, key, text).parse(text) for key, text in texts.items()}


def parse_augmentation(texts: Mapping[str, str]) -> Augmentation:
    """The augmentation with these amounts, which are given as text, by key.

    Raises:
        UsageError: a key is none of an augmentation, or a text is not one of its values.
    """
    settings = {setting.key: setting for setting in _amounts(Augmentation())}
    values = {key: _get(settings, key, text).parse(text) for key, text in texts.items()}
    return replace(Augmentation(), **_below(values, _AUGMENT))  # type: ignore[arg-type]


def check_settings(recipe: Recipe, values: Mapping[str, object]) -> dict[str, SettingValue]:
    """The values of settings that are read from a file, with their types.

    Raises:
        UsageError: a setting does not exist, or has a wrong value.
    """
    settings = list_settings(_with_parts(recipe, values))
    return {key: _get(settings, key, value).check(value) for key, value in values.items()}


def _get(settings: Mapping[str, Setting], key: str, value: object) -> Setting:
    if key in settings:
        return settings[key]
    first, _, last = key.rpartition(".")
    alike = [known for known in settings if known.rpartition(".")[2] == last]
    hint = f"; did you mean {alike[0]}?" if alike else suggest(key, settings).removesuffix(";")
    text = value if isinstance(value, str) else format_value(value)  # type: ignore[arg-type]
    shown = f"{key}={text}"[:80]
    if first == _AUGMENT and not any(known.startswith(f"{_AUGMENT}.") for known in settings):
        raise UsageError("only classifiers augment their images", field="settings", value=shown)
    message = f"there is no such setting{hint}"
    raise UsageError(message, field="settings", value=shown, remedies=("list_settings",))


def _with_parts(recipe: Recipe, values: Mapping[str, object]) -> Recipe:
    """The recipe with the optimizer and the schedule that `values` name, with their default arguments."""
    changes: dict[str, Any] = {}
    plain = list_settings(recipe)
    if "optimizer" in values:
        kind = OPTIMIZERS[str(plain["optimizer"].check(values["optimizer"]))]
        changes["optimizer"] = kind
        changes["peak_lr"] = float(inspect.signature(kind).parameters["lr"].default)
    if "schedule" in values:
        changes["lr_schedule"] = SCHEDULES[str(plain["schedule"].check(values["schedule"]))]()
    return replace(recipe, **changes)


def override(
    settings: Mapping[str, SettingValue], changes: Mapping[str, SettingValue]
) -> dict[str, SettingValue]:
    """The settings with these changes. A named optimizer or schedule comes without the arguments before."""
    parts = tuple(f"{part}." for part in ("optimizer", "schedule") if part in changes)
    return {key: value for key, value in settings.items() if not key.startswith(parts)} | dict(changes)


def find_changes(recipe: Recipe, values: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
    """Those of the settings that make a difference: with them, `apply_settings` gives the same recipe.

    Raises:
        UsageError: as `apply_settings`.
    """
    before, after = list_settings(recipe), list_settings(apply_settings(recipe, values))
    parts = {key: values[key] for key in ("optimizer", "schedule") if after[key].value != before[key].value}
    plain = list_settings(_with_parts(recipe, parts))
    return parts | {key: setting.value for key, setting in after.items() if setting.value != plain[key].value}


def apply_settings(recipe: Recipe, values: Mapping[str, SettingValue]) -> Recipe:
    """The recipe with these settings, its baseline included.

    An optimizer or a schedule that is named has its own default values for what is not set, the learning rate
    included.

    Raises:
        UsageError: a setting does not exist, or has a wrong value.
    """
    return _Application(values).apply(recipe)


class _Application:
    """Settings that are applied to a recipe and to its baseline. What both share stays shared."""

    def __init__(self, values: Mapping[str, SettingValue]) -> None:
        self._values = values
        self._functions: dict[tuple[Any, str], Any] = {}

    def apply(self, recipe: Recipe) -> Recipe:
        values = check_settings(recipe, self._values)
        recipe = _with_parts(recipe, values)
        changes: dict[str, Any] = {
            _FIELDS.get(key, key): value
            for key, value in values.items()
            if "." not in key and key not in ("optimizer", "schedule")
        }
        for part in ("optimizer", *_CLASSIFIER_NETS, *_GAN_NETS):
            arguments = _below(values, part)
            if arguments:
                changes[part] = self._with_arguments(getattr(recipe, part), part, arguments)
        if schedule := _below(values, "schedule"):
            changes["lr_schedule"] = replace(recipe.lr_schedule, **schedule)  # type: ignore[type-var]
        if isinstance(recipe, ClassifierRecipe) and (amounts := _below(values, _AUGMENT)):
            changes[_AUGMENT] = replace(recipe.augment, **amounts)  # type: ignore[arg-type]
        if isinstance(recipe, ClassifierRecipe) and recipe.baseline is not None:
            changes["baseline"] = self._apply_to_baseline(recipe.baseline, changes)
        return replace(recipe, **changes)

    def _with_arguments(self, function: Any, part: str, arguments: Mapping[str, SettingValue]) -> Any:
        return self._functions.setdefault((function, part), partial(function, **arguments))

    def _apply_to_baseline(
        self, baseline: ClassifierRecipe, changes: Mapping[str, object]
    ) -> "ClassifierRecipe | None":
        if changes.get("swa_fraction", ...) is None:
            return None  # without weight averaging there is nothing to compare with
        of_both = {key: value for key, value in self._values.items() if key != "swa_fraction"}
        application = _Application(of_both)
        application._functions = self._functions
        applied = application.apply(baseline)
        assert isinstance(applied, ClassifierRecipe)
        return applied


def _below(values: Mapping[str, SettingValue], part: str) -> dict[str, SettingValue]:
    """The values whose keys begin with `part` and a point, by the rest of the key."""
    return {
        key.removeprefix(f"{part}."): value for key, value in values.items() if key.startswith(f"{part}.")
    }
