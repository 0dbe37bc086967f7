"""What the values and the gradients of one step say about each card."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gradgraph.graph import Graph
from gradgraph.node import Vertex
from gradgraph.ops.elementwise import Elementwise
from gradgraph.ops.pool import MaxPool

from . import theme
from .flow import Flow
from .text import clean, count, number
from .view import Card, Link, View

MOST_WORDS = 6  # of the marks that a folded card stands for


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in a card.

    Attributes:
        name, slot: what it is called, and where it is.
        norm: of its gradient, None if none arrived.
        share: ‖∂w‖ / ‖w‖, None if w is zero or no gradient arrived.
    """

    name: str
    slot: int
    norm: float | None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Zeros:
    """How much of a relu's output is zero.

    Attributes:
        share: of all its numbers.
        dead: of its units (channels), how many are zero for the whole batch.
        units: how many there are.
    """

    share: float
    dead: int
    units: int


@dataclass(frozen=True, slots=True)
class Winners:
    """What a max-pool let through.

    Attributes:
        share: of its inputs that get a gradient.
        ties: share of the windows with more than one greatest pixel; None if it is not known.
    """

    share: float
    ties: float | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one card.

    Attributes:
        parameters: those inside it.
        norm: ‖∂L/∂y‖ of its result, None if no gradient reached it.
        inner: the norms of all vertices inside a folded card.
        gain: ‖∂L/∂x‖ / ‖∂L/∂y‖ for the data that it reads.
        arrivals: at a fan-out, what each reader sent back: (reader's title, norm).
        cancels: at a fan-out, how much less their sum is than √Σ‖·‖², which is what
            contributions in independent directions come to.
        zeros: for a relu.
        slope: mean |∂y/∂x| of an elementwise activation.
        winners: for a max-pool.
        value: of a result with a single number; of every card if the graph is one of scalars.
        alarms: what is wrong, in words; the card's marks first.
    """

    parameters: tuple[Parameter, ...] = ()
    norm: float | None = None
    inner: tuple[float, ...] = ()
    gain: float | None = None
    arrivals: tuple[tuple[str, float], ...] = ()
    cancels: float | None = None
    zeros: Zeros | None = None
    slope: float | None = None
    winners: Winners | None = None
    value: float | None = None
    alarms: tuple[str, ...] = ()


def gather(
    view: View, flow: Flow | None, limits: theme.Thresholds | None = None, values: bool = True
) -> dict[int, Facts]:
    """The facts of each card, by its id; alarms according to the thresholds.

    Without `values` the data mean nothing, and nothing is said of them but the marks.
    """
    limits = limits or theme.Thresholds()
    if not values:
        return {c.id: Facts(_parameters(view, c, None), alarms=_marks(view, c)) for c in view.cards}
    incoming: dict[int, list[Link]] = {}
    outgoing: dict[int, list[Link]] = {}
    for link in view.links:
        incoming.setdefault(link.target, []).append(link)
        outgoing.setdefault(link.source, []).append(link)
    broken = _broken(view.graph)
    scalars = all(not isinstance(s, tuple) and s.shape == () for s in view.graph.specs)
    empty: list[Link] = []
    known = {
        card.id: _facts(
            view,
            card,
            flow,
            incoming.get(card.id, empty),
            outgoing.get(card.id, empty),
            broken,
            scalars,
            limits,
        )
        for card in view.cards
    }
    return known | _compared(view, known, limits)


def _compared(view: View, known: dict[int, Facts], limits: theme.Thresholds) -> dict[int, Facts]:
    """Facts with alarms for the layers whose gradient is far from that of the last layer."""
    layers = [
        (card, norm)
        for card in view.cards
        if card.computes and known[card.id].parameters and (norm := known[card.id].norm)
        and math.isfinite(norm)
    ]  # fmt: skip
    if not layers:
        return {}
    last, most = layers[-1]
    name = clean(last.title, 20) or "the last layer"
    found = {}
    for card, norm in layers:
        told = ""
        if norm <= limits.falls * most:
            told = f"▼ 1/{number(most / norm)} of {name}’s gradient"
        elif limits.falls * norm >= most:
            told = f"▲ {number(norm / most)} × {name}’s gradient"
        if told:
            facts = known[card.id]
            found[card.id] = replace(facts, alarms=(*facts.alarms, told))
    return found


def sent(view: View, link: Link, flow: Flow | None) -> list[float]:
    """The norms of the contributions that a link carries back."""
    if flow is None:
        return []
    vertices = view.graph.vertices
    found = (flow.edges.get((vertices[reader], i)) for reader, i in link.uses)
    return [norm for norm in found if norm is not None]


def _facts(
    view: View,
    card: Card,
    flow: Flow | None,
    incoming: list[Link],
    outgoing: list[Link],
    broken: dict[int, str],
    scalars: bool,
    limits: theme.Thresholds,
) -> Facts:
    vertices = view.graph.vertices
    norms = [flow.norms.get(vertices[s]) for s in card.slots] if flow else []
    result = card.main if isinstance(vertices[card.main]._data, tuple) else card.id
    norm = flow.norms.get(vertices[result]) if flow else None
    parameters = _parameters(view, card, flow)
    data_links = [link for link in incoming if view.owner[link.source].kind != "weight"]
    back = [n for link in data_links for n in sent(view, link, flow)]
    data = vertices[result]._data
    readers = _told_apart([view.owner[link.target] for link in outgoing])
    arrivals = [
        (reader, n)
        for reader, link in zip(readers, outgoing, strict=True)
        for n in sent(view, link, flow)
    ]
    zeros = _zeros(view, card)
    alarms = [*_marks(view, card)]
    alarms += [broken[s] for s in card.slots if s in broken][:1]
    if zeros is not None and zeros.dead > limits.dead * zeros.units:
        alarms.append(f"{zeros.dead:,} of {count(zeros.units, 'unit')} dead in this batch")
    if flow is not None:
        alarms += _gradient_alarms(view, result, norm, parameters, limits)
    return Facts(
        parameters=parameters,
        norm=norm,
        inner=tuple(n for n in norms if n is not None) if card.kind == "fold" else (),
        gain=back[0] / norm if len(back) == 1 and norm and card.kind == "op" else None,
        arrivals=tuple(arrivals) if len(arrivals) > 1 else (),
        cancels=None if card.kind == "fold" else _cancelled([n for _, n in arrivals], norm),
        zeros=zeros,
        slope=_slope(view, card) if flow else None,
        winners=_winners(view, card) if flow else None,
        value=float(data.reshape(-1)[0])
        if _is_number(data) and (scalars or not outgoing)
        else None,
        alarms=tuple(alarms),
    )


def _gradient_alarms(
    view: View,
    result: int,
    norm: float | None,
    parameters: tuple[Parameter, ...],
    limits: theme.Thresholds,
) -> list[str]:
    if not view.graph.vertices[result].requires_grad:
        return []
    if norm is None:
        return ["no gradient reached"]
    if not math.isfinite(norm):
        return ["gradient is not finite"]
    if norm == 0:
        return ["gradient is zero"]
    if norm <= limits.vanishing:
        return ["▼ vanishing gradient"]
    if norm >= limits.exploding:
        return ["▲ exploding gradient"]
    return [f"∂{clean(p.name, 20)} is zero" for p in parameters if p.norm == 0]


def _broken(graph: Graph) -> dict[int, str]:
    """The slots where NaN or infinity begins: their operands still have none."""
    kinds: dict[int, str] = {}
    for slot, v in enumerate(graph.vertices):
        kind = _kind(v._data)
        if kind:
            kinds[slot] = kind
    if not kinds:
        return {}
    made = {step.output: step.inputs for step in graph.steps}
    return {
        slot: f"{kind} begins here"
        for slot, kind in kinds.items()
        if slot in made and not any(kinds.get(s) == kind for s in made[slot])
    } | {slot: "NaN in the data" for slot in kinds if slot not in made and kinds[slot] == "NaN"}


def _kind(data: Any) -> str:
    parts = data if isinstance(data, tuple) else (data,)
    worst = ""
    for part in parts:
        array = np.asarray(part)
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            if np.isnan(array).any():
                return "NaN"
            worst = "infinity"
    return worst


def _zeros(view: View, card: Card) -> Zeros | None:
    if card.kind != "op" or view.steps[card.main].op.name != "relu":
        return None
    out = view.graph.vertices[card.main]._data
    if out.ndim < 2 or not out.size:
        return None
    off = out == 0
    dead = off.reshape(-1, out.shape[-1]).all(axis=0)
    return Zeros(float(off.mean()), int(dead.sum()), int(dead.size))


def _marks(view: View, card: Card) -> tuple[str, ...]:
    return tuple(clean(w, 60) for w in view.words(card)[:MOST_WORDS])


def _parameters(view: View, card: Card, flow: Flow | None) -> tuple[Parameter, ...]:
    return tuple(_parameter(view, card, slot, flow) for slot in view.parameters(card))


def _parameter(view: View, card: Card, slot: int, flow: Flow | None) -> Parameter:
    vertex = view.graph.vertices[slot]
    norm = flow.norms.get(vertex) if flow else None
    size = flow.sizes.get(vertex) if flow else None
    share = norm / size if norm is not None and size else None
    return Parameter(_short(view, card, slot), slot, norm, share)


def _told_apart(cards: list[Card]) -> list[str]:
    """The titles of cards; where one is there twice, with the part of the scopes that differs."""
    names = [card.title for card in cards]
    for title, times in Counter(names).items():
        same = [i for i, card in enumerate(cards) if card.title == title]
        paths = [cards[i].scope.split(".") for i in same]
        levels = list(zip(*paths, strict=False))
        common = next((k for k, parts in enumerate(levels) if len(set(parts)) > 1), len(levels))
        if times > 1:
            for i, path in zip(same, paths, strict=True):
                names[i] = ".".join([*path[common : common + 1], title])
    return names


def _cancelled(arrivals: list[float], norm: float | None) -> float | None:
    total = math.hypot(*arrivals)
    if len(arrivals) < 2 or norm is None or not 0 < total < math.inf:
        return None
    return max(1 - norm / total, 0.0)


def _slope(view: View, card: Card) -> float | None:
    """The mean of |∂y/∂x|: what the rule makes of a cotangent of ones."""
    if card.kind != "op" or not isinstance(op := view.steps[card.main].op, Elementwise):
        return None
    if op.style != "activation" or len(view.steps[card.main].inputs) != 1:
        return None
    vertex = view.graph.vertices[card.main]
    if not vertex._data.size or not vertex.requires_grad:
        return None
    (slope,) = op.pulls(
        np.ones_like(vertex._data), vertex._data, [vertex.inputs[0]._data], vertex.saved, [True]
    )
    return float(np.mean(np.abs(slope)))


def _winners(view: View, card: Card) -> Winners | None:
    if card.kind != "op" or not isinstance(op := view.steps[card.main].op, MaxPool):
        return None
    vertex = view.graph.vertices[card.main]
    x = vertex.inputs[0]._data
    if not vertex.requires_grad or not x.size:
        return None
    got = winning(vertex)
    ties = None
    if not any(n for pair in op.padding for n in pair) and max(op.dilation) == 1:
        axes = tuple(range(1, x.ndim - 1))
        windows = sliding_window_view(x, op.kernel, axes)
        steps = tuple(slice(None, None, s) for s in op.stride)
        windows = windows[(slice(None), *steps)]
        greatest = windows == vertex._data.reshape(*vertex._data.shape, *(1,) * len(axes))
        ties = float((greatest.sum(tuple(range(x.ndim, x.ndim + len(axes)))) > 1).mean())
    return Winners(float(np.mean(got)), ties)


def winning(vertex: Vertex) -> Any:
    """Which inputs of a max-pool won a window, as an array of booleans of their shape."""
    (x,) = vertex.inputs
    assert vertex.op is not None
    ones = np.ones_like(vertex._data)
    (back,) = vertex.op.pulls(ones, vertex._data, [x._data], vertex.saved, [True])
    return np.asarray(back) != 0


def _short(view: View, card: Card, slot: int) -> str:
    """The last part of a parameter's name, or else the argument's name in its op."""
    name = view.graph.names[slot]
    if name:
        return name.rpartition(".")[2] or name
    if card.kind == "op" and slot not in (inputs := view.steps[card.main].inputs):
        return "b"
    if card.kind == "op":
        args = view.steps[card.main].op.args
        return args[min(inputs.index(slot), len(args) - 1)]
    return "parameter"


def _is_number(data: Any) -> bool:
    return isinstance(data, np.ndarray) and data.size == 1 and data.dtype.kind in "fiu"
