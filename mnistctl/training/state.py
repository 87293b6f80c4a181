"""The state of an optimizer as named tensors, and back."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mnistctl.artifacts.checkpoint import flatten_state
from mnistctl.nn.optim import optimizer_step, without_dynamo


@without_dynamo()
def optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """The optimizer's tensors, each named by its parameter's index and its own name: `0.exp_avg`.

    They share memory with the optimizer. There are none before its first step.
    """
    state = optimizer.state_dict()["state"]
    return flatten_state(**{str(index): tensors for index, tensors in state.items()})


@without_dynamo()
def restore_optimizer_state(
    optimizer: Optimizer,
    make_optimizer: Callable[[Iterable[Tensor]], Optimizer],
    params: list[nn.Parameter],
    state: Mapping[str, Tensor],
    *,
    stepped: bool,
) -> None:
    """Put the tensors that `optimizer_state` returned back into an optimizer.

    Fused kernels trust the types, shapes and memory formats of these tensors, so all are checked.

    Args:
        optimizer: the optimizer to fill.
        make_optimizer: makes an optimizer of the same kind and settings.
        params: the optimizer's parameters, in order.
        state: the named tensors.
        stepped: whether the optimizer had taken a step.

    Raises:
        KeyError: a tensor is missing, unknown, or of another type or shape.
    """
    # A step on a single number shows which tensors this kind of optimizer keeps.
    number = nn.Parameter(torch.zeros(1))
    number.grad = torch.zeros(1)
    probe = make_optimizer([number])
    if stepped:
        optimizer_step(probe)
    expected = probe.state_dict()["state"].get(0, {})

    unused = dict(state)
    restored: dict[int, dict[str, Tensor]] = {}
    for index, param in enumerate(params):
        for name, example in expected.items():
            tensor = unused.pop(f"{index}.{name}", torch.empty(0, 0))
            shape = param.shape if example.dim() else ()  # a tensor per weight, or a counter
            if tensor.dtype != example.dtype or tensor.shape != shape:
                raise KeyError(f"the optimizer's {index}.{name}")
            # In the parameter's own memory format, which a file does not keep and a fused kernel assumes.
            like = param if example.dim() else tensor
            copy = torch.empty_like(like, dtype=tensor.dtype, device="cpu").copy_(tensor)
            restored.setdefault(index, {})[name] = copy
    if unused:
        raise KeyError(f"the optimizer's {min(unused)}")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": restored, "param_groups": groups})
