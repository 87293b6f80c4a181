"""The written-out gradients of linear layers are those of autograd."""

import itertools
import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnistctl.models import linear, logit
from mnistctl.nn.fusion import optimize_for
from mnistctl.nn.perceptron import find_perceptron

CPU = torch.device("cpu")


def stack(widths):
    """Linear layers of these widths with relus between them."""
    layers = [nn.Flatten()]
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def assert_gradients_are_those_of_autograd(net, x, y, label_smoothing):
    loss = F.cross_entropy(net(x), y, label_smoothing=label_smoothing)
    expected = torch.autograd.grad(loss, list(net.parameters()))
    result = find_perceptron(net).backward(x, y, label_smoothing)
    torch.testing.assert_close(result, loss.detach(), rtol=1e-5, atol=1e-6)
    for param, grad in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(param.grad, grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_gradients_of_random_stacks_are_those_of_autograd(seed):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    net = stack([784, *(rng.randint(1, 90) for _ in range(rng.randint(0, 4))), 10])
    count = rng.choice([1, 2, 37, 100])
    x, y = torch.rand(count, 1, 28, 28) * 2 - 1, torch.randint(10, (count,))
    assert_gradients_are_those_of_autograd(net, x, y, rng.choice([0.0, 0.1, 1.0]))


@pytest.mark.parametrize("model", [logit, linear])
def test_recipes_of_linear_layers_have_them(model):
    torch.manual_seed(0)
    net = optimize_for(model.net(), CPU)
    x, y = torch.rand(100, 1, 28, 28) * 2 - 1, torch.randint(10, (100,))
    assert_gradients_are_those_of_autograd(net, x, y, 0.0)


def test_very_large_logits_do_not_overflow():
    net = stack([784, 10])
    with torch.no_grad():
        net[1].weight.mul_(1e5)
    assert_gradients_are_those_of_autograd(net, torch.ones(3, 1, 28, 28), torch.tensor([0, 5, 9]), 0.1)


def shared():
    layer = nn.Linear(784, 784)
    return nn.Sequential(nn.Flatten(), layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(784, 10))


def frozen():
    net = stack([784, 20, 10])
    net[1].weight.requires_grad_(False)
    return net


def hooked():
    net = stack([784, 20, 10])
    net[1].register_forward_hook(lambda *_: None)
    return net


def hooked_parameter():
    net = stack([784, 20, 10])
    net[1].weight.register_hook(lambda grad: grad * 2)
    return net


def own_forward(position):
    net = stack([784, 20, 10])
    layer = net if position is None else net[position]
    forward = layer.forward
    layer.forward = lambda x: forward(x) * 2
    return net


class Doubled(nn.Linear):
    def forward(self, x):
        return super().forward(x) * 2


class Subclass(nn.Sequential):
    def forward(self, x):
        return super().forward(x) * 2


OTHERS = {
    "convolution": lambda: nn.Sequential(nn.Conv2d(1, 10, 28), nn.Flatten()),
    "dropout": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Dropout(), nn.Linear(10, 10)),
    "tanh": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 9), nn.Tanh(), nn.Linear(9, 10)),
    "relu at the end": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.ReLU()),
    "no relu": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 9), nn.Linear(9, 10)),
    "no bias": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10, bias=False)),
    "other rows": lambda: nn.Sequential(nn.Flatten(2), nn.Linear(784, 10)),
    "no layers": lambda: nn.Sequential(),
    "double precision": lambda: stack([784, 10]).double(),
    "own linear layer": lambda: nn.Sequential(nn.Flatten(), Doubled(784, 10)),
    "own sequence": lambda: Subclass(nn.Flatten(), nn.Linear(784, 10)),
    "one layer": lambda: nn.Linear(784, 10),
    "shared layer": shared,
    "frozen parameter": frozen,
    "hook": hooked,
    "hook of a parameter": hooked_parameter,
    "forward pass of a layer": lambda: own_forward(1),
    "forward pass of a relu": lambda: optimize_for(own_forward(2), CPU),
    "forward pass of the net": lambda: own_forward(None),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_nets_are_left_to_autograd(name):
    assert find_perceptron(OTHERS[name]()) is None
