"""Products of float32 matrices, in any layout: the same panels of sums as in the convolutions.

A library for matrices brings threads of its own, which would stand in the way of those here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import threads
from ..finish import Finish
from . import parallel
from .compiled import kernel
from .ending import Ending, finish
from .simd import FLOAT, LANES, ROWS, clear, copy, get, panel_1, panel_2, put
from .winograd import WIDTH, ZERO, Array

ENOUGH = 1 << 21  # multiplications that a thread is worth to be told of
DEPTH = 256  # rows of b that are packed at a time: with WIDTH columns they stay in the cache


@kernel
def _pack(
    b: int, row: int, column: int, deep: int, columns: int, width: int, packed: int
) -> None:  # fmt: skip
    """Some rows of a panel of columns, one after the other; zeros where there are no columns."""
    if column == FLOAT:
        for k in range(deep):
            to = packed + k * width * FLOAT
            copy(to, b + k * row, min(columns, width))
            clear(to + columns * FLOAT, width - columns if columns < width else 0)
        return
    if columns < width:
        clear(packed, deep * width)
    for i in range(min(columns, width)):
        for k in range(deep):
            put(packed + (k * width + i) * FLOAT, get(b + k * row + i * column))


@kernel
def _multiply(
    a: int, row: int, step: int, depth: int, b: int, b_row: int, b_column: int, columns: int,
    c: int, c_row: int, first_row: int, end_row: int, first: int, end: int, width: int,
    packed: int, zero: int, bias: int, floor: float, apart: int,
) -> None:  # fmt: skip
    """c = a · b for some rows, a multiple of ROWS, and some columns from a multiple of the width of
    a panel on: one or two vectors. A panel is finished when it is there."""
    for q in range(first, end, width):
        for start in range(0, depth, DEPTH):
            deep = min(DEPTH, depth - start)
            _pack(b + start * b_row + q * b_column, b_row, b_column, deep, columns - q, width,
                  packed)  # fmt: skip
            for t in range(first_row, end_row, ROWS):
                source, to = a + t * row + start * step, c + t * c_row + q * FLOAT
                line, add = width * FLOAT, int(start > 0)
                if width == WIDTH:
                    panel_2(source, row, step, 1, zero, deep, packed, line, to, c_row, add)
                else:
                    panel_1(source, row, step, 1, zero, deep, packed, line, to, c_row, add)
        inside = min(width, columns - q)
        for t in range(first_row, end_row if bias or apart else first_row):
            to = c + t * c_row + q * FLOAT
            finish(to, inside, bias + q * FLOAT if bias else 0, floor, to + apart if apart else 0)


def matmul(a: Array, b: Array, out: Array | None = None, todo: Finish | None = None) -> Array:
    """a · b of two matrices, finished; in `out`, which is contiguous, if it is given."""
    rows, columns = len(a), b.shape[1]
    width = LANES if columns <= LANES else WIDTH
    tall, wide = -(-rows // ROWS) * ROWS, -(-columns // width) * width
    if tall != rows:
        a = np.concatenate([a, np.zeros((tall - rows, a.shape[1]), np.float32)])
    fits = (tall, wide) == (rows, columns)
    c = out if fits and out is not None else np.empty((tall, wide), np.float32)
    if not fits and todo is not None and todo.kept is not None:
        room = np.zeros((tall, wide), np.float32)
        room[:rows, :columns] = todo.kept
        todo = replace(todo, kept=room)
    ending = Ending(todo, columns, c.ctypes.data)
    by_rows = tall // ROWS > 2 * (wide // width)  # each thread packs its columns of b

    def part(_: int, first: int, end: int) -> None:
        (packed,) = threads.scratch("packed", (DEPTH, WIDTH))
        span = (first, end, 0, wide) if by_rows else (0, tall, first, end)
        _multiply(
            a.ctypes.data, *a.strides, a.shape[1], b.ctypes.data, *b.strides, columns,
            c.ctypes.data, wide * FLOAT, *span, width, packed.ctypes.data, ZERO.ctypes.data,
            *ending.told,
        )  # fmt: skip

    total, unit = (tall, ROWS) if by_rows else (wide, width)
    work = a.shape[1] * (wide if by_rows else tall) * unit  # multiplications in a unit
    parallel.run(part, total, unit * -(-ENOUGH // max(work, 1)))
    if fits:
        return c
    if out is None:
        return np.ascontiguousarray(c[:rows, :columns])
    np.copyto(out, c[:rows, :columns])
    return out
