"""The catalogue: each model's name and sentence, torch-free; `load` brings in the model's page."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from mnistctl.errors import UsageError, suggest

if TYPE_CHECKING:
    from mnistctl.models.recipe import ClassifierRecipe, GanRecipe


CLASSIFIERS = {
    "logit": "One linear layer: logistic regression on 784 pixels.",
    "linear": "Two linear layers with a relu between.",
    "conv": "Two convolutions and two linear layers, trained with LAMB.",
    "swa": "The net of conv, its last epochs' weights averaged.",
    "simple": "SimpNet, thirteen convolutions with batch norm.",
    "wsimple": "SimpNet, its last epochs' weights averaged.",
    "lstm": "Two recurrent layers that read the rows from top to bottom.",
}
GENERATORS = {
    "gan": "Two nets that train each other, one to draw digits, one to tell them from real ones.",
    "cgan": "The nets of gan, both told which digit is meant.",
}


def check_name(name: str, among: Mapping[str, str] = CLASSIFIERS | GENERATORS) -> None:
    """See that a model of those `among` is called `name`.

    Raises:
        UsageError: none is; the nearest name is told.
    """
    if name in among:
        return
    if name in CLASSIFIERS | GENERATORS:
        raise UsageError(wrong_kind_error(name))
    hint = suggest(name, among)
    raise UsageError(f"no model is called {name!r}{hint} choose one of {', '.join(among)}")


def wrong_kind_error(name: str) -> str:
    """Why the model `name` is of no use where one of the other catalogue is needed."""
    if name in GENERATORS:
        return f"{name} draws digits and reads none; classifiers are {', '.join(CLASSIFIERS)}"
    return f"{name} reads digits and draws none; generators are {', '.join(GENERATORS)}"


def load(name: str) -> "ClassifierRecipe | GanRecipe":
    """The recipe of the model `name`.

    Raises:
        UsageError: no such model.
    """
    check_name(name)
    recipe: ClassifierRecipe | GanRecipe = import_module(f"mnistctl.models.{name}").recipe
    return recipe


def load_classifier(name: str) -> "ClassifierRecipe":
    """The recipe of the classifier `name`.

    Raises:
        UsageError: no such model, or a generator.
    """
    check_name(name, CLASSIFIERS)
    recipe: ClassifierRecipe = import_module(f"mnistctl.models.{name}").recipe
    return recipe


def load_generator(name: str) -> "GanRecipe":
    """The recipe of the generator `name`.

    Raises:
        UsageError: no such model, or a classifier.
    """
    check_name(name, GENERATORS)
    recipe: GanRecipe = import_module(f"mnistctl.models.{name}").recipe
    return recipe
