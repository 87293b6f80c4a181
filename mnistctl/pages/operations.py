"""Which layer of a description each of torch's operations becomes: a function for each, in OPERATIONS."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace as Arguments
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, fx

from mnistctl.pages.layers import Settings

if TYPE_CHECKING:
    from mnistctl.pages.tracing import Tracer

LayerIndex: TypeAlias = int  # the index of a layer


@dataclass(frozen=True)
class States:
    """What a recurrent layer returns besides its outputs: the last state of each of its layers."""

    outputs: tuple[LayerIndex, ...]


# What is known about a value of the forward pass: it is the output of a layer, a constant, or several values.
Value: TypeAlias = LayerIndex | Tensor | States | tuple[Any, ...]

# Adds the layer of an operation to the trace, for its node and its arguments by name. Gives the operation's
# value, or None if no layer is equal to it.
Handler: TypeAlias = Callable[["Tracer", fx.Node, Arguments], Value | None]


def _first(given: Arguments) -> Any:
    """The first argument: the input of an operation."""
    return next(iter(vars(given).values()))


def _pair(value: Any) -> tuple[int, int]:
    numbers = [value] if isinstance(value, int) else list(value)
    return (numbers[0], numbers[-1])


def _convolution(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    weight, dilation, padding = given.weight, _pair(given.dilation), given.padding
    if padding == "same":  # the larger half is below and to the right
        whole = [step * (size - 1) for step, size in zip(dilation, weight.shape[2:], strict=True)]
        sides = (whole[0] // 2, whole[0] - whole[0] // 2, whole[1] // 2, whole[1] - whole[1] // 2)
    else:
        rows, columns = (0, 0) if padding == "valid" else _pair(padding)
        sides = (rows, rows, columns, columns)
    settings: Settings = {
        "stride": _pair(given.stride),
        "padding": sides,
        "dilation": dilation,
        "groups": given.groups,
    }
    return tracer.add(node, "convolution", [given.input], settings, weight=weight, bias=given.bias)


def _transposed_convolution(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    rows, columns = _pair(given.padding)  # output padding only shows in the shape of the output
    settings: Settings = {
        "stride": _pair(given.stride),
        "padding": (rows, rows, columns, columns),
        "dilation": _pair(given.dilation),
        "groups": given.groups,
    }
    weights = {"weight": given.weight, "bias": given.bias}
    return tracer.add(node, "transposed convolution", [given.input], settings, **weights)


def _linear(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    return tracer.add(node, "linear", [given.input], weight=given.weight, bias=given.bias)


def _batch_norm(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    mean, variance = given.running_mean, given.running_var
    if given.training or not isinstance(mean, Tensor):  # it uses the statistics of the batch
        return None
    scale = (variance.double() + given.eps).rsqrt()
    if given.weight is not None:
        scale = scale * given.weight
    shift = -mean.double() * scale
    if given.bias is not None:
        shift = shift + given.bias
    return tracer.add(node, "batch norm", [given.input], scale=scale, shift=shift)


def _function(kind: str) -> Handler:
    """The handler of a function of single numbers."""

    def handle(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
        if getattr(given, "approximate", "none") != "none":
            return None
        settings: Settings = {"slope": float(given.negative_slope)} if kind == "leaky relu" else {}
        return tracer.add(node, kind, [_first(given)], settings)

    return handle


def _softmax(kind: str) -> Handler:
    def handle(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
        known = len(tracer.shape(node)) == 1 and given.dim in (1, -1)
        return tracer.add(node, kind, [given.self]) if known else None

    return handle


def _max_pool(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    return _pool(tracer, node, given, "max pool") if _pair(given.dilation) == (1, 1) else None


def _average_pool(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    plain = _pair(given.padding) == (0, 0) and not given.ceil_mode and given.divisor_override is None
    return _pool(tracer, node, given, "average pool") if plain else None


def _pool(tracer: "Tracer", node: fx.Node, given: Arguments, kind: str) -> Value | None:
    if len(tracer.shape(node)) != 3:
        return None
    size = _pair(given.kernel_size)
    settings: Settings = {
        "size": size,
        "stride": _pair(given.stride) if given.stride else size,
        "padding": _pair(given.padding),
    }
    return tracer.add(node, kind, [given.self], settings)


def _adaptive_average_pool(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    known = len(tracer.shape(node)) == 3
    return tracer.add(node, "adaptive average pool", [given.self]) if known else None


def _mean(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    """The mean over rows and columns of [N, channels, rows, columns]."""
    source = given.self
    shape = tracer.trace.layers[source].shape if isinstance(source, int) else ()
    if len(shape) != 3 or not given.dim or sorted(n % 4 for n in given.dim) != [2, 3]:
        return None
    pooled = tracer.add(node, "adaptive average pool", [source], shape=(shape[0], 1, 1))
    return tracer.add(node, "reshape", [pooled])


def _lstm(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    layers, hidden, weights = given.num_layers, given.hx, given.params
    zero = all(isinstance(each, Tensor) and not bool(each.any()) for each in hidden)
    per_layer = 4 if given.has_biases else 2
    known = zero and given.batch_first and not given.bidirectional and not given.train
    if not known or len(weights) != per_layer * layers:  # more weights: the state is projected
        return None
    steps = tracer.trace.layers[given.input].shape[0]
    last: LayerIndex | None = given.input
    outputs = []
    for n in range(layers):
        from_input, from_state, *biases = weights[per_layer * n : per_layer * (n + 1)]
        bias = biases[0] + biases[1] if biases else torch.zeros(len(from_input))
        last = tracer.add(
            node,
            "lstm",
            [last],
            part=f", layer {n + 1}" if layers > 1 else "",
            shape=(steps, from_state.shape[1]),
            input=from_input,
            hidden=from_state,
            bias=bias,
        )
        if last is None:
            return None
        outputs.append(last)
    return last, States(tuple(outputs)), None


def _select(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    """A step of [N, steps, features], or the last state of a recurrent layer."""
    source, dim, index = given.self, given.dim, given.index
    if isinstance(source, States) and dim == 0:
        source, dim, index = source.outputs[index], 1, -1
    shape = tracer.trace.layers[source].shape if isinstance(source, int) else ()
    if len(shape) != 2 or dim not in (1, -2):
        return None
    return tracer.add(node, "step", [source], {"index": index % shape[0]})


def _embedding(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    source = given.indices
    if not isinstance(source, int) or tracer.trace.layers[source].kind != "digit":
        return None
    return tracer.add(node, "embedding", [source], weight=given.weight[:10])


def _one_hot(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    source = given.self  # the input has this form already
    known = isinstance(source, int) and tracer.trace.layers[source].kind == "digit"
    return source if known and given.num_classes == 10 else None


def _concatenation(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    return tracer.add(node, "concatenation", given.tensors) if given.dim == 1 else None


def _sum(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    inputs = [given.self, given.other]
    # A number that the net adds is an int, too, but no layer.
    if not all(isinstance(each, fx.Node) for each in node.args[:2]) or given.alpha != 1:
        return None
    shapes = {tracer.trace.layers[each].shape for each in inputs}
    return tracer.add(node, "sum", inputs) if len(shapes) == 1 else None


def _reshape(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    return tracer.add(node, "reshape", [_first(given)])


def _unchanged(tracer: "Tracer", node: fx.Node, given: Arguments) -> Value | None:
    """The input itself, if the operation changes neither its numbers nor its shape."""
    if getattr(given, "train", False):
        return None
    source = _first(given)
    same = isinstance(source, int) and tracer.trace.layers[source].shape == tracer.shape(node)
    return source if same and node.meta["val"].dtype.is_floating_point else None


# Handlers by the operation's name, without the underscore of one that works in place.
OPERATIONS: dict[str, Handler] = {
    "conv2d": _convolution,
    "conv_transpose2d.input": _transposed_convolution,
    "linear": _linear,
    "batch_norm": _batch_norm,
    **{kind: _function(kind) for kind in ("relu", "sigmoid", "tanh", "gelu", "silu")},
    "leaky_relu": _function("leaky relu"),
    "softmax.int": _softmax("softmax"),
    "log_softmax.int": _softmax("log softmax"),
    "max_pool2d": _max_pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _adaptive_average_pool,
    "mean.dim": _mean,
    "lstm.input": _lstm,
    "select.int": _select,
    "embedding": _embedding,
    "one_hot": _one_hot,
    "cat": _concatenation,
    "add.Tensor": _sum,
    "add_.Tensor": _sum,
    **dict.fromkeys(
        ("flatten", "unflatten", "view", "reshape", "squeeze", "unsqueeze", "_unsafe_view"), _reshape
    ),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout"), _unchanged),
    **dict.fromkeys(("contiguous", "clone", "alias", "detach", "to", "_to_copy", "slice"), _unchanged),
}
