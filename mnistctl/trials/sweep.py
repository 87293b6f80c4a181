"""Sweeps: trials of every combination of the values of some settings, beside the unchanged recipe."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from mnistctl.errors import UsageError
from mnistctl.models.sources import Model
from mnistctl.models.values import SettingValue, format_value
from mnistctl.schema import Schema

MAX_ARMS = 1000


@dataclass(frozen=True, kw_only=True)
class Sweep(Schema):
    """The arms of a sweep. Each is a model, whose settings are those of one combination.

    Args:
        values: the values of each setting that is varied, by its key.
        arms: by the name of each arm's model, its value of each of these settings; None for a setting that
            it does not have. The unchanged recipe is the first one.
    """

    values: dict[str, tuple[SettingValue, ...]]
    arms: dict[str, dict[str, SettingValue]]

    def __post_init__(self) -> None:
        if len(self.arms) < 2:
            raise ValueError("arms: fewer than two")
        if any(values.keys() != self.values.keys() for values in self.arms.values()):
            raise ValueError("arms: not with the settings that are varied")

    @property
    def baseline(self) -> str:
        """The name of the unchanged recipe's model."""
        return next(iter(self.arms))

    def label(self, model: str) -> str:
        """What tables call an arm: the model's name for the unchanged recipe, else the values."""
        if model == self.baseline:
            return model
        values = self.arms[model].items()
        return ", ".join(f"{key.rpartition('.')[2]}={format_value(value)}" for key, value in values)

    def assignments(self) -> list[str]:
        """The values of each setting as they are typed: `batch_size=500,1000`."""
        return [f"{key}={join_values(values)}" for key, values in self.values.items()]


def join_values(values: tuple[SettingValue, ...]) -> str:
    """Values as they are typed, with commas between them, or with semicolons where they have commas."""
    texts = [format_value(value) for value in values]
    return (";" if any(isinstance(value, tuple) for value in values) else ",").join(texts)


def plan_sweep(model: Model, texts: Mapping[str, str]) -> tuple[tuple[Model, ...], Sweep]:
    """The models of all arms of a sweep, the unchanged one first, and the sweep.

    A combination that equals the unchanged recipe is no arm of its own.

    Args:
        model: the model with the settings of the unchanged recipe.
        texts: for each setting that is varied, its values with commas between them. Values that are
            several numbers have semicolons between them.

    Raises:
        UsageError: a setting does not exist, has a wrong value or has one twice, or there are too many arms
            or only one.
        RecipeError: the recipe file is wrong.
    """
    from mnistctl.models.settings import find_changes, list_settings, override, parse_settings

    with model.reporting_errors():
        plain, recipe = model.with_settings({}).load(), model.load()
        unchanged = find_changes(plain, model.settings)
        known = list_settings(recipe)
        typed = {key: _split(text, known[key].value if key in known else None) for key, text in texts.items()}
        if (count := math.prod(map(len, typed.values()))) > MAX_ARMS:
            message = f"{count:,} combinations are too many; give at most {MAX_ARMS:,}"
            raise UsageError(message, field="vary", value=" ".join(texts)[:80])
        values: dict[str, dict[str, SettingValue]] = {key: {} for key in typed}
        baseline = {key: known[key].value if key in known else None for key in typed}
        models = {model.with_settings(unchanged).name: model.with_settings(unchanged)}
        arms = {next(iter(models)): baseline}
        for combination in product(*typed.values()):
            chosen = dict(zip(typed, combination, strict=True))
            try:
                parsed = parse_settings(recipe, chosen)
                variant = model.with_settings(find_changes(plain, override(unchanged, parsed)))
            except UsageError as error:
                raise UsageError(
                    error.message, field="vary", value=error.value, remedies=error.remedies
                ) from None
            for key, text in chosen.items():
                values[key][text] = parsed[key]
            if variant.name not in models:
                models[variant.name] = variant
                arms[variant.name] = parsed
    for key, parsed_values in values.items():
        distinct = set(map(format_value, parsed_values.values()))
        if len(distinct) < len(typed[key]):
            raise UsageError("a value is given twice", field="vary", value=f"{key}={texts[key]}"[:80])
    if len(models) < 2:
        message = f"{model.name} has these values already, so that nothing is varied"
        raise UsageError(message, field="vary", value=" ".join(f"{k}={v}" for k, v in texts.items())[:80])
    plan = Sweep(values={key: tuple(by_text.values()) for key, by_text in values.items()}, arms=arms)
    return tuple(models.values()), plan


def _split(text: str, current: SettingValue) -> list[str]:
    """The values in a text; `current` is the setting's value in the recipe."""
    if ";" in text or isinstance(current, tuple):
        return text.split(";")
    return text.split(",")
