"""Ops that run along an axis and keep every intermediate result: sums, products, recurrences."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import ShapeError
from ..kernels.scan import recurrence
from ..op import Op
from ..spec import Shape, Spec, floating, show
from .operand import one_axis, shaped
from .pad import Pad
from .shape import reshape

__all__ = ["cumprod", "cumsum"]

_BACK = slice(None, None, -1)


class _Cumulative(Op, abstract=True):
    """An op whose result i depends on the elements up to i along one axis (negative)."""

    axis: int
    batched = True
    style = "reduce"

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, type(self)(-1).forward(np.empty(0, x.dtype)).dtype)

    def line(self, values: list[Any]) -> list[Any]:
        """The definition on the scalars of one line along the axis."""
        raise NotImplementedError

    def reference(self, x: Any) -> Any:
        return scalar.along(self.axis, self.line, x)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape(low=1))
        return cls(draw.integer(-x.ndim, -1)), (x,)


class CumSum(_Cumulative):
    """x₀, x₀ + x₁, …; with `reverse` from the end: the sum of an element and all after it."""

    reverse: bool = False
    name = "cumsum"
    linear = ("x",)

    def forward(self, x: Any) -> Any:
        if self.reverse:
            back = _at(self.axis, _BACK)
            return np.cumsum(x[back], axis=self.axis)[back]
        return np.cumsum(x, axis=self.axis)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return CumSum.of(self.axis, not self.reverse)(g)

    def line(self, values: list[Any]) -> list[Any]:
        sums = [scalar.total(values[1:i], values[0]) for i in range(1, len(values) + 1)]
        tails = [scalar.total(values[i + 1 :], v) for i, v in enumerate(values)]
        return tails if self.reverse else sums

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, args = super().sample(draw)
        return cls(op.axis, draw.boolean()), args


class CumProd(_Cumulative):
    """x₀, x₀ x₁, …; both rules are recurrences with the couplings x, and divide by nothing."""

    name = "cumprod"

    def forward(self, x: Any) -> Any:
        return np.cumprod(x, axis=self.axis)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return Recurrence.of(self.axis, True)(_rest(x, self.axis), g) * _before(out, self.axis)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return Recurrence.of(self.axis)(_rest(x, self.axis), t * _before(out, self.axis))

    def line(self, values: list[Any]) -> list[Any]:
        products = values[:1]
        for v in values[1:]:
            products.append(products[-1] * v)
        return products

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, (x,) = super().sample(draw)
        zeros = draw.rng.random(x.shape) < draw.choice([0.0, 0.2, 0.5])
        return op, (np.where(zeros, 0.0, draw.away_from_zero(x.shape)),)


class Recurrence(Op):
    """yᵢ = aᵢ₋₁ yᵢ₋₁ + bᵢ along an axis, y₀ = b₀; with `reverse` yᵢ = aᵢ yᵢ₊₁ + bᵢ from the end.

    The couplings a, one fewer than elements, broadcast against b in the other axes. The transpose
    in b is the recurrence in the other direction, with the same couplings.
    """

    axis: int
    reverse: bool = False
    linear = ("b",)
    batched = True
    checks = True
    style = "reduce"

    def forward(self, a: Any, b: Any) -> Any:
        out = self.spec(Spec.of(a), Spec.of(b))
        couplings = np.broadcast_to(a, _with(out.shape, self.axis, a.shape[self.axis]))
        b = np.broadcast_to(b, out.shape)
        if not b.size:
            return np.zeros(out.shape, out.dtype)
        a, b = (
            np.ascontiguousarray(np.moveaxis(v, self.axis, 0), dtype=float) for v in (couplings, b)
        )
        y = recurrence(a[::-1], b[::-1])[::-1] if self.reverse else recurrence(a, b)
        return np.moveaxis(y, 0, self.axis).astype(out.dtype, copy=False)

    def vjp_a(self, g: Any, out: Any, a: Any, b: Any) -> Any:
        c = self.vjp_b(g, out, a, b)
        if self.reverse:
            return _start(c, self.axis) * _rest(out, self.axis)
        return _rest(c, self.axis) * _start(out, self.axis)

    def vjp_b(self, g: Any, out: Any, a: Any, b: Any) -> Any:
        return Recurrence.of(self.axis, not self.reverse)(a, g)

    def jvp_a(self, t: Any, out: Any, a: Any, b: Any) -> Any:
        neighbours = _rest(out, self.axis) if self.reverse else _start(out, self.axis)
        length = out.shape[self.axis]
        return self(a, _filled(t * neighbours, self.axis, length, first=not self.reverse))

    def spec(self, a: Spec, b: Spec) -> Spec:
        length = b.shape[self.axis]
        if a.shape[self.axis] != max(length - 1, 0):
            raise ShapeError(
                self.name,
                f"a is {show(a.shape)} and b is {show(b.shape)}: axis {self.axis} of a must have a"
                " coupling between each two neighbours of b",
                "Make a one shorter than b.",
            )
        shape = np.broadcast_shapes(_with(a.shape, self.axis, length), b.shape)
        return Spec(shape, floating(a, b))

    def reference(self, a: Any, b: Any) -> Any:
        shape = self.spec(*(Spec(np.shape(v), np.dtype(float)) for v in (a, b))).shape
        a, b = (
            np.moveaxis(
                np.broadcast_to(v, _with(shape, self.axis, v.shape[self.axis])), self.axis, 0
            )
            for v in (np.asarray(a, dtype=object), np.asarray(b, dtype=object))
        )
        out = scalar.empty(b.shape)
        places = range(len(b))
        for k, i in enumerate(reversed(places) if self.reverse else places):
            for at in np.ndindex(b.shape[1:]):
                before = out[(i + 1, *at)] * a[(i, *at)] if self.reverse and k else 0.0
                before = out[(i - 1, *at)] * a[(i - 1, *at)] if k and not self.reverse else before
                out[(i, *at)] = b[(i, *at)] + before
        return np.moveaxis(out, 0, self.axis)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        kind = draw.integer(0, 5)
        shape = draw.shape(low=1)
        if kind > 3:
            shape = draw.choice([(20,), (33,)] if kind == 4 else [(0,), (0, 2), (2, 0), (1,)])
        axis = draw.integer(-len(shape), -1)
        length = shape[axis]
        kept = draw.integer(0, len(shape) + axis) if draw.boolean() else 0
        short = _with(shape, axis, max(length - 1, 0))[kept:]
        return cls(axis, draw.boolean()), (draw.unit(short), draw.normal(shape))

    def flops(self, out: Spec, a: Spec, b: Spec) -> int:  # type: ignore[override]
        return 2 * out.size


def _with(shape: Shape, axis: int, length: int) -> Shape:
    """The shape with another length of the axis."""
    return tuple(length if i == axis + len(shape) else n for i, n in enumerate(shape))


def _at(axis: int, part: slice) -> tuple[Any, ...]:
    """The index that takes a part of an axis (negative)."""
    return (..., part, *(slice(None),) * (-axis - 1))


def _rest(x: Any, axis: int) -> Any:
    """All but the first along an axis."""
    return x[_at(axis, slice(1, None))]


def _start(x: Any, axis: int) -> Any:
    """All but the last along an axis."""
    return x[_at(axis, slice(-1))]


def _filled(x: Any, axis: int, length: int, first: bool, value: float = 0.0) -> Any:
    """x made as long as `length` along an axis, with `value` before its first or after its last."""
    gap = length - x.shape[axis]
    widths = [(0, 0)] * x.ndim
    widths[axis] = (gap, 0) if first else (0, gap)
    return Pad.of(tuple(widths), value)(x)


def _before(products: Any, axis: int) -> Any:
    """The product of all earlier elements, from the products that include the element."""
    return _filled(_start(products, axis), axis, products.shape[axis], True, 1.0)


def products_of_others(x: Any) -> Any:
    """For each element, the product of all others in its line along the last axis."""
    back = _at(-1, _BACK)
    forward = CumProd.of(-1)
    return _before(forward(x), -1) * _before(forward(x[back]), -1)[back]


def _flat(op: str, x: Any, axis: Any) -> tuple[Any, int]:
    """x and the axis (negative) to run along; x in reading order if the axis is None."""
    x = shaped(op, x)
    if axis is None:
        return reshape(x, (x.size,)), -1
    return x, one_axis(op, axis, x.ndim, "Run along one axis at a time.")


def cumsum(x: Any, axis: Any = None) -> Any:
    """The sums of all elements so far: out[i] = x[0] + … + x[i].

    Args:
        x: tensor or array; floats keep their dtype.
        axis: the axis to run along; None for all elements of x in reading order, as one axis.

    Raises:
        ShapeError: if the axis is out of range, or several are given.

    >>> cumsum(np.array([1.0, 2.0, 3.0]))
    array([1., 3., 6.])
    """
    x, along = _flat("cumsum", x, axis)
    return CumSum.of(along)(x)


def cumprod(x: Any, axis: Any = None) -> Any:
    """The products of all elements so far: out[i] = x[0] · … · x[i].

    Arguments and errors as for `cumsum`. The gradient divides by nothing: it is right, at every
    order, whatever elements are 0. It costs a linear recurrence in either direction, which works on
    halves of halves of the line and not element by element.

    >>> cumprod(np.array([1.0, 2.0, 3.0]))
    array([1., 2., 6.])
    """
    x, along = _flat("cumprod", x, axis)
    return CumProd.of(along)(x)
