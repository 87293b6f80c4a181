"""Faster equivalents of a net's layers on a CPU, and micro-batches that fit its caches."""

from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnistctl.nn.known import is_known
from mnistctl.nn.layers import ConditionedNet

_DROPPED = -1e38  # added to dropped elements, so that the relu makes them 0; bfloat16 can represent it
_BITS = torch.tensor([1, 2, 4, 8, 16, 32, 64, -128], dtype=torch.int8).unsqueeze(1)  # the bits of a byte
_MICRO_BATCH = 200  # images: as fast as larger batches (bench/slices.py), with a fraction of the memory
_OVERWRITABLE = (nn.Linear, nn.Conv2d, nn.BatchNorm2d)  # their gradients do not depend on their outputs
_MAX_P = 1 - 2**-16  # of a dropout mask, whose 16 bits cannot be dropped more often


class FusedReLU(nn.Module):
    """Relu, dropout and max pooling in one layer, in the order that is fastest on a CPU.

    The function and its gradient are the same as those of the three layers. A relu commutes with both of the
    others: max pooling keeps the order of numbers, and the factors of dropout are not negative. So the relu
    runs last, on the smaller output of the pool. Dropout needs no product and no mask in the backward pass,
    because dropped elements are set far below zero, where the relu's gradient is 0.

    Args:
        p: probability of dropout.
        pool: size and stride of max pooling; None for no pooling.
        pool_first: whether pooling comes before dropout.
    """

    def __init__(self, p: float, pool: int | None, pool_first: bool) -> None:
        super().__init__()
        self.p = p
        self.pool = pool
        self.pool_first = pool_first

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W], which is overwritten, to [N, C, H / pool, W / pool]; any shape without a pool."""
        dropout = self.training and self.p > 0
        if self.pool is not None and (self.pool_first or not dropout):
            x = F.max_pool2d(x, self.pool)
        if dropout:
            x = x.add_(dropout_mask(x, self.p), alpha=_DROPPED)
            if self.pool is not None and not self.pool_first:
                x = F.max_pool2d(x, self.pool)
            x = x.mul_(1 / (1 - self.p))
        return x.relu_()

    def extra_repr(self) -> str:
        return f"p={self.p}, pool={self.pool}, pool_first={self.pool_first}"


def dropout_mask(x: Tensor, p: float) -> Tensor:
    """Independent random numbers: 1 with probability `p`, else 0.

    They are pieces of random 64-bit words from torch's generator: single bits if p is 1/2, else 16 bits, so
    that the probability is exact to 1/131072, up to the largest one, 65535/65536. Their order is that of
    channels-last memory, whatever the memory format of `x`.

    Args:
        x: a tensor on the CPU, of which only the shape matters.
        p: the probability.

    Returns:
        int8 or int16, in the shape of `x`.
    """
    bits = 1 if p == 0.5 else 16
    # random_() alone never sets the sign bit of a word. With both bounds it sets all bits.
    words = torch.empty(-(-x.numel() * bits // 64), dtype=torch.int64).random_(-(2**63), None)
    if bits == 1:
        mask = torch.bitwise_and(words.view(torch.int8), _BITS).view(-1)
        torch.ne(mask, 0, out=mask)  # in place: creating a bool tensor takes ten times as long
    else:
        mask = words.view(torch.int16)
        torch.lt(mask, round(min(p, _MAX_P) * 2**16) - 2**15, out=mask)
    mask = mask[: x.numel()]
    if x.dim() == 4:
        n, c, h, w = x.shape
        return mask.view(n, h, w, c).permute(0, 3, 1, 2)
    return mask.view(x.shape)


def optimize_for(net: nn.Module, device: torch.device) -> nn.Module:
    """Move `net` to `device` and replace layers by faster equivalents.

    Parameters, their names and their gradients stay the same.
    """
    net = net.to(device)
    stacks = _stacks(net)
    if device.type == "cpu":
        for stack in stacks:
            _fuse_relus(stack)
    # torch has another format for five dimensions, and cannot convert both kinds at once.
    if has_only_known_layers(net) and all(t.dim() < 5 for t in chain(net.parameters(), net.buffers())):
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
    return net  # a forward pass may depend on the memory format: that of a layer which calls `view` does


def _stacks(net: nn.Module) -> list[nn.Sequential]:
    """The stacks of layers in `net` where each layer's output goes to the next layer and nowhere else.

    A module of another type may use the output of one layer of a stack twice, as a skip connection does. So
    the stacks inside of it are not among them.
    """
    if isinstance(net, ConditionedNet):
        return _stacks(net.second) + _stacks(net.trunk)
    if type(net) is not nn.Sequential:
        return []
    return [net, *(stack for child in net for stack in _stacks(child))]


def _fuse_relus(layers: nn.Sequential) -> None:
    """Replace each relu, and the dropout and the pool that follow it, by a FusedReLU.

    Fused layers become `nn.Identity`, so that the other layers keep their index, which names their weights.
    """
    children = list(layers)
    for index in range(1, len(children)):
        if type(children[index]) is not nn.ReLU or type(children[index - 1]) not in _OVERWRITABLE:
            continue
        if is_changed(children[index]) or is_changed(children[index - 1]):
            continue  # a hook may keep the output that would be overwritten
        p, pool, pool_first = 0.0, None, False
        for following in range(index + 1, len(children)):
            child = children[following]
            if is_changed(child):
                break
            if type(child) is nn.Dropout and p == 0 and child.p <= _MAX_P:
                p = child.p
            elif type(child) is nn.MaxPool2d and pool is None and _is_plain(child):
                pool, pool_first = int(child.kernel_size), p == 0  # type: ignore[arg-type]
            else:
                break
            layers[following] = nn.Identity()
        layers[index] = FusedReLU(p, pool, pool_first)


def is_changed(module: nn.Module) -> bool:
    """Whether a module has hooks or a forward pass of its own, so its class does not say what it does."""
    return any(
        name == "forward" or (name.endswith("_hooks") and value) for name, value in vars(module).items()
    )


def _is_plain(pool: nn.MaxPool2d) -> bool:
    """Whether the pool is square, with the size as stride and no further options."""
    return isinstance(pool.kernel_size, int) and repr(pool) == repr(nn.MaxPool2d(pool.kernel_size))


def has_only_known_layers(net: nn.Module) -> bool:
    """Whether all modules of `net` are torch's or mnistctl's, and none is of a user's own class."""
    return all(is_known(type(module), "torch.nn") for module in net.modules())


def has_batch_norm(net: nn.Module) -> bool:
    """Whether `net` has batch norm, so that its output for one image depends on the rest of the batch."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules())


def micro_batch_size(net: nn.Module, batch_size: int, device: torch.device) -> int:
    """How many images of a batch to put through `net` at once; the gradients of the parts add up.

    The whole batch if batch norm or a user's own layer may need all of it, if there are no convolutions, or
    on a GPU.
    """
    has_convolutions = any(isinstance(m, nn.Conv2d) for m in net.modules())
    separable = has_only_known_layers(net) and not has_batch_norm(net)
    if device.type == "cpu" and has_convolutions and separable:
        return min(batch_size, _MICRO_BATCH)
    return batch_size
