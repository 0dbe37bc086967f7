"""What a picture shows, in words: for its subtitle, its description, and each of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradgraph.spec import brief

from .facts import Facts
from .text import clean, count, number, spread
from .view import Card, Link, View

Known = Mapping[int, Facts]

_USUAL = (np.dtype("float32"), np.dtype("float64"))


def shape(spec: Any) -> str:
    """A shape, and the dtype if it is unusual.

    >>> from gradgraph import Spec
    >>> shape(Spec((2, 3), np.dtype("float32"))), shape(Spec((2,), np.dtype("int64")))
    ('2×3', '2 int64')
    """
    if isinstance(spec, tuple):
        return ", ".join(map(shape, spec))
    return brief(spec.shape) if spec.dtype in _USUAL else f"{brief(spec.shape)} {spec.dtype}"


def result(view: View, card: Card) -> Any:
    """The spec of what a card gives."""
    main = view.graph.specs[card.main]
    return main if isinstance(main, tuple) else view.graph.specs[card.id]


def facts_line(view: View, known: Known, noun: str) -> str:
    """The whole graph in one line: its value, its ops, its parameters, its worst news."""
    ends = {view.owner[slot].id for slot in view.graph.outputs}
    values = [v for i in ends if (v := known[i].value) is not None]
    dead = [
        f"{clean(card.title, 24)} {z.dead:,} of {z.units:,}"
        for card in view.cards
        if (z := known[card.id].zeros) is not None and z.dead
    ]
    parts = [
        f"{noun} {number(values[0])}" if len(values) == 1 else "",
        count(len(view.graph.steps), "op"),
        count(view.weigh(view.cards), "parameter"),
        "dead units: " + ", ".join([*dead[:3], "…"] if len(dead) > 3 else dead) if dead else "",
    ]
    return " · ".join(part for part in parts if part)


def listed(view: View, known: Known) -> list[str]:
    """What is alarming, and the gradient along the way as a table: lines of text."""
    lines = [f"{_path(c)}: {alarm}" for c in view.cards for alarm in known[c.id].alarms]
    rows = [
        (_path(c), shape(result(view, c)), number(norm), _slopes(known[c.id]))
        for c in view.cards
        if c.computes and (norm := known[c.id].norm) is not None
    ]
    if rows:
        rows = [("card", "output", "‖∂y‖", "parameters"), *rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += ["", *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)]
    return lines


def _path(card: Card) -> str:
    return ".".join(filter(None, (card.scope, clean(card.title))))


def _slopes(facts: Facts) -> str:
    return ", ".join(
        f"‖∂{p.name}‖ {number(p.norm)}" for p in facts.parameters if p.norm is not None
    )


def marks_line(view: View) -> str:
    """What is marked, and why; empty if nothing is."""
    titles = [card.title for card in view.cards]
    told = []
    for card in view.cards:
        detail = clean(card.detail, 40)
        which = f" ({detail})" if detail and titles.count(card.title) > 1 else ""
        told += [f"{_name(card)}{which}: {clean(w, 60)}" for w in view.words(card)]
    return "marked: " + "; ".join([*told[:3], "…"] if len(told) > 3 else told) if told else ""


def gradient_line(view: View, known: Known) -> str:
    """How the gradient's norm changes from the loss to the data; empty without a flow.

    It compares the first and the last card that hold parameters, or else that compute.
    """
    reached = [
        (card, norm)
        for card in view.cards
        if card.computes and (norm := known[card.id].norm) is not None
    ]
    path = [(c, n) for c, n in reached if known[c.id].parameters] or reached
    if len(path) < 2:
        return ""
    (early, first), (late, last) = path[0], path[-1]
    if np.isnan(first) or np.isnan(last):
        return (
            f"the gradient is {number(last)} at {_name(late)} and {number(first)} at {_name(early)}"
        )
    verb = "falls" if first < last else "grows" if first > last else "stays"
    if verb == "stays":
        return f"the gradient is {number(first)} at {_name(late)} and at {_name(early)}"
    line = f"the gradient {verb} from {number(last)} at {_name(late)} to {number(first)}"
    line += f" at {_name(early)}"
    small, big = sorted((first, last))
    if small > 0 and big / small >= 10 and np.isfinite(big):
        line += f" (1/{number(big / small)})" if verb == "falls" else f" (×{number(big / small)})"
    return line


def folding_line(view: View) -> str:
    """What was folded, and how to see it; empty if nothing was."""
    if not view.notes:
        return ""
    return "folded: " + "; ".join(view.notes) + ". A larger budget= opens them."


def sparing_line(view: View) -> str:
    """What is read by so many cards that its links are not drawn; empty if nothing is."""
    readers: dict[int, set[int]] = {slot: set() for slot in sorted(view.crowded)}
    for step in view.graph.steps:
        for slot in view.crowded.intersection(step.inputs):
            readers[slot].add(view.owner[step.output].id)
    told = [
        f"{_name(view.owner[slot])} to {count(len(ids), 'card')}" for slot, ids in readers.items()
    ]
    shown = ", ".join([*told[:3], "…"] if len(told) > 3 else told)
    return f"not drawn: the links from {shown}" if told else ""


def card_words(view: View, card: Card, facts: Facts) -> str:
    """A card, read aloud."""
    parts = [clean(card.title, 80) or "unnamed", clean(card.detail, 80)]
    parts.append(f"output {shape(result(view, card))}" if card.computes else "")
    if not card.computes:
        parts[-1] = shape(result(view, card))
    if facts.parameters:
        parts.append(count(view.weigh([card]), "parameter"))
    if facts.norm is not None:
        parts.append(f"gradient norm {number(facts.norm)}")
    return ", ".join(part for part in [*parts, *facts.alarms] if part)


def data_words(view: View, link: Link) -> str:
    """A connection, read aloud in the direction of the data."""
    source, target = view.owner[link.source], view.owner[link.target]
    what = (
        f"{shape(view.graph.specs[link.slots[0]])}"
        if len(link.slots) == 1
        else count(len(link.slots), "value")
    )
    return f"data: {_name(source)} → {_name(target)}, {what}"


def gradient_words(view: View, link: Link, norms: list[float]) -> str:
    """A connection, read aloud in the direction of the gradient."""
    source, target = view.owner[link.source], view.owner[link.target]
    return f"gradient: {_name(target)} → {_name(source)}, norm {spread(norms)}"


def _name(card: Card) -> str:
    return clean(card.title, 40) or "unnamed"
