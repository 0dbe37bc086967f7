"""What a program can do without: calls that nothing depends on, that are made twice, or whose
result is known beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..record import compute
from ..spec import SCALARS
from .effect import Effect
from .program import Call, Program, Value, pure

LARGE = 1 << 16  # bytes of a result that is kept although its operands are smaller


def simplify(program: Program) -> None:
    """All passes, in their order."""
    fold(program)
    merge(program)
    prune(program)


def fold(program: Program) -> None:
    """Compute what depends on constants only; not what would need more memory than they do."""
    kept = []
    for call in program.calls:
        known = pure(call.op) and all(v.kind == "constant" for v in call.inputs)
        given = sum(v.spec.nbytes for v in call.inputs)
        if not known or sum(v.spec.nbytes for v in call.outputs) > max(given, LARGE):
            kept.append(call)
            continue
        data, saved = compute(call.op, [v.held for v in call.inputs])
        arrays = (*data, *saved) if isinstance(data, tuple) else (data, *saved)
        for value, array in zip(call.outputs, arrays, strict=True):
            value.kind, value.held = "constant", _own(array)
    program.calls = kept


def _own(array: Any) -> Any:
    array = np.array(array)
    array.flags.writeable = False
    return array


def merge(program: Program) -> None:
    """Make once what is made twice: the same op on the same values (common subexpressions)."""
    made: dict[Any, Call] = {}
    exchanged: dict[Value, Value] = {}
    kept = []
    for call in program.calls:
        inputs = [exchanged.get(v, v) for v in call.inputs]
        key = (call.op, *map(_identity, inputs))
        if not pure(call.op) or (first := made.setdefault(key, call)) is call:
            kept.append(call)
        else:
            exchanged.update(zip(call.outputs, first.outputs, strict=True))
    program.calls = kept
    program.replace(exchanged)


def _identity(value: Value) -> Any:
    """What two values have in common that hold the same numbers for sure."""
    held = value.held
    if value.kind != "constant":
        return value
    if isinstance(held, SCALARS):
        return type(held), repr(held)  # 0.0 is not -0.0
    small = held.nbytes <= LARGE
    return (held.shape, held.dtype.str, held.tobytes()) if small else id(held)


def prune(program: Program) -> None:
    """Leave out what no result, no gradient and no effect depends on (dead code)."""
    needed = set(program.wanted())
    kept = []
    for call in reversed(program.calls):
        if isinstance(call.op, Effect) or not needed.isdisjoint(call.outputs):
            kept.append(call)
            needed.update(call.inputs)
    program.calls = kept[::-1]
