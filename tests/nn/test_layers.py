"""Fused layers compute the same function and gradient as separate ones; dropout masks are random."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnistctl.nn.fusion import FusedReLU, dropout_mask, optimize_for
from mnistctl.nn.layers import LastStep

CPU = torch.device("cpu")


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


def test_last_step_selects_the_last_step():
    outputs = torch.arange(24.0).view(2, 3, 4)
    assert LastStep()((outputs, None)).tolist() == [[8, 9, 10, 11], [20, 21, 22, 23]]
