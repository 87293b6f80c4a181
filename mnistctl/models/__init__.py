"""The catalogue: each model's name and sentence, torch-free; `load` brings in the model's page."""

from importlib import import_module
from typing import TYPE_CHECKING

from mnistctl.errors import UsageError

if TYPE_CHECKING:
    from mnistctl.supervised import Recipe

CLASSIFIERS = {
    "logit": "One linear layer: logistic regression on 784 pixels, 92.4 % published.",
    "linear": "Two linear layers with a relu between, 98.55 % published.",
    "conv": "Two convolutions and two linear layers, trained with LAMB, 99.585 % published.",
}


def load(name: str) -> "Recipe":
    """The recipe of the classifier `name`.

    Raises:
        UsageError: no such model.
    """
    if name not in CLASSIFIERS:
        raise UsageError(f"no model is called {name!r}; there are {', '.join(CLASSIFIERS)}")
    recipe: Recipe = import_module(f"mnistctl.models.{name}").recipe
    return recipe
