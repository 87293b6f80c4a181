"""A small transformer that reads a digit as 16 patches of 7 x 7 pixels (ViT, arXiv 2010.11929).

Train it:               mnistctl train patches.py --dataset sample
Compare it with conv:   mnistctl trials conv patches.py -n 6 --dataset sample --epochs 5
Other sizes:            mnistctl train patches.py --dataset sample --set net.layers=3 --set net.width=96
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from mnistctl.models.recipe import ClassifierRecipe

SIDE = 7  # pixels of a patch's side
COUNT = (28 // SIDE) ** 2  # patches of an image


class Block(nn.Module):
    """Self-attention between the patches, then two linear layers for each patch, both added to the input."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        n, count, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(n, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each [N, heads, patches, width / heads]
        weights = (query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5).softmax(-1)
        attended = (weights @ value).transpose(1, 2).reshape(n, count, width)
        x = x + self.dropout(self.out(attended))
        return x + self.dropout(self.mlp(self.norm2(x)))


class Transformer(nn.Module):
    def __init__(self, width: int = 64, layers: int = 2, heads: int = 4, dropout: float = 0.1) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, width, SIDE, stride=SIDE)
        self.position = nn.Parameter(0.02 * torch.randn(COUNT, width))
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 10))

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels [N, 1, 28, 28] to logits [N, 10]."""
        patches = self.embed(pixels).flatten(2).transpose(1, 2)  # [N, 16, width]
        return self.head(self.blocks(patches + self.position).mean(1))


def warm_up_then_fall(peak: float, epochs: int) -> list[float]:
    """Half the peak in the first epoch, then from the peak in equal steps to a tenth of it."""
    fall = [peak * (1 - 0.9 * e / max(1, epochs - 2)) for e in range(epochs - 1)]
    return [peak / 2, *fall]


recipe = ClassifierRecipe(
    net=Transformer,
    optimizer=partial(AdamW, lr=0.002, weight_decay=0.05),
    epochs=20,
    peak_lr=0.002,
    lr_schedule=warm_up_then_fall,
    batch_size=50,
    label_smoothing=0.05,
)
