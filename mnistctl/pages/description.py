"""Descriptions of trained nets: checked against the net, with weights as small as they may be."""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistctl.artifacts.grids import ImageArray
from mnistctl.data.batches import Digits
from mnistctl.data.likeness import AS_THEY_ARE, TURNS, View
from mnistctl.errors import CheckpointError
from mnistctl.inference.confidence import temperature_of
from mnistctl.inference.forward import compute_image_logits
from mnistctl.models.recipe import NOISE_SIZE
from mnistctl.nn.layers import ConditionedNet
from mnistctl.pages.computing import compute
from mnistctl.pages.layers import FORMAT, Layer, UnknownLayerError
from mnistctl.pages.tracing import Trace, trace

MAX_DIFFERENCE = 0.02  # of a logit; weights that change one by more are not rounded to float16
MAX_GREYS = 1.0  # of a generator's pixel, of 255
_EXACT = 1e-4  # of the largest output, at least 1: what may differ because sums are in another order
_BATCH_SIZE = 100
_IMAGES = 20  # that show whether a description is that of its net


@dataclass(frozen=True)
class NetDescription:
    """A net as `net.js` computes it; the docstring of `layers.py` explains the fields of its JSON.

    Args:
        kind: classifier or generator.
        model: the model's name.
        layers: in the order in which they are computed.
        numbers: the numbers of the layers, float32 or float16 [count].
        difference: by how much the rounding of the numbers changes an output at most, over all that were
            compared: logits, or greys from 0 to 255.
        temperature: what logits are divided by before they become probabilities.
        view: how a picture that is prepared as MNIST's digits must be seen.
    """

    kind: str
    model: str
    layers: tuple[Layer, ...]
    numbers: NDArray[Any]
    difference: float
    temperature: float = 1.0
    view: View = AS_THEY_ARE

    def to_json(self) -> dict[str, object]:
        """The description as values that `json.dumps` accepts."""
        places = TURNS[self.view.turned](np.arange(784).reshape(28, 28))
        content = self.numbers.astype(self.numbers.dtype.newbyteorder("<")).tobytes()
        return {
            "format": FORMAT,
            "kind": self.kind,
            "model": self.model,
            "temperature": self.temperature,
            "view": {
                "inverted": self.view.inverted,
                "order": places.ravel().tolist() if self.view.turned else None,
            },
            "layers": [asdict(layer) for layer in self.layers],
            "weights": {
                "type": str(self.numbers.dtype),
                "count": len(self.numbers),
                "difference": self.difference,
                "data": base64.b64encode(content).decode(),
            },
        }


def describe_classifier(
    net: nn.Module,
    images: ImageArray,
    *,
    model: str,
    view: View = AS_THEY_ARE,
    max_difference: float = MAX_DIFFERENCE,
) -> NetDescription:
    """The description of a classifier. It gives the net's logits for the images.

    Args:
        net: the net; it is on the CPU and in evaluation mode afterwards.
        images: digits to compare logits on, uint8 [N, 28, 28].
        model: the model's name.
        view: how a picture that is prepared as MNIST's digits must be seen to look like the training digits.
        max_difference: by how much rounding to float16 may change a logit; 0 for float32.

    Raises:
        UnknownLayerError: the net has a layer, or a forward pass, that a page cannot compute.
        CheckpointError: the logits are not finite.
    """
    traced = _trace(model, net, pixels=torch.zeros(1, 28, 28))
    logits = compute_image_logits(net, images)
    labels = torch.zeros(len(images), dtype=torch.int64)
    pixels, _ = Digits(torch.from_numpy(images).unsqueeze(1), labels).take(slice(None))
    numbers, difference = _Comparison(model, traced, [pixels], logits).choose_numbers(max_difference)
    return NetDescription(
        "classifier", model, tuple(traced.layers), numbers, difference, temperature_of(model), view
    )


def describe_generator(net: nn.Module, *, model: str, max_difference: float = MAX_GREYS) -> NetDescription:
    """The description of a generator. It gives the net's images.

    Args:
        net: the net; it is on the CPU and in evaluation mode afterwards.
        model: the model's name.
        max_difference: by how much rounding to float16 may change a grey, of 255; 0 for float32.

    Raises:
        UnknownLayerError: the net has a layer, or a forward pass, that a page cannot compute.
        CheckpointError: the pixels are not finite.
    """
    noise = torch.randn(_IMAGES, NOISE_SIZE, 1, 1, generator=torch.Generator().manual_seed(0))
    digits = torch.arange(_IMAGES) % 10
    if isinstance(net, ConditionedNet):
        traced = _trace(model, net, noise=noise[0], digit=digits[0])
        inputs, described = [noise, digits], [noise, F.one_hot(digits, 10).float()]
    else:
        traced = _trace(model, net, noise=noise[0])
        inputs = described = [noise]
    with torch.inference_mode():
        pixels = net(*inputs)
    compared = _Comparison(model, traced, described, pixels, 127.5)
    numbers, difference = compared.choose_numbers(max_difference)
    return NetDescription("generator", model, tuple(traced.layers), numbers, difference)


def _trace(model: str, net: nn.Module, **inputs: Tensor) -> Trace:
    """The layers of a net, as `trace`; an error begins with the name of the model."""
    try:
        return trace(net, **inputs)
    except UnknownLayerError as error:
        raise UnknownLayerError(f"{model}: {error.message}") from None


@dataclass(frozen=True)
class _Comparison:
    """The outputs of a net and those of its description.

    Args:
        model: the model's name.
        traced: the net's layers.
        inputs: as `compute` takes them.
        expected: the net's outputs, [N, ...].
        unit: what outputs are multiplied by.
    """

    model: str
    traced: Trace
    inputs: Sequence[Tensor]
    expected: Tensor
    unit: float = 1.0

    def choose_numbers(self, largest: float) -> tuple[NDArray[Any], float]:
        """The numbers: float16 if this changes no output by more than `largest`, else float32.

        Returns:
            The numbers, and the largest difference of an output.

        Raises:
            CheckpointError: the net's outputs are not finite.
            UnknownLayerError: the description does not give the net's outputs.
        """
        if not bool(self.expected.isfinite().all()):
            raise CheckpointError(f"{self.model}: the outputs are not finite", remedies=["retrain"])
        numbers = self.traced.numbers
        exact = self.difference(numbers, _IMAGES)
        if not exact <= _EXACT * max(1.0, self.unit * float(self.expected.abs().max())):
            message = f"a page cannot compute this net: layer by layer, its output differs by {exact:.2g}"
            raise UnknownLayerError(f"{self.model}: {message}")
        half = numbers.half()
        rounded = self.difference(half.float())
        if rounded <= largest:  # false if a number is too large for float16
            return half.numpy(), rounded
        return numbers.numpy(), exact

    def difference(self, numbers: Tensor, count: int | None = None) -> float:
        """By how much an output differs at most if these are the numbers; infinity if one is not finite.

        Args:
            numbers: of the layers.
            count: how many inputs are compared; all if None.
        """
        found = []
        with torch.inference_mode():
            for batch in zip(*(each[:count].split(_BATCH_SIZE) for each in self.inputs), strict=True):
                found.append(compute(self.traced.layers, numbers, batch)[-1])
        differences = (torch.cat(found) - self.expected[:count]).abs() * self.unit
        return float(differences.nan_to_num(torch.inf).max())
