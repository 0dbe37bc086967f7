"""Norms of vectors, and vectors of unit length."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, DTypeError, ShapeError
from ..kink import Kink
from ..spec import Spec, axes_of, floating, show
from .arithmetic import absolute
from .choice import maximum, where
from .elementwise import cast, equal, mask, negate
from .operand import accumulated, check_eps, flag, shaped
from .reduce import Reduce, Sum, max, min, sum

__all__ = ["norm", "normalize"]


class _Norm(Reduce, abstract=True):
    """(Σ |x|ᵖ)^(1/p) over the axes; it has no derivative at x = 0, and there the rules give 0."""

    p: float = 2.0

    def forward(self, x: Any) -> Any:
        wide = accumulated(x)
        info = np.finfo(wide.dtype)
        with np.errstate(over="ignore", under="ignore"):
            total = _sum_of_powers(wide, self.p, self.axis)
            safe = (total >= info.tiny) & np.isfinite(total)
            scale: Any = 1
            if not safe.all():  # what is lost below, or beyond the greatest float, is divided out
                top = np.max(np.absolute(wide), axis=self.axis, keepdims=True, initial=0)
                scale = np.where((top > 0) & np.isfinite(top), top, 1)
                total = _sum_of_powers(wide / scale, self.p, self.axis)
            result = scale * total ** (1 / self.p)
        return result.reshape(self._folded(x.shape)).astype(floating(Spec.of(x)), copy=False)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return self._spread(mask(g, negate(equal(out, 0))), out, x) * self._slopes(out, x)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        along = Sum.of(self.axis, self.keepdims)(t * self._slopes(out, x))
        return mask(along, negate(equal(out, 0)))

    def _slopes(self, out: Any, x: Any) -> Any:
        """The slope of each element of lines that are not 0: x / ‖x‖ if p = 2."""
        return x / self._spread(where(equal(out, 0), 1, out), out, x)

    def _dtype(self, x: Spec) -> Any:
        return floating(x)

    def fold(self, values: list[Any]) -> Any:
        sizes = [v if scalar.value(v) > 0 else -v for v in values if scalar.value(v) != 0]
        total = scalar.total(v**self.p for v in sizes)
        return total ** (1 / self.p) if sizes else scalar.total(values) * 0.0

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        shape = draw.shape(sizes=(2, 3, 1, 5))
        x = draw.tied(shape) if draw.ties else draw.away_from_zero(shape)
        axis = axes_of(cls.name, draw.axis(x.ndim), x.ndim)
        return cls(axis, draw.boolean()), (x,)

    def flops(self, out: Spec, x: Spec) -> int:  # type: ignore[override]
        return 2 * x.size


class Norm(_Norm):
    """√Σ x² over the axes."""

    kinks = (
        Kink(
            "x = 0", "slope 0", ([[0.0, 0.0], [3.0, 4.0]],), ([[0.0, 0.0], [0.6, 0.8]],), ((-1,),)
        ),
    )


class PNorm(_Norm):
    """(Σ |x|ᵖ)^(1/p) over the axes; elements that are 0 have slope 0."""

    name = "p_norm"
    kinks = (
        Kink("x = 0", "slope 0", ([0.0, 0.0],), ([0.0, 0.0],), ((-1,), False, 3.0)),
        Kink("an element is 0", "slope 0", ([0.0, 2.0],), ([0.0, 1.0],), ((-1,), False, 0.5)),
    )

    def _slopes(self, out: Any, x: Any) -> Any:
        ratio = super()._slopes(out, x)
        zero = equal(ratio, 0)  # also that of an element which is negligible
        size = where(zero, 1, absolute(ratio)) ** (self.p - 1)
        return mask(np.sign(x) * size, negate(zero))

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, (x,) = super().sample(draw)
        p = draw.choice([3.0, 1.5] if draw.ties else [3.0, 1.5, 0.5])  # steps from √0 tell nothing
        return cls(op.axis, op.keepdims, p), (x,)


def _sum_of_powers(x: Any, p: float, axis: Any) -> Any:
    powers = np.square(x) if p == 2 else np.absolute(x) ** p
    return np.asarray(np.sum(powers, axis=axis, keepdims=True))


def norm(x: Any, ord: float = 2, axis: Any = None, keepdims: bool = False) -> Any:
    """The length of vectors, (Σ |x|ᵖ)^(1/p) over some axes, as `np.linalg.vector_norm`.

    It neither overflows nor underflows on the way, whatever the size of the elements. Where it is 0
    its gradient is 0, at every order; so is the slope of an element that is 0 unless p = 2. Of
    several greatest elements (p = inf) each gets an equal share. Where the norm is infinite the
    gradient is NaN.

    Args:
        x: tensor or array; floats keep their dtype, integers give float64.
        ord: the p of the norm: 2 is Euclid's, 1 the sum of absolute values, inf the greatest of
            them, -inf the least; else a number > 0.
        axis: int, tuple of ints (all their elements are one vector) or None for all axes.
        keepdims: keep the folded axes with length 1.

    Raises:
        ShapeError: if an axis is out of range or named twice, or the greatest of nothing is asked.
        DomainError: if ord is no such number; norms of matrices are not available.
        DTypeError: if x is complex.

    >>> norm(np.array([[3.0, 4.0], [0.0, 2.0]]), axis=1)
    array([5., 2.])
    """
    return _norm("norm", x, ord, axis, keepdims)


def _norm(op: str, x: Any, ord: Any, axis: Any, keepdims: bool) -> Any:
    x = shaped(op, x)
    if x.dtype.kind == "c":
        raise DTypeError(op, "x is complex", "Use norm(absolute(x)).")
    if isinstance(ord, bool) or not isinstance(ord, int | float | np.number):
        raise DomainError(
            op, f"ord is {ord!r}, not a number", "Use 1, 2, inf or another number > 0."
        )
    if not ord > 0 and ord != -math.inf:
        raise DomainError(
            op, f"ord is {ord}, which gives no norm", "Use 1, 2, inf or another number > 0."
        )
    axes, keepdims = axes_of(op, axis, x.ndim), flag(op, "keepdims", keepdims)
    if ord == 2:
        return Norm.of(axes, keepdims)(x)
    if ord != 1 and math.isfinite(ord):
        return PNorm.of(axes, keepdims, float(ord))(x)
    if ord != 1 and not math.prod(x.shape[a] for a in axes):
        raise ShapeError(
            op,
            f"x is {show(x.shape)} and the folded axes hold no elements",
            f"Use ord=2: the {'greatest' if ord > 0 else 'least'} of nothing is undefined.",
        )
    sizes = absolute(x if x.dtype.kind == "f" else cast(x, float))
    return (sum if ord == 1 else max if ord > 0 else min)(sizes, axes, keepdims)


def normalize(x: Any, axis: Any = -1, ord: float = 2, eps: float = 1e-12) -> Any:
    """x / max(‖x‖, eps): vectors of length 1 along some axes; those shorter than eps stay short.

    Args:
        x: tensor or array; floats keep their dtype, integers give float64.
        axis: int, tuple of ints or None for all axes: what one vector extends over.
        ord: the p of the norm, as for `norm`.
        eps: the least number to divide by (or the least normal one of the dtype).

    Raises:
        ShapeError, DTypeError: as for `norm`.
        DomainError: if eps is not a number > 0, or ord gives no norm.

    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    check_eps("normalize", eps, "1e-12")
    x = shaped("normalize", x)
    length = _norm("normalize", x, ord, axis, True)
    return x / maximum(length, builtins.max(float(eps), float(np.finfo(length.dtype).tiny)))
