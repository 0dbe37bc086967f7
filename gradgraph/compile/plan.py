"""A program made ready to run: every result has its place, every call its arrays.

The plan is text of Python, one line for each call, that is compiled and kept: replaying it costs
what the calls cost. Calls on small arrays in a row are one line: the machine does them. Results
that leave the plan (what the function returns, `.grad`) are new arrays each time; all others lie in
one arena, which belongs to the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from ..graph import Graph
from ..kernels import blas
from ..node import Array, leaf
from ..op import Op
from . import native
from .cut import Cut, cut, row
from .effect import Change
from .layout import Layout
from .picture import graph_of, table
from .program import Call, Program, Value
from .text import Text


class Plan:
    """What replays a program.

    Attributes:
        program: the calls.
        blocks: the place of each value in the arena.
        arena: bytes of the arena.
        text: what is run.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._wanted = program.wanted()
        parts = cut(program)
        layout = Layout(program, parts)
        self.blocks, self.arena = layout.blocks, layout.size
        writer = _Writer(program, layout, parts)
        lines = writer.lines()
        text = writer.text
        self._sources = [writer.source(value) for value in self._wanted]
        reads = text.read(writer.read)
        self.text = "\n".join([*reads, *lines])
        self._run = text.function([*reads, *lines, "pass"])
        self._arguments, self._slots = text.arguments, len(text.slots)
        self._busy = not parts.own  # for whom others have to make room

    @property
    def graph(self) -> Graph:
        """The plan as a graph, to draw: `gg.draw(plan.graph)`."""
        return graph_of(self.program)

    def __repr__(self) -> str:
        return table(self.program, self.blocks, self.arena)

    def run(self, arguments: Sequence[Array]) -> list[Any]:
        """The results, as arrays; the `.grad` of leaves is set."""
        v: list[Any] = [None] * self._slots
        for i, slot in self._arguments:
            v[slot] = arguments[i]
        with blas.alone() if self._busy else nullcontext():
            self._run(v)
        taken: set[int] = set()
        out = []
        for where, fresh in self._sources:
            array = v[where] if where.__class__ is int else where
            if not fresh or where in taken:
                array = np.array(array)
            else:
                taken.add(where)
            out.append(array)
        count = len(self.program.results)
        left = iter(out[count:])
        for t, value in self.program.gradients.items():
            t._grad = None if value is None else leaf(Op.vertex, next(left))
        return out[:count]


class _Writer:
    """Writes the lines of a program, with runs of native calls as one line each.

    Attributes:
        text: names and slots.
        read: values that lines read.
    """

    def __init__(self, program: Program, layout: Layout, parts: Cut) -> None:
        self.program, self.layout, self.cut = program, layout, parts
        self.wanted = set(program.wanted())
        self.text = Text(layout, self.wanted)
        self.read: list[Value] = list(self.wanted)
        self._moments = {call: i for i, call in enumerate(program.calls)}
        self._makers = program.makers()
        self._readers = program.readers()

    def _whole(self, value: Value) -> Array | None:
        """A result in the arena, if the value is one, or one in another shape."""
        root, strides = self.cut.views.get(value, (value, None))
        view = self.layout.view(root)
        return None if view is None or strides is not None else view.reshape(value.spec.shape)

    def source(self, value: Value) -> tuple[Any, bool]:
        """Where a result is found after a run: its place in v, or its array; and whether that is
        one that nobody else has."""
        whole = self._whole(value) if self._makers.get(value) in self.cut.dropped else None
        whole = self.layout.view(value) if whole is None else whole
        if whole is not None:
            return whole, False
        if value.kind == "constant":
            return np.asarray(value.held), False
        return self.text.slot(value), value in self.layout.fresh

    def lines(self) -> list[str]:
        """All of them."""
        lines = []
        for part in self.cut.parts:
            lines += self._segment(part) if len(part) > 1 else self._alone(part[0])
        return lines

    def _alone(self, call: Call) -> list[str]:
        """A call of Python, or one of the machine's that is not worth it."""
        return self._plain([*self._looked_through([call]), call])

    def _plain(self, calls: Sequence[Call]) -> list[str]:
        """Lines of Python."""
        lines = []
        for call in calls:
            moment = self._moments[call]
            self.read += call.inputs
            lines += self.text.call(moment, call)
            gone = [v for v in call.inputs if self.layout.last[v] == moment]
            gone += [v for v in call.outputs if v not in self.layout.last]
            lines += self.text.forget(v for v in gone if v not in self.wanted)
        return lines

    def _segment(self, run: Sequence[Call]) -> list[str]:
        """One line, for calls that the machine does."""
        places = native.Places(self.program, self.layout.view)
        updates = native.Updates(places)
        rows = [row(call, places, updates) for call in run]
        places.finish()
        written = {number for number, _ in updates.targets}
        inputs, leaves = [], []
        for value, number in places.moving.items():
            if value.kind == "state":
                if number not in written:
                    leaves.append((number, value.held))
            else:
                inputs.append((number, self.text.slot(value)))
                self.read.append(value)
        otherwise = self.text.function([*self._again(run), "pass"])
        segment = native.Segment(
            [r for r in rows if r is not None], places, inputs, leaves, updates, otherwise
        )
        lines = [f"{self.text.held(segment, 'm')}(v)"]
        for call in run:
            out = call.outputs[0]
            read = out in self.wanted or any(r not in run for r in self._readers.get(out, []))
            if isinstance(call.op, Change) and read:
                lines.append(self.text.changed(call))
        return lines

    def _again(self, run: Sequence[Call]) -> list[str]:
        """Lines that do the same as the machine, with the views that they look through."""
        calls = [*self._looked_through(run), *run]
        lines = self.text.read(v for call in calls for v in call.inputs)
        for call in calls:
            lines += self.text.call(self._moments[call], call)
        return lines

    def _looked_through(self, run: Sequence[Call]) -> list[Call]:
        """The views that calls look through, and that nobody makes."""
        needed: list[Call] = []
        stack = [self._makers.get(v) for call in run for v in call.inputs]
        while stack:
            call = stack.pop()
            if call in self.cut.dropped and call is not None:
                needed.append(call)
                stack += [self._makers.get(v) for v in call.inputs]
        return sorted(set(needed), key=self._moments.__getitem__)
