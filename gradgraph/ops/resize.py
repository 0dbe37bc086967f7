"""Images of another size."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DomainError, ShapeError
from ..spec import show
from .arrange import repeat
from .operand import ints, shaped
from .select import take

__all__ = ["resize"]


def resize(x: Any, size: Any, method: str = "nearest") -> Any:
    """Images in another size, along every axis but the first and the last.

    The pixels of an axis of length n are spread evenly over one of length m. "nearest": pixel i
    of the result is pixel ⌊i · n / m⌋ (as torch's "nearest"). "bilinear": centres of pixels lie at
    half a pixel, so pixel i lies at (i + ½) · n / m - ½ between two pixels and is their weighted
    mean; beyond the outermost centres the edge goes on (as torch's align_corners=False). With one
    or three axes that is linear and trilinear. Nothing is averaged when an image shrinks.

    numpy's `resize` is something else: it repeats elements in reading order.

    Args:
        x: tensor or array (N, *S, C) with one, two or three axes S.
        size: int for every axis of S, or one for each.
        method: "nearest" or "bilinear".

    Returns:
        A tensor (N, *size, C); its dtype is that of x, and float64 for a "bilinear" one of
        integers.

    Raises:
        ShapeError: if x has not 3 to 5 axes, or a length is not at least 1.
        DomainError: if there is no such method.

    >>> image = np.array([0.0, 4.0]).reshape(1, 2, 1)
    >>> resize(image, 4).ravel(), resize(image, 4, "bilinear").ravel()
    (array([0., 0., 4., 4.]), array([0., 1., 3., 4.]))
    """
    if method not in ("nearest", "bilinear"):
        raise DomainError(
            "resize", f"method {method!r} is not available", 'Use "nearest" or "bilinear".'
        )
    x = shaped("resize", x)
    if not 3 <= x.ndim <= 5:
        raise ShapeError(
            "resize",
            f"x is {show(x.shape)}, and images are (N, *S, C) with one to three axes S",
            "For one image use x[None], for one channel x[..., None].",
        )
    lengths = ints("resize", "size", size)
    if not isinstance(size, tuple | list):
        lengths *= x.ndim - 2
    if len(lengths) != x.ndim - 2 or min(lengths) < 1 or 0 in x.shape[1:-1]:
        raise ShapeError(
            "resize",
            f"x is {show(x.shape)}, and size {size} does not turn its {x.ndim - 2} axes of pixels"
            " into as many of at least 1 pixel",
            "Pass one length for all axes, or one for each.",
        )
    for axis, m in enumerate(lengths, 1):
        if m != x.shape[axis]:
            x = _nearest(x, axis, m) if method == "nearest" else _linear(x, axis, m)
    return x


def _nearest(x: Any, axis: int, m: int) -> Any:
    if m % x.shape[axis] == 0:
        return repeat(x, m // x.shape[axis], axis)
    return take(x, np.arange(m) * x.shape[axis] // m, axis)


def _linear(x: Any, axis: int, m: int) -> Any:
    n = x.shape[axis]
    at = np.clip((np.arange(m) + 0.5) * (n / m) - 0.5, 0, n - 1)
    low = np.minimum(at.astype(int), max(n - 2, 0))
    dtype = x.dtype if x.dtype.kind == "f" else float
    right = (at - low).astype(dtype).reshape(-1, *[1] * (x.ndim - 1 - axis))
    return take(x, low, axis) * (1 - right) + take(x, np.minimum(low + 1, n - 1), axis) * right
