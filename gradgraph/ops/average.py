"""Average pooling (chapter, section 7.2): the mean of each window, plain or blurring.

`WindowMean` and `WindowSpread` are each other's transpose, and so are the weighted pair.
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
from ..kernels import pooling
from ..spec import Spec, floating
from .geometry import Ints, Pairs, padding_pairs
from .operand import accumulated, shaped
from .pool import Pool, draw_pool, pool_geometry, with_last_window

__all__ = ["avg_pool", "blur_pool"]


class WindowMean(Pool):
    """The mean of each window; as much padding as `counted` says counts as pixels of value 0."""

    counted: Pairs
    linear = ("x",)
    per_item = ("x",)
    checks = True
    name = "avg_pool"

    def _weights(self) -> Any:
        """The weight of each tap, an array like the kernel; None if all weigh the same."""
        return None

    def _counts(self, size: Ints) -> Any:
        """What each window's sum is divided by, broadcastable to the result."""
        weights = self._weights()
        if self.counted == self.padding:
            return prod(self.kernel) if weights is None else weights.sum()
        counting = [n + b + a for n, (b, a) in zip(size, self.counted, strict=True)]
        rest = tuple(
            (b - inner_b, a - inner_a)
            for (b, a), (inner_b, inner_a) in zip(self.padding, self.counted, strict=True)
        )
        ones = np.ones((1, *counting, 1))
        return pooling.window_sum(ones, self.kernel, self.stride, rest, self.dilation, weights)

    def _shares(self, size: Ints) -> Iterator[tuple[Ints, list[tuple[Ints, float]]]]:
        """The definition: every position with its pixels and the share of each in the mean."""
        weights = np.ones(self.kernel) if self._weights() is None else self._weights()
        heavy = {number: float(w) for number, w in enumerate(weights.flat)}
        around = self._windows(size, self.counted)
        for (p, pixels), (_, counting) in zip(self._windows(size), around, strict=True):
            total = sum(heavy[number] for number in counting)
            yield p, [(at, heavy[number] / total) for number, at in pixels.items()]

    def forward(self, x: Any) -> Any:
        dtype = floating(Spec.of(x))
        total = pooling.window_sum(accumulated(x), *self.geometry, self._weights())
        total /= np.asarray(self._counts(x.shape[1:-1]), total.dtype)
        return total.astype(dtype, copy=False)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return WindowSpread.of(*self.geometry, self.counted, x.shape[1:-1])(g)

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
        geometry, shape = draw_pool(draw)
        counted = tuple((draw.integer(0, b), draw.integer(0, a)) for b, a in geometry[2])
        return cls(*geometry, counted), (draw.normal(shape),)


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
        return pooling.window_spread(share, self.size, *self.geometry, self._weights())

    def vjp_g(self, c: Any, out: Any, g: Any) -> Any:
        return WindowMean.of(*self.geometry, self.counted)(c)

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
        return cls(*op.geometry, op.counted, x.shape[1:-1]), (g,)


class BlurPool(WindowMean):
    """A mean in which the taps weigh like binomial coefficients along each axis."""

    name = "blur_pool"

    def _weights(self) -> Any:
        return _binomial(self.kernel)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return BlurSpread.of(*self.geometry, self.counted, x.shape[1:-1])(g)


class BlurSpread(WindowSpread):
    """The transpose of the blurring mean."""

    name = "blur_spread"

    def _weights(self) -> Any:
        return _binomial(self.kernel)

    def vjp_g(self, c: Any, out: Any, g: Any) -> Any:
        return BlurPool.of(*self.geometry, self.counted)(c)


def _binomial(kernel: Ints) -> Any:
    """Products of binomial coefficients: (1, 2, 1) along an axis of three taps."""
    axes = [np.array([comb(k - 1, i) for i in range(k)], float) for k in kernel]
    return reduce(np.multiply.outer, axes)


def avg_pool(
    x: Any,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window, channel by channel (chapter, section 7.2).

    Args:
        x, size, stride, padding, ceil_mode: as for `max_pool`.
        count_include_pad: count padding as zeros (True), or leave it out of the mean (False).
            What `ceil_mode` adds beyond the padding is never counted.

    Returns:
        (N, *P, C), P as for `max_pool`; integers give floats.

    Raises:
        ShapeError, DomainError: as for `max_pool`.

    >>> x = np.array([1.0, 3.0, 2.0, 0.0, 7.0]).reshape(1, 5, 1)
    >>> avg_pool(x, 2).ravel(), avg_pool(x, 2, ceil_mode=True).ravel()
    (array([2., 1.]), array([2., 1., 7.]))
    """
    x = shaped("avg_pool", x)
    geometry = pool_geometry("avg_pool", x, size, stride, padding)
    counted = geometry[2] if count_include_pad else ((0, 0),) * (x.ndim - 2)
    if ceil_mode:
        geometry = with_last_window(geometry, x.shape[1:-1])
    return WindowMean.of(*geometry, counted)(x)


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
    x = shaped("blur_pool", x)
    kernel, strides, pairs, ones = pool_geometry(
        "blur_pool", x, size, stride, 0 if padding is None else padding
    )
    if padding is None:
        pairs = padding_pairs("blur_pool", "same", kernel, strides, ones)
    return BlurPool.of(kernel, strides, pairs, ones, ((0, 0),) * len(kernel))(x)
