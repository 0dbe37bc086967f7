"""The soft maximum ln(eˣ + eʸ), and the activations that are made of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from .activation import sigmoid
from .arithmetic import multiply
from .choice import where
from .comparison import isinf
from .elementwise import Binary, both, equal
from .operand import positive

__all__ = ["log_sigmoid", "logaddexp", "softplus"]


class Logaddexp(Binary):
    """ln(eˣ + eʸ)."""

    ufunc = np.logaddexp
    keeps_integers = False
    style = "activation"

    def forward(self, x: Any, y: Any) -> Any:
        with np.errstate(invalid="ignore"):  # numpy's warns of a NaN that was there before
            return np.logaddexp(x, y)

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g * sigmoid(_difference(x, y))

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g * sigmoid(_difference(y, x))

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.log(scalar.exp(x) + scalar.exp(y))


def _difference(x: Any, y: Any) -> Any:
    """x - y, and 0 for the same infinity twice."""
    same = both(equal(x, y), isinf(x))
    return where(same, 0, x) - where(same, 0, y)


LOGADDEXP = Logaddexp()


def logaddexp(x: Any, y: Any) -> Any:
    """ln(eˣ + eʸ), elementwise with broadcasting, without overflow; integers give floats.

    d/dx = 1 / (1 + e^(y - x)), and one half at the same infinity twice. Errors as for `add`.

    >>> logaddexp(np.array([0.0, 1000.0]), np.array([0.0, -np.inf])).round(4)
    array([6.931e-01, 1.000e+03])
    """
    return LOGADDEXP(x, y)


def softplus(x: Any, beta: float = 1.0) -> Any:
    """ln(1 + e^(beta · x)) / beta, elementwise: a smooth `relu`, sharper for greater beta.

    d/dx = sigmoid(beta · x). Nothing overflows; integers give floats.

    Raises:
        DomainError: if beta is not positive.

    >>> softplus(np.array([-1000.0, 0.0, 1000.0])).round(4)
    array([0.000e+00, 6.931e-01, 1.000e+03])
    """
    beta = positive("softplus", "beta", beta)
    if beta == 1:
        return LOGADDEXP(x, 0.0)
    return LOGADDEXP(multiply(x, beta), 0.0) / beta


def log_sigmoid(x: Any) -> Any:
    """ln sigmoid(x) = -softplus(-x), elementwise, without underflow; integers give floats.

    >>> log_sigmoid(np.array([-1000.0, 0.0])).round(4)
    array([-1.000e+03, -6.931e-01])
    """
    return -softplus(multiply(x, -1.0))
