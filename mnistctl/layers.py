"""What torch.nn lacks."""

import torch
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """`nn.Dropout` with the mask cut from random 64-bit words: on a CPU an eighth of the time a draw.

    It draws from torch's generator, so a seed still means one run. The probability is met exactly where it
    is a multiple of 1/256, else to within 1/65536. On other devices it is `nn.Dropout` itself.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape; zeroed with probability p, else scaled by 1/(1-p), while training."""
        if not self.training or x.device.type != "cpu" or not 0 < self.p < 1:
            return super().forward(x)
        return x * self.mask(x)

    def mask(self, x: Tensor) -> Tensor:
        """0 or 1/(1-p) for each element of `x`, laid out in memory as `x` is."""
        bits = 8 if (self.p * 256).is_integer() else 16
        count = x.numel()
        # Both ends named: random_() alone never sets a word's sign bit.
        words = torch.empty(-(-count * bits // 64), dtype=torch.int64).random_(-(2**63), None)
        draws = words.view(torch.int8 if bits == 8 else torch.int16)[:count]
        kept = draws >= round(self.p * 2**bits) - 2 ** (bits - 1)  # signed draws: their least is -2^(bits-1)
        # The layout of `x` decides which element takes which draw, never how it is drawn.
        mask = torch.empty_like(x)
        return torch.mul(kept.as_strided(x.shape, mask.stride()), 1 / (1 - self.p), out=mask)
