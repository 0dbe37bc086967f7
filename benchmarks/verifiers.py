"""Five gradient verifiers on the same faults, and on the same functions that are right.

    pip install torch==2.13.0 jax autograd
    python benchmarks/verifiers.py [--only ours torch-slow …] [--subjects tanh …] [--rounds 3]
        [--json PATH]

A subject is a small function with a VJP and often a JVP, written once over an array namespace `xp`.
Most faults are mistakes that people make; the functions without a fault are chosen to be hard to
verify: kinks and ties at the sample and next to it, bad scales, cancellation, steep slopes, labels
and masks, arrays without elements. Every verifier gets the same float64 sample arrays.

ours        `check`, the sample and 3 points that it chooses near it. Rules that run on any array
            go in through `gg.custom`, order 2; rules in plain numpy as a bare pair. If the sample
            lies on a kink, as its author knows, `kinks="accept"`.
ours-drawn  the same with strategies instead of the sample: 30 inputs of the same shapes, positive
            if the sample is.
torch-slow  `gradcheck`, forward mode too where there is a JVP; `gradgradcheck` if the rules are
            made of torch functions.
torch-fast  the same with `fast_mode=True`.
jax         `check_grads`, a `custom_vjp` in reverse and a `custom_jvp` in both modes, order 2;
            plain numpy through `pure_callback`, order 1 (a `custom_jvp` then in forward mode only).
autograd    `check_grads` of HIPS autograd, both modes where there is a JVP, order 2 (plain numpy:
            order 1).

Everything else is as the verifiers have it by default. An error of a verifier about the shape of a
derivative is a verdict; any other error means that it refused to judge. What an engine cannot
express or mends by itself (a memory layout in jax, a cotangent that torch sums to its shape) is not
counted against its verifier. Who rejects every function at a kink also catches the faults there:
read "caught" beside "alarms". Times are those of verdicts with the wrong numbers at hand, after one
to warm up; what is made when a verdict is printed (text, our search for the op at fault, our
picture and program) is not counted. Verifiers take turns, and of several rounds the times are those
of the median one.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph.testing import CannotCheck, WrongGradient, check, tensors

Rule = Callable[..., Any]
SHARED = ("exp", "log", "sqrt", "sin", "cos", "tanh", "where", "reshape", "swapaxes", "concatenate")


@dataclass(frozen=True)
class Subject:
    """A function with derivatives written by hand.

    Attributes:
        name: what tables call it.
        args: the sample: float arrays, and arguments that are passed as they are.
        forward: `forward(xp, *args)`.
        vjp: `vjp(xp, g, out, *args)`, a tuple with the cotangents of the float arguments.
        jvp: `jvp(xp, tangents, out, *args)`, with a tangent for each float argument.
        kink: whether the sample lies on one.
        plain: whether the rules are for numpy arrays only, and end there.
        without: engines that cannot express it.
        right: whether its derivatives are.
    """

    name: str
    args: tuple[Any, ...]
    forward: Rule
    vjp: Rule
    jvp: Rule | None = None
    kink: bool = False
    plain: bool = False
    without: tuple[str, ...] = ()
    right: bool = False

    @property
    def places(self) -> list[int]:
        return [i for i, a in enumerate(self.args) if a.dtype.kind == "f"]

    @property
    def floats(self) -> list[Any]:
        return [self.args[i].copy() for i in self.places]

    def filled(self, xs: Sequence[Any]) -> list[Any]:
        """All arguments, with other floats."""
        args = list(self.args)
        for i, x in zip(self.places, xs, strict=True):
            args[i] = x
        return args

    def value(self, xp: Any, *xs: Any) -> Any:
        return self.forward(xp, *self.filled(xs))

    def pull(self, xp: Any, g: Any, out: Any, *xs: Any) -> tuple[Any, ...]:
        return tuple(self.vjp(xp, g, out, *self.filled(xs)))

    def push(self, xp: Any, ts: Sequence[Any], out: Any, *xs: Any) -> Any:
        assert self.jvp is not None
        return self.jvp(xp, ts, out, *self.filled(xs))


def space(module: Any, stop: Rule, **own: Any) -> SimpleNamespace:
    """What the rules are made of, from one library; `stop` gives a value without its history."""
    names = {name: getattr(module, name) for name in SHARED}
    rest = {n: own.get(n) or getattr(module, n) for n in ("abs", "sum", "max", "asarray")}
    return SimpleNamespace(stop=stop, **names, **rest)


NUMPY = space(np, stop=lambda x: x)
OURS = space(gg, stop=lambda x: x.data if isinstance(x, gg.Tensor) else x, abs=gg.absolute)


def normal(*shape: int, seed: int = 0) -> Any:
    return np.asarray(np.random.default_rng(seed).normal(size=shape))


def positive(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(0.3, 2, size=shape)


def unary(name: str, x: Any, forward: Rule, slope: Rule, **more: Any) -> Subject:
    """An elementwise function; both rules multiply by `slope(xp, out, x)`."""
    return Subject(
        name,
        (np.asarray(x, dtype=float),),
        forward,
        lambda xp, g, out, x: (g * slope(xp, out, x),),
        lambda xp, ts, out, x: ts[0] * slope(xp, out, x),
        **more,
    )


def sine(name: str, vjp: Rule, *, x: Any = None, **more: Any) -> Subject:
    """sin with a VJP of its own."""
    return Subject(name, (normal(2, 3) if x is None else x,), lambda xp, x: xp.sin(x), vjp, **more)


def product(
    name: str, vjp: Rule, jvp: Rule | None = None, *, y: Any = None, **more: Any
) -> Subject:
    args = normal(3, 4), normal(3, 4, seed=1) if y is None else y
    return Subject(name, args, lambda xp, x, y: x * y, vjp, jvp, **more)


def row_max(name: str, vjp: Rule) -> Subject:
    """The largest of each row, with ties."""
    x = np.array([[1.0, 1.0, 0.0], [2.0, -1.0, 2.0]])
    return Subject(name, (x,), lambda xp, x: xp.max(x, axis=1), vjp, kink=True)


def largest(name: str, share: Rule) -> Subject:
    """The larger of two, with a tie; x gets `share(xp, x, y)` of the cotangent."""
    args = np.array([1.0, 2.0, 0.0]), np.array([1.0, 1.0, 3.0])
    vjp: Rule = lambda xp, g, out, x, y: (g * share(xp, x, y), g * share(xp, y, x))  # noqa: E731
    return Subject(name, args, lambda xp, x, y: xp.where(x > y, x, y), vjp, kink=True)


def norm(name: str, x: Any, divisor: Rule, **more: Any) -> Subject:
    return Subject(
        name,
        (x,),
        lambda xp, x: xp.sqrt(xp.sum(x * x)),
        lambda xp, g, out, x: (g * x / divisor(xp, out),),
        **more,
    )


def dense(name: str, *, w: Any = None, dx: Rule | None = None, dw: Rule | None = None,
          db: Rule | None = None, jvp: Rule | None = None) -> Subject:  # fmt: skip
    """x @ w + b; what is not given is right."""
    w = normal(4, 2, seed=1) if w is None else w
    dx = dx or (lambda xp, g, x, w: g @ xp.swapaxes(w, 0, 1))
    dw = dw or (lambda xp, g, x, w: xp.swapaxes(x, 0, 1) @ g)
    db = db or (lambda xp, g, x, w: xp.sum(g, axis=0))
    return Subject(
        name,
        (normal(3, 4), w, normal(w.shape[1], seed=2)),
        lambda xp, x, w, b: x @ w + b,
        lambda xp, g, out, x, w, b: tuple(rule(xp, g, x, w) for rule in (dx, dw, db)),
        jvp,
    )


def one_hot(labels: Any, count: int) -> Any:
    return np.eye(count)[labels]


def windows(
    n: int, k: int, stride: int = 1, padding: int = 0, dilation: int = 1, count: int | None = None
) -> Any:
    """A matrix that takes the windows from n numbers: a row for each place of each window."""
    count = count or (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1
    at = stride * np.arange(count)[:, None] + dilation * np.arange(k) - padding
    return 1.0 * (at[..., None] == np.arange(n)).reshape(count * k, n)


def conv(
    name: str, take: Any, *, for_x: Any = None, for_w: Any = None, flip: bool = False
) -> Subject:
    """A convolution (batch, n, 2) → (batch, windows, 3); the rules may take other windows."""
    n, k, c, d = take.shape[1], 3, 2, 3
    back, again = take if for_x is None else for_x, take if for_w is None else for_w
    order = np.eye(k)[:: -1 if flip else 1].copy()

    def forward(xp: Any, x: Any, w: Any) -> Any:
        return xp.reshape(xp.asarray(take) @ x, (2, -1, k * c)) @ xp.reshape(w, (k * c, d))

    def vjp(xp: Any, g: Any, out: Any, x: Any, w: Any) -> Any:
        w = xp.reshape(xp.asarray(order) @ xp.reshape(w, (k, c * d)), (k * c, d))
        spread = xp.reshape(g @ xp.swapaxes(w, 0, 1), (2, -1, c))
        patches = xp.reshape(xp.asarray(again) @ x, (-1, k * c))
        dw = xp.swapaxes(patches, 0, 1) @ xp.reshape(g, (-1, d))
        return xp.asarray(back.T.copy()) @ spread, xp.reshape(dw, (k, c, d))

    return Subject(name, (normal(2, n, c), normal(k, c, d, seed=1)), forward, vjp)


def pool(name: str, vjp: Rule, *, ties: bool = False, plain: bool = True) -> Subject:
    """Max-pooling of 7 numbers, windows of 3 with stride 2; `vjp(xp, g, out, x, take)`."""
    take = windows(7, 3, stride=2)
    x = (
        np.array([0.0, 1.0, 1.0, 2.0, 2.0, 0.0, 2.0])
        if ties
        else np.array([0.1, 1, 3, 2, 0, 1.5, 1])
    )
    return Subject(
        name,
        (x,),
        lambda xp, x: xp.max(xp.reshape(xp.asarray(take) @ x, (3, 3)), axis=1),
        lambda xp, g, out, x: (vjp(xp, g, out, x, take),),
        kink=ties,
        plain=plain,
    )


def to_first(xp: Any, g: Any, out: Any, x: Any, take: Any) -> Any:
    return take.T @ (g[:, None] * one_hot((take @ x).reshape(3, 3).argmax(1), 3)).ravel()


def to_all_ties(xp: Any, g: Any, out: Any, x: Any, take: Any) -> Any:
    wins = xp.reshape(xp.asarray(take) @ x, (3, 3)) == xp.reshape(out, (3, 1))
    spread = xp.where(wins, xp.reshape(g, (3, 1)), 0.0)
    return xp.asarray(take.T.copy()) @ xp.reshape(spread, (9,))


def overwriting(xp: Any, g: Any, out: Any, x: Any, take: Any) -> Any:
    dx = np.zeros_like(x)
    dx[2 * np.arange(3) + (take @ x).reshape(3, 3).argmax(1)] = g
    return dx


def indicator(xp: Any, condition: Any) -> Any:
    return xp.where(condition, 1.0, 0.0)


def rows(xp: Any, x: Any) -> Any:
    return xp.sum(x, axis=-1, keepdims=True)


def shifted(xp: Any, x: Any) -> Any:
    return x - xp.stop(xp.max(x, axis=-1, keepdims=True))


def softmax(xp: Any, x: Any) -> Any:
    e = xp.exp(shifted(xp, x))
    return e / rows(xp, e)


def log_softmax(xp: Any, x: Any) -> Any:
    z = shifted(xp, x)
    return z - xp.log(rows(xp, xp.exp(z)))


def softmax_vjp(xp: Any, g: Any, out: Any, x: Any) -> Any:
    return (out * (g - rows(xp, g * out)),)


def cross_entropy(name: str, factor: float) -> Subject:
    hot = one_hot([2, 0, 1], 4)
    return Subject(
        name,
        (normal(3, 4), np.array([2, 0, 1])),
        lambda xp, x, y: -xp.sum(xp.asarray(one_hot(y, 4)) * log_softmax(xp, x)) / len(y),
        lambda xp, g, out, x, y: (g * factor * (softmax(xp, x) - xp.asarray(hot)),),
    )


def mean(xp: Any, x: Any) -> Any:
    return xp.sum(x, axis=0, keepdims=True) / x.shape[0]


def deviation(xp: Any, x: Any) -> Any:
    return xp.sqrt(mean(xp, (x - mean(xp, x)) ** 2) + 1e-5)


def batch_norm(name: str, by_mean: bool = True, by_variance: bool = True) -> Subject:
    def vjp(xp: Any, g: Any, out: Any, x: Any) -> Any:
        g_mean, g_out = by_mean * mean(xp, g), by_variance * out * mean(xp, g * out)
        return ((g - g_mean - g_out) / deviation(xp, x),)

    return Subject(
        name,
        (normal(5, 3),),
        lambda xp, x: (x - mean(xp, x)) / deviation(xp, x),
        vjp,
        lambda xp, ts, out, x: vjp(xp, ts[0], out, x)[0],
    )


def embedding(name: str, add: Rule, **more: Any) -> Subject:
    """Rows of a table, one of them twice; `add(xp, g, at)` is the table's cotangent."""
    return Subject(
        name,
        (normal(5, 2), np.array([1, 4, 1])),
        lambda xp, table, at: xp.asarray(one_hot(at, 5)) @ table,
        lambda xp, g, out, table, at: (add(xp, g, at),),
        **more,
    )


def linear(name: str, matrix: Any, back: Any) -> Subject:
    """matrix @ x, whose VJP is `back` @ g."""
    return Subject(
        name,
        (normal(matrix.shape[1]),),
        lambda xp, x: xp.asarray(matrix) @ x,
        lambda xp, g, out, x: (xp.asarray(back.copy()) @ g,),
    )


def wide(name: str, change: float) -> Subject:
    """40 numbers to 50; one of the 2,000 slopes is multiplied by `change`."""
    matrix = normal(50, 40, seed=3)
    other = matrix.T.copy()
    other[17, 31] *= change
    return Subject(
        name,
        (normal(40) / 6,),
        lambda xp, x: xp.tanh(xp.asarray(matrix) @ x),
        lambda xp, g, out, x: (xp.asarray(other) @ (g * (1 - out * out)),),
    )


def rights() -> list[Subject]:
    """Functions whose derivatives are right."""
    sin, cos = (lambda xp, x: xp.sin(x)), (lambda xp, out, x: xp.cos(x))
    relu, step = (lambda xp, x: xp.where(x > 0, x, 0.0)), (lambda xp, o, x: indicator(xp, x > 0))
    plain, general = windows(8, 3), windows(9, 3, stride=2, padding=1, dilation=2)
    triangle = np.tril(np.ones((6, 6)))
    large = 1e6 + normal(6)
    mask = np.array([[True, False, True], [False, True, True]])

    def winners(xp: Any, x: Any) -> Any:
        return indicator(xp, x == xp.max(x, axis=1, keepdims=True))

    found = [
        unary("sin", normal(2, 3), sin, cos),
        unary("tanh", normal(3, 4), lambda xp, x: xp.tanh(x), lambda xp, out, x: 1 - out * out),
        unary("sigmoid", normal(5), lambda xp, x: 1 / (1 + xp.exp(-x)),
              lambda xp, out, x: out * (1 - out)),
        dense("dense layer", jvp=lambda xp, ts, o, x, w, b: ts[0] @ w + x @ ts[1] + ts[2]),
        product("product, broadcast", lambda xp, g, out, x, y: (g * y, xp.sum(g * x, axis=0)),
                lambda xp, ts, out, x, y: ts[0] * y + x * ts[1], y=normal(4, seed=1)),
        conv("conv", plain),
        conv("conv, stride 2, padded, dilated", general),
        pool("max-pool, overlapping", to_first),
        Subject("softmax", (normal(3, 4),), softmax, softmax_vjp,
                lambda xp, ts, out, x: softmax_vjp(xp, ts[0], out, x)[0]),
        batch_norm("batch normalisation"),
        linear("cumulative sum", triangle, triangle.T),
        wide("2,000 slopes", 1.0),
        unary("relu at 0", [0.0, 1.0, -2.0], relu, step, kink=True),
        unary("relu at 1e-8", [1e-8, -1e-8, 1.0], relu, step),
        unary("relu at 1e-5", [1e-5, -1e-5, 1.0], relu, step),
        unary("abs at 0", [0.0, 1.0, -1.0], lambda xp, x: xp.abs(x),
              lambda xp, o, x: indicator(xp, x > 0) - indicator(xp, x < 0), kink=True),
        row_max("max with ties", lambda xp, g, out, x: (
            xp.reshape(g, (2, 1)) * winners(xp, x) / rows(xp, winners(xp, x)),)),
        largest("maximum with ties", lambda xp, x, y: (
            0.5 * (indicator(xp, x > y) + indicator(xp, x >= y)))),
        pool("max-pool with ties", to_first, ties=True),
        unary("clip at its edges", [1.0, -1.0, 0.5, 2.0],
              lambda xp, x: xp.where(x > 1, 1.0, xp.where(x < -1, -1.0, x)),
              lambda xp, out, x: indicator(xp, out == x), kink=True),
        norm("norm at 0", np.zeros(3), lambda xp, out: xp.where(out > 0, out, 1.0), kink=True),
        norm("norm of 1e-7", 1e-7 * normal(3), lambda xp, out: xp.where(out > 0, out, 1.0)),
        unary("results of 1e6", normal(5), lambda xp, x: 1e6 * xp.sin(x),
              lambda xp, out, x: 1e6 * xp.cos(x)),
        unary("results of 1e-6", normal(5), lambda xp, x: 1e-6 * xp.sin(x),
              lambda xp, out, x: 1e-6 * xp.cos(x)),
        unary("arguments of 1e6", large, lambda xp, x: 1e-6 * x * x, lambda xp, o, x: 2e-6 * x),
        unary("reciprocal of 1e-3", 1e-3 * positive(4), lambda xp, x: 1 / x,
              lambda xp, out, x: -out * out),
        unary("log of 1e-5", 1e-5 * positive(4), lambda xp, x: xp.log(x), lambda xp, o, x: 1 / x),
        unary("exp of 20", 20 + normal(4), lambda xp, x: xp.exp(x), lambda xp, out, x: out),
        unary("cancellation", normal(4), lambda xp, x: (1e8 + xp.sin(x)) - 1e8, cos),
        Subject("variance of large numbers", (large,),
                lambda xp, x: xp.sum((x - mean(xp, x)) ** 2) / 5,
                lambda xp, g, out, x: (g * 0.4 * (x - mean(xp, x)),),
                lambda xp, ts, out, x: xp.sum(0.4 * ts[0] * (x - mean(xp, x)))),
        Subject("softmax of large logits", (100 * normal(2, 4),), softmax, softmax_vjp),
        unary("steep tanh", 0.02 * normal(5), lambda xp, x: xp.tanh(100 * x),
              lambda xp, out, x: 100 * (1 - out * out)),
        unary("fast sine", normal(5), lambda xp, x: xp.sin(100 * x),
              lambda xp, out, x: 100 * xp.cos(100 * x)),
        cross_entropy("cross-entropy, labels", 1 / 3),
        Subject("masked, booleans", (normal(2, 3), mask),
                lambda xp, x, keep: xp.where(xp.asarray(keep), xp.exp(x), 0.0),
                lambda xp, g, out, x, keep: (xp.where(xp.asarray(keep), g * out, 0.0),)),
        embedding("embedding, repeated rows", lambda xp, g, at: (
            xp.asarray(one_hot(at, 5).T.copy()) @ g)),
        unary("float32 inside", normal(4),
              lambda xp, x: np.sin(np.float32(x)).astype(float),
              lambda xp, out, x: np.cos(np.float32(x)).astype(float), plain=True),
        unary("no elements", np.zeros((0, 3)), sin, cos),
        unary("no axes", normal(), sin, cos),
    ]  # fmt: skip
    return [replace(s, right=True) for s in found]


class Every:
    """Counts calls, and says each third time that it is due."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> bool:
        self.calls += 1
        return self.calls % 3 == 0


def faults() -> list[Subject]:
    """Functions of which a rule is wrong."""
    ties = row_max("max, all ties win", lambda xp, g, out, x: (
        xp.where(x == xp.reshape(out, (2, 1)), xp.reshape(g, (2, 1)), 0.0),))  # fmt: skip
    strided, padded = windows(9, 3, stride=2), windows(8, 3, padding=1)
    dilated = windows(9, 3, dilation=2)
    triangle, after = np.tril(np.ones((6, 6))), np.eye(8)[::2]
    skew = np.triu(normal(5, 5, seed=4)) - np.triu(normal(5, 5, seed=4)).T
    square = normal(5, 5, seed=5)
    keep = np.array([1.0, 0, 1, 1, 0, 1]) / 0.6
    inner: Rule = lambda xp, x: 0.8 * (x + 0.045 * x**3)  # noqa: E731
    due, buffer, total = Every(), np.zeros((2, 3)), np.zeros((2, 3))
    cache: dict[Any, Any] = {}
    memory: dict[str, Any] = {"plain": True, "without": ("jax",)}
    cosine: Rule = lambda xp, g, out, x: (g * xp.cos(x),)  # noqa: E731

    def stale(xp: Any, g: Any, out: Any, x: Any) -> Any:
        return (g * cache.setdefault(x.shape, np.cos(x)),)

    def reused(xp: Any, g: Any, out: Any, x: Any) -> Any:
        np.multiply(g, np.cos(x), out=buffer)
        return (buffer,)

    def accumulated(xp: Any, g: Any, out: Any, x: Any) -> Any:
        np.add(total, g * np.cos(x), out=total)
        return (total.copy(),)

    def into_g(xp: Any, g: Any, out: Any, x: Any) -> Any:
        g *= np.cos(x)
        return (g.copy(),)

    def into_x(xp: Any, g: Any, out: Any, x: Any) -> Any:
        return (g * np.cos(x, out=x),)

    def in_memory_order(a: Any) -> Any:
        return a.ravel(order="K").reshape(a.shape)

    return [
        unary("flipped sign", normal(5), lambda xp, x: xp.cos(x), lambda xp, out, x: xp.sin(x)),
        unary("missing factor", normal(5), lambda xp, x: xp.sin(3 * x),
              lambda xp, out, x: xp.cos(3 * x)),
        unary("missing square", normal(5), lambda xp, x: xp.tanh(x), lambda xp, out, x: 1 - out),
        unary("sigmoid, wrong sign inside", normal(5), lambda xp, x: 1 / (1 + xp.exp(-x)),
              lambda xp, out, x: out * (1 + out)),
        unary("power not lowered", normal(5), lambda xp, x: x**3, lambda xp, out, x: 3 * x),
        unary("missing term", normal(5), lambda xp, x: x * xp.sin(x), lambda xp, o, x: xp.sin(x)),
        unary("gelu, half of the product", normal(5),
              lambda xp, x: 0.5 * x * (1 + xp.tanh(inner(xp, x))),
              lambda xp, out, x: 0.5 * (1 + xp.tanh(inner(xp, x)))),
        product("swapped arguments", lambda xp, g, out, x, y: (g * x, g * y)),
        Subject("quotient, missing square", (normal(5), positive(5)), lambda xp, x, y: x / y,
                lambda xp, g, out, x, y: (g / y, -g * x / y)),
        dense("bias gets None", db=lambda xp, g, x, w: None),
        dense("bias gets zeros", db=lambda xp, g, x, w: 0 * xp.sum(g, axis=0)),
        dense("weights not transposed", w=normal(4, 4, seed=1), dx=lambda xp, g, x, w: g @ w),
        dense("only the first of the batch", dw=lambda xp, g, x, w: (
            xp.swapaxes(x[:1], 0, 1) @ g[:1])),
        dense("bias averaged over the batch", db=lambda xp, g, x, w: xp.sum(g, axis=0) / len(x)),
        Subject("transposed result", (normal(4, 4),), lambda xp, x: xp.swapaxes(x, 0, 1),
                lambda xp, g, out, x: (g,)),
        product("broadcast, wrong axis summed", lambda xp, g, out, x, y: (
            g * y, xp.sum(g * x, axis=1)[:1] + 0 * y), y=normal(4, seed=1)),
        product("broadcast, not summed", lambda xp, g, out, x, y: (g * y, g * x),
                y=normal(4, seed=1), without=("torch",)),
        product("axis of length 1, not summed", lambda xp, g, out, x, y: (
            g * y, (g * x)[:, :1]), y=normal(3, 1, seed=1)),
        conv("conv, filter flipped", windows(8, 3), flip=True),
        conv("conv, stride forgotten", strided, for_x=windows(9, 3, count=4)),
        conv("conv, stride forgotten for w", strided, for_w=windows(9, 3, count=4)),
        conv("conv, padding forgotten", padded, for_x=windows(8, 3, count=8)),
        conv("conv, dilation forgotten", dilated, for_x=windows(9, 3, count=5)),
        ties,
        largest("maximum, both win ties", lambda xp, x, y: indicator(xp, x >= y)),
        pool("max-pool, all ties win", to_all_ties, ties=True, plain=False),
        pool("max-pool, overlaps overwrite", overwriting),
        Subject("mean, wrong count", (normal(3, 4),), lambda xp, x: xp.sum(x, axis=1) / 4,
                lambda xp, g, out, x: (xp.reshape(g, (3, 1)) / 12 + 0 * x,)),
        Subject("variance, n for n − 1", (normal(6),),
                lambda xp, x: xp.sum((x - mean(xp, x)) ** 2) / 5,
                lambda xp, g, out, x: (g * 2 * (x - mean(xp, x)) / 6,)),
        Subject("softmax, not projected", (normal(3, 4),), softmax,
                lambda xp, g, out, x: (g * out,)),
        Subject("log-softmax, not summed", (normal(3, 4),), log_softmax,
                lambda xp, g, out, x: (g - g * xp.exp(out),)),
        cross_entropy("cross-entropy, not averaged", 1.0),
        batch_norm("batch norm, variance fixed", by_variance=False),
        batch_norm("batch norm, mean fixed", by_mean=False),
        unary("off by 1e-4", normal(5), lambda xp, x: xp.sin(x),
              lambda xp, out, x: (1 + 1e-4) * xp.cos(x)),
        unary("off by 1e-6", normal(5), lambda xp, x: xp.sin(x),
              lambda xp, out, x: (1 + 1e-6) * xp.cos(x)),
        wide("one of 2,000 slopes, flipped", -1.0),
        wide("one of 2,000 slopes, off by 1 %", 1.01),
        sine("|g|", lambda xp, g, out, x: (xp.abs(g) * xp.cos(x),)),
        sine("g²", lambda xp, g, out, x: (g * g * xp.cos(x),)),
        sine("clips the cotangent at 1", lambda xp, g, out, x: (
            xp.where(xp.abs(g) > 1, g / (xp.abs(g) + 1e-30), g) * xp.cos(x),)),
        sine("clips the cotangent at 5", lambda xp, g, out, x: (
            xp.where(xp.abs(g) > 5, 5 * g / (xp.abs(g) + 1e-30), g) * xp.cos(x),)),
        sine("every third call", lambda xp, g, out, x: (g * np.cos(x) * (1 + 0.1 * due()),),
             **memory),
        sine("keeps the first point", stale, **memory),
        sine("accumulates, never cleared", accumulated, **memory),
        sine("reuses its buffer", reused, **memory),
        sine("writes into g", into_g, **memory),
        sine("writes into x", into_x, **memory),
        sine("memory order of g", lambda xp, g, out, x: (in_memory_order(g) * np.cos(x),),
             **memory),
        sine("memory order of x", lambda xp, g, out, x: (g * np.cos(in_memory_order(x)),),
             **memory),
        sine("JVP, flipped sign", cosine, jvp=lambda xp, ts, out, x: -ts[0] * xp.cos(x)),
        product("JVP, missing term", lambda xp, g, out, x, y: (g * y, g * x),
                lambda xp, ts, out, x, y: ts[0] * y),
        sine("slope cut from its graph", lambda xp, g, out, x: (g * xp.stop(xp.cos(x)),)),
        sine("cotangent cut from its graph", lambda xp, g, out, x: (xp.stop(g) * xp.cos(x),)),
        Subject("softmax, result cut from its graph", (normal(3, 4),), softmax,
                lambda xp, g, out, x: softmax_vjp(xp, g, xp.stop(out), x)),
        sine("cotangent (1, n) for (n,)", lambda xp, g, out, x: (
            xp.reshape(g * xp.cos(x), (1, 4)),), x=normal(4), without=("torch",)),
        sine("cotangent (1,) for a scalar", lambda xp, g, out, x: (
            xp.reshape(g * xp.cos(x), (1,)),), x=normal(), without=("torch",)),
        sine("cotangent (0,) for (0, 3)", lambda xp, g, out, x: (
            xp.reshape(g * xp.cos(x), (0,)),), x=np.zeros((0, 3))),
        sine("wrong beyond 1", lambda xp, g, out, x: (xp.where(x > 1, 0.0, g * xp.cos(x)),)),
        sine("wrong beyond 2", lambda xp, g, out, x: (xp.where(x > 2, 0.0, g * xp.cos(x)),)),
        unary("elu, wrong below 0", normal(5), lambda xp, x: xp.where(x > 0, x, xp.exp(x) - 1),
              lambda xp, out, x: 1 + 0 * x),
        unary("0/0 at 0", [0.0, 1.0, -2.0], lambda xp, x: x**2, lambda xp, out, x: 2 * out / x),
        norm("norm, 0/0 at 0", np.zeros(3), lambda xp, out: out, kink=True),
        unary("relu, slope 2 at 0", [0.0, 1.0, -2.0], lambda xp, x: xp.where(x > 0, x, 0.0),
              lambda xp, out, x: indicator(xp, x > 0) + 2 * indicator(xp, x == 0), kink=True),
        unary("abs, sign lost", normal(5), lambda xp, x: xp.abs(x), lambda xp, o, x: 1 + 0 * x),
        unary("huber, sign lost", 2 * normal(5), lambda xp, x: (
            xp.where(xp.abs(x) > 1, xp.abs(x) - 0.5, 0.5 * x * x)),
            lambda xp, out, x: xp.where(xp.abs(x) > 1, 1.0, x)),
        unary("clip, passes everything", normal(5), lambda xp, x: (
            xp.where(x > 0.3, 0.3, xp.where(x < -0.3, -0.3, x))), lambda xp, out, x: 1 + 0 * x),
        sine("float16 inside the rule", lambda xp, g, out, x: (
            (g * np.cos(x)).astype(np.float16).astype(float),), plain=True),
        sine("float32 inside the rule", lambda xp, g, out, x: (
            (g * np.cos(x)).astype(np.float32).astype(float),), plain=True),
        sine("error that a constant g hides", lambda xp, g, out, x: (
            g * xp.cos(x) + 0.1 * (g - xp.sum(g) / 6),)),
        linear("antisymmetric error", square, square.T + 0.1 * skew),
        linear("cumulative sum, not reversed", triangle, triangle),
        linear("every second, off by one", after, np.roll(after, 1, axis=1).T),
        embedding("embedding, repeated rows overwrite", lambda xp, g, at: (
            g[[1]] * [[0], [0], [0], [0], [1]] + g[[2]] * [[0], [1], [0], [0], [0]]), plain=True),
        Subject("dropout, not scaled", (normal(6),), lambda xp, x: xp.asarray(keep) * x,
                lambda xp, g, out, x: (xp.asarray(1.0 * (keep > 0)) * g,)),
        Subject("parts swapped", (normal(3), normal(3, seed=1)),
                lambda xp, x, y: xp.concatenate([x, y]),
                lambda xp, g, out, x, y: (g[3:], g[:3])),
        Subject("penalty forgotten", (normal(3, 4), normal(4, seed=1)),
                lambda xp, x, w: xp.sum((x @ w) ** 2) + 0.1 * xp.sum(w * w),
                lambda xp, g, out, x, w: (
                    2 * g * xp.reshape(x @ w, (3, 1)) * w,
                    2 * g * ((x @ w) @ x))),
        Subject("small results forgotten", (normal(3),),
                lambda xp, x: xp.concatenate([1e6 * xp.sin(x), 1e-6 * xp.cos(x)]),
                lambda xp, g, out, x: (1e6 * g[:3] * xp.cos(x),)),
        unary("small results, flipped sign", normal(5), lambda xp, x: 1e-7 * xp.sin(x),
              lambda xp, out, x: -1e-7 * xp.cos(x)),
    ]  # fmt: skip


def check_ours(subject: Subject, drawn: bool = False) -> None:
    args = subject.args
    if drawn:
        args = tuple(
            tensors(a.shape, values="positive" if np.all(a > 0) and a.size else "mixed")
            if i in subject.places
            else a
            for i, a in enumerate(args)
        )
    kinks = "accept" if subject.kink else "refuse"
    if subject.plain:
        rules: dict[str, Any] = {
            "vjp": lambda g, out, *args: subject.vjp(NUMPY, g, out, *args),
            "jvp": subject.jvp and (lambda ts, out, *args: subject.jvp(NUMPY, ts, out, *args)),
        }
        check(lambda *args: subject.forward(NUMPY, *args), *args, kinks=kinks, **rules)
        return
    function = gg.custom(
        lambda *xs: subject.value(NUMPY, *xs),
        lambda g, out, *xs: subject.pull(OURS, g, out, *xs),
        subject.jvp and (lambda ts, out, *xs: subject.push(OURS, ts, out, *xs)),
    )
    check(function, *(args[i] for i in subject.places), kinks=kinks)


def torch_checker(fast: bool) -> Callable[[Subject], None]:
    import torch
    from torch.autograd import gradcheck, gradgradcheck

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    xp = space(
        torch,
        stop=lambda x: x.detach(),
        sum=lambda x, axis=None, keepdims=False: torch.sum(x, dim=axis, keepdim=keepdims),
        max=lambda x, axis, keepdims=False: torch.amax(x, dim=axis, keepdim=keepdims),
    )

    def made(subject: Subject) -> Any:
        def outside(rule: Rule, *args: Any) -> Any:
            """The rule in torch, or in numpy on the same memory."""
            if not subject.plain:
                return rule(xp, *args)
            arrays = [
                [t.detach().numpy() for t in a] if isinstance(a, list) else a.detach().numpy()
                for a in args
            ]
            found = rule(NUMPY, *arrays)
            if isinstance(found, tuple):
                return tuple(torch.from_numpy(np.asarray(f)) for f in found)
            return torch.from_numpy(np.asarray(found))

        class Function(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *xs: Any) -> Any:
                out = outside(subject.value, *xs)
                ctx.save_for_backward(out, *xs)
                ctx.save_for_forward(out, *xs)
                return out

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return outside(subject.pull, g, *ctx.saved_tensors)

            @staticmethod
            def jvp(ctx: Any, *ts: Any) -> Any:
                out, *xs = ctx.saved_tensors
                filled = [
                    torch.zeros_like(x) if t is None else t for t, x in zip(ts, xs, strict=True)
                ]
                return outside(subject.push, filled, out, *xs)

        if subject.plain:
            Function.backward = staticmethod(
                torch.autograd.function.once_differentiable(Function.backward)
            )
        return Function.apply

    def run(subject: Subject) -> None:
        torch.manual_seed(0)
        xs = tuple(torch.tensor(x, requires_grad=True) for x in subject.floats)
        function = made(subject)
        gradcheck(function, xs, check_forward_ad=subject.jvp is not None, fast_mode=fast)
        if not subject.plain:
            gradgradcheck(function, xs, fast_mode=fast)

    return run


def jax_checker() -> Callable[[Subject], None]:
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    xp = space(jnp, stop=jax.lax.stop_gradient)

    def run(subject: Subject) -> None:
        xs = tuple(map(jnp.asarray, subject.floats))
        out = subject.value(NUMPY, *subject.floats)

        def outside(rule: Rule, like: Any, *args: Any) -> Any:
            """The rule in jax, or in numpy through a callback."""
            if not subject.plain:
                return rule(xp, *args)
            shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), like)
            as_numpy: Rule = lambda *a: rule(NUMPY, *jax.tree.map(np.asarray, a))  # noqa: E731
            return jax.pure_callback(as_numpy, shapes, *args)

        def value(*xs: Any) -> Any:
            return outside(subject.value, out, *xs)

        def kept(*xs: Any) -> Any:
            result = value(*xs)
            return result, (result, *xs)

        order = 1 if subject.plain else 2
        reverse = jax.custom_vjp(value)
        reverse.defvjp(kept, lambda saved, g: outside(subject.pull, xs, g, *saved))
        check_grads(reverse, xs, order=order, modes=("rev",))
        if subject.jvp is None:
            return

        forward = jax.custom_jvp(value)

        @forward.defjvp
        def jvp(xs: Any, ts: Any) -> Any:
            result = value(*xs)
            return result, outside(subject.push, out, list(ts), result, *xs)

        check_grads(forward, xs, order=order, modes=("fwd",) if subject.plain else ("fwd", "rev"))

    return run


def autograd_checker() -> Callable[[Subject], None]:
    import autograd.numpy as anp
    from autograd.extend import defjvp, defvjp, primitive
    from autograd.test_util import check_grads
    from autograd.tracer import isbox

    def stop(x: Any) -> Any:
        while isbox(x):
            x = x._value
        return x

    both = space(anp, stop=stop)

    def run(subject: Subject) -> None:
        np.random.seed(0)
        xp = NUMPY if subject.plain else both
        function = primitive(lambda *xs: subject.value(NUMPY, *xs))
        count = len(subject.places)

        def vjp_of(i: int) -> Rule:
            def vjp(out: Any, *xs: Any) -> Rule:
                def pull(g: Any) -> Any:
                    found = subject.pull(xp, g, out, *xs)[i]
                    return anp.zeros(xs[i].shape) if found is None else found

                return pull

            return vjp

        def jvp_of(i: int) -> Rule:
            def jvp(t: Any, out: Any, *xs: Any) -> Any:
                ts = [t if j == i else anp.zeros(x.shape) for j, x in enumerate(xs)]
                return subject.push(xp, ts, out, *xs)

            return jvp

        defvjp(function, *map(vjp_of, range(count)))
        modes = ["rev"]
        if subject.jvp is not None:
            defjvp(function, *map(jvp_of, range(count)))
            modes = ["fwd", "rev"]
        places = tuple(range(count)) if count > 1 else 0
        order = 1 if subject.plain else 2
        check_grads(function, places, modes=modes, order=order)(*subject.floats)

    return run


@dataclass(frozen=True)
class Verifier:
    """A way to check a subject.

    Attributes:
        inputs: at which points it looks.
        make: makes the check, which raises where it finds fault.
        says: words of errors about a derivative's shape, which count as verdicts.
    """

    inputs: str
    make: Callable[[], Callable[[Subject], None]]
    says: tuple[str, ...] = ()


TORCH, JAX, AUTOGRAD = ("invalid gradient",), ("Custom VJP bwd rule",), ("non-broadcastable",)
VERIFIERS = {
    "ours": Verifier("sample, 3 nearby", lambda: check_ours),
    "ours-drawn": Verifier("30 drawn", lambda: lambda s: check_ours(s, drawn=True)),
    "torch-slow": Verifier("sample", lambda: torch_checker(fast=False), TORCH),
    "torch-fast": Verifier("sample", lambda: torch_checker(fast=True), TORCH),
    "jax": Verifier("sample", jax_checker, JAX),
    "autograd": Verifier("sample", autograd_checker, AUTOGRAD),
}


@dataclass(frozen=True)
class Outcome:
    """What a verifier said of a subject: "passed", "wrong" or "refused", and why."""

    name: str
    right: bool
    verdict: str
    seconds: float
    words: str = ""


def judged(run: Callable[[Subject], None], subject: Subject, says: Sequence[str]) -> Outcome:
    raised: Exception | None = None
    start = time.perf_counter()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            run(subject)
    except Exception as error:
        raised = error
    seconds = time.perf_counter() - start
    if raised is None:
        return Outcome(subject.name, subject.right, "passed", seconds)
    kind, words = type(raised).__name__, ""
    with contextlib.suppress(Exception):
        words = str(raised)
    known = isinstance(raised, AssertionError | WrongGradient) or kind == "GradcheckError"
    known = (known or any(part in words for part in says)) and not isinstance(raised, CannotCheck)
    verdict = "wrong" if known else "refused"
    return Outcome(subject.name, subject.right, verdict, seconds, f"{kind}: {words}")


def outcomes(name: str, only: Sequence[str]) -> list[Outcome]:
    """Every verdict of a verifier; the subjects are made anew, for some have a memory."""
    verifier = VERIFIERS[name]
    run = verifier.make()
    judged(run, rights()[0], verifier.says)
    return [
        judged(run, subject, verifier.says)
        for subject in [*faults(), *rights()]
        if name.split("-")[0] not in subject.without and (not only or subject.name in only)
    ]


def median_round(rounds: Sequence[list[Outcome]]) -> list[Outcome]:
    """The round that took the median time, of rounds with the same verdicts."""
    verdicts = [[o.verdict for o in each] for each in rounds]
    assert all(each == verdicts[0] for each in verdicts), "the rounds differ in their verdicts"
    return sorted(rounds, key=lambda each: sum(o.seconds for o in each))[len(rounds) // 2]


def names(found: Sequence[Outcome], verdict: str) -> str:
    return "; ".join(o.name for o in found if o.verdict == verdict) or "none"


def line(name: str, found: Sequence[Outcome], common: set[str]) -> str:
    wrong, right = ([o for o in found if o.right is side] for side in (False, True))
    caught = [o.name for o in wrong if o.verdict == "wrong"]
    alarms = sum(o.verdict == "wrong" for o in right)
    refused = "+".join(str(sum(o.verdict == "refused" for o in side)) for side in (wrong, right))
    seconds = [o.seconds for o in found] or [0.0]
    times = [sum(seconds), sum(o.seconds for o in right), statistics.median(seconds)]
    shared = f"{len(common.intersection(caught))}/{len(common)}"
    columns = [f"{len(caught)}/{len(wrong)}", shared, f"{alarms}/{len(right)}", refused]
    return (
        f"{name:<11} {VERIFIERS[name].inputs:<18}" + "".join(f"{c:>9}" for c in columns)
        + f"{times[0]:>9.2f}{times[1]:>9.2f}{times[2] * 1e3:>9.1f}"
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=VERIFIERS, default=list(VERIFIERS))
    parser.add_argument("--subjects", nargs="+", default=[], help="names of faults and functions")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is done")
    parser.add_argument("--json", help="where to write every verdict")
    options = parser.parse_args()
    unknown = set(options.subjects) - {s.name for s in [*faults(), *rights()]}
    if unknown:
        parser.error(f"no subjects are called {', '.join(sorted(unknown))}")
    rounds = [
        {name: outcomes(name, options.subjects) for name in options.only}
        for _ in range(options.rounds)
    ]
    found = {name: median_round([each[name] for each in rounds]) for name in options.only}
    everyone = [{o.name for o in each if not o.right} for each in found.values()]
    common = set.intersection(*everyone)
    print(
        "caught: of the faults that its engine can express; of all: of those that every engine can"
    )
    print(
        "refused: faults + right functions; s: all verdicts, those of right functions; ms: median"
    )
    heads = ("caught", "of all", "alarms", "refused", "s", "s right", "ms")
    print(f"{'verifier':<11} {'inputs':<18}" + "".join(f"{h:>9}" for h in heads))
    for name, each in found.items():
        print(line(name, each, common))
    if {"ours", "torch-slow"} <= set(found):
        mine, theirs = (sum(o.seconds for o in found[n]) for n in ("ours", "torch-slow"))
        print(f"ours takes {mine / theirs:.1f}x the time of torch-slow")
    for name, each in found.items():
        wrong, right = ([o for o in each if o.right is side] for side in (False, True))
        print(f"\n{name}")
        print(f"  missed: {names(wrong, 'passed')}")
        print(f"  false alarms: {names(right, 'wrong')}")
        print(f"  refused: {names(wrong, 'refused')} | {names(right, 'refused')}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({n: [vars(o) for o in each] for n, each in found.items()}, file, indent=1)


if __name__ == "__main__":
    main()
