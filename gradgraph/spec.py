"""What is known of an array without its numbers: shape and dtype."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from operator import index
from typing import Any

import numpy as np

from .errors import ShapeError

Shape = tuple[int, ...]
SCALARS = (bool, int, float, complex, np.generic)  # numbers that need not become arrays


def show(shape: Shape) -> str:
    """A shape in a sentence: `3×4`, `(3,)` for one axis, `scalar` for none.

    >>> show((3, 4)), show((3,)), show(())
    ('3×4', '(3,)', 'scalar')
    """
    return f"({shape[0]},)" if len(shape) == 1 else brief(shape)


def brief(shape: Shape) -> str:
    """A shape in a picture or a table: `3×4`, `3`, or `scalar` for no axes.

    >>> brief((3, 4)), brief((3,)), brief(())
    ('3×4', '3', 'scalar')
    """
    return "×".join(map(str, shape)) if shape else "scalar"


@dataclass(frozen=True, slots=True)
class Spec:
    """Shape and dtype of an array.

    `weak` marks a Python scalar, which adapts to the dtype of the arrays it meets (NEP 50).

    >>> Spec((2, 3), np.dtype("float32")), Spec((), float).nbytes
    (Spec(2×3 float32), 8)
    """

    shape: Shape
    dtype: np.dtype[Any]
    weak: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.dtype, np.dtype):  # float, np.float32 or "float32"
            object.__setattr__(self, "dtype", np.dtype(self.dtype))

    @staticmethod
    def of(value: Any) -> Spec:
        """The spec of an array or a Python scalar."""
        if isinstance(value, np.ndarray | np.generic):
            return Spec(value.shape, value.dtype)
        array = np.asarray(value)
        return Spec(array.shape, array.dtype, weak=isinstance(value, bool | int | float))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def with_shape(self, shape: Shape) -> Spec:
        return Spec(shape, self.dtype)

    def stand_in(self) -> np.ndarray[Any, np.dtype[Any]]:
        """A read-only array of zeros of this shape that takes no memory.

        >>> Spec((1000, 1000), np.dtype(float)).stand_in().strides
        (0, 0)
        """
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)

    def __str__(self) -> str:
        return f"{show(self.shape)} {self.dtype}"

    def __repr__(self) -> str:
        return f"Spec({self})"


def spec_of(data: Any) -> Any:
    """The spec of what a vertex holds: a tuple of specs for one with several outputs."""
    return tuple(map(Spec.of, data)) if isinstance(data, tuple) else Spec.of(data)


def promote(*specs: Spec) -> np.dtype[Any]:
    """The dtype that numpy gives to a result of these operands.

    >>> promote(Spec((2,), np.dtype("float32")), Spec((), np.dtype(float), weak=True))
    dtype('float32')
    """
    return np.result_type(*(s.dtype.type(0).item() if s.weak else s.dtype for s in specs))


def inexact(*specs: Spec) -> np.dtype[Any]:
    """Like `promote`, but integers become floats, small ones half precision, as in numpy's exp.

    A formula with a Python float, as in numpy's mean, gives float64 instead: see `floating`.
    """
    dtype = promote(*specs)
    return dtype if dtype.kind in "fc" else np.result_type(dtype, np.float16(0), 0.0)


def floating(*specs: Spec) -> np.dtype[Any]:
    """Like `promote`, but integers become float64, whatever their size, as in numpy's mean.

    >>> floating(Spec((2,), np.dtype("uint8"))), floating(Spec((2,), np.dtype("float32")))
    (dtype('float64'), dtype('float32'))
    """
    dtype = promote(*specs)
    return dtype if dtype.kind in "fc" else np.dtype(float)


def accumulating(*specs: Spec) -> np.dtype[Any]:
    """Like `floating`, but half precision becomes single: the dtype to add many numbers up in.

    >>> accumulating(Spec((2,), np.dtype("float16"))), accumulating(Spec((2,), np.dtype(int)))
    (dtype('float32'), dtype('float64'))
    """
    return np.promote_types(floating(*specs), np.float32)


def broadcast(op: str, **specs: Spec) -> Shape:
    """The shape that numpy broadcasts the operands to; an error that names the axis if none.

    >>> f32 = np.dtype("float32")
    >>> broadcast("add", x=Spec((3, 4), f32), y=Spec((4,), f32))
    (3, 4)
    """
    ndim = max((s.ndim for s in specs.values()), default=0)
    result = []
    for axis in range(-ndim, 0):
        sizes = {name: s.shape[axis] for name, s in specs.items() if s.ndim >= -axis}
        wanted = {n for n in sizes.values() if n != 1}
        if len(wanted) > 1:
            shapes = " and ".join(f"{name} is {show(s.shape)}" for name, s in specs.items())
            lengths = " against ".join(str(n) for n in sizes.values())
            raise ShapeError(
                op,
                f"{shapes}: axis {axis} has {lengths}, and only lengths that are equal or 1"
                " broadcast",
                _broadcast_fix(specs),
            )
        result.append(wanted.pop() if wanted else 1)
    return tuple(result)


def _broadcast_fix(specs: dict[str, Spec]) -> str:
    (a, x), (b, y) = list(specs.items())[-2:]
    if x.ndim < y.ndim:
        (a, x), (b, y) = (b, y), (a, x)
    if y.ndim == 1 and y.shape[0] in x.shape:
        tail = ", None" * (x.ndim - 1 - x.shape.index(y.shape[0]))
        return f"To line {b} up with axis {x.shape.index(y.shape[0])} of {a}, use {b}[:{tail}]."
    return f"Reshape {a} or {b}, or insert axes of length 1 with [None]."


def axes_of(op: str, axis: Any, ndim: int) -> Shape:
    """`axis` (None, int or tuple, negative or not) as sorted negative axes, checked.

    Negative axes count from the end, so they stay right when leading axes are added.

    >>> axes_of("sum", None, 2), axes_of("sum", 0, 3), axes_of("sum", (-1, 0), 2)
    ((-2, -1), (-3,), (-2, -1))
    """
    if axis is None:
        return tuple(range(-ndim, 0))
    axes = []
    for a in axis if isinstance(axis, tuple | list) else (axis,):
        try:
            a = index(a)
        except TypeError:
            raise ShapeError(
                op, f"axis is {a!r}, not an integer", "Pass an int, a tuple of ints or None."
            ) from None
        if not -ndim <= a < ndim:
            raise ShapeError(
                op,
                f"axis {a} is out of range for {ndim} axes",
                f"Use an axis from {-ndim} to {ndim - 1}." if ndim else "A scalar has no axes.",
            )
        axes.append(a % ndim - ndim)
    if len(set(axes)) < len(axes):
        raise ShapeError(op, f"axis {axis} names an axis twice", "Name each axis once.")
    return tuple(sorted(axes))
