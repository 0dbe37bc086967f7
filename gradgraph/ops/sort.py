"""Sorting, and the order that sorts."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import ShapeError
from ..kink import Kink
from ..op import Op
from ..spec import Spec, show
from .index import getitem
from .operand import integer, one_axis, shaped
from .select import take_along_axis
from .shape import along, ravel, reshape

__all__ = ["argsort", "sort", "topk"]


class Sort(Op):
    """x in ascending order along an axis (negative); NaN comes last."""

    axis: int
    trailing = True
    batched = True
    style = "reduce"
    kinks = (
        Kink(
            "equal elements",
            "they count as sorted in the order in which they stand",
            ([2.0, 1.0, 2.0],),
            ([1.0, 1.0, 1.0],),
            (-1,),
        ),
    )

    def forward(self, x: Any) -> Any:
        return np.sort(x, axis=self.axis)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        ranks = Rank.of(self.axis)(x)
        lead = (1,) * (g.ndim - out.ndim)
        return take_along_axis(g, reshape(ranks, lead + x.shape), self.axis)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return take_along_axis(t, Argsort.of(self.axis)(x), self.axis)

    def spec(self, x: Spec) -> Spec:
        return x

    def reference(self, x: Any) -> Any:
        return scalar.along(self.axis, lambda line: [line[i] for i in _order(line)], x)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.distinct(draw.shape(low=1))
        axis = draw.integer(-x.ndim, -1)
        if draw.ties:  # pairs: of three, none of the slopes of both sides need be linear
            rows = np.moveaxis(x, axis, 0)
            rows[1:2] = rows[: len(rows[1:2])]
        return cls(axis), (x,)


class Argsort(Op):
    """The indices that sort along an axis (negative); equal elements keep their order."""

    axis: int
    descending: bool = False
    trailing = True
    constant = ("x",)
    style = "reduce"

    def forward(self, x: Any) -> Any:
        if not self.descending:
            return _stable(x, self.axis)
        flipped = _stable(np.flip(x, self.axis), self.axis)
        return x.shape[self.axis] - 1 - np.flip(flipped, self.axis)

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, np.dtype(np.intp))

    def reference(self, x: Any) -> Any:
        return scalar.along(self.axis, lambda line: _order(line, self.descending), x)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.tied(draw.shape(low=1))
        return cls(draw.integer(-x.ndim, -1), draw.boolean()), (x,)


class Rank(Op):
    """The place of each element in the sorted order: the inverse of argsort."""

    axis: int
    trailing = True
    constant = ("x",)
    style = "reduce"

    def forward(self, x: Any) -> Any:
        order = _stable(x, self.axis)
        ranks = np.empty_like(order)
        count = np.arange(x.shape[self.axis]).reshape(-1, *[1] * (-1 - self.axis))
        np.put_along_axis(ranks, order, count, self.axis)
        return ranks

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, np.dtype(np.intp))

    def reference(self, x: Any) -> Any:
        return scalar.along(self.axis, lambda line: _order(_order(line)), x)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.tied(draw.shape(low=1))
        return cls(draw.integer(-x.ndim, -1)), (x,)


def _stable(x: Any, axis: int) -> Any:
    """The order that sorts along an axis, equal elements as they stand; faster if none are."""
    order = np.argsort(x, axis=axis)
    ascending = np.moveaxis(np.take_along_axis(x, order, axis), axis, -1)
    if np.all(ascending[..., 1:] > ascending[..., :-1]):
        return order
    return np.argsort(x, axis=axis, kind="stable")


def _order(values: Any, descending: bool = False) -> list[int]:
    """The definition: the places of the values in their order, NaN as the greatest."""
    keys = [(v != v, v) for v in map(scalar.value, values)]
    keys = [(nan, 0.0 if nan else v) for nan, v in keys]
    return sorted(range(len(keys)), key=keys.__getitem__, reverse=descending)


def sort(x: Any, axis: Any = -1) -> Any:
    """x in ascending order along an axis; NaN comes last.

    Equal elements count as sorted in the order in which they stand: each gets the gradient of its
    own place.

    Args:
        x: tensor or array; its dtype is kept.
        axis: int, or None for x in reading order.

    Raises:
        ShapeError: if the axis is out of range.

    >>> sort(np.array([3.0, 1.0, 2.0]))
    array([1., 2., 3.])
    """
    x = shaped("sort", x)
    if axis is None:
        x, axis = ravel(x), -1
    return Sort.of(one_axis("sort", axis, x.ndim))(x)


def argsort(x: Any, axis: Any = -1) -> Any:
    """The indices that sort x along an axis, equal elements in their order; it has no gradient.

    Arguments and errors as for `sort`.

    >>> argsort(np.array([3.0, 1.0, 2.0, 1.0]))
    array([1, 3, 2, 0])
    """
    x = shaped("argsort", x)
    if axis is None:
        x, axis = ravel(x), -1
    return Argsort.of(one_axis("argsort", axis, x.ndim))(x)


def topk(x: Any, k: int, axis: int = -1) -> tuple[Any, Any]:
    """The k greatest elements along an axis, the greatest first, and their indices.

    Of equal elements the first comes first; NaN counts as the greatest, as in `sort`. The values
    have a gradient, the indices have none.

    Args:
        x: tensor or array.
        k: how many, from 0 to the length of the axis.
        axis: int.

    Raises:
        ShapeError: if there are not so many, or the axis is out of range.

    >>> values, indices = topk(np.array([3.0, 1.0, 4.0, 4.0]), 3)
    >>> values, indices
    (array([4., 4., 3.]), array([2, 3, 0]))
    """
    x = shaped("topk", x)
    axis = one_axis("topk", axis, x.ndim)
    count = integer("topk", "k", k)
    if not 0 <= count <= x.shape[axis]:
        raise ShapeError(
            "topk",
            f"k is {count}, and axis {axis} of x ({show(x.shape)}) has {x.shape[axis]} elements",
            f"Use k from 0 to {x.shape[axis]}.",
        )
    order = Argsort.of(axis, True)(x)
    indices = getitem(order, along(axis, 0, count, x.ndim))
    return take_along_axis(x, indices, axis), indices
