"""The catalogue: each model's name and sentence, torch-free; `load` brings in the model's page."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from mnistctl.errors import UsageError, near

if TYPE_CHECKING:
    from mnistctl.adversarial import Recipe as Generator
    from mnistctl.supervised import Recipe as Classifier

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


def known(name: str, among: Mapping[str, str] = CLASSIFIERS | GENERATORS) -> None:
    """See that a model of those `among` is called `name`.

    Raises:
        UsageError: none is; the nearest name is told.
    """
    if name in among:
        return
    if name in CLASSIFIERS | GENERATORS:
        raise UsageError(other(name))
    hint = near(name, among)
    raise UsageError(f"no model is called {name!r}{hint} there are {', '.join(among)}")


def other(name: str) -> str:
    """Why the model `name` is of no use where one of the other catalogue is needed."""
    if name in GENERATORS:
        return f"{name} draws digits and reads none; classifiers are {', '.join(CLASSIFIERS)}"
    return f"{name} reads digits and draws none; generators are {', '.join(GENERATORS)}"


def load(name: str) -> "Classifier | Generator":
    """The recipe of the model `name`.

    Raises:
        UsageError: no such model.
    """
    known(name)
    recipe: Classifier | Generator = import_module(f"mnistctl.models.{name}").recipe
    return recipe


def classifier(name: str) -> "Classifier":
    """The recipe of the classifier `name`.

    Raises:
        UsageError: no such model, or a generator.
    """
    known(name, CLASSIFIERS)
    recipe: Classifier = import_module(f"mnistctl.models.{name}").recipe
    return recipe


def generator(name: str) -> "Generator":
    """The recipe of the generator `name`.

    Raises:
        UsageError: no such model, or a classifier.
    """
    known(name, GENERATORS)
    recipe: Generator = import_module(f"mnistctl.models.{name}").recipe
    return recipe
