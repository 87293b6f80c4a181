"""Descriptions of nets: they are those of the net, and have the smallest weights that give its outputs."""

import base64
import json

import numpy as np
import pytest
import torch
from page_nets import normalized, some_digits, trained
from torch import nn

from mnistctl.data.likeness import View
from mnistctl.errors import CheckpointError
from mnistctl.inference.confidence import temperature_of
from mnistctl.pages.computing import compute
from mnistctl.pages.description import describe_classifier, describe_generator
from mnistctl.pages.layers import UnknownLayerError


def scaled(factor):
    """A linear classifier with weights of this size."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    net[1].weight.data.mul_(factor)
    return net


def describe(net):
    return describe_classifier(net, some_digits(40), model="own")


def test_numbers_are_float16_where_no_logit_changes_by_more_than_two_hundredths():
    small, large = describe(scaled(1)), describe(scaled(200))
    assert small.numbers.dtype == np.float16
    assert 0 < small.difference <= 0.02
    assert large.numbers.dtype == np.float32
    logits = scaled(200)(normalized(some_digits(40))).detach()
    halved = scaled(200).half().float()(normalized(some_digits(40))).detach()
    assert (logits - halved).abs().max() > 0.02


def test_a_number_that_float16_cannot_hold_gives_float32():
    net = scaled(1)
    net[1].weight.data[0, 0] = 1e5  # of a pixel that is always black
    assert describe(net).numbers.dtype == np.float32


def test_the_json_has_all_numbers_and_says_where_each_layer_has_its_own():
    described = describe(trained("conv"))
    value = json.loads(json.dumps(described.to_json()))
    assert (value["format"], value["kind"], value["model"]) == (1, "classifier", "own")
    weights = value["weights"]
    numbers = np.frombuffer(base64.b64decode(weights["data"]), weights["type"])
    assert len(numbers) == weights["count"] == 431080
    spans = [
        (place["offset"], place["offset"] + int(np.prod(place["shape"])))
        for layer in value["layers"]
        for place in layer["weights"].values()
    ]
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == len(numbers)
    first = value["layers"][1]["weights"]["weight"]
    own = trained("conv")[0].weight.detach().numpy()
    np.testing.assert_array_equal(numbers[: own.size].reshape(first["shape"]), own.astype(np.float16))


def test_the_temperature_and_the_view_are_in_the_description():
    view = View(inverted=True, turned="mirrored from left to right")
    described = describe_classifier(trained("conv"), some_digits(20), model="conv", view=view).to_json()
    assert described["temperature"] == temperature_of("conv") != 1
    assert described["view"]["inverted"] is True
    assert described["view"]["order"][:3] == [27, 26, 25]
    assert describe(scaled(1)).to_json()["view"] == {"inverted": False, "order": None}


def test_batch_norm_becomes_a_scale_and_a_shift_and_stays_a_layer():
    described = describe_generator(trained("cgan"), model="cgan")
    assert [layer.kind for layer in described.layers].count("batch norm") == 3
    norm = next(layer for layer in described.layers if layer.kind == "batch norm")
    assert {name: place.shape for name, place in norm.weights.items()} == {"scale": (256,), "shift": (256,)}


def test_a_net_whose_description_gives_something_else_is_refused():
    class Changing(nn.Module):
        """Its forward pass changes a view of what it uses afterwards."""

        def __init__(self):
            super().__init__()
            self.out = nn.Linear(784, 10)

        def forward(self, x):
            x = self.out(x.flatten(1))
            x.view(-1, 10, 1).relu_()
            return x

    with pytest.raises(UnknownLayerError, match="layer by layer, its output differs by"):
        describe(Changing())


def test_outputs_that_are_not_finite_are_reported():
    net = scaled(1)
    net[1].bias.data[3] = torch.inf
    with pytest.raises(CheckpointError, match="outputs are not finite"):
        describe(net)


def test_every_layer_has_the_output_that_the_net_has_there():
    net = trained("conv")
    described = describe(net)
    pixels = normalized(some_digits(3))
    outputs = compute(described.layers, torch.from_numpy(described.numbers).float(), [pixels])
    for layer, found in zip(described.layers, outputs, strict=True):
        if layer.name.isdigit():
            expected = net[: int(layer.name) + 1](pixels)
            torch.testing.assert_close(found, expected, rtol=0, atol=0.02)


def test_an_unknown_layer_is_reported_with_the_name_of_the_model():
    net = nn.Sequential(nn.Flatten(1, 2), nn.GRU(28, 10))
    with pytest.raises(UnknownLayerError, match=r"^own: a page cannot compute the layer 1, GRU\(28, 10\)$"):
        describe(net)
