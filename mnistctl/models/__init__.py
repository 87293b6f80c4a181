"""The catalogue: each model's name and sentence, torch-free; `load` brings in the model's page."""

import difflib
from importlib import import_module
from typing import TYPE_CHECKING

from mnistctl.errors import UsageError

if TYPE_CHECKING:
    from mnistctl.supervised import Recipe

CLASSIFIERS = {
    "logit": "One linear layer: logistic regression on 784 pixels, 92.4 % published.",
    "linear": "Two linear layers with a relu between, 98.55 % published.",
    "conv": "Two convolutions and two linear layers, trained with LAMB, 99.585 % published.",
    "swa": "The net of conv, its last epochs' weights averaged, 99.592 % published.",
    "simple": "SimpNet, thirteen convolutions with batch norm, 99.691 % published.",
    "wsimple": "SimpNet, its last epochs' weights averaged, 99.68 % published.",
    "lstm": "Two recurrent layers that read the rows from top to bottom, 99.32 % published.",
}


def known(name: str) -> None:
    """See that a classifier is called `name`.

    Raises:
        UsageError: none is; the nearest name is told.
    """
    if name not in CLASSIFIERS:
        near = difflib.get_close_matches(name, CLASSIFIERS, 1)
        hint = f"; did you mean {near[0]}?" if near else ";"
        raise UsageError(f"no model is called {name!r}{hint} there are {', '.join(CLASSIFIERS)}")


def load(name: str) -> "Recipe":
    """The recipe of the classifier `name`.

    Raises:
        UsageError: no such model.
    """
    known(name)
    recipe: Recipe = import_module(f"mnistctl.models.{name}").recipe
    return recipe
