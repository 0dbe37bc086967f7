"""Adding to and setting elements that an index names, where it may name one several times.

numpy adds fast at places of a flat array, and slowly at anything else: so indices are turned into
places, in reading order.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Index = tuple[Any, ...]

SPARSE = 8  # so many times more elements than an index names: too many to number them all
LONG = 512  # elements in a row that are added faster as a row than one by one


def repeats(index: Index) -> bool:
    """Whether an index may name an element twice: only integer arrays can."""
    return any(isinstance(i, np.ndarray) and i.dtype != bool for i in index)


def places(shape: tuple[int, ...], index: Index) -> Array:
    """For each element of x[index], its place in reading order in an x of this shape.

    >>> places((2, 3), (1, np.array([0, -1])))
    array([3, 5])
    """
    return np.asarray(np.arange(prod(shape)).reshape(shape)[index])


def add_at(total: Array, index: Index, g: Any) -> None:
    """Add g to total[index], where an element that is named twice gets both."""
    if not repeats(index):
        total[index] += g
    elif total.ndim > 1 and total.size <= SPARSE * np.size(g) and total.flags.c_contiguous:
        at = places(total.shape, index)
        np.add.at(total.reshape(-1), at.ravel(), np.broadcast_to(g, at.shape).ravel())
    else:
        np.add.at(total, index, _spread(g, total, index))


def _spread(g: Any, total: Array, index: Index) -> Any:
    """g, in the shape of total[index] if it lacks axes: numpy's add.at reads such a g wrongly."""
    if np.ndim(g) == 0 or np.ndim(g) >= max(np.ndim(i) for i in index):
        return g
    return np.broadcast_to(g, np.broadcast_to(np.zeros((), bool), total.shape)[index].shape)


def set_at(out: Array, index: Index, values: Any) -> None:
    """out[index] = values; of an element that is named twice the last in reading order counts."""
    if repeats(index):  # numpy goes through the index and the values as they lie in memory
        index = tuple(np.asarray(i, order="C") if isinstance(i, np.ndarray) else i for i in index)
        values = np.asarray(values, order="C")
    out[index] = values


def take_add(g: Array, indices: Array, axis: int, size: int) -> Array:
    """Transpose of `np.take`: zeros of length `size` along an axis, with g added at the indices.

    Args:
        g: shaped like the result of the `take`.
        indices: from -size to size - 1, of any shape.
        axis: that of the array that was taken from, negative.
        size: its length.

    >>> take_add(np.array([1.0, 2.0, 4.0]), np.array([0, 2, 0]), -1, 3)
    array([5., 0., 2.])
    """
    first = g.ndim + axis + 1 - indices.ndim
    lead, tail = g.shape[:first], g.shape[first + indices.ndim :]
    rows, length = prod(lead), prod(tail)
    at = indices.ravel().astype(np.intp)
    at = np.where(at < 0, at + size, at)
    g = g.reshape(rows, at.size, length)
    out = np.zeros((rows, size, length), g.dtype)
    if length >= LONG:
        for k, i in enumerate(at.tolist()):
            out[:, i] += g[:, k]
    else:
        starts = np.arange(rows)[:, None] * size + at
        flat = starts[..., None] * length + np.arange(length)
        np.add.at(out.reshape(-1), flat.ravel(), g.ravel())
    return out.reshape(*lead, size, *tail)
