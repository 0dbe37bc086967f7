"""Normalisation of channels: mean and variance of each, and what comes back.

Rows are the places of all images, columns their channels, a multiple of a vector. Sums are taken in
single precision over blocks of rows, and of those in double precision: more exact than one sum.
"""

from __future__ import annotations

import numpy as np

from .. import threads
from . import parallel
from .compiled import kernel
from .simd import FLOAT, LANES, centred_vector, clear, fma_vector, get, square_vector
from .winograd import Array

BLOCK = 128  # rows that are summed up in single precision
UNIT = 1 << 14  # numbers: parts of the work hold so many at least


@kernel
def _sums(
    x: int, y: int, middle: int, squares: int, columns: int, first: int, end: int,
    part: int, total: Array,
) -> None:  # fmt: skip
    """total += Σ x · y over rows, or with `squares` Σ (x - middle)²; `part` is scratch."""
    for start in range(first, end, BLOCK):
        clear(part, columns)
        for r in range(start, min(start + BLOCK, end)):
            row = r * columns * FLOAT
            for c in range(0, columns * FLOAT, LANES * FLOAT):
                if squares:
                    square_vector(x + row + c, middle + c, part + c)
                elif y:
                    fma_vector(x + row + c, y + row + c, part + c, part + c)
                else:
                    fma_vector(x + row + c, middle + c, part + c, part + c)
        for c in range(columns):
            total[c] += get(part + c * FLOAT)


@kernel
def _centre(
    x: int, middle: int, rate: int, y: int, columns: int, first: int, end: int
) -> None:  # fmt: skip
    for r in range(first, end):
        row = r * columns * FLOAT
        for c in range(0, columns * FLOAT, LANES * FLOAT):
            centred_vector(x + row + c, middle + c, rate + c, y + row + c)


@kernel
def _mix(
    g: int, by_g: int, y: int, by_y: int, more: int, out: int, columns: int, first: int, end: int
) -> None:  # fmt: skip
    """out = g · by_g + y · by_y + more, by columns."""
    for r in range(first, end):
        row = r * columns * FLOAT
        for c in range(0, columns * FLOAT, LANES * FLOAT):
            fma_vector(g + row + c, by_g + c, more + c, out + row + c)
            fma_vector(y + row + c, by_y + c, out + row + c, out + row + c)


def _total(x: Array, y: Array | None, middle: Array, squares: bool) -> Array:
    """Sums over rows in double precision: of x · y, of (x - middle)², or of x · middle."""
    rows, columns = x.shape
    unit = max(BLOCK, -(-UNIT // columns))
    parts = len(threads.split(rows, threads.count(), unit))
    totals = np.zeros((parts, columns))

    def part(thread: int, first: int, end: int) -> None:
        (room,) = threads.scratch("sums", (columns,))
        other = 0 if y is None else y.ctypes.data
        _sums(
            x.ctypes.data, other, middle.ctypes.data, int(squares), columns, first, end,
            room.ctypes.data, totals[thread],
        )  # fmt: skip

    parallel.run(part, rows, unit)
    return np.asarray(totals.sum(0))


def total(x: Array) -> Array:
    """The sum of each column."""
    ones = np.ones(x.shape[1], np.float32)
    return _total(np.ascontiguousarray(x), None, ones, False).astype(np.float32)


def standardise(x: Array, eps: float) -> tuple[Array, Array, Array]:
    """(x - mean) / √(var + eps) of a matrix by columns, and mean and var."""
    rows, columns = x.shape
    x = np.ascontiguousarray(x)
    ones = np.ones(columns, np.float32)
    middle = (_total(x, None, ones, False) / rows).astype(np.float32)
    var = (_total(x, None, middle, True) / rows).astype(np.float32)
    rate = (1 / np.sqrt(var + np.float32(eps))).astype(np.float32)
    y = np.empty_like(x)

    def part(_: int, first: int, end: int) -> None:
        _centre(
            x.ctypes.data, middle.ctypes.data, rate.ctypes.data, y.ctypes.data, columns,
            first, end,
        )  # fmt: skip

    parallel.run(part, rows, -(-UNIT // columns))
    return y, middle, var


def means(g: Array, y: Array) -> tuple[Array, Array]:
    """The means of g and of g · y by columns."""
    columns = g.shape[1]
    ones = np.ones(columns, np.float32)
    sums = _total(g, None, ones, False), _total(g, y, ones, False)
    first, second = ((s / len(g)).astype(np.float32) for s in sums)
    return first, second


def mix(g: Array, by_g: Array, y: Array, by_y: Array, more: Array) -> Array:
    """g · by_g + y · by_y + more, each of the factors a row."""
    columns = g.shape[1]
    factors = [np.ascontiguousarray(a, np.float32) for a in (by_g, by_y, more)]
    out = np.empty_like(g)

    def part(_: int, first: int, end: int) -> None:
        _mix(
            g.ctypes.data, factors[0].ctypes.data, y.ctypes.data, factors[1].ctypes.data,
            factors[2].ctypes.data, out.ctypes.data, columns, first, end,
        )  # fmt: skip

    parallel.run(part, len(g), -(-UNIT // columns))
    return out
