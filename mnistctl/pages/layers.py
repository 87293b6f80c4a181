"""The description of a net that `net.js` computes in a page, and its weights.

A description is plain JSON:

```
{
  "format": 1,
  "kind": "classifier",          or "generator"
  "model": "conv",
  "temperature": 0.33,           what logits are divided by before they become probabilities
  "view": {"inverted": false, "order": null},
  "layers": [LAYER, ...],
  "weights": {"type": "float16", "count": 431080, "difference": 0.0041, "data": BASE64}
}
```

`layers` are in the order in which they are computed. The last one is the output: the ten logits, or an image.

```
{
  "name": "4",                   where the layer is in the net, unique
  "title": "Conv2d(20, 50, kernel_size=(5, 5), stride=(1, 1))",
  "kind": "convolution",
  "inputs": [3],                 indices in `layers`
  "shape": [50, 8, 8],           of its output for one image, without the batch
  "settings": {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1},
  "weights": {"weight": {"offset": 520, "shape": [50, 20, 5, 5]}, "bias": {"offset": 25520, "shape": [50]}}
}
```

Offsets count numbers, not bytes. `data` has all numbers in the order of the layers, little-endian, in base64.

| kind | settings | weights |
|---|---|---|
| `pixels` | | |
| `noise` | | |
| `digit` | | |
| `convolution` | stride, padding, dilation, groups | weight [out, in / groups, rows, columns], bias [out] |
| `transposed convolution` | the same | weight [in, out / groups, rows, columns], bias [out] |
| `linear` | | weight [out, in], bias [out] |
| `batch norm` | | scale [channels], shift [channels] |
| `relu`, `sigmoid`, `tanh`, `gelu`, `silu`, `softmax`, `log softmax` | | |
| `leaky relu` | slope | |
| `max pool`, `average pool` | size, stride, padding | |
| `adaptive average pool` | | |
| `lstm` | | input [4 H, in], hidden [4 H, H], bias [4 H] |
| `step` | index | |
| `embedding` | | weight [entries, features] |
| `concatenation` | | |
| `sum` | | |
| `reshape` | | |

- `pixels` [1, 28, 28] is the input of a classifier. Its output is grey / 127.5 - 1 for greys from 0 to 255.
- `noise` is the first input of a generator, `digit` its second: ten weights [10], 1 for the requested digit
  and 0 for the others. An `embedding` gives the mean of its rows with these weights.
- Settings are pairs [rows, columns]. A padding of 4 numbers is [top, bottom, left, right].
- `batch norm` is x * scale + shift per channel: its statistics and weights are folded into these two.
- `lstm` is one layer that reads [steps, in] from zero states and gives its state after each step, [steps, H].
  The rows of its weights are those of the input gate, the forget gate, the cell and the output gate. `bias`
  is the sum of torch's two. An LSTM of several layers becomes several.
- `step` selects one step of [steps, features].
- `concatenation` and `sum` have several inputs; the first dimension is the one that is joined.
- `softmax` and `log softmax` are over the last dimension.
- Dropout and what else changes nothing is left out.

`view` says how a picture that is prepared as MNIST's digits must be seen to look like the net's training
digits: pixel n is pixel order[n] of the picture, if `order` is not null, and 255 minus it if `inverted`.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

from mnistctl.errors import UsageError

FORMAT = 1
Settings: TypeAlias = dict[str, int | float | tuple[int, ...]]


class UnknownLayerError(UsageError):
    """A net has a layer, or a forward pass, that a page cannot compute."""


@dataclass(frozen=True)
class Weight:
    """Where numbers of a layer begin among all numbers of a net, and their shape."""

    offset: int
    shape: tuple[int, ...]

    @property
    def span(self) -> slice:
        """The places of its numbers."""
        return slice(self.offset, self.offset + math.prod(self.shape))


@dataclass(frozen=True)
class Layer:
    """One layer of a description; the docstring of this module says what each kind has.

    Args:
        name: where the layer is in the net, unique.
        title: the layer with its arguments.
        kind: what it computes.
        inputs: the indices of the layers whose outputs it takes.
        shape: of its output for one image.
        settings: its hyper-parameters.
        weights: its numbers.
    """

    name: str
    title: str
    kind: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    settings: Settings
    weights: dict[str, Weight]
