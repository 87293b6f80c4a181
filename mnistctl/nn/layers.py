"""Layers that torch.nn does not have."""

import torch
from torch import Tensor, nn


class LastStep(nn.Module):
    """Selects the last time step of a recurrent layer's output."""

    def forward(self, outputs: tuple[Tensor, object]) -> Tensor:
        """The output at the last step.

        Args:
            outputs: what a recurrent layer with `batch_first` returns: outputs [N, steps, features], states.

        Returns:
            [N, features].
        """
        return outputs[0][:, -1]


class ConditionedNet(nn.Module):
    """A net with a second input, a condition, that is embedded and joined to the first as extra channels.

    The attributes are called `second` and `trunk` because keys of saved weights start with these names.

    Args:
        second: embeds the condition: [N] to [N, D, H, W].
        trunk: the net, with C + D input channels.
    """

    def __init__(self, second: nn.Module, trunk: nn.Module) -> None:
        super().__init__()
        self.second = second
        self.trunk = trunk

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """The output of `trunk` for x [N, C, H, W] and the condition [N]."""
        outputs: Tensor = self.trunk(torch.cat((x, self.second(condition)), 1))
        return outputs
