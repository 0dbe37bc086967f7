"""Products of float32 matrices, in any layout: the same panels of sums as in the convolutions.

A library for matrices brings threads of its own, which would stand in the way of those here.
"""

from __future__ import annotations

import numpy as np

from .. import threads
from . import parallel
from .compiled import kernel
from .simd import FLOAT, ROWS, get, panel_2, put
from .winograd import WIDTH, ZERO, Array

ENOUGH = 1 << 21  # multiplications that a thread is worth to be told of
DEPTH = 256  # rows of b that are packed at a time: with WIDTH columns they stay in the cache


@kernel
def _multiply(
    a: int, row: int, step: int, depth: int, b: int, b_row: int, b_column: int, columns: int,
    c: int, c_row: int, first_row: int, end_row: int, first: int, end: int, packed: int, zero: int,
) -> None:  # fmt: skip
    """c = a · b for some rows, a multiple of ROWS, and some columns from a multiple of WIDTH on."""
    for q in range(first, end, WIDTH):
        for start in range(0, depth, DEPTH):
            deep = min(DEPTH, depth - start)
            for k in range(deep):
                source = b + (start + k) * b_row + q * b_column
                for i in range(WIDTH):
                    inside = q + i < columns
                    number = get(source + i * b_column) if inside else np.float32(0.0)
                    put(packed + (k * WIDTH + i) * FLOAT, number)
            for t in range(first_row, end_row, ROWS):
                panel_2(
                    a + t * row + start * step, row, step, 1, zero, deep, packed, WIDTH * FLOAT,
                    c + t * c_row + q * FLOAT, c_row, int(start > 0),
                )  # fmt: skip


def matmul(a: Array, b: Array) -> Array:
    """a · b of two matrices."""
    rows, columns = len(a), b.shape[1]
    tall, wide = -(-rows // ROWS) * ROWS, -(-columns // WIDTH) * WIDTH
    if tall != rows:
        a = np.concatenate([a, np.zeros((tall - rows, a.shape[1]), np.float32)])
    c = np.empty((tall, wide), np.float32)
    by_rows = tall // ROWS >= wide // WIDTH

    def part(_: int, first: int, end: int) -> None:
        (packed,) = threads.scratch("packed", (DEPTH, WIDTH))
        span = (first, end, 0, wide) if by_rows else (0, tall, first, end)
        _multiply(
            a.ctypes.data, *a.strides, a.shape[1], b.ctypes.data, *b.strides, columns,
            c.ctypes.data, wide * FLOAT, *span, packed.ctypes.data, ZERO.ctypes.data,
        )  # fmt: skip

    total, unit = (tall, ROWS) if by_rows else (wide, WIDTH)
    work = a.shape[1] * (wide if by_rows else tall) * unit  # multiplications in a unit
    parallel.run(part, total, unit * -(-ENOUGH // max(work, 1)))
    return c if (tall, wide) == (rows, columns) else np.ascontiguousarray(c[:rows, :columns])
