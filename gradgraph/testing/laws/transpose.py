"""Laws 3 and 4: a VJP is a linear map, and the transpose of the JVP."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..case import SMALL_RESULT, Case, OpCase, PairCase, Traced, normal, tracked
from .amplitude import of_gradient, of_result, of_tangent
from .claims import guarded, vjp
from .verdict import Broken, Tally, Terms, compare, gradient, largest, place, same

Array = np.ndarray[Any, np.dtype[Any]]

LARGE = 1_000.0  # how many times a cotangent is taken: a rule may not clip it


def linear(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 3: the VJP is linear in the cotangent, deterministic, and aliases nothing."""
    if case.forward and by_hand(case):
        _linear_forward(case, rng, tally)
    if not case.reverse:
        return False
    out = case.result
    u, v = normal(rng, out.shape), normal(rng, out.shape)
    with np.errstate(all="ignore"):
        held = vjp(case, u, "linear")
        first = [np.array(a) for a in held]
        other = vjp(case, v, "linear")
        second = [np.array(a) for a in other]
        both = [np.array(a) for a in vjp(case, LARGE * u - v, "linear")]
        again = vjp(case, u, "linear")
    for k, label in enumerate(case.labels):
        a, b, c = first[k], second[k], both[k]
        if not same(a, again[k]):
            raise Broken("linear", f"two calls gave different cotangents of {label}")
        if np.shares_memory(held[k], other[k]) and a.any():
            raise Broken("linear", f"every call writes its cotangent of {label} to one array")
        scale = LARGE * (np.abs(a) + largest(a)) + np.abs(b) + largest(b)
        what = partial(gradient, label, f" for the cotangent {LARGE:.0f} u - v")
        terms = of_gradient(case, k, LARGE * u)
        compare("linear", c, LARGE * a - b, scale, tally, what, terms)
    if isinstance(case, OpCase):
        _deposited(case, u, first)
        _linear_arguments(case, rng, tally)
    return True


def by_hand(case: Case) -> bool:
    """Whether somebody else wrote a rule of it."""
    return isinstance(case, PairCase) or (isinstance(case, Traced) and case.opaque)


def _linear_forward(case: Case, rng: np.random.Generator, tally: Tally) -> None:
    """The JVP is linear in the tangents."""
    ts, vs = ([normal(rng, x.shape) for x in case.xs] for _ in range(2))
    a, b, c = (
        guarded("linear", partial(case.jvp, each))
        for each in (ts, vs, [LARGE * t - v for t, v in zip(ts, vs, strict=True)])
    )
    scale = 100 * (LARGE * (np.abs(a) + largest(a)) + np.abs(b) + largest(b))
    what: Callable[[Any], str] = lambda at: f"tangent{place(at)} for {LARGE:.0f} t - v"  # noqa: E731
    terms = of_tangent(case, [LARGE * t for t in ts])
    compare("linear", c, LARGE * a - b, scale, tally, what, terms)


def _deposited(case: OpCase, u: Array, wanted: list[Array]) -> None:
    """`backward` leaves the same in `.grad`, in memory of its own."""
    leaves, outs = case.traced(case.xs)
    if len(outs) != 1 or not tracked(outs[0]):
        return
    outs[0].backward(u)
    grads = [None if x.grad is None else x.grad.data for x in leaves]
    for i, (label, g) in enumerate(zip(case.labels, grads, strict=True)):
        if g is None:
            continue
        if not same(g, wanted[i]):
            raise Broken("linear", f"backward leaves another gradient of {label} than the sweep")
        others = [u, *(x._data for x in leaves), *(h for h in grads[:i] if h is not None)]
        if any(np.shares_memory(g, other) for other in others):
            raise Broken("linear", f"the gradient of {label} shares memory with another array")


def _linear_arguments(case: OpCase, rng: np.random.Generator, tally: Tally) -> None:
    """What the class says of its arguments: linear, with zero at zero."""
    for k, i in enumerate(case.places):
        if i >= len(case.op.args) - case.op.variadic or case.op.args[i] not in case.op.linear:
            continue
        label = case.labels[k]
        x = case.xs[k]
        other = normal(rng, x.shape)

        def at(v: Any, k: int = k) -> Array:
            return case.value([*case.xs[:k], v, *case.xs[k + 1 :]])

        if np.any(at(np.zeros_like(x))):
            raise Broken("linear", f"linear names {label}, but zero does not give zero")
        a, b = at(x), at(other)
        scale = 2 * np.abs(a) + np.abs(b) + largest(a) + largest(b)
        what: Callable[[Any], str] = lambda at: f"out{place(at)}"  # noqa: E731
        compare("linear", at(2 * x - other), 2 * a - b, scale, tally, what, of_result(case))


def adjoint(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 4: JVP and VJP are transposes of each other; no differences involved."""
    if not (case.reverse and case.forward):
        return False
    out = case.result
    u = normal(rng, out.shape)
    ts = [normal(rng, x.shape) for x in case.xs]
    pushed, pulled = guarded("adjoint", lambda: case.jvp(ts)), vjp(case, u, "adjoint")
    left = float(np.sum(u * pushed))
    right = float(sum(np.sum(g * t) for g, t in zip(pulled, ts, strict=True)))
    scale = float(np.sum(np.abs(u)) * largest(pushed) + np.sum(np.abs(u * pushed)))
    scale += float(sum(np.sum(np.abs(t)) * largest(g) for g, t in zip(pulled, ts, strict=True)))
    if by_hand(case) and 1 < out.size <= SMALL_RESULT:
        _row_by_row(case, pushed, ts, tally)
    factor = 1.0 if isinstance(case, OpCase) else 100.0
    size = float(np.sum(np.abs(u)))
    compare(
        "adjoint",
        np.asarray(right),
        np.asarray(left),
        np.asarray(scale * factor),
        tally,
        lambda at: "⟨Jᵀu, v⟩ against ⟨u, J v⟩",
        Terms(
            lambda: size * of_tangent(case, ts).natural(),
            lambda: factor * size * largest(of_tangent(case, ts).found()),
        ),
    )
    return True


def _row_by_row(case: Case, pushed: Array, ts: list[Array], tally: Tally) -> None:
    """Every element of the tangent by the VJP: in one sum, small ones are lost beside large."""
    rows = guarded("adjoint", case.rows)
    products = [[g * t for g, t in zip(row, ts, strict=True)] for row in rows]
    found = np.array([sum(map(np.sum, row)) for row in products]).reshape(pushed.shape)
    size = np.array([sum(np.abs(part).sum() for part in row) for row in products])
    scale = 100 * (size.reshape(pushed.shape) + np.abs(pushed))
    what: Callable[[Any], str] = lambda at: f"tangent{place(at)} by the VJP"  # noqa: E731
    compare("adjoint", found, pushed, scale, tally, what, of_tangent(case, ts))
