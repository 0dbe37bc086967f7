"""The error function and its complement, of each element."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from .. import scalar
from ..kernels import erf as kernel
from .clip import clip
from .elementwise import Unary, floats

__all__ = ["erf", "erfc"]

SLOPE = 2 / sqrt(pi)  # of erf at 0


class Erf(Unary):
    """2/√π ∫₀ˣ e^(-t²) dt."""

    def forward(self, x: Any) -> Any:
        return kernel.erf(floats(x))

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * _bell(x)

    def scalar(self, x: Any) -> Any:
        return scalar.erf(x)


class Erfc(Unary):
    """1 - erf x."""

    def forward(self, x: Any) -> Any:
        return kernel.erfc(floats(x))

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return -(g * _bell(x))

    def scalar(self, x: Any) -> Any:
        return 1.0 - scalar.erf(x)


def _bell(x: Any) -> Any:
    """2/√π e^(-x²), which is 0 long before |x| = 30; the square of more could overflow."""
    x = clip(x, low=-30.0, high=30.0)
    return SLOPE * np.exp(-(x * x))


ERF, ERFC = Erf(), Erfc()


def erf(x: Any) -> Any:
    """The error function 2/√π ∫₀ˣ e^(-t²) dt, elementwise; d/dx = 2/√π e^(-x²).

    Integers give floats. The relative error is below 4 eps everywhere.

    >>> erf(np.array([0.0, 0.5, np.inf])).round(4)
    array([0.    , 0.5205, 1.    ])
    """
    return ERF(x)


def erfc(x: Any) -> Any:
    """1 - erf(x), elementwise, without the cancellation: also its tail has all digits.

    d/dx = -2/√π e^(-x²). The relative error is below 4 eps down to where it underflows.

    >>> erfc(np.array([0.0, 10.0]))
    array([1.00000000e+00, 2.08848758e-45])
    """
    return ERFC(x)
