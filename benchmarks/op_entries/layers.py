"""Convolution, pooling, normalisation, losses."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradgraph as gg

from .entry import ONE, TWO, entry, lse, normal, sigmoid, softmax

windows = np.lib.stride_tricks.sliding_window_view
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


def fold(g: Any, y: Any, x: Any) -> Any:
    total = np.zeros_like(x)
    n, h, v, c = x.shape
    taps = g.reshape(n, h - 2, v - 2, 3, 3, c)
    for i, j in np.ndindex(3, 3):
        total[:, i : i + h - 2, j : j + v - 2] += taps[:, :, :, i, j]
    return total


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
entry("unfold", normal(IMAGES), unfold, fold, lambda x: gg.unfold(x, 3))
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


def log_chances(items: int, classes: int) -> Any:
    def make(rng: Any) -> Any:
        logits = rng.normal(size=(items, classes))
        return logits - lse(logits)[:, None], rng.integers(0, classes, items)

    return make


def chosen_back(g: Any, out: Any, x: Any, labels: Any) -> Any:
    slope = np.zeros_like(x)
    slope[np.arange(len(labels)), labels] = -g / len(labels)
    return slope


def cross(p: Any, y: Any) -> Any:
    return -np.mean(y * np.log(p) + (1 - y) * np.log1p(-p))


entry(
    "kl_div",
    lambda rng: (np.log(softmax(rng.normal(size=ONE[0]))), softmax(rng.normal(size=ONE[0]))),
    lambda a, b: np.mean(b * (np.log(b) - a)),
    lambda g, out, a, b: -g / MILLION * b,
    by=1,
)
entry(
    "nll_loss",
    log_chances(100_000, 20),
    lambda x, labels: -np.mean(x[np.arange(len(labels)), labels]),
    chosen_back,
)
entry(
    "nll_loss few",  # 10,000 numbers out of a million
    log_chances(10_000, 100),
    lambda x, labels: -np.mean(x[np.arange(len(labels)), labels]),
    chosen_back,
    lambda x, labels: gg.nll_loss(x, labels),
)
entry(
    "hinge_loss",
    lambda rng: (rng.normal(size=MILLION), rng.integers(0, 2, MILLION) * 2 - 1),
    lambda x, y: np.mean(np.maximum(1 - x * y, 0)),
    lambda g, out, x, y: np.where(x * y < 1, -g / MILLION * y, 0),
    by=1,
)
entry(
    "binary_cross_entropy",
    lambda rng: (rng.uniform(0.01, 0.99, MILLION), rng.random(MILLION)),
    cross,
    lambda g, out, p, y: g / MILLION * (p - y) / (p * (1 - p)),
    by=1,
)
