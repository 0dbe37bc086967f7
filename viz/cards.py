"""The cards of a picture as tables: a coloured head, rows of facts, a foot with the shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gradgraph.ops.classify import CrossEntropy
from gradgraph.spec import brief

from . import story, theme
from .facts import Facts, Parameter, Winners, Zeros
from .tables import BAR, SLACK, bar, cell, measured, pair, row, share, table, text, wide
from .text import clean, count, number, spread
from .thumbs import Strip, strips
from .view import Card, View

LANES = {"full": (118, 218), "overview": (100, 72)}  # least widths of a card's two columns
MOST_ROWS = 6
MOST_CLASSES = 12  # of which a bar is drawn
TALLEST = 34  # points of a class's bar


@dataclass(slots=True)
class Look:
    """How cards are drawn.

    Attributes:
        flows: whether a gradient is drawn.
        detail: "full", or "overview" without the rows of facts.
        thumbnails: whether small images are.
        values: whether the data mean something: else they are made up for a shape.
        limits: thresholds of the alarms.
        images: what takes the place of each cell of a certain colour; filled while drawing.
    """

    flows: bool = False
    detail: str = "full"
    thumbnails: bool = False
    values: bool = True
    limits: theme.Thresholds = field(default_factory=theme.Thresholds)
    images: dict[str, Strip] = field(default_factory=dict)

    @property
    def lanes(self) -> tuple[int, int]:
        """Least widths of the two columns of a card: data leave the left, gradients the right."""
        left, right = LANES[self.detail]
        return (left, right) if self.flows else (left, min(left, right) + 32)


def card_table(view: View, card: Card, facts: Facts, look: Look, back: str = "") -> str:
    """A card.

    Args:
        view, card, facts: what it shows.
        look: how.
        back: words for the right of the foot, instead of the norm of the gradient.
    """
    marked = bool(view.words(card))
    head = theme.colour("alarm") if marked else theme.header(card.style)
    on = "card" if marked else "on-header"
    small = look.detail == "overview" and not card.computes
    detail = "" if small else card.detail
    left, right = (n // 2 if small else n for n in look.lanes)
    rows = [
        row(
            cell(
                text(card.title or "unnamed", 13, on, bold=True, limit=28),
                align="LEFT", bgcolor=head, port="x", width=left,
            ),
            cell(
                text(detail, 10, on, limit=34 if look.detail == "full" else 20) + SLACK,
                align="RIGHT", bgcolor=head, port="dx", width=right,
            ),
        ),
        *(_body(view, card, facts, look) if look.detail == "full" else ()),
        *(
            wide(text(alarm, 11, "alarm", bold=True, limit=60), bgcolor=theme.colour("alarm-back"))
            for alarm in (facts.alarms if look.detail == "full" else facts.alarms[:1])
        ),
    ]  # fmt: skip
    foot = theme.colour("foot")
    shape = text(story.shape(story.result(view, card)), 11, limit=44)
    rows.append(
        row(
            cell(shape, align="LEFT", bgcolor=foot, port="y"),
            cell(
                (back or _back(card, facts, look)) + SLACK, align="RIGHT", bgcolor=foot, port="dy"
            ),
        )
    )
    return table(
        rows, bgcolor=theme.colour("card"), border=2 if marked else 1, cellpadding=4, color=head,
        cellspacing=0,
    )  # fmt: skip


def pill(view: View, card: Card) -> str:
    """A constant: its number."""
    value = view.graph.vertices[card.main]._data
    told = cell(text(number(float(np.real(np.asarray(value)).item())), 11, "muted"))
    return table(
        [row(told)], bgcolor=theme.colour("foot"), border=1, cellpadding=3,
        color=theme.colour("border"), style="ROUNDED",
    )  # fmt: skip


def _back(card: Card, facts: Facts, look: Look) -> str:
    if facts.norm is not None:
        symbol = "∂y" if card.computes else "∂"
        return text(f"‖{symbol}‖ {number(facts.norm)}", 11, bold=True)
    if facts.value is not None:
        return text(f"= {number(facts.value)}", 11, bold=True)
    return text("no gradient", 10, "muted") if look.flows else ""


def _body(view: View, card: Card, facts: Facts, look: Look) -> list[str]:
    rows = []
    if look.thumbnails:
        for strip in strips(view, card, look.flows, look.values):
            rows += _images(strip, look)
        rows += _classes(view, card) if look.values else []
    if card.kind == "fold":
        rows += _folded(view, card, facts)
    elif card.kind != "weight" or look.flows:
        rows += [_parameter(view, p) for p in facts.parameters[:MOST_ROWS]]
        if more := facts.parameters[MOST_ROWS:]:
            rows.append(wide(text(f"and {count(len(more), 'more parameter tensor')}", 10)))
    if facts.zeros is not None and look.flows:
        rows.append(_zeros(facts.zeros))
    elif facts.slope is not None:
        rows.append(share("mean slope |∂y/∂x|", facts.slope, number(facts.slope), "off"))
    if facts.winners is not None:
        rows += _winners(facts.winners)
    rows += _arrivals(facts)
    if facts.gain is not None:
        lost = facts.gain <= look.limits.gain and card.style not in ("loss", "reduce")
        told = f"{'▼ ' if lost else ''}‖∂x‖ = {number(facts.gain)} ‖∂y‖"
        rows.append(pair("backward gain", told, "alarm" if lost else "ink"))
    if facts.value is not None and look.flows:
        rows.append(pair("value", number(facts.value)))
    return rows


def _folded(view: View, card: Card, facts: Facts) -> list[str]:
    ops = sum(slot in view.steps for slot in card.slots)
    others = len(card.slots) - ops - len(facts.parameters)
    rows = [pair("folded", ", ".join(filter(None, (
        count(ops, "op") if ops else "",
        count(others, "input") if others else "",
    ))))]  # fmt: skip
    if facts.parameters:
        rows.append(pair("parameters", f"{view.weigh([card]):,}"))
    if facts.inner:
        rows.append(pair("‖∂‖ inside", spread(facts.inner)))
    norms = [p.norm for p in facts.parameters if p.norm is not None]
    if norms:
        rows.append(pair("‖∂W‖ inside", spread(norms)))
    return rows


def _parameter(view: View, parameter: Parameter) -> str:
    spec = view.graph.specs[parameter.slot]
    left = text(parameter.name, 11, bold=True, limit=20) + text(f"  {brief(spec.shape)}", 11)
    words = [f"{spec.size:,}" if spec.ndim else "", *["frozen"] * (parameter.slot in view.fixed)]
    size = text(" ".join(filter(None, words)), 10, "muted")
    if parameter.norm is None:
        return row(cell(left, align="LEFT"), cell(size + SLACK, align="RIGHT"))
    name = clean(parameter.name, 8)
    told = text(f"‖∂{name}‖ {number(parameter.norm)}", 11)
    if parameter.share is not None:
        told += text(f" = {number(parameter.share)} ‖{name}‖", 10, "muted")
    fill = round(BAR * theme.share(parameter.norm))
    filled = bar([(fill, theme.ramp(parameter.norm)), (BAR - fill, theme.colour("track"))])
    both = table([row(cell(filled), cell(told + SLACK, align="RIGHT"))], cellspacing=2)
    return row(cell(left, align="LEFT"), cell(both, align="RIGHT"))


def _zeros(zeros: Zeros) -> str:
    dead = round(BAR * zeros.dead / zeros.units)
    off = max(round(BAR * zeros.share) - dead, 0)
    parts = [
        (dead, theme.colour("alarm")),
        (off, theme.colour("off")),
        (BAR - dead - off, theme.colour("track")),
    ]
    return measured("zero outputs", parts, f"{zeros.share:.0%}")


def _winners(winners: Winners) -> list[str]:
    rows = [share("inputs with gradient", winners.share, f"{winners.share:.0%}", "pool")]
    if winners.ties:
        rows.append(pair("windows with a tie", f"{winners.ties:.0%}"))
    return rows


def _arrivals(facts: Facts) -> list[str]:
    """What each reader of a fan-out sent back; the footer shows the norm of the sum."""
    shown = [
        pair(f"from {clean(title, 18)}", f"‖∂‖ {number(norm)}")
        for title, norm in facts.arrivals[:MOST_ROWS]
    ]
    if rest := [norm for _, norm in facts.arrivals[MOST_ROWS:]]:
        shown.append(pair(f"from {len(rest):,} more", f"‖∂‖ {spread(rest)}"))
    if facts.cancels is not None and facts.cancels >= 0.005:
        shown.append(pair("lost in the sum", f"{facts.cancels:.0%}"))
    return shown


def _images(strip: Strip, look: Look) -> list[str]:
    """Cells of a colour of their own, where the images will be put, and the caption."""
    cells = []
    for k, image in enumerate(strip.images):
        tall, broad = image.shape[:2]
        scale = strip.size / max(tall, broad)
        colour = f"#01{len(look.images):04x}"
        look.images[colour] = Strip((strip.images[k],), strip.size, strip.caption)
        size = {"height": max(round(tall * scale), 2), "width": max(round(broad * scale), 2)}
        cells.append(cell("", bgcolor=colour, fixedsize="TRUE", **size))
    tiles = table([row(*cells)], cellspacing=3)
    return [
        wide(tiles, align="CENTER", height=strip.size + 6, cellpadding=1),
        wide(text(strip.caption, 9, "muted", limit=60), align="CENTER", cellpadding=1),
    ]


def _classes(view: View, card: Card) -> list[str]:
    """The probabilities of the classes for the first item of a batch, and its label."""
    if card.kind != "op" or not isinstance(view.steps[card.main].op, CrossEntropy):
        return []
    logits, labels = (x._data for x in view.graph.vertices[card.main].inputs[:2])
    if logits.ndim != 2 or not 1 < logits.shape[1] <= MOST_CLASSES or not len(logits):
        return []
    if not np.isfinite(logits[0]).all():
        return []
    powers = np.exp(logits[0] - logits[0].max())
    target = int(labels[0])
    bars = [_upright(p, k == target) for k, p in enumerate(powers / powers.sum())]
    names = [
        cell(text(str(k), 9, "ink" if k == target else "muted", bold=k == target))
        for k in range(len(powers))
    ]
    told = f"probability of each class for item 1, whose label is {target}"
    return [
        wide(
            table([row(*bars), row(*names)], cellspacing=2),
            align="CENTER",
            height=TALLEST + 16,
            cellpadding=1,
        ),
        wide(text(told, 9, "muted"), align="CENTER", cellpadding=1),
    ]


def _upright(part: float, right: bool) -> str:
    high = max(round(TALLEST * part), 1)
    parts: Sequence[tuple[int, str]] = (
        (TALLEST - high, "track"),
        (high, "linear" if right else "data"),
    )
    cells = [
        row(cell("", bgcolor=theme.colour(role), fixedsize="TRUE", height=h, width=14))
        for h, role in parts
        if h
    ]
    return cell(table(cells))
