"""Make and step optimizers at little cost."""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor
from torch.optim import Optimizer

_GUARDED = Optimizer.add_param_group, Optimizer.state_dict, Optimizer.load_state_dict


@contextmanager
def without_dynamo() -> Iterator[None]:
    """Let torch make, read and fill optimizers without loading its compiler, which nothing here uses.

    Its guard on these functions, which tells the compiler to leave them alone, loads it for that: a second,
    a third of what it takes to start a short run (`python -X importtime`). It asks this attribute first.
    """
    if "torch._dynamo" in sys.modules:
        yield
        return
    functions = [_unwrapped(guarded) for guarded in _GUARDED]
    for function in functions:
        vars(function)["__dynamo_disable"] = function
    try:
        yield
    finally:
        for function in functions:
            vars(function).pop("__dynamo_disable", None)


@without_dynamo()
def make_optimizer(make: Callable[[Iterable[Tensor]], Optimizer], weights: Iterable[Tensor]) -> Optimizer:
    """What `make` makes for the weights, told to take its step in one kernel where torch has one."""
    made = make(weights)
    for group in made.param_groups:
        if "fused" in group and group.get("momentum") != 0:  # a plain subtraction is one kernel already
            group["fused"] = True
    return made


def optimizer_step(optimizer: Optimizer) -> None:
    """Take the optimizer's own step, without what torch wraps around it for profilers, hooks and compilers.

    These wrappers take a sixth of a small net's step (bench/speed.py); nothing here hooks into them.
    """
    with torch.no_grad():
        _unwrapped(type(optimizer).step)(optimizer)


@cache
def _unwrapped(wrapped: Callable[..., object]) -> Callable[..., object]:
    function: Callable[..., object] = inspect.unwrap(wrapped)
    return function
