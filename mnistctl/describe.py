"""A net and its recipe as plain values, for tables and records."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mnistctl.supervised import Recipe


@dataclass(frozen=True)
class Layer:
    """One module that computes: its place in the net, its printed form, what it gives for one digit."""

    name: str
    layer: str
    output: tuple[int, ...]
    parameters: int


def layers(net: nn.Module) -> list[Layer]:
    """The layers of `net` in the order in which a digit passes them."""
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
        net(torch.zeros(1, 1, 28, 28))
    for hook in hooks:
        hook.remove()
    return passed


def recipe(told: Recipe) -> dict[str, Any]:
    """The recipe as JSON can hold it; the rates in full, since they are what the schedule comes to."""
    optimizer = told.optimizer(nn.Linear(1, 1).parameters())
    defaults = {k: v for k, v in optimizer.defaults.items() if isinstance(v, int | float | tuple)} | {
        "lr": told.peak
    }
    return {
        "epochs": told.epochs,
        "batch": told.batch,
        "rates": list(told.schedule()),
        "optimizer": type(optimizer).__name__,
        "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in sorted(defaults.items())},
        "smoothing": told.smoothing,
        "shuffle": told.shuffle,
        "averaged": told.averaged,
    }
