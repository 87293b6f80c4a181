"""Which parts of a net are replaced, moved to another memory format, or fed in micro-batches."""

import copy

import pytest
import torch
from torch import nn

from mnistctl.nn.fusion import FusedReLU, dropout_mask, micro_batch_size, optimize_for

CPU = torch.device("cpu")


class Skip(nn.Module):
    """Uses the output of a convolution twice, before and after its relu."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(4 * 28 * 28, 10)

    def forward(self, x):
        before = self.layers[0](x)
        after = self.layers[1](before)
        return self.head((before + after).view(len(x), -1))  # `view` needs contiguous memory


class Flat(nn.Module):
    """Flattens with `view`, as many tutorials do."""

    def forward(self, x):
        return x.view(len(x), -1)


@pytest.mark.parametrize(
    "net",
    [Skip(), nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), Flat(), nn.Linear(4 * 26 * 26, 10))],
    ids=["a skip connection", "a layer that calls view"],
)
def test_a_net_with_own_layers_gives_the_same_logits_and_gradients(net):
    x = torch.linspace(-1, 1, 2 * 784).view(2, 1, 28, 28)
    optimized = optimize_for(copy.deepcopy(net), CPU)
    torch.testing.assert_close(optimized(x), net(x))
    for each in (net, optimized):
        each.zero_grad()
        each(x).square().sum().backward()
    for mine, theirs in zip(optimized.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_stacks_inside_of_an_own_module_are_left_alone():
    assert not any(isinstance(module, FusedReLU) for module in optimize_for(Skip(), CPU).modules())
    stack = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.Flatten())
    assert any(isinstance(module, FusedReLU) for module in optimize_for(stack, CPU).modules())


class Gate(nn.Linear):
    """Its gradient depends on its output."""

    def forward(self, x):
        return super().forward(x).sigmoid()


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Unflatten(1, (1, 1)), nn.Conv3d(1, 2, (1, 5, 5)), nn.Conv3d(2, 1, 1)),
        nn.Sequential(nn.Flatten(), Gate(784, 3), nn.ReLU()),
    ],
    ids=["five dimensions", "a subclass of a layer"],
)
def test_a_net_that_cannot_be_optimized_stays_as_it_is(net):
    x = torch.linspace(-1, 1, 2 * 784).view(2, 1, 28, 28)
    expected = net(x)
    found = optimize_for(net, CPU)(x)
    assert torch.equal(found, expected)
    found.sum().backward()


def test_dropout_of_almost_all_elements_is_not_fused():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Dropout(0.999995))
    assert type(optimize_for(net, CPU)[2]) is nn.Dropout
    assert dropout_mask(torch.ones(1000), 0.999995).float().mean() > 0.99


def test_a_net_with_own_layers_sees_whole_batches():
    convolutions = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))
    assert micro_batch_size(convolutions, 1000, CPU) == 200
    assert micro_batch_size(Skip(), 1000, CPU) == 1000


@pytest.mark.parametrize("index", range(4))
def test_layers_with_hooks_are_not_replaced(index):
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Dropout(0.0), nn.Linear(4, 2))
    net[index].register_forward_hook(lambda _module, _inputs, output: output * 2)
    x = torch.randn(5, 4)
    expected = net(x)
    torch.testing.assert_close(optimize_for(copy.deepcopy(net), torch.device("cpu"))(x), expected)


def test_a_hook_keeps_the_output_before_the_relu():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    kept = []
    net[0].register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    optimize_for(net, torch.device("cpu"))(torch.randn(5, 4))
    assert (kept[0] < 0).any()
