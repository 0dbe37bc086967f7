"""Variance and standard deviation, composed of means."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import DomainError, DTypeError
from ..spec import axes_of, show
from .elementwise import cast, equal, mask, negate, where
from .reduce import mean, sum

__all__ = ["std", "var"]


def var(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The mean squared deviation from the mean, Σ (x - mean x)² / (n - ddof), over some axes.

    The deviations are taken first, so that nothing cancels. Half precision is computed in single.

    Args:
        x: tensor or array; floats keep their dtype, integers give float64.
        axis: int, tuple of ints (negative ones count from the end) or None for all axes.
        ddof: degrees of freedom that the mean takes away; 1 for an unbiased estimate.
        keepdims: keep the folded axes with length 1.

    Raises:
        ShapeError: if an axis is out of range or named twice, or there are no elements.
        DomainError: if ddof is not less than the number of elements.
        DTypeError: if x is complex.

    >>> var(np.array([[1.0, 3.0], [2.0, 6.0]]), axis=1)
    array([1., 4.])
    """
    x = x if hasattr(x, "ndim") else np.asarray(x)
    return _rounded(_variance("var", x, axis, ddof, keepdims), x)


def std(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The standard deviation √var over some axes; arguments and errors as for `var`.

    Where all elements are equal its gradient is 0.

    >>> std(np.array([[1.0, 3.0], [2.0, 6.0]]), axis=1)
    array([1., 2.])
    """
    x = x if hasattr(x, "ndim") else np.asarray(x)
    variance = _variance("std", x, axis, ddof, keepdims)
    flat = equal(variance, 0)
    return _rounded(mask(np.sqrt(where(flat, 1, variance)), negate(flat)), x)


def _rounded(result: Any, x: Any) -> Any:
    return cast(result, x.dtype) if x.dtype == np.float16 else result


def _variance(op: str, x: Any, axis: Any, ddof: float, keepdims: bool) -> Any:
    """The variance; that of half precision in single."""
    if x.dtype.kind == "c":
        raise DTypeError(op, "x is complex", "Use real and imaginary parts as two arrays.")
    x = cast(x, np.float32) if x.dtype == np.float16 else x
    axes = axes_of(op, axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    if not isinstance(ddof, int | float | np.number):
        raise DTypeError(op, f"ddof is {ddof!r}, not a number", "Use ddof=0 or ddof=1.")
    if count and not ddof < count:
        raise DomainError(
            op,
            f"ddof is {ddof}, but only {count} elements are folded (x is {show(x.shape)}, axis"
            f" {axis}): nothing is left to divide by",
            "Use ddof=0, or fold more elements.",
        )
    deviations = x - mean(x, axes, keepdims=True)
    return sum(deviations * deviations, axes, keepdims) * (1.0 / (count - ddof))
