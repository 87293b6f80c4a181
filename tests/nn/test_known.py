"""Which classes and functions are torch's or mnistctl's."""

from functools import partial

import pytest
import torch
from torch import nn

from mnistctl.nn.known import is_known
from mnistctl.nn.lamb import LAMB


class Own(torch.optim.SGD):
    """A user's own, whose base class is torch's."""


@pytest.mark.parametrize(
    ("kind", "package", "known"),
    [
        (torch.optim.SGD, "torch.optim", True),
        (partial(torch.optim.SGD, momentum=0.9), "torch.optim", True),
        (LAMB, "torch.optim", True),
        (Own, "torch.optim", False),
        (partial(Own, momentum=0.9), "torch.optim", False),
        (lambda params: torch.optim.SGD(params), "torch.optim", False),
        (nn.Linear, "torch.nn", True),
        (nn.Linear, "torch.optim", False),
        (object(), "torch.nn", False),
    ],
)
def test_kind_is_known_where_it_is_defined_and_not_by_what_it_extends(kind, package, known):
    assert is_known(kind, package) == known
