"""A long chain is cut into columns that stand side by side, so that the picture fits a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise

from .transform import paths
from .view import View

SCREEN = 1.6  # width : height that a picture should have
LOWEST = 800.0  # points of height that need no second column
MOST = 6  # columns
CROSSING = 24  # links between columns that can still be followed
HIGHEST = 500  # ranks; more do not fit a screen in any number of columns
GAP = 42.0  # between two cards of a column


def columns(view: View, heights: Mapping[int, float], width: float) -> dict[int, int]:
    """The column of each card, by its id: all 0 where one column is enough.

    Ranks (the longest way from the start) stay together; cuts fall between scopes where they can,
    and make the columns about equally high.

    Args:
        view: the cards.
        heights: of each card, by its id, in points.
        width: of a card, in points.

    >>> import gradgraph as gg
    >>> y = x = gg.Tensor(1.0, requires_grad=True, name="x")
    >>> for _ in range(30):
    ...     y = gg.sin(y)
    >>> view = View.of(gg.Graph.of(y))
    >>> found = columns(view, {card.id: 60.0 for card in view.cards}, 300.0)
    >>> [list(found.values()).count(k) for k in range(max(found.values()) + 1)]
    [7, 8, 8, 8]
    """
    ranks = _ranks(view)
    rows: dict[int, list[int]] = {}
    for id_, rank in ranks.items():
        rows.setdefault(rank, []).append(id_)
    order = sorted(rows)
    high = [max(heights[i] for i in rows[rank]) + GAP for rank in order]
    if sum(high) <= LOWEST or len(order) > HIGHEST:
        return dict.fromkeys(ranks, 0)
    wide = width * _usual([len(rows[rank]) for rank in order])
    scopes = [view.owner[max(rows[rank], key=lambda i: (len(view.owner[i].scope), i))].scope
              for rank in order]  # fmt: skip
    cost = _costs(view, ranks, order, scopes)
    best = min(
        (_cut(high, cost, k) for k in range(1, MOST + 1)),
        key=lambda ends: _misfit(high, cost, ends, wide),
    )
    column_of_rank = {
        order[i]: k
        for k, (start, end) in enumerate(zip((0, *best), (*best, len(order)), strict=True))
        for i in range(start, end)
    }
    found = {id_: column_of_rank[rank] for id_, rank in ranks.items()}
    crossing = [link for link in view.links if found[link.source] != found[link.target]]
    back = any(found[link.source] > found[link.target] for link in crossing)
    if back or len(crossing) > CROSSING:  # a fold that is entered again; a weight of many readers
        return dict.fromkeys(ranks, 0)
    return found


def _ranks(view: View) -> dict[int, int]:
    """The longest way from a start to each card; what nothing leads to lies above its reader."""
    before: dict[int, list[int]] = {}
    after: dict[int, list[int]] = {}
    for link in view.links:
        before.setdefault(link.target, []).append(link.source)
        after.setdefault(link.source, []).append(link.target)
    ranks: dict[int, int] = {}
    for card in view.cards:  # a card's sources come before it
        ranks[card.id] = max((ranks[i] + 1 for i in before.get(card.id, []) if i in ranks),
                             default=0)  # fmt: skip
    for card in view.cards:
        if card.id not in before and card.id in after:
            ranks[card.id] = max(min(ranks[i] for i in after[card.id]) - 1, 0)
    return ranks


def _usual(counts: Sequence[int]) -> float:
    """How many cards usually lie side by side in a rank."""
    return sum(n * n for n in counts) / sum(counts)


def _costs(
    view: View, ranks: Mapping[int, int], order: Sequence[int], scopes: Sequence[str]
) -> list[float]:
    """What a cut before each rank costs: links that cross it but the first, and scopes."""
    place = {rank: i for i, rank in enumerate(order)}
    links = [0] * len(order)
    for link in view.links:
        for i in range(place[ranks[link.source]] + 1, place[ranks[link.target]] + 1):
            links[i] += 1
    shared = [len(paths(_common(a, b))) for a, b in pairwise(scopes)]
    least = min(shared, default=0)
    return [
        0.0,
        *(max(n - 1, 0) + 0.5 * (k - least) for n, k in zip(links[1:], shared, strict=True)),
    ]


def _misfit(
    high: Sequence[float], cost: Sequence[float], ends: Sequence[int], wide: float
) -> float:
    """How far the picture's shape is from that of a screen, its columns from equal, and what the
    cuts cost."""
    tall = max(sum(high[a:b]) for a, b in zip((0, *ends), (*ends, len(high)), strict=True))
    shape = (len(ends) + 1) * wide / tall
    uneven = tall * (len(ends) + 1) / sum(high)
    return max(shape / SCREEN, SCREEN / shape) * uneven * (1 + 0.1 * sum(cost[e] for e in ends))


def _cut(high: Sequence[float], cost: Sequence[float], k: int) -> tuple[int, ...]:
    """Where k columns end: the highest as low as can be, at cuts that cost little."""
    n = len(high)
    sums = [0.0]
    for h in high:
        sums.append(sums[-1] + h)
    usual = sums[-1] / k

    @cache
    def best(start: int, left: int) -> tuple[float, tuple[int, ...]]:
        """The cost of the columns from `start` on, and where they end."""
        if left == 1:
            return (sums[n] - sums[start]) ** 2, ()
        options = []
        for end in range(start + 1, n - left + 2):
            rest, ends = best(end, left - 1)
            own = (sums[end] - sums[start]) ** 2 + cost[end] * (0.4 * usual) ** 2
            options.append((own + rest, (end, *ends)))
        return min(options)

    return best(0, min(k, n))[1]


def _common(a: str, b: str) -> str:
    """The innermost scope around both."""
    inside = set(paths(b))
    return max((p for p in paths(a) if p in inside), key=len, default="")
