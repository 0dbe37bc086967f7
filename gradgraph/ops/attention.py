"""Scaled dot-product attention."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError
from ..spec import Shape, show
from .choice import where
from .elementwise import both, equal, greater, negate
from .elementwise import mask as masked
from .linalg import matmul, matrix_transpose
from .operand import shaped
from .reduce import sum as total
from .softmax import softmax

__all__ = ["attention"]


def attention(q: Any, k: Any, v: Any, *, mask: Any = None, causal: bool = False) -> Any:
    """softmax(q kᵀ / √d) v: for each query, the mean of the values, weighted by how well their
    keys match it (Vaswani et al., "Attention Is All You Need", 2017, section 3.2.1).

    Args:
        q: queries (…, n, d).
        k: keys (…, m, d).
        v: values (…, m, e). Leading axes broadcast.
        mask: which keys a query may look at, broadcast to (…, n, m): booleans, True where it may;
            or floats that are added to q kᵀ / √d, -inf where it may not.
        causal: let query i look at keys 0 to i only, besides the mask.

    Returns:
        (…, n, e). A query that may look at no key gets zeros, and passes no gradient on.

    Raises:
        ShapeError: if the lengths do not fit.
        DTypeError: if the mask is of integers.

    >>> q, k, v = np.zeros((2, 1)), np.zeros((2, 1)), np.array([[1.0], [3.0]])
    >>> attention(q, k, v)
    array([[2.],
           [2.]])
    >>> attention(q, k, v, causal=True)
    array([[1.],
           [2.]])
    """
    q, k, v = (shaped("attention", v) for v in (q, k, v))
    _check(q.shape, k.shape, v.shape)
    scores = matmul(q * (1.0 / sqrt(q.shape[-1] or 1)), matrix_transpose(k))
    allowed: Any = None
    if mask is not None:
        allowed, bias = _read(mask, scores.shape)
        scores = scores if bias is None else scores + bias
    if causal:
        past = np.tri(q.shape[-2], k.shape[-2], dtype=bool)
        allowed = past if allowed is None else both(allowed, past)
    if allowed is None:
        return matmul(softmax(scores), v)
    some = greater(total(allowed, axis=-1, keepdims=True), 0)
    closed = where(some, np.asarray(-np.inf, scores.dtype), np.asarray(0.0, scores.dtype))
    return masked(matmul(softmax(where(allowed, scores, closed)), v), some)


def _check(q: Shape, k: Shape, v: Shape) -> None:
    shapes = f"q is {show(q)}, k is {show(k)}, v is {show(v)}"
    if min(len(q), len(k), len(v)) < 2:
        raise ShapeError("attention", f"{shapes}; each needs two axes", "Pass (…, n, d).")
    if q[-1] != k[-1]:
        raise ShapeError(
            "attention",
            f"{shapes}: the last axes of q ({q[-1]}) and k ({k[-1]}) differ",
            "Queries are compared with keys: project both to the same length.",
        )
    if k[-2] != v[-2]:
        raise ShapeError(
            "attention",
            f"{shapes}: there are {k[-2]} keys, but {v[-2]} values",
            "Give each key one value: axis -2 of k and v must agree.",
        )
    try:
        np.broadcast_shapes(q[:-2], k[:-2], v[:-2])
    except ValueError:
        raise ShapeError(
            "attention",
            f"{shapes}: their leading axes {q[:-2]}, {k[:-2]} and {v[:-2]} do not broadcast",
            "Make them equal or 1.",
        ) from None


def _read(mask: Any, shape: Shape) -> tuple[Any, Any]:
    """Where a mask lets queries look, and what is added to the scores there (None for nothing)."""
    mask = shaped("attention", mask)
    try:
        fits = np.broadcast_shapes(mask.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            "attention",
            f"mask is {show(mask.shape)} and does not broadcast to the scores, {show(shape)}",
            "The last axes of a mask are those of queries and keys.",
        )
    if mask.dtype.kind == "b":
        return mask, None
    if mask.dtype.kind != "f":
        raise DTypeError(
            "attention",
            f"mask is an array of {mask.dtype}, which may mean weights or choices",
            "Use booleans, True where a query may look, or floats that are added.",
        )
    allowed = negate(equal(mask, -np.inf))
    return allowed, where(allowed, mask, 0.0)
