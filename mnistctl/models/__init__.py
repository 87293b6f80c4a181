"""Registry of models: names and descriptions. Only the functions that load a recipe import torch."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from mnistctl.errors import UsageError, suggest

if TYPE_CHECKING:
    from mnistctl.models.recipe import ClassifierRecipe, GanRecipe, Recipe


CLASSIFIERS = {
    "logit": "One linear layer: logistic regression on 784 pixels.",
    "linear": "Two linear layers with a relu between them.",
    "conv": "Two convolutions and two linear layers, trained with LAMB.",
    "swa": "The net of conv, with the weights of the last epochs averaged.",
    "simple": "SimpNet: thirteen convolutions with batch norm.",
    "wsimple": "SimpNet, with the weights of the last epochs averaged.",
    "lstm": "Two LSTM layers that read the image row by row.",
    "fast": "Two convolutions with batch norm, trained for one epoch.",
    "best": "Four convolutions with batch norm, trained with augmentation.",
}
GENERATORS = {
    "gan": "A generator of digits and a discriminator, trained against each other.",
    "cgan": "The nets of gan, with the digit as a second input.",
}


def check_name(name: str, among: Mapping[str, str] = CLASSIFIERS | GENERATORS) -> None:
    """Check that `name` is one of the models `among`.

    Raises:
        UsageError: it is not; the message suggests the closest name.
    """
    if name in among:
        return
    if name in CLASSIFIERS | GENERATORS:
        raise UsageError(describe_kind(name, generator=name in GENERATORS))
    raise unknown_model_error(name, among)


def unknown_model_error(name: str, among: Iterable[str]) -> UsageError:
    """The error for a name that is not that of a model; it suggests the closest name `among` those."""
    hint = suggest(name, among)
    return UsageError(f"no model is called {name!r}{hint} choose one of {', '.join(among)}")


def describe_kind(name: str, *, generator: bool) -> str:
    """The message for a generator where a classifier is needed, or the other way round.

    Args:
        name: the model's name.
        generator: whether it is a generator.
    """
    if generator:
        return f"{name} is a generator; classifiers are {', '.join(CLASSIFIERS)}"
    return f"{name} is a classifier; generators are {', '.join(GENERATORS)}"


def load(name: str) -> "Recipe":
    """The recipe of the model `name`.

    Raises:
        UsageError: no model has this name.
    """
    check_name(name)
    recipe: Recipe = import_module(f"mnistctl.models.{name}").recipe
    return recipe


def load_classifier(name: str) -> "ClassifierRecipe":
    """The recipe of the classifier `name`.

    Raises:
        UsageError: no classifier has this name.
    """
    check_name(name, CLASSIFIERS)
    recipe: ClassifierRecipe = import_module(f"mnistctl.models.{name}").recipe
    return recipe


def load_generator(name: str) -> "GanRecipe":
    """The recipe of the generator `name`.

    Raises:
        UsageError: no generator has this name.
    """
    check_name(name, GENERATORS)
    recipe: GanRecipe = import_module(f"mnistctl.models.{name}").recipe
    return recipe
