"""Elementwise functions and activations."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradgraph as gg

from .entry import ONE, TWO, entry, normal, positive, sigmoid

try:
    from scipy.special import erf  # numpy has none of its own, and a loop would be no peer
except ImportError:
    erf = None

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


def softsign_back(g: Any, y: Any, x: Any) -> Any:
    return g / np.square(1 + np.abs(x))


def hard_swish_back(g: Any, y: Any, x: Any) -> Any:
    return g * np.where(x < -3, 0, np.where(x > 3, 1, (2 * x + 3) / 6))


def arctan2_back(g: Any, out: Any, y: Any, x: Any) -> Any:
    scaled = g / (x * x + y * y)
    return scaled * x, -scaled * y


entry("softsign", normal(*ONE), lambda x: x / (1 + np.abs(x)), softsign_back)
entry("hard_swish", normal(*ONE), lambda x: x * np.clip(x / 6 + 0.5, 0, 1), hard_swish_back)
entry("mish", normal(*ONE), lambda x: x * np.tanh(np.logaddexp(0, x)))
entry("arctan2", normal(*TWO), np.arctan2, arctan2_back)
if erf is not None:
    entry(
        "erf",
        normal(*ONE),
        erf,
        lambda g, y, x: g * (2 / np.sqrt(np.pi) * np.exp(-x * x)),
    )
    entry(
        "gelu",
        normal(*ONE),
        lambda x: x * 0.5 * (1 + erf(x * np.sqrt(0.5))),
        lambda g, y, x: (
            g * (0.5 * (1 + erf(x * np.sqrt(0.5))) + x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi))
        ),
    )
