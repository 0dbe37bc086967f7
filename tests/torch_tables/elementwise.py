"""Elementwise functions, activations, and what the rules choose at kinks and ties."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import gradgraph as gg

from .case import RNG, F, above_one, case, distinct, first, last, normal, positive, torch, unit

UNARY: dict[str, tuple[Any, Any]] = {
    "negative": (torch.negative, normal),
    "absolute": (torch.abs, distinct),
    "abs": (torch.abs, distinct),
    "square": (torch.square, normal),
    "sqrt": (torch.sqrt, positive),
    "rsqrt": (torch.rsqrt, positive),
    "reciprocal": (torch.reciprocal, positive),
    "exp": (torch.exp, normal),
    "exp2": (torch.exp2, normal),
    "expm1": (torch.expm1, normal),
    "log": (torch.log, positive),
    "log2": (torch.log2, positive),
    "log10": (torch.log10, positive),
    "log1p": (torch.log1p, positive),
    "sin": (torch.sin, normal),
    "cos": (torch.cos, normal),
    "tan": (torch.tan, unit),
    "arcsin": (torch.arcsin, unit),
    "arccos": (torch.arccos, unit),
    "arctan": (torch.arctan, normal),
    "sinh": (torch.sinh, normal),
    "cosh": (torch.cosh, normal),
    "tanh": (torch.tanh, normal),
    "arcsinh": (torch.arcsinh, normal),
    "arccosh": (torch.arccosh, above_one),
    "arctanh": (torch.arctanh, unit),
    "erf": (torch.erf, normal),
    "erfc": (torch.erfc, normal),
    "sign": (torch.sign, distinct),
    "floor": (torch.floor, distinct),
    "ceil": (torch.ceil, distinct),
    "round": (torch.round, distinct),
    "trunc": (torch.trunc, distinct),
    "relu": (F.relu, distinct),
    "leaky_relu": (F.leaky_relu, distinct),
    "relu6": (F.relu6, lambda *s: distinct(*s) * 9),
    "elu": (F.elu, distinct),
    "selu": (F.selu, distinct),
    "celu": (F.celu, distinct),
    "gelu": (F.gelu, normal),
    "silu": (F.silu, normal),
    "mish": (F.mish, normal),
    "softplus": (partial(F.softplus, threshold=50), normal),
    "softsign": (F.softsign, distinct),
    "hard_sigmoid": (lambda x: torch.clamp(x / 6 + 0.5, 0, 1), lambda *s: distinct(*s) * 4.1),
    "hard_swish": (F.hardswish, lambda *s: distinct(*s) * 4.1),
    "hard_tanh": (F.hardtanh, lambda *s: distinct(*s) * 1.3),
    "sigmoid": (torch.sigmoid, normal),
    "log_sigmoid": (F.logsigmoid, normal),
    "softmax": (partial(torch.softmax, dim=-1), normal),
    "log_softmax": (partial(torch.log_softmax, dim=-1), normal),
    "glu": (F.glu, normal),
}
for function, (peer, domain) in UNARY.items():
    case(function, peer, domain(3, 5, 4))

BINARY: dict[str, tuple[Any, Any]] = {
    "add": (torch.add, normal),
    "subtract": (torch.subtract, normal),
    "multiply": (torch.multiply, normal),
    "divide": (torch.divide, positive),
    "power": (torch.pow, positive),
    "maximum": (torch.maximum, normal),
    "minimum": (torch.minimum, normal),
    "arctan2": (torch.arctan2, normal),
    "logaddexp": (torch.logaddexp, normal),
    "hypot": (torch.hypot, normal),
    "remainder": (torch.remainder, above_one),
}
for function, (peer, domain) in BINARY.items():
    case(function, peer, domain(3, 4), domain(3, 4))
    case(f"{function} broadcast", peer, domain(2, 3, 1), domain(4))

EXTREME = np.array([-1e4, -700.0, -50.0, -1e-3, 1e-3, 50.0, 700.0, 1e4])
for function in (
    "sigmoid",
    "tanh",
    "log_sigmoid",
    "gelu",
    "silu",
    "softsign",
    "elu",
    "erf",
    "erfc",
    "softplus",
):
    case(f"{function} extremes", UNARY[function][0], EXTREME)
case("softmax extremes", partial(torch.softmax, dim=-1), EXTREME)
case("log_softmax extremes", partial(torch.log_softmax, dim=-1), EXTREME)
case("cross_entropy extremes", F.cross_entropy, EXTREME.reshape(2, 4), np.array([0, 3]))

case("softmax axis", lambda x: torch.softmax(x, 0), normal(3, 4), ours=lambda x: gg.softmax(x, 0))
case("glu axis", lambda x: F.glu(x, 0), normal(4, 3), ours=lambda x: gg.glu(x, axis=0))
case(
    "leaky_relu slope",
    lambda x: F.leaky_relu(x, 0.3),
    distinct(9),
    ours=lambda x: gg.leaky_relu(x, 0.3),
)
case("elu alpha", lambda x: F.elu(x, 0.7), distinct(9), ours=lambda x: gg.elu(x, 0.7))
case(
    "celu alpha",
    lambda x: torch.where(x > 0, x, 0.7 * torch.expm1(x / 0.7)),
    distinct(9),
    ours=lambda x: gg.celu(x, 0.7),
)
case(
    "celu by its kernel",
    lambda x: F.celu(x, 0.7),
    distinct(9),
    ours=lambda x: gg.celu(x, 0.7),
    differs="theirs has 1 / alpha in float32 only, so its gradient is off by 1e-8",
)
case(
    "hard_sigmoid by its kernel",
    F.hardsigmoid,
    distinct(9),
    differs="theirs has 1 / 6 in float32 only, so its gradient is off by 1e-8",
)
case(
    "gelu tanh",
    lambda x: F.gelu(x, approximate="tanh"),
    normal(9),
    ours=lambda x: gg.gelu(x, approximate=True),
)
case(
    "softplus beta",
    lambda x: F.softplus(x, 2.5, threshold=100),
    normal(9),
    ours=lambda x: gg.softplus(x, 2.5),
)
case("prelu", lambda x, a: last(F.prelu(first(x), a)), distinct(2, 5, 3), positive(3))
case(
    "clip",
    lambda x: torch.clamp(x, -0.5, 0.8),
    normal(3, 4),
    ours=lambda x: gg.clip(x, -0.5, 0.8),
)
case("clip tensors", torch.clamp, normal(3, 4) * 3, -positive(3, 4), positive(3, 4))
case(
    "clip below", lambda x: torch.clamp(x, min=0.1), normal(9), ours=lambda x: gg.clip(x, 0.1, None)
)
case("where", torch.where, RNG.random((3, 4)) < 0.5, normal(3, 4), normal(3, 4))
case("where broadcast", torch.where, RNG.random((3, 1)) < 0.5, normal(4), normal(2, 3, 4))
case("power square", lambda x: x**2, normal(5), ours=lambda x: gg.power(x, 2))
case("power inverse", lambda x: x**-1, positive(5), ours=lambda x: gg.power(x, -1))
case("power negative base", lambda x: x**3, -positive(5), ours=lambda x: gg.power(x, 3))
case("power zero base", lambda x: x**2, np.array([0.0, 1.0, 2.0]), ours=lambda x: gg.power(x, 2))
case(
    "power zero exponent",
    lambda x: x**0,
    np.array([0.0, 1.0, 2.0]),
    ours=lambda x: gg.power(x, 0),
)


TIES = np.array([1.0, 3.0, 3.0, 2.0])
ZERO = np.array([0.0, 2.0, -2.0])
case("relu kink", F.relu, ZERO)
case("absolute kink", torch.abs, ZERO)
case("maximum tie", torch.maximum, TIES, np.array([1.0, 2.0, 3.0, 4.0]))
case("minimum tie", torch.minimum, TIES, np.array([1.0, 2.0, 3.0, 4.0]))
case("max tie", lambda x: x.amax(), TIES)
case("min tie", lambda x: x.amin(), -TIES)
case(
    "max tie by index",
    lambda x: x.max(0).values,
    TIES,
    ours=lambda x: gg.max(x, 0),
    differs="ours splits the gradient evenly among the greatest, theirs gives it to one",
)
case(
    "max_pool tie",
    lambda x: last(F.max_pool1d(first(x), 2)),
    TIES.reshape(1, 4, 1),
    ours=lambda x: gg.max_pool(x, 2),
)
case("l1_loss tie", F.l1_loss, TIES, np.array([1.0, 2.0, 3.0, 4.0]))
case(
    "norm zero",
    lambda x: torch.linalg.vector_norm(x),
    np.zeros(3),
    first_only="theirs is NaN there",
)
case(
    "hypot zero",
    torch.hypot,
    np.zeros(2),
    np.zeros(2),
    differs="ours has slope 0 at the origin, theirs NaN",
)
