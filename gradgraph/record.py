"""What happens when an op is applied: operands are taken in, the result computed and recorded.

`apply` serves every op; `apply1` and `apply2` do the same in fewer steps for those of one or two
arguments that have nothing but a forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .contract import check_result
from .errors import DTypeError
from .mode import MODE, Mode
from .node import Vertex, leaf, make
from .spec import SCALARS, Spec

ndarray = np.ndarray


def apply(op: Any, *args: Any) -> Any:
    """Apply the op: arrays give an array, any tensor among them gives a tensor."""
    kind = op.vertex
    mode = MODE.get()
    if mode.__class__ is not Mode:
        mode = mode.resolve()
        if watch := mode.tape or mode.debug:
            return watch.apply(op, args)
    if len(args) != len(op.args) and not (op.variadic and len(args) >= len(op.args) - 1):
        raise TypeError(
            f"{op.name} takes ({', '.join(op.args)}), but was given {len(args)} arguments"
        )
    if op.traced in [a.__class__ for a in args]:
        return foresee(op, args, mode)
    if not any(isinstance(a, Vertex) for a in args):
        arrays = [a if isinstance(a, SCALARS) else _array(op, a) for a in args]
        data, _ = compute(op, arrays)
        if op.outputs == 1:
            return data
        return data[: op.outputs - op.hidden]
    tracked = mode.record and _follows(op, args)
    recorded = tracked or mode.capture
    inputs = tuple(a if isinstance(a, Vertex) else _constant(op, a, recorded) for a in args)
    data, saved = compute(op, [x._data for x in inputs])
    if recorded:
        seen = sum(x.version for x in inputs)
        vertex = make(kind, data, op, inputs, saved, seen, tracked, mode)
    else:
        vertex = make(kind, data, None, (), (), 0, False, mode)
    if op.outputs == 1:
        return vertex
    if not recorded:
        return tuple(leaf(kind, d) for d in data[: op.outputs - op.hidden])
    return op._parts(vertex)


def _follows(op: Any, args: Sequence[Any]) -> bool:
    """Whether the result has a derivative with respect to something that requires grad."""
    last = len(op.args) - 1
    return any(
        getattr(a, "requires_grad", False) and op.vjps[min(i, last)] is not None
        for i, a in enumerate(args)
    )


def foresee(op: Any, args: Sequence[Any], mode: Mode) -> Any:
    """The op on operands of which only shape and dtype are known: recorded, not computed."""
    vertex = foreseen(op, args, mode)
    return vertex if op.outputs == 1 else op._parts(vertex)


def foreseen(op: Any, args: Sequence[Any], mode: Mode) -> Any:
    """The same, as one vertex, also of an op with several results."""
    inputs = tuple(a if isinstance(a, Vertex) else _constant(op, a, True) for a in args)
    spec = op.foreseen(inputs)
    data = tuple(p.stand_in() for p in spec) if op.outputs > 1 else spec.stand_in()
    saved = op.saved_stand_ins(inputs, spec) if op.saves else ()
    tracked = mode.record and _follows(op, inputs)
    seen = sum(x.version for x in inputs)
    return make(op.traced, data, op, inputs, saved, seen, tracked, mode)


def compute(op: Any, args: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
    """The result of an op (a tuple of several) from arrays, and what it saves."""
    if op.checks:
        op.spec(*map(Spec.of, args))
    args = op.guarded(args)
    try:
        data = op.forward(*args)
    except Exception as error:
        raise op.explain(error, args) from None
    if not op.trusted:
        check_result(op, data)
    saved: tuple[Any, ...] = ()
    if op.saves:
        data, *rest = data
        saved = tuple(rest)
    if op.outputs > 1:
        return tuple(map(np.asarray, data)), saved
    if data.__class__ is not ndarray:
        data = np.asarray(data)
    return data, saved


def _array(op: Any, value: Any) -> Any:
    """An operand as an array of numbers."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype.kind not in "biufc":
        kind = f"an array of {array.dtype}" if array is value else type(value).__name__
        raise DTypeError(
            op.name,
            f"an operand is {kind} {str(value)[:40]!r}, not numbers",
            "Pass a Tensor, a numpy array or a Python number.",
        )
    return array


def _constant(op: Any, value: Any, keep: bool) -> Vertex:
    """A vertex for an operand that is no tensor; `keep` if a graph will hold it."""
    if isinstance(value, SCALARS):
        return leaf(op.vertex, value)  # type: ignore[no-any-return]
    array = _array(op, value)
    return leaf(op.vertex, np.array(array) if keep else array)  # type: ignore[no-any-return]


def apply1(op: Any, x: Any) -> Any:
    """`apply` for a plain op of one argument."""
    kind = op.vertex
    if x.__class__ is not kind:
        return apply(op, x)
    mode = MODE.get()
    if mode.__class__ is not Mode:
        mode = mode.resolve()
        if watch := mode.tape or mode.debug:
            return watch.apply(op, (x,))
    try:
        data = op.forward(x._data)
    except Exception as error:
        raise op.explain(error, (x._data,)) from None
    if data.__class__ is not ndarray:
        data = np.asarray(data)
    if (x.requires_grad and mode.record) or mode.capture:
        return make(kind, data, op, (x,), (), x.version, x.requires_grad and mode.record, mode)
    return make(kind, data, None, (), (), 0, False, mode)


def apply2(op: Any, x: Any, y: Any) -> Any:
    """`apply` for a plain op of two arguments."""
    kind = op.vertex
    if x.__class__ is not kind or y.__class__ is not kind:
        if x.__class__ is kind and (y.__class__ is float or y.__class__ is int):
            y = leaf(kind, y)
        else:
            return apply(op, x, y)
    mode = MODE.get()
    if mode.__class__ is not Mode:
        mode = mode.resolve()
        if watch := mode.tape or mode.debug:
            return watch.apply(op, (x, y))
    try:
        data = op.forward(x._data, y._data)
    except Exception as error:
        raise op.explain(error, (x._data, y._data)) from None
    if data.__class__ is not ndarray:
        data = np.asarray(data)
    tracked = (x.requires_grad or y.requires_grad) and mode.record
    if tracked or mode.capture:
        return make(kind, data, op, (x, y), (), x.version + y.version, tracked, mode)
    return make(kind, data, None, (), (), 0, False, mode)
