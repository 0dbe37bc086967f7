"""Short symbols for the tensors of a graph, to write equations with."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import chain, count

from ..text import clean

LONGEST = 6
_LETTERS = {
    "leaf": "v",
    "linear": "z",
    "activation": "a",
    "pool": "p",
    "shape": "r",
    "reduce": "s",
    "arithmetic": "u",
    "loss": "l",
}
_LOW = "₀₁₂₃₄₅₆₇₈₉"  # these tell the elements of an array
_TURNING = ("R", "AL", "AN")  # written from right to left: it would reorder an equation


def symbols(names: Sequence[str], styles: Sequence[str], loss: int) -> list[str]:
    """A symbol for each tensor, all different.

    A name that reads like a symbol is kept, without the path before its last dot; others get a
    letter for what the tensor is. The result of the graph is L if it has no such name.

    >>> symbols(["W¹", "net.w", "", "<b>", ""], ["leaf", "leaf", "pool", "leaf", "loss"], 4)
    ['W¹', 'w', 'p', 'v', 'L']
    >>> symbols(["w", "a.w", ""], ["leaf", "leaf", "reduce"], 2)
    ['w1', 'w2', 'L']
    """
    wished = []
    for i, (name, style) in enumerate(zip(names, styles, strict=True)):
        last = clean(name, 80).rpartition(".")[2]
        letter = "L" if i == loss else _LETTERS.get(style, "h")
        wished.append(last if _is_symbol(last) else letter)
    many = Counter(wished)
    taken = {w for w in wished if many[w] == 1}
    found = []
    for w in wished:
        each = chain([w] if many[w] == 1 else [], (f"{w}{i}" for i in count(1)))
        symbol = next(s for s in each if s == w or s not in taken)
        taken.add(symbol)
        found.append(symbol)
    return found


def _is_symbol(name: str) -> bool:
    if not name or len(name) > LONGEST or not name[0].isalpha():
        return False
    return all(c.isalnum() or c in "_′" for c in name) and not any(
        c in _LOW or unicodedata.bidirectional(c) in _TURNING for c in name
    )
