"""The state of a net and its optimizer as named tensors, and back."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mnistctl.errors import CheckpointError, UsageError
from mnistctl.nn.optim import has_known_step, make_optimizer, optimizer_step, without_dynamo

_State = dict[int, dict[str, Any]]  # of an optimizer: by parameter, what it keeps under each name
_UNUSED = "unused"  # name of an empty tensor: the optimizer keeps nothing of this parameter
_SET = ("params", "lr")  # of a parameter group: what the training loop sets


def set_initial_weights(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Start a training from trained weights.

    Raises:
        CheckpointError: they do not fit the net.
    """
    try:
        net.load_state_dict(weights)
    except RuntimeError:
        message = "the initial weights do not fit the net: names or shapes differ"
        raise CheckpointError(message, field="init") from None


def has_finite_values(net: nn.Module) -> bool:
    """Whether all weights and saved buffers are finite, and the norm of each weight tensor.

    A checkpoint with other numbers would not be read again.
    """
    norms = torch._foreach_norm([p for p in net.parameters() if p.is_floating_point() or p.is_complex()])
    saved = net.state_dict().values()
    return bool(torch.stack(norms).isfinite().all()) and all(bool(each.isfinite().all()) for each in saved)


@without_dynamo()
def optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """The optimizer's tensors, each named by its parameter's index and its own name: `0.exp_avg`.

    They share memory with the optimizer. There are none before its first step. Numbers that an optimizer
    keeps become tensors without dimensions. An optimizer whose steps are not torch's own may also change what
    stands in its parameter groups: these are named `group.0.weight_decay`.

    Raises:
        UsageError: the optimizer keeps something else.
    """
    state = optimizer.state_dict()["state"]
    params = sum(len(group["params"]) for group in optimizer.param_groups)
    # The optimizer keeps nothing of a parameter that the forward pass does not use.
    unused = {f"{index}.{_UNUSED}": torch.empty(0) for index in range(params) if state and index not in state}
    return (
        unused
        | {
            f"{index}.{name}": value if isinstance(value, Tensor) else _number_to_tensor(name, value)
            for index, values in state.items()
            for name, value in values.items()
            if value is not None
        }
        | _group_values(optimizer)
    )


def _group_values(optimizer: Optimizer) -> dict[str, Tensor]:
    if has_known_step(optimizer):
        return {}
    return {
        f"group.{index}.{name}": value if isinstance(value, Tensor) else _number_to_tensor(name, value)
        for index, group in enumerate(optimizer.param_groups)
        for name, value in group.items()
        if name not in _SET and isinstance(value, Tensor | bool | int | float)
    }


def _number_to_tensor(name: str, value: object) -> Tensor:
    if isinstance(value, bool | int | float):
        return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else torch.int64)
    kind = type(value).__name__
    raise UsageError(f"the recipe's optimizer keeps a {kind}, {name}; only tensors and numbers can be saved")


@without_dynamo()
def restore_optimizer_state(
    optimizer: Optimizer,
    create: Callable[[Iterable[Tensor]], Optimizer],
    params: list[nn.Parameter],
    state: Mapping[str, Tensor],
    *,
    stepped: bool,
) -> None:
    """Put the tensors that `optimizer_state` returned back into an optimizer.

    Fused kernels trust the types, shapes and memory formats of these tensors, so all are checked.

    Args:
        optimizer: the optimizer to fill.
        create: makes an optimizer of the same kind and settings.
        params: the optimizer's parameters, in order.
        state: the named tensors.
        stepped: whether the optimizer had taken a step.

    Raises:
        KeyError: a tensor is missing, unknown, or of another type or shape.
    """
    expected_state = _state_after_a_step(create, params) if stepped else {}
    unused = dict(state)
    for index in range(len(params)):
        if unused.pop(f"{index}.{_UNUSED}", None) is not None:
            expected_state.pop(index, None)
    restored: _State = {}
    for index, expected in expected_state.items():
        for name, example in expected.items():
            if example is not None:
                saved = unused.pop(f"{index}.{name}", None)
                restored.setdefault(index, {})[name] = _restore(saved, example, f"{index}.{name}")
    groups = optimizer.state_dict()["param_groups"]
    if not has_known_step(optimizer):
        for index, group in enumerate(groups):
            names = [name for name in unused if name.startswith(f"group.{index}.")]
            values = {name.split(".", 2)[2]: unused.pop(name) for name in names}
            group |= {name: _restore_value(saved, group.get(name)) for name, saved in values.items()}
    if unused:
        raise KeyError(f"the optimizer's {min(unused)}")
    optimizer.load_state_dict({"state": restored, "param_groups": groups})


def _state_after_a_step(
    create: Callable[[Iterable[Tensor]], Optimizer], params: list[nn.Parameter]
) -> _State:
    """What an optimizer of this kind keeps for each of these parameters, after a step without gradients."""
    copies = [nn.Parameter(param.detach().clone(), param.requires_grad) for param in params]
    for param in (copy for copy in copies if copy.requires_grad):
        param.grad = torch.zeros_like(param)
    probe = make_optimizer(create, copies)
    optimizer_step(probe)
    state: _State = probe.state_dict()["state"]
    return state


def _restore_value(saved: Tensor, example: Any) -> Any:
    """The saved value of a parameter group, where `example` is that before the first step, or None."""
    if isinstance(example, Tensor):
        return saved.to(example.device, copy=True)
    if saved.dim():
        return saved.clone()
    return bool(saved) if isinstance(example, bool) else saved.item()


def _restore(saved: Tensor | None, example: Any, name: str) -> Any:
    """The saved value as a new object like `example`: a tensor of its memory format, or a number.

    Raises:
        KeyError: it is missing, or of another type or shape.
    """
    like = example if isinstance(example, Tensor) else _number_to_tensor(name, example)
    if saved is None or saved.dtype != like.dtype or saved.shape != like.shape:
        raise KeyError(f"the optimizer's {name}")
    if not isinstance(example, Tensor):
        return type(example)(saved.item())
    # A file does not keep the memory format, which a fused kernel assumes to be that of the parameter.
    return torch.empty_like(example, device="cpu").copy_(saved)
