"""A hundred steps of every optimiser and schedule beside torch's (extra `bench`)."""

from __future__ import annotations

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import optim

torch = pytest.importorskip("torch")

OPTIMISERS = [
    (optim.SGD, torch.optim.SGD, {"lr": 0.05}),
    (optim.SGD, torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    (optim.SGD, torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (optim.SGD, torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
    (optim.Adam, torch.optim.Adam, {"lr": 0.05}),
    (optim.Adam, torch.optim.Adam, {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-3}),
    (optim.Adam, torch.optim.Adam, {"lr": 0.05, "weight_decay": 0.1}),
    (optim.AdamW, torch.optim.AdamW, {"lr": 0.05}),
    (optim.AdamW, torch.optim.AdamW, {"lr": 0.05, "weight_decay": 0.2}),
    (optim.RMSprop, torch.optim.RMSprop, {"lr": 0.05}),
    (optim.RMSprop, torch.optim.RMSprop, {"lr": 0.05, "alpha": 0.9, "eps": 1e-2}),
    (optim.RMSprop, torch.optim.RMSprop, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
]

SCHEDULES = [
    (
        lambda o: optim.StepLR(o, 7, gamma=0.5),
        lambda o: torch.optim.lr_scheduler.StepLR(o, 7, gamma=0.5),
    ),
    (
        lambda o: optim.CosineLR(o, 40),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40),
    ),
    (
        lambda o: optim.OneCycleLR(o, 0.3, 40),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.3, 40, cycle_momentum=False),
    ),
    (
        lambda o: optim.OneCycleLR(o, 0.3, 41, pct_start=0.1, div_factor=5, final_div_factor=10),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(
            o, 0.3, 41, pct_start=0.1, div_factor=5, final_div_factor=10, cycle_momentum=False
        ),
    ),
    (
        lambda o: optim.WarmupLR(o, 9),
        lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.1, 1.0, 9),
    ),
]


def ours(x):
    return gg.Tensor(x, requires_grad=True)


def theirs(x):
    return torch.tensor(x, requires_grad=True)


@pytest.mark.parametrize(("cls", "other", "settings"), OPTIMISERS)
def test_a_hundred_steps(cls, other, settings):
    rng = np.random.default_rng(0)
    start, curve = rng.normal(size=(2, 4, 3))
    w, v = ours(start), theirs(start)
    a, b = cls([w], **settings), other([v], **settings)
    for step in range(100):
        noise = rng.normal(size=(4, 3))
        for t, optimiser, fixed in ((w, a, gg.Tensor), (v, b, torch.tensor)):
            optimiser.zero_grad()
            (t * t * fixed(curve) + t * fixed(noise)).sum().backward()
            optimiser.step()
        np.testing.assert_allclose(w.data, v.detach().numpy(), rtol=1e-11, err_msg=f"step {step}")


@pytest.mark.parametrize(("schedule", "other"), SCHEDULES)
def test_rates(schedule, other):
    a, b = optim.SGD([ours(1.0)], lr=0.1), torch.optim.SGD([theirs(1.0)], lr=0.1)
    mine, its = schedule(a), other(b)
    for step in range(39):
        assert a.lr == pytest.approx(b.param_groups[0]["lr"], rel=1e-12, abs=1e-15), step
        b.step()
        mine.step()
        its.step()


@pytest.mark.parametrize("mode", ["min", "max"])
def test_plateaus(mode):
    settings = {"mode": mode, "patience": 2, "factor": 0.5, "threshold": 0.05, "min_lr": 0.01}
    a, b = optim.SGD([ours(1.0)], lr=0.1), torch.optim.SGD([theirs(1.0)], lr=0.1)
    mine = optim.ReduceLROnPlateau(a, **settings)
    its = torch.optim.lr_scheduler.ReduceLROnPlateau(b, **settings)
    rng = np.random.default_rng(0)
    for step in range(60):
        metric = float(rng.uniform(0.5, 1.5))
        mine.step(metric)
        its.step(metric)
        assert a.lr == pytest.approx(b.param_groups[0]["lr"], rel=1e-12), step


def test_clipping():
    rng = np.random.default_rng(0)
    values = [rng.normal(size=s).astype(np.float32) for s in ((3, 4), (5,), ())]
    ws, vs = [ours(x) for x in values], [theirs(x) for x in values]
    for t in (*ws, *vs):
        (t * t).sum().backward()
    total = torch.nn.utils.clip_grad_norm_(vs, 1.0)
    assert optim.clip_grad_norm(ws, 1.0) == pytest.approx(float(total), rel=1e-6)
    for w, v in zip(ws, vs, strict=True):
        np.testing.assert_allclose(w.grad.data, v.grad.numpy(), rtol=1e-5)
    optim.clip_grad_value(ws, 0.05)
    torch.nn.utils.clip_grad_value_(vs, 0.05)
    for w, v in zip(ws, vs, strict=True):
        np.testing.assert_allclose(w.grad.data, v.grad.numpy(), rtol=1e-5)
