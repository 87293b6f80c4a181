"""A net and its recipe as plain values, for tables and records."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mnistctl import adversarial, compute, models, supervised, tally


@dataclass(frozen=True)
class Layer:
    """One module that computes: its place in the net, its printed form, what it gives for one digit."""

    name: str
    layer: str
    output: tuple[int, ...]
    parameters: int


def catalogue() -> list[dict[str, Any]]:
    """Every model with the size of its nets, its recipe in a few figures, and the accuracies published of it.

    `parameters` has the number of each net, a generator's own first; `published` is None of a generator, else
    `accuracy` (percent, the mean over `runs`) and whose it is.
    """
    return [_entry(name, sentence) for name, sentence in (models.CLASSIFIERS | models.GENERATORS).items()]


def _entry(name: str, sentence: str) -> dict[str, Any]:
    told = models.load(name)
    body = recipe(told)
    kept = {key: body[key] for key in ("epochs", "batch", "optimizer")}
    made = [told.net] if isinstance(told, supervised.Recipe) else [told.generator, told.discriminator]
    counts = [sum(p.numel() for p in net().parameters()) for net in made]
    about = {"model": name, "sentence": sentence, "parameters": counts, **kept, "rate": told.peak}
    return about | {"published": _published(name)}


def _published(name: str) -> dict[str, Any] | None:
    by = "ktorch"
    accuracies = tally.published(by)["models"].get(name, {}).get("accuracies")
    if not accuracies:  # of a generator, or of a model that was added here
        return None
    return {"by": by, "accuracy": sum(accuracies) / len(accuracies), "runs": len(accuracies)}


def nets(told: supervised.Recipe | adversarial.Recipe) -> dict[str, list[Layer]]:
    """The layers of each net of a recipe, under the net's name; a classifier's net has none."""
    pixels = torch.zeros(1, 1, 28, 28)
    if isinstance(told, supervised.Recipe):
        return {"": layers(told.net(), pixels)}
    digits = told.given(torch.zeros(1, dtype=torch.int64))
    return {
        "generator": layers(told.generator(), torch.zeros(1, adversarial.NOISE, 1, 1), *digits),
        "discriminator": layers(told.discriminator(), pixels, *digits),
    }


def layers(net: nn.Module, *inputs: Tensor) -> list[Layer]:
    """The layers of `net` in the order in which its inputs, of one digit, pass them."""
    passed: list[Layer] = []

    def passes(name: str, module: nn.Module) -> None:
        def hook(module: nn.Module, _: object, outputs: Any) -> None:
            given: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
            parameters = sum(p.numel() for p in module.parameters())
            passed.append(Layer(name, str(module), tuple(given.shape[1:]), parameters))

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


def recipe(told: supervised.Recipe | adversarial.Recipe) -> dict[str, Any]:
    """The recipe as JSON can hold it; the rates in full, since they are what the schedule comes to."""
    optimizer = compute.optimizer(told.optimizer, nn.Linear(1, 1).parameters())
    defaults = {k: v for k, v in optimizer.defaults.items() if isinstance(v, int | float | tuple)} | {
        "lr": told.peak
    }
    body = {
        "epochs": told.epochs,
        "batch": told.batch,
        "rates": list(told.schedule()),
        "optimizer": type(optimizer).__name__,
        "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in sorted(defaults.items())},
    }
    if isinstance(told, adversarial.Recipe):
        return body | {"conditional": told.conditional, "targets": list(adversarial.REAL)}
    return body | {"smoothing": told.smoothing, "shuffle": told.shuffle, "averaged": told.averaged}
