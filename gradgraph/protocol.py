"""Which functions of numpy record an op when they are given a tensor."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from . import ops
from .node import Vertex
from .op import Op
from .ops.operand import known


def raw(value: Any) -> Any:
    """The array of a tensor; anything else as it is."""
    return value._data if isinstance(value, Vertex) else value


def ask(question: Any, *operands: Any) -> Any:
    """What a comparison answers: an array; for a traced operand an op, which asks later."""
    name = question.__name__
    op = getattr(ops, _LONG_NAMES.get(name, name))
    if not all(map(known, operands)):
        return op(*operands)
    try:
        return question(*map(raw, operands))
    except ValueError:
        return op(*operands)  # says which shapes do not broadcast


_LONG_NAMES = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
COMPARISONS = {
    np.equal,
    np.not_equal,
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
    np.isnan,
    np.isfinite,
    np.isinf,
}
UFUNCS: dict[Any, Any] = {}
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
# What does something else than our function of that name.
_OTHERWISE = {np.put, np.resize, np.linalg.norm, np.linalg.trace, np.linalg.diagonal}

# numpy's second names of a function.
_ALIASES: dict[Any, str] = {
    np.amax: "max",
    np.amin: "min",
    np.around: "round",
    np.positive: "alias",
}
# What answers about values without a derivative, in arrays, as the comparisons do.
_QUESTIONS = (
    np.allclose,
    np.isclose,
    np.array_equal,
    np.count_nonzero,
    np.searchsorted,
    np.digitize,
)


def _numpy_functions() -> None:
    """numpy's functions that record an op: those of the same name, and those that an Op names."""
    for name in ops.__all__:
        for module in (np, np.linalg):
            theirs, mine = getattr(module, name, None), getattr(ops, name)
            if isinstance(theirs, np.ufunc):
                UFUNCS[theirs] = mine
            elif isinstance(mine, FunctionType) and callable(theirs) and theirs not in _OTHERWISE:
                folds = "keepdims" in mine.__code__.co_varnames
                FUNCTIONS[theirs] = _reduction(name) if folds else mine
    FUNCTIONS[np.linalg.vector_norm] = ops.norm
    FUNCTIONS[np.linalg.norm] = _norm
    FUNCTIONS[np.linalg.trace] = lambda x, *, offset=0: ops.trace(x, offset, -2, -1)
    FUNCTIONS[np.linalg.diagonal] = lambda x, *, offset=0: ops.diagonal(x, offset, -2, -1)
    for op in Op.registry.values():
        if isinstance(op.ufunc, np.ufunc) and hasattr(ops, op.name):
            UFUNCS[op.ufunc] = getattr(ops, op.name)
    for theirs, name in _ALIASES.items():
        mine = getattr(ops, name)
        if isinstance(theirs, np.ufunc):
            UFUNCS[theirs] = mine
        else:
            FUNCTIONS[theirs] = FUNCTIONS[getattr(np, name)]
    FUNCTIONS[np.clip] = _clip
    for shape_only in (np.shape, np.ndim, np.size):
        FUNCTIONS[shape_only] = _on_values(shape_only)
    for constant in (np.zeros_like, np.ones_like, np.empty_like):
        FUNCTIONS[constant] = _on_values(constant)
    for asks in _QUESTIONS:
        FUNCTIONS[asks] = _about_values(asks)


def _reduction(name: str) -> Callable[..., Any]:
    """Our function called as numpy's, which has other arguments after `axis` (dtype, out)."""

    mine = getattr(ops, name)
    taken = mine.__code__.co_varnames[1 : mine.__code__.co_argcount]

    def reduce(a: Any, axis: Any = None, *rest: Any, **options: Any) -> Any:
        if rest or not options.keys() <= set(taken):
            raise TypeError(
                f"np.{name} of a tensor takes {', '.join(taken[:-1])} and {taken[-1]} only, all but"
                " axis by name. For another dtype use .astype first; there is no out=."
            )
        return mine(a, axis, **options)

    return reduce


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """np.clip of a tensor, whose bounds have two names each."""
    if (a_min is not None and min is not None) or (a_max is not None and max is not None):
        raise TypeError("np.clip got a bound twice. Use a_min and a_max, or min and max.")
    return ops.clip(a, a_min if min is None else min, a_max if max is None else max)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """np.linalg.norm of a tensor, where it is the norm of a vector."""
    if ord is not None and np.ndim(x._data) != 1 and not isinstance(axis, int):
        raise TypeError(
            "np.linalg.norm of a tensor with ord is a matrix norm, which has no rule here. Use"
            " gg.norm, the norm of all elements as one vector, or name one axis."
        )
    return ops.norm(x, 2 if ord is None else ord, axis, keepdims)


def _on_values(function: Any) -> Callable[..., Any]:
    return lambda t, *args, **kwargs: function(raw(t), *args, **kwargs)


def _about_values(function: Any) -> Callable[..., Any]:
    def values(x: Any) -> Any:
        return getattr(x, "data", x) if isinstance(x, Vertex) else x  # refused by a traced tensor

    return lambda *args, **kwargs: function(
        *map(values, args), **{name: values(x) for name, x in kwargs.items()}
    )


_numpy_functions()
