"""Pooling to a size that does not depend on the image's: one pixel, or a given number of bins."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import ShapeError
from ..kernels import pooling
from ..op import Op
from ..spec import Shape, Spec, floating, show
from . import reduce
from .geometry import Ints, per_axis
from .operand import accumulated, shaped

__all__ = ["adaptive_avg_pool", "global_avg_pool", "global_max_pool"]


class BinMean(Op):
    """The mean of each of `counts` bins of an image; neighbouring bins may share pixels."""

    counts: Ints
    linear = ("x",)
    per_item = ("x",)
    checks = True
    style = "pool"
    name = "adaptive_avg_pool"

    def forward(self, x: Any) -> Any:
        means = pooling.bin_mean(accumulated(x), self.counts)
        return means.astype(floating(Spec.of(x)), copy=False)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return BinSpread.of(x.shape[1:-1])(g)

    def spec(self, x: Spec) -> Spec:
        if 0 in x.shape[1:-1]:
            raise ShapeError(
                self.name, f"x is {show(x.shape)} and has no pixels", "A mean needs at least one."
            )
        return Spec((x.shape[0], *self.counts, x.shape[-1]), floating(x))

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty((len(x), *self.counts, x.shape[-1]))
        for p, pixels in _bins(x.shape[1:-1], self.counts):
            for n, c in np.ndindex(len(x), x.shape[-1]):
                total = scalar.total(x[(n, *at, c)] for at in pixels)
                out[(n, *p, c)] = total * (1.0 / len(pixels))
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        counts, shape = _draw_bins(draw)
        return cls(counts), (draw.normal(shape),)

    def flops(self, out: Spec, x: Spec) -> int:  # type: ignore[override]
        return _flops(out, x)


class BinSpread(Op):
    """The transpose of `BinMean`: each g shared out over the pixels of its bin."""

    size: Ints
    linear = ("g",)
    per_item = ("g",)
    style = "pool"

    def forward(self, g: Any) -> Any:
        shares = pooling.bin_spread(accumulated(g), self.size)
        return shares.astype(floating(Spec.of(g)), copy=False)

    def vjp_g(self, c: Any, out: Any, g: Any) -> Any:
        return BinMean.of(g.shape[1:-1])(c)

    def spec(self, g: Spec) -> Spec:
        return Spec((g.shape[0], *self.size, g.shape[-1]), floating(g))

    def reference(self, g: Any) -> Any:
        g = np.asarray(g, dtype=object)
        out = scalar.empty((len(g), *self.size, g.shape[-1]))
        out.fill(0.0)
        for p, pixels in _bins(self.size, g.shape[1:-1]):
            for (n, c), at in product(np.ndindex(len(g), g.shape[-1]), pixels):
                out[(n, *at, c)] = out[(n, *at, c)] + g[(n, *p, c)] * (1.0 / len(pixels))
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        counts, (n, *size, c) = _draw_bins(draw)
        return cls(tuple(size)), (draw.normal((n, *counts, c)),)

    def flops(self, out: Spec, g: Spec) -> int:  # type: ignore[override]
        return _flops(g, out)


def _bins(size: Ints, counts: Ints) -> Iterator[tuple[Ints, list[Ints]]]:
    """The definition: every bin with its pixels."""
    for p in product(*map(range, counts)):
        ranges = [
            range(i * n // m, ((i + 1) * n + m - 1) // m)
            for i, n, m in zip(p, size, counts, strict=True)
        ]
        yield p, list(product(*ranges))


def _flops(binned: Spec, image: Spec) -> int:
    """One for each pixel of each bin, as in the other pools."""
    sizes = zip(image.shape[1:-1], binned.shape[1:-1], strict=True)
    lengths: list[int] = [sum(bin.stop - bin.start for bin in pooling.bins(n, m)) for n, m in sizes]
    return image.shape[0] * image.shape[-1] * prod(lengths)


def _draw_bins(draw: Draw) -> tuple[Ints, Shape]:
    nd = draw.choice((1, 2, 1, 3))
    counts = tuple(draw.choice((2, 3, 1)) for _ in range(nd))
    size = tuple(draw.integer(1, 7 if nd < 3 else 3) for _ in range(nd))
    return counts, (draw.choice((2, 1, 0)), *size, draw.choice((1, 2)))


def _images(op: str, x: Any) -> Any:
    x = shaped(op, x)
    if x.ndim < 3:
        raise ShapeError(
            op,
            f"x is {show(x.shape)}, but pooling needs a batch, spatial axes and channels",
            "Add the missing axes: x[None] or x[..., None].",
        )
    return x


def global_avg_pool(x: Any, keepdims: bool = False) -> Any:
    """The mean of each channel over all of the image: `mean` over the spatial axes.

    Args:
        x: (N, *S, C) images, 1-, 2- or 3-d.
        keepdims: keep the spatial axes with length 1.

    Returns:
        (N, C), or (N, 1, …, C) with `keepdims`; integers give floats.

    Raises:
        ShapeError: if axes are missing, or the image has no pixels.

    Source: Lin, Chen and Yan, Network in Network (2013).

    >>> global_avg_pool(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[3., 4.]])
    """
    x = _images("global_avg_pool", x)
    return reduce.mean(x, axis=tuple(range(1, x.ndim - 1)), keepdims=keepdims)


def global_max_pool(x: Any, keepdims: bool = False) -> Any:
    """The greatest pixel of each channel over all of the image: `max` over the spatial axes.

    Pixels that tie share the gradient evenly, as in `max`; `max_pool` with a window as large as
    the image gives all of it to the first.

    Args:
        x: (N, *S, C) images, 1-, 2- or 3-d.
        keepdims: keep the spatial axes with length 1.

    Returns:
        (N, C), or (N, 1, …, C) with `keepdims`; dtype of x.

    Raises:
        ShapeError: if axes are missing, or the image has no pixels.

    >>> global_max_pool(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[6., 7.]])
    """
    x = _images("global_max_pool", x)
    return reduce.max(x, axis=tuple(range(1, x.ndim - 1)), keepdims=keepdims)


def adaptive_avg_pool(x: Any, size: Any) -> Any:
    """The mean of each of `size` bins that cover the image, whatever its size, per channel.

    Bin i of m, along an axis of n pixels, goes from ⌊i·n/m⌋ up to ⌈(i + 1)·n/m⌉ (excluded):
    neighbouring bins share a pixel where m does not divide n, and pixels are repeated if m > n.

    Args:
        x: (N, *S, C) images, 1-, 2- or 3-d.
        size: bins along each spatial axis; an int, or one for each.

    Returns:
        (N, *size, C); integers give floats.

    Raises:
        ShapeError: if axes are missing, or the image has no pixels.
        DomainError: if size is no such value.

    Source: the bins are those of torch's `AdaptiveAvgPool2d`.

    >>> adaptive_avg_pool(np.arange(5.0).reshape(1, 5, 1), 2).ravel()
    array([1., 3.])
    """
    x = _images("adaptive_avg_pool", x)
    return BinMean.of(per_axis("adaptive_avg_pool", "size", size, x.ndim - 2))(x)
