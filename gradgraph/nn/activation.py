"""Activations as layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..ops.operand import flag, integer, number, positive
from .linear import sizes
from .module import Module, parameter


class ReLU(Module):
    """max(x, 0), element by element.

    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def forward(self, x: Any) -> Any:
        return ops.relu(x)


class Tanh(Module):
    """tanh(x), element by element.

    >>> Tanh()(np.array([0.0]))
    array([0.])
    """

    def forward(self, x: Any) -> Any:
        return ops.tanh(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), element by element.

    >>> Sigmoid()(np.array([0.0]))
    array([0.5])
    """

    def forward(self, x: Any) -> Any:
        return ops.sigmoid(x)


class ReLU6(Module):
    """min(max(x, 0), 6), element by element.

    >>> ReLU6()(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """

    def forward(self, x: Any) -> Any:
        return ops.relu6(x)


class LeakyReLU(Module):
    """x where it is positive, slope · x elsewhere.

    >>> LeakyReLU(0.1)(np.array([-1.0, 2.0]))
    array([-0.1,  2. ])
    """

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = _finite("LeakyReLU", "slope", slope)

    def forward(self, x: Any) -> Any:
        return ops.leaky_relu(x, self.slope)

    def extra_repr(self) -> str:
        return f"{self.slope:g}"


class PReLU(Module):
    """x where it is positive, w · x elsewhere; w is learned, one for each channel.

    Args:
        channels: on the last axis; 1 for one slope for all.
        slope: what w starts with.

    Raises:
        DomainError: if channels is no int ≥ 1, or slope is not finite.

    >>> PReLU()(np.array([[-1.0, 2.0]], np.float32)).data
    array([[-0.25,  2.  ]], dtype=float32)
    """

    def __init__(self, channels: int = 1, slope: float = 0.25) -> None:
        (channels,) = sizes("PReLU", channels=channels)
        self.w = parameter(np.full(channels, _finite("PReLU", "slope", slope)), "w")

    def forward(self, x: Any) -> Any:
        return ops.prelu(x, self.w)


class ELU(Module):
    """x where it is positive, alpha · (eˣ - 1) elsewhere.

    >>> ELU()(np.array([-1.0, 2.0])).round(4)
    array([-0.6321,  2.    ])
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = positive("ELU", "alpha", alpha)

    def forward(self, x: Any) -> Any:
        return ops.elu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"{self.alpha:g}"


class GELU(Module):
    """x · Φ(x), element by element; with `approximate` by tanh.

    >>> GELU()(np.array([-1.0, 2.0])).round(4)
    array([-0.1587,  1.9545])
    """

    def __init__(self, approximate: bool = False) -> None:
        self.approximate = flag("GELU", "approximate", approximate)

    def forward(self, x: Any) -> Any:
        return ops.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return "approximate=True" if self.approximate else ""


class SiLU(Module):
    """x · sigmoid(x), element by element.

    >>> SiLU()(np.array([-1.0, 2.0])).round(4)
    array([-0.2689,  1.7616])
    """

    def forward(self, x: Any) -> Any:
        return ops.silu(x)


class Softplus(Module):
    """ln(1 + eˣ), element by element.

    >>> Softplus()(np.array([0.0])).round(4)
    array([0.6931])
    """

    def forward(self, x: Any) -> Any:
        return ops.softplus(x)


class HardSwish(Module):
    """x · hard_sigmoid(x), element by element.

    >>> HardSwish()(np.array([-4.0, 1.5]))
    array([-0.   ,  1.125])
    """

    def forward(self, x: Any) -> Any:
        return ops.hard_swish(x)


class Softmax(Module):
    """Probabilities along an axis: eˣ / Σ eˣ. A loss of logits needs none before it.

    >>> Softmax()(np.array([0.0, 0.0]))
    array([0.5, 0.5])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = integer("Softmax", "axis", axis, "Use axis=-1.")

    def forward(self, x: Any) -> Any:
        return ops.softmax(x, self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


def _finite(op: str, name: str, value: Any) -> float:
    """A number that is neither infinite nor NaN."""
    largest = float(np.finfo(np.float64).max)
    return number(op, name, value, -largest, largest)
