"""Creating and stepping optimizers with little overhead."""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop

from mnistctl.nn.lamb import LAMB

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
    "lamb": LAMB,
    "nadam": NAdam,
    "radam": RAdam,
    "rmsprop": RMSprop,
    "sgd": SGD,
}

_DYNAMO_METHODS = Optimizer.add_param_group, Optimizer.state_dict, Optimizer.load_state_dict


@contextmanager
def without_dynamo() -> Iterator[None]:
    """Let torch create, save and load optimizers without importing its compiler.

    torch excludes these methods from compilation, and imports the compiler to do so. That takes about a
    second, a third of a short run (`python -X importtime`). It first checks the attribute set here.
    """
    if "torch._dynamo" in sys.modules:
        yield
        return
    functions = [_unwrapped(method) for method in _DYNAMO_METHODS]
    for function in functions:
        vars(function)["__dynamo_disable"] = function
    try:
        yield
    finally:
        for function in functions:
            vars(function).pop("__dynamo_disable", None)


@without_dynamo()
def make_optimizer(create: Callable[[Iterable[Tensor]], Optimizer], params: Iterable[Tensor]) -> Optimizer:
    """Create an optimizer, with a fused step where torch has one.

    Args:
        create: creates it, as a recipe's `optimizer`.
        params: the parameters to optimize.
    """
    optimizer = create(params)
    for group in optimizer.param_groups:
        if "fused" in group and group.get("momentum") != 0:  # SGD without momentum is one kernel anyway
            group["fused"] = True
    return optimizer


def optimizer_step(optimizer: Optimizer) -> None:
    """Call the optimizer's `step` without torch's wrappers for profilers, hooks and the compiler.

    The wrappers take a sixth of the time of a small net's step (bench/speed.py), and are not used here.
    """
    with torch.no_grad():
        _unwrapped(type(optimizer).step)(optimizer)


@cache
def _unwrapped(wrapped: Callable[..., object]) -> Callable[..., object]:
    function: Callable[..., object] = inspect.unwrap(wrapped)
    return function
