"""LAMB: Adam's direction, taken layer by layer at a length in proportion to the layer's weights."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class LAMB(Optimizer):
    """You et al., Large Batch Optimization for Deep Learning, arXiv 1904.00962, algorithm 2.

    As the recipes use it: all gradients are first divided by their global norm; the moments are corrected
    for bias; the decay counts for every tensor, biases too; the trust ratio |weight| / |update| is clipped
    to [0, 1] and is 1 where either norm is zero.

    Args:
        params: the parameters to optimize.
        lr: the rate.
        betas: decay of the first and the second moment.
        eps: added to the root of the corrected second moment.
        weight_decay: this times the weight is added to the update before the trust ratio is taken.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step down the gradients that the parameters hold."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        held = [(group, p) for group in self.param_groups for p in group["params"] if p.grad is not None]
        if held:
            norm = torch.stack(torch._foreach_norm([p.grad for _, p in held])).norm()
            norm = torch.where(norm > 0, norm, torch.ones_like(norm))  # on the device: no synchronisation
            for group, p in held:
                self._step(p, p.grad / norm, group)
        return loss

    def _step(self, p: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            # On the host: the correction needs a number, and asking a device for it would wait.
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["first"] = torch.zeros_like(p)
            state["second"] = torch.zeros_like(p)
        state["step"] += 1
        step, (beta1, beta2) = int(state["step"]), group["betas"]
        first, second = state["first"], state["second"]
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        root = (second / (1 - beta2**step)).sqrt_().add_(group["eps"])
        update = (first / (1 - beta1**step)).div_(root).add_(p, alpha=group["weight_decay"])
        weight, length = p.norm(), update.norm()
        trust = torch.where((weight > 0) & (length > 0), (weight / length).clamp(max=1), 1.0)
        p.sub_(update.mul_(trust * group["lr"]))
