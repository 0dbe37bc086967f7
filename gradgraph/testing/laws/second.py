"""Law 8: second derivatives, by every order of sweeps, against each other and differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any

import numpy as np

from ...mode import enable_grad
from ...ops import sum as total
from ...sweep import pull, push, reach
from ...tensor import asarray
from ..case import CannotCheck, Case, OpCase, Traced, holding, normal, tracked, weighted
from ..differences import Samples, closest, remembered
from .amplitude import NEARBY, SHAKEN, SINGLE, TRIALS, amplitude, gap, met
from .limits import FIRST_LEVELS, Steps, inner_kinks, near_step, off, weighed
from .verdict import Broken, Entry, Tally, Terms, compare, gradient, largest, place, worst_of

Array = np.ndarray[Any, np.dtype[Any]]

LARGEST_HESSIAN = 2_000  # variables of which each has its second derivative compared


def second_order(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 8, for s(x) = ⟨u, f⟩ + ⟨u, f⟩² / 2, whose Hessian is not zero even if f is linear."""
    if not (isinstance(case, Traced) and case.recorded and case.reverse):
        return False
    size = case.result.shape
    u = normal(rng, size) / max(1.0, np.sqrt(np.prod(size)))
    ts = [np.clip(normal(rng, x.shape), -1, 1) for x in case.xs]
    with case.held():
        leaves, outs = case.trace()
        if not any(tracked(o) for o in outs):
            return False
        try:
            forward_reverse, reverse_reverse, reverse_forward = _hessians(case, leaves, outs, u, ts)
        except (TypeError, AttributeError, ValueError, RuntimeError) as error:
            if isinstance(case, OpCase):
                raise Broken("second order", f"a rule cannot be differentiated: {error}") from error
            raise CannotCheck(
                case.name,
                f"a second derivative fails with {type(error).__name__}: {error}",
                "Write the rule with operators and gradgraph's functions, or pass order=1.",
            ) from error
    terms = cache(lambda: _terms(case, u, ts))
    for k, label in enumerate(case.labels):
        what = partial(gradient, label, " of second order")
        factor = 1e3 if isinstance(case, OpCase) else 1e6
        for other in (reverse_reverse, reverse_forward):
            if other is None:
                continue
            a, b = forward_reverse[k] if forward_reverse else reverse_reverse[k], other[k]
            scale = (np.abs(b) + largest(b) + largest(a)) * factor
            cancels = Terms(lambda: np.inf, partial(_nth, terms, k))
            compare("second order", a, b, scale, tally, what, cancels)
    best = np.concatenate([h.ravel() for h in forward_reverse or reverse_reverse])
    if not best.size:
        return True
    large = best.size > LARGEST_HESSIAN  # then compare one number, ⟨weights, H t⟩
    weights = normal(rng, best.shape) if large else np.ones(1)
    if large:
        best = np.sum(weights * best, keepdims=True)

    def slope(h: float) -> Array:
        try:
            moved = case.at([x + h * t for x, t in zip(case.xs, ts, strict=True)])
            cotangent = u * (1.0 + np.sum(u * moved.result))
            g = np.concatenate([g.ravel() for g in moved.vjp(cotangent)])
        except Exception:
            return np.full(best.shape, np.nan)
        return np.sum(weights * g, keepdims=True) if large else g

    curve = remembered(slope, best.size)
    tally.compared += 1
    samples = Samples(curve, levels=FIRST_LEVELS)
    found = samples.central()
    span = largest(np.concatenate([x.ravel() for x in case.xs])) or 1.0
    wrong, unclear = off(best, found, samples, span)
    if wrong.any() or unclear.any():
        steps = Steps(near_step(case, ts), span, met(case) * largest(u) / span)

        def every() -> Any:
            row = np.concatenate([np.ravel(t) for t in terms()])
            return np.sum(np.abs(weights) * row, keepdims=True) if large else row

        verdict, slopes = weighed(curve, best, steps, every)
        wrong, unclear, found = verdict.wrong, verdict.unclear, slopes.central
        kinked = verdict.kinked.any() or (wrong.any() and closest(case.along(ts)).kink.any())
        if kinked or (wrong.any() and inner_kinks(case, ts, rng)):  # the slope itself jumps
            tally.kinks += 1
            return True
    if wrong.any():
        at = worst_of(np.where(wrong, np.abs(best - found.value), -1.0))
        where = "⟨weights, H t⟩" if large else f"by {_named(case, at[0])}"
        entry = Entry(
            f"second derivative along a direction, {where}",
            float(found.value[at]),
            float(best[at]),
        )
        raise Broken("second order", "it is not the limit of differences of the VJP", entry)
    tally.unclear += bool(unclear.any())
    return True


def _nth(terms: Callable[[], list[Array]], k: int) -> Array:
    return terms()[k]


def _terms(case: Traced, u: Array, ts: Sequence[Array]) -> list[Array]:
    """What cancels in H t: how far float32 is off, in its eps, or results of ops that are moved."""
    first = amplitude(case).gradients  # H has g gᵀ in it
    scale = sum(map(largest, first)) * largest(u) * max(map(largest, ts))
    found = [g * scale for g in first]
    rng = np.random.default_rng(0)
    for _ in range(TRIALS // 2):
        xs = [np.asarray(x * (1.0 + NEARBY * normal(rng, x.shape)), np.float32) for x in case.xs]
        with suppress(Exception):  # not everything takes float32
            rough, fine = (
                _hessians_at(case, [x.astype(t) for x in xs], u, ts) for t in (np.float32, float)
            )
            _widen(found, rough, fine, SINGLE)
        with suppress(Exception), case.held():
            there = _hessians(case, *case.trace(), u, ts)
            _widen(found, _hessians(case, *case.shaken(SHAKEN, rng), u, ts), there, SHAKEN)
    return found


def _hessians_at(
    case: Traced, xs: Sequence[Array], u: Array, ts: Sequence[Array]
) -> tuple[Any, Any, Any]:
    """`_hessians` at other values, in their dtype."""
    with holding(case.parameters, xs[len(xs) - len(case.parameters) :]):
        leaves, outs = case.traced(xs)
        dtype = xs[0].dtype
        seeds = [t.astype(np.float32).astype(dtype) for t in ts]
        return _hessians(case, leaves, outs, u.astype(np.float32).astype(dtype), seeds)


def _widen(found: list[Array], rough: Any, fine: Any, size: float) -> None:
    for a, b in zip(rough, fine, strict=True):
        if a:
            for k in range(len(found)):
                found[k] = np.maximum(found[k], gap(a[k], b[k]) / size)


def _named(case: Case, flat: int) -> str:
    """The element of the variables at a place in one long row of them."""
    for label, x in zip(case.labels, case.xs, strict=True):
        if flat < x.size:
            return f"{label}{place([int(i) for i in np.unravel_index(flat, x.shape)])}"
        flat -= x.size
    return "?"


def _hessians(
    case: Traced, leaves: Sequence[Any], outs: Sequence[Any], u: Array, ts: Sequence[Array]
) -> tuple[Any, Any, Any]:
    """H t by forward over reverse, by reverse over reverse, and by reverse over forward."""
    with enable_grad():
        inner = weighted(outs, u)
        s = inner + inner * inner * 0.5
        order = reach([s])
        grads = pull(order, [(s, asarray(np.ones_like(s._data)))], record=True)
        gradient = [grads.get(x) for x in leaves]
    heads = [g for g in gradient if g is not None and tracked(g)]
    seeds = list(zip(leaves, ts, strict=True))
    rr = None
    if heads:
        with enable_grad():
            along = sum(total(g * t) for g, t in zip(gradient, ts, strict=True) if tracked(g))
        pulled = pull(reach([along]), [(along, np.ones_like(along._data))])
        rr = [_array(pulled.get(x), x) for x in leaves]
    else:
        rr = [np.zeros_like(x._data) for x in leaves]
    if not case.forward:
        return None, rr, None
    pushed = push(reach(heads), seeds)
    fr = [
        _array(pushed.get(g) if g is not None else None, x)
        for g, x in zip(gradient, leaves, strict=True)
    ]
    with enable_grad():
        tangent = push(order, [(x, asarray(t)) for x, t in seeds], record=True).get(s)
    rf = None
    if tangent is not None and tracked(tangent):
        pulled = pull(reach([tangent]), [(tangent, np.ones_like(tangent._data))])
        rf = [_array(pulled.get(x), x) for x in leaves]
    return fr, rr, rf


def _array(value: Any, like: Any) -> Array:
    if value is None:
        return np.zeros_like(like._data)
    return np.asarray(getattr(value, "_data", value))
