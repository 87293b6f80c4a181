"""What torch.nn lacks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_OUT = -1e38  # added to what is dropped, of which the relu makes 0; bfloat16 holds it too
_BITS = torch.tensor([1, 2, 4, 8, 16, 32, 64, -128], dtype=torch.int8).unsqueeze(1)


class LastStep(nn.Module):
    """The output of a recurrent layer at its last step."""

    def forward(self, outputs: tuple[Tensor, object]) -> Tensor:
        """([N, steps, features], the states) of a layer with `batch_first` to [N, features]."""
        return outputs[0][:, -1]


class Joined(nn.Module):
    """A net with a second input: what `second` makes of it joins the channels that `trunk` is given."""

    def __init__(self, second: nn.Module, trunk: nn.Module) -> None:
        super().__init__()
        self.second = second
        self.trunk = trunk

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        """x [N, C, H, W] and `given`, of which `second` makes [N, D, H, W]; what `trunk` makes of both."""
        outputs: Tensor = self.trunk(torch.cat((x, self.second(given)), 1))
        return outputs


class Rectify(nn.Module):
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
            x = x.add_(dropped(x, self.p), alpha=_OUT)
            if self.pool is not None and not self.pool_first:
                x = F.max_pool2d(x, self.pool)
            x = x.mul_(1 / (1 - self.p))
        return x.relu_()

    def extra_repr(self) -> str:
        return f"p={self.p}, pool={self.pool}, pool_first={self.pool_first}"


def dropped(x: Tensor, p: float) -> Tensor:
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
