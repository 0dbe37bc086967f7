"""What an interactive page knows of each card: values, statistics, histograms, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradgraph.debug import unwatched
from gradgraph.node import Vertex
from gradgraph.op import Op, Part
from gradgraph.spec import Spec, brief
from gradgraph.sweep import fit, reach

from . import story, theme
from .dot import opened
from .facts import Facts, Parameter, gather, sent
from .flow import Flow
from .flow import norm as norm_of
from .text import clean, count, number, spread
from .view import Card, View

BINS = 24
FEW = 64  # numbers that are shown one by one
CHANGED = "assign() changed it after the forward pass; its numbers now are not those of the picture"
UNKNOWN = "Only the norm of this gradient is known."
MADE_UP = "Drawn from shapes alone: there are no values."

Told = dict[str, Any]  # what becomes JSON: strings, whole numbers, and lists and dicts of them


@unwatched()
def details(
    view: View, flow: Flow | None, limits: theme.Thresholds | None = None, values: bool = True
) -> Told:
    """All that is to be said of a view, ready for JSON; every text in it is clean.

    Args:
        view: the cards.
        flow: the gradient that passed, if any.
        limits: from where on a card says that something is wrong.
        values: whether the data mean something.

    >>> import gradgraph as gg
    >>> y = gg.tanh(gg.Tensor([0.0, 1.0], requires_grad=True, name="x"))
    >>> told = details(View.of(gg.Graph.of(y)), None)
    >>> told["cards"][1]["title"], told["cards"][1]["values"][0]["numbers"]
    ('tanh', [['0', '0.762']])
    """
    known = gather(view, flow, limits, values)
    gradients = _gradients(view, flow) if flow is not None and values else {}
    changed = _changed(view)
    return {
        "cards": [
            _card(view, card, known[card.id], gradients, changed, values) for card in view.cards
        ],
        "links": [[link.source, link.target] for link in view.links],
        "scopes": _scopes(view, known),
        "steps": [*_forward(view), *_backward(view, known, flow)],
        "flows": flow is not None,
    }


def sample(data: Any) -> Told:
    """Statistics, a histogram, and the numbers themselves if they are few.

    Args:
        data: an array or a number.

    >>> told = sample(np.array([0.0, 1.0, 3.0, np.nan]))
    >>> told["facts"][:2], told["ends"], told["bins"][0], told["bins"][8]
    ([['min', '0'], ['max', '3']], ['0', '3'], 1, 1)
    """
    array = np.asarray(data)
    if array.dtype.kind not in "biuf":
        return {"note": f"No statistics of {clean(str(array.dtype), 20)}."}
    if not array.size:
        return {"note": "It has no elements."}
    flat = array.astype(float).ravel()
    finite = flat[np.isfinite(flat)]
    zeros, bad = int((flat == 0).sum()), flat.size - finite.size
    told: Told = {"facts": []}
    if finite.size:
        most = float(np.abs(finite).max()) or 1.0
        scaled = finite / most  # sums and differences of the greatest numbers would overflow
        low, high = number(finite.min()), number(finite.max())
        mean, std = number(scaled.mean() * most), number(scaled.std() * most)
        told["facts"] = [["min", low], ["max", high], ["mean", mean], ["std", std]]
        told |= {"bins": _bins(scaled), "ends": [low, high]}
    told["facts"] += [
        ["zeros", f"{zeros:,} of {flat.size:,} ({zeros / flat.size:.0%})"],
        ["NaN or infinite", f"{bad:,}"],
    ]
    if flat.size <= FEW:
        rows = flat.reshape(-1, array.shape[-1] if array.ndim else 1)
        told["numbers"] = [[number(v) for v in row] for row in rows]
    return told


def _bins(values: np.ndarray[Any, Any]) -> list[int]:
    """How many of the numbers lie in each of equal stretches from the least to the greatest."""
    low, high = values.min(), values.max()
    if low == high:
        return [values.size]
    place = np.minimum((values - low) / (high - low) * BINS, BINS - 1).astype(int)
    return [int(n) for n in np.bincount(place, minlength=BINS)]


def _gradients(view: View, flow: Flow) -> dict[int, Any]:
    """∂L/∂v for slots of the graph: swept once more, and kept where the norm is that of the flow.

    A flow keeps norms only. It cannot be swept again if it started from a cotangent of the user's,
    or if an input was changed since.
    """
    wanted = {card_slot(view, card): None for card in view.cards}
    wanted |= {slot: None for card in view.cards for slot in view.parameters(card)}
    slot_of = {view.graph.vertices[slot]: slot for slot in wanted}
    read = {x for v, _ in flow.edges for x in v.inputs}
    heads = [v for v in flow.norms if v not in read]
    if not flow.from_one or len(heads) != 1 or np.size(heads[0]._data) != 1:
        return {}
    found = {}
    for vertex, cotangent in _swept(heads[0]):
        if vertex in slot_of and _close(norm_of(cotangent), flow.norms.get(vertex)):
            found[slot_of[vertex]] = cotangent
    return found


def _swept(loss: Vertex) -> Iterator[tuple[Vertex, Any]]:
    """The cotangents of one reverse sweep, as far as it comes; outputs of tuples are left out."""
    order = reach([loss])
    wanted = set(order)
    grads: dict[Vertex, Any] = {loss: np.ones_like(loss._data)}
    for v in reversed(order):
        g = grads.pop(v, None)
        if g is None:
            continue
        if isinstance(g, tuple) or (v.op and v._seen != sum(x.version for x in v.inputs)):
            return
        yield v, g
        if v.op is None:
            continue
        if isinstance(v.op, Part):
            return
        asked = [x in wanted for x in v.inputs]
        parts = v.op.pulls(g, v._data, [x._data for x in v.inputs], v.saved, asked)
        for x, c in zip(v.inputs, parts, strict=True):
            if c is not None:
                c = fit(c, x._data)
                grads[x] = c if x not in grads else np.asarray(grads[x] + c)


def _close(a: float, b: float | None) -> bool:
    return b is not None and (math.isclose(a, b, rel_tol=1e-6) or (math.isnan(a) and math.isnan(b)))


def _changed(view: View) -> set[int]:
    """The leaves that `assign` changed after something was computed from them."""
    vertices = view.graph.vertices
    return {
        slot
        for step in view.graph.steps
        if vertices[step.output]._seen != sum(vertices[s].version for s in step.inputs)
        for slot in step.inputs
        if vertices[slot].version
    }


def card_slot(view: View, card: Card) -> int:
    """The slot whose value a card shows: its result."""
    return card.main if isinstance(view.graph.vertices[card.main]._data, tuple) else card.id


def _card(
    view: View,
    card: Card,
    facts: Facts,
    gradients: Mapping[int, Any],
    changed: set[int],
    values: bool,
) -> Told:
    slot = card_slot(view, card)
    vertex = view.graph.vertices[slot]
    ops = [view.steps[s].op for s in card.slots if s in view.steps]
    main = view.steps[card.main].op if card.kind == "op" else None
    spec = story.result(view, card)
    rows = [
        ["op", _named(main)] if main else ["kind", clean(card.detail or card.kind, 80)],
        ["ops", clean(", ".join(op.name for op in ops[:8]), 80)] if len(ops) > 1 else None,
        ["module", clean(card.scope, 120)] if card.scope else None,
        ["shape", story.shape(spec)],
        ["dtype", ", ".join(str(s.dtype) for s in (spec if isinstance(spec, tuple) else (spec,)))],
        ["line", clean(vertex.line, 80)] if vertex.line else None,
    ]
    return {
        "id": card.id,
        "title": clean(card.title, 80) or "unnamed",
        "formula": clean((type(main).__doc__ or "").strip().partition("\n")[0], 160),
        "rows": [row for row in rows if row],
        "alarms": [clean(alarm, 120) for alarm in facts.alarms],
        "values": _values(vertex._data, slot in changed, values),
        "gradient": _gradient(facts, gradients.get(slot)),
        "parameters": [
            told
            for parameter in facts.parameters
            if card.computes
            for told in _parameter(view, parameter, gradients, changed, values)
        ],
    }


def _named(op: Op) -> str:
    """An op and its parameters, as far as these are plain numbers and words."""
    fields = [
        f"{field} {getattr(op, field)!r}" for field in op.fields if _plain(getattr(op, field))
    ]
    return clean(" · ".join([op.name, *fields]), 160)


def _plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_plain, value))
    return isinstance(value, bool | int | float | str | None)


def _values(data: Any, changed: bool, values: bool) -> list[Told]:
    if changed or not values:
        return [{"name": "Values", "note": f"{CHANGED}." if changed else MADE_UP}]
    if isinstance(data, tuple):
        return [{"name": f"Values of output {i}", **sample(part)} for i, part in enumerate(data)]
    return [{"name": "Values", **sample(data)}]


def _gradient(facts: Facts, cotangent: Any) -> Told | None:
    """What is known of ∂L/∂y; None if no gradient arrived."""
    if facts.norm is None:
        return None
    own = [
        ["norm ‖∂L/∂y‖", number(facts.norm)],
        ["backward gain ‖∂x‖ / ‖∂y‖", number(facts.gain)] if facts.gain is not None else None,
        *([f"from {clean(title, 40)}", number(norm)] for title, norm in facts.arrivals),
        ["norms inside", spread(facts.inner)] if facts.inner else None,
    ]
    told: Told = {"note": UNKNOWN} if cotangent is None else sample(cotangent)
    rows = [row for row in own if row] + told.get("facts", [])
    return {"name": "Gradient ∂L/∂y", **told, "facts": rows}


def _parameter(
    view: View,
    parameter: Parameter,
    gradients: Mapping[int, Any],
    changed: set[int],
    values: bool,
) -> list[Told]:
    """A parameter and its gradient."""
    slot = parameter.slot
    spec: Spec = view.graph.specs[slot]
    name = clean(parameter.name, 40) or "unnamed"
    rows = [["shape", f"{brief(spec.shape)} ({count(spec.size, 'number')})"]]
    if slot in changed or not values:
        told: Told = {"note": f"{CHANGED}." if slot in changed else MADE_UP}
    else:
        data = view.graph.vertices[slot]._data
        told = sample(data)
        rows.append([f"norm ‖{name}‖", number(norm_of(data))])
    if parameter.norm is not None:
        rows.append([f"norm ‖∂L/∂{name}‖", number(parameter.norm)])
        if parameter.share is not None and slot not in changed:
            rows.append([f"‖∂L/∂{name}‖ / ‖{name}‖", number(parameter.share)])
    both = [{"name": f"Parameter {name}", **told, "facts": rows + told.get("facts", [])}]
    if parameter.norm is not None:
        cotangent = gradients.get(slot)
        back = {"note": UNKNOWN} if cotangent is None else sample(cotangent)
        both.append({"name": f"Gradient ∂L/∂{name}", **back})
    return both


def _scopes(view: View, known: Mapping[int, Facts]) -> list[Told]:
    """The clusters, in the order of their ids, and what is left to say of one when it is closed."""
    order = opened(view)
    places = {path: i for i, path in enumerate(order)}
    found = []
    for path, cards in order.items():
        ops = sum(slot in view.steps for card in cards for slot in card.slots)
        weights = view.weigh(cards)
        norms = [n for c in cards for n in (known[c.id].norm, *known[c.id].inner) if n is not None]
        rows = [count(ops, "op"), count(weights, "parameter") if weights else ""]
        found.append(
            {
                "name": clean(path.rpartition(".")[2], 40) or "unnamed",
                "parent": places.get(path.rpartition(".")[0], -1),
                "cards": [card.id for card in cards],
                "told": ", ".join(filter(None, rows)),
                "norms": f"‖∂y‖ {spread(norms)}" if norms else "",
                "alarm": clean(next((a for c in cards for a in known[c.id].alarms), ""), 80),
            }
        )
    return found


def _forward(view: View) -> list[Told]:
    """The cards that compute, in the order of computation."""
    cards = [card for card in view.cards if card.computes]
    return [
        {
            "card": card.id,
            "back": False,
            "text": f"Forward {k} of {len(cards)}: {clean(card.title, 40)} gives"
            f" {story.shape(story.result(view, card))}",
        }
        for k, card in enumerate(cards, 1)
    ]


def _backward(view: View, known: Mapping[int, Facts], flow: Flow | None) -> list[Told]:
    """The cards that a gradient reached, from the loss on."""
    reached = [
        (card, norm)
        for card in reversed(view.cards)
        if card.computes and (norm := known[card.id].norm) is not None
    ]
    found = []
    for k, (card, norm) in enumerate(reached, 1):
        told = f"Backward {k} of {len(reached)}: {clean(card.title, 40)} gets {number(norm)}"
        sends = _sends(view, card, known[card.id], flow)
        told += f" and sends {', '.join(sends)}" if sends else ""
        found.append({"card": card.id, "back": True, "text": told})
    return found


def _sends(view: View, card: Card, facts: Facts, flow: Flow | None) -> Sequence[str]:
    sends = [
        f"{number(max(norms))} to {clean(view.owner[link.source].title, 40)}"
        for link in view.links
        if link.target == card.id and (norms := sent(view, link, flow))
    ]
    own = [
        f"{number(p.norm)} to {clean(p.name, 40)}" for p in facts.parameters if p.norm is not None
    ]
    return [*own, *sends][:6]
