"""Gated activations: x times a smooth step that closes for x ≪ 0 and opens for x ≫ 0."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any, ClassVar

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DTypeError, ShapeError
from ..kink import Kink
from ..spec import show
from .activation import sigmoid
from .clip import clip
from .elementwise import Unary, both, floats, greater_equal, mask, negate
from .erf import erfc
from .operand import one_axis, shaped
from .softplus import softplus

__all__ = ["gelu", "glu", "hard_swish", "mish", "silu"]


class Gated(Unary, abstract=True):
    """x · gate(x).

    `reach` is where the gate, in any dtype, is exactly 0 on one side and 1 on the other: what goes
    on beyond is cut off, for there ∞ · 0 would be NaN and squares would overflow.
    """

    style = "activation"
    reach: ClassVar[float]

    def forward(self, x: Any) -> Any:
        x = floats(x)
        gate = self.gate(x)
        gate *= np.maximum(x, -self.reach)
        return gate

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        x = clip(x, low=-self.reach, high=self.reach)
        gate = self.gate(x)
        return g * (gate + x * self.slope(x, gate))

    def gate(self, x: Any) -> Any:
        """The gate, from 0 to 1."""
        raise NotImplementedError

    def slope(self, x: Any, gate: Any) -> Any:
        """The derivative of the gate."""
        raise NotImplementedError


class Silu(Gated):
    """x / (1 + e⁻ˣ)."""

    reach = 750.0

    def gate(self, x: Any) -> Any:
        return sigmoid(x)

    def slope(self, x: Any, gate: Any) -> Any:
        return gate * (1 - gate)

    def scalar(self, x: Any) -> Any:
        return x / (1.0 + scalar.exp(-x))


class Gelu(Gated):
    """x Φ(x), where Φ is the standard normal distribution."""

    reach = 40.0

    def gate(self, x: Any) -> Any:
        return 0.5 * erfc(x * -sqrt(0.5))  # 1 + erf would cancel for x ≪ 0

    def slope(self, x: Any, gate: Any) -> Any:
        return np.exp(-0.5 * (x * x)) * (1 / sqrt(2 * pi))

    def scalar(self, x: Any) -> Any:
        return x * 0.5 * (1.0 + scalar.erf(x * sqrt(0.5)))


class GeluTanh(Gated):
    """x (1 + tanh u) / 2 with u = √(2/π) (x + 0.044715 x³)."""

    reach = 40.0

    def gate(self, x: Any) -> Any:
        x = clip(x, low=-self.reach, high=self.reach)
        return sigmoid(2 * sqrt(2 / pi) * (x + x * (0.044715 * (x * x))))  # (1 + tanh u) / 2

    def slope(self, x: Any, gate: Any) -> Any:
        return gate * (1 - gate) * (2 * sqrt(2 / pi) * (1 + 3 * 0.044715 * (x * x)))

    def scalar(self, x: Any) -> Any:
        u = sqrt(2 / pi) * (x + 0.044715 * x * x * x)
        return x * 0.5 * (1.0 + scalar.tanh(u))


class Mish(Gated):
    """x tanh(ln(1 + eˣ))."""

    reach = 750.0

    def gate(self, x: Any) -> Any:
        return np.tanh(softplus(x))

    def slope(self, x: Any, gate: Any) -> Any:
        return (1 - gate * gate) * sigmoid(x)

    def scalar(self, x: Any) -> Any:
        return x * scalar.tanh(scalar.log(1.0 + scalar.exp(x)))


class HardSwish(Unary):
    """x times 0 below -3, 1 above 3, and x / 6 + ½ between; slope 0 at -3 and 1 at 3."""

    style = "activation"
    kinks = (
        Kink("x = -3", "slope 0", ([-3.0, -6.0],), ([0.0, 0.0],)),
        Kink("x = 3", "slope 1", ([3.0, 6.0],), ([1.0, 1.0],)),
    )

    def forward(self, x: Any) -> Any:
        x = floats(x)
        gate = np.asarray(x * (1 / 6) + 0.5)
        gate.clip(0.0, 1.0, out=gate)
        gate *= np.maximum(x, -3)  # and not x: -∞ · 0 would be NaN
        return gate

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        closed, opened = greater_equal(-3, x), greater_equal(x, 3)
        between = both(negate(closed), negate(opened))  # and NaN, whose slope is NaN
        slope = clip(x, low=-3, high=3) * (1 / 3) + 0.5
        return mask(g * slope, between) + mask(g, opened)

    def scalar(self, x: Any) -> Any:
        if -3 < scalar.value(x) < 3:
            return x * (x / 6.0 + 0.5)
        return x if scalar.value(x) > 0 else x * 0.0

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return cls(), (draw.kinky(draw.shape()) + draw.choice([-3.0, 0.0, 3.0]),)


SILU, GELU, GELU_TANH, MISH, HARD_SWISH = Silu(), Gelu(), GeluTanh(), Mish(), HardSwish()


def silu(x: Any) -> Any:
    """x · sigmoid(x), elementwise, also called swish (Ramachandran et al., 2017).

    Nothing overflows; at -inf it is 0. Integers give floats.

    >>> silu(np.array([-1000.0, 0.0, 1.0])).round(4)
    array([-0.    ,  0.    ,  0.7311])
    """
    return SILU(x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """x · Φ(x), elementwise, Φ being the standard normal distribution (Hendrycks & Gimpel, 2016).

    Φ is computed with `erfc`, so that no digits cancel for x ≪ 0. Integers give floats.

    Args:
        x: tensor, array or number.
        approximate: x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2 instead, as many published models
            have it.

    Raises:
        DTypeError: if approximate is no bool.

    >>> gelu(np.array([-20.0, 0.0, 1.0])), gelu(1.0, approximate=True).round(4)
    (array([-5.50724824e-88,  0.00000000e+00,  8.41344746e-01]), np.float64(0.8412))
    """
    if not isinstance(approximate, bool):
        raise DTypeError(
            "gelu",
            f"approximate is {approximate!r}, not a bool",
            "Use approximate=True for the form with tanh.",
        )
    return (GELU_TANH if approximate else GELU)(x)


def mish(x: Any) -> Any:
    """x · tanh(softplus(x)), elementwise (Misra, 2019). At -inf it is 0; integers give floats.

    >>> mish(np.array([-1000.0, 0.0, 1.0])).round(4)
    array([-0.    ,  0.    ,  0.8651])
    """
    return MISH(x)


def hard_swish(x: Any) -> Any:
    """x · hard_sigmoid(x), elementwise; its slope is 0 at -3 and 1 at 3 (Howard et al., 2019).

    >>> hard_swish(np.array([-4.0, 1.5, 4.0]))
    array([-0.   ,  1.125,  4.   ])
    """
    return HARD_SWISH(x)


def glu(x: Any, axis: int = -1) -> Any:
    """a · sigmoid(b), where a and b are the halves of x along an axis (Dauphin et al., 2016).

    Raises:
        ShapeError: if the axis is out of range or of odd length.

    >>> glu(np.array([1.0, 2.0, 0.0, 1000.0]))
    array([0.5, 2. ])
    """
    x = shaped("glu", x)
    axis = one_axis("glu", axis, x.ndim, "Name one axis, such as -1.")
    n = x.shape[axis]
    if n % 2:
        raise ShapeError(
            "glu",
            f"x is {show(x.shape)}: axis {axis} has the odd length {n}, and is cut into halves",
            "Give it twice as many elements as the result shall have.",
        )
    behind = (slice(None),) * (-axis - 1)
    return x[(..., slice(n // 2), *behind)] * sigmoid(x[(..., slice(n // 2, None), *behind)])
