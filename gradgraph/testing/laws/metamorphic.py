"""Law 9: ways of asking that must not matter."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...errors import GradgraphError
from ...graph import Graph
from ...mode import enable_grad
from ...ops import broadcast_to
from ...spec import Spec
from ...sweep import downstream, pull, push, reach
from ...tensor import Tensor, asarray
from ..case import Case, OpCase, PairCase, Traced, holding, joined, normal, tracked
from .amplitude import of_gradient, of_result, of_tangent
from .claims import guarded, vjp
from .verdict import Broken, Entry, Tally, Terms, compare, gradient, largest, place, worst_of

Array = np.ndarray[Any, np.dtype[Any]]

_HINT = " (integers and half precision are tried too; see gradgraph.spec: inexact, floating)"
ROWS = 3  # cotangents that are swept at once


def metamorphic(case: Case, rng: np.random.Generator, tally: Tally, order: int = 2) -> Any:
    """Law 9: ways of asking that must not matter.

    A rule that is not to be differentiated again (order 1) is not recorded either.
    """
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
        if case.reverse:
            _expanded(case, rng, tally)
            _items(case, rng, tally)
        if case.reverse and order > 1:
            _replayed(case, rng, tally)
        _other_dtypes(case, rng, tally)
    if case.reverse:
        _narrow(case, rng, tally)
    return True


def _fan_out(case: Traced, rng: np.random.Generator, tally: Tally) -> None:
    """A result that is used four times gets four times the cotangent."""
    leaves, outs = case.trace()
    if not any(tracked(o) for o in outs):
        return
    u = normal(rng, case.result.shape)
    once = vjp(case, u, "metamorphic")
    with case.held(), enable_grad():
        four = [o + o * 1.0 + (o + o) if tracked(o) else o for o in outs]
        found = case.pulled(leaves, four, u)
    for k, (label, a, b) in enumerate(zip(case.labels, found, once, strict=True)):
        scale = 4 * (np.abs(b) + largest(b))
        what = partial(gradient, label, " of a result that is used four times")
        compare("metamorphic", a, 4 * b, scale, tally, what, of_gradient(case, k, 4 * u))


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
        wanted = vjp(apart, u, "metamorphic")
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
    scale = np.abs(wanted[i]) + np.abs(wanted[j]) + largest(wanted[i]) + largest(wanted[j])
    a, b = case.labels[i], case.labels[j]
    what = partial(gradient, a, f" where {a} and {b} are one tensor")
    each = [of_gradient(apart, k, u) for k in pair]
    terms = Terms(
        lambda: sum(t.natural() for t in each), lambda: np.sum([t.found() for t in each], axis=0)
    )
    compare("metamorphic", found, both, scale, tally, what, terms)


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
    each = [vjp(case, u, "metamorphic") for u in us]
    for k, (label, x) in enumerate(zip(case.labels, leaves, strict=True)):
        found = swept.get(x)
        if found is None:
            continue
        wanted = np.stack([grads[k] for grads in each])
        scale = np.abs(wanted) + largest(wanted)
        what = partial(gradient, label, " with several cotangents in one sweep")
        compare(
            "metamorphic", np.asarray(found), wanted, scale, tally, what, of_gradient(case, k, us)
        )


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
    wanted = guarded("metamorphic", lambda: case.jvp(ts))
    with case.held():
        order = downstream(reach(heads), [leaves[k]])
        pushed = guarded("metamorphic", lambda: push(order, [(leaves[k], t)]))
    found = np.zeros_like(wanted) if outs[0] not in pushed else pushed[outs[0]]
    scale = np.abs(wanted) + largest(wanted)
    what: Callable[[Any], str] = lambda at: f"tangent{place(at)} for {case.labels[k]} alone"  # noqa: E731
    compare("metamorphic", np.asarray(found), wanted, scale, tally, what, of_tangent(case, ts))


def _expanded(case: OpCase, rng: np.random.Generator, tally: Tally) -> None:
    """Broadcasting an operand is the same as repeating it first."""
    if len(case.op.args) < 2 or not case.op.diagonal:
        return
    out = case.result
    u = normal(rng, out.shape)
    small = vjp(case, u, "metamorphic")
    for k, label in enumerate(case.labels):
        name = case.op.args[min(case.places[k], len(case.op.args) - 1)]
        if name not in case.op.diagonal or case.xs[k].shape == out.shape:
            continue
        leaf = _leaf(case.xs[k])
        with enable_grad():
            xs: list[Any] = list(case.xs)
            xs[k] = broadcast_to(leaf, out.shape)
            outs = case.apply(xs)
            found = case.pulled([leaf], outs, u)[0]
        scale = _vjp_size(u) * (1.0 + np.abs(small[k]) + largest(small[k]))
        what = partial(gradient, label, " where it is broadcast, not repeated")
        compare("metamorphic", small[k], found, scale, tally, what, of_gradient(case, k, u))


def _items(case: OpCase, rng: np.random.Generator, tally: Tally) -> None:
    """A batch of two is two batches of one, for arguments whose first axis runs over items."""
    names = case.op.per_item
    if not names:
        return
    places = [i for i, a in enumerate(case.op.args) if a in names]
    count = len(case.args[places[0]])
    out = case.result
    if count < 2 or len(out) != count:
        return
    u = normal(rng, out.shape)
    whole = vjp(case, u, "metamorphic")
    parts = []
    for n in range(count):
        args = [a[n : n + 1] if i in places else a for i, a in enumerate(case.args)]
        one = OpCase(case.op, args)
        value = one.value(one.xs)
        scale = np.abs(value) + largest(value)
        what: Callable[[Any], str] = lambda at: f"out{place(at)}"  # noqa: E731
        compare("metamorphic", out[n : n + 1], value, scale, tally, what, of_result(one))
        parts.append(vjp(one, u[n : n + 1], "metamorphic"))
    for k, i in enumerate(case.places):
        each = [p[k] for p in parts]
        wanted = np.concatenate(each) if i in places else np.sum(each, axis=0)
        scale = np.sum(np.abs(each), axis=0).max(initial=0.0) + np.abs(wanted)
        what = partial(gradient, case.labels[k], " of a batch against its items")
        compare("metamorphic", whole[k], wanted, scale, tally, what, of_gradient(case, k, u))


def _replayed(case: OpCase, rng: np.random.Generator, tally: Tally) -> None:
    """A recorded backward pass, replayed at other values, is the backward pass there."""
    leaves, outs = case.trace()
    if len(outs) != 1 or not tracked(outs[0]):
        return
    u = normal(rng, outs[0].shape)
    there = _elsewhere(case, rng)
    with enable_grad():
        grads = pull(reach(outs), [(outs[0], asarray(u))], record=True)
    heads = [grads[x] for x in leaves]
    if not all(isinstance(h, Tensor) for h in heads):
        return
    graph = Graph.of(heads)
    slots = {graph.vertices[i]: i for i in range(len(graph.vertices))}
    kept = [k for k, x in enumerate(leaves) if x in slots]  # it is constant in the others
    graph = Graph.of(heads, inputs=[leaves[k] for k in kept])
    found = graph.replay(*(there.xs[k] for k in kept))
    found = found if isinstance(found, tuple) else (found,)
    wanted = vjp(there, u, "metamorphic")
    for k, (label, a, b) in enumerate(zip(case.labels, found, wanted, strict=True)):
        scale = np.abs(b) + largest(b)
        what = partial(gradient, label, " of a recorded backward pass that is replayed")
        compare("metamorphic", a, b, scale, tally, what, of_gradient(there, k, u))


def _elsewhere(case: OpCase, rng: np.random.Generator) -> OpCase:
    """The op at the same values in another order, or nearby if it does not accept those."""
    there = case.at([rng.permutation(x.ravel()).reshape(x.shape) for x in case.xs])
    try:
        there.value(there.xs)
    except GradgraphError:  # matrices that are not positive definite any more
        return case.at([x + 0.1 * rng.uniform(-1, 1, x.shape) for x in case.xs])
    return there


def _layouts(case: Case, rng: np.random.Generator, tally: Tally) -> None:
    """Where the numbers lie in memory changes nothing."""
    if isinstance(case, Traced) and case.parameters:
        return
    wanted = case.value(case.xs)
    u = normal(rng, wanted.shape)
    plain = vjp(case, u, "metamorphic")
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
    try:
        case.value(moved)
    except Exception:
        return  # it asks for contiguous or writable memory
    scale = np.abs(wanted) + largest(wanted)
    what: Callable[[Any], str] = lambda at: f"out{place(at)} for arrays in {layout.__doc__}"  # noqa: E731
    compare("metamorphic", case.value(moved), wanted, scale, tally, what, of_result(case))
    if not case.reverse:
        return
    if isinstance(case, Traced):
        leaves, outs = case.traced(moved)
        strange = case.pulled(leaves, outs, layout(u)) if any(map(tracked, outs)) else plain
    elif isinstance(case, PairCase):
        strange = guarded("metamorphic", lambda: case.cotangents(layout(u), moved))
    for k, (label, a, b) in enumerate(zip(case.labels, strange, plain, strict=True)):
        scale = np.abs(b) + largest(b)
        tail = f" for arrays in {layout.__doc__}"
        what = partial(gradient, label, tail)
        compare("metamorphic", a, b, scale, tally, what, of_gradient(case, k, u))


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
    wide = case.result
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
            raise Broken("spec", f"from {dtype} came {o.dtype}, but spec says {s.dtype}{_HINT}")
    there = case.at([x.astype(float) for x in xs])
    if largest(there.value(there.xs)) > info.max / 10:
        return
    nudges = [x * (1 + info.eps * rng.choice([-1, 1], size=x.shape)) for x in there.xs]
    nudged = case.at(nudges)
    pairs = [
        (joined(outs), there.value(there.xs), nudged.value(nudges), "out"),
    ]
    wanted = vjp(there, u.astype(float), "metamorphic")
    moved = vjp(nudged, u.astype(float), "metamorphic")
    pairs += [
        (g, w, m, f"d{label}")
        for label, g, w, m in zip(case.labels, found, wanted, moved, strict=True)
    ]
    rough = float(info.eps) * 800
    for g, w, m, label in pairs:
        if largest(w) > info.max / 10 or not np.all(np.isfinite(m)):
            continue
        slack = rough * (np.abs(w) + largest(w) + 0.1 * _vjp_size(u)) + 100 * largest(m - w)
        bad = ~(np.abs(g - w) <= slack) & np.isfinite(w)
        if bad.any():
            at = worst_of(np.where(bad, np.abs(g - w), -1.0))
            entry = Entry(f"{label}{place(at)} in {dtype}", float(w[at]), float(g[at]))
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
            raise Broken("spec", f"from {dtype} came {o.dtype}, but spec says {s.dtype}{_HINT}")
    if dtype == "int64" and len(outs) == 1 and outs[0].dtype.kind in "if" and not case.opaque:
        whole = OpCase(
            case.op, [a.astype(float) if i in case.places else a for i, a in enumerate(args)]
        )
        wanted = whole.value(whole.xs)
        scale = np.abs(wanted) + largest(wanted)
        what: Callable[[Any], str] = lambda at: f"out{place(at)} from integers"  # noqa: E731
        compare("metamorphic", outs[0], wanted, scale, tally, what, of_result(whole))


def _leaf(x: Array) -> Tensor:
    leaf = asarray(x, copy=False)
    leaf.requires_grad = True
    return leaf


def _vjp_size(u: Array) -> float:
    return 1.0 + float(np.sum(np.abs(u)))
