"""A trained net as layers of a description: its forward pass is recorded once, operation by operation."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace as Arguments
from typing import Any

import torch
from torch import Tensor, fx, nn

from mnistctl.inference.export import describe_failure, quiet_exporter
from mnistctl.pages.layers import Layer, Settings, UnknownLayerError, Weight
from mnistctl.pages.operations import OPERATIONS, LayerIndex, Value

_BATCH = 3  # images while recording: the first number of every shape, unlike a 1 that shapes may have anyway


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
        inputs: Iterable[LayerIndex],
        shape: Iterable[int],
        settings: Settings | None = None,
        **weights: Tensor | None,
    ) -> LayerIndex:
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
    return Tracer(net, _record(net, batch), list(inputs)).run()


def _record(net: nn.Module, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    try:
        with quiet_exporter():
            return torch.export.export(net, inputs, strict=False)
    except Exception as error:  # noqa: BLE001 - torch raises errors of many types here
        reason = f"its forward pass cannot be recorded ({describe_failure(error)})"
        raise UnknownLayerError(f"a page cannot compute {type(net).__name__}: {reason}") from None


class Tracer:
    """Turns the recorded operations of a net into layers."""

    def __init__(self, net: nn.Module, program: torch.export.ExportedProgram, kinds: list[str]) -> None:
        self.net = net
        self.program = program
        self.kinds = kinds
        self.trace = Trace()
        self.values: dict[fx.Node, Value] = {}

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

    def value(self, node: fx.Node) -> Value:
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
        handle = OPERATIONS.get(name) or OPERATIONS.get(_operation(node).removesuffix("_"))
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
    ) -> LayerIndex | None:
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


def _operation(node: fx.Node) -> str:
    """The name of an operation, as `relu_` for aten.relu_.default."""
    return str(node.target).removeprefix("aten.").partition(".")[0]
