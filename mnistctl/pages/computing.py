"""The layers of a description computed with torch, to check a description against its net."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from mnistctl.pages.layers import Layer

Weights: TypeAlias = dict[str, Tensor]


def compute(layers: Sequence[Layer], numbers: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The output of every layer for a batch.

    Args:
        layers: the layers of a description.
        numbers: their numbers, [count].
        inputs: one [N, ...] for each input: pixels [N, 1, 28, 28] in [-1, 1], noise [N, 100, 1, 1], weights
            of the digits [N, 10].

    Returns:
        [N, ...] for each layer.
    """
    outputs: list[Tensor] = []
    remaining = iter(inputs)
    for layer in layers:
        if not layer.inputs:
            outputs.append(next(remaining))
            continue
        weights = {name: numbers[place.span].view(place.shape) for name, place in layer.weights.items()}
        result = _KINDS[layer.kind](layer, weights, *(outputs[n] for n in layer.inputs))
        outputs.append(result.reshape(len(result), *layer.shape))
    return outputs


def _convolution(layer: Layer, weights: Weights, x: Tensor) -> Tensor:
    top, bottom, left, right = layer.settings["padding"]  # type: ignore[misc]
    stride, _, dilation, groups = layer.settings.values()
    x = F.pad(x, (left, right, top, bottom))
    return F.conv2d(x, weights["weight"], weights.get("bias"), stride, 0, dilation, groups)  # type: ignore[arg-type]


def _transposed_convolution(layer: Layer, weights: Weights, x: Tensor) -> Tensor:
    """The output is cut or extended with zeros to its shape, which stands for the output padding."""
    top, _, left, _ = layer.settings["padding"]  # type: ignore[misc]
    stride, _, dilation, groups = layer.settings.values()
    whole = F.conv_transpose2d(x, weights["weight"], None, stride, 0, 0, groups, dilation)  # type: ignore[arg-type]
    _, height, width = layer.shape
    rows, columns = height + top - whole.shape[2], width + left - whole.shape[3]
    small = F.pad(whole, (-left, columns, -top, rows))
    return small + weights["bias"].view(-1, 1, 1) if "bias" in weights else small


def _linear(layer: Layer, weights: Weights, x: Tensor) -> Tensor:
    return F.linear(x, weights["weight"], weights.get("bias"))


def _batch_norm(layer: Layer, weights: Weights, x: Tensor) -> Tensor:
    shape = (-1,) + (1,) * (x.dim() - 2)
    return x * weights["scale"].view(shape) + weights["shift"].view(shape)


def _max_pool(layer: Layer, weights: Weights, x: Tensor) -> Tensor:
    size, stride, padding = layer.settings.values()
    whole = F.max_pool2d(x, size, stride, padding)  # type: ignore[arg-type]
    if whole.shape[1:] == layer.shape:
        return whole
    return F.max_pool2d(x, size, stride, padding, ceil_mode=True)  # type: ignore[arg-type]


def _average_pool(layer: Layer, weights: Weights, x: Tensor) -> Tensor:
    return F.avg_pool2d(x, layer.settings["size"], layer.settings["stride"])  # type: ignore[arg-type]


def _adaptive_average_pool(layer: Layer, weights: Weights, x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, (layer.shape[1], layer.shape[2]))


def _lstm(layer: Layer, weights: Weights, x: Tensor) -> Tensor:
    state = cell = x.new_zeros(len(x), layer.shape[1])
    states = []
    for step in range(x.shape[1]):
        sums = F.linear(x[:, step], weights["input"], weights["bias"]) + F.linear(state, weights["hidden"])
        enter, forget, new, show = sums.chunk(4, 1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        state = show.sigmoid() * cell.tanh()
        states.append(state)
    return torch.stack(states, 1)


def _step(layer: Layer, weights: Weights, x: Tensor) -> Tensor:
    return x[:, layer.settings["index"]]  # type: ignore[index]


_Compute: TypeAlias = Callable[..., Tensor]
_KINDS: dict[str, _Compute] = {
    "convolution": _convolution,
    "transposed convolution": _transposed_convolution,
    "linear": _linear,
    "batch norm": _batch_norm,
    "relu": lambda layer, weights, x: x.relu(),
    "leaky relu": lambda layer, weights, x: F.leaky_relu(x, layer.settings["slope"]),
    "sigmoid": lambda layer, weights, x: x.sigmoid(),
    "tanh": lambda layer, weights, x: x.tanh(),
    "silu": lambda layer, weights, x: F.silu(x),
    "gelu": lambda layer, weights, x: F.gelu(x),
    "softmax": lambda layer, weights, x: x.softmax(-1),
    "log softmax": lambda layer, weights, x: x.log_softmax(-1),
    "max pool": _max_pool,
    "average pool": _average_pool,
    "adaptive average pool": _adaptive_average_pool,
    "lstm": _lstm,
    "step": _step,
    "embedding": lambda layer, weights, x: x @ weights["weight"],
    "concatenation": lambda layer, weights, *x: torch.cat(x, 1),
    "sum": lambda layer, weights, *x: torch.stack(x).sum(0),
    "reshape": lambda layer, weights, x: x,
}
