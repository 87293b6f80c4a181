"""Layers that torch.nn does not have."""

import torch

from mnistctl.nn.layers import LastStep


def test_last_step_selects_the_last_step():
    outputs = torch.arange(24.0).view(2, 3, 4)
    assert LastStep()((outputs, None)).tolist() == [[8, 9, 10, 11], [20, 21, 22, 23]]
