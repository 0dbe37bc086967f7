"""Maximum pooling (chapter, section 7.2): the greatest pixel of each window, with no weights.

`Pick` reads the winners, `Place` writes back to them; each is the transpose of the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, DTypeError, ShapeError
from ..kernels import dispatch, numpy_, pooling
from ..kink import Kink
from ..op import Op
from ..spec import Shape, Spec, show
from .geometry import Ints, Pairs, padding_pairs, per_axis
from .operand import shaped

__all__ = ["max_pool"]

Geometry = tuple[Ints, Ints, Pairs, Ints]


class Pool(Op, abstract=True):
    """A window of `kernel` pixels that moves by `stride` over each channel."""

    kernel: Ints
    stride: Ints
    padding: Pairs
    dilation: Ints
    style = "pool"

    @property
    def geometry(self) -> Geometry:
        return self.kernel, self.stride, self.padding, self.dilation

    def _positions(self, size: Ints) -> Ints:
        return numpy_.out_shape(size, *self.geometry)

    def _windows(self, size: Ints, margin: Pairs = ()) -> Iterator[tuple[Ints, dict[int, Ints]]]:
        """Every position, with the pixel of each tap that lies in the image or its margin."""
        margin = margin or ((0, 0),) * len(size)
        for p in product(*map(range, self._positions(size))):
            pixels = {}
            for number, t in enumerate(product(*map(range, self.kernel))):
                at = tuple(
                    i * s + j * d - b
                    for i, s, j, d, (b, _) in zip(
                        p, self.stride, t, self.dilation, self.padding, strict=True
                    )
                )
                inside = zip(at, size, margin, strict=True)
                if all(-b <= i < n + a for i, n, (b, a) in inside):
                    pixels[number] = at
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
        for axis, (n, k, (b, a), d) in enumerate(
            zip(x.shape[1:-1], self.kernel, self.padding, self.dilation, strict=True), 1
        ):
            span = d * (k - 1) + 1
            if span > n + b + a:
                apart = f" (dilation {d}: it spans {span} pixels)" if d > 1 else ""
                raise ShapeError(
                    self.name,
                    f"the window is {show(self.kernel)}{apart} but the image is"
                    f" {show(x.shape[1:-1])}: axis {axis} has only {n + b + a} pixels with padding",
                    "Use a smaller window, or pool less before.",
                )
            if max(b, a) >= span:
                raise ShapeError(
                    self.name,
                    f"padding ({b}, {a}) of axis {axis} is not smaller than the window ({span}),"
                    " so some windows would hold no pixel",
                    f"Use at most {span - 1}.",
                )
            if n < d and k > 1:
                raise ShapeError(
                    self.name,
                    f"axis {axis} of the image has {n} pixels and the taps of a window are {d}"
                    " apart, so some windows would hold no pixel",
                    "Use a smaller dilation, or pool less before.",
                )
        return (x.shape[0], *self._positions(x.shape[1:-1]), x.shape[-1])

    def label(self) -> str:
        words = ["×".join(map(str, self.kernel)), "s" + "×".join(map(str, self.stride))]
        if any(n for pair in self.padding for n in pair):
            words.append(f"p{self.padding}")
        if prod(self.dilation) > 1:
            words.append("d" + "×".join(map(str, self.dilation)))
        return " · ".join(words)

    def flops(self, out: Spec, *args: Spec) -> int:
        return out.size * prod(self.kernel)


class MaxPool(Pool):
    """The greatest pixel of each window; the first in reading order wins a tie."""

    kinks = (
        Kink(
            "several greatest pixels in a window",
            "everything to the first in reading order",
            ([[[2.0], [2.0], [1.0], [5.0]]],),
            ([[[1.0], [0.0], [0.0], [1.0]]],),
            ((2,), (2,), ((0, 0),), (1,)),
        ),
    )
    saves = ("winner",)
    per_item = ("x",)
    checks = True

    def forward(self, x: Any) -> Any:
        return dispatch.max_pool(x, *self.geometry)

    def into(self, out: Any, x: Any) -> None:
        dispatch.max_pool(x, *self.geometry, out)

    def vjp_x(self, g: Any, out: Any, x: Any, winner: Any) -> Any:
        return Place.of(*self.geometry, x.shape[1:-1])(g, winner)

    def jvp_x(self, t: Any, out: Any, x: Any, winner: Any) -> Any:
        return Pick.of(*self.geometry)(t, winner)

    def saved_stand_ins(self, inputs: Any, spec: Spec) -> Any:
        dtype = np.dtype(pooling.winner_dtype(self.kernel))
        return (Spec(spec.shape, dtype).stand_in(),)

    def spec(self, x: Spec) -> Spec:
        return Spec(_ordered(self, x), x.dtype)

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty((len(x), *self._positions(x.shape[1:-1]), x.shape[-1]))
        for p, pixels in self._windows(x.shape[1:-1]):
            for n, c in np.ndindex(len(x), x.shape[-1]):
                out[(n, *p, c)] = scalar.largest(x[(n, *at, c)] for at in pixels.values())
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        geometry, shape = draw_pool(draw)
        return cls(*geometry), (draw.kinky(shape),)


class MaxPoolIndices(Pool):
    """Where the greatest pixel of each window lies: its place in the image, in reading order."""

    constant = ("x",)
    per_item = ("x",)
    checks = True

    def forward(self, x: Any) -> Any:
        _, winner = dispatch.max_pool(x, *self.geometry)
        return pooling.pixels_of(winner, x.shape[1:-1], *self.geometry)

    def spec(self, x: Spec) -> Spec:
        return Spec(_ordered(self, x), np.dtype(np.int64))

    def reference(self, x: Any) -> Any:
        out = np.zeros((len(x), *self._positions(x.shape[1:-1]), x.shape[-1]), np.int64)
        for p, pixels in self._windows(x.shape[1:-1]):
            for n, c in np.ndindex(len(x), x.shape[-1]):
                best = scalar.largest(x[(n, *at, c)] for at in pixels.values())
                first = next(at for at in pixels.values() if x[(n, *at, c)] == best)
                out[(n, *p, c)] = np.ravel_multi_index(first, x.shape[1:-1])
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        geometry, shape = draw_pool(draw)
        return cls(*geometry), (draw.kinky(shape),)


class Pick(Pool):
    """The pixel of each window that `winner` names by its tap number."""

    linear = ("x",)
    constant = ("winner",)
    per_item = ("x", "winner")

    def forward(self, x: Any, winner: Any) -> Any:
        return pooling.pick(x, winner, *self.geometry)

    def vjp_x(self, g: Any, out: Any, x: Any, winner: Any) -> Any:
        return Place.of(*self.geometry, x.shape[1:-1])(g, winner)

    def spec(self, x: Spec, winner: Spec) -> Spec:
        return Spec(self._out(x), x.dtype)

    def reference(self, x: Any, winner: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty((len(x), *self._positions(x.shape[1:-1]), x.shape[-1]))
        for p, pixels in self._windows(x.shape[1:-1]):
            for n, c in np.ndindex(len(x), x.shape[-1]):
                at = pixels[int(winner[(n, *p, c)])]
                out[(n, *p, c)] = x[(n, *at, c)]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        geometry, shape = draw_pool(draw)
        _, winner = pooling.max_pool(draw.normal(shape), *geometry)
        return cls(*geometry), (draw.normal(shape), winner)


class Place(Pool):
    """Each g added at the pixel that `winner` names, in an image of `size`, zero elsewhere."""

    size: Ints
    linear = ("g",)
    constant = ("winner",)
    per_item = ("g", "winner")

    def forward(self, g: Any, winner: Any) -> Any:
        return dispatch.place(g, winner, self.size, *self.geometry)

    def into(self, out: Any, g: Any, winner: Any) -> None:
        dispatch.place(g, winner, self.size, *self.geometry, out)

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
                at = (n, *pixels[int(winner[(n, *p, c)])], c)
                out[at] = out[at] + g[(n, *p, c)]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, (x, winner) = Pick.sample(draw)
        return cls(*op.geometry, x.shape[1:-1]), (draw.normal(winner.shape), winner)


def _ordered(op: Pool, x: Spec) -> Shape:
    """The shape of the result, for numbers that have an order."""
    if x.dtype.kind not in "fiu":
        raise DTypeError(
            op.name,
            f"x is {x.dtype}, whose greatest element is not defined",
            "Convert it: x.astype(int).",
        )
    return op._out(x)


def draw_pool(draw: Draw, dilations: Ints = (1, 1, 2)) -> tuple[Geometry, Shape]:
    """(kernel, stride, padding, dilation) and the shape of an image on which every window holds
    a pixel."""
    nd = draw.choice((1, 2, 2, 3))
    axes: list[tuple[int, int, tuple[int, int], int, int]] = []
    for _ in range(nd):
        k, s, d = draw.choice((2, 3, 1)), draw.choice((2, 1, 3)), draw.choice(dilations)
        span = d * (k - 1) + 1
        b, a = draw.integer(0, span - 1), draw.integer(0, span - 1)
        smallest = max(d, span - b - a)
        axes.append((k, s, (b, a), d, smallest + draw.integer(0, 4 if nd < 3 else 1)))
    kernel, stride, padding, dilation, size = zip(*axes, strict=True)
    shape = (draw.choice((2, 1, 3, 2, 1, 0)), *size, draw.choice((1, 2)))
    return (kernel, stride, padding, dilation), shape


def pool_geometry(
    op: str, x: Any, size: Any, stride: Any, padding: Any, dilation: Any = 1
) -> Geometry:
    """The arguments of a pooling function as an op's fields, checked."""
    nd = x.ndim - 2
    if nd < 1:
        raise ShapeError(
            op,
            f"x is {show(x.shape)}, but pooling needs a batch, spatial axes and channels",
            "Add the missing axes: x[None] or x[..., None].",
        )
    kernel = per_axis(op, "size", size, nd)
    strides = kernel if stride is None else per_axis(op, "stride", stride, nd)
    dilations = per_axis(op, "dilation", dilation, nd)
    if padding == "same" and any(s != 1 for s in strides):
        raise DomainError(
            op,
            f'padding "same" keeps the size, but the stride is {strides}',
            "Use stride=1, or give the padding in pixels.",
        )
    return kernel, strides, padding_pairs(op, padding, kernel, strides, dilations), dilations


def with_last_window(geometry: Geometry, size: Ints) -> Geometry:
    """The geometry with as much padding after as lets a last window that sticks out be whole.

    A window counts if it starts in the image or in the padding before it, never if it would start
    in the padding after. A first window that sticks out by a stride or more is left to be an error.
    """
    kernel, stride, padding, dilation = geometry
    pairs = []
    for n, k, s, (b, a), d in zip(size, kernel, stride, padding, dilation, strict=True):
        span = d * (k - 1) + 1
        start = -((span - n - b - a) // s) * s
        if start >= n + b:
            start -= s
        pairs.append((b, max(a, start + span - n - b) if start >= 0 else a))
    return kernel, stride, tuple(pairs), dilation


def max_pool(
    x: Any,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The greatest pixel of each window, channel by channel (chapter, section 7.2).

    The whole gradient goes to the first winner in reading order. Padding never wins; NaN does.

    Args:
        x: (N, *S, C) images, 1-, 2- or 3-d.
        size: of the window: an int, or one for each spatial axis.
        stride: spacing of the windows; the window's size by default.
        padding: as for `conv`; smaller than the window.
        dilation: spacing of a window's pixels; an int, or one for each spatial axis.
        ceil_mode: let a last window stick out of the padded image, if it starts in the image or
            in the padding before it; otherwise the pixels that fill no whole window are left out.
        return_indices: return also where the winners are; this searches them again.

    Returns:
        (N, *P, C) with P = ⌈(S + padding - dilation·(size - 1)) / stride⌉, dtype of x. With
        `ceil_mode`, P is ⌈(S + padding - dilation·(size - 1) - 1) / stride⌉ + 1, less one if the
        last window would start in the padding after the image.
        With `return_indices`, a pair: also (N, *P, C) integers, each the winner's place in the
        spatial axes of x in reading order (without padding), channel by channel. No gradient.

    Raises:
        ShapeError: if axes are missing, the window is larger than the padded image, or one would
            hold no pixel.
        DomainError: if size, stride, padding or dilation is no such value.
        DTypeError: if x has no order, as complex numbers and booleans.

    >>> x = np.array([1.0, 3.0, 2.0, 0.0, 7.0]).reshape(1, 5, 1)
    >>> max_pool(x, 2).ravel()
    array([3., 2.])
    >>> y, where = max_pool(x, 2, ceil_mode=True, return_indices=True)
    >>> y.ravel(), where.ravel()
    (array([3., 2., 7.]), array([1, 2, 4]))
    """
    x = shaped("max_pool", x)
    geometry = pool_geometry("max_pool", x, size, stride, padding, dilation)
    if ceil_mode:
        geometry = with_last_window(geometry, x.shape[1:-1])
    y = MaxPool.of(*geometry)(x)
    return (y, MaxPoolIndices.of(*geometry)(x)) if return_indices else y
