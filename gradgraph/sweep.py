"""Two sweeps over one DAG.

`pull` carries cotangents from outputs to inputs by the ops' VJPs; `push` carries tangents from
inputs to outputs by their JVPs. Both walk the vertices in the order of their birth, which is a
topological order because inputs are always older: no recursion, whatever the depth.

With `record` the rules are called with vertices instead of arrays, and what they compute is
recorded: the result of a sweep is then itself part of a graph and can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from . import ops
from .errors import DTypeError, GradError, MutationError
from .mode import computing_for, current
from .node import Vertex
from .op import Part, Saved
from .ops.elementwise import ALIAS
from .spec import show

ndarray = np.ndarray
_BIRTH = attrgetter("birth")
_SKIP = object()
_add = np.add


def reach(outputs: Iterable[Vertex], stop: Iterable[Vertex] = ()) -> list[Vertex]:
    """The vertices that require grad and that the outputs depend on, oldest first.

    The walk does not go beyond the vertices in `stop`, which count as if they required grad.
    """
    stop = set(stop)
    found = {v for v in outputs if v.requires_grad or v in stop}
    order = list(found)
    for v in order:  # which grows on the way
        if stop and v in stop:
            continue
        for x in v.inputs:
            if (x.requires_grad or (stop and x in stop)) and x not in found:
                found.add(x)
                order.append(x)
    order.sort(key=_BIRTH)
    return order


def downstream(order: Iterable[Vertex], sources: Iterable[Vertex]) -> list[Vertex]:
    """Those of the vertices (oldest first) that depend on a source, sources included."""
    found = set(sources)
    for v in order:
        if v not in found and any(x in found for x in v.inputs):
            found.add(v)
    return [v for v in order if v in found]


def pull(
    order: Sequence[Vertex],
    seeds: Sequence[tuple[Vertex, Any]],
    record: bool = False,
    rows: int = 0,
    stop: Sequence[Vertex] = (),
) -> dict[Vertex, Any]:
    """Carry the seeds' cotangents back through `order` (oldest first), not beyond `stop`.

    Returns the cotangents of the leaves, of the vertices in `stop` (aliases), and of those that
    `retains`; None where none arrived. Cotangents that arrive on several edges are summed. The
    first one is kept as it is, the second sum allocates, later ones are added in place. With
    `rows`, every cotangent has one extra leading axis of that length: the rows of a Jacobian, in
    one sweep.

    Raises:
        MutationError: if `assign` changed an input after the forward computation.
    """
    grads: dict[Vertex, Any] = dict.fromkeys(order)
    owned: set[Vertex] = set()
    ends = set(stop)
    for v, seed in seeds:
        if v in grads:
            _collect(grads, owned, v, seed, record)
    debug = current().debug
    step = debug.reverse(order, grads, _pull_one) if debug else _pull_one
    general = record or rows or debug
    for v in reversed(order):
        op = v.op
        if op is None or (op is ALIAS and v in ends):
            continue
        g = grads[v] if v.retains else grads.pop(v)
        if g is None:
            continue
        inputs = v.inputs
        if general or not op.plain:
            if v._seen != sum(x.version for x in inputs):
                raise _mutated(v)
            step(grads, owned, v, g, record, rows)
        elif op.plain == 2:  # the next step of the loop, written out: it is most of a small graph
            x, y = inputs
            if v._seen != x.version + y.version:
                raise _mutated(v)
            rule_x, rule_y = op.vjps
            out, a, b = v._data, x._data, y._data
            prior = grads.get(x, _SKIP)
            if prior is not _SKIP:
                c = rule_x(op, g, out, a, b)
                if c.__class__ is not ndarray or c.dtype is not a.dtype or c.shape != a.shape:
                    c = fit(c, a)
                if prior is None:
                    grads[x] = c
                else:
                    _collect(grads, owned, x, c, False)
            prior = grads.get(y, _SKIP)
            if prior is not _SKIP:
                c = rule_y(op, g, out, a, b)
                if c.__class__ is not ndarray or c.dtype is not b.dtype or c.shape != b.shape:
                    c = fit(c, b)
                if prior is None:
                    grads[y] = c
                elif y in owned:
                    _add(prior, c, prior)
                else:
                    _collect(grads, owned, y, c, False)
        else:
            (x,) = inputs
            if v._seen != x.version:
                raise _mutated(v)
            if x in grads:
                c = op.vjps[0](op, g, v._data, x._data)
                _collect(grads, owned, x, fit(c, x._data), False)
    return grads


def _pull_one(
    grads: dict[Vertex, Any],
    owned: set[Vertex],
    v: Vertex,
    g: Any,
    record: bool,
    rows: int,
) -> None:
    """The general step of `pull`: any number of arguments and outputs, recorded or in rows."""
    op: Any = v.op
    inputs = v.inputs
    lead = (rows,) if rows else ()
    if g.__class__ is tuple:
        g = tuple(
            np.zeros(lead + part.shape, part.dtype) if c is None else c
            for c, part in zip(g, v._data, strict=True)
        )
    into = getattr(op, "vjp_x_into", None)
    if into is not None and not record and not rows and grads.get(inputs[0]) is not None:
        into(_buffer(grads, owned, inputs[0]), g, *(x._data for x in inputs[1:]))
        return

    def contribute(g: Any, out: Any, args: Any, saved: Any, wanted: Any) -> None:
        if rows and not op.batched:
            cotangents = _row_by_row(op, g, out, args, saved, wanted, rows)
        else:
            cotangents = op.pulls(g, out, args, saved, wanted)
        for i, (x, c) in enumerate(zip(inputs, cotangents, strict=True)):
            if not op.trusted and wanted[i]:
                c = c if record else getattr(c, "_data", c)
                c = _checked(v, op.rule_of(i), c, x._data, rows)
            if c is not None:
                c = c if op.__class__ is Part else fit(c, x._data, rows)
                _collect(grads, owned, x, c, record)

    wanted = [x in grads for x in inputs]
    if not record:
        given = [g, v._data, tuple(x._data for x in inputs), tuple(v.saved)]
        g, out, args, saved = op.guarded(given)
        contribute(g, out, args, saved, wanted)
        return
    for i, want in enumerate(wanted):
        if want:
            with computing_for(v, op.rule_of(i)):
                only = [j == i for j in range(len(inputs))]
                contribute(g, _whole(v), inputs, Saved.all(v), only)


def _checked(v: Vertex, rule: str, c: Any, like: Any, rows: int) -> Any:
    """What a user's VJP rule returned, if it can be a cotangent of `like`; a copy of an array."""
    op: Any = v.op
    if c is None:
        if rule[4:] in op.constant or "pulls" in vars(type(op)):
            return None
        raise _wrong_rule(v, rule, "nothing", like)
    c = c if isinstance(c, Vertex) else np.array(c)
    shape = c.shape[1:] if rows else c.shape
    most = max(np.ndim(v._data), like.ndim) if v._data.__class__ is ndarray else like.ndim
    tail = shape[len(shape) - like.ndim :]
    broadcast = like.ndim <= len(shape) <= most and all(
        n in (1, m) for n, m in zip(like.shape, tail, strict=True)
    )
    if not broadcast or c.dtype.kind not in "biuf":
        raise _wrong_rule(v, rule, f"{show(shape)} {c.dtype}", like)
    return c


def _wrong_rule(v: Vertex, rule: str, got: str, like: Any) -> GradError:
    op: Any = v.op
    where = f" in {v.scope}" if v.scope else ""
    return GradError(
        op.name,
        f"its rule {rule}{where} returned {got}, but what it belongs to is {show(like.shape)}",
        "A cotangent has the shape of its argument, a tangent that of the result.",
    )


def _row_by_row(
    op: Any, g: Any, out: Any, args: Any, saved: Any, wanted: list[bool], rows: int
) -> list[Any]:
    """The cotangents of an op whose rules take no extra axis: one call for each row."""
    each = []
    for i in range(rows):
        row = tuple(part[i] for part in g) if g.__class__ is tuple else g[i]
        each.append(op.pulls(row, out, args, saved, wanted))
    return [
        None if each[0][k] is None else _stack([r[k] for r in each]) for k in range(len(wanted))
    ]


def _stack(cells: list[Any]) -> Any:
    if cells[0].__class__ is tuple:
        return tuple(None if c[0] is None else ops.stack(c) for c in zip(*cells, strict=True))
    return ops.stack(cells)


def _whole(v: Vertex) -> Any:
    """A vertex as the rules see it: itself, or the parts of one with several outputs."""
    if v._data.__class__ is not tuple:
        return v
    return tuple(Part.of(i)(v) for i in range(len(v._data)))


def _buffer(grads: dict[Vertex, Any], owned: set[Vertex], x: Vertex) -> Any:
    """The sum of x's cotangents so far as an array that may be written to."""
    if x not in owned:
        grads[x] = np.array(grads[x])
        owned.add(x)
    return grads[x]


def _collect(grads: dict[Vertex, Any], owned: set[Vertex], x: Vertex, c: Any, record: bool) -> None:
    """Add the cotangent c to what has arrived at x."""
    prior = grads[x]
    if prior is None:
        grads[x] = c
    elif c.__class__ is tuple:
        grads[x] = tuple(
            b if a is None else a if b is None else a + b for a, b in zip(prior, c, strict=True)
        )
    elif record:
        grads[x] = prior + c
    elif x in owned:
        _add(prior, c, prior)
    else:
        grads[x] = np.add(prior, c, out=np.empty_like(c))
        owned.add(x)


def push(
    order: Sequence[Vertex], seeds: Sequence[tuple[Vertex, Any]], record: bool = False
) -> dict[Vertex, Any]:
    """Carry the seeds' tangents forward through `order` (oldest first).

    Returns the tangents of all vertices that got one.

    Raises:
        MutationError: if `assign` changed an input after the forward computation.
    """
    tangents: dict[Vertex, Any] = dict(seeds)
    debug = current().debug
    step = debug.forward(order, _push_one) if debug else _push_one
    general = record or debug
    for v in order:
        op = v.op
        if op is None or v in tangents:
            continue
        inputs = v.inputs
        arriving = [tangents.get(x) for x in inputs]
        if v._seen != (inputs[0].version if len(inputs) == 1 else sum(x.version for x in inputs)):
            raise _mutated(v)
        if general or not op.plain:
            tangents[v] = step(v, arriving, record)
            continue
        args = [x._data for x in inputs]
        out = v._data
        total: Any = None
        for t, rule in zip(arriving, op.jvps):  # noqa: B905  (speed)
            if t is not None:
                term = rule(op, t, out, *args)
                total = term if total is None else total + term
        tangents[v] = total if _fits(total, out) else _total([total], out)
    return tangents


def _push_one(v: Vertex, arriving: list[Any], record: bool) -> Any:
    """The general step of `push`: the tangent of v from those of its inputs (None for zero)."""
    op: Any = v.op
    if record:
        with computing_for(v, "jvp"):
            terms = op.pushes(arriving, _whole(v), v.inputs, Saved.all(v))
            return _total(_sound(v, terms), v._data)
    args = tuple(x._data for x in v.inputs)
    guarded = op.guarded([tuple(arriving), v._data, args, tuple(v.saved)])
    terms = _sound(v, [getattr(t, "_data", t) for t in op.pushes(*guarded)])
    if not op.trusted:  # its rule may keep what it returned
        terms = [None if t is None else np.array(t) for t in terms]
    return _total(terms, v._data)


def _sound(v: Vertex, terms: list[Any]) -> list[Any]:
    """The terms, if a user's JVP rules may return them: shaped like the result or an argument."""
    op: Any = v.op
    if op.trusted or v._data.__class__ is tuple:
        return terms
    shapes = {v._data.shape, *(np.shape(x._data) for x in v.inputs)}
    for t in terms:
        if t is None or np.shape(t) not in shapes:
            got = "nothing" if t is None else show(np.shape(t))
            raise _wrong_rule(v, f"jvp_{'/'.join(op.args)}", got, v._data)
    return terms


def _fits(c: Any, like: Any) -> bool:
    """Whether c is already an array of the right shape and dtype."""
    return c.__class__ is ndarray and c.dtype is like.dtype and c.shape == like.shape


def _total(terms: list[Any], out: Any) -> Any:
    """The sum of the terms, shaped and typed like `out`; zero if there are none."""
    terms = [t for t in terms if t is not None]
    if out.__class__ is tuple:
        return tuple(_total([t[i] for t in terms], part) for i, part in enumerate(out))
    if not terms:
        return np.zeros_like(out)
    total = terms[0]
    for t in terms[1:]:
        total = total + t
    if np.shape(total) != out.shape:
        total = ops.broadcast_to(total, out.shape)
    return fit(total, out)


def fit(c: Any, like: Any, rows: int = 0) -> Any:
    """A cotangent in the shape and dtype of its array: broadcasting undone, dtype restored.

    Args:
        c: array or tensor whose shape is what `like` was broadcast to, maybe with another dtype.
        like: the array that the cotangent belongs to.
        rows: length of an extra leading axis of c, 0 for none.

    >>> fit(np.ones((2, 3)), np.zeros((1, 3), np.float32))
    array([[2., 2., 2.]], dtype=float32)
    """
    shape = (rows, *like.shape) if rows else like.shape
    if not isinstance(c, Vertex) and c.__class__ is not ndarray:
        c = np.asarray(c)
    if c.shape != shape:
        extra = c.ndim - len(shape)
        first = 1 if rows else 0
        short = [i for i in range(first, len(shape)) if shape[i] == 1 != c.shape[i + extra]]
        axes = (*range(first, first + extra), *(i + extra for i in short))
        c = ops.sum(c, axis=axes, keepdims=True)
        if c.shape != shape:
            c = ops.reshape(c, shape)
    if c.dtype != like.dtype:
        if "c" in (c.dtype.kind, like.dtype.kind):
            raise DTypeError(
                "gradient",
                f"a derivative of {c.dtype} meets an array of {like.dtype}; complex numbers have"
                " no derivatives here",
                "Compute with real and imaginary parts as two tensors.",
            )
        c = ops.cast(c, like.dtype)
    return c


def _mutated(v: Vertex) -> MutationError:
    changed = dict.fromkeys(x for x in v.inputs if x.version)
    names = " or ".join(
        f"{x.name or 'a tensor'} ({show(x._data.shape)}, version {x.version})" for x in changed
    )
    where = f" in {v.scope}" if v.scope else ""
    return MutationError(
        getattr(v.op, "name", "op"),
        f"its input {names} was changed by assign() or an optimiser's step after"
        f" {getattr(v.op, 'name', 'op')}{where} had used it, so the recorded graph no longer"
        " matches its value",
        "Compute the forward pass again, or change it after the sweep.",
    )
