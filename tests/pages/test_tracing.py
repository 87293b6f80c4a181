"""What nets a page can compute, and what is said about others."""

import pytest
import torch
import torch.nn.functional as F
from page_nets import trained
from torch import nn

from mnistctl.errors import MnistctlError
from mnistctl.models import CLASSIFIERS, load_classifier
from mnistctl.pages.layers import UnknownLayerError
from mnistctl.pages.tracing import trace

PIXELS = torch.zeros(1, 28, 28)


def kinds(net, **inputs):
    return [layer.kind for layer in trace(net, **(inputs or {"pixels": PIXELS})).layers]


def forward(function, **layers):
    """A net with these layers and this forward pass."""

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            for name, layer in layers.items():
                setattr(self, name, layer)

        def forward(self, x):
            return function(self, x)

    return Own()


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_every_classifier_can_be_computed(name):
    net = load_classifier(name).net()
    traced = trace(net, pixels=PIXELS)
    assert traced.layers[-1].shape == (10,)
    learned = sum(param.numel() for param in net.parameters())
    shared = 2 * 512 if name == "lstm" else 0  # the two biases of each layer are one
    assert traced.count == learned - shared == len(traced.numbers)


def test_layers_have_the_names_and_arguments_that_they_have_in_the_net():
    layers = trace(trained("conv"), pixels=PIXELS).layers
    assert [(layer.name, layer.title, layer.shape) for layer in layers[:4]] == [
        ("pixels", "pixels", (1, 28, 28)),
        ("0", "Conv2d(1, 20, kernel_size=(5, 5), stride=(1, 1))", (20, 24, 24)),
        ("1", "ReLU()", (20, 24, 24)),
        ("3", "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)", (20, 12, 12)),
    ]
    names = [layer.name for layer in trace(load_classifier("lstm").net(), pixels=PIXELS).layers]
    assert names == ["pixels", "0", "1, layer 1", "1, layer 2", "2", "3"]


def test_what_changes_nothing_is_left_out():
    net = nn.Sequential(nn.Dropout(0.5), nn.Flatten(), nn.Identity(), nn.Linear(784, 10), nn.Dropout(0.5))
    assert kinds(net) == ["pixels", "reshape", "linear"]


def test_functions_and_methods_are_the_same_as_modules():
    net = forward(lambda own, x: F.relu(own.out(x.view(-1, 784))).relu_(), out=nn.Linear(784, 10))
    assert kinds(net) == ["pixels", "reshape", "linear", "relu", "relu"]
    layers = trace(net, pixels=PIXELS).layers
    assert len({layer.name for layer in layers}) == len(layers)


def test_a_layer_that_is_used_twice_is_two_layers_with_names_of_their_own():
    net = forward(
        lambda own, x: own.out(own.same(own.same(x.flatten(1)))),
        same=nn.Linear(784, 784),
        out=nn.Linear(784, 10),
    )
    traced = trace(net, pixels=PIXELS)
    assert [layer.name for layer in traced.layers] == ["pixels", "reshape", "same", "same, 2", "out"]


def test_a_relu_in_place_changes_its_input():
    def own_forward(own, x):
        x = own.out(x.flatten(1))
        F.relu(x, inplace=True)
        return x

    traced = trace(forward(own_forward, out=nn.Linear(784, 10)), pixels=PIXELS)
    assert [layer.kind for layer in traced.layers] == ["pixels", "reshape", "linear", "relu"]


def test_the_last_state_of_an_lstm_is_its_last_step():
    net = forward(
        lambda own, x: own.out(own.lstm(x.squeeze(1))[1][0][-1]),
        lstm=nn.LSTM(28, 8, num_layers=2, batch_first=True),
        out=nn.Linear(8, 10),
    )
    assert kinds(net) == ["pixels", "reshape", "lstm", "lstm", "step", "linear"]


def test_a_digit_may_be_given_to_a_generator_as_one_hot():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(110, 784)

        def forward(self, noise, digit):
            joined = torch.cat((noise.flatten(1), F.one_hot(digit, 10).float()), 1)
            return self.out(joined).tanh().view(-1, 1, 28, 28)

    found = kinds(Own(), noise=torch.zeros(100, 1, 1), digit=torch.tensor(0))
    assert found == ["noise", "digit", "reshape", "concatenation", "linear", "tanh", "reshape"]


FLAT = nn.Linear(784, 10)
REFUSED = {
    "the layer 1, GRU(28, 8, batch_first=True)": nn.Sequential(
        nn.Flatten(1, 2), nn.GRU(28, 8, batch_first=True)
    ),
    "the layer 1, LSTM(28, 8, batch_first=True, bidirectional=True)": nn.Sequential(
        nn.Flatten(1, 2), nn.LSTM(28, 8, batch_first=True, bidirectional=True)
    ),
    "the layer 0, BatchNorm2d(1, ": (
        nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten(), FLAT)
    ),
    "the layer 1, LayerNorm((784,), ": nn.Sequential(nn.Flatten(), nn.LayerNorm(784), FLAT),
    "the layer 0, GELU(approximate='tanh')": nn.Sequential(nn.GELU(approximate="tanh"), nn.Flatten(), FLAT),
    "the operation matmul in the forward pass of Own": forward(
        lambda own, x: x.flatten(1) @ torch.ones(784, 10)
    ),
    "the operation add in the forward pass of Own": forward(
        lambda own, x: own.out(x.flatten(1)) + 100, out=FLAT
    ),
    "the operation mul in the forward pass of Own": forward(
        lambda own, x: own.out(2 * x.flatten(1)), out=FLAT
    ),
    "the operation view in the forward pass of Own": forward(
        lambda own, x: own.out(x.view(-1, 392).view(-1, 784)), out=FLAT
    ),
    "its forward pass cannot be recorded": forward(
        lambda own, x: own.out(x.flatten(1)) if x.sum() > 0 else own.out(x.flatten(1)) * 2, out=FLAT
    ),
    "it has several outputs": forward(lambda own, x: (own.out(x.flatten(1)), x), out=FLAT),
}


@pytest.mark.parametrize("named", REFUSED)
def test_a_net_that_a_page_cannot_compute_is_refused_with_the_layer(named, capfd):
    with pytest.raises(UnknownLayerError) as refused:
        trace(REFUSED[named], pixels=PIXELS)
    assert isinstance(refused.value, MnistctlError)
    assert refused.value.exit_code == 2
    message = str(refused.value)
    assert message.startswith("a page cannot compute ")
    assert named in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")  # torch prints nothing of its own
