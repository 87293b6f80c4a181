"""The LAMB optimizer: Adam's direction, scaled layer by layer to the norm of the layer's weights."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class LAMB(Optimizer):
    """LAMB (You et al., Large Batch Optimization for Deep Learning, arXiv 1904.00962, algorithm 2).

    As in ktorch's recipes: all gradients are first divided by their global norm. The moments are
    bias-corrected. Weight decay applies to every tensor, biases included. The trust ratio
    |weight| / |update| is clipped to [0, 1], and is 1 where either norm is zero.

    Args:
        params: the parameters to optimize.
        lr: learning rate.
        betas: decay rates of the first and the second moment.
        eps: added to the root of the corrected second moment.
        weight_decay: this times the weight is added to the update, before the trust ratio is computed.
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
        """Update the parameters with their gradients.

        Args:
            closure: recomputes the loss and the gradients first.

        Returns:
            The loss that `closure` computed, or None without one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        params = [(group, p) for group in self.param_groups for p in group["params"] if p.grad is not None]
        if params:
            norm = torch.stack(torch._foreach_norm([p.grad for _, p in params])).norm()
            # A zero norm must not give NaN. torch.where stays on the device; an `if` would wait for it.
            norm = torch.where(norm > 0, norm, torch.ones_like(norm))
            for group, p in params:
                self._update(p, p.grad / norm, group)
        return loss

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            # On the CPU: the bias correction needs a number, and reading one from a GPU would wait for it.
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["first"] = torch.zeros_like(p)
            state["second"] = torch.zeros_like(p)
        state["step"] += 1
        step, (beta1, beta2) = int(state["step"]), group["betas"]
        first, second = state["first"], state["second"]
        # Moments of the gradient, and Adam's direction with decoupled weight decay.
        first.lerp_(grad, 1 - beta1)
        second.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        root = (second / (1 - beta2**step)).sqrt_().add_(group["eps"])
        update = (first / (1 - beta1**step)).div_(root).add_(p, alpha=group["weight_decay"])
        # The trust ratio of this tensor.
        weight_norm, update_norm = p.norm(), update.norm()
        both_positive = (weight_norm > 0) & (update_norm > 0)
        trust_ratio = torch.where(both_positive, (weight_norm / update_norm).clamp(max=1), 1.0)
        p.sub_(update.mul_(trust_ratio * group["lr"]))
