"""What ops call: the kernel that suits arrays of this size and dtype, compiled or numpy's.

Whatever is chosen computes the same, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from . import blas, numpy_, pooling, settings, short, threads
from .finish import Finish as Finish
from .numpy_ import Array, Ints, Pairs
from .numpy_ import out_shape as out_shape

WIDEST = 16  # numbers in a vector, at most
MIN_CHANNELS = 16  # of images and of filters, from which on transformed tiles are worth while
MIN_TILES = 32
TILES_PAY = 1 << 28  # multiplications, from which on transforms pay on numpy
SHORT = {(3, False): 1, (3, True): 0, (5, False): 2, (5, True): None}  # by size, and if exact


def conv(
    x: Array,
    w: Array,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    todo: Finish | None = None,
    out: Array | None = None,
) -> Array:
    """`numpy_.conv`, or a compiled kernel that computes the same; finished, and in `out`, if it is
    given."""
    size = out_shape(x.shape[1:-1], w.shape[:-2], stride, padding, dilation)
    shape = (len(x), *size, w.shape[-1])
    if _each_channel(x, w.shape, groups, prod(shape) * w.size):
        from .numba_ import depthwise

        return depthwise.conv(x, w[..., 0, :], stride, padding, dilation, size, todo, out)
    if _suits(x, w, groups, len(x) * prod(size) * w.size):
        given = _flat(x, w, stride, padding, dilation, size)
        made = _compiled(given, todo, _image(out))
        if made is not None:
            return made.reshape(shape)
    given = (x, w, stride, padding, dilation, groups)
    return _by_numpy(numpy_.conv, given, shape, todo, out, w, padding)


def conv_pool(
    x: Array,
    w: Array,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    todo: Finish,
    pool: tuple[Ints, Ints, Pairs, Ints],
    to: tuple[Array, Array],
) -> None:
    """A convolution, finished, of which only the maxima of windows are kept, and their taps: some
    images at a time."""
    size = out_shape(x.shape[1:-1], w.shape[:-2], stride, padding, dilation)
    geometry = stride, padding, dilation
    exact = x.ndim == 4 and prod(pool[0]) <= 256
    if exact and _suits(x, w, groups, len(x) * prod(size) * w.size):
        from .numba_ import dense

        after = dense.Pooled(size, w.shape[-1], pool, to)
        made = _compiled((x, w, *geometry, size), todo, None, after=after)
        if made is not None and np.isfinite(to[0]).all():
            return
    image = prod(size) * w.shape[-1] * to[0].itemsize
    count = max(1, numpy_.ROWS_BYTES // max(1, image))
    for start in range(0, len(x), count):
        part = slice(start, start + count)
        y = conv(x[part], w, *geometry, groups, todo)
        max_pool(y, *pool, (to[0][part], to[1][part]))


def conv_input(
    g: Array,
    w: Array,
    size: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    todo: Finish | None = None,
    out: Array | None = None,
) -> Array:
    """`numpy_.conv_input`, or a compiled kernel that computes the same; as `conv`."""
    shape = (len(g), *size, w.shape[-2] * groups)
    reach = [d * (k - 1) for d, k in zip(dilation, w.shape, strict=False)]
    around = tuple((r - b, r - a) for r, (b, a) in zip(reach, padding, strict=True))
    if prod(stride) == 1 and _each_channel(g, w.shape, groups, prod(shape) * w.size):
        from .numba_ import depthwise

        turned = w[::-1, ::-1, 0]
        image = depthwise.conv(g, turned, stride, around, dilation, size, todo, out)
        if np.isfinite(image).all():  # 0 · ∞ beside the slopes
            return image
    if _suits(g, w, groups, prod(g.shape[:-1]) * w.size):
        if prod(w.shape[:-2]) == 1 and not _padded(padding):
            return _finished(_each_pixel(g, w, size, stride), todo, out)
        apart = _spread(g, stride)
        before = [b for b, _ in around]
        after = (
            n - m - b + r for n, m, b, r in zip(size, apart.shape[1:-1], before, reach, strict=True)
        )
        ends = tuple(zip(before, after, strict=True))
        ones = (1,) * len(stride)
        given = _flat(apart, w, ones, ends, dilation, size)
        made = _compiled(given, todo, _image(out), turned=True)
        if made is not None and (apart is g or np.isfinite(made).all()):  # 0 · ∞ between slopes
            return made.reshape(shape)
    given = (g, w, size, stride, padding, dilation, groups)
    turned = w[(slice(None, None, -1),) * len(stride)].swapaxes(-1, -2)
    return _by_numpy(numpy_.conv_input, given, shape, todo, out, turned, around)


def _by_numpy(
    function: Any,
    arguments: Any,
    shape: Ints,
    todo: Finish | None,
    out: Array | None,
    w: Array,
    padding: Pairs,
) -> Array:
    """A convolution on numpy, each part of it finished while it is in the cache.

    `w` and `padding` are those with which it is a convolution of stride 1.
    """
    x, *_, stride, _, dilation, groups = arguments
    made = np.empty(shape, np.result_type(*arguments[:2])) if out is None else out
    tiles = _tiles_pay(x, w, stride, dilation, groups, prod(shape[:-1]))

    def work(_: int, first: int, end: int) -> None:
        images = slice(first, end)
        x, y = arguments[0][images], made[images]

        def finish(part: Any) -> None:
            if todo is not None:
                todo.apply(y[part], _moved(part, images))

        if not (tiles and short.conv(x, w, padding, y, finish)):
            function(x, *arguments[1:], y, finish)

    _in_threads(work, len(x), made.size * w.size // max(1, w.shape[-1]))
    return made


def _moved(part: Any, images: slice) -> Any:
    """A part of some images, as a part of all of them."""
    if part is ...:
        return images
    if isinstance(part, tuple):
        return (_moved(part[0], images), *part[1:])
    return slice(images.start + part.start, images.start + part.stop)


def _in_threads(work: threads.Work, images: int, products: float) -> None:
    """Do it for some of the images in each thread, if it is much: numpy lets go of Python's lock,
    and its library, which has threads of its own, is told to use one."""
    if products < blas.THREADED or not blas.controlled():
        work(0, 0, images)
        return
    with blas.alone():
        if products < settings.WORTHWHILE:
            work(0, 0, images)
        else:
            threads.run(work, images, lambda *_: None)


def _tiles_pay(x: Array, w: Array, stride: Ints, dilation: Ints, groups: int, places: int) -> bool:
    """Whether numpy convolves faster by transformed tiles."""
    return (
        x.ndim == 4
        and x.dtype == w.dtype == np.float32
        and w.shape[:2] == (short.F.r, short.F.r)
        and groups == prod(stride) == prod(dilation) == 1
        and min(w.shape[-2:]) >= 32
        and places * w.size >= TILES_PAY
        and not settings.exact()
    )


def _finished(made: Array, todo: Finish | None, out: Array | None) -> Array:
    if out is not None:
        np.copyto(out, made)
        made = out
    if todo is not None:
        todo.apply(made)
    return made


def _image(out: Array | None) -> Array | None:
    """A signal's results as those of an image of one row."""
    return out[:, None] if out is not None and out.ndim == 3 else out


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
    """`numpy_.conv_filter`, or a compiled kernel that computes the same; in `out`, if given."""
    full = (*kernel, x.shape[-1] // groups, g.shape[-1])
    if x.dtype == g.dtype and _each_channel(x, full, groups, g.size * prod(kernel)):
        from .numba_ import depthwise

        whole = depthwise.filter_gradient(x, g, kernel, stride, padding, dilation).reshape(full)
        return whole if out is None else _copied(whole, out)
    if _suits(x, g, groups, g.size * prod(kernel) * x.shape[-1]):
        made = _compiled_filter(x, g, kernel, stride, padding, dilation, out)
        if made is not None:
            return made.reshape(*kernel, x.shape[-1], g.shape[-1])
    like = np.empty((*kernel, x.shape[-1] // groups, g.shape[-1]), np.result_type(x, g))
    tiles = _tiles_pay(x, like, stride, dilation, groups, prod(g.shape[:-1]))
    shares: dict[int, Array] = {}

    def work(thread: int, first: int, end: int) -> None:
        given = x[first:end], g[first:end]
        share = short.filter_gradient(*given, padding) if tiles else None
        if share is None:
            share = numpy_.conv_filter(*given, kernel, stride, padding, dilation, groups)
        shares[thread] = share

    _in_threads(work, len(x), g.size * like.size // max(1, g.shape[-1]))
    total = like if out is None else out
    np.copyto(total, shares[0])
    for thread in range(1, len(shares)):
        total += shares[thread]
    return total


def _spread(g: Array, stride: Ints) -> Array:
    """The slopes of windows that are apart, with zeros where windows in between would be."""
    if prod(stride) == 1:
        return g
    size = [(n - 1) * s + 1 for n, s in zip(g.shape[1:-1], stride, strict=True)]
    out = np.zeros((len(g), *size, g.shape[-1]), g.dtype)
    out[(slice(None), *(slice(None, None, s) for s in stride))] = g
    return out


def _suits(x: Array, y: Array, groups: int, work: int) -> bool:
    """Whether there are compiled kernels for these arrays, and they are worth while."""
    return (
        x.dtype == y.dtype == np.float32
        and groups == 1
        and x.ndim in (3, 4)
        and work > 0
        and settings.compiled(work)
    )


def _each_channel(x: Array, filters: Ints, groups: int, work: int) -> bool:
    """Whether each channel of images has a filter of its own, and there are kernels for them."""
    return (
        x.dtype == np.float32
        and x.ndim == 4
        and groups > 1
        and groups == x.shape[-1] == filters[-1]
        and filters[-2] == 1
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
    fits = kernel[0] == kernel[1] and kernel[0] in (3, 5) and prod(stride) == prod(dilation) == 1
    if not fits or min(depth, channels) < MIN_CHANNELS or count * prod(size) < 4 * MIN_TILES:
        return None
    return SHORT[kernel[0], settings.exact()]


def _compiled(
    given: Any,
    todo: Finish | None,
    out: Array | None,
    turned: bool = False,
    after: Any = None,
) -> Array | None:
    """A convolution of images, with the filter turned around to get an image's gradient; finished,
    and in `out` if it is given, or handed to `after`; None if nothing here can do it."""
    from .numba_ import direct, product, winograd  # takes half a second the first time
    from .numba_.simd import ROWS

    x, w, stride, padding, dilation, size = given
    depth, channels = w.shape[-2:][:: -1 if turned else 1]
    which = _short(w.shape[:2], stride, dilation, depth, channels, size, len(x))
    if which is not None:
        return winograd.conv(which, x, w, padding, turned, _alike(todo, x), out, after)
    if prod(w.shape[:2]) == 1 and not _padded(padding):
        if after:
            return None
        rows = None if out is None else out.reshape(-1, channels)
        made = product.matmul(
            _pixels(x, stride, size), w[0, 0].T if turned else w[0, 0], rows
        ).reshape(len(x), *size, channels)
        return _finished(made, _alike(todo, x), None)
    if size[1] < ROWS:
        return None
    if turned:
        w = np.ascontiguousarray(w[::-1, ::-1].swapaxes(-1, -2))
    return direct.conv(x, w, stride, padding, dilation, size, _alike(todo, x), out, after)


def _alike(todo: Finish | None, x: Array) -> Finish | None:
    """What is to be done, with images in the place of signals."""
    if todo is None or todo.kept is None or todo.kept.ndim == x.ndim:
        return todo
    return replace(todo, kept=todo.kept[:, None])


def _compiled_filter(
    x: Array,
    g: Array,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    out: Array | None,
) -> Array | None:
    from .numba_ import direct, product, winograd
    from .numba_.simd import ROWS

    if x.ndim == 3:
        x, g, kernel = x[:, None], g[:, None], (1, *kernel)
        stride, padding, dilation = (1, *stride), ((0, 0), *padding), (1, *dilation)
        out = None if out is None else out[None]
    size = g.shape[1:3]
    which = _short(kernel, stride, dilation, x.shape[-1], g.shape[-1], size, len(x))
    if which is not None:
        return winograd.filter_gradient(which, x, g, padding, out)
    if prod(kernel) == 1 and not _padded(padding):
        to = None if out is None else out.reshape(x.shape[-1], g.shape[-1])
        return product.matmul(_pixels(x, stride, size).T, g.reshape(-1, g.shape[-1]), to)
    if size[1] < ROWS:
        return None
    return direct.filter_gradient(x, g, kernel, stride, padding, dilation, out)


def _each_pixel(g: Array, w: Array, size: Ints, stride: Ints) -> Array:
    """What pixels sent to g through filters of one pixel; 0 for those that no filter met."""
    from .numba_ import product

    rows = product.matmul(g.reshape(-1, g.shape[-1]), w.reshape(w.shape[-2:]).T)
    met = rows.reshape(*g.shape[:-1], w.shape[-2])
    if met.shape[1:-1] == size:
        return met
    out = np.zeros((len(g), *size, w.shape[-2]), np.float32)
    steps = (slice(0, n * s, s) for n, s in zip(met.shape[1:-1], stride, strict=True))
    out[(slice(None), *steps)] = met
    return out


def _padded(padding: Pairs) -> bool:
    return any(n for pair in padding for n in pair)


def _pixels(x: Array, stride: Ints, size: Ints) -> Array:
    """The pixels that windows of one pixel meet, as the rows of a matrix."""
    (s, t), (p, q) = stride, size
    return x[:, : p * s : s, : q * t : t].reshape(-1, x.shape[-1])


def matmul(x: Any, y: Any, out: Array | None = None, todo: Finish | None = None) -> Any:
    """The product of two matrices, finished, or numpy's of what else there is; in `out` if it is
    given."""
    both = _single(x) and _single(y) and x.ndim == y.ndim == 2 and x.shape[1] == len(y)
    if both and settings.compiled(x.size * y.shape[1]):
        from .numba_ import product

        return product.matmul(x, y, out, todo)
    flat = isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.ndim == y.ndim == 2
    if flat and x.size * y.shape[1] >= blas.THREADED and x.shape[1] == len(y):
        made = np.empty((len(x), y.shape[1]), np.result_type(x, y)) if out is None else out

        def work(_: int, first: int, end: int) -> None:
            np.matmul(x[first:end], y, made[first:end])

        _in_threads(work, len(x), x.size * y.shape[1])
    else:
        made = np.matmul(x, y, out)
    return made if todo is None else _finished(made, todo, None)


def relu(x: Any, out: Array | None = None) -> Any:
    """max(x, 0); in `out` if it is given."""
    if _single(x) and settings.ready(x.size, exact=True):
        from .numba_ import dense

        return dense.relu(x, out)
    return np.maximum(x, 0, out=out)


def masked(x: Any, chosen: Any, out: Array | None = None) -> Any:
    """x where chosen, exactly 0 elsewhere; in `out` if it is given."""
    if _single(x) and x.shape == chosen.shape and settings.ready(x.size, exact=True):
        from .numba_ import dense

        return dense.mask(x, chosen, out)
    made = numpy_.masked(x, chosen)
    return made if out is None else _copied(made, out)


def _copied(made: Any, out: Array) -> Array:
    np.copyto(out, made)
    return out


def max_pool(
    x: Array,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    to: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:
    """`pooling.max_pool`, or a compiled kernel that computes the same; in `to` if it is given."""
    if _single(x) and x.ndim == 4 and prod(kernel) <= 256 and settings.ready(x.size, exact=True):
        from .numba_ import dense

        size = out_shape(x.shape[1:-1], kernel, stride, padding, dilation)
        out, winner = dense.max_pool(x, kernel, stride, padding, dilation, size, to)
        if np.isfinite(out).all():  # the tap of a NaN, or of nothing but -∞, is not the first
            return out, winner
    if x.size < settings.LARGE:
        out, winner = pooling.max_pool(x, kernel, stride, padding, dilation)
        return (out, winner) if to is None else (_copied(out, to[0]), _copied(winner, to[1]))
    size = out_shape(x.shape[1:-1], kernel, stride, padding, dilation)
    shape = (len(x), *size, x.shape[-1])
    if to is None:
        to = np.empty(shape, x.dtype), np.empty(shape, pooling.winner_dtype(kernel))
    best, taps = to

    def work(part: slice) -> None:
        best[part], taps[part] = pooling.max_pool(x[part], kernel, stride, padding, dilation)

    _by_images(work, x)
    return best, taps


def place(
    g: Array,
    winner: Array,
    size: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    out: Array | None = None,
) -> Array:
    """`pooling.place`, or a compiled kernel that computes the same; in `out` if it is given."""
    fits = _single(g) and g.ndim == 4 and winner.dtype == np.uint8 and winner.shape == g.shape
    if fits and settings.ready(g.size, exact=False):
        from .numba_ import dense

        padded = tuple(n + b + a for n, (b, a) in zip(size, padding, strict=True))
        lie = pooling.spacing(padded, kernel, stride, dilation, winner.shape[1:-1])
        return dense.place(g, winner, size, kernel, stride, padding, dilation, *lie, out)
    made = np.empty((len(g), *size, g.shape[-1]), g.dtype) if out is None else out

    def work(part: slice) -> None:
        made[part] = pooling.place(g[part], winner[part], size, kernel, stride, padding, dilation)

    _by_images(work, made)
    return made


def _by_images(work: Callable[[slice], None], x: Array) -> None:
    """Do it for so many images at a time as stay in the cache, in all threads if it is much."""
    step = max(1, numpy_.ROWS_BYTES // max(1, x[:1].nbytes))

    def part(_: int, first: int, end: int) -> None:
        for start in range(first, end, step):
            work(slice(start, min(start + step, end)))

    _in_threads(part, len(x), settings.WORTHWHILE * (x.size >= settings.LARGE))


def total(x: Any, axis: Ints, keepdims: bool, out: Array | None = None) -> Any:
    """The sum over some axes; in `out` if it is given."""
    if axis and _by_channel(x, axis):
        from .numba_ import statistics

        made = statistics.total(x.reshape(-1, x.shape[-1]))
        made = made.reshape((1,) * len(axis) + made.shape) if keepdims else made
        return made if out is None else _copied(made, out)
    return np.sum(x, axis=axis, keepdims=keepdims, out=out)


def kept(x: Any, y: Any, out: Array | None = None) -> Any:
    """x where y is above 0, exactly 0 elsewhere; in `out` if it is given."""
    if _single(x) and _single(y) and x.shape == y.shape and settings.ready(x.size, exact=True):
        from .numba_ import dense

        return dense.keep(x, y, out)
    return masked(x, np.greater(y, 0), out)


def standardise(x: Any, axis: Ints, eps: float) -> tuple[Array, Array, Array] | None:
    """(x - mean) / √(var + eps) over all axes but the last, mean and var, by a compiled kernel;
    None if there is none for these arrays."""
    if not _by_channel(x, axis):
        return None
    from .numba_ import statistics

    y, *stats = statistics.standardise(x.reshape(-1, x.shape[-1]), eps)
    middle, var = (s.reshape((1,) * (x.ndim - 1) + s.shape) for s in stats)
    return y.reshape(x.shape), middle, var


def standardise_back(g: Any, y: Any, axis: Ints, rate: Any, along: Any, shift: Any) -> Array | None:
    """rate · (g - mean(g) - y · mean(g · y)) + y · along + shift, the means over all axes but the
    last, by a compiled kernel; None if there is none for these arrays."""
    if not (_by_channel(g, axis) and _by_channel(y, axis) and g.shape == y.shape):
        return None
    from .numba_ import statistics

    channels = g.shape[-1:]
    rows = [np.ascontiguousarray(a).reshape(-1, *channels) for a in (g, y)]
    mean_g, mean_gy = statistics.means(*rows)
    rate, along, shift = (np.broadcast_to(np.ravel(a), channels) for a in (rate, along, shift))
    by_y, more = along - rate * mean_gy, shift - rate * mean_g
    return statistics.mix(rows[0], rate, rows[1], by_y, more).reshape(g.shape)


def _by_channel(x: Any, axis: Ints) -> bool:
    """Whether all axes but the last are meant, of an array with whole vectors of channels."""
    return (
        _single(x)
        and x.ndim > 1
        and axis == tuple(range(-x.ndim, -1))
        and x.shape[-1] % WIDEST == 0
        and settings.ready(x.size, exact=False)
    )


def _single(x: Any) -> bool:
    """Whether it is an array of the kind that compiled kernels know."""
    return isinstance(x, np.ndarray) and x.dtype == np.float32 and x.size > 0 and x.ndim > 0
