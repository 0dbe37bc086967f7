"""Which calls of a program the machine does, and in which runs; all others are lines of Python."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..kernels import settings
from ..spec import Shape
from . import native
from .effect import Change
from .program import Call, Program, Value


@dataclass(frozen=True)
class Cut:
    """A program in parts.

    Attributes:
        parts: runs of calls that the machine does, and single calls of Python, in order.
        own: the calls that the machine can do.
        views: what is another view of a value: that, and its strides (None if it is contiguous).
        dropped: views that nobody makes, for only the machine looks through them.
        until: for each call of a run the number of the run's last call: what it reads has to be
            there until then, for Python may have to do the run again.
    """

    parts: tuple[tuple[Call, ...], ...]
    own: frozenset[Call]
    views: dict[Value, tuple[Value, Shape | None]]
    dropped: frozenset[Call]
    until: dict[Call, int]

    def reads(self, call: Call) -> set[Value]:
        """The values that a call reads, also through views."""
        if call not in self.own:
            return set(call.inputs)
        return {*call.inputs, *(self.views.get(v, (v, None))[0] for v in call.inputs)}


def cut(program: Program) -> Cut:
    """The parts of a program."""
    own = _native_calls(program)
    views = native.views(program) if own else {}
    makers, wanted, readers = program.makers(), set(program.wanted()), program.readers()

    def in_arena(value: Value) -> bool:
        root, strides = views[value]
        return strides is None and makers.get(root) in own

    dropped: set[Call] = set()
    for call in reversed(program.calls):
        out = call.outputs[0]
        seen = out in views and (out not in wanted or in_arena(out))
        if seen and all(r in own or r in dropped for r in readers.get(out, [])):
            dropped.add(call)
    parts: list[list[Call]] = []
    for call in program.calls:
        if call in dropped:
            continue
        last = parts[-1][-1] if parts else None
        goes_on = call in own and last in own
        if goes_on and last is not None and isinstance(last.op, Change):
            goes_on = isinstance(call.op, Change)  # what changes state comes last in a run
        if goes_on:
            parts[-1].append(call)
        else:
            parts.append([call])
    moments = {call: i for i, call in enumerate(program.calls)}
    until = {call: moments[part[-1]] for part in parts for call in part}
    return Cut(tuple(map(tuple, parts)), frozenset(own), views, frozenset(dropped), until)


def _native_calls(program: Program) -> set[Call]:
    """The calls that the machine can do, if the program is small enough for it."""
    if not (settings.compiling() and native.small(program) and settings.works()):
        return set()
    views = native.views(program)
    changed: set[Value] = set()
    leaves = {v.held: v for call in program.calls for v in call.inputs if v.kind == "state"}
    for call in program.calls:
        read = {views.get(v, (v, None))[0] for v in call.inputs}
        if not changed.isdisjoint(read):
            return set()  # it reads a leaf as it was before it changed
        if isinstance(call.op, Change):
            changed.add(call.inputs[0])
            changed.update(leaves[t] for t in call.op.slots if t in leaves)
    if not changed.isdisjoint(views.get(v, (v, None))[0] for v in program.wanted()):
        return set()
    anywhere = np.zeros(1)
    places = native.Places(program, lambda value: anywhere if value.kind == "made" else None)
    updates = native.Updates(places)
    return {call for call in program.calls if row(call, places, updates) is not None}


def row(call: Call, places: native.Places, updates: native.Updates) -> native.Row | None:
    """What the machine does for a call; None if it cannot."""
    if isinstance(call.op, Change):
        return updates.instruction(call)
    return native.instruction(call, places)
