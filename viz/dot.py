"""DOT text: cards as tables, scopes as clusters, a grey lane for data and a coloured one back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from graphviz import Digraph

from gradgraph.spec import brief

from . import story, theme
from .facts import Facts, Parameter, Zeros, gather, sent
from .flow import Flow
from .text import clean, count, number, spread
from .transform import paths
from .view import Card, View

BAR = 48
LANE = 136  # least width of each of the two columns of a card
TITLE = (164, 104)  # least width of a cluster's name, without and with a flow: data pass after it
MOST_ROWS = 6
DEEPEST = 12  # levels of clusters inside clusters; what lies deeper is drawn in the last one
SLACK = "&#160;"  # after text at the right border: browsers' fonts may be wider than the engine's


@dataclass(frozen=True, slots=True)
class Picture:
    """DOT text, and what a reader who cannot see it needs.

    Attributes:
        dot: the text.
        title: of the whole.
        description: of the whole, in words.
        words: for the id of each card, link and cluster, what it says.
    """

    dot: str
    title: str
    description: str
    words: dict[str, str]


def write(view: View, flow: Flow | None = None, title: str | None = None) -> Picture:
    """The DOT text of a view.

    Args:
        view: what to draw.
        flow: the gradient to draw over it.
        title: of the picture.
    """
    known = gather(view, flow)
    name = clean(title or "", 80) or ("Gradient flow" if flow else "Computation graph")
    lines = [
        line
        for line in (
            story.marks_line(view),
            story.facts_line(view, known, "loss" if flow else "result"),
            story.gradient_line(view, known),
            story.folding_line(view),
        )
        if line
    ]
    graph = Digraph(
        graph_attr={
            "bgcolor": theme.colour("paper"),
            "fontname": theme.FONT,
            "id": "graph",
            "label": _html(_heading(name, lines, flow is not None)),
            "labeljust": "l",
            "labelloc": "t",
            "nodesep": "0.35",
            "pad": "0.25",
            "rankdir": "TB",
            "ranksep": "0.42",
        },
        node_attr={"fontname": theme.FONT, "fontsize": "11", "shape": "plain"},
        edge_attr={"fontname": theme.FONT, "arrowsize": "0.6"},
    )
    words: dict[str, str] = {}
    for card in view.cards:
        words[f"n{card.id}"] = story.card_words(view, card, known[card.id])
    _clusters(graph, view, known, flow is not None, words)
    _links(graph, view, flow, words)
    return Picture(graph.source, name, ". ".join(lines), words)


# Structure


def _clusters(
    graph: Digraph, view: View, known: dict[int, Facts], flows: bool, words: dict[str, str]
) -> None:
    """The cards, each in the cluster of its scope; the deepest clusters are closed first."""
    inside: dict[str, list[Card]] = {}
    order: dict[str, None] = {}
    for card in view.cards:
        for path in paths(card.scope)[:DEEPEST]:
            inside.setdefault(path, []).append(card)
            order.setdefault(path)
    bodies = {"": graph}
    for i, path in enumerate(order):
        cards = inside[path]
        name = clean(path.rpartition(".")[2]) or "unnamed"
        weight = view.weigh(cards)
        told = count(weight, "parameter") if weight else ""
        worst = next((a for c in cards for a in known[c.id].alarms), "")
        words[f"c{i}"] = ", ".join(filter(None, (f"scope {name}", told, worst)))
        label = _table([
            _row(
                _cell(_text(name, 13, bold=True), align="LEFT", width=TITLE[flows]),
                _cell(_text(told, 11, "muted"), align="LEFT"),
            )
        ])  # fmt: skip
        bodies[path] = Digraph(
            name=f"cluster_{i}",
            graph_attr={
                "bgcolor": theme.colour("cluster"),
                "color": theme.colour("border"),
                "id": f"c{i}",
                "label": _html(label),
                "labeljust": "l",
                "margin": "14",
                "style": "rounded",
            },
        )
    for card in view.cards:
        table = _pill(view, card) if card.kind == "constant" else _card(view, card, known, flows)
        bodies[_cluster(card)].node(f"n{card.id}", label=_html(table), id=f"n{card.id}")
    for path in sorted(order, key=lambda path: -path.count(".")):
        bodies[path.rpartition(".")[0]].subgraph(bodies[path])


def _cluster(card: Card) -> str:
    """The path of the cluster that a card is drawn in."""
    return ".".join(card.scope.split(".")[:DEEPEST])


def _links(graph: Digraph, view: View, flow: Flow | None, words: dict[str, str]) -> None:
    for i, link in enumerate(view.links):
        source, target = view.owner[link.source], view.owner[link.target]
        lanes = flow is not None
        graph.edge(
            _port(source, "y" if lanes else "", "s"),
            _port(target, "x" if lanes else "", "n"),
            color=theme.colour("data"),
            id=f"e{i}",
            penwidth="1",
        )
        words[f"e{i}"] = story.data_words(view, link)
        norms = sent(view, link, flow)
        if norms:
            worst = max(norms)
            graph.edge(
                _port(source, "dy", "s"),
                _port(target, "dx", "n"),
                arrowsize=f"{0.5 + theme.width(worst) / 8:.2f}",
                color=theme.ramp(worst),
                dir="back",
                id=f"g{i}",
                penwidth=f"{theme.width(worst):.1f}",
            )
            words[f"g{i}"] = story.gradient_words(view, link, norms)


def _port(card: Card, port: str, side: str) -> str:
    if card.kind == "constant" or not port:
        return f"n{card.id}:{side}"
    return f"n{card.id}:{port}:{side}"


# Cards


def _card(view: View, card: Card, known: dict[int, Facts], flows: bool) -> str:
    facts = known[card.id]
    marked = bool(view.words(card))
    head = theme.colour("alarm") if marked else theme.header(card.style)
    on = "card" if marked else "on-header"
    spec = story.shape(story.result(view, card))
    rows = [
        _row(
            _cell(
                _text(card.title or "unnamed", 13, on, bold=True, limit=28),
                align="LEFT", bgcolor=head, port="x", width=LANE,
            ),
            _cell(
                _text(card.detail, 10, on, limit=34) + SLACK,
                align="RIGHT", bgcolor=head, port="dx", width=LANE,
            ),
        ),
        *_body(view, card, facts, flows),
    ]  # fmt: skip
    back = _text("no gradient", 10, "muted") if flows and facts.norm is None else ""
    if facts.norm is not None:
        symbol = "∂y" if card.computes else "∂"
        back = _text(f"‖{symbol}‖ {number(facts.norm)}", 11, bold=True)
    elif facts.value is not None:
        back = _text(f"= {number(facts.value)}", 11, bold=True)
    foot = theme.colour("foot")
    rows.append(
        _row(
            _cell(_text(spec, 11, limit=44), align="LEFT", bgcolor=foot, port="y"),
            _cell(back, align="RIGHT", bgcolor=foot, port="dy"),
        )
    )
    return _table(
        rows, bgcolor=theme.colour("card"), border=2 if marked else 1, cellpadding=4, color=head,
        cellspacing=0,
    )  # fmt: skip


def _body(view: View, card: Card, facts: Facts, flows: bool) -> list[str]:
    rows = []
    if card.kind == "fold":
        rows += _fold_rows(view, card, facts)
    elif card.kind != "weight" or flows:
        shown = facts.parameters[:MOST_ROWS]
        rows += [_parameter(view, p) for p in shown]
        if more := facts.parameters[MOST_ROWS:]:
            rows.append(_wide(_text(f"and {count(len(more), 'more parameter tensor')}", 10)))
    if facts.zeros is not None and flows:
        rows.append(_zeros(facts.zeros))
    rows += _arrivals(facts)
    if facts.gain is not None:
        rows.append(_pair("backward gain ‖∂x‖/‖∂y‖", f"× {number(facts.gain)}"))
    if facts.value is not None and flows:
        rows.append(_pair("value", number(facts.value)))
    rows += [
        _wide(_text(alarm, 11, "alarm", bold=True, limit=60), bgcolor=theme.colour("alarm-back"))
        for alarm in facts.alarms
    ]
    return rows


def _fold_rows(view: View, card: Card, facts: Facts) -> list[str]:
    ops = sum(slot in view.steps for slot in card.slots)
    others = len(card.slots) - ops - len(facts.parameters)
    rows = [_pair("folded", ", ".join(filter(None, (
        count(ops, "op") if ops else "",
        count(others, "input") if others else "",
    ))))]  # fmt: skip
    if facts.parameters:
        rows.append(_pair("parameters", f"{view.weigh([card]):,}"))
    if facts.inner:
        rows.append(_pair("‖∂‖ inside", spread(facts.inner)))
    norms = [p.norm for p in facts.parameters if p.norm is not None]
    if norms:
        rows.append(_pair("‖∂W‖ inside", spread(norms)))
    return rows


def _parameter(view: View, parameter: Parameter) -> str:
    spec = view.graph.specs[parameter.slot]
    name = _text(parameter.name, 11, bold=True, limit=20)
    left = name + _text(f"  {brief(spec.shape)}", 11)
    size = _text(f"{spec.size:,}", 10, "muted") if spec.ndim else ""
    if parameter.norm is None:
        return _row(_cell(left, align="LEFT"), _cell(size, align="RIGHT"))
    told = _text(f"‖∂{clean(parameter.name, 8)}‖ {number(parameter.norm)}", 11)
    fill = round(BAR * theme.share(parameter.norm))
    bar = _bar([(fill, theme.ramp(parameter.norm)), (BAR - fill, theme.colour("track"))])
    both = _table([_row(_cell(bar), _cell(told, align="RIGHT"))], cellspacing=3)
    return _row(_cell(left, align="LEFT"), _cell(both, align="RIGHT"))


def _zeros(zeros: Zeros) -> str:
    dead = round(BAR * zeros.dead / zeros.units)
    off = max(round(BAR * zeros.share) - dead, 0)
    bar = _bar([
        (dead, theme.colour("alarm")),
        (off, theme.colour("off")),
        (BAR - dead - off, theme.colour("track")),
    ])  # fmt: skip
    told = _cell(_text(f"{zeros.share:.0%}", 11), align="RIGHT", width=36)
    both = _table([_row(_cell(bar), told)], cellspacing=3)
    return _row(_cell(_text("zero outputs", 11, "muted"), align="LEFT"), _cell(both, align="RIGHT"))


def _arrivals(facts: Facts) -> list[str]:
    """What each reader of a fan-out sent back; the footer shows the norm of the sum."""
    shown = [
        _pair(f"from {clean(title, 18)}", f"‖∂‖ {number(norm)}")
        for title, norm in facts.arrivals[:MOST_ROWS]
    ]
    if rest := [norm for _, norm in facts.arrivals[MOST_ROWS:]]:
        shown.append(_pair(f"from {len(rest):,} more", f"‖∂‖ {spread(rest)}"))
    return shown


def _pill(view: View, card: Card) -> str:
    value = view.graph.vertices[card.main]._data
    told = _cell(_text(number(float(np.real(np.asarray(value)).item())), 11, "muted"))
    return _table(
        [_row(told)], bgcolor=theme.colour("foot"), border=1, cellpadding=3,
        color=theme.colour("border"), style="ROUNDED",
    )  # fmt: skip


# Heading and legend


def _heading(title: str, lines: Iterable[str], flows: bool) -> str:
    rows = [_row(_cell(_text(title, 18, bold=True, limit=80), align="LEFT"))]
    rows += [
        _row(_cell(_text(part, 11, "muted", limit=100), align="LEFT"))
        for line in lines
        for part in _wrapped(line)
    ]
    if flows:
        rows.append(_row(_cell(_legend(), align="LEFT")))
    rows.append(_row(_cell("", height=10)))
    return _table(rows, cellpadding=2)


def _legend() -> str:
    """One swatch for each decade, as thick as the lines that it stands for."""
    swatches, names = [], []
    for i, (light, _) in enumerate(theme.RAMP):
        decade = theme.FIRST_DECADE + i
        sign = {0: "≤", len(theme.RAMP) - 1: "≥"}.get(i, "")
        thick = max(round(theme.width(10.0**decade)), 2)
        swatches.append(_cell(_bar([(34, light)], thick)))
        names.append(_cell(_text(f"{sign}10{_raised(decade)}", 10)))
    told = _text("‖∂L/∂·‖", 11, bold=True)
    first = _cell(told, rowspan=2, align="LEFT")
    last = _cell(_text("▲ exploding?", 10, "muted"), align="LEFT")
    start = _cell(_text("▼ vanishing?", 10, "muted"), align="RIGHT")
    lanes = _text("thin grey ↓ data, thick colour ↑ gradient", 10, "muted")
    table = _table(
        [
            _row(first, start, *swatches, last),
            _row(_cell(""), *names, _cell("")),
            _row(_cell(lanes, colspan=len(theme.RAMP) + 3, align="LEFT")),
        ],
        cellpadding=2,
    )
    return table


def _raised(n: int) -> str:
    return str(n).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _wrapped(line: str, limit: int = 96) -> list[str]:
    rows = [""]
    for word in line.split():
        if rows[-1] and len(rows[-1]) + len(word) >= limit:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return rows


# HTML-like labels


def _html(content: str) -> str:
    return f"<{content}>"


def _text(text: str, size: int, role: str = "ink", *, bold: bool = False, limit: int = 120) -> str:
    """Escaped text; nothing at all where there is none, because an empty FONT is an error."""
    lead = " " * (len(text) - len(text.lstrip(" ")))
    shown = clean(text, limit)
    if not shown:
        return ""
    # the engine takes a backslash, even one that was written as an entity, for an escape
    safe = escape(lead + shown).replace("\\", "\\\\")
    safe = f"<B>{safe}</B>" if bold else safe
    return f'<FONT COLOR="{theme.colour(role)}" POINT-SIZE="{size}">{safe}</FONT>'


def _cell(content: str, **attributes: object) -> str:
    return f"<TD{_attributes(attributes)}>{content}</TD>"


def _row(*cells: str) -> str:
    return f"<TR>{''.join(cells)}</TR>"


def _wide(content: str, **attributes: object) -> str:
    return _row(_cell(content, colspan=2, align="LEFT", **attributes))


def _pair(left: str, right: str) -> str:
    return _row(
        _cell(_text(left, 11, "muted"), align="LEFT"), _cell(_text(right, 11), align="RIGHT")
    )


def _table(rows: Iterable[str], **attributes: object) -> str:
    usual: dict[str, object] = {"border": 0, "cellborder": 0, "cellpadding": 0, "cellspacing": 0}
    return f"<TABLE{_attributes(usual | attributes)}>{''.join(rows)}</TABLE>"


def _bar(parts: Sequence[tuple[int, str]], height: int = 8) -> str:
    """A bar of coloured pieces, each (width, colour)."""
    cells = [
        _cell("", bgcolor=colour, fixedsize="TRUE", height=height, width=width)
        for width, colour in parts
        if width > 0
    ]
    total = sum(width for width, _ in parts)
    return _table([_row(*cells)], fixedsize="TRUE", height=height, width=total)


def _attributes(given: dict[str, object]) -> str:
    return "".join(f' {key.upper()}="{value}"' for key, value in given.items())
