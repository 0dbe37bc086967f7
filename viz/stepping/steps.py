"""The steps of a forward and a backward sweep, with every number that they compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradgraph.debug import unwatched
from gradgraph.graph import Graph
from gradgraph.graph import Step as Made
from gradgraph.node import Vertex
from gradgraph.op import Op
from gradgraph.sweep import _mutated, _pull_one, reach

from ..text import clean
from . import laws
from .cells import Card, Numbers, called, cards, numbers
from .choices import WORDS, choices, listed
from .equations import Equation, Local, TooLongError
from .symbols import named, short

FEW = 6  # up to so many numbers each get their equation; of more, one that tells most
MOST_PRODUCTS = 20_000  # of an op whose equations are written


@dataclass(frozen=True, slots=True)
class Step:
    """One op of a sweep.

    Attributes:
        phase: "forward" or "backward".
        card: the card whose op is passed through; at the start of the backward sweep, the loss.
        title: e.g. "backward through relu".
        law: what the op does, in general.
        equations: what it does here.
        notes: winners, ties and what is blocked, in words; other things worth knowing.
        fills: the cards that get numbers: values forward, gradients backward.
        edges: the pairs of cards (from, to, as the data flow) that something passes between.
        cells: the numbers that the equations are about, as (card, place).
    """

    phase: str
    card: int
    title: str
    law: str
    equations: tuple[Equation, ...]
    notes: tuple[str, ...]
    fills: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]
    cells: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """What one forward and one backward sweep computed.

    Attributes:
        cards: inputs before what is made of them.
        steps: of the forward sweep, then of the backward sweep.
        loss: index of the card of the result.
        gradients: for each card, (step, ∂L/∂card after it) in order.
        marks: for a number, by (card, place): the step from which on it is known that it is a
            "winner" or "blocked".
    """

    cards: tuple[Card, ...]
    steps: tuple[Step, ...]
    loss: int
    gradients: Mapping[int, Sequence[tuple[int, Numbers]]]
    marks: Mapping[tuple[int, int], tuple[int, str]]


@dataclass
class _Recorder:
    """What `record` knows while it works."""

    graph: Graph
    cards: list[Card]
    owner: dict[int, int]  # the card of each slot
    steps: list[Step] = field(default_factory=list)
    locals: dict[int, Local | str] = field(default_factory=dict)  # by card; or why there is none
    gradients: dict[int, list[tuple[int, Numbers]]] = field(default_factory=dict)
    marks: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)


@unwatched()
def record(graph: Graph, names: Mapping[Vertex, str]) -> Recording:
    """Note every step of the graph's forward sweep, and of one backward sweep from its output.

    Args:
        graph: with one output of one number, which requires grad.
        names: of vertices, beside those that they have.

    Raises:
        MutationError: if `assign` changed an input after the forward computation.

    >>> import gradgraph as gg
    >>> w = gg.Tensor([3.0, -4.0], requires_grad=True, name="w")
    >>> found = record(Graph.of(gg.relu(w).sum()), {})
    >>> [step.title for step in found.steps]
    ['forward through relu', 'forward through sum', 'backward starts', 'backward through sum', \
'backward through relu']
    >>> print(*found.steps[4].equations, sep="; ")
    ∂L/∂w₀ = ∂L/∂a₀ = 1; ∂L/∂w₁ = ∂L/∂a₁·0 = 1·0 = 0
    """
    found, owner = cards(graph, names)
    made = _Recorder(graph, found, owner)
    loss = owner[graph.outputs[0]]
    for index, card in enumerate(found):
        if card.op is not None:
            _forward(made, index)
    symbol = found[loss].symbol
    begin = Equation(0, f"∂{symbol}/∂{symbol}", "1", "1", "=", 1.0)
    made.gradients[loss] = [(len(made.steps), (1.0,))]
    law = f"how much {symbol} changes with {symbol} itself"
    cell = ((loss, 0),)
    start = Step("backward", loss, "backward starts", law, (begin,), (), (loss,), (), cell)
    made.steps.append(start)
    _sweep(made, loss)
    return Recording(tuple(found), tuple(made.steps), loss, made.gradients, made.marks)


def _forward(made: _Recorder, index: int) -> None:
    card = made.cards[index]
    op = card.op
    assert op is not None
    local = made.locals[index] = _local(made, index)
    operands = _operands(made, index)
    equations: list[Equation] = []
    notes: list[str] = []
    if isinstance(local, Local):
        size = np.asarray(made.graph.vertices[card.slots[0]]._data).dtype.itemsize
        chosen = _telling([(len(local.shown[p].names), p, card.values[p]) for p in card.cells()])
        found = [local.forward(p, card.values[p], size) for p in chosen]
        equations = [e for e in found if e]
        notes += [_overflows(op)] if len(equations) < len(found) else []
        notes += _others(card, chosen)
        sources = {i: made.cards[i] for i in card.reads}
        marks, told = choices(op, sources, local)
        made.marks.update({at: (len(made.steps), mark) for at, mark in marks.items()})
        notes += told
    else:
        notes.append(local)
    made.steps.append(
        Step(
            phase="forward",
            card=index,
            title=f"forward through {clean(called(op), 24)}",
            law=laws.forward(op, operands, card.symbol),
            equations=tuple(equations),
            notes=(*notes, *_wrong(op, equations)),
            fills=(index,),
            edges=tuple((i, index) for i in card.reads),
            cells=tuple((index, e.place) for e in equations),
        )
    )


def _local(made: _Recorder, index: int) -> Local | str:
    """The op of a card on arrays of terms; else why there are no equations."""
    card, graph = made.cards[index], made.graph
    op, vertex = card.op, graph.vertices[card.slots[0]]
    data = [x._data for x in vertex.inputs]
    if op is None or any(isinstance(d, tuple) for d in (vertex._data, *data)):
        return "no equation is written for an op with several results"
    if np.asarray(vertex._data).dtype.kind != "f":
        return "nothing here has a derivative"
    read = _step_of(graph, card.slots[0]).inputs
    work = op.flops(graph.specs[card.slots[0]], *(graph.specs[s] for s in read))
    if max(work, np.size(vertex._data), *(np.size(d) for d in data)) > MOST_PRODUCTS:
        return "too many products to write an equation"
    args = [_terms(made, slot, d) for slot, d in zip(read, data, strict=True)]
    try:
        return Local(op, args, [card.cell(p) for p in range(len(card.values))])
    except TooLongError:
        return "too many products to write an equation"
    except Exception:  # a definition that somebody else wrote may do anything
        return f"the definition of {called(op)} cannot be written in symbols"


def _operands(made: _Recorder, index: int) -> list[str]:
    """What the op of a card reads, in its order: symbols, and numbers that are on no card."""
    return [
        made.cards[made.owner[slot]].symbol
        if slot in made.owner
        else short(float(np.asarray(made.graph.vertices[slot]._data).reshape(-1)[0]))
        for slot in _step_of(made.graph, made.cards[index].slots[0]).inputs
    ]


def _step_of(graph: Graph, slot: int) -> Made:
    return next(step for step in graph.steps if step.output == slot)


def _terms(made: _Recorder, slot: int, data: Any) -> Any:
    """The array as an op's definition gets it: floats that are on a card have a name."""
    array = np.asarray(data)
    if slot not in made.owner or array.dtype.kind != "f":
        return array.astype(object) if array.dtype.kind == "f" else array
    card = made.cards[made.owner[slot]]
    terms = np.empty(array.size, dtype=object)
    terms[:] = [named(card.cell(p), float(v)) for p, v in enumerate(array.ravel())]
    return terms.reshape(array.shape)


def _telling(cells: list[tuple[int, int, float]]) -> list[int]:
    """Of (names, place, value): every place, or of many the one that most goes into."""
    if len(cells) <= FEW:
        return [place for _, place, _ in cells]
    best = max(cells, key=lambda cell: (cell[2] != 0, cell[0], -cell[1]))
    return [best[1]]


def _others(card: Card, chosen: Sequence[int]) -> list[str]:
    more = len(card.values) - len(chosen)
    return [f"{more:,} more numbers of {card.symbol} are made in the same way"] if more else []


def _overflows(op: Op) -> str:
    return f"no equation where the definition of {called(op)} overflows or meets NaN"


def _wrong(op: Op, equations: Sequence[Equation]) -> list[str]:
    wrong = [e.left for e in equations if e.relation == "≠"]
    if not wrong:
        return []
    return [
        f"{listed(wrong)}: the engine's rule of {called(op)} disagrees with the op's definition"
    ]


def _sweep(made: _Recorder, loss: int) -> None:
    """The backward sweep, one step of the engine at a time."""
    graph, found = made.graph, made.cards
    head = graph.vertices[graph.outputs[0]]
    slots = {v: i for i, v in enumerate(graph.vertices)}
    order = reach([head])
    grads: dict[Vertex, Any] = dict.fromkeys(order)
    grads[head] = np.ones_like(head._data)
    for v in reversed(order):
        g = grads[v]
        if v.op is None or g is None:
            continue
        if v._seen != sum(x.version for x in v.inputs):
            raise _mutated(v)
        before = {x: grads[x] for x in v.inputs if x in grads}
        _pull_one(grads, set(), v, g, False, 0)
        index = made.owner[slots[v]]
        if slots[v] == found[index].slots[0]:
            _backward(made, index, g, before, grads, found[loss].symbol)


def _backward(
    made: _Recorder,
    index: int,
    g: Any,
    before: Mapping[Vertex, Any],
    grads: Mapping[Vertex, Any],
    loss: str,
) -> None:
    card, now = made.cards[index], len(made.steps)
    op = card.op
    assert op is not None
    slots = {v: i for i, v in enumerate(made.graph.vertices)}
    arrived = {made.owner[slots[x]]: x for x in before if grads[x] is not None}
    equations: list[Equation] = []
    notes: list[str] = []
    cells: list[tuple[int, int]] = []
    local = made.locals[index]
    cotangent = () if isinstance(local, str) else numbers(g)
    for i, x in arrived.items():
        source = made.cards[i]
        if not source.wants:
            continue
        values = numbers(grads[x])
        made.gradients.setdefault(i, []).append((now, values))
        if isinstance(local, str):
            continue
        had = None if before[x] is None else numbers(before[x])
        counted = [
            (len(local.readers.get(source.cell(p), ())), p, values[p]) for p in source.cells()
        ]
        chosen = _telling(counted)
        found = [
            local.backward(
                source.cell(p),
                p,
                loss,
                cotangent,
                values[p],
                grads[x].dtype.itemsize,
                None if had is None else had[p],
            )
            for p in chosen
        ]
        unread = [source.cell(p) for p in chosen if source.cell(p) not in local.readers]
        notes += [f"nothing reads {listed(unread)} here"] if unread else []
        kept = [e for e in found if e]
        notes += [_overflows(op)] if len(kept) < len(found) else []
        more = len(values) - len(found)
        notes += [f"{more:,} more of ∂{loss}/∂{source.symbol} in the same way"] if more else []
        equations += kept
        cells += [(i, e.place) for e in kept]
    if isinstance(local, str):
        notes.append(local)
    made.steps.append(
        Step(
            phase="backward",
            card=index,
            title=f"backward through {clean(called(op), 24)}",
            law=laws.backward(op, _operands(made, index), card.symbol, loss),
            equations=tuple(equations),
            notes=(*notes, *_blocked(made, index), *_wrong(op, equations)),
            fills=tuple(arrived),
            edges=tuple((i, index) for i in arrived),
            cells=tuple(cells),
        )
    )


def _blocked(made: _Recorder, index: int) -> list[str]:
    """Why some numbers get no gradient, from what the forward sweep marked."""
    forward = next(s for s in made.steps if s.phase == "forward" and s.card == index)
    return [note for note in forward.notes if note.startswith(WORDS)]
