"""Activations: the functions between the layers of a network, element by element."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..kernels import dispatch
from ..kink import Kink
from ..spec import Spec, broadcast, promote
from .arithmetic import divide, multiply
from .choice import where
from .clip import clip
from .elementwise import Binary, Unary, floats, greater, mask, negate
from .operand import number, positive

__all__ = [
    "celu",
    "elu",
    "hard_sigmoid",
    "hard_tanh",
    "leaky_relu",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "softsign",
]

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class Sigmoid(Unary):
    """1 / (1 + e⁻ˣ)."""

    style = "activation"

    def forward(self, x: Any) -> Any:
        with np.errstate(over="ignore"):  # 1 / ∞ is 0, as it should be
            e = np.exp(-floats(x))
        e += 1
        return 1 / e

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * (out * (1 - out))

    def scalar(self, x: Any) -> Any:
        return 1.0 / (1.0 + scalar.exp(-x))


class Relu(Unary):
    """max(x, 0), with slope 0 at 0 (chapter, section 7.4.1)."""

    kinks = (Kink("x = 0", "slope 0", ([0.0, 2.0, -2.0],), ([0.0, 1.0, 0.0],)),)
    domain = "kinky"
    style = "activation"
    keeps_integers = True

    def forward(self, x: Any) -> Any:
        return dispatch.relu(x)

    def into(self, out: Any, x: Any) -> None:
        dispatch.relu(x, out)

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, promote(x, Spec((), np.dtype(int), weak=True)))

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return mask(g, greater(out, 0))

    def scalar(self, x: Any) -> Any:
        return scalar.where(scalar.value(x) > 0, x, x * 0.0)


class LeakyRelu(Binary):
    """x where it is positive, slope · x elsewhere; at 0 it has that slope."""

    style = "activation"
    kinks = (
        Kink(
            "x = 0",
            "the slope of the negative side",
            ([0.0, 2.0, -2.0], [0.5, 0.5, 0.5]),
            ([0.5, 1.0, 0.5], [0.0, 0.0, -2.0]),
        ),
    )

    def forward(self, x: Any, slope: Any) -> Any:
        return np.maximum(x, 0) + np.minimum(x, 0) * slope

    def vjp_x(self, g: Any, out: Any, x: Any, slope: Any) -> Any:
        return where(greater(x, 0), g, g * slope)

    def vjp_slope(self, g: Any, out: Any, x: Any, slope: Any) -> Any:
        return g * mask(x, greater(0, x))

    diagonal = ("x", "slope")

    def spec(self, x: Spec, slope: Spec) -> Spec:
        zero = Spec((), np.dtype(int), weak=True)
        return Spec(broadcast(self.name, x=x, slope=slope), promote(x, slope, zero))

    def scalar(self, x: Any, slope: Any) -> Any:
        return scalar.where(scalar.value(x) > 0, x, x * slope)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        a, b = draw.broadcastable(2)
        return cls(), (draw.kinky(a), draw.normal(b))


class Elu(Unary):
    """x where it is positive, alpha · (eˣ - 1) elsewhere; at 0 the slope is alpha."""

    alpha: float
    style = "activation"
    domain = "kinky"
    kinks = (Kink("x = 0", "the slope of the negative side", ([0.0, 2.0],), ([0.5, 1.0],), (0.5,)),)

    def forward(self, x: Any) -> Any:
        return np.maximum(x, 0) + self.alpha * np.expm1(np.minimum(x, 0))

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        above = greater(x, 0)
        below = negate(above)  # NaN is on this side, and stays NaN
        return mask(g, above) + mask(g * (self.alpha * np.exp(mask(x, below))), below)

    def scalar(self, x: Any) -> Any:
        return x if scalar.value(x) > 0 else self.alpha * (scalar.exp(x) - 1.0)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return cls(draw.choice([1.0, 0.5, 2.0])), (draw.kinky(draw.shape()),)


class Softsign(Unary):
    """x / (1 + |x|)."""

    style = "activation"

    def forward(self, x: Any) -> Any:
        x = floats(x)
        largest = np.finfo(x.dtype).max
        x = np.clip(x, -largest, largest)  # ∞ / ∞ is NaN
        size = np.abs(x)
        size += 1
        x /= size
        return x

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        size = 1 + np.abs(x)
        return g / size / size

    def scalar(self, x: Any) -> Any:
        return x / (1.0 + scalar.where(scalar.value(x) < 0, -x, x))


SIGMOID, RELU, LEAKY_RELU, SOFTSIGN = Sigmoid(), Relu(), LeakyRelu(), Softsign()


def sigmoid(x: Any) -> Any:
    """Logistic function 1 / (1 + e⁻ˣ), elementwise; never overflows.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return SIGMOID(x)


def relu(x: Any) -> Any:
    """max(x, 0), elementwise; its slope at 0 is 0 (chapter, section 7.4.1).

    NaN stays NaN, and its slope is 0.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return RELU(x)


def leaky_relu(x: Any, slope: Any = 0.01) -> Any:
    """x where it is positive, slope · x elsewhere; the derivative at 0 is `slope`.

    >>> leaky_relu(np.array([-2.0, 0.0, 3.0]), 0.1)
    array([-0.2,  0. ,  3. ])
    """
    return LEAKY_RELU(x, slope)


def prelu(x: Any, slope: Any) -> Any:
    """`leaky_relu` with slopes that are learned, one for each channel (He et al., 2015).

    Args:
        x: tensor or array, channels last.
        slope: tensor, array or number that broadcasts with x: of the length of the last axis for
            one slope a channel. It gets a gradient.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> prelu(np.array([[-1.0, -1.0], [2.0, 2.0]]), np.array([0.1, 0.5]))
    array([[-0.1, -0.5],
           [ 2. ,  2. ]])
    """
    return LEAKY_RELU(x, slope)


def relu6(x: Any) -> Any:
    """min(max(x, 0), 6), elementwise; its slope at 0 and at 6 is 0, as that of `clip`.

    >>> relu6(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """
    return clip(x, 0, 6)


def hard_tanh(x: Any) -> Any:
    """min(max(x, -1), 1), elementwise; its slope at ±1 is 0, as that of `clip`.

    >>> hard_tanh(np.array([-2.0, 0.5, 2.0]))
    array([-1. ,  0.5,  1. ])
    """
    return clip(x, -1, 1)


def hard_sigmoid(x: Any) -> Any:
    """min(max(x / 6 + 1/2, 0), 1), elementwise; its slope at ±3 is 0, as that of `clip`.

    >>> hard_sigmoid(np.array([-4.0, 0.0, 1.5]))
    array([0.  , 0.5 , 0.75])
    """
    return clip(multiply(x, 1 / 6) + 0.5, 0, 1)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where it is positive, alpha · (eˣ - 1) elsewhere; at 0 the slope is `alpha`.

    For alpha = 1 there is no kink (Clevert et al., 2015). Integers give floats.

    Raises:
        DTypeError: if alpha is no number; it is a constant, not learned.

    >>> elu(np.array([-np.inf, 0.0, 2.0]), 1.5)
    array([-1.5,  0. ,  2. ])
    """
    return Elu.of(number("elu", "alpha", alpha, -inf))(x)


def selu(x: Any) -> Any:
    """1.0507 · elu(x, 1.6733): scaled so that deep networks keep mean 0 and variance 1.

    At 0 it has the slope of its negative side, as `elu` (Klambauer et al., 2017).

    >>> selu(np.array([-np.inf, 0.0, 1.0])).round(4)
    array([-1.7581,  0.    ,  1.0507])
    """
    return SELU_SCALE * Elu.of(SELU_ALPHA)(x)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """x where it is positive, alpha · (e^(x / alpha) - 1) elsewhere: smooth for every alpha.

    Integers give floats (Barron, 2017).

    Raises:
        DomainError: if alpha is not positive.

    >>> celu(np.array([-np.inf, 0.0, 2.0]), 1.5)
    array([-1.5,  0. ,  2. ])
    """
    alpha = positive("celu", "alpha", alpha)
    return alpha * Elu.of(1.0)(divide(x, alpha))


def softsign(x: Any) -> Any:
    """x / (1 + |x|), elementwise, with slope 1 / (1 + |x|)²; ±1 at ±inf. Integers give floats.

    >>> softsign(np.array([-1.0, 3.0, np.inf]))
    array([-0.5 ,  0.75,  1.  ])
    """
    return SOFTSIGN(x)
