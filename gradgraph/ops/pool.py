"""Pooling (chapter, section 7.2): a window's maximum or mean, with no weights.

Maximum pooling is a pair: `Pick` reads the winners, `Place` writes back to them; each is the
transpose of the other. So are `WindowMean` and `WindowSpread`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import product
from math import comb, prod
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, DTypeError, ShapeError
from ..kernels import numpy_ as kernels
from ..kink import Kink
from ..op import Op
from ..spec import Shape, Spec, floating, show
from .conv import Ints, Pairs, padding_pairs, per_axis

__all__ = ["avg_pool", "blur_pool", "max_pool"]


class _Pool(Op, abstract=True):
    """A window of `kernel` pixels that moves by `stride` over each channel."""

    kernel: Ints
    stride: Ints
    padding: Pairs
    style = "pool"

    @property
    def geometry(self) -> tuple[Ints, Ints, Pairs]:
        return self.kernel, self.stride, self.padding

    def _positions(self, size: Ints) -> Ints:
        return kernels.out_shape(size, *self.geometry, (1,) * len(size))

    def _windows(self, size: Ints) -> Iterator[tuple[Ints, list[tuple[int, Ints]]]]:
        """Every position with its (tap number, pixel) list; pixels outside are skipped."""
        for p in product(*map(range, self._positions(size))):
            pixels = []
            for number, t in enumerate(product(*map(range, self.kernel))):
                at = tuple(
                    i * s + j - b
                    for i, s, j, (b, _) in zip(p, self.stride, t, self.padding, strict=True)
                )
                if all(0 <= i < n for i, n in zip(at, size, strict=True)):
                    pixels.append((number, at))
            yield p, pixels

    def _out(self, x: Spec) -> Shape:
        nd = len(self.kernel)
        if x.ndim != nd + 2:
            raise ShapeError(
                self.name,
                f"x is {show(x.shape)}, but a {nd}-d window needs {nd + 2} axes: batch, {nd}"
                " spatial, channels last",
                "Add the missing batch or channel axis: x[None] or x[..., None].",
            )
        for axis, (n, k, (b, a)) in enumerate(
            zip(x.shape[1:-1], self.kernel, self.padding, strict=True)
        ):
            if k > n + b + a:
                raise ShapeError(
                    self.name,
                    f"the window is {show(self.kernel)} but the image is"
                    f" {show(x.shape[1:-1])}: axis {axis + 1} has only {n + b + a} pixels"
                    " with padding",
                    "Use a smaller window, or pool less before.",
                )
            if max(b, a) >= k:
                raise ShapeError(
                    self.name,
                    f"padding ({b}, {a}) of axis {axis + 1} is not smaller than the window ({k}),"
                    " so some windows would hold no pixel",
                    f"Use at most {k - 1}.",
                )
        return (x.shape[0], *self._positions(x.shape[1:-1]), x.shape[-1])

    def label(self) -> str:
        words = ["×".join(map(str, self.kernel)), "s" + "×".join(map(str, self.stride))]
        if any(n for pair in self.padding for n in pair):
            words.append(f"p{self.padding}")
        return " · ".join(words)

    def flops(self, out: Spec, *args: Spec) -> int:
        return out.size * prod(self.kernel)


class MaxPool(_Pool):
    """The greatest pixel of each window; the first in reading order wins a tie."""

    kinks = (
        Kink(
            "several greatest pixels in a window",
            "everything to the first in reading order",
            ([[[2.0], [2.0], [1.0], [5.0]]],),
            ([[[1.0], [0.0], [0.0], [1.0]]],),
            ((2,), (2,), ((0, 0),)),
        ),
    )
    saves = ("winner",)
    per_item = ("x",)
    checks = True

    def forward(self, x: Any) -> Any:
        return kernels.max_pool(x, *self.geometry)

    def vjp_x(self, g: Any, out: Any, x: Any, winner: Any) -> Any:
        return Place.of(*self.geometry, x.shape[1:-1])(g, winner)

    def jvp_x(self, t: Any, out: Any, x: Any, winner: Any) -> Any:
        return Pick.of(*self.geometry)(t, winner)

    def spec(self, x: Spec) -> Spec:
        if x.dtype.kind not in "fiu":
            raise DTypeError(
                self.name,
                f"x is {x.dtype}, whose greatest element is not defined",
                "Convert it: x.astype(int).",
            )
        return Spec(self._out(x), x.dtype)

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty((len(x), *self._positions(x.shape[1:-1]), x.shape[-1]))
        for p, pixels in self._windows(x.shape[1:-1]):
            for n, c in np.ndindex(len(x), x.shape[-1]):
                out[(n, *p, c)] = scalar.largest(x[(n, *at, c)] for _, at in pixels)
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        geometry, shape = _draw_pool(draw)
        return cls(*geometry), (draw.kinky(shape),)


class Pick(_Pool):
    """The pixel of each window that `winner` names by its tap number."""

    linear = ("x",)
    constant = ("winner",)
    per_item = ("x", "winner")

    def forward(self, x: Any, winner: Any) -> Any:
        return kernels.pick(x, winner, *self.geometry)

    def vjp_x(self, g: Any, out: Any, x: Any, winner: Any) -> Any:
        return Place.of(*self.geometry, x.shape[1:-1])(g, winner)

    def spec(self, x: Spec, winner: Spec) -> Spec:
        return Spec(self._out(x), x.dtype)

    def reference(self, x: Any, winner: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty((len(x), *self._positions(x.shape[1:-1]), x.shape[-1]))
        for p, pixels in self._windows(x.shape[1:-1]):
            for n, c in np.ndindex(len(x), x.shape[-1]):
                at = dict(pixels)[int(winner[(n, *p, c)])]
                out[(n, *p, c)] = x[(n, *at, c)]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        geometry, shape = _draw_pool(draw)
        _, winner = kernels.max_pool(draw.normal(shape), *geometry)
        return cls(*geometry), (draw.normal(shape), winner)


class Place(_Pool):
    """Each g added at the pixel that `winner` names, in an image of `size`, zero elsewhere."""

    size: Ints
    linear = ("g",)
    constant = ("winner",)
    per_item = ("g", "winner")

    def forward(self, g: Any, winner: Any) -> Any:
        return kernels.place(g, winner, self.size, *self.geometry)

    def vjp_g(self, c: Any, out: Any, g: Any, winner: Any) -> Any:
        return Pick.of(*self.geometry)(c, winner)

    def spec(self, g: Spec, winner: Spec) -> Spec:
        return Spec((g.shape[0], *self.size, g.shape[-1]), g.dtype)

    def reference(self, g: Any, winner: Any) -> Any:
        g = np.asarray(g, dtype=object)
        out = scalar.empty((len(g), *self.size, g.shape[-1]))
        out.fill(0.0)
        for p, pixels in self._windows(self.size):
            for n, c in np.ndindex(len(g), g.shape[-1]):
                at = (n, *dict(pixels)[int(winner[(n, *p, c)])], c)
                out[at] = out[at] + g[(n, *p, c)]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, (x, winner) = Pick.sample(draw)
        return cls(*op.geometry, x.shape[1:-1]), (draw.normal(winner.shape), winner)


class WindowMean(_Pool):
    """The mean of each window; pixels outside the image count as zeros, or not at all."""

    count_pad: bool = True
    linear = ("x",)
    per_item = ("x",)
    checks = True
    name = "avg_pool"

    def _weights(self) -> Any:
        """The weight of each tap, an array like the kernel; None if all weigh the same."""
        return None

    def _counts(self, size: Ints) -> Any:
        """What each window's sum is divided by, broadcastable to the result."""
        if not self.count_pad:
            return kernels.window_sum(np.ones((1, *size, 1)), *self.geometry, self._weights())
        weights = self._weights()
        return prod(self.kernel) if weights is None else weights.sum()

    def _shares(self, size: Ints) -> Iterator[tuple[Ints, list[tuple[Ints, float]]]]:
        """The definition: every position with its pixels and the share of each in the mean."""
        weights = np.ones(self.kernel) if self._weights() is None else self._weights()
        for p, pixels in self._windows(size):
            heavy = [(at, float(weights.flat[number])) for number, at in pixels]
            total = float(weights.sum()) if self.count_pad else sum(w for _, w in heavy)
            yield p, [(at, w / total) for at, w in heavy]

    def forward(self, x: Any) -> Any:
        dtype = floating(Spec.of(x))
        wide = np.dtype("float32") if dtype.itemsize < 4 else dtype  # as in numpy's mean
        x = x.astype(wide, copy=False)
        total = kernels.window_sum(x, *self.geometry, self._weights())
        total /= np.asarray(self._counts(x.shape[1:-1]), wide)
        return total.astype(dtype, copy=False)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return WindowSpread.of(*self.geometry, self.count_pad, x.shape[1:-1])(g)

    def spec(self, x: Spec) -> Spec:
        return Spec(self._out(x), floating(x))

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty((len(x), *self._positions(x.shape[1:-1]), x.shape[-1]))
        for p, shares in self._shares(x.shape[1:-1]):
            for n, c in np.ndindex(len(x), x.shape[-1]):
                out[(n, *p, c)] = scalar.total(x[(n, *at, c)] * share for at, share in shares)
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        geometry, shape = _draw_pool(draw)
        return cls(*geometry, draw.boolean()), (draw.normal(shape),)


class WindowSpread(WindowMean):
    """The transpose of the window mean: each g shared out over the pixels of its window."""

    size: Ints = ()
    linear = ("g",)
    per_item = ("g",)
    checks = False
    name = "window_spread"

    def forward(self, g: Any) -> Any:
        dtype = floating(Spec.of(g))
        share = g.astype(dtype, copy=False) / np.asarray(self._counts(self.size), dtype)
        return kernels.window_spread(share, self.size, *self.geometry, self._weights())

    def vjp_g(self, c: Any, out: Any, g: Any) -> Any:
        return WindowMean.of(*self.geometry, self.count_pad)(c)

    def spec(self, g: Spec) -> Spec:
        return Spec((g.shape[0], *self.size, g.shape[-1]), floating(g))

    def reference(self, g: Any) -> Any:
        g = np.asarray(g, dtype=object)
        out = scalar.empty((len(g), *self.size, g.shape[-1]))
        out.fill(0.0)
        for p, shares in self._shares(self.size):
            for (n, c), (at, share) in product(np.ndindex(len(g), g.shape[-1]), shares):
                out[(n, *at, c)] = out[(n, *at, c)] + g[(n, *p, c)] * share
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, (x,) = WindowMean.sample(draw)
        g = draw.normal(op.spec(Spec.of(x)).shape)
        return cls(*op.geometry, op.count_pad, x.shape[1:-1]), (g,)


class BlurPool(WindowMean):
    """A mean in which the taps weigh like binomial coefficients along each axis."""

    name = "blur_pool"

    def _weights(self) -> Any:
        return _binomial(self.kernel)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return BlurSpread.of(*self.geometry, self.count_pad, x.shape[1:-1])(g)


class BlurSpread(WindowSpread):
    """The transpose of the blurring mean."""

    name = "blur_spread"

    def _weights(self) -> Any:
        return _binomial(self.kernel)

    def vjp_g(self, c: Any, out: Any, g: Any) -> Any:
        return BlurPool.of(*self.geometry, self.count_pad)(c)


def _binomial(kernel: Ints) -> Any:
    """Products of binomial coefficients: (1, 2, 1) along an axis of three taps."""
    axes = [np.array([comb(k - 1, i) for i in range(k)], float) for k in kernel]
    return reduce(np.multiply.outer, axes)


def _draw_pool(draw: Draw) -> tuple[tuple[Ints, Ints, Pairs], Shape]:
    nd = draw.choice((1, 2, 2, 3))
    kernel, stride, padding, size = [], [], [], []
    for _ in range(nd):
        k, s = draw.choice((2, 3, 1)), draw.choice((2, 1, 3))
        b, a = draw.integer(0, k - 1), draw.integer(0, k - 1)
        kernel.append(k)
        stride.append(s)
        padding.append((b, a))
        size.append(max(1, k - b - a) + draw.integer(0, 4 if nd < 3 else 1))
    shape = (draw.choice((2, 1, 3, 2, 1, 0)), *size, draw.choice((1, 2)))
    return (tuple(kernel), tuple(stride), tuple(padding)), shape


def _geometry(op: str, x: Any, size: Any, stride: Any, padding: Any) -> tuple[Ints, Ints, Pairs]:
    nd = x.ndim - 2
    if nd < 1:
        raise ShapeError(
            op,
            f"x is {show(x.shape)}, but pooling needs a batch, spatial axes and channels",
            "Add the missing axes: x[None] or x[..., None].",
        )
    kernel = per_axis(op, "size", size, nd)
    strides = kernel if stride is None else per_axis(op, "stride", stride, nd)
    if padding == "same" and any(s != 1 for s in strides):
        raise DomainError(
            op,
            f'padding "same" keeps the size, but the stride is {strides}',
            "Use stride=1, or give the padding in pixels.",
        )
    return kernel, strides, padding_pairs(op, padding, kernel, strides, (1,) * nd)


def max_pool(x: Any, size: Any, *, stride: Any = None, padding: Any = 0) -> Any:
    """The greatest pixel of each window, channel by channel (chapter, section 7.2).

    The whole gradient goes to the first winner in reading order. Padding never wins; NaN does.

    Args:
        x: (N, *S, C) images, 1-, 2- or 3-d.
        size: of the window: an int, or one for each spatial axis.
        stride: spacing of the windows; the window's size by default.
        padding: as for `conv`; smaller than the window.

    Returns:
        (N, *P, C) with P = ⌈(S + padding - size + 1) / stride⌉, dtype of x.

    Raises:
        ShapeError: if axes are missing, or the window is larger than the padded image.
        DomainError: if size, stride or padding is no such value.

    >>> x = np.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1)
    >>> max_pool(x, 2).ravel()
    array([3., 2.])
    """
    x = x if hasattr(x, "ndim") else np.asarray(x)
    return MaxPool.of(*_geometry("max_pool", x, size, stride, padding))(x)


def avg_pool(
    x: Any,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window, channel by channel. Arguments and errors as for `max_pool`.

    Args:
        count_include_pad: count padding as zeros (True), or leave it out of the mean (False).

    Returns:
        (N, *P, C); integers give floats.

    >>> x = np.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1)
    >>> avg_pool(x, 2).ravel()
    array([2., 1.])
    """
    x = x if hasattr(x, "ndim") else np.asarray(x)
    geometry = _geometry("avg_pool", x, size, stride, padding)
    return WindowMean.of(*geometry, bool(count_include_pad))(x)


def blur_pool(x: Any, size: Any = 3, *, stride: Any = 2, padding: Any = None) -> Any:
    """Down-sample by a weighted mean of each window, channel by channel (chapter, section 7.2).

    The taps weigh like binomial coefficients, (1, 2, 1) for three. Between a `max_pool` of stride
    1 and the next layer it takes the place of the pool's stride: a pattern that moves by a pixel
    then changes the result a little, not all at once. Source: Zhang, Making Convolutional
    Networks Shift-Invariant Again (2019).

    Args:
        x: (N, *S, C) images, 1-, 2- or 3-d; integers give floats.
        size: of the window, an int or one for each spatial axis; 2 is the plain average.
        stride: spacing of the windows.
        padding: as for `conv`; by default (size - 1) pixels in all, so that the result has
            ⌈S / stride⌉ positions. Pixels outside the image do not count in the mean.

    Returns:
        (N, *P, C) with P = ⌈(S + padding - size + 1) / stride⌉.

    Raises:
        ShapeError: if axes are missing, or the window is larger than the padded image.
        DomainError: if size, stride or padding is no such value.

    >>> x = np.array([0.0, 0.0, 4.0, 0.0]).reshape(1, 4, 1)
    >>> blur_pool(x, 3).ravel()
    array([0., 2.])
    """
    x = x if hasattr(x, "ndim") else np.asarray(x)
    kernel, strides, pairs = _geometry(
        "blur_pool", x, size, stride, 0 if padding is None else padding
    )
    if padding is None:
        pairs = padding_pairs("blur_pool", "same", kernel, strides, (1,) * len(kernel))
    return BlurPool.of(kernel, strides, pairs, False)(x)
