"""What public functions ask of their arguments before an op sees them."""

from __future__ import annotations

from math import inf
from operator import index
from typing import Any

import numpy as np

from ..errors import DomainError, DTypeError, ShapeError
from ..mode import current
from ..node import Vertex
from ..op import Op
from ..spec import SCALARS, Shape, Spec, accumulating, axes_of


def shaped(op: str, x: Any) -> Any:
    """An operand that knows its shape: a tensor or an array as it is, anything else as an array.

    >>> shaped("sum", [[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if hasattr(x, "ndim") and not isinstance(x, type):
        return x
    try:
        return np.asarray(x)
    except ValueError:
        raise DTypeError(
            op,
            f"an operand is {type(x).__name__} {str(x)[:40]!r}, whose parts differ in shape",
            "Pass nested lists of equal length, or an array.",
        ) from None


def operand(op: str, x: Any) -> Any:
    """Like `shaped`, but a Python number stays one: it adapts to the dtypes that it meets."""
    return x if isinstance(x, SCALARS) else shaped(op, x)


def known(x: Any) -> bool:
    """Whether the values of an operand are known: they are not while a function is traced, nor are
    those of state while it is compiled."""
    if not isinstance(x, Vertex):
        return True
    tape = current().tape
    return x.__class__ is not Op.traced and (tape is None or tape.knows(x))


def values(x: Any) -> Any:
    """The numbers in an operand, as an array."""
    return np.asarray(x._data if isinstance(x, Vertex) else x)


def accumulated(x: Any) -> Any:
    """An array in the dtype to add it up in: half precision as single, integers as float64."""
    return np.asarray(x, accumulating(Spec.of(x)))


def operand_spec(x: Any) -> Spec:
    """Shape and dtype of a tensor, an array or a number."""
    return Spec.of(x._data if isinstance(x, Vertex) else x)


def real(op: str, name: str, x: Any) -> Any:
    """An operand as a tensor, an array or a Python number, if it holds real numbers."""
    if not isinstance(x, Vertex | np.ndarray | int | float):
        try:
            x = np.asarray(x)
        except ValueError:
            x = np.empty(0, object)  # ragged lists
    dtype = operand_spec(x).dtype
    if dtype.kind not in "biuf":
        raise DTypeError(
            op, f"{name} is of dtype {dtype}, not real numbers", "Pass a tensor or array of floats."
        )
    return x


def ints(op: str, name: str, values: Any) -> Shape:
    """The values as a tuple of ints, checked."""
    try:
        return tuple(map(index, values)) if isinstance(values, tuple | list) else (index(values),)
    except TypeError:
        raise ShapeError(op, f"{name} {values!r} is not made of integers", "Pass ints.") from None


def integer(op: str, name: str, value: Any, fix: str = "Pass an int.") -> int:
    """A parameter that counts, checked."""
    try:
        return index(value)
    except TypeError:
        raise ShapeError(op, f"{name} is {value!r}, not an integer", fix) from None


def count(op: str, name: str, value: Any, least: int = 1, fix: str | None = None) -> int:
    """An int of at least `least`, checked; booleans are none.

    >>> count("DataLoader", "size", np.int64(32))
    32
    """
    try:
        whole = None if isinstance(value, bool | np.bool_) else index(value)
    except TypeError:
        whole = None
    fix = fix or f"Use {name}={max(10, least)}."
    if whole is None:
        raise DTypeError(op, f"{name} is {value!r:.40}, not an int", fix)
    if whole < least:
        raise DomainError(op, f"{name} is {whole}, not at least {least}", fix)
    return whole


def one_axis(op: str, axis: Any, ndim: int, fix: str = "Use axis=0.") -> int:
    """An axis as a negative int, checked."""
    if axis is None or isinstance(axis, tuple | list):
        raise ShapeError(op, f"axis is {axis!r}, not one axis", fix)
    return axes_of(op, axis, ndim)[0]


def number(op: str, name: str, value: Any, low: float, high: float = inf) -> float:
    """A parameter, if it is a number from low to high."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        shown = repr(value) if isinstance(value, bool | str | None) else type(value).__name__
        raise DTypeError(op, f"{name} is {shown}, not a number", f"Pass {name}=0.5, say.")
    if not low <= value <= high:
        wanted = f"from {low:g} to {high:g}" if high < inf else f"of at least {low:g}"
        raise DomainError(op, f"{name} is {value!r}", f"Use a number {wanted}.")
    return float(value)


def positive(op: str, name: str, value: Any) -> float:
    """A parameter, if it is a positive number; as Python's, which leaves the dtype of x alone."""
    if not (isinstance(value, int | float | np.number) and value > 0):
        raise DomainError(op, f"{name} is {value!r}, and must be a positive number", "Try 1.0.")
    return float(value)


def flag(op: str, name: str, value: Any) -> bool:
    """An argument that is yes or no, checked: a dtype in its place would count as yes.

    >>> flag("sum", "keepdims", True)
    True
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise DTypeError(op, f"{name} is {value!r}, not a bool", f"Use {name}=True or {name}=False.")


def check_eps(op: str, eps: Any, usual: str) -> None:
    """Raise unless the eps that keeps a division from being one by 0 is positive."""
    if not isinstance(eps, int | float | np.number) or not eps > 0:
        raise DomainError(op, f"eps is {eps!r}, not a number > 0", f"Use eps={usual}.")
