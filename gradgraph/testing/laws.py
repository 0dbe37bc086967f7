"""The laws that a derivative obeys, cheapest first.

Each law takes a case, draws what it needs from a generator, and raises `Broken` where the case
breaks it. What it measured goes into a `Tally`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..graph import Graph
from ..mode import enable_grad
from ..node import Vertex
from ..ops import broadcast_to
from ..ops import sum as total
from ..spec import Spec, brief
from ..sweep import downstream, pull, push, reach
from ..tensor import Tensor, asarray
from . import oracle
from .case import (
    CannotCheck,
    Case,
    OpCase,
    PairCase,
    Traced,
    WrongShape,
    holding,
    joined,
    normal,
    split,
    tracked,
    weighted,
)
from .differences import EPS, Curve, Estimate, Samples, Slopes, closest, complex_slope, confirmed

Array = np.ndarray[Any, np.dtype[Any]]

LAWS = {
    "reference": "the result is that of the definition",
    "spec": "shapes and dtypes are as announced, and nothing that was passed is changed",
    "linear": "the VJP is linear in the cotangent, the same each time, and shares no memory",
    "adjoint": "⟨u, J v⟩ = ⟨Jᵀu, v⟩",
    "scalar graph": "JVP and VJP are those of the scalar graph of the definition",
    "differences": "the derivative is the limit of differences",
    "kinks": "at a kink a slope lies between the slopes of both sides",
    "second order": "the Hessian is symmetric, the same by every order of sweeps, and the limit"
    " of differences",
    "metamorphic": "fan-out, repeated arguments, broadcasting, batches, rows, layouts and dtypes"
    " change nothing",
}
LARGEST_UNFOLDED = 20_000  # floating point operations of a case that the scalar graph is made of
SMALL_RESULT = 64  # elements of which each is differentiated where there is no JVP
ROWS = 3  # cotangents that are swept at once
LARGEST_HESSIAN = 2_000  # variables of which each has its second derivative compared
FIRST_LEVELS = 8  # steps that are taken before a difference arouses suspicion
LARGE = 1_000.0  # how many times a cotangent is taken: a rule may not clip it
ROUNDING = 2_000.0  # how many eps of its terms a result may be off
UNCLEAR = 1e-4  # a derivative known no better than this (relative) decides nothing


class Broken(Exception):
    """A law that does not hold.

    Attributes:
        law: its name in `LAWS`.
        problem: what was found, in words.
        entry: where, what was expected and what was got; None where there is no one place.
    """

    def __init__(self, law: str, problem: str, entry: Entry | None = None) -> None:
        super().__init__(law, problem)
        self.law, self.problem, self.entry = law, problem, entry


@dataclass(frozen=True)
class Entry:
    """One wrong number.

    Attributes:
        what: what it is, e.g. `∂out[0, 1] / ∂w[2]`.
        expected, got: the numbers.
    """

    what: str
    expected: float
    got: float

    def __str__(self) -> str:
        return f"{self.what}: expected {_number(self.expected)}, got {_number(self.got)}"


@dataclass
class Tally:
    """What was measured while checking.

    Attributes:
        held: how often each law was tried and held.
        worst: the largest error per law, in eps of the terms.
        compared, unclear: comparisons with differences, and those that decided nothing.
        kinks: comparisons at a kink.
    """

    held: dict[str, int] = field(default_factory=dict)
    worst: dict[str, float] = field(default_factory=dict)
    compared: int = 0
    unclear: int = 0
    kinks: int = 0

    def add(self, other: Tally) -> None:
        """Count another tally in."""
        for law, n in other.held.items():
            self.held[law] = self.held.get(law, 0) + n
        for law, e in other.worst.items():
            self.worst[law] = max(self.worst.get(law, 0.0), e)
        self.compared += other.compared
        self.unclear += other.unclear
        self.kinks += other.kinks


def examine(
    case: Case, seed: int = 0, *, order: int = 2, kinked: bool = False, only: str = ""
) -> Tally:
    """Hold a case to every law that applies to it.

    Args:
        case: what is checked.
        seed: for directions and cotangents.
        order: 2 to check second derivatives too.
        kinked: whether the point may lie on a kink on purpose, where differences from the two
            sides disagree and second derivatives are undefined.
        only: name of one law, if the others are not of interest.

    Raises:
        Broken: with the first law that does not hold.
    """
    tally = Tally()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        for k, (name, law) in enumerate(_laws(order, kinked)):
            if only not in ("", name):
                continue
            if law(case, np.random.default_rng([seed, k]), tally) is not False:
                tally.held[name] = tally.held.get(name, 0) + 1
    return tally


Law = Callable[[Case, np.random.Generator, Tally], Any]


def _laws(order: int, kinked: bool) -> Iterator[tuple[str, Law]]:
    yield "reference", reference
    yield "spec", spec
    yield "linear", linear
    yield "adjoint", adjoint
    yield "scalar graph", scalar_graph
    yield ("kinks" if kinked else "differences"), partial(differences, kinked=kinked)
    if order > 1 and not kinked:
        yield "second order", second_order
    yield "metamorphic", metamorphic


def reference(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 1: `forward` equals `reference`; and tensors give what arrays give."""
    found = case.value(case.xs)
    if isinstance(case, Traced):
        _, outs = case.trace()
        for o, again in zip(outs, split(found, outs), strict=True):
            if not _same(np.asarray(getattr(o, "_data", o)), again):
                raise CannotCheck(
                    case.name,
                    "two calls with the same arguments gave different results",
                    "Make it deterministic: pass a seeded generator that is made inside.",
                )
    elif not _same(found, case.value(case.xs)):
        raise CannotCheck(
            case.name,
            "two calls with the same arguments gave different results",
            "Make it deterministic: pass a seeded generator that is made inside.",
        )
    graph = _unfolded(case)
    if graph is None:
        return False
    wanted = np.array([float(v) for v in graph.output.ravel()]).reshape(graph.output.shape)
    if wanted.shape != found.shape:
        raise Broken(
            "reference",
            f"the result is {brief(found.shape)}, but that of its definition is"
            f" {brief(wanted.shape)}",
        )
    _compare("reference", found, wanted, graph.condition(), tally, lambda at: f"out{_at(at)}")
    return True


def spec(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 2: shapes and dtypes are those of `spec`; arguments, cotangents, results stay as is."""
    if isinstance(case, PairCase):
        return _pair_changes_nothing(case, rng)
    if not isinstance(case, Traced):
        return False
    kept = [x.copy() for x in case.xs]
    _, outs = case.trace()
    results = [np.array(getattr(o, "_data", o)) for o in outs]
    if isinstance(case, OpCase):
        _check_spec(case, outs)
    u = normal(rng, case.value(case.xs).shape)
    u.setflags(write=False)
    saved = [np.array(s) for o in outs if isinstance(o, Vertex) for s in o.saved]
    before = u.copy()
    for label, x, g in zip(case.labels, case.xs, _vjp(case, u, "spec"), strict=True):
        if (g.shape, g.dtype) != (x.shape, x.dtype):
            raise Broken(
                "spec",
                f"the gradient of {label} is {brief(g.shape)} {g.dtype}, but {label} is"
                f" {brief(x.shape)} {x.dtype}",
            )
    if case.forward:
        case.jvp([np.ones_like(x) for x in case.xs])
    if not _same(u, before):
        raise Broken("spec", "a rule changed the cotangent in place")
    for name, a, b in zip(case.labels, case.xs, kept, strict=True):
        if not _same(a, b):
            raise Broken("spec", f"{name} was changed in place")
    again = [np.asarray(getattr(o, "_data", o)) for o in outs]
    now = [s for o in outs if isinstance(o, Vertex) for s in o.saved]
    for a, b in zip([*again, *now], [*results, *saved], strict=True):
        if not _same(a, b):
            raise Broken("spec", "a rule changed the result, or what forward saved, in place")
    return True


def _check_spec(case: OpCase, outs: Sequence[Any]) -> None:
    wanted = case.op.spec(*map(Spec.of, case.args))
    announced = list(wanted) if isinstance(wanted, tuple) else [wanted]
    masks = any(isinstance(a, np.ndarray) and a.dtype == bool for a in case.args[1:])
    for o, s in zip(outs, announced, strict=False):
        data = np.asarray(getattr(o, "_data", o))
        shaped = data.shape == s.shape or (masks and len(case.op.fields) > 0)  # a mask counts
        if not shaped or data.dtype != s.dtype:
            raise Broken(
                "spec",
                f"the result is {brief(data.shape)} {data.dtype}, but spec says {s}",
            )
    flops = case.op.flops(wanted, *map(Spec.of, case.args))
    if not flops >= 0:
        raise Broken("spec", f"flops gives {flops}")


def _pair_changes_nothing(case: PairCase, rng: np.random.Generator) -> Any:
    out = case.value(case.xs)
    if out.dtype.kind != "f":
        return False
    for what, call in (("the function", case.value), ("the vjp", None)):
        xs = [x.copy() for x in case.xs]
        u = normal(rng, out.shape)
        kept = u.copy()
        if call is not None:
            call(xs)
        elif case.reverse:
            _guarded("spec", partial(case.cotangents, u, xs))
        for name, a, b in zip(case.labels, xs, case.xs, strict=True):
            if not _same(a, b):
                raise Broken("spec", f"{what} changes its argument {name} in place")
        if not _same(u, kept):
            raise Broken("spec", f"{what} changes the cotangent that it is given")
    if case.forward:
        _guarded("spec", lambda: case.jvp([np.ones_like(x) for x in case.xs]))
    return True


def linear(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 3: the VJP is linear in the cotangent, deterministic, and aliases nothing."""
    if not case.reverse:
        return False
    out = case.value(case.xs)
    u, v = normal(rng, out.shape), normal(rng, out.shape)
    with np.errstate(all="ignore"):
        own = _terms(case) if isinstance(case, OpCase) else 1.0
        terms = own * (_largest(u) + _largest(v))
        held = _vjp(case, u, "linear")
        first = [np.array(a) for a in held]
        other = _vjp(case, v, "linear")
        second = [np.array(a) for a in other]
        both = [np.array(a) for a in _vjp(case, LARGE * u - v, "linear")]
        again = _vjp(case, u, "linear")
    for k, label in enumerate(case.labels):
        a, b, c = first[k], second[k], both[k]
        if not _same(a, again[k]):
            raise Broken("linear", f"two calls gave different cotangents of {label}")
        if np.shares_memory(held[k], other[k]) and a.any():
            raise Broken("linear", f"every call writes its cotangent of {label} to one array")
        scale = LARGE * (np.abs(a) + _largest(a) + terms) + np.abs(b) + _largest(b)
        what = partial(_gradient, label, f" for the cotangent {LARGE:.0f} u - v")
        _compare("linear", c, LARGE * a - b, scale, tally, what)
    if isinstance(case, OpCase):
        _deposited(case, u, first)
        _linear_arguments(case, rng, tally)
    return True


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
        if not _same(g, wanted[i]):
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
        scale = 2 * np.abs(a) + np.abs(b) + _largest(a) + _largest(b)
        _compare("linear", at(2 * x - other), 2 * a - b, scale, tally, lambda at: f"out{_at(at)}")


def adjoint(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 4: JVP and VJP are transposes of each other; no differences involved."""
    if not (case.reverse and case.forward):
        return False
    out = case.value(case.xs)
    u = normal(rng, out.shape)
    ts = [normal(rng, x.shape) for x in case.xs]
    pushed, pulled = _guarded("adjoint", lambda: case.jvp(ts)), _vjp(case, u, "adjoint")
    left = float(np.sum(u * pushed))
    right = float(sum(np.sum(g * t) for g, t in zip(pulled, ts, strict=True)))
    scale = float(np.sum(np.abs(u)) * _largest(pushed) + np.sum(np.abs(u * pushed)))
    scale += float(sum(np.sum(np.abs(t)) * _largest(g) for g, t in zip(pulled, ts, strict=True)))
    scale += _terms(case) * float(np.sum(np.abs(u))) * max(map(_largest, ts), default=0.0)
    factor = 1.0 if isinstance(case, OpCase) else 100.0
    _compare(
        "adjoint",
        np.asarray(right),
        np.asarray(left),
        np.asarray(scale * factor),
        tally,
        lambda at: "⟨Jᵀu, v⟩ against ⟨u, J v⟩",
    )
    return True


def scalar_graph(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 5: JVP and VJP are those of the scalar graph, to rounding."""
    graph = _unfolded(case)
    if graph is None:
        return False
    u = normal(rng, graph.output.shape)
    ts = [normal(rng, x.shape) for x in case.xs]
    # A rule that somebody else wrote may round as it likes, to half of the digits.
    factor, floor = (5e4, 25.0) if isinstance(case, Traced) and case.opaque else (1.0, 0.0)
    if case.reverse:
        exact = graph.pull(u)
        found = _vjp(case, u, "scalar graph")
        for label, a, b, size in zip(case.labels, found, exact.values, exact.scales, strict=True):
            scale = factor * (size + _largest(size)) + floor * _largest(u)
            _compare("scalar graph", a, b, scale, tally, partial(_gradient, label, ""))
    if case.forward:
        exact = graph.push(ts)
        scale = factor * (exact.scales + _largest(exact.scales)) + floor
        found = _guarded("scalar graph", lambda: case.jvp(ts))
        _compare("scalar graph", found, exact.values, scale, tally, lambda at: f"tangent{_at(at)}")
    return True


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
        claimed = np.asarray(_guarded(law, lambda: case.jvp(ts)), dtype=float)
    elif reduced:  # too many rows: compare one number
        claimed = np.asarray(_dot(_vjp(case, weights, law), ts))
        curve = lambda h: np.asarray(np.sum(weights * whole(h)))  # noqa: E731
    else:
        rows = _guarded(law, case.rows)
        claimed = np.array([_dot(row, ts) for row in rows]).reshape(shape)
    samples = Samples(curve, levels=FIRST_LEVELS)
    if claimed.shape != samples.here.shape:
        shapes = f"{brief(claimed.shape)}, not {brief(samples.here.shape)}"
        raise Broken(law, f"the tangent is {shapes}")
    central = samples.central()
    wrong, unclear = _off(claimed, central)
    if unclear.any():  # a kink nearby: closer
        samples = Samples(curve, coarse=2.0**-11, levels=14)
        central = samples.central()
        wrong, unclear = _off(claimed, central)
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
        scale = np.abs(exact) + _largest(exact) + _terms(case) + 1e-3
        if len(ts) > 1 and isinstance(case, OpCase):  # the parts may cancel
            for k, t in enumerate(ts):
                scale = scale + np.abs(case.jvp([*alone[:k], t, *alone[k + 1 :]]))
        factor = 50.0 if isinstance(case, OpCase) else 1e5
        what: Callable[[Any], str] = lambda at: f"slope of out{_at(at)} along a direction"  # noqa: E731
        _compare("differences", claimed, exact, scale * factor, tally, what)


def _dot(gradients: Sequence[Array], ts: Sequence[Array]) -> float:
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
    at = _worst(np.where(verdict.wrong, np.where(np.isnan(off), np.inf, off), -1.0))
    if verdict.kinked[at]:
        low, high = sorted((found.left.value[at], found.right.value[at]))
        return Broken(
            "kinks",
            f"at a kink the {where}{_at(at)} is {_number(low)} on one side and {_number(high)} on"
            f" the other, and the claimed one, {_number(claimed[at])}, is not between them",
        )
    entry = Entry(
        f"{where}{_at(at)} along a direction", float(found.central.value[at]), float(claimed[at])
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


def second_order(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 8, for s(x) = ⟨u, f⟩ + ⟨u, f⟩² / 2, whose Hessian is not zero even if f is linear."""
    if not (isinstance(case, Traced) and case.recorded and case.reverse):
        return False
    size = case.value(case.xs).shape
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
    for k, label in enumerate(case.labels):
        what = partial(_gradient, label, " of second order")
        factor = 1e3 if isinstance(case, OpCase) else 1e6
        for other in (reverse_reverse, reverse_forward):
            if other is None:
                continue
            a, b = forward_reverse[k] if forward_reverse else reverse_reverse[k], other[k]
            scale = (np.abs(b) + _largest(b) + _largest(a) + _terms(case)) * factor
            _compare("second order", a, b, scale, tally, what)
    best = np.concatenate([h.ravel() for h in forward_reverse or reverse_reverse])
    if not best.size:
        return True
    large = best.size > LARGEST_HESSIAN  # then compare one number, ⟨weights, H t⟩
    weights = normal(rng, best.shape) if large else np.ones(1)
    if large:
        best = np.sum(weights * best, keepdims=True)

    def curve(h: float) -> Array:
        moved = case.at([x + h * t for x, t in zip(case.xs, ts, strict=True)])
        value = moved.value(moved.xs)
        g = np.concatenate([g.ravel() for g in moved.vjp(u * (1.0 + np.sum(u * value)))])
        return np.sum(weights * g, keepdims=True) if large else g

    tally.compared += 1
    samples = Samples(curve, levels=FIRST_LEVELS)
    found = samples.central()
    wrong, unclear = _off(best, found)
    if unclear.any():  # a kink nearby: closer
        samples = Samples(curve, coarse=2.0**-11, levels=12)
        found = samples.central()
        wrong, unclear = _off(best, found)
    if wrong.any():
        samples = Samples(curve, coarse=0.09, levels=16, ratio=3.0)
        wrong &= _off(best, samples.central())[0]
    if wrong.any():
        wrong &= ~confirmed(curve, best, found)
    if wrong.any() and closest(case.along(ts)).kink.any():
        tally.kinks += 1  # two values are tied but for rounding
        return True
    if wrong.any():
        place = _worst(np.where(wrong, np.abs(best - found.value), -1.0))
        where = "⟨weights, H t⟩" if large else f"by {_named(case, place[0])}"
        entry = Entry(
            f"second derivative along a direction, {where}",
            float(found.value[place]),
            float(best[place]),
        )
        raise Broken("second order", "it is not the limit of differences of the VJP", entry)
    tally.unclear += bool(unclear.any())
    return True


def _named(case: Case, flat: int) -> str:
    """The element of the variables at a place in one long row of them."""
    for label, x in zip(case.labels, case.xs, strict=True):
        if flat < x.size:
            return f"{label}{_at([int(i) for i in np.unravel_index(flat, x.shape)])}"
        flat -= x.size
    return "?"


def _off(claimed: Array, found: Estimate) -> tuple[Array, Array]:
    slack = 1e-12 + 1e-10 * (np.abs(claimed) + np.abs(found.value)) + 1e-13 * _largest(claimed)
    known = np.isfinite(found.error)
    wrong = known & ~(np.abs(claimed - found.value) <= found.error + slack)
    unclear = ~(found.error <= UNCLEAR * (1.0 + np.abs(found.value) + _largest(claimed)))
    return np.asarray(wrong), np.asarray(unclear & ~wrong)


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


def metamorphic(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 9: ways of asking that must not matter."""
    _layouts(case, rng, tally)
    if not isinstance(case, Traced):
        return True
    if case.reverse:
        _fan_out(case, rng, tally)
        _repeated(case, rng, tally)
        _rows(case, rng, tally)
    if case.forward:
        _alone(case, rng, tally)
    if isinstance(case, OpCase):
        _expanded(case, rng, tally)
        _items(case, rng, tally)
        _replayed(case, rng, tally)
        _other_dtypes(case, rng, tally)
    _narrow(case, rng, tally)
    return True


def _fan_out(case: Traced, rng: np.random.Generator, tally: Tally) -> None:
    """A result that is used four times gets four times the cotangent."""
    leaves, outs = case.trace()
    if not any(tracked(o) for o in outs):
        return
    u = normal(rng, case.value(case.xs).shape)
    once = _vjp(case, u, "metamorphic")
    with case.held(), enable_grad():
        four = [o + o * 1.0 + (o + o) if tracked(o) else o for o in outs]
        found = case.pulled(leaves, four, u)
    for label, a, b in zip(case.labels, found, once, strict=True):
        scale = 4 * (np.abs(b) + _largest(b) + _terms(case) * _largest(u))
        what = partial(_gradient, label, " of a result that is used four times")
        _compare("metamorphic", a, 4 * b, scale, tally, what)


def _repeated(case: Traced, rng: np.random.Generator, tally: Tally) -> None:
    """f(x, x) has the sum of both partial derivatives."""
    own = len(case.xs) - len(case.parameters)
    pair = next(
        (
            (i, j)
            for i in range(own)
            for j in range(i + 1, own)
            if case.xs[i].shape == case.xs[j].shape
        ),
        None,
    )
    if pair is None:
        return
    i, j = pair
    xs = list(case.xs)
    xs[j] = xs[i]
    apart = case.at(xs)
    try:
        u = normal(rng, apart.value(xs).shape)
        wanted = _vjp(apart, u, "metamorphic")
    except Broken:
        raise
    except Exception:
        return  # equal arguments are not in its domain
    leaves, _ = apart.trace()
    together = [*leaves[:j], leaves[i], *leaves[j + 1 : own]]
    with apart.held(), enable_grad():
        outs = apart.apply(together)
        if not any(tracked(o) for o in outs):
            return
        found = apart.pulled([leaves[i]], outs, u)[0]
    both = wanted[i] + wanted[j]
    scale = np.abs(wanted[i]) + np.abs(wanted[j]) + _largest(wanted[i]) + _largest(wanted[j])
    a, b = case.labels[i], case.labels[j]
    what = partial(_gradient, a, f" where {a} and {b} are one tensor")
    _compare("metamorphic", found, both, scale, tally, what)


def _rows(case: Traced, rng: np.random.Generator, tally: Tally) -> None:
    """Several cotangents in one sweep, on a leading axis, are one VJP each."""
    leaves, outs = case.trace()
    if len(outs) != 1 or not tracked(outs[0]):
        return
    (out,) = outs
    us = normal(rng, (ROWS, *out.shape))
    with case.held():
        order = downstream(reach([out]), leaves)
        swept = pull(order, [(out, us)], rows=ROWS)
    each = [_vjp(case, u, "metamorphic") for u in us]
    for k, (label, x) in enumerate(zip(case.labels, leaves, strict=True)):
        found = swept.get(x)
        if found is None:
            continue
        wanted = np.stack([grads[k] for grads in each])
        scale = np.abs(wanted) + _largest(wanted) + _terms(case) * _largest(us)
        what = partial(_gradient, label, " with several cotangents in one sweep")
        _compare("metamorphic", np.asarray(found), wanted, scale, tally, what)


def _alone(case: Traced, rng: np.random.Generator, tally: Tally) -> None:
    """A variable without a tangent is one whose tangent is zero."""
    if len(case.xs) < 2:
        return
    k = int(rng.integers(len(case.xs)))
    leaves, outs = case.trace()
    heads = [o for o in outs if tracked(o)]
    if len(outs) != 1 or not heads:
        return
    t = normal(rng, case.xs[k].shape)
    ts = [t if i == k else np.zeros_like(x) for i, x in enumerate(case.xs)]
    wanted = _guarded("metamorphic", lambda: case.jvp(ts))
    with case.held():
        order = downstream(reach(heads), [leaves[k]])
        pushed = _guarded("metamorphic", lambda: push(order, [(leaves[k], t)]))
    found = np.zeros_like(wanted) if outs[0] not in pushed else pushed[outs[0]]
    scale = np.abs(wanted) + _largest(wanted) + _terms(case) * _largest(t)
    what: Callable[[Any], str] = lambda at: f"tangent{_at(at)} for {case.labels[k]} alone"  # noqa: E731
    _compare("metamorphic", np.asarray(found), wanted, scale, tally, what)


def _expanded(case: OpCase, rng: np.random.Generator, tally: Tally) -> None:
    """Broadcasting an operand is the same as repeating it first."""
    if len(case.op.args) < 2 or not case.op.diagonal:
        return
    out = case.value(case.xs)
    u = normal(rng, out.shape)
    small = _vjp(case, u, "metamorphic")
    for k, label in enumerate(case.labels):
        if case.op.args[case.places[k]] not in case.op.diagonal or case.xs[k].shape == out.shape:
            continue
        leaf = _leaf(case.xs[k])
        with enable_grad():
            xs: list[Any] = list(case.xs)
            xs[k] = broadcast_to(leaf, out.shape)
            outs = case.apply(xs)
            found = case.pulled([leaf], outs, u)[0]
        scale = _vjp_size(u) * (1.0 + np.abs(small[k]) + _largest(small[k]))
        what = partial(_gradient, label, " where it is broadcast, not repeated")
        _compare("metamorphic", small[k], found, scale, tally, what)


def _items(case: OpCase, rng: np.random.Generator, tally: Tally) -> None:
    """A batch of two is two batches of one, for arguments whose first axis runs over items."""
    names = case.op.per_item
    if not names:
        return
    places = [i for i, a in enumerate(case.op.args) if a in names]
    count = len(case.args[places[0]])
    out = case.value(case.xs)
    if count < 2 or len(out) != count:
        return
    u = normal(rng, out.shape)
    whole = _vjp(case, u, "metamorphic")
    parts = []
    for n in range(count):
        args = [a[n : n + 1] if i in places else a for i, a in enumerate(case.args)]
        one = OpCase(case.op, args)
        value = one.value(one.xs)
        scale = np.abs(value) + _largest(value)
        _compare("metamorphic", out[n : n + 1], value, scale, tally, lambda at: f"out{_at(at)}")
        parts.append(_vjp(one, u[n : n + 1], "metamorphic"))
    for k, i in enumerate(case.places):
        each = [p[k] for p in parts]
        wanted = np.concatenate(each) if i in places else np.sum(each, axis=0)
        scale = np.sum(np.abs(each), axis=0).max(initial=0.0) + np.abs(wanted)
        what = partial(_gradient, case.labels[k], " of a batch against its items")
        _compare("metamorphic", whole[k], wanted, scale, tally, what)


def _replayed(case: OpCase, rng: np.random.Generator, tally: Tally) -> None:
    """A recorded backward pass, replayed at other values, is the backward pass there."""
    leaves, outs = case.trace()
    if len(outs) != 1 or not tracked(outs[0]):
        return
    u = normal(rng, outs[0].shape)
    xs = [rng.permutation(x.ravel()).reshape(x.shape) for x in case.xs]
    with enable_grad():
        grads = pull(reach(outs), [(outs[0], asarray(u))], record=True)
    heads = [grads[x] for x in leaves]
    if not all(isinstance(h, Tensor) for h in heads):
        return
    graph = Graph.of(heads)
    slots = {graph.vertices[i]: i for i in range(len(graph.vertices))}
    kept = [k for k, x in enumerate(leaves) if x in slots]  # it is constant in the others
    graph = Graph.of(heads, inputs=[leaves[k] for k in kept])
    found = graph.replay(*(xs[k] for k in kept))
    found = found if isinstance(found, tuple) else (found,)
    there = case.at(xs)
    for label, a, b in zip(case.labels, found, _vjp(there, u, "metamorphic"), strict=True):
        scale = np.abs(b) + _largest(b) + _terms(there) * _largest(u)
        what = partial(_gradient, label, " of a recorded backward pass that is replayed")
        _compare("metamorphic", a, b, scale, tally, what)


def _layouts(case: Case, rng: np.random.Generator, tally: Tally) -> None:
    """Where the numbers lie in memory changes nothing."""
    if isinstance(case, Traced) and case.parameters:
        return
    wanted = case.value(case.xs)
    u = normal(rng, wanted.shape)
    plain = _vjp(case, u, "metamorphic")
    # An op is tried at many points, a function at few.
    for k in rng.permutation(len(_LAYOUTS))[: 1 if isinstance(case, OpCase) else 2]:
        _laid_out(case, _LAYOUTS[k], u, wanted, plain, tally)


def _laid_out(
    case: Case,
    layout: Callable[[Array], Array],
    u: Array,
    wanted: Array,
    plain: list[Array],
    tally: Tally,
) -> None:
    """The result and the cotangents, from arrays that lie otherwise in memory."""
    moved = [layout(x) for x in case.xs]
    scale = np.abs(wanted) + _largest(wanted)
    what: Callable[[Any], str] = lambda at: f"out{_at(at)} for arrays in {layout.__doc__}"  # noqa: E731
    _compare("metamorphic", case.value(moved), wanted, scale, tally, what)
    if not case.reverse:
        return
    if isinstance(case, Traced):
        leaves, outs = case.traced(moved)
        strange = case.pulled(leaves, outs, layout(u)) if any(map(tracked, outs)) else plain
    elif isinstance(case, PairCase):
        strange = _guarded("metamorphic", lambda: case.cotangents(layout(u), moved))
    for label, a, b in zip(case.labels, strange, plain, strict=True):
        scale = np.abs(b) + _largest(b) + _terms(case) * _largest(u)
        tail = f" for arrays in {layout.__doc__}"
        _compare("metamorphic", a, b, scale, tally, partial(_gradient, label, tail))


def _fortran(a: Array) -> Array:
    """Fortran order"""
    return np.array(a, order="F")


def _backwards(a: Array) -> Array:
    """a layout with negative strides"""
    turned: Any = (..., *(slice(None, None, -1),) * a.ndim)
    return np.asarray(a[turned].copy()[turned])


def _sliced(a: Array) -> Array:
    """a slice of a larger array"""
    wide = np.zeros((*a.shape, 2), a.dtype)
    wide[..., 1] = a
    return wide[..., 1]


def _frozen(a: Array) -> Array:
    """read-only memory"""
    copy = a.copy()
    copy.setflags(write=False)
    return copy


_LAYOUTS = (_fortran, _backwards, _sliced, _frozen)


def _narrow(case: Traced, rng: np.random.Generator, tally: Tally) -> None:
    """float32 and float16 are kept, forward and back, and agree with float64."""
    wide = case.value(case.xs)
    half = isinstance(case, OpCase) and rng.random() < 0.25
    dtype = np.dtype(np.float16 if half else np.float32)
    info: Any = np.finfo(dtype)
    xs = [x.astype(dtype) for x in case.xs]
    own = len(xs) - len(case.parameters)
    with holding(case.parameters, xs[own:]):
        leaves, outs = case.traced(xs)
        floats = [o for o in outs if tracked(o)]
        if not floats or wide.dtype.kind != "f":
            return
        if not isinstance(case, OpCase) and any(o.dtype != dtype for o in floats):
            return  # a function may widen on purpose
        u = np.asarray(normal(rng, wide.shape), dtype)
        found = case.pulled(leaves, outs, u)
    for label, x, g in zip(case.labels, xs, found, strict=True):
        if g.dtype != x.dtype:
            raise Broken("metamorphic", f"{label} is {x.dtype}, but its gradient is {g.dtype}")
    if not isinstance(case, OpCase):
        return  # a choice inside a function may fall differently after rounding
    announced = case.op.spec(*map(Spec.of, case.narrow(dtype)))
    specs = list(announced) if isinstance(announced, tuple) else [announced]
    for o, s in zip(outs, specs, strict=False):
        if o.dtype != s.dtype:
            raise Broken("metamorphic", f"from {dtype} came {o.dtype}; spec says {s.dtype}")
    there = case.at([x.astype(float) for x in xs])
    if _largest(there.value(there.xs)) > info.max / 10:
        return
    nudges = [x * (1 + info.eps * rng.choice([-1, 1], size=x.shape)) for x in there.xs]
    nudged = case.at(nudges)
    pairs = [
        (joined([o._data for o in outs]), there.value(there.xs), nudged.value(nudges), "out"),
    ]
    wanted = _vjp(there, u.astype(float), "metamorphic")
    moved = _vjp(nudged, u.astype(float), "metamorphic")
    pairs += [
        (g, w, m, f"d{label}")
        for label, g, w, m in zip(case.labels, found, wanted, moved, strict=True)
    ]
    rough = float(info.eps) * 800
    for g, w, m, label in pairs:
        if _largest(w) > info.max / 10 or not np.all(np.isfinite(m)):
            continue
        slack = rough * (np.abs(w) + _largest(w) + 0.1 * _vjp_size(u)) + 100 * _largest(m - w)
        bad = ~(np.abs(g - w) <= slack) & np.isfinite(w)
        if bad.any():
            at = _worst(np.where(bad, np.abs(g - w), -1.0))
            entry = Entry(f"{label}{_at(at)} in {dtype}", float(w[at]), float(g[at]))
            raise Broken("metamorphic", f"{dtype} does not agree with float64", entry)


def _other_dtypes(case: OpCase, rng: np.random.Generator, tally: Tally) -> None:
    """Integers and float16 give the dtype that `spec` says, integers the right values."""
    dtype = ("int64", "uint8", "float16")[int(rng.integers(3))]
    args = list(case.args)
    for i, x in zip(case.places, case.xs, strict=True):
        args[i] = np.minimum(np.abs(np.rint(x)) + 1, 5).astype(dtype)
    try:
        announced = case.op.spec(*map(Spec.of, args))
        out = case.op(*args)
    except Exception:
        return  # not every op takes every dtype
    specs = announced if isinstance(announced, tuple) else (announced,)
    outs = out if isinstance(out, tuple) else (out,)
    for o, s in zip(outs, specs, strict=False):
        if o.dtype != s.dtype:
            raise Broken("metamorphic", f"from {dtype} came {o.dtype}, but spec says {s.dtype}")
    if dtype == "int64" and len(outs) == 1 and outs[0].dtype.kind in "if" and not case.opaque:
        whole = OpCase(
            case.op, [a.astype(float) if i in case.places else a for i, a in enumerate(args)]
        )
        wanted = whole.value(whole.xs)
        scale = np.abs(wanted) + _largest(wanted)
        what: Callable[[Any], str] = lambda at: f"out{_at(at)} from integers"  # noqa: E731
        _compare("metamorphic", outs[0], wanted, scale, tally, what)


def _leaf(x: Array) -> Tensor:
    leaf = asarray(x, copy=False)
    leaf.requires_grad = True
    return leaf


def _vjp_size(u: Array) -> float:
    return 1.0 + float(np.sum(np.abs(u)))


def outside(case: Case) -> bool:
    """Whether the point lies outside the function's domain: its result is no number there.

    If its definition is finite there, the point counts as inside: the result is wrong.
    """
    with np.errstate(all="ignore"):
        value = case.value(case.xs)
        if value.dtype.kind != "f" or np.all(np.isfinite(value)):
            return False
        try:
            graph = case.scalars(LARGEST_UNFOLDED) if isinstance(case, Traced) else None
        except Exception:
            return True  # a logarithm of a negative number, a division by zero
    return graph is None or not np.all(np.isfinite(oracle.values(graph.output)))


def _unfolded(case: Case) -> Any:
    """The scalar graph of a small case; None if it is too large or has none."""
    if not isinstance(case, Traced):
        return None
    try:
        return case.scalars(LARGEST_UNFOLDED)
    except Exception as error:
        raise Broken("reference", f"a definition raised {type(error).__name__}: {error}") from error


def _terms(case: Case) -> float:
    """The largest sum of absolute terms in a gradient for a cotangent of ones: what cancels."""
    if not isinstance(case, OpCase):
        return 0.0
    if case.terms is None:
        graph = _unfolded(case)
        sizes = [] if graph is None else graph.pull(np.ones(graph.output.shape)).scales
        case.terms = max(map(_largest, sizes), default=0.0)
    return case.terms


def _vjp(case: Case, u: Array, law: str) -> list[Array]:
    if not case.reverse:
        return [np.zeros_like(x) for x in case.xs]
    return _guarded(law, lambda: case.vjp(u))  # type: ignore[no-any-return]


def _guarded(law: str, call: Callable[[], Any]) -> Any:
    """What a rule returns; an error in it breaks the law."""
    try:
        return call()
    except WrongShape as error:
        raise Broken(law, str(error)) from None
    except (Broken, CannotCheck):
        raise
    except Exception as error:
        raise Broken(law, f"a rule raised {type(error).__name__}: {error}") from error


def _compare(
    law: str, got: Any, wanted: Any, scale: Any, tally: Tally, what: Callable[[Any], str]
) -> None:
    """Raise if a number is further off than rounding explains; remember the worst in eps."""
    got, wanted = np.asarray(got, dtype=float), np.asarray(wanted, dtype=float)
    if got.shape != wanted.shape:
        raise Broken(law, f"{what(())} is {brief(got.shape)}, not {brief(wanted.shape)}")
    if not got.size:
        return
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    gap = np.where(same, 0.0, np.abs(got - wanted))
    size = np.broadcast_to(np.asarray(scale, dtype=float), got.shape)
    errors = np.where(same, 0.0, gap / np.maximum(EPS * size, 1e-300))
    errors = np.where(np.isnan(errors), np.inf, errors)
    worst = float(errors.max())
    if worst > ROUNDING:
        at = _worst(errors)
        entry = Entry(what(at), float(wanted[at]), float(got[at]))
        raise Broken(law, f"one number is off by {worst:.3g} eps of the terms it is made of", entry)
    tally.worst[law] = max(tally.worst.get(law, 0.0), worst)


def _same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc"))


def _largest(a: Any) -> float:
    return float(np.max(np.abs(a), initial=0.0))


def _worst(errors: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(errors)), errors.shape))


def _at(at: Sequence[int]) -> str:
    return f"[{', '.join(map(str, at))}]" if at else ""


def _gradient(label: str, tail: str, at: Sequence[int]) -> str:
    return f"d{label}{_at(at)}{tail}"


def _number(v: Any) -> str:
    v = float(v)
    return f"{v:.1f}" if abs(v) < 1e6 and v == round(v) else f"{v:.6g}"
