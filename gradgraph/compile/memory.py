"""Where the results of a program lie: one arena, in which those take turns that are not needed at
the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..kernels.threads import LINE


@dataclass(slots=True)
class Block:
    """Bytes that are needed from one moment to another, both included.

    Attributes:
        size: how many.
        first, last: the moments.
        offset: where in the arena; set by `arrange`.
    """

    size: int
    first: int
    last: int
    offset: int = 0


def arrange(blocks: Sequence[Block]) -> int:
    """Give each block a place; returns the size of the arena.

    The largest one first, each at the lowest place where it overlaps none that is needed at the
    same time.

    >>> blocks = [Block(100, 0, 1), Block(60, 1, 2), Block(90, 2, 3)]
    >>> arrange(blocks), [b.offset for b in blocks]
    (192, [0, 128, 0])
    """
    placed: list[Block] = []
    total = 0
    for block in sorted(blocks, key=lambda b: (-b.size, b.first)):
        size = -(-block.size // LINE) * LINE
        others = (b for b in placed if b.first <= block.last and block.first <= b.last)
        offset = 0
        for other in sorted(others, key=lambda b: b.offset):
            if offset + size <= other.offset:
                break
            offset = max(offset, -(-(other.offset + other.size) // LINE) * LINE)
        block.offset = offset
        placed.append(block)
        total = max(total, offset + size)
    return total
