"""Where cards and the lines between them go: data flow downwards, nothing lies on anything else.

The cards that depend on each other stand below each other; an input stands just above its first
reader. A line to the next row turns in the gap between the rows; one that skips rows goes down in
a lane of its own to the left of all cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Edge = tuple[int, int]

BESIDE, GAP, TRACK, LANE = 40.0, 54.0, 12.0, 14.0  # pixels between cards, rows and lines
_PORTS = 110.0  # pixels between lines that enter a card, if it is wide enough


@dataclass(frozen=True, slots=True)
class Plan:
    """Places in pixels.

    Attributes:
        cards: the upper left corner of each card.
        edges: the corners of each line, from the reader's operand down to the reader.
        width, height: of all of it.
    """

    cards: tuple[Point, ...]
    edges: dict[Edge, tuple[Point, ...]]
    width: float
    height: float


def arrange(sizes: Sequence[Point], reads: Sequence[Sequence[int]]) -> Plan:
    """Place cards.

    Args:
        sizes: width and height of each card.
        reads: for each card the cards that it reads; they come before it.

    >>> plan = arrange([(100, 50), (60, 50), (100, 50)], [(), (), (0, 1)])
    >>> plan.cards
    ((0.0, 0.0), (140.0, 0.0), (0.0, 104.0))
    >>> plan.edges[0, 2]
    ((37.5, 50.0), (37.5, 104.0))
    """
    ranks = _ranks(reads)
    order = _order(ranks, reads)
    left, right = _columns(sizes, order, reads)
    long = {
        (a, b): lane
        for lane, (a, b) in enumerate(
            (a, b) for b, sources in enumerate(reads) for a in sources if ranks[b] - ranks[a] > 1
        )
    }
    margin = LANE * (len(long) + 1) if long else 0.0
    left = [x + margin for x in left]
    ports = _ports(sizes, left, reads, long)
    tracks = _tracks(ranks, reads, long, ports)
    top, heights = 0.0, [max(sizes[i][1] for i in row) for row in order]
    tops: list[float] = []
    for row, height in enumerate(heights):
        tops.append(top)
        top += height + GAP + TRACK * max(len(tracks[row]) - 1, 0)
    cards = tuple((left[i], tops[ranks[i]]) for i in range(len(sizes)))
    lines: dict[Edge, tuple[Point, ...]] = {}
    for edge, (start, end) in ports.items():
        a, b = edge
        low, high = cards[a][1] + sizes[a][1], tops[ranks[b]]
        out = _track(tracks, tops, heights, ranks[a], edge)
        into = _track(tracks, tops, heights, ranks[b] - 1, edge)
        if edge in long:
            lane = margin - LANE * (long[edge] + 1)
            corners = [(start, out), (lane, out), (lane, into), (end, into)]
        else:
            corners = [] if start == end else [(start, out), (end, out)]
        lines[edge] = ((start, low), *corners, (end, high))
    return Plan(cards, lines, right + margin, tops[-1] + heights[-1])


def _ranks(reads: Sequence[Sequence[int]]) -> list[int]:
    """The row of each card: below all that it reads; inputs one above their first reader."""
    ranks: list[int] = []
    for sources in reads:
        ranks.append(max((ranks[a] for a in sources), default=-1) + 1)
    first: dict[int, int] = {}
    for b, sources in enumerate(reads):
        for a in sources:
            first[a] = min(first.get(a, ranks[b]), ranks[b])
    return [first.get(i, 1) - 1 if not reads[i] else ranks[i] for i in range(len(reads))]


def _order(ranks: Sequence[int], reads: Sequence[Sequence[int]]) -> list[list[int]]:
    """The cards of each row from left to right; first what the longest path goes through."""
    spine, at = {len(reads) - 1}, len(reads) - 1
    while reads[at]:
        at = max(reads[at], key=lambda a: (ranks[a], bool(reads[a])))
        spine.add(at)
    rows: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
    for i, rank in enumerate(ranks):
        rows[rank].append(i)
    place: dict[int, float] = {}
    for row in rows:
        row.sort(key=lambda i: (i not in spine, not reads[i], _mean(reads[i], place), i))
        place.update((i, float(n)) for n, i in enumerate(row))
    return rows


def _mean(cards: Sequence[int], place: dict[int, float]) -> float:
    known = [place[i] for i in cards if i in place]
    return sum(known) / len(known) if known else 0.0


def _columns(
    sizes: Sequence[Point], order: Sequence[Sequence[int]], reads: Sequence[Sequence[int]]
) -> tuple[list[float], float]:
    """The left edge of each card, and the right edge of all: the first cards share their middle."""
    half = max(sizes[row[0]][0] for row in order) / 2
    left = [0.0] * len(sizes)
    right = 0.0
    for row in order:
        x = half - sizes[row[0]][0] / 2
        for i in row:
            left[i] = x
            x += sizes[i][0] + BESIDE
            right = max(right, x - BESIDE)
    return left, right


def _ports(
    sizes: Sequence[Point],
    left: Sequence[float],
    reads: Sequence[Sequence[int]],
    long: dict[Edge, int],
) -> dict[Edge, tuple[float, float]]:
    """Where each line leaves and where it enters; a line runs straight down where it can."""
    ports: dict[Edge, tuple[float, float]] = {}
    leaving: dict[int, int] = {}
    for b, sources in enumerate(reads):
        ranked = sorted(sources, key=lambda a: ((a, b) not in long, left[a] + sizes[a][0] / 2))
        width = sizes[b][0]
        apart = min(_PORTS, width / max(len(sources), 1) / 2)
        for n, a in enumerate(ranked):
            end = left[b] + width / 2 + (n - (len(ranked) - 1) / 2) * apart
            low, high = left[a] + 12, left[a] + sizes[a][0] - 12
            if (a, b) in long:
                leaving[a] = leaving.get(a, 0) + 1
                start = low + 8 * (leaving[a] - 1)
            else:
                start = end if low <= end <= high else left[a] + sizes[a][0] / 2
            ports[a, b] = (start, end)
    return ports


def _tracks(
    ranks: Sequence[int],
    reads: Sequence[Sequence[int]],
    long: dict[Edge, int],
    ports: dict[Edge, tuple[float, float]],
) -> list[list[Edge]]:
    """For each gap below a row, the lines that turn in it, from the highest to the lowest."""
    tracks: list[list[Edge]] = [[] for _ in range(max(ranks) + 1)]
    for edge, (start, end) in ports.items():
        a, b = edge
        if edge in long:
            tracks[ranks[a]].append(edge)
            tracks[ranks[b] - 1].append(edge)
        elif start != end:
            tracks[ranks[a]].append(edge)
    return tracks


def _track(
    tracks: Sequence[Sequence[Edge]],
    tops: Sequence[float],
    heights: Sequence[float],
    row: int,
    edge: Edge,
) -> float:
    """The height at which a line turns in the gap below a row."""
    if edge not in tracks[row]:
        return 0.0
    return tops[row] + heights[row] + GAP / 2 - 4 + TRACK * tracks[row].index(edge)
