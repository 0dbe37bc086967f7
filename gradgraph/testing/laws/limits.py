"""Laws 6 and 7: a derivative is the limit of differences, at a kink from one of its sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...spec import brief
from ..case import Case, OpCase, normal
from ..differences import Curve, Estimate, Samples, Slopes, closest, complex_slope, confirmed
from .amplitude import of_tangent
from .claims import guarded, vjp
from .verdict import Broken, Entry, Tally, compare, largest, number, place, worst_of

Array = np.ndarray[Any, np.dtype[Any]]

SMALL_RESULT = 64  # elements of which each is differentiated where there is no JVP
FIRST_LEVELS = 7  # steps that are taken before a difference arouses suspicion
UNCLEAR = 1e-4  # a derivative known no better than this (relative) decides nothing


def differences(case: Case, rng: np.random.Generator, tally: Tally, kinked: bool = False) -> Any:
    """Laws 6 and 7: the slope along a direction is the limit of differences, or at a kink between
    the slopes of its two sides."""
    if not any(x.size for x in case.xs):
        return False
    for ts in _directions(case, rng, kinked):
        _along(case, ts, rng, tally, kinked)
    return True


def _directions(case: Case, rng: np.random.Generator, kinked: bool) -> Iterator[list[Array]]:
    """One of mixed signs; at a kink also one that moves everything the same way."""
    ts = [normal(rng, x.shape) for x in case.xs]
    size = np.sqrt(sum(np.sum(t * t) for t in ts)) / np.sqrt(max(1, len(ts)))
    size = max(1.0, float(size))
    yield [t / size for t in ts]
    if kinked:
        yield [np.abs(t) / size for t in ts]


def _along(
    case: Case, ts: list[Array], rng: np.random.Generator, tally: Tally, kinked: bool
) -> None:
    law = "kinks" if kinked else "differences"
    whole = curve = case.along(ts)
    tally.compared += 1
    shape = case.value(case.xs).shape
    reduced = not case.forward and np.prod(shape) > SMALL_RESULT
    weights = normal(rng, shape) if reduced else np.ones(())
    if case.forward:
        claimed = np.asarray(guarded(law, lambda: case.jvp(ts)), dtype=float)
    elif reduced:  # too many rows: compare one number
        claimed = np.asarray(dot(vjp(case, weights, law), ts))
        curve = lambda h: np.asarray(np.sum(weights * whole(h)))  # noqa: E731
    else:
        rows = guarded(law, case.rows)
        claimed = np.array([dot(row, ts) for row in rows]).reshape(shape)
    samples = Samples(curve, levels=FIRST_LEVELS)
    if claimed.shape != samples.here.shape:
        shapes = f"{brief(claimed.shape)}, not {brief(samples.here.shape)}"
        raise Broken(law, f"the tangent is {shapes}")
    central = samples.central()
    wrong, unclear = off(claimed, central)
    if unclear.any():  # a kink nearby: closer
        samples = Samples(curve, coarse=2.0**-11, levels=14)
        central = samples.central()
        wrong, unclear = off(claimed, central)
    at_kink = False
    if kinked or wrong.any() or unclear.any():
        found = closest(curve)
        verdict = _judge(claimed, found)
        if verdict.wrong.any():  # once more, by other steps, before anybody is accused
            again = Samples(curve, coarse=0.09, levels=16, ratio=3.0)
            second = _judge(claimed, again.sides())
            verdict.wrong &= second.wrong
            verdict.unclear |= second.unclear
        if verdict.wrong.any():
            verdict.wrong &= ~confirmed(curve, claimed, found.central)
        if reduced and verdict.wrong.any() and _between(claimed, weights, whole):
            verdict = _Verdict(np.asarray(False), np.asarray(False), np.asarray(True))
        if verdict.wrong.any():
            where = "slope of ⟨u, out⟩" if reduced else "slope of out"
            raise _accusation(law, claimed, found, verdict, where)
        at_kink, unclear = bool(verdict.kinked.any()), verdict.unclear
    tally.kinks += at_kink
    tally.unclear += bool(unclear.any())
    if at_kink or reduced:
        return
    exact = complex_slope(curve, central)
    if exact is not None:
        alone = [np.zeros_like(t) for t in ts]
        scale = np.abs(exact) + largest(exact) + 1e-3
        if len(ts) > 1 and isinstance(case, OpCase):  # the parts may cancel
            for k, t in enumerate(ts):
                scale = scale + np.abs(case.jvp([*alone[:k], t, *alone[k + 1 :]]))
        factor = 50.0 if isinstance(case, OpCase) else 1e5
        what: Callable[[Any], str] = lambda at: f"slope of out{place(at)} along a direction"  # noqa: E731
        moved = np.concatenate([t.ravel() for t in ts])
        terms = of_tangent(case, moved)
        compare("differences", claimed, exact, scale * factor, tally, what, terms)


def dot(gradients: Sequence[Array], ts: Sequence[Array]) -> float:
    return float(sum(np.sum(g * t) for g, t in zip(gradients, ts, strict=True)))


def _between(claimed: Array, weights: Array, curve: Curve) -> bool:
    """Whether a claimed slope of ⟨weights, out⟩ is one for which every element has chosen a slope
    between those of its two sides."""
    found = closest(curve)
    if not found.kink.any():
        return False
    left, right = weights * found.left.value, weights * found.right.value
    slack = np.sum(np.abs(weights) * np.maximum(found.left.error, found.right.error))
    low, high = np.sum(np.minimum(left, right)), np.sum(np.maximum(left, right))
    return bool(low - slack <= claimed <= high + slack)


def _accusation(law: str, claimed: Array, found: Slopes, verdict: _Verdict, where: str) -> Broken:
    off = np.abs(claimed - found.central.value)
    at = worst_of(np.where(verdict.wrong, np.where(np.isnan(off), np.inf, off), -1.0))
    if verdict.kinked[at]:
        low, high = sorted((found.left.value[at], found.right.value[at]))
        return Broken(
            "kinks",
            f"at a kink the {where}{place(at)} is {number(low)} on one side and {number(high)} on"
            f" the other, and the claimed one, {number(claimed[at])}, is not between them",
        )
    entry = Entry(
        f"{where}{place(at)} along a direction", float(found.central.value[at]), float(claimed[at])
    )
    return Broken(law, "the derivative is not the limit of differences", entry)


@dataclass
class _Verdict:
    wrong: Array
    unclear: Array
    kinked: Array


def _judge(claimed: Array, found: Slopes) -> _Verdict:
    central = found.central
    kinked = found.kink
    low = np.minimum(found.left.value - found.left.error, found.right.value - found.right.error)
    high = np.maximum(found.left.value + found.left.error, found.right.value + found.right.error)
    slack = 1e-12 * (1.0 + np.abs(claimed) + np.abs(central.value))
    off = ~(np.abs(claimed - central.value) <= central.error + slack)
    outside = (claimed < low - slack) | (claimed > high + slack) | ~np.isfinite(claimed)
    known = np.isfinite(central.error)
    sides = np.isfinite(found.left.error) & np.isfinite(found.right.error)
    wrong = np.where(kinked, outside & sides, off & known)
    scale = 1.0 + np.abs(central.value)
    vague = np.where(kinked, ~sides, ~(central.error <= UNCLEAR * scale))
    return _Verdict(np.asarray(wrong), np.asarray(vague & ~wrong), np.asarray(kinked))


def off(claimed: Array, found: Estimate) -> tuple[Array, Array]:
    slack = 1e-12 + 1e-10 * (np.abs(claimed) + np.abs(found.value)) + 1e-13 * largest(claimed)
    known = np.isfinite(found.error)
    wrong = known & ~(np.abs(claimed - found.value) <= found.error + slack)
    unclear = ~(found.error <= UNCLEAR * (1.0 + np.abs(found.value) + largest(claimed)))
    return np.asarray(wrong), np.asarray(unclear & ~wrong)
