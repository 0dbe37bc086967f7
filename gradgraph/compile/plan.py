"""A program made ready to run: every result has its place, every call its arrays.

The plan is text of Python, one line for each call, that is compiled and kept: replaying it costs
what the calls cost. Results that leave it (what the function returns, `.grad`) are new arrays each
time; all others lie in one arena, which belongs to the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph import Graph
from ..kernels import blas
from ..kernels.threads import aligned
from ..node import Array, Vertex, leaf
from ..op import Op
from ..record import compute
from .effect import Change, Draw, Effect, Host
from .memory import Block, arrange
from .picture import graph_of, table
from .program import Call, Program, Value

LINES = 2000  # calls in one function of Python


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
        self.wanted = program.wanted()
        self._places()
        self._write()

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
        with blas.alone():
            for part in self._parts:
                part(v)
        taken: set[int] = set()
        out = [self._leaving(value, v, taken) for value in self.wanted]
        count = len(self.program.results)
        left = iter(out[count:])
        for t, value in self.program.gradients.items():
            t._grad = None if value is None else leaf(Op.vertex, next(left))
        return out[:count]

    def _leaving(self, value: Value, v: list[Any], taken: set[int]) -> Array:
        """A result, as an array that nobody else has."""
        array = np.asarray(value.held if value.kind == "constant" else v[self._slot[value]])
        if value not in self._fresh or id(array) in taken:
            array = np.array(array)
        taken.add(id(array))
        return array

    # Where everything lies

    def _places(self) -> None:
        calls, leaving = self.program.calls, set(self.wanted)
        roots: dict[Value, set[Value]] = {}  # in whose place a value may lie
        last: dict[Value, int] = {}
        blocks: dict[Value, Block] = {}
        self._fresh: set[Value] = set()  # arrays that are made for this run alone
        for moment, call in enumerate(calls):
            for value in call.inputs:
                last[value] = moment
                for root in roots.get(value, ()):
                    blocks[root].last = moment
            placed = into(call.op) is not None
            for value in call.outputs:
                if placed and value in leaving:
                    self._fresh.add(value)
                elif placed:
                    blocks[value] = Block(value.spec.nbytes, moment, moment)
                    roots[value] = {value}
                elif not isinstance(call.op, Change):
                    roots[value] = set().union(*(roots.get(x, set()) for x in call.inputs))
        for value in self.wanted:
            for root in roots.get(value, ()):
                blocks[root].last = len(calls)
        self.arena = arrange(list(blocks.values()))
        self.blocks, self._last = blocks, last

    # What is run

    def _write(self) -> None:
        memory = aligned(self.arena)
        names: dict[str, Any] = {
            "compute": compute,
            "empty": np.empty,
            "asarray": np.asarray,
            "change": _change,
        }
        self._slot: dict[Value, int] = {}
        self._arguments: list[tuple[int, int]] = []
        known: dict[Value, str] = {}
        lines: list[str] = []

        def slot(value: Value) -> int:
            return self._slot.setdefault(value, len(self._slot))

        def name(value: Value) -> str:
            """How the text calls a value."""
            if value in known:
                return known[value]
            if value in self.blocks:
                known[value] = f"b{len(known)}"
                names[known[value]] = _view(memory, self.blocks[value].offset, value)
            elif value.kind == "constant":
                known[value] = f"c{len(known)}"
                names[known[value]] = value.held
            else:
                known[value] = f"v[{slot(value)}]"
                if value.kind == "argument":
                    self._arguments.append((value.held, slot(value)))
                elif value.kind != "made":
                    names[f"t{slot(value)}"] = value.held
                    grad = "_grad." if value.kind == "gradient" else ""
                    lines.append(f"{known[value]} = t{slot(value)}.{grad}_data")
            return known[value]

        for value in [*(v for call in self.program.calls for v in call.inputs), *self.wanted]:
            name(value)
        leaving = set(self.wanted)
        for moment, call in enumerate(self.program.calls):
            lines += self._call(moment, call, name, names)
            gone = [v for v in call.inputs if self._last[v] == moment]
            lines += [
                f"{name(v)} = None"
                for v in dict.fromkeys([*gone, *call.outputs])
                if name(v)[0] == "v" and v not in leaving and (v in gone or v not in self._last)
            ]
        self._slots = len(self._slot)
        self._parts = []
        for start in range(0, len(lines), LINES):
            body = "".join(f"    {line}\n" for line in lines[start : start + LINES])
            exec(compile(f"def part(v):\n{body}", "<gradgraph plan>", "exec"), names)
            self._parts.append(names.pop("part"))
        self.text = "\n".join(lines)

    def _call(
        self, moment: int, call: Call, name: Callable[[Value], str], names: dict[str, Any]
    ) -> list[str]:
        """The lines of one call."""
        op, function = call.op, f"f{moment}"
        if isinstance(op, Change):
            before, *values = call.inputs
            lines = [] if self._last[before] > moment else [f"{name(before)} = None"]
            names[function], names[f"{function}t"] = op.run, op.target
            given = ", ".join([f"{function}t", function, *map(name, values)])
            lines.append(f"change({given})")
            if call.outputs[0] in self._last:
                lines.append(f"{name(call.outputs[0])} = {function}t._data")
            return lines
        arguments = [name(v) for v in call.inputs]
        fill = into(op)
        if fill is not None:
            names[function] = fill
            lines = []
            for value in call.outputs:
                if value in self._fresh:
                    names[f"s{moment}"] = value.spec.shape
                    names[f"d{moment}"] = value.spec.dtype
                    lines.append(f"{name(value)} = empty(s{moment}, d{moment})")
            outs = [name(v) for v in call.outputs]
            if isinstance(fill, np.ufunc):
                return [*lines, f"{function}({', '.join(arguments)}, out={outs[0]})"]
            out = outs[0] if len(outs) == 1 else f"({', '.join(outs)})"
            return [*lines, f"{function}({', '.join([out, *arguments])})"]
        targets = ", ".join(name(v) for v in call.outputs)
        if isinstance(op, Draw | Host):
            names[function] = _effect(op)
            return [f"{targets}, = {function}({', '.join(arguments)})"]
        names[function] = op
        several = op.outputs > 1 or bool(op.saves)
        names["results"] = _results
        if several:
            return [f"{targets}, = results({function}, [{', '.join(arguments)}])"]
        if not op.trusted:
            return [f"{targets} = compute({function}, [{', '.join(arguments)}])[0]"]
        names[function] = op.forward
        made = f"{function}({', '.join(arguments)})"
        number = not call.outputs[0].spec.shape  # of which numpy makes no array
        return [f"{targets} = asarray({made})" if number else f"{targets} = {made}"]


def into(op: Any) -> Any:
    """What writes the result of an op into an array that is there: a ufunc, or its `into`."""
    if isinstance(op, Effect):
        return None
    if isinstance(op.forward, np.ufunc):
        return op.forward
    return op.into


def _view(memory: Array, offset: int, value: Value) -> Array:
    spec = value.spec
    return memory[offset : offset + spec.nbytes].view(spec.dtype).reshape(spec.shape)


def _change(target: Vertex, run: Callable[..., None], *values: Any) -> None:
    run(target.own(), *values)


def _effect(op: Any) -> Callable[..., Sequence[Any]]:
    if isinstance(op, Host):
        return op.run
    return lambda: (np.asarray(op.run()),)


def _results(op: Any, args: list[Any]) -> tuple[Any, ...]:
    """The results of an op, and what it saves."""
    data, saved = compute(op, args)
    return (*data, *saved) if isinstance(data, tuple) else (data, *saved)
