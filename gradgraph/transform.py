"""Operators on functions: grad, vjp, jvp and what is made of them.

Each differentiates with respect to fresh aliases of its arguments, so nested derivatives never
confuse whose tangent is whose. A result is itself recorded whenever it depends on a tracked
tensor other than those aliases, closures included; `no_grad` turns that off. Arrays in, arrays
out; if any operand is a tensor, the results are tensors. A tracked tensor that the function closes
over counts as an operand: an array could not remember it, and an outer derivative would miss it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from . import ops
from .errors import DTypeError, GradError, ShapeError
from .mode import current, enable_grad
from .node import Vertex, leaf
from .op import Op
from .ops.operand import known
from .spec import show
from .sweep import downstream, fit, pull, push, reach
from .tensor import Tensor

Function = Callable[..., Any]


def _aliases(name: str, xs: Sequence[Any]) -> list[Tensor]:
    """Fresh tracked tensors with the values of xs, linked to those of them that are tracked."""
    result = []
    for i, x in enumerate(xs):
        traced = not known(x)
        tracked = traced or (isinstance(x, Vertex) and x.requires_grad and current().record)
        data = x._data if isinstance(x, Vertex) else np.array(x)
        if data.dtype.kind != "f":
            raise DTypeError(
                name,
                f"argument {i} is {data.dtype}; only floats have derivatives",
                "Write 2.0 instead of 2, or convert with .astype(float)."
                if data.dtype.kind in "biu"
                else "Use floats.",
            )
        with enable_grad():
            fresh = ops.alias(x) if tracked else leaf(Tensor, data, True)
        fresh.requires_grad = True
        fresh.name = getattr(x, "name", None)
        result.append(fresh)
    return result


def _release(aliases: Sequence[Vertex]) -> None:
    """Aliases that are leaves count as tracked no more, once their function has run.

    Its result may be part of a graph that outlives the operator, and whoever differentiates that
    graph must not take them for leaves that somebody waits for.
    """
    for v in aliases:
        if v.op is None:
            v.requires_grad = False


def _recorded(order: Sequence[Vertex], aliases: Sequence[Vertex], extra: Sequence[Any]) -> bool:
    """Whether a sweep's result depends on a tracked tensor other than the aliases."""
    if any(v.__class__ is Op.traced for v in order):
        return True
    if not current().record:
        return current().capture
    own = set(aliases)
    return (
        current().capture
        or any(v.op is not None for v in aliases)
        or any(v not in own and v.op is None for v in order)
        or any(isinstance(v, Vertex) and v.requires_grad for v in extra)
    )


def _give(value: Any, like: Vertex, as_tensor: bool, roots: Sequence[Any] = ()) -> Any:
    """A sweep's result for the caller: zero if nothing arrived, sharing no memory with `roots`."""
    if value is None:
        value = np.zeros_like(like._data)
    if isinstance(value, Vertex):
        return value if as_tensor else value._data
    value = np.asarray(value, dtype=like._data.dtype)
    root = _root(value)
    own = root.flags.owndata and value.flags.writeable and root.size == value.size
    if not own or any(root is other for other in roots):
        value = value.copy()
    return leaf(Tensor, value) if as_tensor else value


def _give_all(
    values: Iterable[Any], likes: Iterable[Vertex], as_tensor: bool, given: Iterable[Any]
) -> list[Any]:
    """Results that share no memory, neither with `given` nor with each other."""
    tensors = list(given)
    roots = [_root(getattr(g, "_data", g)) for g in tensors]
    results = []
    for value, like in zip(values, likes, strict=True):
        if isinstance(value, Vertex) and any(value is t for t in tensors):
            value = ops.multiply(value, 1.0)
        results.append(_give(value, like, as_tensor, roots))
        tensors.append(value)
        roots.append(_root(getattr(value, "_data", value)))
    return results


def _root(x: Any) -> Any:
    """The array whose memory x is a view of; x itself if none."""
    while isinstance(base := getattr(x, "base", None), np.ndarray):
        x = base
    return x


def _pull_to(
    outputs: Sequence[Vertex],
    cotangents: Sequence[Any],
    aliases: Sequence[Vertex],
    as_tensor: bool,
) -> list[Any]:
    """Cotangents of the aliases."""
    everything = reach(outputs, stop=aliases)
    record = _recorded(everything, aliases, cotangents)
    order = downstream(everything, aliases)
    order += [v for v in aliases if v not in set(order)]
    order.sort(key=lambda v: v.birth)
    seeds = [
        (v, c if record or not isinstance(c, Vertex) else c._data)
        for v, c in zip(outputs, cotangents, strict=True)
    ]
    grads = pull(order, seeds, record, stop=aliases)
    as_tensor = as_tensor or record
    return _give_all([grads[v] for v in aliases], aliases, as_tensor, cotangents)


def _run(f: Function, args: Sequence[Any], aliases: Sequence[Vertex]) -> Any:
    """f(*args), recorded; whatever happens, the aliases are released."""
    try:
        with enable_grad():
            return f(*args)
    finally:
        _release(aliases)


def _checked(name: str, out: Any) -> Any:
    """A function's result, if it is one tensor, array or number."""
    if isinstance(out, Vertex | np.ndarray | np.generic | bool | int | float):
        return out
    raise GradError(
        name,
        f"the function returned {'None' if out is None else f'a {type(out).__name__}'}, not a"
        " tensor",
        "Does it lack a return?"
        if out is None
        else "Return one tensor; for several results use gg.vjp or gg.jvp.",
    )


def _check_function(name: str, f: Any) -> None:
    if not callable(f):
        raise DTypeError(
            name, f"{type(f).__name__} is no function", f"Write gg.{name}(f), then call the result."
        )


def _check_argnums(name: str, argnums: Sequence[Any]) -> None:
    for i in argnums:
        if isinstance(i, bool) or not isinstance(i, int):
            raise DTypeError(name, f"argnums holds {i!r}, not an int", "Use argnums=0.")


def _any_tensor(xs: Sequence[Any]) -> bool:
    return any(isinstance(x, Vertex) for x in xs)


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function x ↦ (f(x), ∂f/∂x), for an f with one number as result.

    Args:
        f: function of tensors with a scalar result.
        argnums: which positional argument to differentiate by, or several (then a tuple of
            gradients is returned). Others, and keyword arguments, are passed through.

    Raises:
        GradError: if the result is not one number.
        DTypeError: if the argument is not a float.

    >>> value_and_grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    (array(5.), array([2., 4.]))
    """
    several = isinstance(argnums, tuple | list)
    picked = tuple(argnums) if isinstance(argnums, tuple | list) else (argnums,)
    _check_function("grad", f)
    _check_argnums("grad", picked)

    def result(*xs: Any, **kwargs: Any) -> tuple[Any, Any]:
        for i in picked:
            if not -len(xs) <= i < len(xs):
                raise GradError(
                    "grad",
                    f"argnums={argnums} but the function was called with {len(xs)} arguments",
                    "Pass the argument by position.",
                )
        places = [i % len(xs) for i in picked]
        if len(set(places)) < len(places):
            raise GradError("grad", f"argnums={argnums} names an argument twice", "Name it once.")
        aliases = _aliases("grad", [xs[i] for i in places])
        args = list(xs)
        for i, fresh in zip(places, aliases, strict=True):
            args[i] = fresh
        out = _checked("grad", _run(lambda *a: f(*a, **kwargs), args, aliases))
        as_tensor = _any_tensor(xs)
        if np.size(out._data if isinstance(out, Vertex) else out) != 1:
            raise GradError(
                "grad",
                f"the function's result is {show(np.shape(out))}, not one number",
                "Reduce it with .sum() or .mean(), or use gg.jacobian or gg.vjp.",
            )
        if isinstance(out, Vertex):
            ones = np.ones_like(out._data)
            grads = _pull_to([out], [ones], aliases, as_tensor)
        else:
            grads = [_give(None, v, as_tensor) for v in aliases]
        value = _outer(out, aliases, as_tensor)
        return value, (tuple(grads) if several else grads[0])

    return result


def _outer(out: Any, aliases: Sequence[Vertex], as_tensor: bool) -> Any:
    """A result without the aliases: untracked if it depends on nothing else that is tracked."""
    if not isinstance(out, Vertex):
        return leaf(Tensor, np.array(out)) if as_tensor else np.array(out)
    if _recorded(reach([out], stop=aliases), aliases, []):
        return out
    if not as_tensor:
        return np.array(out._data)
    return leaf(Tensor, out._data)


def grad(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function x ↦ ∂f/∂x, for an f with one number as result.

    Arguments and errors as for `value_and_grad`; nests to any order.

    >>> grad(lambda x: x ** 3)(2.0), grad(grad(lambda x: x ** 3))(2.0)
    (array(12.), array(12.))
    """
    both = value_and_grad(f, argnums)

    def result(*xs: Any, **kwargs: Any) -> Any:
        return both(*xs, **kwargs)[1]

    return result


def _outputs(name: str, out: Any) -> tuple[list[Any], bool]:
    several = isinstance(out, tuple | list)
    return [_checked(name, o) for o in (out if several else [out])], several


def vjp(f: Function, *xs: Any) -> tuple[Any, Function]:
    """f(*xs), and the function that carries a cotangent of it back to the arguments.

    Returns:
        out: the result (a tuple if f returns several).
        pull: takes a cotangent shaped like each result; returns the cotangent of x, or a tuple
            for several arguments. It may be called any number of times.

    Raises:
        ShapeError: if a cotangent's shape is not that of the result.
        DTypeError: if an argument is not a float.

    >>> out, pull = vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> pull(np.array([1.0, 10.0]))
    array([ 2., 40.])
    """
    _check_function("vjp", f)
    aliases = _aliases("vjp", xs)
    outs, several = _outputs("vjp", _run(f, aliases, aliases))
    as_tensor = _any_tensor(xs)

    def pull_back(*cotangents: Any) -> Any:
        if len(cotangents) == 1 and several and isinstance(cotangents[0], tuple | list):
            cotangents = tuple(cotangents[0])
        if len(cotangents) != len(outs):
            raise ShapeError(
                "vjp",
                f"{len(cotangents)} cotangents for {len(outs)} results",
                "Pass one for each result.",
            )
        pairs = [
            (o, _like("vjp", "cotangent", c, o))
            for o, c in zip(outs, cotangents, strict=True)
            if isinstance(o, Vertex)
        ]
        tensors = as_tensor or _any_tensor(cotangents)
        grads = _pull_to([o for o, _ in pairs], [c for _, c in pairs], aliases, tensors)
        return grads[0] if len(grads) == 1 else tuple(grads)

    shown = tuple(_outer(o, aliases, as_tensor) for o in outs)
    return (shown if several else shown[0]), pull_back


def _like(name: str, what: str, value: Any, x: Any) -> Any:
    """A tangent or cotangent, checked against its tensor."""
    value = value if isinstance(value, Vertex) else np.asarray(value)
    if value.dtype.kind not in "biuf":
        raise DTypeError(name, f"the {what} is {value.dtype}, not real numbers", "Use floats.")
    if value.shape != x.shape:
        raise ShapeError(
            name,
            f"the {what} is {show(value.shape)}, but what it belongs to is {show(x.shape)}",
            f"A {what} has the shape of its tensor.",
        )
    return fit(value, x._data)


def jvp(f: Function, xs: Any, ts: Any) -> tuple[Any, Any]:
    """f(*xs), and its derivative along the tangents ts (forward mode).

    Args:
        xs: the argument, or a tuple of arguments.
        ts: a tangent for each, of the same shape.

    Returns:
        (out, tangent), each a tuple if f returns several.

    Raises:
        ShapeError: if a tangent's shape is not that of its argument.
        DTypeError: if an argument is not a float.

    >>> jvp(lambda x: x * x, (np.array([1.0, 2.0]),), (np.array([1.0, 10.0]),))
    (array([1., 4.]), array([ 2., 40.]))
    """
    xs = tuple(xs) if isinstance(xs, tuple | list) else (xs,)
    ts = tuple(ts) if isinstance(ts, tuple | list) else (ts,)
    if len(xs) != len(ts):
        raise ShapeError("jvp", f"{len(xs)} arguments, {len(ts)} tangents", "Pass one for each.")
    _check_function("jvp", f)
    aliases = _aliases("jvp", xs)
    seeds = [(v, _like("jvp", "tangent", t, v)) for v, t in zip(aliases, ts, strict=True)]
    outs, several = _outputs("jvp", _run(f, aliases, aliases))
    as_tensor = _any_tensor([*xs, *ts])
    heads = [o for o in outs if isinstance(o, Vertex)]
    everything = reach(heads, stop=aliases)
    record = _recorded(everything, aliases, ts)
    as_tensor = as_tensor or record
    if not record:
        seeds = [(v, getattr(t, "_data", t)) for v, t in seeds]
    tangents = push(downstream(everything, aliases), seeds, record)
    likes = [o if isinstance(o, Vertex) else leaf(Tensor, np.array(o)) for o in outs]
    results = _give_all(map(tangents.get, likes), likes, as_tensor, [t for _, t in seeds])
    values = tuple(_outer(o, aliases, as_tensor) for o in outs)
    if several:
        return values, tuple(results)
    return values[0], results[0]


def hvp(f: Function, x: Any, v: Any) -> Any:
    """The Hessian of f at x times v, without forming the Hessian: a JVP of the gradient.

    >>> hvp(lambda x: (x ** 3).sum(), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    return jvp(grad(f), (x,), (v,))[1]


def jacobian(f: Function, argnums: int = 0) -> Function:
    """The function x ↦ ∂f/∂x of shape (*f(x).shape, *x.shape).

    All rows go through one sweep: the cotangents carry a leading axis. Ops whose rules do not
    take such an axis are applied row by row, the others at once.

    >>> jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    _check_function("jacobian", f)
    _check_argnums("jacobian", (argnums,))

    def result(*xs: Any, **kwargs: Any) -> Any:
        if not -len(xs) <= argnums < len(xs):
            raise GradError(
                "jacobian",
                f"argnums={argnums} but the function was called with {len(xs)} arguments",
                "Pass the argument by position.",
            )
        (fresh,) = _aliases("jacobian", [xs[argnums]])
        args = list(xs)
        args[argnums] = fresh
        out = _checked("jacobian", _run(lambda *a: f(*a, **kwargs), args, [fresh]))
        as_tensor = _any_tensor(xs)
        if not isinstance(out, Vertex):
            out = leaf(Tensor, np.array(out))
        everything = reach([out], stop=[fresh])
        record = _recorded(everything, [fresh], [])
        as_tensor = as_tensor or record
        order = downstream(everything, [fresh])
        shape = (*out.shape, *fresh.shape)
        rows = None
        if out.size and fresh.size and order:
            seed = np.eye(out.size, dtype=out._data.dtype).reshape(out.size, *out.shape)
            sweep = pull(order, [(out, seed)], record, rows=out.size, stop=[fresh])
            rows = sweep.get(fresh)
        if rows is None:
            return _give(None, leaf(Tensor, np.zeros(shape, fresh.dtype)), as_tensor)
        rows = ops.reshape(rows, shape)
        return _give(rows, leaf(Tensor, np.empty(0, fresh.dtype)), as_tensor)

    return result


def hessian(f: Function, argnums: int = 0) -> Function:
    """The function x ↦ ∂²f/∂x² of shape (*x.shape, *x.shape), for an f with a scalar result.

    >>> hessian(lambda x: (x ** 3).sum())(np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return jacobian(grad(f, argnums), argnums)
