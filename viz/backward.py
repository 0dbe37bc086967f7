"""The way back beside the way there: a card for what each op's rules do with a cotangent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradgraph.op import Part

from . import theme
from .cards import Look
from .flow import Flow
from .tables import SLACK, cell, pair, row, table, text, wide
from .text import clean, number
from .view import Card, View

MOST_RULES = 6


@dataclass(frozen=True, slots=True)
class Pull:
    """What one rule sends back.

    Attributes:
        rule: its name, e.g. "vjp_x".
        to: the name of what it goes to.
        norm: of what it sends.
    """

    rule: str
    to: str
    norm: float


def pulls(view: View, card: Card, flow: Flow) -> Iterator[Pull]:
    """What the ops of a card send to other cards and to its parameters, the last op first."""
    parameters = set(view.parameters(card))
    vertices = view.graph.vertices
    for slot in reversed(card.slots):
        step = view.steps.get(slot)
        if step is None or isinstance(step.op, Part):
            continue
        for i, source in enumerate(step.inputs):
            norm = flow.edges.get((vertices[slot], i))
            inside = view.owner[source] is card and source not in parameters
            if norm is not None and not inside:
                arg = step.op.args[min(i, len(step.op.args) - 1)]
                name = view.graph.names[source] or ""
                to = name.rpartition(".")[2] if source in parameters else view.owner[source].title
                yield Pull(f"vjp_{arg}", to or arg, norm)


def holds(view: View, card: Card) -> tuple[int, int]:
    """Bytes of the results of a card's ops, and of what they saved (masks, winners)."""
    results = saved = 0
    for slot in card.slots:
        if slot in view.steps:
            vertex = view.graph.vertices[slot]
            data = vertex._data if isinstance(vertex._data, tuple) else (vertex._data,)
            results += sum(getattr(part, "nbytes", 0) for part in data)
            saved += sum(part.nbytes for part in vertex.saved)
    return results, saved


def table_of(view: View, card: Card, flow: Flow, norm: float, look: Look) -> str:
    """The backward card: what arrives, what each rule sends to whom, and what it kept for that."""
    colour = theme.ramp(norm)
    sends = list(pulls(view, card, flow))
    rows = [
        row(
            cell(text(f"∂ {clean(card.title, 24)}", 12, bold=True), align="LEFT",
                 width=look.lanes[0] * 0.7),
            cell(text(f"‖∂y‖ {number(norm)}", 11, bold=True) + SLACK, align="RIGHT",
                 width=look.lanes[1] * 0.7),
        ),
    ]  # fmt: skip
    if look.detail == "full":
        rows += [
            pair(f"{p.rule} → {clean(p.to, 16)}", f"‖∂‖ {number(p.norm)}")
            for p in sends[:MOST_RULES]
        ]
        if len(sends) > MOST_RULES:
            rows.append(wide(text(f"and {len(sends) - MOST_RULES:,} more rules", 10, "muted")))
        results, saved = holds(view, card)
        kept = f"result {size(results)}" + (f", saved {size(saved)}" if saved else "")
        rows.append(pair("keeps for it", kept))
    return table(
        rows, bgcolor=theme.colour("cluster"), border=2, cellpadding=3, color=colour, cellspacing=0,
        style="ROUNDED",
    )  # fmt: skip


def words_of(view: View, card: Card, flow: Flow, norm: float) -> str:
    """A backward card, read aloud."""
    sends = [f"{p.rule} to {clean(p.to, 40)} {number(p.norm)}" for p in pulls(view, card, flow)]
    told = [f"backward through {clean(card.title, 40)}", f"gradient norm {number(norm)}", *sends]
    return ", ".join(told)


def size(count: int) -> str:
    """A number of bytes.

    >>> size(80), size(123_456), size(5_000_000)
    ('80 B', '123 kB', '5 MB')
    """
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} GB"
