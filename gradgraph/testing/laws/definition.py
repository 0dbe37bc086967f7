"""Laws 1, 2 and 5: a case against what it is defined to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ...node import Vertex
from ...spec import Spec, brief
from ..case import Case, FunctionCase, OpCase, PairCase, Traced, normal, split
from ..oracle import Scalars
from .amplitude import of_gradient, of_result, of_tangent
from .claims import guarded, unfolded, unsteady, vjp
from .verdict import Broken, Tally, compare, gradient, largest, place, same

Array = np.ndarray[Any, np.dtype[Any]]

UNDERFLOW = 1e-100  # what is smaller, beside others, may be lost on the way
SMALL = 1e-2  # relative error of a function that its ops have to answer for


def reference(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 1: `forward` equals `reference`; and tensors give what arrays give."""
    found = case.value(case.xs)
    if isinstance(case, Traced):
        _, outs = case.trace()
        for o, again in zip(outs, split(found, outs), strict=True):
            if not same(np.asarray(getattr(o, "_data", o)), again):
                raise unsteady(case)
    elif not same(found, case.value(case.xs)):
        raise unsteady(case)
    graph = unfolded(case)
    if graph is None:
        return False
    wanted = np.array([float(v) for v in graph.output.ravel()]).reshape(graph.output.shape)
    if wanted.shape != found.shape:
        raise Broken(
            "reference",
            f"the result is {brief(found.shape)}, but that of its definition is"
            f" {brief(wanted.shape)}",
        )
    what: Callable[[Any], str] = lambda at: f"out{place(at)}"  # noqa: E731
    with _by_its_ops(case):
        scale = graph.condition() + UNDERFLOW * largest(found)
        compare("reference", found, wanted, scale, tally, what, of_result(case))
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
    u = normal(rng, case.result.shape)
    u.setflags(write=False)
    saved = [np.array(s) for o in outs if isinstance(o, Vertex) for s in o.saved]
    before = u.copy()
    for label, x, g in zip(case.labels, case.xs, vjp(case, u, "spec"), strict=True):
        if (g.shape, g.dtype) != (x.shape, x.dtype):
            raise Broken(
                "spec",
                f"the gradient of {label} is {brief(g.shape)} {g.dtype}, but {label} is"
                f" {brief(x.shape)} {x.dtype}",
            )
    if case.forward:
        guarded("spec", lambda: case.jvp([np.ones_like(x) for x in case.xs]))
    if not same(u, before):
        raise Broken("spec", "a rule changed the cotangent in place")
    for name, a, b in zip(case.labels, case.xs, kept, strict=True):
        if not same(a, b):
            raise Broken("spec", f"{name} was changed in place")
    again = [np.asarray(getattr(o, "_data", o)) for o in outs]
    now = [s for o in outs if isinstance(o, Vertex) for s in o.saved]
    for a, b in zip([*again, *now], [*results, *saved], strict=True):
        if not same(a, b):
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
            guarded("spec", partial(case.cotangents, u, xs))
        for name, a, b in zip(case.labels, xs, case.xs, strict=True):
            if not same(a, b):
                raise Broken("spec", f"{what} changes its argument {name} in place")
        if not same(u, kept):
            raise Broken("spec", f"{what} changes the cotangent that it is given")
    if case.forward:
        xs, ts = [x.copy() for x in case.xs], [np.ones_like(x) for x in case.xs]
        guarded("spec", lambda: case.tangents(ts, xs))
        for name, a, b in zip(case.labels, xs, case.xs, strict=True):
            if not same(a, b):
                raise Broken("spec", f"the jvp changes its argument {name} in place")
        if any(np.any(t != 1.0) for t in ts):
            raise Broken("spec", "the jvp changes the tangents that it is given")
    return True


def scalar_graph(case: Case, rng: np.random.Generator, tally: Tally) -> Any:
    """Law 5: JVP and VJP are those of the scalar graph, to rounding."""
    graph = unfolded(case)
    if graph is None:
        return False
    u = normal(rng, graph.output.shape)
    ts = [normal(rng, x.shape) for x in case.xs]
    with _by_its_ops(case):
        _against(graph, case, u, ts, tally)
    return True


def _against(graph: Scalars, case: Case, u: Array, ts: Sequence[Array], tally: Tally) -> None:
    """Both sweeps, for a cotangent u and tangents ts."""
    # A rule that somebody else wrote may round as it likes, to half of the digits.
    factor, floor = 1.0, 0.0
    if isinstance(case, Traced) and case.opaque:
        factor, floor = 5e4, 25.0 * largest(case.result)
    if case.reverse:
        exact = graph.pull(u)
        found = vjp(case, u, "scalar graph")
        for k, label in enumerate(case.labels):
            a, b, size = found[k], exact.values[k], exact.scales[k]
            scale = factor * (size + largest(size)) + floor * largest(u)
            what: Callable[[Any], str] = partial(gradient, label, "")
            compare("scalar graph", a, b, scale, tally, what, of_gradient(case, k, u))
    if case.forward:
        exact = graph.push(list(ts))
        scale = factor * (exact.scales + largest(exact.scales)) + floor
        found = guarded("scalar graph", lambda: case.jvp(ts))
        what = lambda at: f"tangent{place(at)}"  # noqa: E731
        compare("scalar graph", found, exact.values, scale, tally, what, of_tangent(case, ts))


@contextmanager
def _by_its_ops(case: Case) -> Iterator[None]:
    """A small error against the definitions of its ops is a function's if it is one of them's.

    The scalar graph rounds, too: both may be far off what neither computes well, log(1 - p) for a
    p that is nearly 1.
    """
    try:
        yield
    except Broken as broken:
        e = broken.entry
        small = e is not None and abs(e.got - e.expected) <= SMALL * abs(e.expected)
        if not (small and isinstance(case, FunctionCase)) or case.opaque:
            raise
        for inner in case.inner():
            if inner.xs:
                reference(inner, np.random.default_rng(0), Tally())
                scalar_graph(inner, np.random.default_rng(0), Tally())
