"""DOT text: scopes as clusters, a grey lane for data, a coloured one back, columns side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from graphviz import Digraph

from . import backward, story, theme
from .cards import Look, card_table, pill
from .columns import columns
from .facts import Facts, gather
from .flow import Flow
from .heading import heading
from .lanes import Gradient, Lane, Lanes
from .tables import cell, html, row, table, text
from .text import clean, count, metric
from .thumbs import Strip
from .transform import paths
from .view import Card, View

ASIDE = 32  # points from the middle of a card's lane to a cluster's words: data pass between
DEEPEST = 12  # levels of clusters inside clusters; what lies deeper is drawn in the last one
_TALL = re.compile(r'ALIGN="CENTER" HEIGHT="(\d+)"')


@dataclass(frozen=True, slots=True)
class Crossing:
    """A link from one column to another, which no layout engine draws.

    Attributes:
        id: of the link's element.
        source, target: ids of the elements that it joins.
        lane: what flows back along it; None for the data.
    """

    id: str
    source: str
    target: str
    lane: Lane | None


@dataclass(frozen=True, slots=True)
class Picture:
    """DOT text, and what a reader who cannot see it needs.

    Attributes:
        dot: the whole as one graph.
        parts: the graphs to lay out: the whole, or the heading and each column.
        crossings: the links between columns.
        lanes: x of the data's and of the gradient's lane, from a card's left and right border.
        title: of the whole.
        description: of the whole, in words.
        text: its heading, and what the cards say, line by line.
        words: for the id of each card, link and cluster, what it says.
        images: what takes the place of each cell of a certain colour.
    """

    dot: str
    title: str
    description: str
    text: str
    words: Mapping[str, str]
    images: Mapping[str, Strip]
    parts: tuple[str, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    lanes: tuple[float, float] = (0.0, 0.0)


def write(
    view: View,
    flow: Flow | None = None,
    title: str | None = None,
    look: Look | None = None,
    lanes: Lanes | None = None,
    back: bool = False,
    notes: Sequence[str] = (),
) -> Picture:
    """The DOT text of a view.

    Args:
        view: what to draw.
        flow: the gradient to draw over it.
        title: of the picture.
        look: how cards are drawn.
        lanes: what to draw beside the data, instead of the flow's norms.
        back: whether each op gets a card for the way back, too.
        notes: further lines below the title.
    """
    look = look or Look(flows=flow is not None)
    lanes = lanes or (Gradient(flow) if flow else None)
    known = gather(view, flow, look.limits, look.values)
    name = clean(title or "", 80) or ("Gradient flow" if flow else "Computation graph")
    lines = [
        line
        for line in (
            story.marks_line(view),
            story.facts_line(view, known, "loss" if flow else "result"),
            story.gradient_line(view, known),
            story.folding_line(view),
            story.sparing_line(view),
            *notes,
        )
        if line
    ]
    label = html(heading(name, lines, lanes.legend() if lanes else ""))
    writer = _Writer(view, known, flow, look, lanes, back and flow is not None)
    tables = {card.id: writer.table(card) for card in view.cards}
    wide = (sum(look.lanes) + 60) * (2 if back else 1)
    column = columns(view, {i: _height(t) for i, t in tables.items()}, wide)
    whole = writer.graph(tables, tables, label).source
    parts: tuple[str, ...] = (whole,)
    crossings: tuple[Crossing, ...] = ()
    if max(column.values(), default=0):
        head = _empty(label, look)
        head.node("head", label="", shape="point", style="invis", width="0", height="0")
        seen: set[str] = set()
        parts = (head.source,)
        for k in range(max(column.values()) + 1):
            inside = [i for i, at in column.items() if at == k]
            parts += (writer.graph(tables, inside, "", seen, k).source,)
        crossings = tuple(writer.crossings(column))
    words = _words(view, known, flow, lanes, back)
    words |= {i: f"{words[i.partition('x')[0]]}, continued" for i in writer.continued}
    left, right = look.lanes
    return Picture(
        whole, name, ". ".join(lines), "\n".join([*lines, *story.listed(view, known)]),
        words, look.images, parts, crossings, (left / 2, right / 2),
    )  # fmt: skip


def _empty(label: str, look: Look) -> Digraph:
    return Digraph(
        graph_attr={
            "bgcolor": theme.colour("paper"),
            "fontname": theme.FONT,
            "id": "graph",
            "label": label,
            "labeljust": "l",
            "labelloc": "t",
            "nodesep": "0.4" if look.detail == "full" else "0.2",
            "pad": "0.25" if label else "0.1",
            "rankdir": "TB",
            "ranksep": "0.42" if look.detail == "full" else "0.26",
        },
        node_attr={"fontname": theme.FONT, "fontsize": "11", "shape": "plain"},
        edge_attr={"fontname": theme.FONT, "arrowsize": "0.6"},
    )


@dataclass(slots=True)
class _Writer:
    """Writes cards, clusters and links into graphs.

    Attributes:
        continued: the ids of clusters that began in an earlier column.
    """

    view: View
    known: dict[int, Facts]
    flow: Flow | None
    look: Look
    lanes: Lanes | None
    back: bool
    continued: list[str] = field(default_factory=list)

    def graph(
        self,
        tables: Mapping[int, str],
        ids: Iterable[int],
        label: str,
        seen: set[str] | None = None,
        column: int = 0,
    ) -> Digraph:
        """A graph of some cards and the links among them.

        Args:
            tables: of all cards.
            ids: of those that are drawn.
            label: above them.
            seen: paths of the clusters that began in earlier columns; grows.
            column: number of the column.
        """
        graph, inside = _empty(label, self.look), set(ids)
        self._clusters(graph, tables, inside, set() if seen is None else seen, column)
        self._links(graph, inside)
        if self.back:
            self._way_back(graph, inside)
        return graph

    def table(self, card: Card) -> str:
        if card.kind == "constant":
            return pill(self.view, card)
        foot = self.lanes.foot(self.view, card) if self.lanes else ""
        return card_table(self.view, card, self.known[card.id], self.look, foot)

    def _clusters(
        self,
        graph: Digraph,
        tables: Mapping[int, str],
        inside: set[int],
        seen: set[str],
        column: int,
    ) -> None:
        """The cards, each in the cluster of its scope; the deepest clusters are closed first."""
        bodies = {"": graph}
        for i, (path, cards) in enumerate(opened(self.view).items()):
            if inside.isdisjoint(card.id for card in cards):
                continue
            again = path in seen
            seen.add(path)
            own = f"c{i}x{column}" if again else f"c{i}"
            if again:
                self.continued.append(own)
            bodies[path] = Digraph(
                name=f"cluster_{i}",
                graph_attr={
                    "bgcolor": theme.colour("cluster"),
                    "color": theme.colour("border"),
                    "id": own,
                    "label": html(self._title(path, cards, again)),
                    "labeljust": "l",
                    "margin": "14" if self.look.detail == "full" else "9",
                    "style": "rounded",
                },
            )
        for card in self.view.cards:
            if card.id not in inside:
                continue
            body = bodies[cluster_of(card)]
            body.node(f"n{card.id}", label=html(tables[card.id]), id=f"n{card.id}")
            norm = self.known[card.id].norm
            if self.back and card.computes and norm is not None and self.flow:
                back = backward.table_of(self.view, card, self.flow, norm, self.look)
                body.node(f"b{card.id}", label=html(back), id=f"b{card.id}")
        for path in sorted(bodies.keys() - {""}, key=lambda path: (-path.count("."), path)):
            bodies[path.rpartition(".")[0]].subgraph(bodies[path])

    def _title(self, path: str, cards: list[Card], again: bool) -> str:
        name = clean(path.rpartition(".")[2]) or "unnamed"
        told = "continued" if again else _told(self.view, cards, self.look.detail == "full")
        rows = [
            row(
                cell(text(name, 13, bold=True), align="LEFT", width=self._clear()),
                cell(text(told, 10, "muted"), align="LEFT"),
            )
        ]
        worst = next((a for c in cards for a in self.known[c.id].alarms), "")
        if worst and len(cards) > 1 and not again:
            shown = cell(text(worst, 10, "alarm", bold=True, limit=44), align="LEFT")
            rows.append(row(cell(""), shown))
        return table(rows)

    def _clear(self) -> int:
        """The least width of a cluster's name, so that the words after it are right of the data."""
        left, right = self.look.lanes
        return ASIDE + (left // 2 if self.lanes else (left + right) // 2)

    def _links(self, graph: Digraph, inside: set[int]) -> None:
        two = self.lanes is not None
        for i, link in enumerate(self.view.links):
            if not {link.source, link.target} <= inside:
                continue
            source, target = self.view.owner[link.source], self.view.owner[link.target]
            graph.edge(
                _port(source, "y" if two else "", "s"),
                _port(target, "x" if two else "", "n"),
                color=theme.colour("data"),
                id=f"e{i}",
                penwidth="1",
                weight="10",
            )
            lane = self.lanes.lane(self.view, link) if self.lanes and not self.back else None
            if lane is not None:
                graph.edge(
                    _port(source, "dy", "s"),
                    _port(target, "dx", "n"),
                    arrowsize=f"{0.5 + lane.width / 8:.2f}",
                    color=lane.colour,
                    dir="back",
                    id=f"g{i}",
                    penwidth=f"{lane.width:.1f}",
                    weight="10",
                )

    def _reached(self) -> set[int]:
        """The cards that have a card for the way back."""
        return {c.id for c in self.view.cards if c.computes and self.known[c.id].norm is not None}

    def _way_back(self, graph: Digraph, inside: set[int]) -> None:
        """The links between backward cards, each tied to its forward card."""
        reached = self._reached() & inside
        for id_ in sorted(reached):
            graph.edge(
                f"n{id_}", f"b{id_}", arrowhead="none", color=theme.colour("border"),
                id=f"t{id_}", minlen="0", style="dashed", weight="4",
            )  # fmt: skip
        for i, link in enumerate(self.view.links):
            lane = self.lanes.lane(self.view, link) if self.lanes else None
            if lane is None or link.target not in reached or link.source not in inside:
                continue
            source = "b" if link.source in reached else "n"
            graph.edge(
                f"{source}{link.source}:s",
                f"b{link.target}:n",
                arrowsize=f"{0.5 + lane.width / 8:.2f}",
                color=lane.colour,
                dir="back",
                id=f"g{i}",
                penwidth=f"{lane.width:.1f}",
                weight="10",
            )

    def crossings(self, column: Mapping[int, int]) -> Iterator[Crossing]:
        """The links between columns."""
        reached = self._reached() if self.back else set()
        for i, link in enumerate(self.view.links):
            if column[link.source] == column[link.target]:
                continue
            source, target = f"n{link.source}", f"n{link.target}"
            yield Crossing(f"e{i}", source, target, None)
            lane = self.lanes.lane(self.view, link) if self.lanes else None
            if lane is not None:
                if self.back:
                    source = f"b{link.source}" if link.source in reached else source
                    target = f"b{link.target}"
                yield Crossing(f"g{i}", source, target, lane)


def _words(
    view: View, known: dict[int, Facts], flow: Flow | None, lanes: Lanes | None, back: bool
) -> dict[str, str]:
    """What each card, cluster and link says."""
    words = {f"n{card.id}": story.card_words(view, card, known[card.id]) for card in view.cards}
    for i, (path, cards) in enumerate(opened(view).items()):
        name = clean(path.rpartition(".")[2]) or "unnamed"
        worst = next((a for c in cards for a in known[c.id].alarms), "")
        words[f"c{i}"] = ", ".join(filter(None, (f"scope {name}", _told(view, cards), worst)))
    for i, link in enumerate(view.links):
        words[f"e{i}"] = story.data_words(view, link)
        lane = lanes.lane(view, link) if lanes else None
        if lane is not None:
            words[f"g{i}"] = lane.words
    if back and flow is not None:
        for card in view.cards:
            norm = known[card.id].norm
            if card.computes and norm is not None:
                words[f"b{card.id}"] = backward.words_of(view, card, flow, norm)
    return words


def opened(view: View) -> dict[str, list[Card]]:
    """The cards inside each cluster, by the cluster's path, in the order of their appearance."""
    inside: dict[str, list[Card]] = {}
    for card in view.cards:
        for path in paths(card.scope)[:DEEPEST]:
            inside.setdefault(path, []).append(card)
    return inside


def cluster_of(card: Card) -> str:
    """The path of the cluster that a card is drawn in."""
    return ".".join(card.scope.split(".")[:DEEPEST])


def _told(view: View, cards: list[Card], with_flops: bool = True) -> str:
    weight, flops = view.weigh(cards), view.flops(cards) if with_flops else 0
    parts = (count(weight, "parameter") if weight else "", f"{metric(flops)}FLOP" if flops else "")
    return ", ".join(filter(None, parts))


def _port(card: Card, port: str, side: str) -> str:
    if card.kind == "constant" or not port:
        return f"n{card.id}:{side}"
    return f"n{card.id}:{port}:{side}"


def _height(table: str) -> float:
    """About how high a card will be: a row has one cell at the left, or something tall."""
    tall = [int(h) for h in _TALL.findall(table)]
    return 22.0 * max(table.count('ALIGN="LEFT"'), 1) + sum(tall) + 16 * len(tall)
