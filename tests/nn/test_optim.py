"""Optimizers are made with fused steps, and stepped with what users add to them."""

import functools

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adagrad, AdamW

from mnistctl.nn.lamb import LAMB
from mnistctl.nn.optim import make_optimizer, optimizer_step


@pytest.fixture
def params():
    weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    return weights


def test_hooks_of_a_step_are_called(params):
    calls = []
    optimizer = make_optimizer(LAMB, params)
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer_step(optimizer)
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    optimizer_step(optimizer)
    assert calls == ["before", "before", "after"]
    assert not params[0].equal(torch.ones(2))


@pytest.mark.parametrize("of_class", [True, False])
def test_replaced_steps_are_called(of_class, params):
    calls = []

    @functools.wraps(LAMB.step)
    def step(*_):
        calls.append("own")

    optimizer = make_optimizer(type("Own", (LAMB,), {"step": step}) if of_class else LAMB, params)
    if not of_class:
        optimizer.step = step
    optimizer_step(optimizer)
    assert calls == ["own"]


def test_function_that_makes_an_optimizer_gets_a_list(params):
    optimizer = make_optimizer(lambda p: SGD([{"params": p[:1]}, {"params": p[1:]}], lr=0.1), iter(params))
    assert [group["params"] for group in optimizer.param_groups] == [params[:1], params[1:]]


def test_steps_are_fused_except_for_complex_numbers(params):
    complex_one = nn.Parameter(torch.ones(2, dtype=torch.cfloat))
    assert make_optimizer(AdamW, params).param_groups[0]["fused"]
    assert not make_optimizer(AdamW, [*params, complex_one]).param_groups[0]["fused"]


def test_adagrad_is_fused_on_the_cpu_only(params):
    elsewhere = [nn.Parameter(torch.ones(2, device="meta"))]
    assert make_optimizer(Adagrad, params).param_groups[0]["fused"]
    assert not make_optimizer(Adagrad, elsewhere).param_groups[0]["fused"]
    assert make_optimizer(AdamW, elsewhere).param_groups[0]["fused"]
