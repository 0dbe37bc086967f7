"""Activations: the functions between the layers of a network, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..kink import Kink
from ..spec import Spec, inexact, promote
from .elementwise import Unary, greater, mask

__all__ = ["relu", "sigmoid"]


class Sigmoid(Unary):
    """1 / (1 + e⁻ˣ), computed from e^-|x| so that nothing overflows."""

    style = "activation"

    def forward(self, x: Any) -> Any:
        x = np.asarray(x)
        x = x.astype(inexact(Spec.of(x)), copy=False)  # unsigned integers have no negative
        e = np.exp(-np.abs(x))
        return np.where(x >= 0, e.dtype.type(1), e) / (1 + e)

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
        return np.maximum(x, 0)

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, promote(x, Spec((), np.dtype(int), weak=True)))

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return mask(g, greater(out, 0))

    def scalar(self, x: Any) -> Any:
        return scalar.where(scalar.value(x) > 0, x, x * 0.0)


SIGMOID, RELU = Sigmoid(), Relu()


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
