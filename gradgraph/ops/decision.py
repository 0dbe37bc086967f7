"""Reductions whose results have no derivative: where the extremes are, whether all or any hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import ShapeError
from ..op import Op
from ..spec import Spec, axes_of, show
from .operand import flag, one_axis, shaped
from .reduce import Reduce
from .shape import ravel, reshape

__all__ = ["all", "any", "argmax", "argmin"]


class Position(Reduce, abstract=True):
    """The place of an extreme element along one axis; the first of several."""

    constant = ("x",)
    checks = True

    def _dtype(self, x: Spec) -> Any:
        return np.dtype(np.intp)

    def spec(self, x: Spec) -> Spec:
        if not self._count(x):
            raise ShapeError(
                self.name,
                f"x is {show(x.shape)} and the folded axis holds no elements",
                "Skip empty arrays, or search along another axis.",
            )
        return super().spec(x)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.tied(draw.shape(low=1, sizes=(2, 3, 1, 5)))
        return cls((draw.integer(-x.ndim, -1),), draw.boolean()), (x,)


class ArgMax(Position):
    """The place of the greatest element along an axis."""

    name = "argmax"

    def forward(self, x: Any) -> Any:
        (axis,) = self.axis
        return np.argmax(x, axis=axis, keepdims=self.keepdims)

    def fold(self, values: list[Any]) -> Any:
        return values.index(scalar.largest(values))


class ArgMin(Position):
    """The place of the least element along an axis."""

    name = "argmin"

    def forward(self, x: Any) -> Any:
        (axis,) = self.axis
        return np.argmin(x, axis=axis, keepdims=self.keepdims)

    def fold(self, values: list[Any]) -> Any:
        return values.index(-scalar.largest(-v for v in values))


class Verdict(Reduce, abstract=True):
    """Whether elements hold, that is, are not 0."""

    constant = ("x",)

    def _dtype(self, x: Spec) -> Any:
        return np.dtype(bool)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.tied(draw.shape())
        return cls(axes_of(cls.name, draw.axis(x.ndim), x.ndim), draw.boolean()), (x,)


class AllHold(Verdict):
    """Whether every element over the axes holds."""

    name = "all"

    def forward(self, x: Any) -> Any:
        return np.all(x, axis=self.axis, keepdims=self.keepdims)

    def fold(self, values: list[Any]) -> Any:
        return 0 not in map(scalar.value, values)


class AnyHold(Verdict):
    """Whether at least one element over the axes holds."""

    name = "any"

    def forward(self, x: Any) -> Any:
        return np.any(x, axis=self.axis, keepdims=self.keepdims)

    def fold(self, values: list[Any]) -> Any:
        return [v for v in values if scalar.value(v) != 0] != []


def _position(cls: type[Op], x: Any, axis: Any, keepdims: bool) -> Any:
    x, keepdims = shaped(cls.name, x), flag(cls.name, "keepdims", keepdims)
    if axis is not None:
        at = one_axis(cls.name, axis, x.ndim, "Use an int, or None for all axes.")
        return cls.of((at,), keepdims)(x)
    place = cls.of((-1,), False)(ravel(x))
    return reshape(place, (1,) * x.ndim) if keepdims else place


def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The place of the greatest element along an axis; the first of several, a NaN before all.

    The result has no gradient.

    Args:
        x: tensor or array.
        axis: the axis to search along; None for all elements of x in reading order.
        keepdims: keep the folded axis (or all axes) with length 1.

    Returns:
        Integers.

    Raises:
        ShapeError: if the axis is out of range or empty, or several are given.

    >>> argmax(np.array([[1.0, 5.0], [7.0, 7.0]]), axis=1)
    array([1, 0])
    """
    return _position(ArgMax, x, axis, keepdims)


def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The place of the least element along an axis; arguments and errors as for `argmax`.

    >>> argmin(np.array([[1.0, 5.0], [7.0, 7.0]]), axis=1)
    array([0, 0])
    """
    return _position(ArgMin, x, axis, keepdims)


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether every element over some axes holds (is not 0); of nothing, yes. No gradient.

    Args:
        x: tensor or array.
        axis: int, tuple of ints (negative ones count from the end) or None for all axes.
        keepdims: keep the folded axes with length 1.

    Raises:
        ShapeError: if an axis is out of range or named twice.

    >>> all(np.array([[True, True], [False, True]]), axis=1)
    array([ True, False])
    """
    return _verdict(AllHold, x, axis, keepdims)


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether at least one element over some axes holds (is not 0); of nothing, no. No gradient.

    Arguments and errors as for `all`.

    >>> any(np.array([[False, True], [False, False]]), axis=1)
    array([ True, False])
    """
    return _verdict(AnyHold, x, axis, keepdims)


def _verdict(cls: type[Op], x: Any, axis: Any, keepdims: bool) -> Any:
    x = shaped(cls.name, x)
    return cls.of(axes_of(cls.name, axis, x.ndim), flag(cls.name, "keepdims", keepdims))(x)
