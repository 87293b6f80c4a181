"""A net and its recipe as plain values, for tables and records."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mnistctl import models
from mnistctl.models.published import load_published
from mnistctl.models.recipe import NOISE_SIZE, REAL_TARGETS, ClassifierRecipe, GanRecipe
from mnistctl.nn.optim import make_optimizer
from mnistctl.schema import Schema


@dataclass(frozen=True)
class LayerSummary:
    """One module that computes: its place in the net, its printed form, what it gives for one digit."""

    name: str
    layer: str
    output: tuple[int, ...]
    parameters: int


def list_models() -> list[dict[str, Any]]:
    """Every model with the size of its nets, its recipe in a few figures, and the accuracies published of it.

    `parameters` has the number of each net, a generator's own first; `published` is None of a generator, else
    `accuracy` (percent, the mean over `runs`) and whose it is.
    """
    return [_entry(name, sentence) for name, sentence in (models.CLASSIFIERS | models.GENERATORS).items()]


def _entry(name: str, sentence: str) -> dict[str, Any]:
    told = models.load(name)
    body = recipe_to_json(told)
    kept = {key: body[key] for key in ("epochs", "batch", "optimizer")}
    made = [told.net] if isinstance(told, ClassifierRecipe) else [told.generator, told.discriminator]
    counts = [sum(p.numel() for p in net().parameters()) for net in made]
    about = {"model": name, "sentence": sentence, "parameters": counts, **kept, "rate": told.peak_lr}
    return about | {"published": _published(name)}


def _published(name: str) -> dict[str, Any] | None:
    by = "ktorch"
    accuracies = load_published(by)["models"].get(name, {}).get("accuracies")
    if not accuracies:  # of a generator, or of a model that was added here
        return None
    return {"by": by, "accuracy": sum(accuracies) / len(accuracies), "runs": len(accuracies)}


def summarize_nets(told: ClassifierRecipe | GanRecipe) -> dict[str, list[LayerSummary]]:
    """The layers of each net of a recipe, under the net's name; a classifier's net has none."""
    pixels = torch.zeros(1, 1, 28, 28)
    if isinstance(told, ClassifierRecipe):
        return {"": summarize_layers(told.net(), pixels)}
    digits = told.condition(torch.zeros(1, dtype=torch.int64))
    return {
        "generator": summarize_layers(told.generator(), torch.zeros(1, NOISE_SIZE, 1, 1), *digits),
        "discriminator": summarize_layers(told.discriminator(), pixels, *digits),
    }


def summarize_layers(net: nn.Module, *inputs: Tensor) -> list[LayerSummary]:
    """The layers of `net` in the order in which its inputs, of one digit, pass them."""
    passed: list[LayerSummary] = []

    def passes(name: str, module: nn.Module) -> None:
        def hook(module: nn.Module, _: object, outputs: Any) -> None:
            given: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
            parameters = sum(p.numel() for p in module.parameters())
            passed.append(LayerSummary(name, str(module), tuple(given.shape[1:]), parameters))

        hooks.append(module.register_forward_hook(hook))

    hooks: list[Any] = []
    for name, module in net.named_modules():
        if not list(module.children()):
            passes(name, module)
    net.eval()
    with torch.inference_mode():
        net(*inputs)
    for hook in hooks:
        hook.remove()
    return passed


@dataclass(frozen=True, kw_only=True)
class RecipeSummary(Schema):
    """A recipe as records hold it: what can be written as plain values.

    Args:
        epochs: number of epochs.
        batch_size: digits per optimizer step.
        lr_schedule: the learning rate of each epoch.
        optimizer: name of the optimizer's class.
        settings: the optimizer's settings, the peak learning rate as `lr`.
        label_smoothing, shuffle, swa_epochs: of a classifier's recipe, see `ClassifierRecipe`.
        conditional, real_targets: of a GAN's recipe, see `GanRecipe`.
    """

    epochs: int
    batch_size: int
    lr_schedule: tuple[float, ...]
    optimizer: str
    settings: dict[str, bool | int | float | tuple[float, ...]]
    label_smoothing: float | None = None
    shuffle: bool | None = None
    swa_epochs: int | None = None
    conditional: bool | None = None
    real_targets: tuple[float, float] | None = None

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the keys of this version; those of records before version 3 differ."""
        return {_OLD_KEYS.get(key, key): item for key, item in value.items()}


_OLD_KEYS = {
    "batch": "batch_size",
    "rates": "lr_schedule",
    "smoothing": "label_smoothing",
    "averaged": "swa_epochs",
    "targets": "real_targets",
}


def summarize_recipe(recipe: ClassifierRecipe | GanRecipe) -> RecipeSummary:
    """The recipe as plain values."""
    optimizer = make_optimizer(recipe.optimizer, nn.Linear(1, 1).parameters())
    settings = {k: v for k, v in optimizer.defaults.items() if isinstance(v, int | float | tuple)}
    shared: dict[str, Any] = {
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "lr_schedule": recipe.learning_rates(),
        "optimizer": type(optimizer).__name__,
        "settings": dict(sorted((settings | {"lr": recipe.peak_lr}).items())),
    }
    if isinstance(recipe, GanRecipe):
        return RecipeSummary(**shared, conditional=recipe.conditional, real_targets=REAL_TARGETS)
    return RecipeSummary(
        **shared,
        label_smoothing=recipe.label_smoothing,
        shuffle=recipe.shuffle,
        swa_epochs=recipe.swa_epochs,
    )


def recipe_to_json(told: ClassifierRecipe | GanRecipe) -> dict[str, Any]:
    """The recipe as JSON can hold it; the rates in full, since they are what the schedule comes to."""
    optimizer = make_optimizer(told.optimizer, nn.Linear(1, 1).parameters())
    defaults = {k: v for k, v in optimizer.defaults.items() if isinstance(v, int | float | tuple)} | {
        "lr": told.peak_lr
    }
    body = {
        "epochs": told.epochs,
        "batch": told.batch_size,
        "rates": list(told.learning_rates()),
        "optimizer": type(optimizer).__name__,
        "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in sorted(defaults.items())},
    }
    if isinstance(told, GanRecipe):
        return body | {"conditional": told.conditional, "targets": list(REAL_TARGETS)}
    return body | {
        "smoothing": told.label_smoothing,
        "shuffle": told.shuffle,
        "averaged": told.swa_epochs,
    }
