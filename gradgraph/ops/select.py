"""Picking elements along an axis, tables of embeddings, and their inverse: one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, IndexingError, ShapeError
from ..kernels.scatter import take_add
from ..op import Op
from ..spec import Spec, show
from .index import (
    Getitem,
    as_index,
    parsed,
)
from .operand import ints, one_axis, shaped
from .shape import ravel

__all__ = ["embedding", "one_hot", "take", "take_along_axis"]


class Take(Op):
    """x at integer indices along an axis (negative); the axes of the indices take its place."""

    axis: int
    linear = ("x",)
    constant = ("indices",)
    batched = True
    trailing = True
    style = "shape"

    def forward(self, x: Any, indices: Any) -> Any:
        return np.take(x, indices, axis=self.axis)

    def vjp_x(self, g: Any, out: Any, x: Any, indices: Any) -> Any:
        return TakeAdd.of(self.axis, x.shape[self.axis])(g, indices)

    def spec(self, x: Spec, indices: Spec) -> Spec:
        at = x.ndim + self.axis
        return x.with_shape(x.shape[:at] + indices.shape + x.shape[at + 1 :])

    def explain(self, error: Exception, args: Any) -> Exception:
        if isinstance(error, IndexError) and not isinstance(error, IndexingError):
            n = np.shape(args[0])[self.axis]
            return IndexingError(
                self.name,
                f"an index is out of range: axis {self.axis} of x ({show(np.shape(args[0]))}) has"
                f" {n} elements, and the indices go from {np.min(args[1])} to {np.max(args[1])}",
                "Indices of an axis of length n run from -n to n-1.",
            )
        return super().explain(error, args)

    def reference(self, x: Any, indices: Any) -> Any:
        x = np.asarray(x, dtype=object)
        indices = np.asarray(indices)
        at = x.ndim + self.axis
        out = scalar.empty(x.shape[:at] + indices.shape + x.shape[at + 1 :])
        for to in np.ndindex(out.shape):
            i = indices[to[at : at + indices.ndim]]
            out[to] = x[(*to[:at], i, *to[at + indices.ndim :])]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape(low=1))
        axis = draw.integer(-x.ndim, -1)
        shape = draw.choice([(4,), (2, 3), (), (0,)]) if x.shape[axis] else (0, 2)
        return cls(axis), (x, draw.indices(shape, max(x.shape[axis], 1)))

    def flops(self, out: Spec, *args: Spec) -> int:
        return 0


class TakeAdd(Op):
    """Transpose of take: zeros of length `size` along an axis, with g added at the indices."""

    axis: int
    size: int
    linear = ("g",)
    constant = ("indices",)
    batched = True
    trailing = True
    style = "shape"

    def forward(self, g: Any, indices: Any) -> Any:
        return take_add(g, indices, self.axis, self.size)

    # The rules' own cotangent comes first; the argument g is what is added.
    def vjp_g(self, c: Any, out: Any, g: Any, indices: Any) -> Any:
        return Take.of(self.axis)(c, indices)

    def spec(self, g: Spec, indices: Spec) -> Spec:
        at = g.ndim + self.axis + 1 - indices.ndim
        return g.with_shape((*g.shape[:at], self.size, *g.shape[at + indices.ndim :]))

    def reference(self, g: Any, indices: Any) -> Any:
        g = np.asarray(g, dtype=object)
        indices = np.asarray(indices)
        at = g.ndim + self.axis + 1 - indices.ndim
        out = scalar.empty((*g.shape[:at], self.size, *g.shape[at + indices.ndim :]))
        out.fill(0.0)
        for of in np.ndindex(g.shape):
            to = (*of[:at], indices[of[at : at + indices.ndim]], *of[at + indices.ndim :])
            out[to] = out[to] + g[of]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, (x, indices) = Take.sample(draw)
        g = draw.normal(np.take(x, indices, op.axis).shape)
        return cls(op.axis, x.shape[op.axis]), (g, indices)


class Embedding(Take):
    """The rows of a table that the indices name; none may be negative."""

    def forward(self, x: Any, indices: Any) -> Any:
        _check_range(self.name, indices, x.shape[self.axis], "row", "rows of the table")
        return np.take(x, indices, axis=self.axis)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, (x, indices) = super().sample(draw)
        return op, (x, np.where(indices < 0, indices + x.shape[op.axis], indices))


class OneHot(Op):
    """1 at the place that each index names along a new last axis, 0 elsewhere."""

    classes: int
    dtype: str = "float64"
    constant = ("indices",)
    trailing = True
    style = "shape"

    def forward(self, indices: Any) -> Any:
        _check_range(self.name, indices, self.classes, "class", "classes")
        out = np.zeros((indices.size, self.classes), self.dtype)
        out[np.arange(indices.size), np.ravel(indices)] = 1
        return out.reshape(*indices.shape, self.classes)

    def spec(self, indices: Spec) -> Spec:
        return Spec((*indices.shape, self.classes), np.dtype(self.dtype))

    def reference(self, indices: Any) -> Any:
        out = scalar.empty((*np.shape(indices), self.classes))
        for at in np.ndindex(out.shape):
            out[at] = 1.0 if np.asarray(indices)[at[:-1]] == at[-1] else 0.0
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        classes = draw.integer(1, 4)
        dtype = draw.choice(["float64", "float32", "int64"])
        return cls(classes, dtype), (draw.rng.integers(0, classes, draw.shape()),)


def _check_range(op: str, indices: Any, size: int, one: str, all: str) -> None:
    if not indices.size:
        return
    low, high = indices.min(), indices.max()
    if low < 0 or high >= size:
        raise DomainError(
            op,
            f"index {low if low < 0 else high} names no {one}: the {all} are {size}, counted"
            f" from 0 to {size - 1}",
            "Check the indices, or make room for them.",
        )


def _integers(op: str, indices: Any) -> Any:
    """Indices as an integer array or tensor, checked."""
    indices = as_index(op, indices)
    if indices.dtype == bool:
        raise IndexingError(
            op, "the indices are booleans, not integers", "To select by a mask, write x[mask]."
        )
    return indices


def take(x: Any, indices: Any, axis: Any = None) -> Any:
    """x at indices along an axis; from x in reading order if the axis is None.

    Repeated and negative indices count: the gradient of an element is the sum over all places
    where it was taken to.

    Args:
        x: tensor or array.
        indices: integers of any shape; their axes take the place of `axis` in the result.
        axis: int or None.

    Raises:
        IndexingError: if an index is out of range, or no integer.
        ShapeError: if the axis is out of range.

    >>> take(np.array([[1.0, 2.0, 3.0]]), [2, 0, 0], axis=1)
    array([[3., 1., 1.]])
    """
    x = shaped("take", x)
    if axis is None:
        x, axis = ravel(x), 0
    return Take.of(one_axis("take", axis, x.ndim))(x, _integers("take", indices))


def take_along_axis(x: Any, indices: Any, axis: Any) -> Any:
    """y[…, i, …] = x[…, indices[…, i, …], …]: other indices at each position.

    Args:
        x: tensor or array.
        indices: integers with as many axes as x; all but `axis` broadcast with those of x.
        axis: int, or None for x in reading order.

    Raises:
        IndexingError: if an index is out of range, or no integer.
        ShapeError: if the shapes do not fit.

    >>> take_along_axis(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]), 1)
    array([[2.],
           [3.]])
    """
    x = shaped("take_along_axis", x)
    indices = _integers("take_along_axis", indices)
    if axis is None:
        x, axis = ravel(x), 0
    at = one_axis("take_along_axis", axis, x.ndim) + x.ndim
    others = [
        (indices.ndim == x.ndim and indices.shape[i] in (1, n)) or n == 1 or i == at
        for i, n in enumerate(x.shape)
    ]
    if indices.ndim != x.ndim or not all(others):
        raise ShapeError(
            "take_along_axis",
            f"x is {show(x.shape)} and the indices are {show(indices.shape)}: besides axis"
            f" {at - x.ndim} their axes must agree or be 1",
            "To take the same elements everywhere, use take.",
        )
    index = tuple(
        indices if i == at else np.arange(n).reshape(-1, *[1] * (x.ndim - 1 - i))
        for i, n in enumerate(x.shape)
    )
    pattern, arrays = parsed("take_along_axis", index)
    return Getitem.of(pattern)(x, *arrays)


def embedding(indices: Any, table: Any) -> Any:
    """Row i of a table for each index i; the gradients of a row that is named twice add up.

    Args:
        indices: integers from 0 of any shape, e.g. token numbers (N, T).
        table: tensor or array (V, *D).

    Returns:
        A tensor of shape (*indices.shape, *D), in the dtype of the table.

    Raises:
        DomainError: if an index is negative or not below V.
        IndexingError: if the indices are no integers.

    >>> embedding([1, 1], np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[3., 4.],
           [3., 4.]])
    """
    table = shaped("embedding", table)
    if not table.ndim:
        raise ShapeError("embedding", "the table is a scalar", "A table has rows: (V, D).")
    return Embedding.of(-table.ndim)(table, _integers("embedding", indices))


def one_hot(indices: Any, classes: int, dtype: Any = float) -> Any:
    """1 at place i of a new last axis for each index i, 0 elsewhere; it has no gradient.

    Args:
        indices: integers of any shape.
        classes: length of the new axis.
        dtype: of the result.

    Raises:
        DomainError: if an index is negative or not below `classes`.
        IndexingError: if the indices are no integers.

    >>> one_hot([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    count = ints("one_hot", "classes", classes)
    if isinstance(classes, tuple | list) or count[0] < 0:
        raise ShapeError(
            "one_hot", f"classes is {classes!r}, no length of an axis", "Use 0 or more."
        )
    return OneHot.of(count[0], np.dtype(dtype).name)(_integers("one_hot", indices))
