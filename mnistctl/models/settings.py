"""The settings of a recipe: every value that can be listed and changed, by key.

Keys are the recipe's own fields (`label_smoothing`), `optimizer` and `schedule` with their arguments
(`optimizer.weight_decay`, `schedule.floor`), the amounts of the augmentation (`augment.shift`), and the
arguments of the functions that make the nets (`net.dropout`). An argument is a setting if its default value
is a number, a truth value, text or numbers.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

from mnistctl.errors import UsageError, suggest
from mnistctl.models.recipe import ClassifierRecipe, Recipe
from mnistctl.models.values import Setting, SettingValue, format_value, is_value, make_setting
from mnistctl.nn.augmentation import Augmentation
from mnistctl.nn.known import is_known
from mnistctl.nn.optim import OPTIMIZERS
from mnistctl.nn.schedules import SCHEDULES

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


def list_settings(recipe: Recipe) -> dict[str, Setting]:
    """All settings of `recipe`, by key, in the order in which they are listed."""
    return {setting.key: setting for setting in _settings(recipe)}


def _settings(recipe: Recipe) -> Iterator[Setting]:
    for key, field in _FIELDS.items():
        yield make_setting(key, getattr(recipe, field))
    schedule: Any = recipe.lr_schedule
    kind = type(schedule) if is_dataclass(schedule) else schedule
    yield Setting("schedule", _name_of(kind, SCHEDULES), choices=tuple(SCHEDULES))
    for each in fields(schedule) if is_dataclass(schedule) else ():
        if is_value(value := getattr(schedule, each.name)):
            yield make_setting(f"schedule.{each.name}", value, known=is_known(kind, "torch.optim"))
    optimizer = recipe.optimizer.func if isinstance(recipe.optimizer, partial) else recipe.optimizer
    yield Setting("optimizer", _name_of(optimizer, OPTIMIZERS), choices=tuple(OPTIMIZERS))
    for setting in _arguments("optimizer", recipe.optimizer, _TECHNICAL):
        # torch writes some of its numbers, as a momentum of 0, without a point.
        whole = is_known(optimizer, "torch.optim") and type(setting.value) is int
        yield replace(setting, value=float(setting.value)) if whole else setting  # type: ignore[arg-type]
    classifier = isinstance(recipe, ClassifierRecipe)
    for key in _CLASSIFIER_FIELDS if classifier else _GAN_FIELDS:
        if not (key == "label_smoothing" and getattr(recipe, "loss", None) is not None):
            yield make_setting(key, getattr(recipe, key))
    if isinstance(recipe, ClassifierRecipe):
        yield from _amounts(recipe.augment)
    for net in _CLASSIFIER_NETS if classifier else _GAN_NETS:
        yield from _arguments(net, getattr(recipe, net), frozenset())


def _amounts(augmentation: Augmentation) -> Iterator[Setting]:
    for each in fields(augmentation):
        yield make_setting(f"{_AUGMENT}.{each.name}", getattr(augmentation, each.name))


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
        if name not in leave_out and not positional_only and is_value(parameter.default):
            yield make_setting(f"{prefix}.{name}", parameter.default, known=is_known(function, "torch.optim"))


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

    An optimizer or a schedule that is named has its own default values for what is not set. An optimizer has
    its default learning rate, too.

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
