"""Steps: sign and the ways to round, and the remainder that a whole quotient leaves.

Steps are flat, so that their gradient is zero everywhere.
"""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DTypeError
from ..kink import Kink
from ..spec import Spec
from .elementwise import Binary, Unary, mask

__all__ = ["ceil", "floor", "remainder", "round", "sign", "trunc"]


def _jump(where: str, at: float) -> tuple[Kink, ...]:
    return (Kink(where, "slope 0, as on either side of the jump", ([at, 0.3],), ([0.0, 0.0],)),)


class Step(Unary, abstract=True):
    """An elementwise function that is constant between its jumps."""

    style = "arithmetic"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return mask(g, False)

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, self.forward(np.empty(0, x.dtype)).dtype)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return cls(), (_between(draw, 0.0),)


def _between(draw: Draw, jump: float) -> Any:
    """Values amid two jumps, as far from both as differences look."""
    shape = draw.shape()
    return draw.rng.integers(-3, 3, shape) + jump + draw.rng.uniform(0.45, 0.55, shape)


class Sign(Step):
    """-1, 0 or 1, as x is below, at or above 0."""

    forward = np.sign
    kinks = _jump("x = 0", 0.0)

    def scalar(self, x: Any) -> Any:
        v = scalar.value(x)
        return x * 0.0 + (v > 0) - (v < 0)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return cls(), (3 * draw.away_from_zero(draw.shape()),)


class Floor(Step):
    """The greatest whole number that is not above x."""

    forward = np.floor
    kinks = _jump("x whole", 1.0)

    def scalar(self, x: Any) -> Any:
        return x * 0.0 + scalar.floor(x)


class Ceil(Step):
    """The smallest whole number that is not below x."""

    forward = np.ceil
    kinks = _jump("x whole", 1.0)

    def scalar(self, x: Any) -> Any:
        return x * 0.0 - scalar.floor(-x)


class Trunc(Step):
    """The whole part of x: x rounded towards 0."""

    forward = np.trunc
    kinks = _jump("x whole but 0", 1.0)

    def scalar(self, x: Any) -> Any:
        up = scalar.value(x) < 0
        return x * 0.0 + (-scalar.floor(-x) if up else scalar.floor(x))


class Round(Step):
    """The nearest number with some decimals; the even one of two."""

    decimals: int = 0
    kinks = _jump("halfway between two roundings", 0.5)

    def forward(self, x: Any) -> Any:
        return np.round(x, self.decimals)

    def scalar(self, x: Any) -> Any:
        unit = 10.0**self.decimals
        return x * 0.0 + scalar.nearest(x * unit) / unit

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        decimals = draw.choice([0, -1, -2])  # differences look further than a tenth
        return cls(decimals), (_between(draw, 0.5) * 10.0**-decimals,)


class Remainder(Binary):
    """x - y ⌊x / y⌋, with the sign of y."""

    forward = np.remainder
    kinks = (
        Kink(
            "x a multiple of y",
            "slope 1 by x, -x / y by y",
            ([4.0, 5.0], [2.0, 2.0]),
            ([1.0, 1.0], [-2.0, -2.0]),
        ),
    )

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g * np.round((out - x) / y)  # -⌊x / y⌋ of the exact quotient, not the rounded one

    def scalar(self, x: Any, y: Any) -> Any:
        return x - y * scalar.floor(x / y)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        a, b = draw.broadcastable(2)  # the jumps are further away than differences look
        x = 4.0 * draw.rng.integers(-3, 3, a) + draw.rng.uniform(1.8, 2.2, a)
        return cls(), (x, draw.rng.choice([4.0, -4.0, 8.0, -8.0], b) * draw.rng.uniform(1, 1.02, b))


SIGN, FLOOR, CEIL, TRUNC = Sign(), Floor(), Ceil(), Trunc()
REMAINDER = Remainder()


def sign(x: Any) -> Any:
    """-1, 0 or 1, as x is below, at or above 0, elementwise; the gradient is 0 everywhere.

    Shape and dtype are kept, NaN stays NaN.

    >>> sign(np.array([-2.0, 0.0, 3.0]))
    array([-1.,  0.,  1.])
    """
    return SIGN(x)


def floor(x: Any) -> Any:
    """The greatest whole number that is not above x, elementwise; the gradient is 0 everywhere.

    Floats keep their dtype, and so do integers, as in numpy.

    >>> floor(np.array([-1.5, 2.0, 2.7]))
    array([-2.,  2.,  2.])
    """
    return FLOOR(x)


def ceil(x: Any) -> Any:
    """The smallest whole number that is not below x, elementwise; otherwise as `floor`.

    >>> ceil(np.array([-1.5, 2.0, 2.2]))
    array([-1.,  2.,  3.])
    """
    return CEIL(x)


def trunc(x: Any) -> Any:
    """x rounded towards 0 to a whole number, elementwise; otherwise as `floor`.

    >>> trunc(np.array([-1.5, 2.0, 2.7]))
    array([-1.,  2.,  2.])
    """
    return TRUNC(x)


def round(x: Any, decimals: int = 0) -> Any:
    """x rounded to the nearest number with `decimals` digits behind the point, elementwise.

    Halfway the even digit is taken, as in numpy. The gradient is 0 everywhere.

    Args:
        x: tensor, array or number; shape and dtype are kept.
        decimals: how many digits; negative ones stand before the point.

    Raises:
        DTypeError: if decimals is no integer.

    >>> round(np.array([0.5, 1.5, 2.46])), round(np.array([2.46, 13.0]), 1)
    (array([0., 2., 2.]), array([ 2.5, 13. ]))
    """
    try:
        return Round.of(index(decimals))(x)
    except TypeError:
        if isinstance(decimals, int):
            raise
    raise DTypeError(
        "round", f"decimals is {decimals!r}, not an integer", "Use 0 for whole numbers."
    )


def remainder(x: Any, y: Any) -> Any:
    """x - y ⌊x / y⌋, elementwise with broadcasting: 0 or of the sign of y. Errors as for `add`.

    d/dx = 1 and d/dy = -⌊x / y⌋, also at the multiples of y, where the remainder jumps. Division
    by 0 gives NaN with numpy's warning.

    >>> remainder(np.array([5.0, -5.0]), 3.0)
    array([2., 1.])
    """
    return REMAINDER(x, y)
