"""Reductions, shapes, indices, order, linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradgraph as gg

from .entry import ONE, TWO, Rng, entry, lse, normal, positive, softmax


def kept(g: Any) -> Any:
    return g[:, None]


def shared(g: Any, y: Any, x: Any) -> Any:
    """The cotangent of an extremum: equal ones share it."""
    there = x == kept(y)
    return np.where(there, kept(g / there.sum(-1)), 0)


def backwards_sum(g: Any) -> Any:
    return np.cumsum(g[:, ::-1], -1)[:, ::-1]


def before(x: Any) -> Any:
    """The product of all elements before each: with that of those behind, right at zeros too."""
    product = np.ones_like(x)
    np.cumprod(x[:, :-1], 1, out=product[:, 1:])
    return product


def along(function: str) -> Any:
    return lambda x: getattr(gg, function)(x, axis=-1)


entry(
    "sum",
    normal(*ONE),
    lambda x: x.sum(-1),
    lambda g, y, x: np.broadcast_to(kept(g), x.shape).copy(),
    along("sum"),
)
entry(
    "mean",
    normal(*ONE),
    lambda x: x.mean(-1),
    lambda g, y, x: np.broadcast_to(kept(g / 1000), x.shape).copy(),
    along("mean"),
)
entry(
    "var",
    normal(*ONE),
    lambda x: x.var(-1),
    lambda g, y, x: kept(2 * g / 1000) * (x - x.mean(-1, keepdims=True)),
    along("var"),
)
entry(
    "max",
    normal(*ONE),
    lambda x: x.max(-1),
    shared,
    along("max"),
)
entry(
    "prod",
    positive(*ONE),
    lambda x: x.prod(-1),
    lambda g, y, x: kept(g) * before(x) * before(x[:, ::-1])[:, ::-1],
    along("prod"),
)
entry(
    "cumsum",
    normal(*ONE),
    lambda x: x.cumsum(-1),
    lambda g, y, x: backwards_sum(g),
    along("cumsum"),
)
entry(
    "cumprod",
    positive(*ONE),
    lambda x: x.cumprod(-1),
    lambda g, y, x: backwards_sum(g * y) / x,
    along("cumprod"),
)
entry(
    "logsumexp",
    normal(*ONE),
    lse,
    lambda g, y, x: kept(g) * np.exp(x - kept(y)),
    along("logsumexp"),
)
entry(
    "norm",
    normal(*ONE),
    lambda x: np.linalg.norm(x, axis=-1),
    lambda g, y, x: kept(g / y) * x,
    along("norm"),
)
entry("softmax", normal(*ONE), softmax, lambda g, y, x: y * (g - (g * y).sum(-1, keepdims=True)))
entry(
    "log_softmax",
    normal(*ONE),
    lambda x: x - lse(x)[:, None],
    lambda g, y, x: g - np.exp(y) * g.sum(-1, keepdims=True),
)


def added(x: Any, index: Any, g: Any) -> Any:
    total = np.zeros_like(x)
    np.add.at(total, index, g)
    return total


def put(x: Any, index: Any, g: Any) -> Any:
    total = np.zeros_like(x)
    total[index] = g
    return total


def unsorted(g: Any, x: Any) -> Any:
    total = np.empty_like(g)
    np.put_along_axis(total, np.argsort(x, -1), g, -1)
    return total


COUNTS = np.arange(1000) % 4 + 1
MIDDLE = (slice(10, -10), slice(None, None, 2))
entry(
    "reshape",
    normal(*ONE),
    lambda x: x.reshape(500, 2000),
    lambda g, y, x: g.reshape(x.shape).copy(),
    lambda x: gg.reshape(x, (500, 2000)),
)
entry("transpose", normal(*ONE), lambda x: x.T, lambda g, y, x: g.T.copy())
entry(
    "concatenate",
    normal(*TWO),
    lambda a, b: np.concatenate([a, b], 1),
    lambda g, y, a, b: (g[:, :1000].copy(), g[:, 1000:].copy()),
    lambda a, b: gg.concatenate([a, b], 1),
)
entry(
    "pad",
    normal(*ONE),
    lambda x: np.pad(x, 3),
    lambda g, y, x: g[3:-3, 3:-3].copy(),
    lambda x: gg.pad(x, 3),
)
entry(
    "flip",
    normal(*ONE),
    lambda x: x[:, ::-1],
    lambda g, y, x: g[:, ::-1].copy(),
    lambda x: gg.flip(x, 1),
)
entry(
    "roll",
    normal(*ONE),
    lambda x: np.roll(x, 7, 1),
    lambda g, y, x: np.roll(g, -7, 1),
    lambda x: gg.roll(x, 7, 1),
)
entry(
    "tile",
    normal((1000, 250)),
    lambda x: np.tile(x, (1, 4)),
    lambda g, y, x: g.reshape(1000, 4, 250).sum(1),
    lambda x: gg.tile(x, (1, 4)),
)
entry(
    "repeat",
    normal((1000, 250)),
    lambda x: np.repeat(x, 4, 1),
    lambda g, y, x: g.reshape(1000, 250, 4).sum(-1),
    lambda x: gg.repeat(x, 4, 1),
)
entry(
    "take",
    lambda rng: (rng.normal(size=(5000, 64)), rng.integers(0, 5000, 10000)),
    lambda x, i: x[i],
    lambda g, y, x, i: added(x, i, g),
    lambda x, i: gg.take(x, i, 0),
)
entry(
    "getitem slices",
    normal(*ONE),
    lambda x: x[MIDDLE],
    lambda g, y, x: put(x, MIDDLE, g),
    lambda x: x[MIDDLE],
)
entry(
    "getitem rows",
    lambda rng: (rng.normal(size=(5000, 64)), rng.integers(0, 5000, 10000)),
    lambda x, i: x[i],
    lambda g, y, x, i: added(x, i, g),
    lambda x, i: x[i],
)
entry("sort", normal(*ONE), lambda x: np.sort(x, -1), lambda g, y, x: unsorted(g, x))
entry("tril", normal(*ONE), np.tril, lambda g, y, x: np.tril(g))


SQUARE = ((500, 500), (500, 500))
HEADS = ((8, 8, 64, 32), (8, 8, 64, 32))


def well(rng: Rng) -> Any:
    return rng.normal(size=(64, 40, 40)) + 20 * np.eye(40)


def solve_back(g: Any, y: Any, a: Any, b: Any) -> Any:
    gb = np.linalg.solve(a.mT, g)
    return -gb @ y.mT, gb


def products(g: Any, y: Any, a: Any, b: Any) -> Any:
    return g @ b.T, a.T @ g


entry("matmul", normal(*SQUARE), np.matmul, products)
entry(
    "einsum matrices",
    normal(*SQUARE),
    np.matmul,
    products,
    lambda a, b: gg.einsum("ij,jk->ik", a, b),
)
entry(
    "einsum heads",
    normal(*HEADS),
    lambda q, k: q @ k.mT,
    lambda g, y, q, k: (g @ k, g.mT @ q),
    lambda q, k: gg.einsum("bhqd,bhkd->bhqk", q, k),
)
entry(
    "tensordot",
    normal((100, 50, 40), (40, 50, 60)),
    lambda a, b: np.tensordot(a, b, ([1, 2], [1, 0])),
    None,
    lambda a, b: gg.tensordot(a, b, ([1, 2], [1, 0])),
)
entry("solve", lambda rng: (well(rng), rng.normal(size=(64, 40, 40))), np.linalg.solve, solve_back)


def cholesky_back(g: Any, y: Any, a: Any) -> Any:
    half = np.tril(y.mT @ g)
    half[..., range(40), range(40)] *= 0.5
    inverse = np.linalg.inv(y)
    s = inverse.mT @ half @ inverse
    return (s + s.mT) / 2


entry("cholesky", lambda rng: ((a := well(rng)) @ a.mT,), np.linalg.cholesky, cholesky_back)


def squared_diagonal(g: Any, y: Any, x: Any) -> Any:
    total = np.zeros_like(x)
    total[:, range(300), range(300)] = g
    return total


def replaced(x: Any, values: Any, i: Any) -> Any:
    x = x.copy()
    x[i] = values
    return x


def zeroed(g: Any, i: Any) -> Any:
    g = g.copy()
    g[i] = 0
    return g


entry(
    "einsum diagonal",
    normal((20, 300, 300)),
    lambda x: np.einsum("bii->bi", x).copy(),
    squared_diagonal,
    lambda x: gg.einsum("bii->bi", x),
)
entry(
    "min",
    normal(*ONE),
    lambda x: x.min(-1),
    shared,
    along("min"),
)
entry(
    "put values",
    lambda rng: (rng.normal(size=(5000, 64)), rng.normal(size=(2000, 64)), rng.permutation(2000)),
    replaced,
    lambda g, y, x, v, i: (zeroed(g, i), g[i]),
    lambda x, v, i: gg.put(x, i, v),
)
entry(
    "repeat counts",
    normal((1000, 250)),
    lambda x: np.repeat(x, COUNTS, 0),
    lambda g, y, x: np.add.reduceat(g, np.cumsum(COUNTS) - COUNTS, 0),
    lambda x: gg.repeat(x, COUNTS, 0),
)
entry(
    "split",
    normal(*ONE),
    lambda x: np.concatenate(np.split(x, 4, 1), 0),
    None,
    lambda x: gg.concatenate(gg.split(x, 4, 1), 0),
)
