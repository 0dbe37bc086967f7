"""Variance and standard deviation."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, DTypeError, ShapeError
from ..spec import Shape, Spec, axes_of, floating, show
from .choice import where
from .elementwise import cast, equal, mask, negate
from .operand import flag, shaped
from .reduce import Reduce, Sum, mean

__all__ = ["std", "var"]


class Var(Reduce):
    """Σ (x - mean x)² / (n - ddof) over the axes."""

    ddof: float = 0.0
    checks = True

    def forward(self, x: Any) -> Any:
        deviations = self._deviations(x)
        deviations *= deviations
        total = np.sum(deviations, axis=self.axis, keepdims=self.keepdims)
        return (total * self._weight(x)).astype(floating(Spec.of(x)), copy=False)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return self._spread(g * (2 * self._weight(x)), out, x) * self._deviations(x)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return Sum.of(self.axis, self.keepdims)(t * self._deviations(x)) * (2 * self._weight(x))

    def _deviations(self, x: Any) -> Any:
        """x - mean x; that of half precision in single, since the mean is no half."""
        wide = cast(x, np.float32) if x.dtype == np.float16 else x
        return wide - mean(wide, self.axis, keepdims=True)

    def _weight(self, x: Any) -> float:
        return 1.0 / (self._count(x) - self.ddof)

    def _dtype(self, x: Spec) -> Any:
        return floating(x)

    def spec(self, x: Spec) -> Spec:
        _check(self.name, x, self._count(x), self.axis, self.ddof)
        return super().spec(x)

    def fold(self, values: list[Any]) -> Any:
        middle = scalar.total(values) * (1.0 / len(values))
        squares = [(v - middle) * (v - middle) for v in values]
        return scalar.total(squares) * (1.0 / (len(values) - self.ddof))

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape(sizes=(2, 3, 1, 5)))
        axis = axes_of(cls.name, draw.axis(x.ndim), x.ndim)
        return cls(axis, draw.boolean(), draw.choice([0.5, -0.5])), (x,)

    def flops(self, out: Spec, x: Spec) -> int:  # type: ignore[override]
        return 4 * x.size


def _check(op: str, x: Any, count: int, axis: Shape, ddof: float) -> None:
    """Raise if there are too few elements to vary."""
    if not count:
        raise ShapeError(
            op,
            f"x is {show(x.shape)} and the folded axes hold no elements",
            "A variance needs at least one element.",
        )
    if not ddof < count:
        raise DomainError(
            op,
            f"ddof is {ddof:g}, but n = {count} (x is {show(x.shape)}, folded over axis"
            f" {', '.join(map(str, axis))}): n - ddof must be positive",
            "Use ddof=0, or fold more elements.",
        )


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
        DTypeError: if x is complex, or ddof no number.

    >>> var(np.array([[1.0, 3.0], [2.0, 6.0]]), axis=1)
    array([1., 4.])
    """
    return _variance("var", x, axis, ddof, keepdims)


def std(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The standard deviation √var over some axes; arguments and errors as for `var`.

    Where all elements are equal its gradient is 0.

    >>> std(np.array([[1.0, 3.0], [2.0, 6.0]]), axis=1)
    array([1., 2.])
    """
    dtype = getattr(x, "dtype", None)
    x = cast(x, np.float32) if dtype == np.float16 else x  # the variance may overflow a half
    variance = _variance("std", x, axis, ddof, keepdims)
    flat = equal(variance, 0)
    result = mask(np.sqrt(where(flat, 1, variance)), negate(flat))
    return cast(result, dtype) if dtype == np.float16 else result


def _variance(op: str, x: Any, axis: Any, ddof: float, keepdims: bool) -> Any:
    x = shaped(op, x)
    if x.dtype.kind == "c":
        raise DTypeError(op, "x is complex", "Use real and imaginary parts as two arrays.")
    if isinstance(ddof, bool) or not isinstance(ddof, int | float | np.number):
        raise DTypeError(op, f"ddof is {ddof!r}, not a number", "Use ddof=0 or ddof=1.")
    keepdims = flag(op, "keepdims", keepdims)
    axes = axes_of(op, axis, x.ndim)
    _check(op, x, prod(x.shape[a] for a in axes), axes, float(ddof))
    return Var.of(axes, keepdims, float(ddof))(x)
