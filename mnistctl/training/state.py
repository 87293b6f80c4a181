"""The state of a run as named tensors, and back: the parts it has, and what an optimizer remembers."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mnistctl.artifacts.checkpoint import flatten_state
from mnistctl.nn.optim import optimizer_step, without_dynamo


@without_dynamo()
def optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """Each moment under the number of its weight and its own name: `0.exp_avg`; shared, not copied."""
    return flatten_state(**{str(place): kept for place, kept in optimizer.state_dict()["state"].items()})


@without_dynamo()
def restore_optimizer_state(
    optimizer: Optimizer,
    make: Callable[[Iterable[Tensor]], Optimizer],
    weights: list[nn.Parameter],
    given: Mapping[str, Tensor],
    stepped: bool,
) -> None:
    """Put back into `optimizer`, of the kind that `make` makes for `weights`, what `moments` gave.

    Raises:
        KeyError: one is missing, of another type or shape than a kernel would trust it to have, or foreign.
    """
    # What a step leaves, seen on one number.
    number = nn.Parameter(torch.zeros(1))
    number.grad = torch.zeros(1)
    trial = make([number])
    if stepped:
        optimizer_step(trial)
    expected = trial.state_dict()["state"].get(0, {})
    left = dict(given)
    kept: dict[int, dict[str, Tensor]] = {}
    for place, weight in enumerate(weights):
        for name, like in expected.items():
            tensor = left.pop(f"{place}.{name}", torch.empty(0, 0))
            if tensor.dtype != like.dtype or tensor.shape != (weight.shape if like.dim() else ()):
                raise KeyError(f"the moment {place}.{name}")
            # In the weight's own memory format, which a file does not keep and a fused kernel assumes.
            same = torch.empty_like(weight if like.dim() else tensor, dtype=tensor.dtype, device="cpu")
            kept.setdefault(place, {})[name] = same.copy_(tensor)
    if left:
        raise KeyError(f"the moment {min(left)}")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": kept, "param_groups": groups})
