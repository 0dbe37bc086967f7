"""Convolutions as they are defined, without rows of copied windows: any kernel and stride.

The numbers that a window meets in one row of an image lie one after the other, since channels are
last. So the windows of neighbouring pixels are rows of a matrix already, at equal steps; only from
one row of the image to the next there is a jump, and `panel` takes a list of jumps. Sums of ROWS
pixels × a panel of filters stay in registers over the whole window.

Names as in winograd.py; images are padded here, one at a time, in a scratch of each thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import threads
from ..finish import Finish
from . import parallel
from .compiled import kernel
from .dense import pool_some
from .ending import Ending, finish
from .simd import FLOAT, ROWS, copy, offset, panel_1, panel_2
from .winograd import WIDTH, ZERO, Array, Pairs, lanes

Ints = tuple[int, ...]


@kernel
def pad(
    x: int, height: int, width: int, channels: int, top: int, left: int, to: int,
    full_height: int, full_width: int,
) -> None:  # fmt: skip
    """An image in the middle of zeros that are there already; what would be outside is left out."""
    for i in range(max(0, -top), min(height, full_height - top)):
        low, high = max(0, -left), min(width, full_width - left)
        source = x + (i * width + low) * channels * FLOAT
        place = to + ((i + top) * full_width + low + left) * channels * FLOAT
        if high > low:
            copy(place, source, (high - low) * channels)


@kernel
def _convolve(
    x: int, row: int, step: int, taps: int, offsets: int, depth: int, w: int, columns: int,
    y: int, height: int, width: int, channels: int, scratch: int, bias: int, floor: float,
    apart: int,
) -> None:  # fmt: skip
    """One image: ROWS pixels of a row of results at a time, a panel of filters after the other."""
    pixel = channels * FLOAT
    whole = columns == channels and width >= ROWS
    for q in range(0, columns, WIDTH):
        panel = min(WIDTH, columns - q) * FLOAT
        b = w + q * taps * depth * FLOAT
        for i in range(height):
            for start in range(0, width, ROWS):
                j = min(start, max(width - ROWS, 0))  # the last ones overlap those before
                a, to = x + i * row + j * step, y + (i * width + j) * pixel + q * FLOAT
                at, line = (to, pixel) if whole else (scratch, WIDTH * FLOAT)
                if panel == WIDTH * FLOAT:
                    panel_2(a, step, FLOAT, taps, offsets, depth, b, panel, at, line, 0)
                else:
                    panel_1(a, step, FLOAT, taps, offsets, depth, b, panel, at, line, 0)
                if not whole:
                    for r in range(min(ROWS, width - j)):
                        copy(to + r * pixel, at + r * line, min(panel // FLOAT, channels - q))
    for i in range(height * width if bias or apart else 0):
        finish(y + i * pixel, channels, bias, floor, y + i * pixel + apart if apart else 0)


@kernel
def _gather(
    x: int, row: int, step: int, taps: int, offsets: int, depth: int, rows: int, g: int,
    height: int, width: int, columns: int, total: int, zero: int,
) -> None:  # fmt: skip
    """Add what each weight meets in one image: total[tap, c, k] += Σ x[pixel + tap, c] g[pixel, k].

    `rows` is the depth, filled up to ROWS: what is computed beyond it is not used.
    """
    line = columns * FLOAT
    for i in range(height):
        for t in range(taps):
            shift = offset(offsets, t)
            for c in range(0, rows, ROWS):
                a = x + i * row + shift + c * FLOAT
                for q in range(0, columns, WIDTH):
                    to = total + ((t * rows + c) * columns + q) * FLOAT
                    at = g + (i * width * columns + q) * FLOAT
                    if columns - q >= WIDTH:
                        panel_2(a, FLOAT, step, 1, zero, width, at, line, to, line, 1)
                    else:
                        panel_1(a, FLOAT, step, 1, zero, width, at, line, to, line, 1)


@kernel
def _convolve_images(
    first: int, end: int, x: int, high: int, wide: int, depth: int, top: int, left: int,
    image: int, full_high: int, full_wide: int, row: int, step: int, taps: int, offsets: int,
    run: int, w: int, columns: int, y: int, height: int, width: int, channels: int, scratch: int,
    bias: int, floor: float, apart: int, fields: int,
) -> None:  # fmt: skip
    """Some images; with `fields` each of them is pooled, and the next one takes its place in y."""
    for n in range(first, end):
        pad(x + n * high * wide * depth * FLOAT, high, wide, depth, top, left, image,
            full_high, full_wide)  # fmt: skip
        size = height * width * channels * FLOAT
        to = y if fields else y + n * size
        _convolve(image, row, step, taps, offsets, run, w, columns, to, height, width, channels,
                  scratch, bias, floor, apart)  # fmt: skip
        if fields:
            pool_some(y - n * size, fields, n, n + 1)


@kernel
def _gather_images(
    first: int, end: int, x: int, high: int, wide: int, depth: int, top: int, left: int,
    image: int, full_high: int, full_wide: int, row: int, step: int, taps: int, offsets: int,
    run: int, rows: int, g: int, height: int, width: int, columns: int, total: int, zero: int,
) -> None:  # fmt: skip
    for n in range(first, end):
        pad(x + n * high * wide * depth * FLOAT, high, wide, depth, top, left, image,
            full_high, full_wide)  # fmt: skip
        _gather(image, row, step, taps, offsets, run, rows,
                g + n * height * width * columns * FLOAT, height, width, columns, total,
                zero)  # fmt: skip


def _runs(kernel: Ints, dilation: Ints, row: int, pixel: int) -> tuple[Array, int]:
    """Where in a padded image the taps begin, in bytes, and how many of them lie side by side."""
    down, across = (np.arange(k) * d for k, d in zip(kernel, dilation, strict=True))
    if dilation[1] == 1:
        return down * row, kernel[1]
    return (down[:, None] * row + across * pixel).ravel(), 1


def panels(w: Array) -> tuple[Array, int]:
    """The filters (*K, C, K') as a matrix in panels of columns, and how many columns that are."""
    matrix = w.reshape(-1, w.shape[-1])
    columns = lanes(w.shape[-1])
    if columns != w.shape[-1]:
        matrix = np.pad(matrix, ((0, 0), (0, columns - w.shape[-1])))
    parts = [matrix[:, q : q + WIDTH].ravel() for q in range(0, columns, WIDTH)]
    return np.concatenate(parts) if len(parts) > 1 else parts[0], columns


class Padded:
    """How images are padded: size, place, and slack for what is read and not used."""

    def __init__(self, size: Ints, channels: int, padding: Pairs, needed: Ints) -> None:
        self.size, self.channels = size, channels
        self.before = padding[0][0], padding[1][0]
        self.full = tuple(
            max(n + sum(around), need)
            for n, around, need in zip(size, padding, needed, strict=True)
        )
        self.row = self.full[1] * channels * FLOAT

    def scratch(self) -> Array:
        return np.zeros((self.full[0] * self.full[1] + 1) * self.channels + 2 * ROWS, np.float32)


def conv(
    x: Array,
    w: Array,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    size: Ints,
    todo: Finish | None = None,
    out: Array | None = None,
    after: Any = None,
) -> Array:
    """x * w, with results of this size, finished; in `out` if it is given, or handed to `after`, as
    in `winograd.conv`."""
    channels = w.shape[-1]
    count = 0 if after else len(x)
    y = np.empty((count, *size, channels), np.float32) if out is None else out
    ending = Ending(todo, channels, y.ctypes.data)
    matrix, columns = panels(np.ascontiguousarray(w))
    kernel = w.shape[:2]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    last = (size[0] - 1) * stride[0] + reach[0], (max(size[1], ROWS) - 1) * stride[1] + reach[1]
    padded = Padded(x.shape[1:3], x.shape[-1], padding, last)
    pixel = x.shape[-1] * FLOAT
    offsets, beside = _runs(kernel, dilation, padded.row, pixel)
    x = np.ascontiguousarray(x)

    def part(_: int, first: int, end: int) -> None:
        image, block = padded.scratch(), np.empty(ROWS * WIDTH, np.float32)
        _convolve_images(
            first, end, x.ctypes.data, *x.shape[1:], *padded.before,
            image.ctypes.data, *padded.full, stride[0] * padded.row, stride[1] * pixel,
            len(offsets), offsets.ctypes.data, beside * x.shape[-1], matrix.ctypes.data, columns,
            after.room() if after else y.ctypes.data, *size, channels, block.ctypes.data,
            *ending.told, after.fields if after else 0,
        )  # fmt: skip

    parallel.run(part, len(x))
    return y


def filter_gradient(
    x: Array,
    g: Array,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    out: Array | None = None,
) -> Array:
    """What each weight of a filter sent to g; in `out` if it is given."""
    depth, channels, size = x.shape[-1], g.shape[-1], g.shape[1:3]
    columns = lanes(channels)
    if columns != channels:
        g = np.pad(g, ((0, 0),) * 3 + ((0, columns - channels),))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    last = [(p - 1) * s + r for p, s, r in zip(size, stride, reach, strict=True)]
    padded = Padded(x.shape[1:3], depth, padding, tuple(last))
    pixel = depth * FLOAT
    offsets, beside = _runs(kernel, dilation, padded.row, pixel)
    wide = beside * depth
    rows = -(-wide // ROWS) * ROWS
    x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
    parts = len(threads.split(len(x), threads.count()))
    totals = np.zeros((parts, len(offsets), rows, columns), np.float32)

    def part(thread: int, first: int, end: int) -> None:
        image = padded.scratch()
        _gather_images(
            first, end, x.ctypes.data, *x.shape[1:], *padded.before,
            image.ctypes.data, *padded.full, stride[0] * padded.row, stride[1] * pixel,
            len(offsets), offsets.ctypes.data, wide, rows, g.ctypes.data, *size, columns,
            totals[thread].ctypes.data, ZERO.ctypes.data,
        )  # fmt: skip

    parallel.run(part, len(x))
    if out is None:
        out = np.empty((*kernel, depth, channels), np.float32)
    flat = out.reshape(len(offsets), wide, channels)  # a view
    np.sum(totals[:, :, :wide, :channels], axis=0, out=flat)
    return out
