"""What torch.nn lacks."""

import torch
from torch import Tensor, nn


class LastStep(nn.Module):
    """The output of a recurrent layer at its last step."""

    def forward(self, outputs: tuple[Tensor, object]) -> Tensor:
        """([N, steps, features], the states) of a layer with `batch_first` to [N, features]."""
        return outputs[0][:, -1]


class ConditionedNet(nn.Module):
    """A net with a second input: what `second` makes of it joins the channels that `trunk` is given."""

    def __init__(self, second: nn.Module, trunk: nn.Module) -> None:
        super().__init__()
        self.second = second
        self.trunk = trunk

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        """x [N, C, H, W] and `given`, of which `second` makes [N, D, H, W]; what `trunk` makes of both."""
        outputs: Tensor = self.trunk(torch.cat((x, self.second(given)), 1))
        return outputs
