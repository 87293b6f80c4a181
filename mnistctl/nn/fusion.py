"""Faster equivalents of a net's layers, and the micro-batches that fit a processor's caches."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_DROPPED = -1e38  # added to what is dropped, of which the relu makes 0; bfloat16 holds it too
_BITS = torch.tensor([1, 2, 4, 8, 16, 32, 64, -128], dtype=torch.int8).unsqueeze(1)


class FusedReLU(nn.Module):
    """A relu with the dropout and the max pool that follow it, in the order that costs a processor least.

    The same function and the same gradient, since a relu commutes with both: a maximum keeps the order of
    numbers and a dropout's factors are not negative. So the relu sees what the pool left, and what is dropped
    needs no product, and no mask kept for the way back: it is pushed far below zero.
    """

    def __init__(self, p: float, pool: int | None, pool_first: bool) -> None:
        super().__init__()
        self.p = p
        self.pool = pool
        self.pool_first = pool_first

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] (or any shape without a pool), overwritten, to [N, C, H / pool, W / pool]."""
        drops = self.training and self.p > 0
        if self.pool is not None and (self.pool_first or not drops):
            x = F.max_pool2d(x, self.pool)
        if drops:
            x = x.add_(dropout_mask(x, self.p), alpha=_DROPPED)
            if self.pool is not None and not self.pool_first:
                x = F.max_pool2d(x, self.pool)
            x = x.mul_(1 / (1 - self.p))
        return x.relu_()

    def extra_repr(self) -> str:
        return f"p={self.p}, pool={self.pool}, pool_first={self.pool_first}"


def dropout_mask(x: Tensor, p: float) -> Tensor:
    """1 with probability `p`, else 0, for each element of `x` on a CPU: int8 or int16, in the shape of `x`.

    The draws are pieces of random 64-bit words from torch's generator, in the order of channels-last memory
    whatever the layout of `x`: single bits where p is 1/2, else 16 bits each, so that p is met to 1/131072.
    """
    bits = 1 if p == 0.5 else 16
    # Both ends named: random_() alone never sets a word's sign bit.
    words = torch.empty(-(-x.numel() * bits // 64), dtype=torch.int64).random_(-(2**63), None)
    if bits == 1:
        draws = torch.bitwise_and(words.view(torch.int8), _BITS).view(-1)
        torch.ne(draws, 0, out=draws)  # into the draws: a result of type bool takes ten times as long
    else:
        draws = words.view(torch.int16)
        torch.lt(draws, round(p * 2**16) - 2**15, out=draws)
    draws = draws[: x.numel()]
    if x.dim() == 4:
        n, c, h, w = x.shape
        return draws.view(n, h, w, c).permute(0, 3, 1, 2)
    return draws.view(x.shape)


_MICRO_BATCH = 200  # digits: as fast as more (bench/slices.py) in a fraction of the memory


def optimize_for(net: nn.Module, device: torch.device) -> nn.Module:
    """The same net on `device`, its weights, keys and gradients unchanged, ready to run fast there."""
    if device.type == "cpu":
        for module in list(net.modules()):
            if isinstance(module, nn.Sequential):
                _fuse_relus(module)
    return net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


_OVERWRITABLE = (nn.Linear, nn.Conv2d, nn.BatchNorm2d)  # their gradients do not need what they gave


def _fuse_relus(stages: nn.Sequential) -> None:
    """Make one module of each relu and the dropout and pool behind it; the weights keep their numbers."""
    children = list(stages)
    for at in range(1, len(children)):
        if type(children[at]) is not nn.ReLU or not isinstance(children[at - 1], _OVERWRITABLE):
            continue
        p, pool, pool_first = 0.0, None, False
        for place in range(at + 1, len(children)):
            child = children[place]
            if type(child) is nn.Dropout and p == 0 and child.p < 1:
                p = child.p
            elif type(child) is nn.MaxPool2d and pool is None and _is_plain(child):
                pool, pool_first = int(child.kernel_size), p == 0  # type: ignore[arg-type]
            else:
                break
            stages[place] = nn.Identity()
        stages[at] = FusedReLU(p, pool, pool_first)


def _is_plain(pool: nn.MaxPool2d) -> bool:
    return isinstance(pool.kernel_size, int) and repr(pool) == repr(nn.MaxPool2d(pool.kernel_size))


def has_batch_norm(net: nn.Module) -> bool:
    """Whether batch norm makes what `net` says of one digit depend on the others in its batch."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules())


def micro_batch_size(net: nn.Module, batch: int, device: torch.device) -> int:
    """How many digits of a batch to put through `net` at once; the gradients of the slices add up.

    All of them where batch norm looks across the batch, and on devices without a processor's caches.
    """
    convolves = any(isinstance(m, nn.Conv2d) for m in net.modules())
    return (
        min(batch, _MICRO_BATCH) if device.type == "cpu" and convolves and not has_batch_norm(net) else batch
    )
