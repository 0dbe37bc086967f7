"""Laws 6 and 7: a derivative is the limit of differences, at a kink from one of its sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...spec import brief
from ..case import SMALL_RESULT, Case, FunctionCase, OpCase, normal
from ..differences import (
    COARSE,
    EPS,
    SHARP,
    Curve,
    Estimate,
    Samples,
    Slopes,
    chosen,
    closest,
    complex_slope,
    confirmed,
    jumps,
    stair,
    straight,
)
from .amplitude import amplitude, met, of_tangent
from .claims import guarded, vjp
from .verdict import (
    GROSS,
    ROUNDING,
    Broken,
    Entry,
    Tally,
    compare,
    largest,
    number,
    place,
    worst_of,
)

Array = np.ndarray[Any, np.dtype[Any]]

FIRST_LEVELS = 7  # steps that are taken before a difference arouses suspicion
SMALLEST = 1e-300  # below, floats lose their digits
TINY = 1e-4  # of the step that suits a point, to see what bends there
WILD = 1e-2  # a curve that jumps by more (relative) from one tiny step to the next is no curve


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
    shape = case.result.shape
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
    sides = samples.sides()
    central = sides.central
    span = largest(np.concatenate([x.ravel() for x in case.xs])) or 1.0
    wrong, unclear = off(claimed, central, samples, span)
    at_kink = False
    if kinked or wrong.any() or unclear.any() or sides.kink.any():
        steps = Steps(near_step(case, ts), span, met(case))
        verdict, found = weighed(
            curve,
            claimed,
            steps,
            lambda: 0.0 if reduced else of_tangent(case, ts).found(),
            lambda: _rounding(case, weights),
        )
        if reduced and verdict.wrong.any() and _between(claimed, weights, whole):
            verdict = Verdict(np.asarray(False), np.asarray(False), np.asarray(True))
        if verdict.wrong.any() and inner_kinks(case, ts, rng):
            verdict = Verdict(np.zeros_like(verdict.wrong), verdict.unclear, verdict.wrong)
        if verdict.wrong.any():
            where = "slope of ⟨u, out⟩" if reduced else "slope of out"
            raise _accusation(claimed, found, verdict, where)
        at_kink = bool(verdict.kinked.any())
        if kinked or wrong.any() or unclear.any():
            unclear = verdict.unclear
    tally.kinks += at_kink
    tally.unclear += bool(unclear.any())
    if at_kink or reduced:
        return
    exact = complex_slope(curve, central)
    if exact is not None:
        alone = [np.zeros_like(t) for t in ts]
        scale = np.abs(exact) + largest(exact) + 1e-3 * samples.size
        if len(ts) > 1 and isinstance(case, OpCase):  # the parts may cancel
            for k, t in enumerate(ts):
                scale = scale + np.abs(case.jvp([*alone[:k], t, *alone[k + 1 :]]))
        factor = 50.0 if isinstance(case, OpCase) else 1e5
        what: Callable[[Any], str] = lambda at: f"slope of out{place(at)} along a direction"  # noqa: E731
        terms = of_tangent(case, ts)
        compare("differences", claimed, exact, scale * factor, tally, what, terms)


class Steps(NamedTuple):
    """What suits a point: a small step, the largest variable, and the largest number met on the
    way to the values of the curve."""

    near: float
    span: float
    met: float


def weighed(
    curve: Curve,
    claimed: Array,
    suits: Steps,
    terms: Callable[[], Any],
    rounding: Callable[[], Any] = float,
) -> tuple[Verdict, Slopes]:
    """A claimed slope against every kind of step, before anybody is accused.

    Args:
        curve: whose slope at 0 it is.
        claimed: the slope.
        suits: what suits the point.
        terms: gives what cancels in the claimed slope.
        rounding: gives how far the values of the curve may be off.

    Returns:
        The verdict, and the slopes that it rests on.
    """
    verdict, found = _weigh(curve, claimed, suits, 0.0, 0.0)
    if not (verdict.wrong.any() or verdict.unclear.any()):
        return verdict, found
    natural = np.fmax(Samples(curve, levels=2).size, suits.met) / suits.span
    gross = verdict.wrong & (np.abs(claimed - found.central.value) > GROSS * natural)
    high = stair(curve) if verdict.wrong.any() else np.zeros(())
    if not gross.any() or high.any():
        off_by = np.maximum(rounding(), high)
        verdict, found = _weigh(curve, claimed, suits, terms(), off_by)
    if verdict.wrong.any() or verdict.unclear.any():
        right, doubtful = confirmed(curve, claimed, found.central, suits.near, verdict.unclear)
        verdict.unclear = (verdict.unclear & ~right) | doubtful
        verdict.wrong &= ~right
    vague = found.central.error > WILD * np.abs(found.central.value)
    if (verdict.wrong & vague).any():  # what jumps at the finest steps oscillates too fast
        wild = jumps(curve, 1e-7, 6) > WILD * natural * suits.span
        verdict.unclear |= verdict.wrong & wild
        verdict.wrong &= ~wild
    return verdict, found


def _weigh(
    curve: Curve, claimed: Array, suits: Steps, terms: Any, rounding: Any
) -> tuple[Verdict, Slopes]:
    near, span, _ = suits
    steep = np.where(np.isfinite(claimed), np.abs(claimed), 0.0)
    rounding = rounding + EPS * span * steep  # x + h t is rounded, too
    terms = terms + rounding / (EPS * span)
    found = closest(curve, rounding, near)
    verdict = _judge(claimed, found, Samples(curve, levels=2), span, terms)
    for steps in (
        {"coarse": 2.0**-11, "levels": 14},  # a kink may be near
        {"coarse": near, "levels": 12},
        {"coarse": 0.09, "levels": 16, "ratio": 3.0},
    ):
        if not (verdict.wrong.any() or verdict.unclear.any()):
            return verdict, found
        samples = Samples(curve, **steps, rounding=rounding)  # type: ignore[arg-type]
        slopes = samples.sides()
        second = _judge(claimed, slopes, samples, span, terms)
        better = verdict.unclear & ~second.unclear
        found = chosen(better, slopes, found)
        afar = second.kinked & ~verdict.kinked  # a kink that smaller steps do not reach
        stays = verdict.wrong & (second.wrong | second.unclear | afar)
        verdict.wrong = np.where(better, second.wrong, stays)
        verdict.kinked = np.where(better, second.kinked, verdict.kinked)
        verdict.unclear &= second.unclear
    return verdict, found


def near_step(case: Case, ts: Sequence[Array]) -> float:
    """A tenth of the step at which the first variable would be 0, or twice itself."""
    steps = [np.abs(x / t)[(x != 0) & (t != 0)] for x, t in zip(case.xs, ts, strict=True)]
    return 0.1 * float(min((s.min() for s in steps if s.size), default=1.0))


def _rounding(case: Case, weights: Array) -> Any:
    """How far the values on the curve may be off."""
    found = 4 * EPS * amplitude(case).result
    return found if weights.shape == () else np.sum(np.abs(weights) * found)


def inner_kinks(case: Case, ts: Sequence[Array], rng: np.random.Generator) -> bool:
    """Whether ops of a function are on kinks of their own along a direction, and each chooses a
    slope in between.

    What several choices make together may lie anywhere, where the function is smooth, too.
    """
    if not isinstance(case, FunctionCase) or not _bends_inside(case, ts):
        return False
    tally = Tally()
    try:
        for inner in case.inner():
            kinks = inner.op.kinks or not inner.op.trusted or inner.opaque
            if kinks and inner.xs and inner.value(inner.xs).dtype.kind == "f":
                differences(inner, rng, tally, kinked=True)
    except Broken:
        return False
    return True


def _bends_inside(case: FunctionCase, ts: Sequence[Array]) -> bool:
    """Whether an op whose arguments move straight has a result that bends, to first order."""
    step = TINY * min(1.0, near_step(case, ts))
    try:
        graphs = [
            case.at([x + h * t for x, t in zip(case.xs, ts, strict=True)]).graph()
            for h in (-step, 0.0, step)
        ]
    except Exception:
        return False
    behind, here, ahead = ([v._data for v in graph.vertices] for graph in graphs)
    if not len(behind) == len(here) == len(ahead):
        return False
    bent = [_bent(*each) for each in zip(behind, here, ahead, strict=True)]
    return any(bent[s.output] and not any(bent[i] for i in s.inputs) for s in graphs[1].steps)


def _bent(behind: Any, here: Any, ahead: Any) -> bool:
    if isinstance(here, tuple) or np.asarray(here).dtype.kind != "f":
        return False
    left, right = np.asarray(here - behind), np.asarray(ahead - here)
    return bool(np.any(np.abs(right - left) > 0.01 * (np.abs(left) + np.abs(right)) + 1e-14))


def find_kink(case: Case) -> tuple[float, float, tuple[int, ...]] | None:
    """Slopes of both sides, and where, along a direction that shows a kink."""
    rng = np.random.default_rng(1)
    for k in range(2):
        ts = [normal(rng, x.shape) for x in case.xs]
        with np.errstate(all="ignore"):
            ts = [np.abs(t) if k else t for t in ts]
            curve = case.along(ts)
            if straight(curve):
                continue
            found = Samples(curve, levels=FIRST_LEVELS).sides()
            if found.kink.any():
                found = closest(curve, near=near_step(case, ts))
        if found.kink.any():
            at = tuple(int(i) for i in np.argwhere(found.kink)[0])
            return float(found.left.value[at]), float(found.right.value[at]), at
    return None


def on_kink(case: Case) -> bool:
    """Whether one-sided slopes differ at the point, along some direction."""
    return find_kink(case) is not None


def dot(gradients: Sequence[Array], ts: Sequence[Array]) -> float:
    return float(sum(np.sum(g * t) for g, t in zip(gradients, ts, strict=True)))


def _between(claimed: Array, weights: Array, curve: Curve) -> bool:
    """Whether a claimed slope of ⟨weights, out⟩ is one for which every element has chosen a slope
    between those of its two sides."""
    found = closest(curve)
    if not found.kink.any():
        return False
    left = weights * np.where(found.kink, found.left.value, found.central.value)
    right = weights * np.where(found.kink, found.right.value, found.central.value)
    error = np.where(found.kink, found.left.error + found.right.error, found.central.error)
    slack = np.sqrt(np.sum((weights * error) ** 2))  # errors in both directions
    low, high = np.sum(np.minimum(left, right)), np.sum(np.maximum(left, right))
    return bool(low - slack <= claimed <= high + slack)


def _accusation(claimed: Array, found: Slopes, verdict: Verdict, where: str) -> Broken:
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
    return Broken("differences", "the derivative is not the limit of differences", entry)


@dataclass
class Verdict:
    """Where a claimed slope is wrong, where nothing can be said, where the curve has a kink."""

    wrong: Array
    unclear: Array
    kinked: Array


def _judge(claimed: Array, found: Slopes, samples: Samples, span: float, terms: Any) -> Verdict:
    wrong, unclear = off(claimed, found.central, samples, span, terms)
    kinked = found.kink
    low = np.minimum(found.left.value - found.left.error, found.right.value - found.right.error)
    high = np.maximum(found.left.value + found.left.error, found.right.value + found.right.error)
    slack = _slack(claimed, found.central.value, samples, span, terms)
    outside = (claimed < low - slack) | (claimed > high + slack) | ~np.isfinite(claimed)
    sides = np.isfinite(found.left.error) & np.isfinite(found.right.error)
    wrong = np.where(kinked, outside & sides, wrong)
    unclear = np.where(kinked, ~sides, unclear)
    return Verdict(wrong, unclear & ~wrong, kinked)


def off(
    claimed: Array, found: Estimate, samples: Samples, span: float, terms: Any = 0.0
) -> tuple[Array, Array]:
    """Where a claimed slope is wrong, and where the estimate is too vague to say.

    Args:
        claimed, found: the slope and the estimate.
        samples: values that the estimate was made of.
        span: the largest variable.
        terms: what cancels in the slope.
    """
    slack = _slack(claimed, found.value, samples, span, terms)
    wrong = np.isfinite(found.error) & ~(np.abs(claimed - found.value) <= found.error + slack)
    scale = np.abs(found.value) + np.abs(claimed) + samples.size / (span + COARSE) + terms
    unclear = ~(found.error <= SHARP * scale)
    return np.asarray(wrong), np.asarray(unclear & ~wrong)


def _slack(claimed: Array, found: Array, samples: Samples, span: float, terms: Any) -> Any:
    size = np.abs(samples.here) / span
    relative = 1e-10 * (np.abs(claimed) + np.abs(found)) + 1e-12 * size + ROUNDING * EPS * terms
    return relative + SMALLEST
