"""Exponentials, logarithms and roots of each element."""

from __future__ import annotations

from math import log as ln
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..kink import Kink
from .arithmetic import reciprocal
from .choice import where
from .elementwise import Binary, Unary, equal

__all__ = [
    "exp",
    "exp2",
    "expm1",
    "hypot",
    "log",
    "log1p",
    "log2",
    "log10",
    "rsqrt",
    "sqrt",
]


class Exp(Unary):
    """eˣ."""

    forward = np.exp

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * out

    def scalar(self, x: Any) -> Any:
        return scalar.exp(x)


class Exp2(Unary):
    """2ˣ."""

    forward = np.exp2

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * (out * ln(2))

    def scalar(self, x: Any) -> Any:
        return scalar.exp(x * ln(2))


class Expm1(Unary):
    """eˣ - 1."""

    forward = np.expm1

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * np.exp(x)  # out + 1 has lost its digits for x ≪ 0

    def scalar(self, x: Any) -> Any:
        return scalar.exp(x) - 1.0


class Log(Unary):
    """ln x."""

    forward = np.log
    domain = "positive"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g / x

    def scalar(self, x: Any) -> Any:
        return scalar.log(x)


class Log2(Unary):
    """The logarithm to base 2."""

    forward = np.log2
    domain = "positive"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g / (x * ln(2))

    def scalar(self, x: Any) -> Any:
        return scalar.log(x) / ln(2)


class Log10(Unary):
    """The logarithm to base 10."""

    forward = np.log10
    domain = "positive"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g / (x * ln(10))

    def scalar(self, x: Any) -> Any:
        return scalar.log(x) / ln(10)


class Log1p(Unary):
    """ln(1 + x)."""

    forward = np.log1p
    domain = "unit"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g / (1 + x)

    def scalar(self, x: Any) -> Any:
        return scalar.log(1.0 + x)


class Sqrt(Unary):
    """√x."""

    forward = np.sqrt
    domain = "positive"
    kinks = (Kink("x = 0", "slope ∞, its limit", ([0.0, 4.0],), ([np.inf, 0.25],)),)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return 0.5 * g / out

    def scalar(self, x: Any) -> Any:
        return scalar.sqrt(x)


class Hypot(Binary):
    """√(x² + y²), with slope 0 at the origin."""

    forward = np.hypot
    keeps_integers = False
    kinks = (Kink("x = y = 0", "slope 0", ([0.0, 3.0], [0.0, 4.0]), ([0.0, 0.6], [0.0, 0.8])),)

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g * (x / where(equal(out, 0), 1, out))

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g * (y / where(equal(out, 0), 1, out))

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.sqrt(x * x + y * y) if scalar.value(x) or scalar.value(y) else x * 0.0

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        a, b = draw.broadcastable(2)
        values = draw.tied if draw.ties else draw.away_from_zero
        return cls(), (values(a), values(b))


EXP, EXP2, EXPM1, SQRT, HYPOT = Exp(), Exp2(), Expm1(), Sqrt(), Hypot()
LOG, LOG2, LOG10, LOG1P = Log(), Log2(), Log10(), Log1p()


def exp(x: Any) -> Any:
    """e to the power x, elementwise; integers give floats. Overflow gives inf, as in numpy.

    >>> exp(np.array([0.0, 1.0])).round(3)
    array([1.   , 2.718])
    """
    return EXP(x)


def exp2(x: Any) -> Any:
    """2 to the power x, elementwise; integers give floats. Overflow gives inf, as in numpy.

    >>> exp2(np.array([-1.0, 3.0]))
    array([0.5, 8. ])
    """
    return EXP2(x)


def expm1(x: Any) -> Any:
    """e to the power x, minus 1, elementwise, with all digits for small x.

    >>> expm1(np.array([0.0, 1e-20]))
    array([0.e+00, 1.e-20])
    """
    return EXPM1(x)


def log(x: Any) -> Any:
    """Natural logarithm, elementwise; -inf at 0, NaN below, with numpy's warnings.

    >>> log(np.array([1.0, np.e]))
    array([0., 1.])
    """
    return LOG(x)


def log2(x: Any) -> Any:
    """Logarithm to base 2, elementwise; d/dx = 1 / (x ln 2). At 0 and below as `log`.

    >>> log2(np.array([0.5, 8.0]))
    array([-1.,  3.])
    """
    return LOG2(x)


def log10(x: Any) -> Any:
    """Logarithm to base 10, elementwise; d/dx = 1 / (x ln 10). At 0 and below as `log`.

    >>> log10(np.array([0.1, 1000.0]))
    array([-1.,  3.])
    """
    return LOG10(x)


def log1p(x: Any) -> Any:
    """ln(1 + x), elementwise, with all digits for small x; -inf at -1, NaN below.

    >>> log1p(np.array([0.0, 1e-20]))
    array([0.e+00, 1.e-20])
    """
    return LOG1P(x)


def sqrt(x: Any) -> Any:
    """Square root, elementwise; its slope at 0 is inf, below 0 it is NaN.

    >>> sqrt(np.array([1.0, 9.0]))
    array([1., 3.])
    """
    return SQRT(x)


def rsqrt(x: Any) -> Any:
    """1 / √x, elementwise; integers give floats. At 0 it is inf with slope -inf, below 0 NaN.

    >>> rsqrt(np.array([1.0, 4.0]))
    array([1. , 0.5])
    """
    return reciprocal(SQRT(x))


def hypot(x: Any, y: Any) -> Any:
    """√(x² + y²), elementwise with broadcasting, without overflow of the squares.

    The slopes are x / √(x² + y²) and y / √(x² + y²), and 0 at the origin. Integers give floats.
    Errors as for `add`.

    >>> hypot(np.array([3.0, 3e200]), np.array([4.0, 4e200]))
    array([5.e+000, 5.e+200])
    """
    return HYPOT(x, y)
