"""Pooling on plain numpy: channels last, any number of spatial axes.

Python loops run over the taps of a window or the bins of an axis, never over pixels.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .numpy_ import Array, Ints, Pairs, masked, out_shape, pad_spatial, taps, unpad


def max_pool(
    x: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> tuple[Array, Array]:
    """The greatest of each window, and which tap it was (the first in reading order).

    Pixels outside the image never win. NaN wins, as in numpy's maximum.
    """
    size = out_shape(x.shape[1:-1], kernel, stride, padding, dilation)
    floats = x.dtype.kind == "f"
    low = -np.inf if floats else np.iinfo(x.dtype).min
    padded = pad_spatial(x, padding, low)
    out = np.empty((len(x), *size, x.shape[-1]), x.dtype)
    winner = np.zeros(out.shape, winner_dtype(kernel))
    better, number = np.empty(out.shape, bool), np.empty_like(winner)
    for i, (_, where) in enumerate(taps(kernel, stride, dilation, size)):
        pixels = padded[(slice(None), *where)]
        if i == 0:
            np.copyto(out, pixels)
            continue
        np.greater(pixels, out, out=better)
        np.maximum(out, pixels, out=out)
        np.multiply(better.view(np.uint8), winner.dtype.type(i), out=number)
        np.maximum(winner, number, out=winner)  # the last one that was better
    if not np.isfinite(out).all() if floats else padded is not x and (out == low).any():
        _careful_winners(x, kernel, stride, padding, dilation, out, winner)
    return out, winner


def winner_dtype(kernel: Ints) -> Any:
    """A dtype that holds the number of any tap."""
    return np.uint8 if prod(kernel) <= 256 else np.int64


def _careful_winners(
    x: Array,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    out: Array,
    winner: Array,
) -> None:
    """Mend the winners of windows with NaN or only the smallest number: the first real pixel
    equal to out."""
    inside = pad_spatial(np.ones((1, *x.shape[1:-1], 1), bool), padding, False)
    padded = pad_spatial(x, padding, 0)
    found = np.zeros(out.shape, bool)
    for i, (_, where) in enumerate(taps(kernel, stride, dilation, out.shape[1:-1])):
        pixels = padded[(slice(None), *where)]
        same = (pixels == out) | (np.isnan(pixels) & np.isnan(out))
        hit = same & inside[(slice(None), *where)] & ~found
        winner[hit] = i
        found |= hit


def pixels_of(
    winner: Array, size: Ints, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Array:
    """The flat position in an image of `size`, in reading order, of the tap that each window names.

    Window and tap add to it separately, axis by axis.
    """
    steps = [prod(size[i + 1 :]) for i in range(len(size))]
    tap = np.zeros(kernel, np.int64)
    corner = np.zeros(winner.shape[1:-1], np.int64)
    for axis, step in enumerate(steps):
        (b, _), s, d = padding[axis], stride[axis], dilation[axis]
        last = (-1, *(1,) * (len(size) - axis - 1))
        tap += (np.arange(kernel[axis]) * (d * step)).reshape(last)
        corner += ((np.arange(corner.shape[axis]) * s - b) * step).reshape(last)
    return tap.ravel()[winner] + corner[..., None]


def pick(
    x: Array, winner: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Array:
    """The pixel of each window that `winner` names."""
    padded = pad_spatial(x, padding)
    out = np.zeros(winner.shape, x.dtype)
    for i, (_, where) in enumerate(taps(kernel, stride, dilation, winner.shape[1:-1])):
        np.copyto(out, padded[(slice(None), *where)], where=winner == i)
    return out


def spacing(
    padded: Ints, kernel: Ints, stride: Ints, dilation: Ints, positions: Ints
) -> tuple[bool, bool]:
    """Whether windows share no pixel, and whether they even cover a padded image without a gap."""
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    apart = all(s >= span for s, span in zip(stride, spans, strict=True))
    tiled = apart and all(
        n == k * m and s == k for n, k, s, m in zip(padded, kernel, stride, positions, strict=True)
    )
    return apart, tiled


def place(
    g: Array,
    winner: Array,
    size: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
) -> Array:
    """Transpose of `pick`: each g added at the pixel that won, in a (N, *size, C) image."""
    padded = tuple(n + b + a for n, (b, a) in zip(size, padding, strict=True))
    apart, tiled = spacing(padded, kernel, stride, dilation, winner.shape[1:-1])
    image = (np.empty if tiled else np.zeros)((len(g), *padded, g.shape[-1]), g.dtype)
    for i, (_, where) in enumerate(taps(kernel, stride, dilation, winner.shape[1:-1])):
        share = masked(g, winner == i)
        if apart:
            image[(slice(None), *where)] = share
        else:
            image[(slice(None), *where)] += share
    return unpad(image, size, padding)


def window_sum(
    x: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, weights: Any = None
) -> Array:
    """The sum over each window, weighted by tap if there are weights (an array like kernel)."""
    size = out_shape(x.shape[1:-1], kernel, stride, padding, dilation)
    padded = pad_spatial(x, padding)
    out = np.zeros((len(x), *size, x.shape[-1]), x.dtype)
    for tap, where in taps(kernel, stride, dilation, size):
        pixels = padded[(slice(None), *where)]
        out += pixels if weights is None else pixels * x.dtype.type(weights[tap])
    return out


def window_spread(
    g: Array,
    size: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    weights: Any = None,
) -> Array:
    """Transpose of `window_sum`: each g added at every pixel of its window."""
    padded = [n + b + a for n, (b, a) in zip(size, padding, strict=True)]
    image = np.zeros((len(g), *padded, g.shape[-1]), g.dtype)
    for tap, where in taps(kernel, stride, dilation, g.shape[1:-1]):
        share = g if weights is None else g * g.dtype.type(weights[tap])
        image[(slice(None), *where)] += share
    return unpad(image, size, padding)


def bins(size: int, count: int) -> list[slice]:
    """`count` bins that cover an axis: from ⌊i·n/m⌋ to ⌈(i + 1)·n/m⌉; neighbours may overlap."""
    return [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def bin_mean(x: Array, counts: Ints) -> Array:
    """The mean of each bin, where the spatial axes are split into so many bins: axis by axis."""
    for axis, count in enumerate(counts, 1):
        out = np.empty((*x.shape[:axis], count, *x.shape[axis + 1 :]), x.dtype)
        before: tuple[Any, ...] = (slice(None),) * axis
        for i, part in enumerate(bins(x.shape[axis], count)):
            np.mean(x[(*before, part)], axis=axis, out=out[(*before, i)])
        x = out
    return x


def bin_spread(g: Array, size: Ints) -> Array:
    """Transpose of `bin_mean`: each g shared out over its bin, in a (N, *size, C) image."""
    for axis, n in enumerate(size, 1):
        image = np.zeros((*g.shape[:axis], n, *g.shape[axis + 1 :]), g.dtype)
        before: tuple[Any, ...] = (slice(None),) * axis
        for i, part in enumerate(bins(n, g.shape[axis])):
            image[(*before, part)] += g[(*before, slice(i, i + 1))] / (part.stop - part.start)
        g = image
    return g
