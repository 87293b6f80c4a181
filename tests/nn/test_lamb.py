"""LAMB compared with its formula in float64 NumPy."""

import numpy as np
import torch

from mnistctl.nn.lamb import LAMB


def reference(weights, gradients, steps, lr=0.01, decay=0.1, beta1=0.9, beta2=0.999, eps=1e-8):
    weights = [w.astype(np.float64) for w in weights]
    first = [np.zeros_like(w) for w in weights]
    second = [np.zeros_like(w) for w in weights]
    for t in range(1, steps + 1):
        norm = np.sqrt(sum((g**2).sum() for g in gradients[t - 1])) or 1.0
        for i, w in enumerate(weights):
            g = gradients[t - 1][i] / norm
            first[i] = beta1 * first[i] + (1 - beta1) * g
            second[i] = beta2 * second[i] + (1 - beta2) * g**2
            update = first[i] / (1 - beta1**t) / (np.sqrt(second[i] / (1 - beta2**t)) + eps) + decay * w
            a, b = np.linalg.norm(w), np.linalg.norm(update)
            weights[i] = w - lr * (min(1.0, a / b) if a > 0 and b > 0 else 1.0) * update
    return weights


def test_every_step_equals_the_reference():
    rng = np.random.default_rng(3)
    # The second tensor starts at zero (a trust ratio of 1), the third is large (clipped at 1).
    start = [rng.normal(size=(7, 5)), np.zeros(4), 100 * rng.normal(size=6)]
    gradients = [[rng.normal(size=w.shape) * 10**k for w in start] for k in (-2, 3, 0, 1, -1)]
    parameters = [torch.nn.Parameter(torch.tensor(w)) for w in start]
    optimizer = LAMB(parameters, lr=0.01, weight_decay=0.1)
    for step, step_gradients in enumerate(gradients, start=1):
        for p, g in zip(parameters, step_gradients, strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
        for p, w in zip(parameters, reference(start, gradients, step), strict=True):
            np.testing.assert_allclose(p.detach().numpy(), w, rtol=1e-11, atol=1e-14)


def test_zero_gradients_and_zero_weights_do_not_make_nan():
    parameters = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.zeros(2))]
    optimizer = LAMB(parameters, lr=0.01)
    for p in parameters:
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert all(bool(p.isfinite().all()) for p in parameters)
    assert torch.equal(parameters[1].detach(), torch.zeros(2))
    assert float(parameters[0].detach()[0]) < 1  # weight decay still applies


def test_saved_state_continues_to_the_same_bits():
    def trained(steps, saved=None):
        torch.manual_seed(0)
        p = torch.nn.Parameter(torch.randn(4, 3))
        optimizer = LAMB([p], lr=0.01)
        if saved:
            p.data = saved[0].clone()
            optimizer.load_state_dict(saved[1])
        for k in steps:
            p.grad = torch.full_like(p, k) * p.detach()
            optimizer.step()
        return p.detach().clone(), optimizer.state_dict()

    assert torch.equal(trained([1, 2, 3, 4], trained([]))[0], trained([3, 4], trained([1, 2]))[0])
