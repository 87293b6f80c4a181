"""Fused layers: what they replace, that they compute the same, their dropout masks; and micro-batches."""

import copy

import pytest
import torch
import torch.nn.functional as F
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


@pytest.mark.parametrize("p", [0.5, 0.2, 0.9])
def test_dropout_mask_has_the_right_probability(p):
    torch.manual_seed(1)
    mask = dropout_mask(torch.ones(400, 5, 20, 20), p)
    assert mask.unique().tolist() == [0, 1]
    assert abs(float(mask.float().mean()) - p) < 5 * (p * (1 - p) / mask.numel()) ** 0.5 + 2**-17


@pytest.mark.parametrize("p", [0.5, 0.2])
def test_neighbouring_elements_of_a_mask_are_independent(p):
    torch.manual_seed(2)
    mask = dropout_mask(torch.ones(1_000_000), p).float() - p
    for lag in (1, 2, 7, 8, 64, 125_000):  # 125,000: the distance between the bits of one byte
        assert abs(float((mask[lag:] * mask[:-lag]).mean()) / (p * (1 - p))) < 0.005


@pytest.mark.parametrize("p", [0.5, 0.2])
def test_dropout_mask_does_not_depend_on_the_memory_format(p):
    masks = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(3)
        masks.append(dropout_mask(torch.ones(100, 6, 24, 24).contiguous(memory_format=layout), p))
    assert torch.equal(*masks)
    for dims in ((0, 1, 2), (0, 2, 3), (1, 2, 3)):
        assert float((masks[0].float().mean(dim=dims) - p).abs().max()) < 0.06


@pytest.mark.parametrize("p", [0.5, 0.2])
@pytest.mark.parametrize("pool_first", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_relu_equals_relu_dropout_and_pool_in_either_order(p, pool_first, dtype):
    torch.manual_seed(5)
    x = torch.randn(8, 3, 12, 12).to(dtype).requires_grad_()
    torch.manual_seed(6)
    fused = FusedReLU(p, 2, pool_first)(x.clone())
    torch.manual_seed(6)
    factor = 1 - dropout_mask(torch.empty(8, 3, 6, 6) if pool_first else x, p).to(dtype)
    if pool_first:
        separate = F.max_pool2d(F.relu(x), 2) * factor / (1 - p)
    else:
        separate = F.max_pool2d(F.relu(x) * factor, 2) / (1 - p)
    tolerance = {"rtol": 1e-6, "atol": 0} if dtype == torch.float32 else {"rtol": 0.01, "atol": 0}
    torch.testing.assert_close(fused, separate, **tolerance)
    weight = torch.randn(fused.shape).to(dtype)
    (one,) = torch.autograd.grad((fused * weight).sum(), x)
    (other,) = torch.autograd.grad((separate * weight).sum(), x)
    torch.testing.assert_close(one, other, **tolerance)


def test_seed_determines_the_mask_and_evaluation_has_none():
    layer, x = FusedReLU(0.2, None, False), torch.randn(1000)
    torch.manual_seed(4)
    first = layer(x.clone())
    torch.manual_seed(4)
    assert torch.equal(first, layer(x.clone()))
    assert torch.equal(layer.eval()(x.clone()), F.relu(x))


def test_only_layers_that_commute_are_fused():
    layers = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2),
        nn.Conv2d(4, 4, 3), nn.ReLU(), nn.MaxPool2d(3, stride=2), nn.Flatten(),
        nn.Linear(100, 9), nn.Tanh(), nn.ReLU(), nn.Dropout(0.5),
    )  # fmt: skip
    keys = list(layers.state_dict())
    optimized = optimize_for(copy.deepcopy(layers), CPU)
    kinds = [type(layer).__name__ for layer in optimized]
    assert kinds[2:5] == ["FusedReLU", "Identity", "Identity"]
    assert repr(optimized[2]) == "FusedReLU(p=0.2, pool=2, pool_first=True)"
    assert kinds[6:8] == ["FusedReLU", "MaxPool2d"]  # an overlapping pool is not fused
    assert kinds[11:] == ["ReLU", "Dropout"]  # the gradient of tanh needs its output
    assert list(optimized.state_dict()) == keys
    x = torch.randn(5, 1, 28, 28)
    torch.testing.assert_close(optimized.eval()(x), layers.eval()(x))


def test_nets_with_batch_norm_are_never_split_into_micro_batches():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    assert micro_batch_size(net, 1000, CPU) == 1000
