"""Trigonometric and hyperbolic functions of each element; angles are in radians."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from .elementwise import Unary

__all__ = ["cos", "sin", "tanh"]


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


class Tanh(Unary):
    """tanh x."""

    forward = np.tanh
    style = "activation"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * (1 - out * out)

    def scalar(self, x: Any) -> Any:
        return scalar.tanh(x)


SIN, COS, TANH = Sin(), Cos(), Tanh()


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


def tanh(x: Any) -> Any:
    """Hyperbolic tangent, elementwise.

    >>> tanh(np.array([0.0, 100.0]))
    array([0., 1.])
    """
    return TANH(x)
