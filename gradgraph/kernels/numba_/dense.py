"""What is done number by number, in one pass over memory: masks, relu, and pooling of maxima.

Loops run over whole vectors, and then over what is left. Names as in winograd.py; `winner`
(N, P, Q, C) uint8 is the number of the tap that won.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import threads
from ..numpy_ import Array, Pairs
from . import parallel
from .compiled import kernel
from .simd import (
    FLOAT,
    LANES,
    best_of_four,
    better_vector,
    byte,
    clear,
    copy,
    fill,
    get,
    kept_vector,
    mask_vector,
    offset,
    put,
    put_byte,
    relu_vector,
    won_vector,
)

Ints = tuple[int, ...]
PART = 1 << 15  # numbers: parts of the work are multiples of it
IMAGES_BYTES = 1 << 18  # of images that wait in the cache to be pooled


@kernel
def _relu(x: int, y: int, first: int, end: int) -> None:  # fmt: skip
    whole = first + (end - first) // LANES * LANES
    for i in range(first, whole, LANES):
        relu_vector(x + i * FLOAT, y + i * FLOAT)
    for i in range(whole, end):
        v = get(x + i * FLOAT)
        put(y + i * FLOAT, np.float32(0.0) if v <= 0 else v)  # NaN stays


@kernel
def _mask(x: int, chosen: int, y: int, first: int, end: int) -> None:  # fmt: skip
    whole = first + (end - first) // LANES * LANES
    for i in range(first, whole, LANES):
        mask_vector(x + i * FLOAT, chosen + i, y + i * FLOAT)
    for i in range(whole, end):
        put(y + i * FLOAT, get(x + i * FLOAT) if byte(chosen + i) else np.float32(0.0))


@kernel
def _keep(x: int, y: int, z: int, first: int, end: int) -> None:  # fmt: skip
    whole = first + (end - first) // LANES * LANES
    for i in range(first, whole, LANES):
        kept_vector(x + i * FLOAT, y + i * FLOAT, z + i * FLOAT)
    for i in range(whole, end):
        put(z + i * FLOAT, get(x + i * FLOAT) if get(y + i * FLOAT) > 0 else np.float32(0.0))


@kernel
def _better(x: int, best: int, winner: int, channels: int, tap: int) -> None:  # fmt: skip
    """Where a pixel is greater than the best so far, or NaN, it is the best, its tap the winner."""
    whole = channels // LANES * LANES
    for c in range(0, whole, LANES):
        better_vector(x + c * FLOAT, best + c * FLOAT, winner + c, np.uint8(tap))
    for c in range(whole, channels):
        v = get(x + c * FLOAT)
        if v > get(best + c * FLOAT) or v != v:
            put(best + c * FLOAT, v)
            put_byte(winner + c, np.uint8(tap))


@kernel
def _begin(x: int, best: int, winner: int, channels: int, tap: int) -> None:  # fmt: skip
    """The first pixel of a window is the best so far."""
    copy(best, x, channels)
    fill(winner, tap, channels)


@kernel
def _won(g: int, winner: int, tap: int, x: int, channels: int, add: int) -> None:  # fmt: skip
    """The slopes of one window at the pixel of one tap; added to what is there, or not."""
    whole = channels // LANES * LANES
    for c in range(0, whole, LANES):
        won_vector(g + c * FLOAT, winner + c, np.uint8(tap), x + c * FLOAT, add)
    for c in range(whole, channels):
        held = get(x + c * FLOAT) if add else np.float32(0.0)
        put(x + c * FLOAT, held + get(g + c * FLOAT) if byte(winner + c) == tap else held)


@kernel
def _pool_image(
    x: int, height: int, width: int, channels: int, down: int, across: int, row: int, column: int,
    top: int, left: int, taller: int, wider: int, y: int, winner: int, p: int, q: int,
) -> None:  # fmt: skip
    pixel, line = column * channels * FLOAT, row * width * channels * FLOAT
    whole = channels // LANES * LANES if down == across == 2 else 0
    for i in range(p):
        for j in range(q):
            place = (i * q + j) * channels
            a, b = i * taller - top, j * wider - left
            inside = a >= 0 and b >= 0 and a + row < height and b + column < width
            if whole == channels and inside:
                source = x + (a * width + b) * channels * FLOAT
                for c in range(0, channels, LANES):
                    best_of_four(
                        source + c * FLOAT, pixel, line, y + (place + c) * FLOAT, winner + place + c
                    )  # fmt: skip
                continue
            begun = False
            for s in range(down):
                a = i * taller - top + s * row
                if a < 0 or a >= height:
                    continue
                for t in range(across):
                    b = j * wider - left + t * column
                    if b < 0 or b >= width:
                        continue
                    source, tap = x + (a * width + b) * channels * FLOAT, s * across + t
                    if begun:
                        _better(source, y + place * FLOAT, winner + place, channels, tap)
                    else:
                        begun = True
                        _begin(source, y + place * FLOAT, winner + place, channels, tap)


@kernel
def _pool(
    x: int, height: int, width: int, channels: int, down: int, across: int, row: int, column: int,
    top: int, left: int, taller: int, wider: int, y: int, winner: int, p: int, q: int,
    first: int, end: int,
) -> None:  # fmt: skip
    """The greatest of each window of some images: down × across taps, row and column apart, and
    which tap it was. A window starts at (i · taller - top, j · wider - left)."""
    for n in range(first, end):
        _pool_image(
            x + n * height * width * channels * FLOAT, height, width, channels, down, across,
            row, column, top, left, taller, wider, y + n * p * q * channels * FLOAT,
            winner + n * p * q * channels, p, q,
        )  # fmt: skip


@kernel
def _place_image(
    g: int, winner: int, height: int, width: int, channels: int, down: int, across: int,
    row: int, column: int, top: int, left: int, taller: int, wider: int, x: int, p: int, q: int,
    apart: int, tiled: int,
) -> None:  # fmt: skip
    if not tiled:
        clear(x, height * width * channels)
    for i in range(p):
        for j in range(q):
            place = (i * q + j) * channels
            for s in range(down):
                a = i * taller - top + s * row
                if a < 0 or a >= height:
                    continue
                for t in range(across):
                    b = j * wider - left + t * column
                    if b < 0 or b >= width:
                        continue
                    to, tap = x + (a * width + b) * channels * FLOAT, s * across + t
                    _won(g + place * FLOAT, winner + place, tap, to, channels, 1 - apart)


@kernel
def _place(
    g: int, winner: int, height: int, width: int, channels: int, down: int, across: int,
    row: int, column: int, top: int, left: int, taller: int, wider: int, x: int, p: int, q: int,
    apart: int, tiled: int, first: int, end: int,
) -> None:  # fmt: skip
    """Add each slope to the pixel that won, in some images; write it where windows are apart."""
    for n in range(first, end):
        _place_image(
            g + n * p * q * channels * FLOAT, winner + n * p * q * channels, height, width,
            channels, down, across, row, column, top, left, taller, wider,
            x + n * height * width * channels * FLOAT, p, q, apart, tiled,
        )  # fmt: skip


def relu(x: Array, out: Array | None = None) -> Array:
    """max(x, 0)."""
    x = np.ascontiguousarray(x)
    y = np.empty_like(x) if out is None else out

    def part(_: int, first: int, end: int) -> None:
        _relu(x.ctypes.data, y.ctypes.data, first, end)

    parallel.run(part, x.size, PART)
    return y


def mask(x: Array, chosen: Array, out: Array | None = None) -> Array:
    """x where chosen, else 0; of the same shape."""
    x, chosen = np.ascontiguousarray(x), np.ascontiguousarray(chosen)
    y = np.empty_like(x) if out is None else out

    def part(_: int, first: int, end: int) -> None:
        _mask(x.ctypes.data, chosen.ctypes.data, y.ctypes.data, first, end)

    parallel.run(part, x.size, PART)
    return y


def keep(x: Array, y: Array, out: Array | None = None) -> Array:
    """x where y is above 0, else 0; of the same shape."""
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    z = np.empty_like(x) if out is None else out

    def part(_: int, first: int, end: int) -> None:
        _keep(x.ctypes.data, y.ctypes.data, z.ctypes.data, first, end)

    parallel.run(part, x.size, PART)
    return z


def max_pool(
    x: Array,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    size: Ints,
    out: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:
    """The greatest of each window, and its tap; where there is NaN the taps mean nothing."""
    x = np.ascontiguousarray(x)
    shape = (len(x), *size, x.shape[-1])
    y, winner = out or (np.empty(shape, np.float32), np.empty(shape, np.uint8))

    def part(_: int, first: int, end: int) -> None:
        _pool(
            x.ctypes.data, *x.shape[1:], *kernel, *dilation, padding[0][0], padding[1][0],
            *stride, y.ctypes.data, winner.ctypes.data, *size, first, end,
        )  # fmt: skip

    parallel.run(part, len(x))
    return y, winner


@kernel
def pool_some(images: int, fields: int, first: int, end: int) -> None:  # fmt: skip
    """`_pool` with its numbers in a table, for kernels that have enough of their own."""
    _pool(
        images, offset(fields, 0), offset(fields, 1), offset(fields, 2), offset(fields, 3),
        offset(fields, 4), offset(fields, 5), offset(fields, 6), offset(fields, 7),
        offset(fields, 8), offset(fields, 9), offset(fields, 10), offset(fields, 11),
        offset(fields, 12), offset(fields, 13), offset(fields, 14), first, end,
    )  # fmt: skip


class Pooled:
    """The maxima of images that a convolution makes, taken while these are in the cache.

    Args:
        size, channels: of an image.
        geometry: kernel, stride, padding and dilation of the windows.
        out: for the maxima and their taps.

    Attributes:
        fields: address of the table of `pool_some`.
        bytes: of an image.
        count: how many images stay in the cache together.
    """

    def __init__(
        self, size: Ints, channels: int, geometry: tuple[Any, ...], out: tuple[Array, Array]
    ) -> None:
        kernel, stride, padding, dilation = geometry
        y, winner = out
        self._held = y, winner
        self._table = np.array(
            [
                *size, channels, *kernel, *dilation, padding[0][0], padding[1][0], *stride,
                y.ctypes.data, winner.ctypes.data, *y.shape[1:3],
            ],
            np.int64,
        )  # fmt: skip
        self.fields = self._table.ctypes.data
        self.bytes = prod(size) * channels * FLOAT
        self.count = max(1, IMAGES_BYTES // self.bytes)

    def room(self) -> int:
        """Where images may be made; this thread's until it asks again."""
        (room,) = threads.scratch("images", (self.count * self.bytes // FLOAT,))
        return room.ctypes.data


def place(
    g: Array,
    winner: Array,
    size: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    apart: bool,
    tiled: bool,
    out: Array | None = None,
) -> Array:
    """Transpose of taking the winners: each g added at the pixel that won. Windows may be `apart`,
    and may even cover the image without a gap (`tiled`)."""
    g, winner = np.ascontiguousarray(g), np.ascontiguousarray(winner)
    x = np.empty((len(g), *size, g.shape[-1]), np.float32) if out is None else out

    def part(_: int, first: int, end: int) -> None:
        _place(
            g.ctypes.data, winner.ctypes.data, *x.shape[1:], *kernel, *dilation,
            padding[0][0], padding[1][0], *stride, x.ctypes.data, *g.shape[1:3],
            apart, tiled, first, end,
        )  # fmt: skip

    parallel.run(part, len(g))
    return x
