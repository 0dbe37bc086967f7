"""Convolutions of stride 1 by Winograd's F(m, r): 2.25 to 4 times fewer products.

An image is cut into tiles that give m × m results each. Every tile is transformed into
n × n = (m + r - 1)² numbers per channel, the filter too; at each of the n² points a matrix product
takes channels to channels, over many tiles at once; and the products are transformed back. A block
of tiles is done from beginning to end, so that it stays in the cache.

The gradient of the image is such a convolution with the filter turned around. The gradient of the
filter multiplies the same transforms of tiles with those of the slopes, and sums over tiles.

Names: x (N, H, W, C) images, w (r, r, C, K) filters, y (N, P, Q, K) results, contiguous float32;
v transformed tiles (points², tiles, C). What a product reads column by column lies in panels of
WIDTH columns, each with its rows one after the other: u transformed filters, z transformed slopes.
Channels are filled up to whole vectors with zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import threads
from ..finish import Finish
from ..toom import Toom
from . import parallel
from .compiled import kernel
from .dense import pool_some
from .ending import Ending, finish
from .simd import FLOAT, LANES, ROWS, SHORT, clear, copy, panel_1, panel_2, result, transform

Array = np.ndarray[Any, np.dtype[Any]]
Pairs = tuple[tuple[int, int], ...]

WIDTH = 2 * LANES  # columns of a panel
BLOCK_BYTES = 2 << 20  # of transformed tiles and products in a block
FEW = 1 << 14  # filters that a thread is worth to be told of
DATA, FILTER, GRADIENT, BACK = range(4)  # matrices, as `transform` counts them
ZERO = np.zeros(1, np.int64)  # the offset of the only tap of a matrix product


@kernel
def _plane(rows: int, columns: int) -> int:  # fmt: skip
    """Bytes from the matrix of one point to that of the next: a vector more than it holds, for at
    multiples of a page all of them would take the same places in the cache."""
    return (rows * columns + LANES) * FLOAT


@kernel
def _copy_patch(
    x: int, row: int, pixel: int, i: int, j: int, height: int, width: int, side: int,
    channels: int, lanes: int, to: int,
) -> None:  # fmt: skip
    """A patch of pixels at (i, j), zeros outside of the image, with whole vectors of channels."""
    low, high = min(max(0, -j), side), max(0, min(side, width - j))
    for a in range(side):
        place = to + a * side * lanes * FLOAT
        if i + a < 0 or i + a >= height or low >= high:
            clear(place, side * lanes)
        elif lanes == channels:
            clear(place, low * lanes)
            copy(place + low * pixel, x + a * row + low * pixel, (high - low) * lanes)
            clear(place + high * pixel, (side - high) * lanes)
        else:
            clear(place, side * lanes)
            for b in range(low, high):
                copy(place + b * lanes * FLOAT, x + a * row + b * pixel, channels)


@kernel
def _read_tiles(
    which: int, points: int, side: int, step: int, x: int, height: int, width: int,
    channels: int, top: int, left: int, across: int, down: int, first: int, count: int,
    capacity: int, v: int, panel: int, border: int,
) -> None:  # fmt: skip
    """Transform `count` tiles from number `first` on: patches of side² pixels, `step` apart, the
    first of an image at (-top, -left)."""
    pixel, lanes = channels * FLOAT, -(-channels // LANES) * LANES
    plane = _plane(capacity, lanes)
    for t in range(count):
        image, place = divmod(first + t, across * down)
        i, j = (place // across) * step - top, (place % across) * step - left
        source = x + ((image * height + i) * width + j) * pixel
        row, column = width * pixel, pixel
        outside = i < 0 or j < 0 or i + side > height or j + side > width
        if outside or lanes != channels:
            _copy_patch(source, row, pixel, i, j, height, width, side, channels, lanes, border)
            source, row, column = border, side * lanes * FLOAT, lanes * FLOAT
        for c in range(0, lanes, LANES):
            q = c // panel * panel
            to = v + (q * capacity + t * min(panel, lanes - q) + c - q) * FLOAT
            transform(which, source + c * FLOAT, row, column, to, points * plane, plane)


@kernel
def _read_filters(
    which: int, points: int, side: int, w: int, row: int, column: int, first: int,
    count: int, depth: int, lanes: int, u: int,
) -> None:  # fmt: skip
    """Transform the filters of `count` input channels from number `first` on, into panels."""
    plane = _plane(depth, lanes)
    for c in range(first, first + count):
        for k in range(0, lanes, LANES):
            q = k // WIDTH * WIDTH
            to = u + (q * depth + c * min(WIDTH, lanes - q) + k - q) * FLOAT
            source = w + (c * lanes + k) * FLOAT
            transform(which, source, row, column, to, points * plane, plane)


@kernel
def _multiply(
    points: int, v: int, tiles: int, capacity: int, stride: int, depth: int, u: int,
    columns: int, m: int, zero: int,
) -> None:  # fmt: skip
    """m[p] = v[p] · u[p] at every point p."""
    line = stride * FLOAT
    for p in range(points * points):
        a, b = v + p * _plane(capacity, stride), u + p * _plane(depth, columns)
        c = m + p * _plane(capacity, columns)
        for q in range(0, columns, WIDTH):
            panel = min(WIDTH, columns - q) * FLOAT
            for t in range(0, tiles, ROWS):
                to = c + (t * columns + q) * FLOAT
                at = b + q * depth * FLOAT
                if panel == WIDTH * FLOAT:
                    panel_2(
                        a + t * line, line, FLOAT, 1, zero, depth, at, panel,
                        to, columns * FLOAT, 0,
                    )  # fmt: skip
                else:
                    panel_1(
                        a + t * line, line, FLOAT, 1, zero, depth, at, panel,
                        to, columns * FLOAT, 0,
                    )  # fmt: skip


@kernel
def _accumulate(
    points: int, v: int, tiles: int, capacity: int, channels: int,
    z: int, columns: int, total: int, add: int, zero: int,
) -> None:  # fmt: skip
    """total[p] = v[p]ᵀ · z[p] at every point p, added to what is there or not."""
    line, row = channels * FLOAT, columns * FLOAT
    for p in range(points * points):
        a, b = v + p * _plane(capacity, channels), z + p * _plane(capacity, columns)
        for q in range(0, columns, WIDTH):
            panel = min(WIDTH, columns - q) * FLOAT
            at = b + q * capacity * FLOAT
            for c in range(0, channels, ROWS):
                to = total + ((p * channels + c) * columns + q) * FLOAT
                if panel == WIDTH * FLOAT:
                    panel_2(a + c * FLOAT, FLOAT, line, 1, zero, tiles, at, panel, to, row, add)
                else:
                    panel_1(a + c * FLOAT, FLOAT, line, 1, zero, tiles, at, panel, to, row, add)


@kernel
def _write_filters(
    which: int, points: int, side: int, total: int, numbers: int, w: int,
) -> None:  # fmt: skip
    """Transform sums of products back into side² weights for each pair of channels."""
    plane = numbers * FLOAT
    for k in range(0, plane, LANES * FLOAT):
        transform(which, total + k, points * plane, plane, w + k, side * plane, plane)


@kernel
def _write_tiles(
    which: int, points: int, m: int, capacity: int, columns: int, step: int, y: int,
    height: int, width: int, channels: int, across: int, down: int, first: int, count: int,
    flag: int, border: int, bias: int, floor: float, apart: int,
) -> None:  # fmt: skip
    """Transform products back into step² results for each tile, and finish them."""
    plane, pixel = _plane(capacity, columns), channels * FLOAT
    for t in range(count):
        image, place = divmod(first + t, across * down)
        i, j = (place // across) * step, (place % across) * step
        to = y + ((image * height + i) * width + j) * pixel
        whole = i + step <= height and j + step <= width and columns == channels
        at, row, column = to, width * pixel, pixel
        if not whole:
            at, row, column = border, step * columns * FLOAT, columns * FLOAT
        for k in range(0, columns, LANES):
            source = m + (t * columns + k) * FLOAT
            result(
                which, source, points * plane, plane, at + k * FLOAT, row, column,
                flag,
            )  # fmt: skip
        if not whole:
            for a in range(min(step, height - i)):
                for b in range(min(step, width - j)):
                    copy(to + (a * width + b) * pixel, border + a * row + b * column, channels)
        if bias or apart:
            for a in range(min(step, height - i)):
                for b in range(min(step, width - j)):
                    place = to + (a * width + b) * pixel
                    finish(place, channels, bias, floor, place + apart if apart else 0)


@kernel
def _convolve(
    which: int, points: int, step: int, x: int, height: int, width: int, depth: int,
    top: int, left: int, u: int, y: int, p: int, q: int, channels: int, across: int, down: int,
    first: int, end: int, block: int, stride: int, columns: int, v: int, m: int,
    flag: int, border: int, zero: int, bias: int, floor: float, apart: int,
) -> None:  # fmt: skip
    """The results of the tiles from `first` to `end`, block by block."""
    for start in range(first, end, block):
        count = min(block, end - start)
        missing = -count % ROWS  # a panel reads whole groups of rows
        for i in range(points * points if missing else 0):
            clear(v + i * _plane(block, stride) + count * stride * FLOAT, missing * stride)
        _read_tiles(
            4 * which + DATA, points, points, step, x, height, width, depth, top, left,
            across, down, start, count, block, v, stride, border,
        )  # fmt: skip
        _multiply(points, v, count, block, stride, depth, u, columns, m, zero)
        _write_tiles(
            which, points, m, block, columns, step, y, p, q, channels,
            across, down, start, count, flag, border, bias, floor, apart,
        )  # fmt: skip


@kernel
def _convolve_and_pool(
    which: int, points: int, step: int, x: int, height: int, width: int, depth: int,
    top: int, left: int, u: int, room: int, p: int, q: int, channels: int, across: int, down: int,
    first: int, end: int, block: int, stride: int, columns: int, v: int, m: int,
    flag: int, border: int, zero: int, bias: int, floor: float, group: int, fields: int,
) -> None:  # fmt: skip
    """The same for images from `first` to `end`, of which some at a time are made, and pooled."""
    for start in range(first, end, group):
        stop = min(start + group, end)
        to = room - start * p * q * channels * FLOAT  # where image 0 would lie
        _convolve(
            which, points, step, x, height, width, depth, top, left, u, to, p, q, channels,
            across, down, start * across * down, stop * across * down, block, stride, columns,
            v, m, flag, border, zero, bias, floor, 0,
        )  # fmt: skip
        pool_some(to, fields, start, stop)


@kernel
def _sum_products(
    which: int, points: int, step: int, side: int, x: int, height: int, width: int, depth: int,
    top: int, left: int, g: int, p: int, q: int, channels: int, across: int, down: int,
    first: int, end: int, block: int, stride: int, columns: int, v: int, z: int,
    total: int, slopes: int, border: int, zero: int,
) -> None:  # fmt: skip
    """What the weights sent to the slopes in the tiles from `first` to `end`."""
    for start in range(first, end, block):
        count = min(block, end - start)
        _read_tiles(
            4 * which + DATA, points, points, step, x, height, width, depth, top, left,
            across, down, start, count, block, v, stride, border,
        )  # fmt: skip
        _read_tiles(
            4 * which + GRADIENT, points, step, step, g, p, q, channels, 0, 0,
            across, down, start, count, block, z, WIDTH, border,
        )  # fmt: skip
        _accumulate(points, v, count, block, stride, z, columns, total, int(start > first), zero)
    _write_filters(4 * which + BACK, points, side, total, stride * columns, slopes)


def lanes(channels: int) -> int:
    """Channels, filled up to whole vectors."""
    return -(-channels // LANES) * LANES


def _planes(short: Toom, rows: int, columns: int) -> tuple[int, int]:
    """The shape of a matrix at each point, and a vector between one and the next."""
    return short.points**2, rows * columns + LANES


def _room(short: Toom, block: int, stride: int, columns: int) -> list[Array]:
    """Room for transformed tiles, for their products or slopes, and for a patch at the border."""
    border = (short.points**2 * max(stride, columns),)
    tiles = _planes(short, block, stride), _planes(short, block, columns)
    return threads.scratch("tiles", *tiles, border)


def filters(which: int, w: Array, turned: bool) -> Array:
    """Transformed filters u in panels; `turned` for the gradient of the image: taps backwards,
    channels exchanged."""
    short = SHORT[which]
    if turned:
        w = w[::-1, ::-1].swapaxes(-1, -2)
    r, _, depth, columns = w.shape
    full = lanes(columns)
    if full != columns:
        w = np.concatenate([w, np.zeros((r, r, depth, full - columns), w.dtype)], axis=-1)
    w = np.ascontiguousarray(w)
    (u,) = threads.scratch("filters", _planes(short, depth, full))
    row, column = w.strides[:2]

    def part(_: int, first: int, end: int) -> None:
        _read_filters(
            4 * which + FILTER, short.points, r, w.ctypes.data, row, column,
            first, end - first, depth, full, u.ctypes.data,
        )  # fmt: skip

    parallel.run(part, depth, -(-FEW // full))
    return u


def conv(
    which: int,
    x: Array,
    w: Array,
    padding: Pairs,
    turned: bool = False,
    todo: Finish | None = None,
    out: Array | None = None,
    after: Any = None,
) -> Array | None:
    """x * w; None if a number in it is infinite or NaN, which spread in a tile.

    Args:
        which: of SHORT; its r is the size of the filter.
        x, w: images and filters.
        padding: zeros (before, after) rows and columns; may be negative.
        turned: convolve with the filter turned around, as the gradient of an image does.
        todo: what is done with the results.
        out: contiguous, for the results; they are in disorder if None is returned.
        after: takes the results, some images at a time (`dense.Pooled`), which are not kept.
    """
    short = SHORT[which]
    n, height, width, depth = x.shape
    channels = w.shape[-2] if turned else w.shape[-1]
    p, q = (
        size + sum(around) - short.r + 1
        for size, around in zip((height, width), padding, strict=True)
    )
    y = np.empty((0 if after else n, p, q, channels), np.float32) if out is None else out
    ending = Ending(todo, channels, y.ctypes.data)
    down, across = -(-p // short.m), -(-q // short.m)
    stride, columns = lanes(depth), lanes(channels)
    u = filters(which, w, turned)
    room = BLOCK_BYTES // (short.points**2 * (stride + columns) * FLOAT)
    tiles = n * down * across
    block = max(ROWS, min(room, -(-tiles // threads.count())) // ROWS * ROWS)
    flags = np.zeros((threads.count(), LANES), np.float32)
    x = np.ascontiguousarray(x)

    def part(thread: int, first: int, end: int) -> None:
        v, m, border = _room(short, block, stride, columns)
        run = _convolve_and_pool if after else _convolve
        bias, floor, apart = ending.told
        run(
            which, short.points, short.m, x.ctypes.data, height, width, depth,
            padding[0][0], padding[1][0], u.ctypes.data,
            after.room() if after else y.ctypes.data, p, q, channels,
            across, down, first, end, block, stride, columns, v.ctypes.data, m.ctypes.data,
            flags[thread].ctypes.data, border.ctypes.data, ZERO.ctypes.data,
            bias, floor, *((after.count, after.fields) if after else (apart,)),
        )  # fmt: skip

    parallel.run(part, n if after else tiles, 1 if after else ROWS)
    return None if np.isnan(flags).any() else y


def filter_gradient(
    which: int, x: Array, g: Array, padding: Pairs, out: Array | None = None
) -> Array | None:
    """What each weight of the filters sent to g, in `out` if it is given; None if a number in it is
    infinite or NaN."""
    short = SHORT[which]
    n, height, width, depth = x.shape
    _, p, q, channels = g.shape
    down, across = -(-p // short.m), -(-q // short.m)
    stride, columns = lanes(depth), lanes(channels)
    tiles = n * down * across
    room = 2 * BLOCK_BYTES // (short.points**2 * (stride + columns) * FLOAT)
    block = max(ROWS, min(room, -(-tiles // threads.count())))
    parts = len(threads.split(tiles, threads.count()))
    slopes = np.empty((parts, short.r, short.r, stride, columns), np.float32)
    x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)

    def part(thread: int, first: int, end: int) -> None:
        v, z, border = _room(short, block, stride, columns)
        (total,) = threads.scratch("total", (short.points**2, stride, columns))
        _sum_products(
            which, short.points, short.m, short.r, x.ctypes.data, height, width, depth,
            padding[0][0], padding[1][0], g.ctypes.data, p, q, channels,
            across, down, first, end, block, stride, columns, v.ctypes.data, z.ctypes.data,
            total.ctypes.data, slopes[thread].ctypes.data, border.ctypes.data, ZERO.ctypes.data,
        )  # fmt: skip

    parallel.run(part, tiles)
    if out is None:
        out = np.empty((short.r, short.r, depth, channels), np.float32)
    np.sum(slopes[:, :, :, :depth, :channels], axis=0, out=out)
    return out if np.isfinite(out).all() else None
