"""Ops that put elements elsewhere: flip, roll, repeat, tile, triangles and diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, ShapeError
from ..spec import Shape, Spec, axes_of, show
from .arithmetic import subtract
from .choice import where
from .comparison import not_equal
from .index import Scatter, getitem, parsed
from .operand import integer, ints, one_axis, shaped
from .reduce import Sum, sum
from .select import take
from .shape import Rearrange, along, moveaxis, ravel, reshape

__all__ = ["diag", "diagonal", "diff", "flip", "repeat", "roll", "tile", "trace", "tril", "triu"]


class Roll(Rearrange):
    """x moved by `shifts` along `axes` (negative); what leaves at an end enters at the other."""

    shifts: Shape
    axes: Shape
    batched = True
    trailing = True

    def forward(self, x: Any) -> Any:
        return np.roll(x, self.shifts, self.axes)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return Roll.of(tuple(-n for n in self.shifts), self.axes)(g)

    def spec(self, x: Spec) -> Spec:
        return x

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty(x.shape)
        for at in np.ndindex(x.shape):
            to = list(at)
            for n, a in zip(self.shifts, self.axes, strict=True):
                to[a] = (to[a] + n) % x.shape[a]
            out[tuple(to)] = x[at]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape(low=1))
        axes = tuple(draw.integer(-x.ndim, -1) for _ in range(draw.integer(1, 2)))
        return cls(tuple(draw.integer(-4, 4) for _ in axes), axes), (x,)


class Repeat(Rearrange):
    """Each slice along an axis (negative) `times` times in a row."""

    times: int
    axis: int
    batched = True
    trailing = True

    def forward(self, x: Any) -> Any:
        return np.repeat(x, self.times, self.axis)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        at = g.ndim + self.axis
        apart = (*g.shape[:at], x.shape[self.axis], self.times, *g.shape[at + 1 :])
        return Sum.of((self.axis,))(reshape(g, apart))

    def spec(self, x: Spec) -> Spec:
        at = x.ndim + self.axis
        return x.with_shape((*x.shape[:at], x.shape[at] * self.times, *x.shape[at + 1 :]))

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty(self.spec(Spec(x.shape, np.dtype(float))).shape)
        for at in np.ndindex(out.shape):
            of = list(at)
            of[self.axis] //= self.times
            out[at] = x[tuple(of)]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape(low=1))
        return cls(draw.integer(0, 3), draw.integer(-x.ndim, -1)), (x,)


def flip(x: Any, axis: Any = None) -> Any:
    """x with the order of its elements reversed along some axes (all, if the axis is None).

    Args:
        x: tensor or array.
        axis: int, tuple of ints or None.

    Raises:
        ShapeError: if an axis is out of range or named twice.

    >>> flip(np.array([1.0, 2.0, 3.0]))
    array([3., 2., 1.])
    """
    x = shaped("flip", x)
    axes = axes_of("flip", axis, x.ndim)
    return getitem(x, tuple(slice(None, None, -1 if a in axes else 1) for a in range(-x.ndim, 0)))


def diff(x: Any, n: int = 1, axis: int = -1) -> Any:
    """Each element of x but the first minus the one before it along an axis, n times over.

    Args:
        x: tensor or array; booleans are compared (is it another one?), as in numpy.
        n: how often, ≥ 0.
        axis: int.

    Raises:
        ShapeError: if the axis is out of range.
        DomainError: if n is no integer ≥ 0.

    >>> diff(np.array([1.0, 4.0, 9.0, 16.0])), diff(np.array([1.0, 4.0, 9.0, 16.0]), 2)
    (array([3., 5., 7.]), array([2., 2.]))
    """
    x = shaped("diff", x)
    axis = one_axis("diff", axis, x.ndim)
    if not isinstance(n, int | np.integer) or n < 0:
        raise DomainError("diff", f"n is {n!r}", "Use an integer from 0.")
    minus = not_equal if x.dtype == bool else subtract
    for _ in range(n):
        after = getitem(x, along(axis, 1, None, x.ndim))
        x = minus(after, getitem(x, along(axis, None, -1, x.ndim)))
    return x


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """x moved along some axes; what leaves at an end enters at the other.

    Args:
        x: tensor or array.
        shift: by how many places, towards higher indices: int, or one for each axis.
        axis: int, tuple of ints, or None for x in reading order.

    Raises:
        ShapeError: if an axis is out of range, or there are not as many shifts as axes.

    >>> roll(np.array([1.0, 2.0, 3.0]), 1)
    array([3., 1., 2.])
    """
    x = shaped("roll", x)
    if axis is None:
        return reshape(roll(ravel(x), shift, -1), x.shape)
    axes = [
        one_axis("roll", a, x.ndim) for a in (axis if isinstance(axis, tuple | list) else [axis])
    ]
    shifts = list(ints("roll", "shift", shift))
    if len(axes) == 1:
        axes *= len(shifts)
    if len(shifts) == 1:
        shifts *= len(axes)
    if len(axes) != len(shifts):
        raise ShapeError(
            "roll",
            f"there are {len(shifts)} shifts for {len(axes)} axes",
            "Pass one shift for each axis, or one for all.",
        )
    return Roll.of(tuple(shifts), tuple(axes))(x)


def repeat(x: Any, repeats: Any, axis: Any = None) -> Any:
    """Each slice of x along an axis several times in a row.

    Args:
        x: tensor or array.
        repeats: how often, from 0: int, or one for each slice.
        axis: int, or None for the elements of x in reading order.

    Raises:
        ShapeError: if the axis is out of range, or there are not as many repeats as slices.
        DomainError: if a number of repeats is negative.

    >>> repeat(np.array([1.0, 2.0]), 2), repeat(np.array([1.0, 2.0]), [1, 2])
    (array([1., 1., 2., 2.]), array([1., 2., 2.]))
    """
    x = shaped("repeat", x)
    if axis is None:
        x, axis = ravel(x), -1
    axis = one_axis("repeat", axis, x.ndim)
    times = _times(repeats)
    least = times.min(initial=0)
    if least < 0:
        raise DomainError(
            "repeat", f"repeats is {repeats}: {least} is negative", "Repeat 0 times or more."
        )
    if len(times) == 1:
        return Repeat.of(int(times[0]), axis)(x)
    if len(times) != x.shape[axis]:
        raise ShapeError(
            "repeat",
            f"there are {len(times)} repeats, and axis {axis} of x ({show(x.shape)}) has"
            f" {x.shape[axis]} slices",
            "Pass one number for each slice, or one for all.",
        )
    return take(x, np.repeat(np.arange(len(times)), times), axis)


def _times(repeats: Any) -> Any:
    """Numbers of repeats as an array of ints."""
    if type(repeats) is np.ndarray and repeats.dtype.kind == "i" and repeats.ndim == 1:
        return repeats
    given = repeats.tolist() if hasattr(repeats, "tolist") else repeats
    whole = ints("repeat", "repeats", given)
    if max(whole, default=0) > np.iinfo(int).max:
        raise DomainError("repeat", f"repeats is {repeats}: so many do not fit", "Repeat less.")
    return np.array(whole, int)


def tile(x: Any, reps: Any) -> Any:
    """Copies of x side by side, `reps[i]` of them along axis i.

    Args:
        x: tensor or array.
        reps: int or tuple of ints from 0; the shorter of shape and reps is filled with leading 1s.

    Raises:
        DomainError: if a number of copies is negative.

    >>> tile(np.array([1.0, 2.0]), (2, 2))
    array([[1., 2., 1., 2.],
           [1., 2., 1., 2.]])
    """
    x = shaped("tile", x)
    times = ints("tile", "reps", reps.tolist() if hasattr(reps, "tolist") else reps)
    if min(times, default=0) < 0:
        raise DomainError("tile", f"reps is {reps}: {min(times)} is negative", "Use 0 or more.")
    ndim = max(x.ndim, len(times))
    shape = (1,) * (ndim - x.ndim) + x.shape
    times = (1,) * (ndim - len(times)) + times
    if times == (1,) * ndim:
        return reshape(x, shape)
    for i, t in enumerate(times):
        if t != 1:  # what is behind a new axis is repeated as a whole
            apart = Repeat.of(t, i - ndim - 1)(reshape(x, (*shape[:i], 1, *shape[i:])))
            shape = (*shape[:i], t * shape[i], *shape[i + 1 :])
            x = reshape(apart, shape)
    return x


def tril(x: Any, k: int = 0) -> Any:
    """The lower triangles of the matrices in x: 0 above the diagonal k, also for inf and NaN.

    Args:
        x: tensor or array (..., N, M); a vector counts as N rows that are equal.
        k: 0 for the main diagonal, positive above it, negative below.

    Raises:
        ShapeError: if x is a scalar.

    >>> tril(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 0.],
           [3., 4.]])
    """
    return _triangle("tril", x, k, lower=True)


def triu(x: Any, k: int = 0) -> Any:
    """The upper triangles of the matrices in x: 0 below the diagonal k. Otherwise as `tril`.

    >>> triu(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [0., 4.]])
    """
    return _triangle("triu", x, k, lower=False)


def _triangle(op: str, x: Any, k: Any, lower: bool) -> Any:
    x = shaped(op, x)
    k = integer(op, "the number of the diagonal", k)
    if not x.ndim:
        raise ShapeError(op, "x is a scalar, and a triangle is part of a matrix", "Pass a matrix.")
    rows, columns = x.shape[-2:] if x.ndim > 1 else x.shape * 2
    below = np.tri(rows, columns, k if lower else k - 1, dtype=bool)
    return where(below if lower else ~below, x, np.zeros((), x.dtype))


def diag(x: Any, k: int = 0) -> Any:
    """The square matrix with the vector x on diagonal k, or diagonal k of the matrix x.

    Args:
        x: tensor or array (N,) or (N, M).
        k: 0 for the main diagonal, positive above it, negative below.

    Raises:
        ShapeError: if x is neither a vector nor a matrix.

    >>> diag(np.array([1.0, 2.0])), diag(np.array([[1.0, 2.0], [3.0, 4.0]]))
    (array([[1., 0.],
           [0., 2.]]), array([1., 4.]))
    """
    x = shaped("diag", x)
    if x.ndim == 2:
        return diagonal(x, k)
    k = integer("diag", "the number of the diagonal", k)
    if x.ndim != 1:
        raise ShapeError(
            "diag",
            f"x is {show(x.shape)}, neither a vector nor a matrix",
            "For diagonals of stacked matrices use diagonal(x, axis1=-2, axis2=-1).",
        )
    size = len(x) + abs(k)
    start = k if k > 0 else -k * size  # in reading order the diagonal is every (size + 1)-th place
    there = slice(start, start + len(x) * (size + 1), size + 1)
    return reshape(Scatter.of(parsed("diag", there)[0], (size * size,))(x), (size, size))


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """A diagonal of the matrices along two axes of x; it becomes the last axis of the result.

    Args:
        x: tensor or array of at least two axes.
        offset: 0 for the main diagonal, positive above it, negative below.
        axis1, axis2: the rows and columns of the matrices.

    Raises:
        ShapeError: if an axis is out of range, or both are the same.

    >>> diagonal(np.array([[1.0, 2.0], [3.0, 4.0]]), 1)
    array([2.])
    """
    return _diagonal("diagonal", x, offset, axis1, axis2)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum along a diagonal, Σ x[i, i + offset], of the matrices in two axes.

    Args:
        x: tensor or array with at least two axes.
        offset: which diagonal: above the main one if positive, below it if negative.
        axis1, axis2: the axes of the matrices' rows and columns.

    Returns:
        An array without these two axes; floats keep their dtype.

    Raises:
        ShapeError: if an axis is out of range or named twice, or the offset is no integer.

    >>> trace(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array(5.)
    """
    return sum(_diagonal("trace", x, offset, axis1, axis2), axis=-1)


def _diagonal(op: str, x: Any, offset: Any, axis1: Any, axis2: Any) -> Any:
    x = shaped(op, x)
    axes_of(op, (axis1, axis2), x.ndim)
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    k = integer(op, "offset", offset, "Pass offset=0 for the main diagonal.")
    rows, columns = x.shape[-2:]
    row = np.arange(rows)
    row = row[(row + k >= 0) & (row + k < columns)]
    return getitem(x, (..., row, row + k))
