"""Ops that rearrange elements: reshape, transpose, broadcast, pad, concatenate."""

from __future__ import annotations

from math import prod
from operator import index
from typing import Any, ClassVar

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, ShapeError
from ..op import Op
from ..spec import Shape, Spec, axes_of, promote, show

__all__ = [
    "broadcast_to",
    "concatenate",
    "moveaxis",
    "pad",
    "reshape",
    "stack",
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


class Pad(Rearrange):
    """x with `width[i]` = (before, after) elements of `value` around axis i."""

    width: tuple[tuple[int, int], ...]
    value: float = 0.0
    linear = ()

    def forward(self, x: Any) -> Any:
        if x.dtype.kind in "biu" and self.value != int(self.value):
            raise DomainError(
                self.name,
                f"value {self.value} does not fit into an array of {x.dtype}",
                "Pad with an integer, or convert x to floats.",
            )
        inside = tuple(slice(b, b + n) for (b, _), n in zip(self.width, x.shape, strict=True))
        out = np.full(
            [b + n + a for (b, a), n in zip(self.width, x.shape, strict=True)], self.value, x.dtype
        )
        out[inside] = x
        return out

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g[tuple(slice(b, b + n) for (b, _), n in zip(self.width, x.shape, strict=True))]

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return Pad.of(self.width)(t)

    def spec(self, x: Spec) -> Spec:
        if len(self.width) != x.ndim or min((n for w in self.width for n in w), default=0) < 0:
            raise ShapeError(
                self.name,
                f"width {self.width} is not one (before, after) pair of lengths ≥ 0 for each of"
                f" the {x.ndim} axes of x ({show(x.shape)})",
                "To remove elements, slice: x[1:-1].",
            )
        sizes = zip(x.shape, self.width, strict=True)
        return x.with_shape(tuple(b + n + a for n, (b, a) in sizes))

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty(tuple(b + n + a for n, (b, a) in zip(x.shape, self.width, strict=True)))
        out.fill(self.value)
        for at in np.ndindex(x.shape):
            out[tuple(i + b for i, (b, _) in zip(at, self.width, strict=True))] = x[at]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape())
        width = tuple((draw.integer(0, 2), draw.integer(0, 1)) for _ in x.shape)
        return cls(width, draw.choice([0.0, 1.5])), (x,)


class Concatenate(Op):
    """The arrays one after the other along an axis (negative)."""

    axis: int
    style = "shape"
    checks = True

    def forward(self, *xs: Any) -> Any:
        return np.concatenate(xs, self.axis)

    def vjp_xs(self, g: Any, out: Any, i: int, *xs: Any) -> Any:
        start = _offset(xs, i, self.axis)
        return g[_along(self.axis, start, start + xs[i].shape[self.axis], out.ndim)]

    def jvp_xs(self, t: Any, out: Any, i: int, *xs: Any) -> Any:
        start = _offset(xs, i, self.axis)
        stop = out.shape[self.axis] - start - xs[i].shape[self.axis]
        width = [(0, 0)] * out.ndim
        width[self.axis] = (start, stop)
        return Pad.of(tuple(width))(t)

    def spec(self, *xs: Spec) -> Spec:
        first = xs[0]
        for x in xs:
            for axis in range(-max(x.ndim, first.ndim), 0):
                if x.ndim != first.ndim or (
                    axis != self.axis and x.shape[axis] != first.shape[axis]
                ):
                    raise ShapeError(
                        self.name,
                        f"the parts are {', '.join(show(s.shape) for s in xs)}; besides axis"
                        f" {self.axis} all axes must agree, and axis {axis} does not",
                        "Reshape the parts, or concatenate along another axis.",
                    )
        shape = list(first.shape)
        shape[self.axis] = sum(x.shape[self.axis] for x in xs)
        return Spec(tuple(shape), promote(*xs))

    def reference(self, *xs: Any) -> Any:
        xs = tuple(np.asarray(x, dtype=object) for x in xs)
        shape = list(xs[0].shape)
        shape[self.axis] = sum(x.shape[self.axis] for x in xs)
        out = scalar.empty(tuple(shape))
        start = 0
        for x in xs:
            for at in np.ndindex(x.shape):
                to = list(at)
                to[self.axis] += start
                out[tuple(to)] = x[at]
            start += x.shape[self.axis]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        shape = list(draw.shape(low=1))
        axis = draw.integer(-len(shape), -1)
        parts = []
        for _ in range(draw.integer(1, 3)):
            shape[axis] = draw.integer(0, 3)
            parts.append(draw.normal(tuple(shape)))
        return cls(axis), tuple(parts)

    def flops(self, out: Spec, *args: Spec) -> int:
        return 0


def _offset(xs: Any, i: int, axis: int) -> int:
    return sum(x.shape[axis] for x in xs[:i])


def _along(axis: int, start: int, stop: int, ndim: int) -> tuple[slice, ...]:
    index = [slice(None)] * ndim
    index[axis] = slice(start, stop)
    return tuple(index)


def _ints(op: str, name: str, values: Any) -> Shape:
    """The values as a tuple of ints, checked."""
    try:
        return tuple(map(index, values)) if isinstance(values, tuple | list) else (index(values),)
    except TypeError:
        raise ShapeError(op, f"{name} {values!r} is not made of integers", "Pass ints.") from None


def _one_axis(op: str, axis: Any, ndim: int) -> int:
    """An axis as a negative int, checked."""
    if axis is None or isinstance(axis, tuple | list):
        raise ShapeError(op, f"axis is {axis!r}, not one axis", "Use axis=0.")
    return axes_of(op, axis, ndim)[0]


def _several(op: str, xs: Any) -> list[Any]:
    """The operands of an op that takes several at once."""
    try:
        return list(xs)
    except TypeError:
        raise ShapeError(
            op, f"it was given {type(xs).__name__}, not several arrays", f"Use {op}([a, b])."
        ) from None


def reshape(x: Any, *shape: Any) -> Any:
    """The elements of x, in reading order, in another shape.

    Args:
        x: tensor or array.
        shape: lengths of the new axes, as one tuple or as several arguments; one may be -1.

    Raises:
        ShapeError: if the number of elements differs.

    >>> reshape(np.arange(6.0), (2, -1)).shape
    (2, 3)
    """
    target = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    lengths = _ints("reshape", "shape", target)
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
    ndim = np.ndim(x) if not hasattr(x, "ndim") else x.ndim
    if axes is None:
        return Transpose.of(tuple(range(ndim))[::-1])(x)
    return Transpose.of(tuple(a + ndim if a < 0 else a for a in _ints("transpose", "axes", axes)))(
        x
    )


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """x with two axes exchanged.

    >>> swapaxes(np.zeros((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    x = x if hasattr(x, "ndim") else np.asarray(x)
    axes = list(range(x.ndim))
    i, j = (axes_of("swapaxes", a, x.ndim)[0] for a in (axis1, axis2))
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
    x = x if hasattr(x, "ndim") else np.asarray(x)
    ndim = x.ndim
    pairs = [
        [
            axes_of("moveaxis", a, ndim)[0] + ndim
            for a in (s if isinstance(s, tuple | list) else [s])
        ]
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
    return BroadcastTo.of(_ints("broadcast_to", "shape", shape))(x)


def pad(x: Any, width: Any, mode: str = "constant", constant_values: float = 0.0) -> Any:
    """x with elements added around it.

    Args:
        x: tensor or array.
        width: as for numpy: an int, a pair (before, after), or one pair for each axis.
        mode: only "constant" for now.
        constant_values: the number that is added.

    Raises:
        ShapeError: if the width does not fit the axes.

    >>> pad(np.array([1.0, 2.0]), (1, 0))
    array([0., 1., 2.])
    """
    if mode != "constant":
        raise DomainError("pad", f"mode {mode!r} is not available", 'Use mode="constant".')
    x = x if hasattr(x, "ndim") else np.asarray(x)
    ndim = x.ndim
    try:
        pairs = np.broadcast_to(np.asarray(width), (ndim, 2))
        if pairs.dtype.kind not in "iu" and pairs.size:
            raise ValueError("not integers")
    except ValueError:
        raise ShapeError(
            "pad",
            f"width {width} does not give a (before, after) pair of ints to each of {ndim} axes",
            "Pass an int, a pair, or one pair for each axis.",
        ) from None
    widths = tuple((int(b), int(a)) for b, a in pairs)
    op = Pad.of(widths, float(constant_values))
    op.spec(Spec.of(x) if isinstance(x, np.ndarray) else Spec(x.shape, x.dtype))
    return op(x)


def concatenate(xs: Any, axis: int = 0) -> Any:
    """Tensors or arrays one after the other along an axis; flattened if the axis is None.

    Raises:
        ShapeError: if there are none, or another axis differs.

    >>> concatenate([np.array([1.0]), np.array([2.0, 3.0])])
    array([1., 2., 3.])
    """
    xs = _several("concatenate", xs)
    if not xs:
        raise ShapeError("concatenate", "there is nothing to concatenate", "Pass at least one.")
    xs = [x if hasattr(x, "ndim") else np.asarray(x) for x in xs]
    if axis is None:
        xs, axis = [reshape(x, -1) for x in xs], 0
    return Concatenate.of(_one_axis("concatenate", axis, xs[0].ndim))(*xs)


def stack(xs: Any, axis: int = 0) -> Any:
    """Tensors or arrays of one shape side by side along a new axis.

    Raises:
        ShapeError: if there are none, or the shapes differ.

    >>> stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])]).shape
    (2, 2)
    """
    xs = [x if hasattr(x, "ndim") else np.asarray(x) for x in _several("stack", xs)]
    if not xs:
        raise ShapeError("stack", "there is nothing to stack", "Pass at least one.")
    at = _one_axis("stack", axis, xs[0].ndim + 1) + xs[0].ndim + 1
    if any(x.shape != xs[0].shape for x in xs):
        raise ShapeError(
            "stack",
            f"the parts are {', '.join(show(x.shape) for x in xs)}, and must have one shape",
            "Use concatenate for parts of different lengths.",
        )
    rows = [reshape(x, (*x.shape[:at], 1, *x.shape[at:])) for x in xs]
    return concatenate(rows, at)
