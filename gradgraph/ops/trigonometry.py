"""Trigonometric and hyperbolic functions of each element, and their inverses; in radians."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np

from .. import scalar
from ..kink import Kink
from ..spec import Spec, broadcast, inexact
from .choice import where
from .clip import clip
from .elementwise import Binary, Unary, equal

__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cos",
    "cosh",
    "sin",
    "sinh",
    "tan",
    "tanh",
]


class Sin(Unary):
    """sin x."""

    forward = np.sin

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * np.cos(x)

    def scalar(self, x: Any) -> Any:
        return scalar.sin(x)


class Cos(Unary):
    """cos x."""

    forward = np.cos

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return -(g * np.sin(x))

    def scalar(self, x: Any) -> Any:
        return scalar.cos(x)


class Tan(Unary):
    """sin x / cos x."""

    forward = np.tan
    domain = "unit"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * (1 + out * out)

    def scalar(self, x: Any) -> Any:
        return scalar.sin(x) / scalar.cos(x)


class Arcsin(Unary):
    """The angle from -π/2 to π/2 whose sine is x."""

    forward = np.arcsin
    domain = "unit"
    kinks = (Kink("x = ±1", "slope ∞, its limit", ([1.0, 0.0],), ([np.inf, 1.0],)),)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g / np.sqrt((1 - x) * (1 + x))

    def scalar(self, x: Any) -> Any:
        return scalar.arctan(x / scalar.sqrt(1.0 - x * x))


class Arccos(Unary):
    """The angle from 0 to π whose cosine is x."""

    forward = np.arccos
    domain = "unit"
    kinks = (Kink("x = ±1", "slope -∞, its limit", ([1.0, 0.0],), ([-np.inf, -1.0],)),)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return -(g / np.sqrt((1 - x) * (1 + x)))

    def scalar(self, x: Any) -> Any:
        return pi / 2 - scalar.arctan(x / scalar.sqrt(1.0 - x * x))


class Arctan(Unary):
    """The angle from -π/2 to π/2 whose tangent is x."""

    forward = np.arctan

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        a, s = _slant(x)
        return g * (a * a / s)

    def scalar(self, x: Any) -> Any:
        return scalar.arctan(x)


def _slant(x: Any) -> tuple[Any, Any]:
    """a and (1 + x²) a² for some a for which no square overflows; much faster than hypot."""
    largest = float(np.finfo(x.dtype).max)
    x = clip(x, low=-largest, high=largest)
    a = 1 / np.maximum(np.abs(x), 1)
    b = x * a
    return a, a * a + b * b


class Arctan2(Binary):
    """The angle of the point (x, y), from -π to π."""

    ufunc = np.arctan2
    keeps_integers = False
    domain = "away_from_zero"
    kinks = (Kink("x = y = 0", "slope 0", ([0.0, 3.0], [0.0, 4.0]), ([0.0, 0.16], [0.0, -0.12])),)

    def forward(self, y: Any, x: Any) -> Any:
        return np.arctan2(y, x)

    def vjp_y(self, g: Any, out: Any, y: Any, x: Any) -> Any:
        return g * _turn(x, y)

    def vjp_x(self, g: Any, out: Any, y: Any, x: Any) -> Any:
        return -(g * _turn(y, x))

    def spec(self, y: Spec, x: Spec) -> Spec:  # type: ignore[override]
        return Spec(broadcast(self.name, y=y, x=x), inexact(y, x))

    def scalar(self, y: Any, x: Any) -> Any:
        half_turn = 0.0 if scalar.value(x) > 0 else pi if scalar.value(y) > 0 else -pi
        return scalar.arctan(y / x) + half_turn


def _turn(x: Any, y: Any) -> Any:
    """x / (x² + y²), scaled so that no square overflows or vanishes; 0 at the origin."""
    size = np.maximum(np.abs(x), np.abs(y))
    origin = equal(size, 0)
    size = where(origin, 1, size)
    a, b = x / size, y / size
    return a / where(origin, 1, size * (a * a + b * b))


class Sinh(Unary):
    """(eˣ - e⁻ˣ) / 2."""

    forward = np.sinh

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * np.cosh(x)

    def scalar(self, x: Any) -> Any:
        return (scalar.exp(x) - scalar.exp(-x)) / 2.0


class Cosh(Unary):
    """(eˣ + e⁻ˣ) / 2."""

    forward = np.cosh

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * np.sinh(x)

    def scalar(self, x: Any) -> Any:
        return (scalar.exp(x) + scalar.exp(-x)) / 2.0


class Tanh(Unary):
    """tanh x."""

    forward = np.tanh
    style = "activation"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * (1 - out * out)

    def scalar(self, x: Any) -> Any:
        return scalar.tanh(x)


class Arcsinh(Unary):
    """ln(x + √(x² + 1))."""

    forward = np.arcsinh

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        a, s = _slant(x)
        return g * (a / np.sqrt(s))

    def scalar(self, x: Any) -> Any:
        return scalar.log(x + scalar.sqrt(x * x + 1.0))


class Arccosh(Unary):
    """ln(x + √(x² - 1))."""

    forward = np.arccosh
    domain = "above_one"
    kinks = (Kink("x = 1", "slope ∞, its limit", ([1.0],), ([np.inf],)),)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g / (np.sqrt(x - 1) * np.sqrt(x + 1))

    def scalar(self, x: Any) -> Any:
        return scalar.log(x + scalar.sqrt(x * x - 1.0))


class Arctanh(Unary):
    """ln((1 + x) / (1 - x)) / 2."""

    forward = np.arctanh
    domain = "unit"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g / ((1 - x) * (1 + x))

    def scalar(self, x: Any) -> Any:
        return scalar.log((1.0 + x) / (1.0 - x)) / 2.0


SIN, COS, TAN = Sin(), Cos(), Tan()
ARCSIN, ARCCOS, ARCTAN, ARCTAN2 = Arcsin(), Arccos(), Arctan(), Arctan2()
SINH, COSH, TANH = Sinh(), Cosh(), Tanh()
ARCSINH, ARCCOSH, ARCTANH = Arcsinh(), Arccosh(), Arctanh()


def sin(x: Any) -> Any:
    """Sine, elementwise, of an angle in radians.

    >>> sin(np.array([0.0, np.pi / 2]))
    array([0., 1.])
    """
    return SIN(x)


def cos(x: Any) -> Any:
    """Cosine, elementwise, of an angle in radians.

    >>> cos(np.array([0.0]))
    array([1.])
    """
    return COS(x)


def tan(x: Any) -> Any:
    """Tangent, elementwise, of an angle in radians; d/dx = 1 + tan² x.

    >>> tan(np.array([0.0, np.pi / 4])).round(6)
    array([0., 1.])
    """
    return TAN(x)


def arcsin(x: Any) -> Any:
    """Angle from -π/2 to π/2 whose sine is x, elementwise; d/dx = 1 / √(1 - x²).

    The slope at ±1 is inf, its limit; beyond the function is NaN, with numpy's warning.

    >>> arcsin(np.array([0.0, 1.0])).round(4)
    array([0.    , 1.5708])
    """
    return ARCSIN(x)


def arccos(x: Any) -> Any:
    """Angle from 0 to π whose cosine is x, elementwise; d/dx = -1 / √(1 - x²).

    The slope at ±1 is -inf, its limit; beyond the function is NaN, with numpy's warning.

    >>> arccos(np.array([0.0, 1.0])).round(4)
    array([1.5708, 0.    ])
    """
    return ARCCOS(x)


def arctan(x: Any) -> Any:
    """Angle from -π/2 to π/2 whose tangent is x, elementwise; d/dx = 1 / (1 + x²).

    >>> arctan(np.array([0.0, np.inf])).round(4)
    array([0.    , 1.5708])
    """
    return ARCTAN(x)


def arctan2(y: Any, x: Any) -> Any:
    """Angle from -π to π of the point (x, y), elementwise with broadcasting: y comes first.

    d/dy = x / (x² + y²) and d/dx = -y / (x² + y²), and 0 at the origin. Integers give floats.
    Errors as for `add`.

    >>> arctan2(np.array([1.0, 0.0]), np.array([0.0, -1.0])).round(4)
    array([1.5708, 3.1416])
    """
    return ARCTAN2(y, x)


def sinh(x: Any) -> Any:
    """Hyperbolic sine (eˣ - e⁻ˣ) / 2, elementwise. Overflow gives ±inf, as in numpy.

    >>> sinh(np.array([0.0, 1.0])).round(4)
    array([0.    , 1.1752])
    """
    return SINH(x)


def cosh(x: Any) -> Any:
    """Hyperbolic cosine (eˣ + e⁻ˣ) / 2, elementwise. Overflow gives inf, as in numpy.

    >>> cosh(np.array([0.0, 1.0])).round(4)
    array([1.    , 1.5431])
    """
    return COSH(x)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent, elementwise.

    >>> tanh(np.array([0.0, 100.0]))
    array([0., 1.])
    """
    return TANH(x)


def arcsinh(x: Any) -> Any:
    """Inverse of `sinh`, elementwise: ln(x + √(x² + 1)); d/dx = 1 / √(1 + x²).

    >>> arcsinh(np.array([0.0, 1e200])).round(4)
    array([  0.    , 461.2102])
    """
    return ARCSINH(x)


def arccosh(x: Any) -> Any:
    """Inverse of `cosh` for x ≥ 1, elementwise; d/dx = 1 / √(x² - 1).

    The slope at 1 is inf, its limit; below 1 the function is NaN, with numpy's warning.

    >>> arccosh(np.array([1.0, 1e200])).round(4)
    array([  0.    , 461.2102])
    """
    return ARCCOSH(x)


def arctanh(x: Any) -> Any:
    """Inverse of `tanh`, elementwise: ln((1 + x) / (1 - x)) / 2; d/dx = 1 / (1 - x²).

    At ±1 it is ±inf, and so is its slope; beyond it is NaN; both with numpy's warnings.

    >>> arctanh(np.array([0.0, 0.5])).round(4)
    array([0.    , 0.5493])
    """
    return ARCTANH(x)
