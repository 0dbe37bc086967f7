"""The tensors of a graph as cards whose numbers stand in cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradgraph.graph import Graph, Step
from gradgraph.node import Vertex
from gradgraph.op import Op
from gradgraph.ops.conv import Conv
from gradgraph.ops.custom import Custom
from gradgraph.ops.elementwise import Alias
from gradgraph.ops.index import Getitem
from gradgraph.ops.shape import Reshape
from gradgraph.spec import brief

from ..text import count
from .grids import Grid, grids
from .naming import symbols
from .symbols import subscript

MOST_WORDS = 18  # characters; longer settings of an op are left out
_WHOLE = (None, ..., ("slice", None, None, None))  # an index of these moves no element

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A tensor of the graph, and the op that made it.

    Attributes:
        slots: the graph's slots that it stands for; what follows the first one only reshapes it.
        op: what made it; None for an input.
        title, detail: the op or the input, in words.
        symbol: what equations call it.
        style: colour group.
        shape: of its array.
        grids: how the array is laid out; empty if there is nothing to see.
        values: its numbers in reading order.
        wants: whether it gets a gradient.
        reads: the cards that its op reads, each once.
    """

    slots: tuple[int, ...]
    op: Op | None
    title: str
    detail: str
    symbol: str
    style: str
    shape: tuple[int, ...]
    grids: tuple[Grid, ...]
    values: Numbers
    wants: bool
    reads: tuple[int, ...]

    def cell(self, place: int) -> str:
        """What a number of it is called: `z₁`."""
        return self.symbol + subscript(self.shape, place)

    def cells(self) -> list[int]:
        """The places of the numbers that are shown."""
        return [place for grid in self.grids for row in grid.rows for place in row]


def cards(graph: Graph, names: Mapping[Vertex, str]) -> tuple[list[Card], dict[int, int]]:
    """One card for each slot, but for small constants without a name, and what only reshapes.

    Returns the cards, inputs before what is made of them, and the card of each slot.
    """
    vertices = graph.vertices
    steps = {step.output: step for step in graph.steps}
    readers = Counter(slot for step in graph.steps for slot in step.inputs)
    filters = {s.inputs[1] for s in graph.steps if isinstance(s.op, Conv)}
    known = {i: str(names.get(v) or v.name or "") for i, v in enumerate(vertices)}
    groups: list[list[int]] = []
    owner: dict[int, int] = {}
    for slot, v in enumerate(vertices):
        step = steps.get(slot)
        if step is None and _is_number(v, known[slot]):
            continue
        if step and _only_reshapes(graph, step, filters) and readers[step.inputs[0]] == 1:
            source = owner.get(step.inputs[0])
            if source is not None:
                owner[slot] = source
                groups[source].append(slot)
                continue
        owner[slot] = len(groups)
        groups.append([slot])
    titles = [next((known[s] for s in reversed(group) if known[s]), "") for group in groups]
    made = [steps.get(group[0]) for group in groups]
    loss = owner[graph.outputs[0]]
    short = symbols(titles, [step.op.style if step else "leaf" for step in made], loss)
    found = []
    for group, title, step, symbol in zip(groups, titles, made, short, strict=True):
        data = vertices[group[0]]._data
        plain = not isinstance(data, tuple)
        found.append(
            Card(
                slots=tuple(group),
                op=step.op if step else None,
                title=called(step.op) if step else title or symbol,
                detail=_detail(step, vertices[group[0]]),
                symbol=symbol,
                style=step.op.style if step else "leaf",
                shape=np.shape(data) if plain else (),
                grids=grids(np.shape(data), not filters.isdisjoint(group)) if plain else (),
                values=numbers(data) if plain else (),
                wants=plain and vertices[group[-1]].requires_grad,
                reads=tuple(dict.fromkeys(owner[s] for s in step.inputs if s in owner))
                if step
                else (),
            )
        )
    return found, owner


def _is_number(v: Vertex, name: str) -> bool:
    """Whether a leaf is written as a number where it is used, instead of on a card."""
    return not name and not v.requires_grad and np.size(v._data) == 1


def _only_reshapes(graph: Graph, step: Step, filters: set[int]) -> bool:
    """Whether a step leaves every number in its cell."""
    op = step.op
    still = isinstance(op, Reshape | Alias) or (
        isinstance(op, Getitem) and all(item in _WHOLE for item in op.pattern)
    )
    if not still:
        return False
    (before, a), (after, b) = (
        (graph.specs[s].shape, s in filters) for s in (step.inputs[0], step.output)
    )
    squeezed = [[n for n in shape if n > 1] for shape in (before, after)]
    rows = [[g.rows for g in grids(shape, f)] for shape, f in ((before, a), (after, b))]
    return squeezed[0] == squeezed[1] and rows[0] == rows[1]


def _detail(step: Step | None, v: Vertex) -> str:
    if step is None:
        shape = np.shape(v._data)
        return count(np.size(v._data), "number") if len(shape) < 2 else brief(shape)
    last = step.scope.rpartition(".")[2]
    parts = [part for part in (last, step.op.label()) if part and part != called(step.op)]
    return " · ".join(part for part in parts if len(part) <= MOST_WORDS)


def called(op: Op) -> str:
    """What an op is called in words."""
    return op.label() if isinstance(op, Custom) else op.name


def numbers(array: Any) -> Numbers:
    """The numbers of an array in reading order."""
    return tuple(map(float, np.asarray(array).ravel()))
