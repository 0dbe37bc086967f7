"""Layers beside torch's, with the same weights (extra `bench`)."""

from __future__ import annotations

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import nn

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def pair(*shape):
    x = RNG.normal(size=shape).astype(np.float32)
    return gg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)


def last(t):
    """torch's (N, C, *S) as (N, *S, C)."""
    return np.moveaxis(t.detach().numpy(), 1, -1)


def first(t):
    """(N, *S, C) as torch's (N, C, *S)."""
    return torch.movedim(t, -1, 1)


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-4, atol=2e-5)


def fill(module):
    """Random numbers for torch's parameters, also those that begin with 0 or 1."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.tensor(RNG.normal(size=tuple(p.shape)) * 0.5))
    return module


def state(t):
    return t.detach().numpy()


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(training):
    theirs = fill(torch.nn.BatchNorm2d(3, momentum=0.2))
    ours = nn.BatchNorm(3, momentum=0.2)
    ours.gamma.assign(state(theirs.weight))
    ours.beta.assign(state(theirs.bias))
    for _ in range(3):
        a, b = pair(4, 5, 5, 3)
        ours(a), theirs(first(b))
    close(ours.mean.data, theirs.running_mean)
    close(ours.var.data, theirs.running_var)
    ours.train(training), theirs.train(training)
    a, b = pair(4, 5, 5, 3)
    y, z = ours(a), theirs(first(b))
    close(y.data, last(z))
    (y * y * y).sum().backward()
    (z * z * z).sum().backward()
    close(a.grad.data, b.grad)
    close(ours.gamma.grad.data, theirs.weight.grad)
    close(ours.beta.grad.data, theirs.bias.grad)


@pytest.mark.parametrize(
    ("ours", "theirs", "channels_first"),
    [
        (lambda: nn.LayerNorm(6), lambda: torch.nn.LayerNorm(6), False),
        (lambda: nn.GroupNorm(3, 6), lambda: torch.nn.GroupNorm(3, 6), True),
    ],
)
def test_other_norms(ours, theirs, channels_first):
    ours, theirs = ours(), fill(theirs())
    ours.gamma.assign(state(theirs.weight))
    ours.beta.assign(state(theirs.bias))
    a, b = pair(4, 5, 6)
    y = ours(a)
    z = torch.movedim(theirs(first(b)), 1, -1) if channels_first else theirs(b)
    close(y.data, z.detach())
    (y * y * y).sum().backward()
    (z * z * z).sum().backward()
    close(a.grad.data, b.grad)
    close(ours.gamma.grad.data, theirs.weight.grad)


def test_lstm_cell():
    theirs, ours = fill(torch.nn.LSTMCell(3, 4)), nn.LSTMCell(3, 4, rng=0)
    ours.wx.assign(state(theirs.weight_ih).T)
    ours.wh.assign(state(theirs.weight_hh).T)
    ours.b.assign(state(theirs.bias_ih) + state(theirs.bias_hh))
    mine = its = None
    inputs = [pair(2, 3) for _ in range(5)]
    for a, b in inputs:
        mine, its = ours(a, mine), theirs(b, its)
    close(mine[0].data, its[0].detach())
    close(mine[1].data, its[1].detach())
    (mine[0] * mine[0]).sum().backward()
    (its[0] * its[0]).sum().backward()
    close(inputs[0][0].grad.data, inputs[0][1].grad)
    close(ours.wh.grad.data, theirs.weight_hh.grad.T)


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal):
    theirs = fill(torch.nn.MultiheadAttention(6, 3, batch_first=True))
    ours = nn.MultiHeadAttention(6, 3, rng=0)
    for i, layer in enumerate((ours.q, ours.k, ours.v)):
        layer.w.assign(state(theirs.in_proj_weight)[6 * i : 6 * i + 6].T)
        layer.b.assign(state(theirs.in_proj_bias)[6 * i : 6 * i + 6])
    ours.out.w.assign(state(theirs.out_proj.weight).T)
    ours.out.b.assign(state(theirs.out_proj.bias))
    a, b = pair(2, 5, 6)
    forbidden = torch.triu(torch.ones(5, 5, dtype=bool), 1) if causal else None
    y = ours(a, causal=causal)
    z, _ = theirs(b, b, b, attn_mask=forbidden, need_weights=False)
    close(y.data, z.detach())
    (y * y).sum().backward()
    (z * z).sum().backward()
    close(a.grad.data, b.grad)


def test_transposed_filters():
    theirs = fill(torch.nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2))
    ours = nn.ConvTranspose(4, 6, 3, stride=2, padding=1, groups=2, rng=0)
    w = state(theirs.weight)  # (C_in, C_out / groups, *kernel)
    ours.w.assign(np.moveaxis(w, (0, 1), (-1, -2)))
    ours.b.assign(state(theirs.bias))
    a, b = pair(2, 5, 5, 4)
    close(ours(a).data, last(theirs(first(b))))


@pytest.mark.parametrize("draw", [nn.init.kaiming_normal, nn.init.kaiming_uniform])
def test_initial_weights_have_torchs_statistics(draw):
    shape = (3, 3, 32, 64)
    w = draw(shape, rng=0)
    v = torch.empty(64, 32, 3, 3)
    getattr(torch.nn.init, draw.__name__ + "_")(v, nonlinearity="relu")
    assert w.std() == pytest.approx(float(v.std()), rel=0.03)
    assert abs(w).max() == pytest.approx(float(v.abs().max()), rel=0.2)


@pytest.mark.parametrize("draw", [nn.init.xavier_normal, nn.init.xavier_uniform])
def test_xavier_has_torchs_statistics(draw):
    w = draw((120, 300), rng=0)
    v = torch.empty(300, 120)
    getattr(torch.nn.init, draw.__name__ + "_")(v)
    assert w.std() == pytest.approx(float(v.std()), rel=0.03)
