"""A plan as a graph to draw, and as a table to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph import Graph
from ..node import Vertex, leaf, make
from ..op import Op, Part
from .effect import Effect
from .memory import Block
from .program import Program, Value


def graph_of(program: Program) -> Graph:
    """The calls of a program as a graph: arguments are its inputs, what was fused is one op."""
    traced: Any = Op.traced
    found: dict[Value, Vertex] = {}
    starts = []

    def vertex(value: Value) -> Vertex:
        if value not in found:
            if value.kind == "state":
                found[value] = value.held
            elif value.kind == "constant":
                found[value] = leaf(Op.vertex, value.held)
            else:
                found[value] = leaf(traced, value.spec.stand_in())
                found[value].name = f"{value.name}.grad" if value.kind == "gradient" else value.name
                starts.append(found[value])
        return found[value]

    ends = []
    for call in program.calls:
        inputs = tuple(map(vertex, call.inputs))
        mode = call.mode
        outputs = call.outputs[: len(call.outputs) - len(call.op.saves)]
        data: Any = tuple(v.spec.stand_in() for v in outputs)
        data = data if call.op.outputs > 1 else data[0]
        made = make(traced, data, call.op, inputs, (), 0, False, mode)
        made.name = call.name
        for i, value in enumerate(call.outputs):
            part = made
            if len(call.outputs) > 1:
                part = make(traced, value.spec.stand_in(), Part.of(i), (made,), (), 0, False, mode)
            found[value] = part
        if isinstance(call.op, Effect):
            ends.append(found[call.outputs[0]])
    ends += [vertex(v) for v in program.results]
    return Graph.between(starts, ends)


def table(program: Program, blocks: dict[Value, Block], arena: int) -> str:
    """The calls, one in each line: what it makes, in which module, and where that lies."""
    rows: list[Sequence[str]] = [("", "call", "module", "result", "place in memory")]
    for i, call in enumerate(program.calls):
        block = blocks.get(call.outputs[0])
        place = "" if block is None else f"{_size(block.offset)} + {_size(block.size)}"
        rows.append((str(i), call.op.name, call.mode.scope, str(call.outputs[0].spec), place))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    apart = sum(b.size for b in blocks.values())
    return "\n".join(
        [*lines, f"{_size(arena)} in one arena; {_size(apart)} if nothing were shared"]
    )


def _size(count: int) -> str:
    return f"{count / 2**20:.2f} MB" if count >= 2**14 else f"{count} B"
