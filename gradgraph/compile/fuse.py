"""Which calls become one.

conv + bias + relu            what is added, and cut off, while the results are in the cache
conv's image gradient + mask  the relu before it, on the way back
mask of placed winners        masked before they are placed, where there are fewer
ops on each element           block by block
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..ops.activation import Relu
from ..ops.arithmetic import Add
from ..ops.choice import Where
from ..ops.conv import Conv, ConvInput
from ..ops.elementwise import MASK, Greater, Mask, greater
from ..ops.linalg import Matmul
from ..ops.pool import MaxPool, Place
from ..spec import Spec
from .effect import Change
from .fused import KEPT, Elementwise, Finished, Kept, Pooling
from .native import small
from .passes import prune
from .program import Call, Program, Value

FEW = 1 << 15  # elements, for which one call more costs less than what it takes to cut them


def fuse(program: Program) -> None:
    """All of it."""
    mask_before_placing(program)
    finish(program)
    ask_and_mask(program)
    join_elementwise(program)
    prune(program)


class _Look:
    """What is to be known about a program to change it."""

    def __init__(self, program: Program) -> None:
        self.makers, self.readers = program.makers(), program.readers()
        self.wanted = set(program.wanted())
        self.place = {call: i for i, call in enumerate(program.calls)}
        self.changes = [
            (i, call.inputs[0])
            for i, call in enumerate(program.calls)
            if isinstance(call.op, Change)
        ]

    def only_reader(self, value: Value) -> Call | None:
        """The one call that reads a value that nothing else needs."""
        readers = self.readers.get(value, [])
        return readers[0] if len(readers) == 1 and value not in self.wanted else None

    def steady(self, inputs: Iterable[Value], first: Call, last: Call) -> bool:
        """Whether no leaf among the inputs changes between two calls."""
        span = range(self.place[first], self.place[last])
        held = set(inputs)
        return not any(at in span and before in held for at, before in self.changes)

    def above_zero(self, value: Value) -> Value | None:
        """x, if a value is x > 0."""
        call = self.makers.get(value)
        if call is None or not isinstance(call.op, Greater):
            return None
        x, zero = call.inputs
        constant = zero.kind == "constant" and np.ndim(zero.held) == 0 and zero.held == 0
        return x if constant else None


def mask_before_placing(program: Program) -> None:
    """mask(place(g, winner), x > 0) = place(mask(g, y > 0), winner), if y is the pool of x: the
    pixel that won is above 0 where the maximum is."""
    look = _Look(program)
    pools = {call.outputs[1]: call for call in program.calls if isinstance(call.op, MaxPool)}
    for call in list(program.calls):
        if not isinstance(call.op, Mask):
            continue
        placed, chosen = call.inputs
        place = look.makers.get(placed)
        if place is None or not isinstance(place.op, Place):
            continue
        pool = pools.get(place.inputs[1])
        x = look.above_zero(chosen)
        if pool is None or x is not pool.inputs[0] or look.only_reader(placed) is not call:
            continue
        if place.op.geometry != pool.op.geometry or placed.spec.shape != x.spec.shape:
            continue
        g, winner = place.inputs
        asked = Value(Spec(g.spec.shape, np.dtype(bool)))
        zero = look.makers[chosen].inputs[1]
        masked = Value(g.spec)
        at = program.calls.index(place)
        program.calls[at : at + 1] = [
            Call(greater, (pool.outputs[0], zero), (asked,), look.makers[chosen].mode),
            Call(MASK, (g, asked), (masked,), call.mode),
            Call(place.op, (masked, winner), call.outputs, place.mode),
        ]
        program.calls.remove(call)
    prune(program)


def finish(program: Program) -> None:
    """Bias, relu, mask and pool as part of the convolution or product before them."""
    look = _Look(program)
    large = not small(program)  # the machine knows a convolution, and a pool
    instead: dict[Call, Call | None] = {}
    for first in program.calls:
        product = isinstance(first.op, Matmul) and first.outputs[0].spec.size >= FEW
        product = product and all(v.spec.ndim == 2 for v in first.inputs)
        if not (product or isinstance(first.op, Conv | ConvInput)):
            continue
        y = first.outputs[0]
        inputs = list(first.inputs)
        parts: list[tuple[Any, tuple[int, ...]]] = [(first.op, (0, 1))]
        calls = [first]
        bias = kept = None
        rectified = False
        while (call := look.only_reader(calls[-1].outputs[0])) is not None:
            here, out = calls[-1].outputs[0], call.outputs[0]
            if out.spec != y.spec:
                break
            places: tuple[int, ...] = ()
            if isinstance(call.op, Add) and bias is None and not rectified and kept is None:
                other = call.inputs[1] if call.inputs[0] is here else call.inputs[0]
                if other.spec.shape != y.spec.shape[-1:] or other.spec.dtype != y.spec.dtype:
                    break
                bias = len(inputs)
                places = (-1, bias) if call.inputs[0] is here else (bias, -1)
                inputs.append(other)
            elif isinstance(call.op, Relu) and not rectified and kept is None:
                rectified, places = True, (-1,)
            elif isinstance(call.op, Mask) and kept is None and call.inputs[0] is here:
                x = look.above_zero(call.inputs[1])
                if x is None or x.spec != y.spec:
                    break
                kept = len(inputs)
                inputs.append(x)
                places = (-1, kept)
            else:
                break
            calls.append(call)
            parts.append((call.op, places))
        kind: type[Finished] = Finished
        pool = look.only_reader(calls[-1].outputs[0])
        pooled = large and kept is None and isinstance(first.op, Conv)
        if pooled and pool is not None and isinstance(pool.op, MaxPool):
            kind = Pooling
            calls.append(pool)
            parts.append((pool.op, (-1,)))
        if len(calls) == 1 or not look.steady(inputs, first, calls[-1]):
            continue
        op = kind(_wired(parts, len(inputs)), bias, rectified, kept)
        outputs, name = calls[-1].outputs, calls[-1].name
        instead[calls[-1]] = Call(op, inputs, outputs, first.mode, name)
        instead.update(dict.fromkeys(calls[:-1]))
    _exchange(program, instead)


def _exchange(program: Program, instead: dict[Call, Call | None]) -> None:
    """Put other calls in the place of some, or none."""
    now = (instead.get(call, call) for call in program.calls)
    program.calls = [call for call in now if call is not None]


def ask_and_mask(program: Program) -> None:
    """mask(x, y > 0) without an array of answers."""
    look = _Look(program)
    for call in program.calls:
        if isinstance(call.op, Mask):
            y = look.above_zero(call.inputs[1])
            if y is not None and y.spec.shape == call.inputs[0].spec.shape:
                call.op = KEPT
                call.inputs = (call.inputs[0], y)
    prune(program)


def _wired(parts: list[Any], count: int) -> Any:
    """The parts with the numbers of their operands: -1 stands for the result before."""
    return tuple(
        (KEPT if isinstance(op, Mask) else op, tuple(count + k - 1 if p < 0 else p for p in places))
        for k, (op, places) in enumerate(parts)
    )


def join_elementwise(program: Program) -> None:
    """Ops on each element of large arrays, of which only the last result is read elsewhere."""
    look = _Look(program)
    group: dict[Call, list[Call]] = {}
    for call in reversed(program.calls):
        if not _by_element(call):
            continue
        (out,) = call.outputs
        readers = [group.get(r, [r]) for r in look.readers.get(out, [])]
        whole = readers[0] if readers else []
        joins = (
            out not in look.wanted
            and whole
            and whole[0] in group
            and all(r is whole for r in readers)
            and out.spec.shape == whole[0].outputs[0].spec.shape
            and look.steady(call.inputs, call, whole[0])
        )
        if not joins:
            whole = []
        whole.append(call)
        group[call] = whole
    instead: dict[Call, Call | None] = {}
    for whole in {id(w): w for w in group.values()}.values():
        if len(whole) < 2:
            continue
        last, calls = whole[0], whole[::-1]
        inside = {c.outputs[0]: k for k, c in enumerate(calls)}
        inputs = list(dict.fromkeys(v for c in calls for v in c.inputs if v not in inside))
        number = {v: i for i, v in enumerate(inputs)}
        number |= {v: len(inputs) + k for v, k in inside.items()}
        parts = tuple((c.op, tuple(number[v] for v in c.inputs)) for c in calls)
        op = Elementwise(parts, [c.outputs[0].spec for c in calls])
        instead[last] = Call(op, inputs, last.outputs, last.mode, last.name)
        instead.update(dict.fromkeys(calls[:-1]))
    _exchange(program, instead)


def _by_element(call: Call) -> bool:
    """Whether a call does something to each element of a large array, and can write it anywhere."""
    op, outputs = call.op, call.outputs
    known = isinstance(op.forward, np.ufunc) and op.forward.nout == 1 and not op.forward.signature
    known = known or isinstance(op, Relu | Mask | Kept | Where)
    return known and len(outputs) == 1 and outputs[0].spec.size >= FEW and op.trusted
