"""What an op that chooses by value chose: what a relu blocks, who wins a maximum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gradgraph.op import Op
from gradgraph.ops.activation import Relu

from .cells import Card
from .equations import Local

WORDS = (
    "nothing is blocked",
    "blocked",
    "at exactly 0",
    "winners",
    "a tie",
    "NaN passes",
)  # notes begin so
_LONGEST = 6  # of a list in words

Marks = dict[tuple[int, int], str]


def choices(op: Op, sources: Mapping[int, Card], local: Local) -> tuple[Marks, list[str]]:
    """What the op chose from the cards that it reads.

    Args:
        op: any op; what does not choose has nothing to say.
        sources: the cards that it reads, by their index.
        local: the op at work on them.

    Returns:
        "winner" or "blocked" for numbers, by (card, place), and notes in words.
    """
    if isinstance(op, Relu):
        return _blocked(op, sources)
    if op.kinks and all(term.kind == "max" for term in local.shown):
        return _winners(op, sources, local)
    return {}, []


def _blocked(op: Relu, sources: Mapping[int, Card]) -> tuple[Marks, list[str]]:
    marks: Marks = {}
    names, zeros, odd = [], [], []
    for i, card in sources.items():
        shown = set(card.cells())
        for place, value in enumerate(card.values):
            if math.isnan(value):
                odd.append(card.cell(place))
            elif not value > 0:
                names.append(card.cell(place))
                zeros += [card.cell(place)] if value == 0 else []
                if place in shown:
                    marks[i, place] = "blocked"
    strange = [f"NaN passes on, with slope 0: {listed(odd)}"] if odd else []
    if not names:
        return {}, strange or ["nothing is blocked: all are above 0"]
    verb = "is" if len(names) == 1 else "are"
    told = [f"blocked (grey): {listed(names)} {verb} not above 0", *strange]
    if zeros:
        told.append(f"at exactly 0 ({listed(zeros)}): {op.kinks[0].takes}")
    return marks, told


def _winners(op: Op, sources: Mapping[int, Card], local: Local) -> tuple[Marks, list[str]]:
    convention = op.kinks[0].takes
    best, ties = set[str](), list[str]()
    for j, name in enumerate(local.names):
        equal = local.greatest(j)
        best.update(equal[:1] if "first" in convention else equal)
        ties += [f"{' = '.join(equal)} in {name}"] if len(equal) > 1 else []
    won = [
        (card.cell(place), (i, place))
        for i, card in sources.items()
        for place in range(len(card.values))
        if card.cell(place) in best
    ]
    told = [f"winners (ringed): {listed([name for name, _ in won])}"] if won else []
    ties = ties if len(ties) < 3 else [ties[0], f"{len(ties) - 1:,} more"]
    told += [f"a tie, {listed(ties)}: {convention}"] if ties else []
    return {at: "winner" for _, at in won}, told


def listed(words: Sequence[str]) -> str:
    """A list in words; a long one is cut.

    >>> listed(["a", "b", "c"]), listed(["a"]), listed("abcdefgh")
    ('a, b and c', 'a', 'a, b, c, d and 4 more')
    """
    if len(words) > _LONGEST:
        words = [*words[: _LONGEST - 2], f"{len(words) - _LONGEST + 2:,} more"]
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
