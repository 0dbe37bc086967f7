"""Exponentials, logarithms and roots of each element."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..kink import Kink
from .elementwise import Unary

__all__ = ["exp", "log", "sqrt"]


class Exp(Unary):
    """eˣ."""

    forward = np.exp

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * out

    def scalar(self, x: Any) -> Any:
        return scalar.exp(x)


class Log(Unary):
    """ln x."""

    forward = np.log
    domain = "positive"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g / x

    def scalar(self, x: Any) -> Any:
        return scalar.log(x)


class Sqrt(Unary):
    """√x."""

    forward = np.sqrt
    domain = "positive"
    kinks = (Kink("x = 0", "slope ∞, its limit", ([0.0, 4.0],), ([np.inf, 0.25],)),)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return 0.5 * g / out

    def scalar(self, x: Any) -> Any:
        return scalar.sqrt(x)


EXP, LOG, SQRT = Exp(), Log(), Sqrt()


def exp(x: Any) -> Any:
    """e to the power x, elementwise; integers give floats. Overflow gives inf, as in numpy.

    >>> exp(np.array([0.0, 1.0])).round(3)
    array([1.   , 2.718])
    """
    return EXP(x)


def log(x: Any) -> Any:
    """Natural logarithm, elementwise; -inf at 0, NaN below, with numpy's warnings.

    >>> log(np.array([1.0, np.e]))
    array([0., 1.])
    """
    return LOG(x)


def sqrt(x: Any) -> Any:
    """Square root, elementwise; its slope at 0 is inf, below 0 it is NaN.

    >>> sqrt(np.array([1.0, 9.0]))
    array([1., 3.])
    """
    return SQRT(x)
