"""What ops call: the kernel that suits arrays of this size and dtype, compiled or numpy's.

Whatever is chosen computes the same, up to rounding.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from . import numpy_, pooling, settings
from .numpy_ import Array, Ints, Pairs
from .numpy_ import out_shape as out_shape

MIN_CHANNELS = 16  # of images and of filters, from which on transformed tiles are worth while
MIN_TILES = 32
SHORT = {3: (1, 0), 5: (2, None)}  # of a filter's size: which of Winograd's, fast and high


def conv(x: Array, w: Array, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """`numpy_.conv`, or a compiled kernel that computes the same."""
    size = out_shape(x.shape[1:-1], w.shape[:-2], stride, padding, dilation)
    if _suits(x, w, groups, len(x) * prod(size) * w.size):
        made = _compiled(_flat(x, w, stride, padding, dilation, size))
        if made is not None:
            return made.reshape(len(x), *size, w.shape[-1])
    return numpy_.conv(x, w, stride, padding, dilation, groups)


def conv_input(
    g: Array, w: Array, size: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """`numpy_.conv_input`, or a compiled kernel that computes the same."""
    if prod(stride) == 1 and _suits(g, w, groups, g[..., 0].size * w.size):
        around = tuple(
            (d * (k - 1) - before, d * (k - 1) - after)
            for d, k, (before, after) in zip(dilation, w.shape, padding, strict=False)
        )
        made = _compiled(_flat(g, w, stride, around, dilation, size), turned=True)
        if made is not None:
            return made.reshape(len(g), *size, w.shape[-2])
    return numpy_.conv_input(g, w, size, stride, padding, dilation, groups)


def conv_filter(
    x: Array, g: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """`numpy_.conv_filter`, or a compiled kernel that computes the same."""
    if _suits(x, g, groups, g.size * prod(kernel) * x.shape[-1]):
        made = _compiled_filter(x, g, kernel, stride, padding, dilation)
        if made is not None:
            return made.reshape(*kernel, x.shape[-1], g.shape[-1])
    return numpy_.conv_filter(x, g, kernel, stride, padding, dilation, groups)


def _suits(x: Array, y: Array, groups: int, work: int) -> bool:
    """Whether there are compiled kernels for these arrays, and they are worth while."""
    return (
        x.dtype == y.dtype == np.float32
        and groups == 1
        and x.ndim in (3, 4)
        and work > 0
        and settings.compiled(work)
    )


def _flat(x: Array, w: Array, *geometry: Any) -> tuple[Any, ...]:
    """A signal as an image of one row."""
    if x.ndim == 4:
        return x, w, *geometry
    stride, padding, dilation, size = geometry
    return (
        x[:, None], w[None], (1, *stride), ((0, 0), *padding), (1, *dilation), (1, *size),
    )  # fmt: skip


def _short(
    kernel: Ints, stride: Ints, dilation: Ints, depth: int, channels: int, size: Ints, count: int
) -> int | None:
    """Which short convolution is worth while, if any."""
    fits = kernel[0] == kernel[1] and kernel[0] in SHORT and prod(stride) == prod(dilation) == 1
    if not fits or min(depth, channels) < MIN_CHANNELS or count * prod(size) < 4 * MIN_TILES:
        return None
    return SHORT[kernel[0]][str(settings.precision()) == "high"]


def _compiled(given: Any, turned: bool = False) -> Array | None:
    """A convolution of images, with the filter turned around to get an image's gradient."""
    from .numba_ import direct, winograd  # takes half a second the first time
    from .numba_.simd import ROWS

    x, w, stride, padding, dilation, size = given
    depth, channels = w.shape[-2:][:: -1 if turned else 1]
    short = _short(w.shape[:2], stride, dilation, depth, channels, size, len(x))
    if short is not None:
        return winograd.conv(short, x, w, padding, turned=turned)
    if prod(w.shape[:2]) == 1 or size[1] < ROWS:
        return None
    if turned:
        w = np.ascontiguousarray(w[::-1, ::-1].swapaxes(-1, -2))
    return direct.conv(x, w, stride, padding, dilation, size)


def _compiled_filter(
    x: Array, g: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Array | None:
    from .numba_ import direct, winograd
    from .numba_.simd import ROWS

    if x.ndim == 3:
        x, g, kernel = x[:, None], g[:, None], (1, *kernel)
        stride, padding, dilation = (1, *stride), ((0, 0), *padding), (1, *dilation)
    size = g.shape[1:3]
    short = _short(kernel, stride, dilation, x.shape[-1], g.shape[-1], size, len(x))
    if short is not None:
        return winograd.filter_gradient(short, x, g, padding)
    if prod(kernel) == 1 or size[1] < ROWS:
        return None
    return direct.filter_gradient(x, g, kernel, stride, padding, dilation)


def matmul(x: Any, y: Any) -> Any:
    """The product of two matrices, or numpy's of what else there is."""
    if _plain(x) and _plain(y) and x.ndim == y.ndim == 2 and x.shape[1] == len(y):
        from .numba_ import product

        return product.matmul(x, y)
    return np.matmul(x, y)


def relu(x: Any) -> Any:
    """max(x, 0)."""
    if _plain(x):
        from .numba_ import dense

        return dense.relu(x)
    return np.maximum(x, 0)


def masked(x: Any, chosen: Any) -> Any:
    """x where chosen, exactly 0 elsewhere."""
    if _plain(x) and x.shape == chosen.shape:
        from .numba_ import dense

        return dense.mask(x, chosen)
    return numpy_.masked(x, chosen)


def max_pool(
    x: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> tuple[Array, Array]:
    """`pooling.max_pool`, or a compiled kernel that computes the same."""
    if _plain(x) and x.ndim == 4 and prod(kernel) <= 256:
        from .numba_ import dense

        size = out_shape(x.shape[1:-1], kernel, stride, padding, dilation)
        out, winner = dense.max_pool(x, kernel, stride, padding, dilation, size)
        if np.isfinite(out).all():  # the tap of a NaN, or of nothing but -∞, is not the first
            return out, winner
    return pooling.max_pool(x, kernel, stride, padding, dilation)


def place(
    g: Array,
    winner: Array,
    size: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
) -> Array:
    """`pooling.place`, or a compiled kernel that computes the same."""
    if _plain(g) and g.ndim == 4 and winner.dtype == np.uint8:
        from .numba_ import dense

        spans = (d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
        apart = all(s >= span for s, span in zip(stride, spans, strict=True))
        full = all(
            n == k * m and s == k and not any(around)
            for n, k, m, s, around in zip(
                size, kernel, winner.shape[1:-1], stride, padding, strict=True
            )
        )
        return dense.place(g, winner, size, kernel, stride, padding, dilation, apart, full)
    return pooling.place(g, winner, size, kernel, stride, padding, dilation)


def _plain(x: Any) -> bool:
    """Whether there are compiled kernels for the array, and they are worth while."""
    return (
        isinstance(x, np.ndarray)
        and x.dtype == np.float32
        and x.size > 0
        and settings.ready(x.size)
    )
