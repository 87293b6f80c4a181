"""What is saved of an optimizer, and put back into another one."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import Adam, Optimizer

from mnistctl.errors import UsageError
from mnistctl.nn.lamb import LAMB
from mnistctl.nn.optim import make_optimizer, optimizer_step
from mnistctl.training.state import has_finite_values, optimizer_state, restore_optimizer_state


class Slowing(Optimizer):
    """Counts its steps in the parameter groups."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.1, "steps": 0, "total": torch.zeros(2), "on": True, "name": "x"})

    def step(self, closure=None):
        for group in self.param_groups:
            group["steps"] += 1
            group["total"] = group["total"] + 1
            group["later"] = 0.5
            for param in group["params"]:
                param.sub_(param.grad, alpha=group["lr"] / group["steps"])


@pytest.fixture
def params():
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    return [weight]


def test_numbers_in_the_groups_of_an_own_optimizer_are_restored(params):
    first, second, old = (make_optimizer(Slowing, params) for _ in range(3))
    optimizer_step(first)
    optimizer_step(first)
    state = {name: tensor.clone() for name, tensor in optimizer_state(first).items()}
    assert sorted(state) == [f"group.0.{name}" for name in ("later", "on", "steps", "total")]
    restore_optimizer_state(second, Slowing, params, state, stepped=True)
    restored = second.param_groups[0]
    assert (restored["steps"], restored["later"], restored["on"]) == (2, 0.5, True)
    assert restored["total"].tolist() == [2, 2]
    restore_optimizer_state(old, Slowing, params, {}, stepped=True)  # as earlier versions saved it
    assert old.param_groups[0]["steps"] == 0
    with pytest.raises(KeyError, match=r"group\.1\.steps"):
        restore_optimizer_state(old, Slowing, params, {"group.1.steps": torch.tensor(1)}, stepped=True)


def test_optimizer_whose_step_must_be_fused_is_restored(params):
    create = partial(Adam, capturable=True)  # on a CPU only a fused step takes it
    first, second = (make_optimizer(create, params) for _ in range(2))
    optimizer_step(first)
    state = {name: tensor.clone() for name, tensor in optimizer_state(first).items()}
    restore_optimizer_state(second, create, params, state, stepped=True)
    restored = optimizer_state(second)
    assert restored.keys() == state.keys()
    assert all(restored[name].equal(state[name]) for name in state)


def test_groups_are_saved_only_where_steps_may_change_them(params):
    optimizer = make_optimizer(LAMB, params)
    optimizer_step(optimizer)
    assert sorted(optimizer_state(optimizer)) == ["0.first", "0.second", "0.step"]
    optimizer.register_step_pre_hook(lambda *_: None)
    assert "group.0.weight_decay" in optimizer_state(optimizer)


def test_weights_and_saved_buffers_of_a_net_must_be_finite():
    net = nn.Module()
    net.whole = nn.Parameter(torch.arange(3), requires_grad=False)
    net.complex = nn.Parameter(torch.ones(2, dtype=torch.cfloat))
    net.register_buffer("mask", torch.full((2,), -torch.inf), persistent=False)
    net.register_buffer("mean", torch.zeros(2))
    assert has_finite_values(net)
    net.mean[0] = torch.inf
    assert not has_finite_values(net)
    net.mean[0] = 1e30
    assert has_finite_values(net)
    net.weight = nn.Parameter(torch.tensor([1.0, torch.nan]))
    assert not has_finite_values(net)


class Remembering(torch.optim.SGD):
    """Keeps a list for each parameter."""

    def step(self, closure=None):
        super().step(closure)
        self.state[self.param_groups[0]["params"][0]]["history"] = ["x"]


def test_list_in_the_state_of_an_optimizer_is_a_usage_error(params):
    optimizer = make_optimizer(Remembering, params)
    optimizer_step(optimizer)
    with pytest.raises(UsageError, match="keeps a list, history; only tensors and numbers can be saved"):
        optimizer_state(optimizer)
