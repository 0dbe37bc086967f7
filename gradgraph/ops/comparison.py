"""Questions about each element: comparisons, logic, and whether numbers are finite.

The answers are booleans without a derivative: tensors of them require no grad, but are recorded,
so that a graph that is replayed asks again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..spec import Spec
from . import elementwise
from .elementwise import Comparison, Unary, both, negate

__all__ = [
    "equal",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
]


class Less(Comparison):
    """Whether x < y."""

    forward = np.less

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.value(x) < scalar.value(y)


class LessEqual(Comparison):
    """Whether x ≤ y."""

    forward = np.less_equal

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.value(x) <= scalar.value(y)


class NotEqual(Comparison):
    """Whether x differs from y."""

    forward = np.not_equal

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.value(x) != scalar.value(y)


class LogicalOr(Comparison):
    """Whether x or y holds, or both."""

    forward = np.logical_or

    def scalar(self, x: Any, y: Any) -> Any:
        return bool(scalar.value(x)) or bool(scalar.value(y))


class LogicalXor(Comparison):
    """Whether just one of x and y holds."""

    forward = np.logical_xor

    def scalar(self, x: Any, y: Any) -> Any:
        return bool(scalar.value(x)) != bool(scalar.value(y))


class Question(Unary, abstract=True):
    """A question about each element; the answers have no derivative."""

    style = "arithmetic"
    constant = ("x",)
    diagonal = ()

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, np.dtype(bool))

    @classmethod
    def sample(cls, draw: Any) -> Any:
        values = np.array([0.0, 1.0, np.inf, -np.inf, np.nan])
        return cls(), (draw.rng.choice(values, draw.shape()),)


class Isnan(Question):
    """Whether x is no number."""

    forward = np.isnan

    def scalar(self, x: Any) -> Any:
        return scalar.value(x) != scalar.value(x)


class Isinf(Question):
    """Whether x is infinite."""

    forward = np.isinf

    def scalar(self, x: Any) -> Any:
        return scalar.value(x) in (np.inf, -np.inf)


class Isfinite(Question):
    """Whether x is neither infinite nor NaN."""

    forward = np.isfinite

    def scalar(self, x: Any) -> Any:
        return -np.inf < scalar.value(x) < np.inf


LESS, LESS_EQUAL, NOT_EQUAL = Less(), LessEqual(), NotEqual()
LOGICAL_OR, LOGICAL_XOR = LogicalOr(), LogicalXor()
ISNAN, ISINF, ISFINITE = Isnan(), Isinf(), Isfinite()


def greater(x: Any, y: Any) -> Any:
    """Whether x > y, elementwise with broadcasting; False if either is NaN.

    Args:
        x, y: tensors, arrays or numbers whose shapes broadcast; they get no gradient.

    Returns:
        An array of booleans; a tensor of them, which requires no grad, if x or y is a tensor.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> greater(np.array([1.0, 2.0, 3.0]), 2.0)
    array([False, False,  True])
    """
    return elementwise.greater(x, y)


def greater_equal(x: Any, y: Any) -> Any:
    """Whether x ≥ y, elementwise; otherwise as `greater`.

    >>> greater_equal(np.array([1.0, 2.0, 3.0]), 2.0)
    array([False,  True,  True])
    """
    return elementwise.greater_equal(x, y)


def less(x: Any, y: Any) -> Any:
    """Whether x < y, elementwise; otherwise as `greater`.

    >>> less(np.array([1.0, 2.0, 3.0]), 2.0)
    array([ True, False, False])
    """
    return LESS(x, y)


def less_equal(x: Any, y: Any) -> Any:
    """Whether x ≤ y, elementwise; otherwise as `greater`.

    >>> less_equal(np.array([1.0, 2.0, 3.0]), 2.0)
    array([ True,  True, False])
    """
    return LESS_EQUAL(x, y)


def equal(x: Any, y: Any) -> Any:
    """Whether x = y, elementwise; otherwise as `greater`. NaN equals nothing.

    >>> equal(np.array([1.0, 2.0, np.nan]), np.array([1.0, 3.0, np.nan]))
    array([ True, False, False])
    """
    return elementwise.equal(x, y)


def not_equal(x: Any, y: Any) -> Any:
    """Whether x differs from y, elementwise; otherwise as `greater`. NaN differs from all.

    >>> not_equal(np.array([1.0, 2.0, np.nan]), np.array([1.0, 3.0, np.nan]))
    array([False,  True,  True])
    """
    return NOT_EQUAL(x, y)


def logical_and(x: Any, y: Any) -> Any:
    """Whether x and y both hold (are not 0), elementwise; otherwise as `greater`.

    >>> logical_and(np.array([True, True, False]), np.array([1.0, 0.0, 1.0]))
    array([ True, False, False])
    """
    return both(x, y)


def logical_or(x: Any, y: Any) -> Any:
    """Whether x or y holds (is not 0), or both, elementwise; otherwise as `greater`.

    >>> logical_or(np.array([True, False]), np.array([0.0, 0.0]))
    array([ True, False])
    """
    return LOGICAL_OR(x, y)


def logical_xor(x: Any, y: Any) -> Any:
    """Whether just one of x and y holds (is not 0), elementwise; otherwise as `greater`.

    >>> logical_xor(np.array([True, True, False]), np.array([True, False, False]))
    array([False,  True, False])
    """
    return LOGICAL_XOR(x, y)


def logical_not(x: Any) -> Any:
    """Whether x does not hold (is 0), elementwise; it gets no gradient.

    >>> logical_not(np.array([0.0, 2.0]))
    array([ True, False])
    """
    return negate(x)


def isnan(x: Any) -> Any:
    """Whether x is NaN, elementwise; it gets no gradient.

    >>> isnan(np.array([1.0, np.inf, np.nan]))
    array([False, False,  True])
    """
    return ISNAN(x)


def isinf(x: Any) -> Any:
    """Whether x is infinite, elementwise; it gets no gradient.

    >>> isinf(np.array([1.0, -np.inf, np.nan]))
    array([False,  True, False])
    """
    return ISINF(x)


def isfinite(x: Any) -> Any:
    """Whether x is neither infinite nor NaN, elementwise; it gets no gradient.

    >>> isfinite(np.array([1.0, np.inf, np.nan]))
    array([ True, False, False])
    """
    return ISFINITE(x)
