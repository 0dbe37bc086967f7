"""Shapes and axes: reshape, transpose, broadcast, axes of length 1."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, ShapeError
from ..op import Op
from ..spec import Shape, Spec, axes_of, show
from .operand import ints, one_axis, shaped

__all__ = [
    "broadcast_to",
    "expand_dims",
    "moveaxis",
    "ravel",
    "reshape",
    "squeeze",
    "swapaxes",
    "transpose",
]


class Rearrange(Op, abstract=True):
    """An op that moves elements and computes nothing."""

    linear: ClassVar[tuple[str, ...]] = ("x",)
    style = "shape"

    def flops(self, out: Spec, *args: Spec) -> int:
        return 0


class Reshape(Rearrange):
    """The same elements in reading order, in another shape."""

    shape: Shape
    batched = True

    def forward(self, x: Any) -> Any:
        return np.reshape(x, self.shape)

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        return Reshape.of((size, *spec.shape))(*args)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return reshape(g, g.shape[: g.ndim - out.ndim] + x.shape)

    def spec(self, x: Spec) -> Spec:
        free = self.shape.count(-1)
        known = prod(n for n in self.shape if n != -1)
        fits = known == x.size if not free else known and x.size % known == 0
        if free > 1 or not fits or any(n < -1 for n in self.shape):
            raise ShapeError(
                self.name,
                f"x is {show(x.shape)} ({x.size} elements) and cannot become"
                f" {show(self.shape)} ({known if not free else f'a multiple of {known}'} elements)",
                _reshape_fix(x.shape, self.shape),
            )
        return x.with_shape(tuple(x.size // known if n == -1 else n for n in self.shape))

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        flat = [x[at] for at in np.ndindex(x.shape)]
        shape = self.spec(Spec(x.shape, np.dtype(float))).shape
        out = scalar.empty(shape)
        for at, v in zip(np.ndindex(shape), flat, strict=True):
            out[at] = v
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape())
        options = [x.shape[::-1], (x.size,), (1, *x.shape), (-1, *x.shape[1:])]
        shape = draw.choice(options if x.size and x.ndim else options[:3])
        return cls(shape), (x,)


def _reshape_fix(shape: Shape, target: Shape) -> str:
    if len(shape) > 2 and len(target) > 1:
        return f"To flatten all but the first axis, use reshape({shape[0]}, {prod(shape[1:])})."
    return f"Choose lengths whose product is {prod(shape)}, or -1 for one of them."


class Transpose(Rearrange):
    """Axis i of the result is axis axes[i] of x."""

    axes: Shape
    batched = True

    def forward(self, x: Any) -> Any:
        return np.transpose(x, self.axes)

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        return Transpose.of((0, *(a + 1 for a in self.axes)))(*args)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        lead = g.ndim - out.ndim
        inverse = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return Transpose.of((*range(lead), *(a + lead for a in inverse)))(g)

    def spec(self, x: Spec) -> Spec:
        if sorted(self.axes) != list(range(x.ndim)):
            raise ShapeError(
                self.name,
                f"axes {self.axes} do not name each of the {x.ndim} axes of x"
                f" ({show(x.shape)}) once",
                f"Use an order of {tuple(range(x.ndim))}.",
            )
        return x.with_shape(tuple(x.shape[a] for a in self.axes))

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty(tuple(x.shape[a] for a in self.axes))
        for at in np.ndindex(x.shape):
            out[tuple(at[a] for a in self.axes)] = x[at]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape())
        return cls(tuple(map(int, draw.rng.permutation(x.ndim)))), (x,)


class BroadcastTo(Rearrange):
    """x repeated along axes of length 1 and along new leading axes."""

    shape: Shape
    batched = True

    def forward(self, x: Any) -> Any:
        return np.broadcast_to(x, self.shape)

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        ones = (1,) * (spec.ndim - examples[0].ndim)
        x = reshape(args[0], (size, *ones, *examples[0].shape))
        return BroadcastTo.of((size, *spec.shape))(x)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g  # the sweep sums over what was broadcast

    def spec(self, x: Spec) -> Spec:
        tail = self.shape[len(self.shape) - x.ndim :]
        if len(self.shape) < x.ndim or any(
            n not in (1, m) for n, m in zip(x.shape, tail, strict=True)
        ):
            raise ShapeError(
                self.name,
                f"x is {show(x.shape)} and cannot be repeated to {show(self.shape)}",
                "Each axis of x, counted from the last, must be 1 or as long as the target's.",
            )
        return x.with_shape(self.shape)

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty(self.shape)
        for at in np.ndindex(self.shape):
            tail = at[len(at) - x.ndim :]
            out[at] = x[tuple(0 if n == 1 else i for i, n in zip(tail, x.shape, strict=True))]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        small, full = draw.broadcastable(2)
        shape = np.broadcast_shapes(small, full)
        return cls(shape), (draw.normal(small),)


def along(axis: int, start: Any, stop: Any, ndim: int) -> tuple[slice, ...]:
    """The index of a slice along one axis."""
    index = [slice(None)] * ndim
    index[axis] = slice(start, stop)
    return tuple(index)


def reshape(x: Any, *shape: Any, order: str = "C") -> Any:
    """The elements of x, in reading order, in another shape.

    Args:
        x: tensor or array.
        shape: lengths of the new axes, as one tuple or as several arguments; one may be -1.
        order: only "C", reading order.

    Raises:
        ShapeError: if the number of elements differs.
        DomainError: if the order is another one.

    >>> reshape(np.arange(6.0), (2, -1)).shape
    (2, 3)
    """
    if order != "C":
        raise DomainError(
            "reshape",
            f"order {order!r} is not available: elements are read along the last axis first",
            "For Fortran's order reshape the transpose: reshape(x.T, shape[::-1]).T.",
        )
    target = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    lengths = ints("reshape", "shape", target)
    op = Reshape.of(lengths)
    if lengths and min(lengths) < -1:  # numpy takes these for -1
        op.spec(Spec.of(np.asarray(getattr(x, "_data", x))))
    return op(x)


def transpose(x: Any, axes: Any = None) -> Any:
    """x with its axes in another order; reversed by default.

    Raises:
        ShapeError: if `axes` does not name every axis once.

    >>> transpose(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    ndim = shaped("transpose", x).ndim
    if axes is None:
        return Transpose.of(tuple(range(ndim))[::-1])(x)
    order = ints("transpose", "axes", axes)
    return Transpose.of(tuple(a + ndim if -ndim <= a < 0 else a for a in order))(x)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """x with two axes exchanged.

    >>> swapaxes(np.zeros((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    x = shaped("swapaxes", x)
    axes = list(range(x.ndim))
    i, j = (one_axis("swapaxes", a, x.ndim) for a in (axis1, axis2))
    axes[i], axes[j] = axes[j], axes[i]
    return Transpose.of(tuple(axes))(x)


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """x with some axes moved to new places, the others in their order.

    Args:
        source, destination: int or tuple of ints, equally many.

    Raises:
        ShapeError: if an axis is out of range, or the two do not match.

    >>> moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = shaped("moveaxis", x)
    ndim = x.ndim
    pairs = [
        [one_axis("moveaxis", a, ndim) + ndim for a in (s if isinstance(s, tuple | list) else [s])]
        for s in (source, destination)
    ]
    if len(pairs[0]) != len(pairs[1]) or any(len(set(p)) < len(p) for p in pairs):
        raise ShapeError(
            "moveaxis",
            f"source {source} and destination {destination} must name equally many axes, each once",
            "Pass two ints or two tuples of the same length.",
        )
    order = [a for a in range(ndim) if a not in pairs[0]]
    for to, a in sorted(zip(pairs[1], pairs[0], strict=True)):
        order.insert(to, a)
    return Transpose.of(tuple(order))(x)


def broadcast_to(x: Any, shape: Any) -> Any:
    """x repeated to a shape that it broadcasts to (a view: nothing is copied).

    Raises:
        ShapeError: if it does not.

    >>> broadcast_to(np.array([1.0, 2.0]), (2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    lengths = ints("broadcast_to", "shape", shape)
    if min(lengths, default=0) < 0:
        raise ShapeError(
            "broadcast_to", f"{lengths} is no shape", "Name every length: -1 stands for none here."
        )
    return BroadcastTo.of(lengths)(x)


def ravel(x: Any) -> Any:
    """The elements of x, in reading order, along one axis.

    >>> ravel(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([1., 2., 3., 4.])
    """
    x = shaped("ravel", x)
    return Reshape.of((x.size,))(x)


def expand_dims(x: Any, axis: Any) -> Any:
    """x with new axes of length 1.

    Args:
        x: tensor or array.
        axis: int or tuple of ints: where the new axes are in the result.

    Raises:
        ShapeError: if an axis is out of range for the result, or named twice.

    >>> expand_dims(np.zeros((2, 3)), (0, -1)).shape
    (1, 2, 3, 1)
    """
    x = shaped("expand_dims", x)
    ndim = x.ndim + (len(axis) if isinstance(axis, tuple | list) else 1)
    if axis is None:
        raise ShapeError("expand_dims", "axis is None, and names no place", "Use axis=0.")
    new = {a + ndim for a in axes_of("expand_dims", axis, ndim)}
    lengths = iter(x.shape)
    return Reshape.of(tuple(1 if i in new else next(lengths) for i in range(ndim)))(x)


def squeeze(x: Any, axis: Any = None) -> Any:
    """x without axes of length 1: all of them, or those named.

    Args:
        x: tensor or array.
        axis: int, tuple of ints or None.

    Raises:
        ShapeError: if a named axis is longer than 1, or out of range.

    >>> squeeze(np.zeros((1, 2, 1))).shape, squeeze(np.zeros((1, 2, 1)), 0).shape
    ((2,), (2, 1))
    """
    x = shaped("squeeze", x)
    if axis is None:
        return Reshape.of(tuple(n for n in x.shape if n != 1))(x)
    axes = axes_of("squeeze", axis, x.ndim)
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(
                "squeeze",
                f"axis {a} of x ({show(x.shape)}) has length {x.shape[a]}, and only axes of length"
                " 1 can go",
                "To pick one element along it, index it.",
            )
    return Reshape.of(tuple(n for i, n in enumerate(x.shape) if i - x.ndim not in axes))(x)
