"""Creating and stepping optimizers with little overhead."""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from mnistctl.nn.known import is_known
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
    methods = [_unwrapped(method) for method in _DYNAMO_METHODS]
    functions = [each for each in methods if "__dynamo_disable" not in vars(each)]  # none in an inner block
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
        params: the parameters to optimize; `create` gets them as a list.
    """
    optimizer = create(list(params))
    for group in optimizer.param_groups:
        # SGD without momentum is one kernel anyway. Fused kernels do not take complex numbers.
        fusible = group.get("momentum") != 0 and all(map(torch.is_floating_point, group["params"]))
        # Adagrad has its state by now, with the number of steps on the CPU: no kernel of a GPU takes that.
        fusible = fusible and (not optimizer.state or all(p.device.type == "cpu" for p in group["params"]))
        if "fused" in group and fusible:
            group["fused"] = True
    return optimizer


def optimizer_step(optimizer: Optimizer) -> None:
    """Take a step, without torch's wrappers for profilers, hooks and the compiler where none is used.

    The wrappers take a sixth of the time of a small net's step (bench/speed.py).
    """
    with torch.no_grad():
        if has_known_step(optimizer):
            _unwrapped(type(optimizer).step)(optimizer)
        else:
            optimizer.step()


def has_known_step(optimizer: Optimizer) -> bool:
    """Whether a step is that of a class of torch or mnistctl, without hooks or a replaced `step`."""
    return not (
        "step" in vars(optimizer)
        or optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        or _global_optimizer_pre_hooks
        or _global_optimizer_post_hooks
    ) and is_known(type(optimizer), "torch.optim")


@cache
def _unwrapped(wrapped: Callable[..., object]) -> Callable[..., object]:
    function: Callable[..., object] = inspect.unwrap(wrapped)
    return function
