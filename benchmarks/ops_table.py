"""The entries of `ops.py`: each function, the numpy expression of it, and of its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradgraph as gg

Rng = np.random.Generator
windows = np.lib.stride_tricks.sliding_window_view


@dataclass(frozen=True)
class Entry:
    """One line of the table.

    Attributes:
        name: our function, then what is special.
        make: arguments from a generator; floats are differentiated by.
        ours, numpy: functions of the arguments.
        gradient: numpy expression of the cotangents, from (cotangent, result, *arguments).
        by: how many of the float arguments are differentiated by; None for all.
        bar: how many times as long as numpy forward may take, if not as usual.
        same: whether both give the same numbers.
    """

    name: str
    make: Callable[[Rng], tuple[Any, ...]]
    ours: Callable[..., Any]
    numpy: Callable[..., Any]
    gradient: Callable[..., Any] | None = None
    by: int | None = None
    bar: float | None = None
    same: bool = True

    @property
    def function(self) -> str:
        return self.name.partition(" ")[0]


ENTRIES: list[Entry] = []


def entry(
    name: str, make: Any, numpy: Any, gradient: Any = None, ours: Any = None, **how: Any
) -> None:
    """Add an entry; without `ours` it is our function of that name, applied to the arguments."""
    function = name.partition(" ")[0]
    ours = ours or (lambda *xs: getattr(gg, function)(*xs))
    ENTRIES.append(Entry(name, make, ours, numpy, gradient, **how))


def normal(*shapes: tuple[int, ...]) -> Any:
    return lambda rng: tuple(rng.normal(size=s) for s in shapes)


def positive(*shapes: tuple[int, ...]) -> Any:
    return lambda rng: tuple(rng.uniform(0.5, 1.5, s) for s in shapes)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


# Elementwise

ONE, TWO = ((1000, 1000),), ((1000, 1000), (1000, 1000))
entry("add", normal(*TWO), np.add, lambda g, y, a, b: (g.copy(), g.copy()))
entry("multiply", normal(*TWO), np.multiply, lambda g, y, a, b: (g * b, g * a))
entry("divide", positive(*TWO), np.divide, lambda g, y, a, b: (g / b, -g * y / b))
entry("add bias", normal((1000, 1000), (1000,)), np.add, lambda g, y, a, b: (g.copy(), g.sum(0)))
entry("square", normal(*ONE), np.square, lambda g, y, x: 2 * g * x)
entry("sqrt", positive(*ONE), np.sqrt, lambda g, y, x: 0.5 * g / y)
entry("exp", normal(*ONE), np.exp, lambda g, y, x: g * y)
entry("expm1", normal(*ONE), np.expm1, lambda g, y, x: g * (y + 1))
entry("log", positive(*ONE), np.log, lambda g, y, x: g / x)
entry("log1p", positive(*ONE), np.log1p, lambda g, y, x: g / (1 + x))
entry("sin", normal(*ONE), np.sin, lambda g, y, x: g * np.cos(x))
entry("tanh", normal(*ONE), np.tanh, lambda g, y, x: g * (1 - y * y))
entry(
    "erf",
    normal(*ONE),
    np.exp,
    lambda g, y, x: g * (2 / np.sqrt(np.pi) * np.exp(-x * x)),
    bar=10,
    same=False,
)
entry("abs", normal(*ONE), np.abs, lambda g, y, x: g * np.sign(x))
entry(
    "clip",
    normal(*ONE),
    lambda x: np.clip(x, -1, 1),
    lambda g, y, x: np.where((x > -1) & (x < 1), g, 0),
    lambda x: gg.clip(x, -1, 1),
)
entry(
    "maximum",
    normal(*TWO),
    np.maximum,
    lambda g, y, a, b: (np.where(a > b, g, 0), np.where(a > b, 0, g)),
)
entry(
    "where",
    lambda rng: (rng.random((1000, 1000)) < 0.5, *normal(*TWO)(rng)),
    np.where,
    lambda g, y, c, a, b: (np.where(c, g, 0), np.where(c, 0, g)),
)
entry(
    "power", positive(*TWO), np.power, lambda g, y, a, b: (g * b * a ** (b - 1), g * y * np.log(a))
)
entry(
    "power square",
    normal(*ONE),
    lambda x: x**2,
    lambda g, y, x: 2 * g * x,
    lambda x: gg.power(x, 2),
)
entry(
    "logaddexp",
    normal(*TWO),
    np.logaddexp,
    lambda g, y, a, b: (g * np.exp(a - y), g * np.exp(b - y)),
)
entry("hypot", normal(*TWO), np.hypot, lambda g, y, a, b: (g * a / y, g * b / y))

# Activations

C = np.sqrt(2 / np.pi)


def gelu_slope(x: Any) -> Any:
    t = np.tanh(C * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * C * (1 + 3 * 0.044715 * x * x)


def silu_slope(x: Any) -> Any:
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


entry("relu", normal(*ONE), lambda x: np.maximum(x, 0), lambda g, y, x: np.where(x > 0, g, 0))
entry(
    "leaky_relu",
    normal(*ONE),
    lambda x: np.where(x > 0, x, 0.01 * x),
    lambda g, y, x: np.where(x > 0, g, 0.01 * g),
)
entry("gelu", normal(*ONE), np.exp, bar=12, same=False)
entry(
    "gelu tanh",
    normal(*ONE),
    lambda x: 0.5 * x * (1 + np.tanh(C * (x + 0.044715 * x * x * x))),
    lambda g, y, x: g * gelu_slope(x),
    lambda x: gg.gelu(x, approximate=True),
)
entry("silu", normal(*ONE), lambda x: x * sigmoid(x), lambda g, y, x: g * silu_slope(x))
entry("sigmoid", normal(*ONE), sigmoid, lambda g, y, x: g * (y * (1 - y)))
entry("softplus", normal(*ONE), lambda x: np.logaddexp(0, x), lambda g, y, x: g * sigmoid(x))
entry(
    "elu",
    normal(*ONE),
    lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    lambda g, y, x: np.where(x > 0, g, g * (y + 1)),
)

# Reductions and scans


def kept(g: Any) -> Any:
    return g[:, None]


def lse(x: Any) -> Any:
    top = x.max(-1, keepdims=True)
    return (top + np.log(np.exp(x - top).sum(-1, keepdims=True)))[:, 0]


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def backwards_sum(g: Any) -> Any:
    return np.cumsum(g[:, ::-1], -1)[:, ::-1]


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
    lambda g, y, x: np.where(x == kept(y), kept(g), 0),
    along("max"),
)
entry("prod", positive(*ONE), lambda x: x.prod(-1), lambda g, y, x: kept(g * y) / x, along("prod"))
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

# Shapes, indices, order


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

# Linear algebra

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
entry("cholesky", lambda rng: ((a := well(rng)) @ a.mT,), np.linalg.cholesky)

# Convolution, pooling, normalisation

IMAGES, FILTERS = (8, 34, 34, 16), (3, 3, 16, 32)


def conv(x: Any, w: Any) -> Any:
    return np.tensordot(windows(x, (3, 3), (1, 2)), w, ([4, 5, 3], [0, 1, 2]))


def conv_transpose(x: Any, w: Any) -> Any:
    n, h, v, _ = x.shape
    y = np.zeros((n, h + 2, v + 2, w.shape[2]))
    for i, j in np.ndindex(3, 3):
        y[:, i : i + h, j : j + v] += x @ w[i, j].T
    return y


def depthwise(x: Any, w: Any) -> Any:
    n, h, v, c = x.shape
    y = np.zeros((n, h - 2, v - 2, c))
    for i, j in np.ndindex(3, 3):
        y += x[:, i : i + h - 2, j : j + v - 2] * w[i, j, :, 0]
    return y


def unfold(x: Any) -> Any:
    found = windows(x, (3, 3), (1, 2)).transpose(0, 1, 2, 4, 5, 3)
    return found.reshape(*found.shape[:3], -1)


def blocks(x: Any) -> Any:
    n, h, v, c = x.shape
    return x.reshape(n, h // 2, 2, v // 2, 2, c)


def spread(g: Any) -> Any:
    return g.repeat(2, 1).repeat(2, 2)


def standard(x: Any, axes: Any) -> tuple[Any, Any]:
    """What is left of x without mean and scale, and 1 / scale."""
    centred = x - x.mean(axes, keepdims=True)
    rstd = 1 / np.sqrt(np.mean(centred * centred, axes, keepdims=True) + 1e-5)
    return centred * rstd, rstd


def standard_back(g: Any, x: Any, gamma: Any, axes: Any, lines: Any) -> Any:
    """Cotangents of x, gamma and beta; `lines` are the axes that gamma has not."""
    z, rstd = standard(x, axes)
    gz = g * gamma
    means = gz.mean(axes, keepdims=True), (gz * z).mean(axes, keepdims=True)
    return rstd * (gz - means[0] - z * means[1]), (g * z).sum(lines), g.sum(lines)


entry("conv", normal(IMAGES, FILTERS), conv)
entry("conv_transpose", normal((8, 32, 32, 32), FILTERS), conv_transpose)
entry("depthwise_conv", normal((8, 34, 34, 64), (3, 3, 64, 1)), depthwise)
entry(
    "max_pool",
    normal((8, 64, 64, 16)),
    lambda x: blocks(x).max((2, 4)),
    lambda g, y, x: np.where(x == spread(y), spread(g), 0),
    lambda x: gg.max_pool(x, 2),
)
entry(
    "avg_pool",
    normal((8, 64, 64, 16)),
    lambda x: blocks(x).mean((2, 4)),
    lambda g, y, x: spread(g * 0.25),
    lambda x: gg.avg_pool(x, 2),
)
entry("unfold", normal(IMAGES), unfold, None, lambda x: gg.unfold(x, 3))
WEIGHTS = ((64, 28, 28, 16), (16,), (16,))
entry(
    "batch_norm",
    normal(*WEIGHTS),
    lambda x, a, b: standard(x, (0, 1, 2))[0] * a + b,
    lambda g, y, x, a, b: standard_back(g, x, a, (0, 1, 2), (0, 1, 2)),
    lambda x, a, b: gg.batch_norm(x, a, b, training=True),
)
entry(
    "layer_norm",
    normal((4000, 256), (256,), (256,)),
    lambda x, a, b: standard(x, -1)[0] * a + b,
    lambda g, y, x, a, b: standard_back(g, x, a, -1, 0),
)
entry(
    "group_norm",
    normal(*WEIGHTS),
    lambda x, a, b: standard(x.reshape(64, -1, 4, 4), (1, 3))[0].reshape(x.shape) * a + b,
    None,
    lambda x, a, b: gg.group_norm(x, 4, a, b),
)
entry(
    "rms_norm",
    normal((4000, 256), (256,)),
    lambda x, a: x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-5) * a,
)

# Losses and chance


def huber(a: Any, b: Any) -> Any:
    q = np.clip(a - b, -1, 1)
    return np.mean(q * (a - b - q / 2))


def picked(logits: Any, labels: Any) -> Any:
    return np.mean(lse(logits) - logits[np.arange(len(labels)), labels])


def surplus(g: Any, y: Any, logits: Any, labels: Any) -> Any:
    s = softmax(logits)
    s[np.arange(len(labels)), labels] -= 1
    return s * (g / len(labels))


def both(slope: Any) -> Any:
    return slope, -slope


MILLION = 10**6
entry(
    "mse_loss",
    normal(*TWO),
    lambda a, b: np.mean(np.square(a - b)),
    lambda g, y, a, b: both(2 * g / MILLION * (a - b)),
)
entry(
    "l1_loss",
    normal(*TWO),
    lambda a, b: np.mean(np.abs(a - b)),
    lambda g, y, a, b: both(g / MILLION * np.sign(a - b)),
)
entry(
    "huber_loss", normal(*TWO), huber, lambda g, y, a, b: both(g / MILLION * np.clip(a - b, -1, 1))
)
entry(
    "cross_entropy",
    lambda rng: (rng.normal(size=(10000, 100)), rng.integers(0, 100, 10000)),
    picked,
    surplus,
)
entry(
    "binary_cross_entropy_with_logits",
    lambda rng: (rng.normal(size=MILLION), rng.random(MILLION)),
    lambda x, y: np.mean(np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x)))),
    lambda g, out, x, y: g / MILLION * (sigmoid(x) - y),
    by=1,
)
CHANCE = np.random.default_rng(0)
entry(
    "dropout",
    normal(*ONE),
    lambda x: np.where(CHANCE.random(x.shape) < 0.5, x * 2, 0),
    None,
    lambda x: gg.dropout(x, 0.5, rng=CHANCE),
    same=False,
)
