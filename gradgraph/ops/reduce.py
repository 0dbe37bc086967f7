"""Ops that fold axes: sum, mean, product, the extremes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import ShapeError
from ..kernels.dispatch import total
from ..kink import Kink
from ..op import Op
from ..spec import Shape, Spec, axes_of, show
from .choice import maximum
from .elementwise import cast, equal, mask
from .operand import flag, shaped
from .scan import products_of_others
from .shape import broadcast_to, moveaxis, reshape

__all__ = ["max", "mean", "min", "prod", "sum"]


class Reduce(Op, abstract=True):
    """An op that folds the axes `axis` (negative, sorted) into one number each."""

    axis: Shape
    keepdims: bool = False
    batched = True
    trailing = True
    style = "reduce"

    def spec(self, x: Spec) -> Spec:
        return Spec(self._folded(x.shape), self._dtype(x))

    def _dtype(self, x: Spec) -> Any:
        return x.dtype

    def _folded(self, shape: Shape, keepdims: bool | None = None) -> Shape:
        axes = {a + len(shape) for a in self.axis}
        if self.keepdims if keepdims is None else keepdims:
            return tuple(1 if i in axes else n for i, n in enumerate(shape))
        return tuple(n for i, n in enumerate(shape) if i not in axes)

    def _spread(self, g: Any, out: Any, x: Any) -> Any:
        """g, shaped like the result (extra leading axes allowed), broadcast to the shape of x."""
        lead = g.shape[: g.ndim - out.ndim]
        return broadcast_to(reshape(g, lead + self._folded(x.shape, keepdims=True)), lead + x.shape)

    def _count(self, x: Any) -> int:
        return math.prod(x.shape[a] for a in self.axis)

    def fold(self, values: list[Any]) -> Any:
        """The definition on the list of scalars that one result is made from."""
        raise NotImplementedError

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        axes = [a + x.ndim for a in self.axis]
        kept = [a for a in range(x.ndim) if a not in axes]
        moved = x.transpose(kept + axes).reshape([x.shape[a] for a in kept] + [self._count(x)])
        out = scalar.empty(moved.shape[:-1])
        for at in np.ndindex(out.shape):
            out[at] = self.fold(list(moved[at]))
        return out.reshape(self._folded(x.shape))

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape())
        return cls(axes_of(cls.name, draw.axis(x.ndim), x.ndim), draw.boolean()), (x,)

    def flops(self, out: Spec, x: Spec) -> int:  # type: ignore[override]
        return x.size


class Sum(Reduce):
    """Σ x over the axes."""

    linear = ("x",)
    ufunc = np.sum

    def forward(self, x: Any) -> Any:
        return total(x, self.axis, self.keepdims)

    def into(self, out: Any, x: Any) -> None:
        total(x, self.axis, self.keepdims, out)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return self._spread(g, out, x)

    def _dtype(self, x: Spec) -> Any:
        return np.sum(np.empty(0, x.dtype)).dtype

    def fold(self, values: list[Any]) -> Any:
        return scalar.total(values)


class Mean(Reduce):
    """Σ x / n over the axes."""

    linear = ("x",)
    ufunc = np.mean

    def forward(self, x: Any) -> Any:
        return np.mean(x, axis=self.axis, keepdims=self.keepdims)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return self._spread(g * (1.0 / self._count(x)), out, x)  # the count may overflow float16

    def _dtype(self, x: Spec) -> Any:
        return x.dtype if x.dtype.kind in "fc" else np.dtype(float)

    def spec(self, x: Spec) -> Spec:
        if self._count(x) == 0:
            raise _empty(self.name, x, "A mean needs at least one element.")
        return super().spec(x)

    checks = True

    def fold(self, values: list[Any]) -> Any:
        return scalar.total(values) * (1.0 / len(values))

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return _nonempty(cls, draw, draw.normal)


class Prod(Reduce):
    """Π x over the axes; its gradient multiplies all others, so that zeros need no division."""

    def forward(self, x: Any) -> Any:
        return np.prod(x, axis=self.axis, keepdims=self.keepdims)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return self._spread(g, out, x) * self._others(x)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return Sum.of(self.axis, self.keepdims)(t * self._others(x))

    def _others(self, x: Any) -> Any:
        """For each element, the product of the other elements that are folded with it."""
        count = len(self.axis)
        last = tuple(range(-count, 0))
        moved = moveaxis(x, self.axis, last)
        lines = reshape(moved, (*moved.shape[: x.ndim - count], self._count(x)))
        return moveaxis(reshape(products_of_others(lines), moved.shape), last, self.axis)

    def _dtype(self, x: Spec) -> Any:
        return np.prod(np.empty(0, x.dtype)).dtype

    def fold(self, values: list[Any]) -> Any:
        result: Any = 1.0
        for v in values:
            result = result * v
        return result

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.away_from_zero(draw.shape(sizes=(2, 3, 1, 0)))
        zeros = draw.rng.random(x.shape) < draw.choice([0.0, 0.2, 0.5])
        op = cls(axes_of(cls.name, draw.axis(x.ndim), x.ndim), draw.boolean())
        return op, (np.where(zeros, 0.0, x),)


class Extremum(Reduce, abstract=True):
    """The greatest or the least element over the axes; ties share the gradient evenly."""

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        winners, count = self._winners(out, x)
        return mask(self._spread(g / reshape(count, out.shape), out, x), winners)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        winners, count = self._winners(out, x)
        return Sum.of(self.axis, self.keepdims)(mask(t / count, winners))

    def _winners(self, out: Any, x: Any) -> tuple[Any, Any]:
        winners = equal(x, reshape(out, self._folded(x.shape, keepdims=True)))
        count = maximum(Sum.of(self.axis, True)(winners), 1)
        return winners, cast(count, x.dtype if x.dtype.itemsize > 2 else float)

    def spec(self, x: Spec) -> Spec:
        if self._count(x) == 0:
            raise _empty(self.name, x, f"The {self.name}imum of nothing is undefined.")
        return super().spec(x)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return _nonempty(cls, draw, draw.kinky)


class Max(Extremum):
    """The greatest element over the axes; ties share the gradient evenly."""

    ufunc = np.max
    kinks = (
        Kink(
            "several greatest elements",
            "an equal share to each",
            ([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]],),
            ([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]],),
            ((-1,),),
        ),
    )

    def forward(self, x: Any) -> Any:
        return np.max(x, axis=self.axis, keepdims=self.keepdims)

    def fold(self, values: list[Any]) -> Any:
        return scalar.tied_mean(values)


class Min(Extremum):
    """The least element over the axes; ties share the gradient evenly."""

    ufunc = np.min
    kinks = (
        Kink(
            "several least elements",
            "an equal share to each",
            ([[3.0, 1.0, 1.0], [0.0, 2.0, 1.0]],),
            ([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]],),
            ((-1,),),
        ),
    )

    def forward(self, x: Any) -> Any:
        return np.min(x, axis=self.axis, keepdims=self.keepdims)

    def fold(self, values: list[Any]) -> Any:
        return -scalar.tied_mean([-v for v in values])


def _empty(name: str, x: Spec, fix: str) -> ShapeError:
    return ShapeError(name, f"x is {show(x.shape)} and the folded axes hold no elements", fix)


def _nonempty(cls: type[Reduce], draw: Draw, values: Any) -> Any:
    x = values(draw.shape(sizes=(2, 3, 1, 5)))
    return cls(axes_of(cls.name, draw.axis(x.ndim), x.ndim), draw.boolean()), (x,)


def _reduce(cls: type[Reduce], x: Any, axis: Any, keepdims: bool) -> Any:
    x = shaped(cls.name, x)
    return cls.of(axes_of(cls.name, axis, x.ndim), flag(cls.name, "keepdims", keepdims))(x)


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Σ x over some axes.

    Args:
        x: tensor or array of any shape; floats keep their dtype.
        axis: int, tuple of ints (negative ones count from the end) or None for all axes.
        keepdims: keep the folded axes with length 1.

    Raises:
        ShapeError: if an axis is out of range or named twice.
        DTypeError: if keepdims is no bool.

    >>> sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([4., 6.])
    """
    return _reduce(Sum, x, axis, keepdims)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The average over some axes; arguments and errors as for `sum`, and at least one element.

    >>> mean(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=-1)
    array([1.5, 3.5])
    """
    return _reduce(Mean, x, axis, keepdims)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The greatest element over some axes; arguments and errors as for `mean`.

    Elements that tie for the maximum share its gradient evenly; if it is NaN none gets any.

    >>> max(np.array([[1.0, 2.0], [3.0, 0.0]]), axis=1)
    array([2., 3.])
    """
    return _reduce(Max, x, axis, keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The least element over some axes; arguments, errors and ties as for `max`.

    >>> min(np.array([[1.0, 2.0], [3.0, 0.0]]), axis=1)
    array([1., 0.])
    """
    return _reduce(Min, x, axis, keepdims)


def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Π x over some axes; the product of nothing is 1. Arguments and errors as for `sum`.

    The gradient at an element is the product of all others, found without a division: it is
    right, at every order, whatever elements are 0.

    >>> prod(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([3., 8.])
    """
    return _reduce(Prod, x, axis, keepdims)
