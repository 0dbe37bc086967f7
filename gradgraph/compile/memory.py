"""Where the results of a program lie: one arena, in which those take turns that are not needed at
the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from ..kernels.threads import LINE

MANY = 1000  # blocks that are placed with care: that takes the square of their number


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
    same time. Of very many the smaller ones lie behind those, each in the place of one of its size
    that is needed no more, if there is one.

    >>> blocks = [Block(100, 0, 1), Block(60, 1, 2), Block(90, 2, 3)]
    >>> arrange(blocks), [b.offset for b in blocks]
    (192, [0, 128, 0])
    """
    order = sorted(blocks, key=lambda b: (-b.size, b.first))
    end = _carefully(order[:MANY])
    return _in_turn(order[MANY:], end)


def _carefully(order: Sequence[Block]) -> int:
    placed: list[Block] = []
    total = 0
    for block in order:
        size = _whole(block.size)
        others = (b for b in placed if b.first <= block.last and block.first <= b.last)
        offset = 0
        for other in sorted(others, key=lambda b: b.offset):
            if offset + size <= other.offset:
                break
            offset = max(offset, other.offset + _whole(other.size))
        block.offset = offset
        placed.append(block)
        total = max(total, offset + size)
    return total


def _in_turn(blocks: Sequence[Block], end: int) -> int:
    free: dict[int, list[int]] = {}
    busy: list[tuple[int, int, int]] = []
    for block in sorted(blocks, key=lambda b: b.first):
        while busy and busy[0][0] < block.first:
            _, size, offset = heappop(busy)
            free.setdefault(size, []).append(offset)
        size = _whole(block.size)
        if free.get(size):
            block.offset = free[size].pop()
        else:
            block.offset, end = end, end + size
        heappush(busy, (block.last, size, block.offset))
    return end


def _whole(size: int) -> int:
    """Up to the end of a line of the cache."""
    return -(-size // LINE) * LINE
