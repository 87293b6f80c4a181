"""The fast dropout is dropout."""

import pytest
import torch

from mnistctl.layers import Dropout


@pytest.mark.parametrize("p", [0.5, 0.2, 0.9])
def test_a_mask_drops_with_the_asked_probability(p):
    torch.manual_seed(1)
    x = torch.ones(400, 5, 20, 20)
    mask = Dropout(p).mask(x)
    values = mask.unique()
    assert values.numel() == 2
    assert values[0] == 0
    assert float(values[1]) == pytest.approx(1 / (1 - p))
    share = float((mask == 0).float().mean())
    assert abs(share - p) < 5 * (p * (1 - p) / x.numel()) ** 0.5 + 2**-16


def test_neighbouring_draws_are_independent():
    torch.manual_seed(2)
    kept = (Dropout(0.5).mask(torch.ones(1_000_000)) > 0).float() - 0.5
    for lag in (1, 2, 7, 8, 64):
        assert abs(float((kept[lag:] * kept[:-lag]).mean() * 4)) < 0.005


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_mask_has_the_memory_layout_and_statistics_whatever_the_layout(layout):
    torch.manual_seed(3)
    x = torch.ones(100, 6, 24, 24).contiguous(memory_format=layout)
    mask = Dropout(0.5).mask(x)
    assert mask.stride() == x.stride()
    for dims in ((0, 1, 2), (0, 2, 3), (1, 2, 3)):
        assert float((mask.mean(dim=dims) - 1).abs().max()) < 0.12


def test_a_seed_means_one_mask_and_evaluation_means_none():
    layer, x = Dropout(0.2), torch.randn(1000)
    torch.manual_seed(4)
    first = layer(x)
    torch.manual_seed(4)
    assert torch.equal(first, layer(x))
    assert torch.equal(layer.eval()(x), x)
