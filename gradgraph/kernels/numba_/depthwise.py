"""Convolutions with one filter for each channel: nothing is summed over channels, which lie in the
lanes of vectors.

The sums of a vector of channels stay in a register, over the taps of a window (forward) or over the
pixels of a row (the gradient of the filter). Names as in direct.py; w (taps, C).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import threads
from ..finish import Finish
from ..numpy_ import Array, Ints, Pairs
from . import parallel
from .compiled import kernel
from .direct import Padded, pad
from .ending import Ending, finish
from .simd import FLOAT, LANES, dot_steps, dot_taps, get, offset, put


@kernel
def _convolve(
    first: int, end: int, x: int, high: int, wide: int, channels: int, top: int, left: int,
    image: int, full_high: int, full_wide: int, row: int, step: int, taps: int, offsets: int,
    w: int, y: int, height: int, width: int, bias: int, floor: float, apart: int,
) -> None:  # fmt: skip
    whole, line = channels // LANES * LANES, channels * FLOAT
    for n in range(first, end):
        pad(x + n * high * wide * line, high, wide, channels, top, left, image,
            full_high, full_wide)  # fmt: skip
        for i in range(height):
            for j in range(width):
                source = image + i * row + j * step
                to = y + ((n * height + i) * width + j) * line
                for c in range(0, whole * FLOAT, LANES * FLOAT):
                    dot_taps(source + c, offsets, taps, w + c, line, to + c)
                for c in range(whole * FLOAT, line, FLOAT):
                    total = np.float32(0.0)
                    for t in range(taps):
                        total += get(source + offset(offsets, t) + c) * get(w + t * line + c)
                    put(to + c, total)
                if bias or apart:
                    finish(to, channels, bias, floor, to + apart if apart else 0)


@kernel
def _gather(
    first: int, end: int, x: int, high: int, wide: int, channels: int, top: int, left: int,
    image: int, full_high: int, full_wide: int, row: int, step: int, taps: int, offsets: int,
    g: int, height: int, width: int, total: int,
) -> None:  # fmt: skip
    """Add what each weight meets: total[tap, c] += Σ x[pixel + tap, c] g[pixel, c]."""
    whole, line = channels // LANES * LANES, channels * FLOAT
    for n in range(first, end):
        pad(x + n * high * wide * line, high, wide, channels, top, left, image,
            full_high, full_wide)  # fmt: skip
        for i in range(height):
            slopes = g + (n * height + i) * width * line
            for t in range(taps):
                source, to = image + i * row + offset(offsets, t), total + t * line
                for c in range(0, whole * FLOAT, LANES * FLOAT):
                    dot_steps(source + c, step, slopes + c, line, width, to + c)
                for c in range(whole * FLOAT, line, FLOAT):
                    share = get(to + c)
                    for j in range(width):
                        share += get(source + j * step + c) * get(slopes + j * line + c)
                    put(to + c, share)


def _places(
    x: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, size: Ints
) -> Any:
    """How images are padded, and where in one each tap begins."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    last = tuple((p - 1) * s + r for p, s, r in zip(size, stride, reach, strict=True))
    padded = Padded(x.shape[1:3], x.shape[-1], padding, last)
    down, across = (np.arange(k) * d for k, d in zip(kernel, dilation, strict=True))
    offsets = (down[:, None] * padded.row + across * x.shape[-1] * FLOAT).ravel()
    return padded, np.ascontiguousarray(offsets, np.int64)


def conv(
    x: Array,
    w: Array,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    size: Ints,
    todo: Finish | None = None,
    out: Array | None = None,
) -> Array:
    """x * w for filters w (*K, C), with results of this size, finished; in `out` if it is given."""
    channels = x.shape[-1]
    y = np.empty((len(x), *size, channels), np.float32) if out is None else out
    ending = Ending(todo, channels, y.ctypes.data)
    padded, offsets = _places(x, w.shape[:2], stride, padding, dilation, size)
    x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)

    def part(_: int, first: int, end: int) -> None:
        image = padded.scratch()
        _convolve(
            first, end, x.ctypes.data, *x.shape[1:], *padded.before, image.ctypes.data,
            *padded.full, stride[0] * padded.row, stride[1] * channels * FLOAT,
            len(offsets), offsets.ctypes.data, w.ctypes.data, y.ctypes.data, *size, *ending.told,
        )  # fmt: skip

    parallel.run(part, len(x))
    return y


def filter_gradient(
    x: Array, g: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Array:
    """What each weight of the filters (*K, C) sent to g."""
    channels, size = x.shape[-1], g.shape[1:3]
    padded, offsets = _places(x, kernel, stride, padding, dilation, size)
    x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
    parts = len(threads.split(len(x), threads.count()))
    totals = np.zeros((parts, *kernel, channels), np.float32)

    def part(thread: int, first: int, end: int) -> None:
        image = padded.scratch()
        _gather(
            first, end, x.ctypes.data, *x.shape[1:], *padded.before, image.ctypes.data,
            *padded.full, stride[0] * padded.row, stride[1] * channels * FLOAT,
            len(offsets), offsets.ctypes.data, g.ctypes.data, *size, totals[thread].ctypes.data,
        )  # fmt: skip

    parallel.run(part, len(x))
    return np.asarray(totals.sum(0))
