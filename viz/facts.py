"""What the values and the gradients of one step say about each card."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradgraph.graph import Graph

from . import theme
from .flow import Flow
from .text import count
from .view import Card, Link, View

MOST_WORDS = 6  # of the marks that a folded card stands for


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in a card: its name, its slot, and the norm of its gradient if one arrived."""

    name: str
    slot: int
    norm: float | None


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
class Facts:
    """What is known of one card.

    Attributes:
        parameters: those inside it.
        norm: ‖∂L/∂y‖ of its result, None if no gradient reached it.
        inner: the norms of all vertices inside a folded card.
        gain: ‖∂L/∂x‖ / ‖∂L/∂y‖ for the data that it reads.
        arrivals: at a fan-out, what each reader sent back: (reader's title, norm).
        zeros: for a relu.
        value: of a result with a single number; of every card if the graph is one of scalars.
        alarms: what is wrong, in words; the card's marks first.
    """

    parameters: tuple[Parameter, ...] = ()
    norm: float | None = None
    inner: tuple[float, ...] = ()
    gain: float | None = None
    arrivals: tuple[tuple[str, float], ...] = ()
    zeros: Zeros | None = None
    value: float | None = None
    alarms: tuple[str, ...] = ()


def gather(view: View, flow: Flow | None) -> dict[int, Facts]:
    """The facts of each card, by its id."""
    incoming: dict[int, list[Link]] = {}
    outgoing: dict[int, list[Link]] = {}
    for link in view.links:
        incoming.setdefault(link.target, []).append(link)
        outgoing.setdefault(link.source, []).append(link)
    broken = _broken(view.graph)
    scalars = all(not isinstance(s, tuple) and s.shape == () for s in view.graph.specs)
    empty: list[Link] = []
    return {
        card.id: _facts(
            view,
            card,
            flow,
            incoming.get(card.id, empty),
            outgoing.get(card.id, empty),
            broken,
            scalars,
        )
        for card in view.cards
    }


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
    shown: bool,
) -> Facts:
    vertices = view.graph.vertices
    norms = [flow.norms.get(vertices[s]) for s in card.slots] if flow else []
    result = card.main if isinstance(vertices[card.main]._data, tuple) else card.id
    norm = flow.norms.get(vertices[result]) if flow else None
    parameters = tuple(
        Parameter(_short(view, card, slot), slot, flow.norms.get(vertices[slot]) if flow else None)
        for slot in view.parameters(card)
    )
    back = [n for link in incoming for n in sent(view, link, flow)]
    data = vertices[result]._data
    arrivals = [
        (view.owner[link.target].title, n) for link in outgoing for n in sent(view, link, flow)
    ]
    zeros = _zeros(view, card)
    alarms = view.words(card)[:MOST_WORDS]
    alarms += [broken[s] for s in card.slots if s in broken][:1]
    if zeros is not None and zeros.dead:
        alarms.append(f"{zeros.dead:,} of {count(zeros.units, 'unit')} dead in this batch")
    if flow is not None:
        alarms += _gradient_alarms(view, result, norm, parameters)
    return Facts(
        parameters=parameters,
        norm=norm,
        inner=tuple(n for n in norms if n is not None) if card.kind == "fold" else (),
        gain=back[0] / norm if len(back) == 1 and norm and card.kind == "op" else None,
        arrivals=tuple(arrivals) if len(arrivals) > 1 else (),
        zeros=zeros,
        value=float(data.reshape(-1)[0]) if _is_number(data) and (shown or not outgoing) else None,
        alarms=tuple(alarms),
    )


def _gradient_alarms(
    view: View, result: int, norm: float | None, parameters: tuple[Parameter, ...]
) -> list[str]:
    if not view.graph.vertices[result].requires_grad:
        return []
    if norm is None:
        return ["no gradient reached"]
    if not math.isfinite(norm):
        return ["gradient is not finite"]
    if norm == 0:
        return ["gradient is zero"]
    if norm <= theme.VANISHING:
        return ["▼ vanishing gradient"]
    if norm >= theme.EXPLODING:
        return ["▲ exploding gradient"]
    return [f"∂{p.name} is zero" for p in parameters if p.norm == 0]


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
