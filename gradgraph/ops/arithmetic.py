"""Arithmetic on each element: + - · /, powers, signs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError
from ..kink import Kink
from ..spec import Spec, broadcast, floating
from .choice import where
from .elementwise import SIGNED, Binary, Unary, both, cast, equal, greater_equal, mask, negate

__all__ = [
    "abs",
    "absolute",
    "add",
    "divide",
    "multiply",
    "negative",
    "power",
    "reciprocal",
    "square",
    "subtract",
]


class Add(Binary):
    """x + y."""

    forward = np.add

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g

    def scalar(self, x: Any, y: Any) -> Any:
        return x + y


class Subtract(Binary):
    """x - y."""

    forward = np.subtract

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return -g

    def scalar(self, x: Any, y: Any) -> Any:
        return x - y


class Multiply(Binary):
    """x · y."""

    forward = np.multiply
    linear = ("x", "y")

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g * y

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g * x

    def scalar(self, x: Any, y: Any) -> Any:
        return x * y


class Divide(Binary):
    """x / y."""

    forward = np.divide
    linear = ("x",)
    keeps_integers = False
    domain = "away_from_zero"

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g / y

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return -(g * out / y)

    def spec(self, x: Spec, y: Spec) -> Spec:
        return Spec(broadcast(self.name, x=x, y=y), floating(x, y))

    def scalar(self, x: Any, y: Any) -> Any:
        return x / y


class Power(Binary):
    """x to the y; the derivative by y counts ln x as 0 for x ≤ 0, where y cannot vary."""

    ufunc = np.power
    domain = "positive"
    kinks = (
        Kink("x = 0, y = 0", "slope 0 by x", ([0.0], 0), ([0.0],)),
        Kink("x = 0, y > 0", "slope 0 by y", ([0.0], [2.0]), ([0.0], [0.0])),
        Kink("x < 0", "slope 0 by y", ([-3.0], [2.0]), ([-6.0], [0.0])),
    )

    def forward(self, x: Any, y: Any) -> Any:
        return x**y

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        if isinstance(y, int | float) and y > 1:  # a plain number: nothing is being recorded
            return g * (y * (x if y == 2 else x ** (y - 1)))
        flat = both(equal(x, 0), equal(y, 0))
        return g * (y * where(flat, 1.0, x) ** (y - 1.0))  # unsigned integers would wrap around

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        flat = greater_equal(0, x)
        base = where(flat, 1.0, x)
        if base.dtype != out.dtype:  # the logarithm has the precision of the result
            base = cast(base, out.dtype)
        return g * (mask(out, negate(flat)) * np.log(base))

    def explain(self, error: Exception, args: Any) -> Exception:
        better = super().explain(error, args)
        if better is error and isinstance(error, ValueError):
            what = "an integer to the power of a negative integer is no integer"
            return DomainError(self.name, what, "Write 2.0 instead of 2, or use .astype(float).")
        return better

    def scalar(self, x: Any, y: Any) -> Any:
        return x**y

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        kind = draw.integer(0, 5)
        if kind == 3:
            return cls(), (draw.away_from_zero(draw.shape()), draw.choice([2, 3, -1, 1, 0]))
        if kind == 4:
            x = draw.tied(draw.shape())
            return cls(), (x, draw.rng.integers(0, 3, x.shape))
        if kind == 5:
            zeros = draw.rng.integers(0, 2, draw.shape())
            return cls(), (zeros, draw.positive(zeros.shape))
        op, args = super().sample(draw)
        return op, args


class Square(Unary):
    """x²."""

    forward = np.square
    style = "arithmetic"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * (2 * x)

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, np.square(np.empty(0, x.dtype)).dtype)  # booleans become int8

    def scalar(self, x: Any) -> Any:
        return x * x


class Negative(Unary):
    """-x."""

    forward = np.negative
    linear = ("x",)
    keeps_integers = True
    style = "arithmetic"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return -g

    def scalar(self, x: Any) -> Any:
        return -x


class Absolute(Unary):
    """|x|, with slope 0 at 0."""

    forward = np.absolute
    kinks = (Kink("x = 0", "slope 0", ([0.0, 2.0, -2.0],), ([0.0, 1.0, -1.0],)),)
    domain = "kinky"
    keeps_integers = True

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return SIGNED(g, x)

    def scalar(self, x: Any) -> Any:
        v = scalar.value(x)
        return x if v > 0 else -x if v < 0 else x * 0.0


ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER = Add(), Subtract(), Multiply(), Divide(), Power()
SQUARE, NEGATIVE, ABSOLUTE = Square(), Negative(), Absolute()


def add(x: Any, y: Any) -> Any:
    """x + y, elementwise with broadcasting.

    Args:
        x, y: tensors, arrays or numbers whose shapes broadcast. The dtype is numpy's.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> add(np.array([1.0, 2.0]), 10.0)
    array([11., 12.])
    """
    return ADD(x, y)


def subtract(x: Any, y: Any) -> Any:
    """x - y, elementwise with broadcasting. Shapes, dtypes and errors as for `add`.

    >>> subtract(np.array([1.0, 2.0]), 10.0)
    array([-9., -8.])
    """
    return SUBTRACT(x, y)


def multiply(x: Any, y: Any) -> Any:
    """x · y, elementwise with broadcasting. Shapes, dtypes and errors as for `add`.

    >>> multiply(np.array([1.0, 2.0]), 10.0)
    array([10., 20.])
    """
    return MULTIPLY(x, y)


def divide(x: Any, y: Any) -> Any:
    """x / y, elementwise with broadcasting; integers give floats. Errors as for `add`.

    Division by 0 gives ±inf or NaN with numpy's warning.

    >>> divide(np.array([1.0, 2.0]), 10.0)
    array([0.1, 0.2])
    """
    return DIVIDE(x, y)


def power(x: Any, y: Any) -> Any:
    """x to the power y, elementwise with broadcasting. Errors as for `add`.

    Integers to the power of a negative integer are a DomainError.

    d/dx = y · x^(y-1), and 0 for y = 0 (also at x = 0). d/dy = x^y · ln x for x > 0, and 0 for
    x ≤ 0: at 0 the power is flat, and below 0 only whole exponents have one (others give NaN), so
    there is no direction in which y could vary.

    >>> power(np.array([1.0, 3.0]), 2)
    array([1., 9.])
    """
    return POWER(x, y)


def square(x: Any) -> Any:
    """x², elementwise; shape and dtype are kept.

    >>> square(np.array([1.0, -3.0]))
    array([1., 9.])
    """
    return SQUARE(x)


def reciprocal(x: Any) -> Any:
    """1 / x, elementwise; unlike numpy's, that of an integer is a float. At 0 as for `divide`.

    >>> reciprocal(np.array([2, 4]))
    array([0.5 , 0.25])
    """
    return DIVIDE(1.0, x)


def negative(x: Any) -> Any:
    """-x, elementwise; shape and dtype are kept.

    >>> negative(np.array([1.0, -2.0]))
    array([-1.,  2.])
    """
    return NEGATIVE(x)


def absolute(x: Any) -> Any:
    """|x|, elementwise; its slope at 0 is 0, and at NaN it is NaN.

    >>> absolute(np.array([-1.5, 2.0]))
    array([1.5, 2. ])
    """
    return ABSOLUTE(x)


def abs(x: Any) -> Any:
    """|x|: the short name of `absolute`.

    >>> abs(np.array([-1.5, 2.0]))
    array([1.5, 2. ])
    """
    return ABSOLUTE(x)
