"""Convolution on plain numpy: channels last, any number of spatial axes.

A convolution is a copy of the image's windows into rows and one matrix product, a chunk of
images at a time so that the rows are still in cache when the product reads them. Windows are
strided views; Python loops run over kernel taps and chunks, never over pixels.

Names: x (N, *S, C) images, w (*K, C / groups, O) filters, y and g (N, *P, O) results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


def unpad(image: Array, size: Ints, padding: Pairs) -> Array:
    """A padded image without its padding, as a view."""
    inner = [slice(b, b + n) for n, (b, _) in zip(size, padding, strict=True)]
    return image[(slice(None), *inner)]


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
    done: Callable[[Any], None] | None = None,
) -> Array:
    """y[n, p, o] = Σ x[n, p · stride + t · dilation, c] · w[t, c, o] over taps t, channels c.

    `done(part)` is called for each part of the result that is there.
    """
    kernel = w.shape[:-2]
    size = out_shape(x.shape[1:-1], kernel, stride, padding, dilation)
    dtype = np.result_type(x, w)
    if out is None:
        out = np.empty((len(x), *size, w.shape[-1]), dtype)
    for part in _conv_parts(x, w, stride, padding, dilation, groups, out):
        if done:
            done(part)
    return out


def _conv_parts(
    x: Array, w: Array, stride: Ints, padding: Pairs, dilation: Ints, groups: int, out: Array
) -> Iterator[Any]:
    """`conv`, which says of each part of the result that it is there."""
    kernel = w.shape[:-2]
    if not (out.size and w.size):
        out.fill(0)
        yield ...
        return
    x = pad_spatial(x, padding)
    matrix = w.reshape(-1, w.shape[-1])
    if groups > 1 and groups == x.shape[-1] == w.shape[-1]:
        depthwise(x, w[..., 0, :], stride, dilation, out)
        yield ...
    elif groups > 1:
        none = ((0, 0),) * len(kernel)
        for xs, ws, ys in _split(groups, x, w, out):
            conv(x[..., xs], w[..., ws], stride, none, dilation, 1, out[..., ys])
        yield ...
    elif prod(kernel) == 1 and prod(stride) == 1:
        np.matmul(x, matrix, out=out)
        yield ...
    else:
        for part, rows in _chunks(windows(x, kernel, stride, dilation)):
            np.matmul(rows, matrix, out=out[part].reshape(len(rows), -1))  # a view
            yield part


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
    out: Array | None = None,
    done: Callable[[Any], None] | None = None,
) -> Array:
    """Transpose of `conv` in x: what each pixel of a (N, *size, C) image sent to g; `out` and
    `done` as there."""
    if groups == prod(stride) == 1:
        span = [d * (k - 1) for k, d in zip(w.shape[:-2], dilation, strict=True)]
        around = tuple((s - b, s - a) for s, (b, a) in zip(span, padding, strict=True))
        flipped = w[(slice(None, None, -1),) * len(span)].swapaxes(-1, -2)
        flipped = np.ascontiguousarray(flipped)
        return conv(g, flipped, stride, around, dilation, 1, out, done)
    made = _conv_input(g, w, size, stride, padding, dilation, groups)
    if out is not None:
        np.copyto(out, made)
        made = out
    if done:
        done(...)
    return made


def _conv_input(
    g: Array, w: Array, size: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """`conv_input` with a stride or groups."""
    kernel = w.shape[:-2]
    c = w.shape[-2]
    dtype = np.result_type(g, w)
    if groups > 1 and c == 1 and groups == g.shape[-1]:
        return depthwise_input(g, w[..., 0, :], size, stride, padding, dilation)
    if groups > 1:
        out = np.empty((len(g), *size, c * groups), dtype)
        for xs, ws, ys in _split(groups, out, w, g):
            out[..., xs] = conv_input(g[..., ys], w[..., ws], size, stride, padding, dilation, 1)
        return out
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
    return unpad(image, size, padding)


def conv_filter(
    x: Array,
    g: Array,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    out: Array | None = None,
) -> Array:
    """Transpose of `conv` in w: what each weight of a (*kernel, C / groups, O) filter sent to g;
    in `out` if it is given."""
    c, o = x.shape[-1] // groups, g.shape[-1]
    if out is None:
        out = np.empty((*kernel, c, o), np.result_type(x, g))
    out.fill(0)
    if not (x.size and g.size):
        return out
    x = pad_spatial(x, padding)
    if groups > 1 and groups == x.shape[-1] == o:
        depthwise_filter(x, g, stride, dilation, out[..., 0, :])
        return out
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


def depthwise(x: Array, w: Array, stride: Ints, dilation: Ints, out: Array) -> None:
    """`conv` of a padded image with one filter (*K, C) for each channel: a product for each tap."""
    rows = _rows(w, out.shape[-2])
    for images, lines in _blocks(len(out), out.shape[1], 4 * out[:1, :1].nbytes):
        part = out[images, lines]
        below = x[images, lines.start * stride[0] :]
        share = np.empty(part.shape, out.dtype)
        for i, (tap, where) in enumerate(taps(w.shape[:-1], stride, dilation, part.shape[1:-1])):
            pixels, row = below[(slice(None), *where)], rows[tap][: part.shape[-2]]
            if i == 0:
                np.multiply(pixels, row, out=part)
            else:
                np.multiply(pixels, row, out=share)
                part += share


def depthwise_input(
    g: Array, w: Array, size: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Array:
    """Transpose of `depthwise` in x, in a (N, *size, C) image."""
    padded = [n + b + a for n, (b, a) in zip(size, padding, strict=True)]
    image = np.zeros((len(g), *padded, g.shape[-1]), np.result_type(g, w))
    if g.size:
        rows = _rows(w, g.shape[-2])
        for images, lines in _blocks(len(g), g.shape[1], 4 * g[:1, :1].nbytes):
            part = g[images, lines]
            below = image[images, lines.start * stride[0] :]
            share = np.empty(part.shape, image.dtype)
            for tap, where in taps(w.shape[:-1], stride, dilation, part.shape[1:-1]):
                np.multiply(part, rows[tap][: part.shape[-2]], out=share)
                below[(slice(None), *where)] += share
    return unpad(image, size, padding)


def depthwise_filter(x: Array, g: Array, stride: Ints, dilation: Ints, out: Array) -> None:
    """Transpose of `depthwise` in w, for a padded image, added to `out`."""
    for images, lines in _blocks(len(g), g.shape[1], 4 * g[:1, :1].nbytes):
        part = g[images, lines]
        below = x[images, lines.start * stride[0] :]
        share = np.empty(part.shape, out.dtype)
        for tap, where in taps(out.shape[:-1], stride, dilation, part.shape[1:-1]):
            np.multiply(below[(slice(None), *where)], part, out=share)
            by_row = share.reshape(-1, *part.shape[-2:]).sum(0)  # long rows first: that is faster
            out[tap] += by_row.sum(0)


def _rows(w: Array, length: int) -> Array:
    """Filters (*K, C) repeated along a row of pixels, which numpy then multiplies at once."""
    return np.repeat(w[..., None, :], length, axis=-2)


def unfold(x: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Array:
    """The windows (N, *P, taps · C) of an image, zeros outside."""
    view = windows(pad_spatial(x, padding), kernel, stride, dilation)
    out = np.empty((*view.shape[: len(kernel) + 1], prod(kernel) * x.shape[-1]), x.dtype)
    np.copyto(out.reshape(view.shape), view)
    return out


def fold(
    columns: Array, size: Ints, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Array:
    """Transpose of `unfold`: each column added at its pixel, in a (N, *size, C) image."""
    padded = [n + b + a for n, (b, a) in zip(size, padding, strict=True)]
    channels = columns.shape[-1] // prod(kernel)
    image = np.zeros((len(columns), *padded, channels), columns.dtype)
    rows: Any = columns.reshape(*columns.shape[:-1], *kernel, channels)
    for tap, where in taps(kernel, stride, dilation, columns.shape[1:-1]):
        image[(slice(None), *where)] += rows[(..., *tap, slice(None))]
    return unpad(image, size, padding)


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
    """x where chosen, exactly 0 elsewhere."""
    factor = chosen.astype(np.asarray(x).dtype)  # numpy is slow to multiply with booleans
    return weighted(x, factor, chosen)


def weighted(x: Any, factor: Any, source: Any) -> Any:
    """x · factor, exactly 0 where the source is: a product, repaired if it met inf or NaN.

    The factor, which is made from the source, may be overwritten.
    """
    fits = factor.ndim and factor.shape == np.shape(x) and factor.dtype == np.result_type(x, factor)
    into = factor if fits else None
    with np.errstate(invalid="ignore", over="ignore"):
        result = np.multiply(x, factor, out=into)
        finite = np.isfinite(np.sum(result))
    return result if finite else np.where(source == 0, np.zeros_like(result), result)
