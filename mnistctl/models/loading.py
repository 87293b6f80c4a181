"""Load a recipe from this package, an installed package, or a file."""

import hashlib
import linecache
import sys
from functools import lru_cache
from importlib import metadata
from types import ModuleType
from typing import Any

from mnistctl import models
from mnistctl.models.checks import check_recipe
from mnistctl.models.recipe import ClassifierRecipe, GanRecipe, Recipe
from mnistctl.models.reporting import reporting_errors
from mnistctl.models.settings import apply_settings
from mnistctl.models.sources import ENTRY_POINTS, Model, RecipeError

_MODULE_PREFIX = "mnistctl_recipe_"  # of the names of the modules that recipe files become


def load_recipe(model: Model) -> Recipe:
    """The recipe of `model`, with its settings. Its file is executed, or its package imported, once.

    Raises:
        RecipeError: the file or the recipe in it is wrong.
        UsageError: a setting does not exist or has a wrong value.
    """
    recipe = models.load(model.base) if model.kind == "shipped" else _load_checked(model)
    if not model.settings:
        return recipe
    recipe = apply_settings(recipe, model.settings)
    check_recipe(recipe, model.source)
    return recipe


def _load_checked(model: Model) -> Recipe:
    text = model.package if model.text is None else model.text
    return _load_once(model.kind, model.base, text or "", model.source)


@lru_cache(maxsize=64)
def _load_once(kind: str, base: str, text: str, source: str) -> Recipe:
    """The checked recipe of a file with this text, or of the package `text`."""
    with reporting_errors(source, anywhere=True):
        if kind == "file":
            recipe = _execute(text, source)
        else:
            (entry, *_) = metadata.entry_points(group=ENTRY_POINTS, name=base)
            recipe = entry.load()
    if isinstance(recipe, ModuleType):
        recipe = getattr(recipe, "recipe", None)
    if recipe is None:
        raise RecipeError(f"{source}: defines no `recipe`")
    if not isinstance(recipe, ClassifierRecipe | GanRecipe):
        what = f"the class {recipe.__name__}" if isinstance(recipe, type) else f"a {type(recipe).__name__}"
        raise RecipeError(f"{source}: `recipe` is {what}, not a ClassifierRecipe or a GanRecipe")
    check_recipe(recipe, source)
    return recipe


def _execute(text: str, filename: str) -> Any:
    """What the text of a recipe file defines as `recipe`; None if it does not define it."""
    # In sys.modules, as dataclasses and pickle expect it; the folder of the file is not put on the path.
    name = _MODULE_PREFIX + hashlib.sha256(f"{filename}\n{text}".encode()).hexdigest()[:16]
    module = ModuleType(name)
    module.__file__ = filename
    sys.modules[name] = module
    code = text.removeprefix("\ufeff")  # the byte order mark of some editors, which Python accepts in files
    # A worker on another machine has the text, but not the file.
    linecache.cache[filename] = (len(code), None, code.splitlines(keepends=True), filename)
    exec(compile(code, filename, "exec"), vars(module))
    return vars(module).get("recipe")
