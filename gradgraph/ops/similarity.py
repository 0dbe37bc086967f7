"""How alike two vectors are."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from ..spec import Shape, broadcast, floating
from .choice import maximum, where
from .elementwise import cast, equal
from .magnitude import norm
from .operand import number, one_axis, operand_spec, real
from .reduce import sum
from .shape import broadcast_to

__all__ = ["cosine_similarity"]


def cosine_similarity(x: Any, y: Any, *, axis: int = -1, eps: float = 1e-8) -> Any:
    """x·y / (‖x‖ ‖y‖) along an axis: 1 for vectors of one direction, -1 for opposite ones.

    A vector of zeros has no direction: its similarity is 0, and so are its gradients there.

    Args:
        x, y: tensors or arrays whose shapes broadcast; `x[:, None], y` compares all pairs of rows.
        axis: the axis of the vectors, of the broadcast shape; it is folded away.
        eps: what a norm is taken for at least.

    Raises:
        ShapeError: if the shapes do not broadcast, or the axis is out of range.
        DTypeError: if an argument is not made of real numbers.
        DomainError: if eps is negative.

    >>> cosine_similarity(np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([2.0, 0.0])).round(4)
    array([0.7071, 0.    ])
    """
    op = "cosine_similarity"
    least = number(op, "eps", eps, 0.0)
    x, y = real(op, "x", x), real(op, "y", y)
    shape = broadcast(op, x=operand_spec(x), y=operand_spec(y))
    axis = one_axis(op, axis, len(shape), "Use axis=-1.")
    dtype = floating(operand_spec(x), operand_spec(y))
    x, y = (_vectors(v, axis, shape, dtype) for v in (x, y))
    direction = x / _lengths(x, axis, least, True)  # first, so that no product overflows
    return sum(direction * y, axis=axis) / _lengths(y, axis, least, False)


def _lengths(x: Any, axis: int, least: float, keepdims: bool) -> Any:
    """The lengths of vectors, at least `least`; ∞ for 0, which has no gradient when divided by."""
    length = norm(x, axis=axis, keepdims=keepdims)
    return maximum(where(equal(length, 0), inf, length), least)


def _vectors(x: Any, axis: int, shape: Shape, dtype: Any) -> Any:
    """x with all the elements of its vectors, in one dtype: repeated if one stands for all."""
    x = x if operand_spec(x).dtype == dtype else cast(x, dtype)
    own = np.shape(x)
    return x if own[axis:][:1] == (shape[axis],) else broadcast_to(x, shape)
