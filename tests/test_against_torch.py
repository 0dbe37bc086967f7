"""Values, gradients and second derivatives of every function against another engine's.

The other one is torch, in float64 (extra `bench`); the tables are in `torch_tables`.
"""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest

import gradgraph as gg

torch = pytest.importorskip("torch", reason="the peer comes with the extra `bench`")
from .torch_tables import (  # noqa: E402, F401
    arrays,
    elementwise,
    layers,
    linear_algebra,
    losses,
    reductions,
)
from .torch_tables.case import CASES  # noqa: E402

TOLERANCE = 1e-9  # relative to the greatest element
LEAST = 395


def wanted(args):
    """The places of the arguments to differentiate by."""
    return [i for i, a in enumerate(args) if a.dtype.kind == "f"]


def directions(like):
    """Cotangents or tangents like these arrays, the same ones each time."""
    rng = np.random.default_rng(3)
    return [rng.normal(size=np.shape(a)) for a in like]


def ours(case):
    """The result, the gradient of Σ c·result, and the gradient of Σ v·gradient."""
    places = wanted(case.args)

    def result(*xs):
        given = list(case.args)
        for i, x in zip(places, xs, strict=True):
            given[i] = x
        return case.ours(*given)

    xs = [case.args[i] for i in places]
    (c,) = directions([gg.asarray(result(*map(gg.Tensor, xs))).numpy()])
    gradient = gg.grad(lambda *xs: (result(*xs) * c).sum(), tuple(range(len(xs))))

    def along(*xs):
        return sum((g * v).sum() for g, v in zip(gradient(*xs), directions(xs), strict=True))

    yield [gg.asarray(result(*map(gg.Tensor, xs))).numpy()]
    yield [np.asarray(g) for g in gradient(*xs)]
    if not case.first_only:
        yield [np.asarray(h) for h in gg.grad(along, tuple(range(len(xs))))(*xs)]


def theirs(case):
    """The same by torch."""
    given = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in case.args]
    xs = [given[i] for i in wanted(case.args)]
    out = case.theirs(*given)
    (c,) = directions([out.detach().numpy(force=True)])
    yield [out.detach().numpy(force=True)]
    grads = _gradient((out * torch.tensor(c)).sum(), xs)
    yield [g.detach().numpy(force=True) for g in grads]
    if not case.first_only:
        along = sum(
            (g * torch.tensor(v)).sum() for g, v in zip(grads, directions(xs_of(xs)), strict=True)
        )
        yield [h.detach().numpy(force=True) for h in _gradient(along, xs)]


def xs_of(tensors):
    return [t.detach().numpy(force=True) for t in tensors]


def _gradient(value, xs):
    if not value.requires_grad:
        return [torch.zeros_like(x) for x in xs]
    return torch.autograd.grad(
        value, xs, create_graph=True, allow_unused=True, materialize_grads=True
    )


def difference(case):
    """What differs first, in words; empty if nothing does."""
    for what, mine, peer in zip(
        ("result", "gradient", "second order"), ours(case), theirs(case), strict=False
    ):
        for i, (a, b) in enumerate(zip(mine, peer, strict=True)):
            if a.shape != b.shape:
                return f"{what} {i}: shape {a.shape}, theirs {b.shape}"
            scale = max(1.0, np.abs(b).max(initial=0.0, where=np.isfinite(b)))
            if not np.allclose(a / scale, b / scale, rtol=0, atol=TOLERANCE, equal_nan=True):
                return f"{what} {i}:\n{a}\ntheirs:\n{b}"
    return ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_agrees(case):
    if not hasattr(gg, case.function):
        pytest.skip(f"there is no {case.function} yet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values at infinite slopes; torch's own
        found = difference(case)
    if case.differs:
        assert found, f"the two agree, though the table says: {case.differs}"
    else:
        assert not found, found


def test_the_comparison_can_fail():
    case = next(c for c in CASES if c.name == "sin")
    for peer in (torch.cos, lambda x: torch.sin(x) + 1e-8 * x**2, lambda x: torch.sin(x.detach())):
        assert difference(type(case)("sin", case.ours, peer, case.args))

    class Slightly(torch.autograd.Function):
        """sin with a gradient that is right at first order only."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * torch.cos(x).detach()

    assert "second order" in difference(type(case)("sin", case.ours, Slightly.apply, case.args))


def test_there_are_enough_cases():
    names = Counter(case.name for case in CASES)
    assert max(names.values()) == 1, names.most_common(3)
    assert sum(hasattr(gg, case.function) for case in CASES) >= LEAST
    assert all(len(case.differs) > 20 for case in CASES if case.differs)
