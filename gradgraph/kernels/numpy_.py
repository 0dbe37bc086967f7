"""Convolution and pooling on plain numpy: channels last, any number of spatial axes.

A convolution is a copy of the image's windows into rows and one matrix product, a chunk of
images at a time so that the rows are still in cache when the product reads them. Windows are
strided views; Python loops run over kernel taps and chunks, never over pixels.

Names: x (N, *S, C) images, w (*K, C / groups, O) filters, y and g (N, *P, O) results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

Array = np.ndarray[Any, np.dtype[Any]]
Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

ROWS_BYTES = 1 << 22  # rows per block: few enough to be in cache when the product reads them


def out_size(n: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> int:
    """Positions of a window along an axis: ⌈(n + padding - span + 1) / stride⌉, chapter 7.1."""
    return (n + padding[0] + padding[1] - dilation * (kernel - 1) - 1) // stride + 1


def out_shape(size: Ints, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Ints:
    """`out_size` for every spatial axis."""
    return tuple(map(out_size, size, kernel, stride, padding, dilation))


def pad_spatial(x: Array, padding: Pairs, value: Any = 0) -> Array:
    """x with its spatial axes padded; negative padding crops. No copy if there is none."""
    if not any(n for pair in padding for n in pair):
        return x
    shape = [n + b + a for n, (b, a) in zip(x.shape[1:-1], padding, strict=True)]
    out = np.full((len(x), *shape, x.shape[-1]), value, x.dtype)
    to = [
        slice(max(b, 0), b + n + min(a, 0))
        for n, (b, a) in zip(x.shape[1:-1], padding, strict=True)
    ]
    of = [
        slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(x.shape[1:-1], padding, strict=True)
    ]
    out[(slice(None), *to)] = x[(slice(None), *of)]
    return out


def windows(x: Array, kernel: Ints, stride: Ints, dilation: Ints) -> Array:
    """View (N, *P, *K, C) of the windows of a padded image."""
    size = out_shape(x.shape[1:-1], kernel, stride, ((0, 0),) * len(kernel), dilation)
    n, *steps, c = x.strides
    return as_strided(
        x,
        (len(x), *size, *kernel, x.shape[-1]),
        (n, *map(prod, zip(steps, stride)), *map(prod, zip(steps, dilation)), c),  # noqa: B905
        writeable=False,
    )


def _blocks(count: int, rows: int, row_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of images, or of rows of one image, that hold about ROWS_BYTES each."""
    fit = max(1, ROWS_BYTES // max(1, row_bytes))
    if fit < rows:
        for n in range(count):
            for top in range(0, rows, fit):
                yield slice(n, n + 1), slice(top, min(top + fit, rows))
    else:
        step = fit // max(1, rows)
        for n in range(0, count, step):
            yield slice(n, min(n + step, count)), slice(0, rows)


def _chunks(view: Array) -> Iterator[tuple[tuple[slice, slice], Array]]:
    """The windows (N, *P, *K, C) as matrices of rows, a block of images or image rows at a time.

    Each matrix is (images × positions, taps × channels) and is valid until the next one. Windows
    of few channels are gathered by tap, so that the copy runs along the image, not the window.
    """
    count, *rest = view.shape
    nd = (len(rest) - 1) // 2
    across, depth = prod(rest[1:nd]), prod(rest[nd:])
    by_tap = rest[-2] * rest[-1] < rest[nd - 1]
    scratch = np.empty(0, view.dtype)
    for part in _blocks(count, rest[0], across * depth * view.itemsize):
        block = view[part]
        if not scratch.size:
            scratch = np.empty(block.size, view.dtype)
        rows = scratch[: block.size]
        if by_tap:
            axes = (*range(nd + 1, 2 * nd + 2), *range(nd + 1))
            np.copyto(rows.reshape(*rest[nd:], *block.shape[: nd + 1]), block.transpose(axes))
            matrix = rows.reshape(depth, -1).T
        else:
            np.copyto(rows.reshape(block.shape), block)
            matrix = rows.reshape(-1, depth)
        yield part, matrix


def conv(
    x: Array,
    w: Array,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    out: Array | None = None,
) -> Array:
    """y[n, p, o] = Σ x[n, p · stride + t · dilation, c] · w[t, c, o] over taps t, channels c."""
    kernel = w.shape[:-2]
    size = out_shape(x.shape[1:-1], kernel, stride, padding, dilation)
    dtype = np.result_type(x, w)
    if out is None:
        out = np.empty((len(x), *size, w.shape[-1]), dtype)
    if not out.size:
        return out
    if not w.size:
        out.fill(0)
        return out
    x = pad_spatial(x, padding)
    if groups > 1:
        none = ((0, 0),) * len(size)
        for xs, ws, ys in _split(groups, x, w, out):
            conv(x[..., xs], w[..., ws], stride, none, dilation, 1, out[..., ys])
        return out
    matrix = w.reshape(-1, w.shape[-1])
    if prod(kernel) == 1 and prod(stride) == 1:
        np.matmul(x, matrix, out=out)
        return out
    for part, rows in _chunks(windows(x, kernel, stride, dilation)):
        np.matmul(rows, matrix, out=out[part].reshape(len(rows), -1))  # a view: channels are last
    return out


def _split(groups: int, x: Array, w: Array, y: Array) -> Iterator[tuple[slice, slice, slice]]:
    """For each group: its channels in x, its filters in w, its channels in y."""
    c, o = x.shape[-1] // groups, y.shape[-1] // groups
    for k in range(groups):
        yield slice(k * c, k * c + c), slice(k * o, k * o + o), slice(k * o, k * o + o)


def conv_input(
    g: Array,
    w: Array,
    size: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
) -> Array:
    """Transpose of `conv` in x: what each pixel of a (N, *size, C) image sent to g."""
    kernel = w.shape[:-2]
    c = w.shape[-2]
    dtype = np.result_type(g, w)
    if groups > 1:
        out = np.empty((len(g), *size, c * groups), dtype)
        for xs, ws, ys in _split(groups, out, w, g):
            out[..., xs] = conv_input(g[..., ys], w[..., ws], size, stride, padding, dilation, 1)
        return out
    if prod(stride) == 1:
        span = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        around = tuple((s - b, s - a) for s, (b, a) in zip(span, padding, strict=True))
        flipped = np.ascontiguousarray(w[(slice(None, None, -1),) * len(kernel)].swapaxes(-1, -2))
        return conv(g, flipped, stride, around, dilation, 1)
    padded = [n + b + a for n, (b, a) in zip(size, padding, strict=True)]
    image = np.zeros((len(g), *padded, c), dtype)
    if g.size and w.size:
        matrix = w.reshape(-1, w.shape[-1]).T
        row_bytes = prod(g.shape[2:-1]) * len(matrix[0]) * dtype.itemsize
        for images, lines in _blocks(len(g), g.shape[1], row_bytes):
            part = g[images, lines]
            rows = np.matmul(part, matrix).reshape(*part.shape[:-1], *kernel, c)
            below = image[images, lines.start * stride[0] :]
            for tap, where in taps(kernel, stride, dilation, part.shape[1:-1]):
                below[(slice(None), *where)] += rows[(..., *tap, slice(None))]
    inner = [slice(b, b + n) for n, (b, _) in zip(size, padding, strict=True)]
    return image[(slice(None), *inner)]


def conv_filter(
    x: Array,
    g: Array,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
) -> Array:
    """Transpose of `conv` in w: what each weight of a (*kernel, C / groups, O) filter sent to g."""
    c, o = x.shape[-1] // groups, g.shape[-1]
    out = np.zeros((*kernel, c, o), np.result_type(x, g))
    if not (x.size and g.size):
        return out
    x = pad_spatial(x, padding)
    if groups > 1:
        none = ((0, 0),) * len(kernel)
        for xs, ws, ys in _split(groups, x, out, g):
            out[..., ws] = conv_filter(x[..., xs], g[..., ys], kernel, stride, none, dilation, 1)
        return out
    total = out.reshape(-1, o)
    if prod(kernel) == 1 and prod(stride) == 1:
        np.matmul(x.reshape(-1, c).T, g.reshape(-1, o), out=total)
        return out
    # A stride can leave pixels that no window reaches: the windows decide how many there are.
    view = windows(x, kernel, stride, dilation)
    for part, rows in _chunks(view):
        total += np.matmul(rows.T, g[part].reshape(len(rows), o))
    return out


def taps(
    kernel: Ints, stride: Ints, dilation: Ints, size: Sequence[int]
) -> Iterator[tuple[Ints, tuple[slice, ...]]]:
    """Each tap of a kernel in reading order, and the strided slice of pixels that it meets."""
    for tap in product(*map(range, kernel)):
        yield (
            tap,
            tuple(
                slice(t * d, t * d + (n - 1) * s + 1, s)
                for t, d, s, n in zip(tap, dilation, stride, size, strict=True)
            ),
        )


def masked(x: Any, chosen: Any) -> Any:
    """x where chosen, exactly 0 elsewhere: a product, repaired if it met inf or NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        result = np.multiply(x, chosen)
        finite = np.isfinite(np.sum(result))
    return result if finite else np.where(chosen, x, np.zeros_like(x))


def max_pool(x: Array, kernel: Ints, stride: Ints, padding: Pairs) -> tuple[Array, Array]:
    """The greatest of each window, and which tap it was (the first in reading order).

    Pixels outside the image never win. NaN wins, as in numpy's maximum.
    """
    size = out_shape(x.shape[1:-1], kernel, stride, padding, (1,) * len(kernel))
    low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    padded = pad_spatial(x, padding, low)
    small = prod(kernel) <= 256
    out = np.empty((len(x), *size, x.shape[-1]), x.dtype)
    winner = np.zeros(out.shape, np.uint8 if small else np.int64)
    better = np.empty(out.shape, bool)
    for i, (_, where) in enumerate(taps(kernel, stride, (1,) * len(kernel), size)):
        pixels = padded[(slice(None), *where)]
        if i == 0:
            np.copyto(out, pixels)
            continue
        np.greater(pixels, out, out=better)
        np.maximum(out, pixels, out=out)
        np.copyto(winner, winner.dtype.type(i), where=better)
    if x.dtype.kind == "f" and not np.isfinite(out).all():
        _careful_winners(x, kernel, stride, padding, out, winner)
    return out, winner


def _careful_winners(
    x: Array, kernel: Ints, stride: Ints, padding: Pairs, out: Array, winner: Array
) -> None:
    """Mend the winners of windows with NaN or only -inf: the first real pixel equal to out."""
    inside = pad_spatial(np.ones((1, *x.shape[1:-1], 1), bool), padding, False)
    padded = pad_spatial(x, padding, 0)
    found = np.zeros(out.shape, bool)
    one = (1,) * len(kernel)
    for i, (_, where) in enumerate(taps(kernel, stride, one, out.shape[1:-1])):
        pixels = padded[(slice(None), *where)]
        same = (pixels == out) | (np.isnan(pixels) & np.isnan(out))
        hit = same & inside[(slice(None), *where)] & ~found
        winner[hit] = i
        found |= hit


def pick(x: Array, winner: Array, kernel: Ints, stride: Ints, padding: Pairs) -> Array:
    """The pixel of each window that `winner` names."""
    padded = pad_spatial(x, padding)
    out = np.zeros(winner.shape, x.dtype)
    for i, (_, where) in enumerate(taps(kernel, stride, (1,) * len(kernel), winner.shape[1:-1])):
        np.copyto(out, padded[(slice(None), *where)], where=winner == i)
    return out


def place(g: Array, winner: Array, size: Ints, kernel: Ints, stride: Ints, padding: Pairs) -> Array:
    """Transpose of `pick`: each g added at the pixel that won, in a (N, *size, C) image."""
    padded = tuple(n + b + a for n, (b, a) in zip(size, padding, strict=True))
    apart = all(s >= k for s, k in zip(stride, kernel, strict=True))
    tiled = apart and all(
        n == k * m and s == k
        for n, k, s, m in zip(padded, kernel, stride, winner.shape[1:-1], strict=True)
    )
    image = (np.empty if tiled else np.zeros)((len(g), *padded, g.shape[-1]), g.dtype)
    for i, (_, where) in enumerate(taps(kernel, stride, (1,) * len(kernel), winner.shape[1:-1])):
        share = masked(g, winner == i)
        if apart:
            image[(slice(None), *where)] = share
        else:
            image[(slice(None), *where)] += share
    inner = [slice(b, b + n) for n, (b, _) in zip(size, padding, strict=True)]
    return image[(slice(None), *inner)]


def window_sum(x: Array, kernel: Ints, stride: Ints, padding: Pairs, weights: Any = None) -> Array:
    """The sum over each window, weighted by tap if there are weights (an array like kernel)."""
    one = (1,) * len(kernel)
    size = out_shape(x.shape[1:-1], kernel, stride, padding, one)
    padded = pad_spatial(x, padding)
    out = np.zeros((len(x), *size, x.shape[-1]), x.dtype)
    for tap, where in taps(kernel, stride, one, size):
        pixels = padded[(slice(None), *where)]
        out += pixels if weights is None else pixels * x.dtype.type(weights[tap])
    return out


def window_spread(
    g: Array, size: Ints, kernel: Ints, stride: Ints, padding: Pairs, weights: Any = None
) -> Array:
    """Transpose of `window_sum`: each g added at every pixel of its window."""
    padded = [n + b + a for n, (b, a) in zip(size, padding, strict=True)]
    image = np.zeros((len(g), *padded, g.shape[-1]), g.dtype)
    for tap, where in taps(kernel, stride, (1,) * len(kernel), g.shape[1:-1]):
        share = g if weights is None else g * g.dtype.type(weights[tap])
        image[(slice(None), *where)] += share
    inner = [slice(b, b + n) for n, (b, _) in zip(size, padding, strict=True)]
    return image[(slice(None), *inner)]
