"""A trained net as layers of a description: its forward pass is recorded once, operation by operation."""

import logging
import operator
import warnings
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from types import SimpleNamespace as Arguments
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx, nn

from mnistctl.pages.layers import Layer, Settings, UnknownLayerError, Weight

_BATCH = 3  # images while recording: the first number of every shape, unlike a 1 that shapes may have anyway
_LAYER: TypeAlias = int  # the index of a layer


@dataclass(frozen=True)
class States:
    """What a recurrent layer returns besides its outputs: the last state of each of its layers."""

    outputs: tuple[_LAYER, ...]


# What is known about a value of the forward pass: it is the output of a layer, a constant, or several values.
_Value: TypeAlias = _LAYER | Tensor | States | tuple[Any, ...]


@dataclass
class Trace:
    """The layers of a net, and all their numbers in order, float32 [count]."""

    layers: list[Layer] = field(default_factory=list)
    parts: list[Tensor] = field(default_factory=list)
    count: int = 0

    @property
    def numbers(self) -> Tensor:
        """All numbers of the layers: float32 [count]."""
        return torch.cat([part.reshape(-1) for part in self.parts]) if self.parts else torch.zeros(0)

    def add(
        self,
        name: str,
        title: str,
        kind: str,
        inputs: Iterable[_LAYER],
        shape: Iterable[int],
        settings: Settings | None = None,
        **weights: Tensor | None,
    ) -> _LAYER:
        """Append a layer. A weight that is None is left out.

        Returns:
            Its index.
        """
        placed = {}
        for key, value in weights.items():
            if value is not None:
                placed[key] = Weight(self.count, tuple(value.shape))
                self.parts.append(value.detach().float().cpu())
                self.count += value.numel()
        taken = {layer.name for layer in self.layers}
        unique = name or kind
        number = 1
        while unique in taken:
            number += 1
            unique = f"{name or kind}, {number}"
        self.layers.append(
            Layer(unique, title, kind, tuple(inputs), tuple(shape), settings or {}, placed),
        )
        return len(self.layers) - 1


def trace(net: nn.Module, **inputs: Tensor) -> Trace:
    """The layers of a net and their numbers.

    Args:
        net: the net; it is on the CPU and in evaluation mode afterwards.
        inputs: by the kind of input, one example of each without the batch, in the order of the arguments of
            the net's forward pass.

    Raises:
        UnknownLayerError: a layer or an operation of the forward pass has no counterpart in a description.
    """
    net = net.cpu().eval().requires_grad_(False)
    batch = tuple(torch.stack([each] * _BATCH) for each in inputs.values())
    return _Tracer(net, _record(net, batch), list(inputs)).run()


def _record(net: nn.Module, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    disabled = logging.root.manager.disable
    # Where it fails, torch logs and prints the net's operations before it raises an error.
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")  # of torch about its own calls
        logging.disable()
        try:
            return torch.export.export(net, inputs, strict=False)
        except Exception as error:  # noqa: BLE001 - torch raises errors of many types here
            name = type(net).__name__
            reason = str(error).strip().split("\n")[0]
            raise UnknownLayerError(
                f"a page cannot compute {name}: its forward pass cannot be recorded ({reason})"
            ) from None
        finally:
            logging.disable(disabled)


class _Tracer:
    """Turns the recorded operations of a net into layers."""

    def __init__(self, net: nn.Module, program: torch.export.ExportedProgram, kinds: list[str]) -> None:
        self.net = net
        self.program = program
        self.kinds = kinds
        self.trace = Trace()
        self.values: dict[fx.Node, _Value] = {}

    def run(self) -> Trace:
        signature = self.program.graph_signature
        stored = {**self.program.state_dict, **self.program.constants}
        names = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        kinds = iter(self.kinds)
        for node in self.program.graph.nodes:
            if node.op == "placeholder" and node.name in names:
                self.values[node] = stored[names[node.name]]
            elif node.op == "placeholder":
                kind = next(kinds)
                shape = (10,) if kind == "digit" else self.shape(node)
                self.values[node] = self.trace.add(kind, kind, kind, (), shape)
            elif _operation(node).startswith("_assert"):  # a check of torch's, without a result
                continue
            elif node.op == "call_function":
                self.values[node] = value = self.value(node)
                if _operation(node).endswith("_"):  # it works in place
                    self.values[node.all_input_nodes[0]] = value
            elif node.op == "output":
                self.finish(node)
            else:
                raise self.refuse(node)
        return self.trace

    def finish(self, node: fx.Node) -> None:
        """Check that the last layer is the output."""
        (results,) = node.args
        result = results[0] if isinstance(results, tuple) and len(results) == 1 else None
        value = self.values.get(result) if isinstance(result, fx.Node) else None
        if not isinstance(value, int):
            raise UnknownLayerError(
                f"a page cannot compute {type(self.net).__name__}: it has several outputs"
            )
        if value != len(self.trace.layers) - 1:
            self.trace.add("output", "output", "reshape", (value,), self.trace.layers[value].shape)

    def value(self, node: fx.Node) -> _Value:
        """The value of an operation."""
        if node.target is operator.getitem:
            source, index = node.args
            several = self.values[source]  # type: ignore[index]
            if not isinstance(several, tuple) or not isinstance(index, int):
                raise self.refuse(node)
            return several[index]  # type: ignore[no-any-return]
        inputs = [self.values[each] for each in node.all_input_nodes]
        if all(isinstance(each, Tensor) for each in inputs):  # independent of the net's input
            args, kwargs = self.with_values((node.args, node.kwargs))
            return node.target(*args, **kwargs)  # type: ignore[operator, no-any-return]
        name = str(node.target).removeprefix("aten.")
        handle = _OPERATIONS.get(name) or _OPERATIONS.get(_operation(node).removesuffix("_"))
        value = handle(self, node, self.arguments(node)) if handle is not None else None
        if value is None:
            raise self.refuse(node)
        return value

    def arguments(self, node: fx.Node) -> Arguments:
        """The arguments of an operation by name, with defaults; values in place of nodes."""
        arguments = {}
        for place, argument in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
            default = argument.default_value if argument.has_default_value() else None
            given = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name, default)
            arguments[argument.name] = self.with_values(given)
        return Arguments(**arguments)

    def with_values(self, given: Any) -> Any:
        """Arguments of an operation with values in place of nodes."""
        lookup: Callable[[fx.Node], Any] = self.values.__getitem__
        return fx.node.map_arg(given, lookup)

    def add(
        self,
        node: fx.Node,
        kind: str,
        inputs: Iterable[object],
        settings: Settings | None = None,
        *,
        part: str = "",
        shape: Iterable[int] | None = None,
        **weights: Tensor | None,
    ) -> _LAYER | None:
        """A layer for an operation; None if an input is not the output of a layer, or a weight not constant.

        Args:
            node: the operation.
            kind: the layer's kind.
            inputs: values of the operation's inputs.
            settings: of the layer.
            part: added to name and title, if the operation becomes several layers.
            shape: of the layer's output for one image, if it is not that of the operation.
            weights: of the layer.
        """
        places = [each for each in inputs if isinstance(each, int)]
        constant = all(each is None or isinstance(each, Tensor) for each in weights.values())
        if len(places) != len(list(inputs)) or not constant:
            return None
        path, module = self.origin(node)
        title = str(module) if module is not None and not list(module.children()) else kind
        own_shape = self.shape(node) if shape is None else shape
        return self.trace.add(path + part, title + part, kind, places, own_shape, settings, **weights)

    def origin(self, node: fx.Node) -> tuple[str, nn.Module | None]:
        """The path and the module that contains an operation; the path is empty for the net itself."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path = stack[-1][0].split("@")[0] if stack else ""  # a module that is called again has a number
        try:
            return path, self.net.get_submodule(path)
        except AttributeError:
            return path, None

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """The shape of a value for one image."""
        shape = tuple(node.meta["val"].shape)
        if not shape or shape[0] != _BATCH:
            raise self.refuse(node)
        return shape[1:]

    def refuse(self, node: fx.Node) -> UnknownLayerError:
        """The error for an operation that has no counterpart."""
        path, module = self.origin(node)
        if module is None or list(module.children()) or path == "":
            where = f" in the forward pass of {type(module or self.net).__name__}"
            return UnknownLayerError(f"a page cannot compute the operation {_operation(node)}{where}")
        return UnknownLayerError(f"a page cannot compute the layer {path}, {module}")


_Handler: TypeAlias = Callable[[_Tracer, fx.Node, Arguments], _Value | None]


def _operation(node: fx.Node) -> str:
    """The name of an operation, as `relu_` for aten.relu_.default."""
    return str(node.target).removeprefix("aten.").partition(".")[0]


def _first(given: Arguments) -> Any:
    """The first argument: the input of an operation."""
    return next(iter(vars(given).values()))


def _pair(value: Any) -> tuple[int, int]:
    numbers = [value] if isinstance(value, int) else list(value)
    return (numbers[0], numbers[-1])


def _convolution(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
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


def _transposed_convolution(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    rows, columns = _pair(given.padding)  # output padding only shows in the shape of the output
    settings: Settings = {
        "stride": _pair(given.stride),
        "padding": (rows, rows, columns, columns),
        "dilation": _pair(given.dilation),
        "groups": given.groups,
    }
    weights = {"weight": given.weight, "bias": given.bias}
    return tracer.add(node, "transposed convolution", [given.input], settings, **weights)


def _linear(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    return tracer.add(node, "linear", [given.input], weight=given.weight, bias=given.bias)


def _batch_norm(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
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


def _function(kind: str) -> _Handler:
    """The handler of a function of single numbers."""

    def handle(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
        if getattr(given, "approximate", "none") != "none":
            return None
        settings: Settings = {"slope": float(given.negative_slope)} if kind == "leaky relu" else {}
        return tracer.add(node, kind, [_first(given)], settings)

    return handle


def _softmax(kind: str) -> _Handler:
    def handle(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
        known = len(tracer.shape(node)) == 1 and given.dim in (1, -1)
        return tracer.add(node, kind, [given.self]) if known else None

    return handle


def _max_pool(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    return _pool(tracer, node, given, "max pool") if _pair(given.dilation) == (1, 1) else None


def _average_pool(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    plain = _pair(given.padding) == (0, 0) and not given.ceil_mode and given.divisor_override is None
    return _pool(tracer, node, given, "average pool") if plain else None


def _pool(tracer: _Tracer, node: fx.Node, given: Arguments, kind: str) -> _Value | None:
    if len(tracer.shape(node)) != 3:
        return None
    size = _pair(given.kernel_size)
    settings: Settings = {
        "size": size,
        "stride": _pair(given.stride) if given.stride else size,
        "padding": _pair(given.padding),
    }
    return tracer.add(node, kind, [given.self], settings)


def _adaptive_average_pool(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    known = len(tracer.shape(node)) == 3
    return tracer.add(node, "adaptive average pool", [given.self]) if known else None


def _mean(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    """The mean over rows and columns of [N, channels, rows, columns]."""
    source = given.self
    shape = tracer.trace.layers[source].shape if isinstance(source, int) else ()
    if len(shape) != 3 or not given.dim or sorted(n % 4 for n in given.dim) != [2, 3]:
        return None
    pooled = tracer.add(node, "adaptive average pool", [source], shape=(shape[0], 1, 1))
    return tracer.add(node, "reshape", [pooled])


def _lstm(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    layers, hidden, weights = given.num_layers, given.hx, given.params
    zero = all(isinstance(each, Tensor) and not bool(each.any()) for each in hidden)
    per_layer = 4 if given.has_biases else 2
    known = zero and given.batch_first and not given.bidirectional and not given.train
    if not known or len(weights) != per_layer * layers:  # more weights: the state is projected
        return None
    steps = tracer.trace.layers[given.input].shape[0]
    last: _LAYER | None = given.input
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


def _select(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    """A step of [N, steps, features], or the last state of a recurrent layer."""
    source, dim, index = given.self, given.dim, given.index
    if isinstance(source, States) and dim == 0:
        source, dim, index = source.outputs[index], 1, -1
    shape = tracer.trace.layers[source].shape if isinstance(source, int) else ()
    if len(shape) != 2 or dim not in (1, -2):
        return None
    return tracer.add(node, "step", [source], {"index": index % shape[0]})


def _embedding(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    source = given.indices
    if not isinstance(source, int) or tracer.trace.layers[source].kind != "digit":
        return None
    return tracer.add(node, "embedding", [source], weight=given.weight[:10])


def _one_hot(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    source = given.self  # the input has this form already
    known = isinstance(source, int) and tracer.trace.layers[source].kind == "digit"
    return source if known and given.num_classes == 10 else None


def _concatenation(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    return tracer.add(node, "concatenation", given.tensors) if given.dim == 1 else None


def _sum(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    inputs = [given.self, given.other]
    # A number that the net adds is an int, too, but no layer.
    if not all(isinstance(each, fx.Node) for each in node.args[:2]) or given.alpha != 1:
        return None
    shapes = {tracer.trace.layers[each].shape for each in inputs}
    return tracer.add(node, "sum", inputs) if len(shapes) == 1 else None


def _reshape(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    return tracer.add(node, "reshape", [_first(given)])


def _unchanged(tracer: _Tracer, node: fx.Node, given: Arguments) -> _Value | None:
    """The input itself, if the operation changes neither its numbers nor its shape."""
    if getattr(given, "train", False):
        return None
    source = _first(given)
    same = isinstance(source, int) and tracer.trace.layers[source].shape == tracer.shape(node)
    return source if same and node.meta["val"].dtype.is_floating_point else None


# Handlers by the operation's name, without the underscore of one that works in place.
_OPERATIONS: dict[str, _Handler] = {
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
