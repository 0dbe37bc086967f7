"""What a network is run on to look at it: data, or zeros of a shape."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..spec import Spec
from ..tensor import Tensor, asarray


def is_shape(x: Any) -> bool:
    """Whether an input is a shape (a tuple of ints) or a `Spec`, not data.

    >>> is_shape((1, 28, 28, 1)), is_shape((np.int64(2), 3)), is_shape((True, 3)), is_shape([2, 3])
    (True, True, False, False)
    """
    return isinstance(x, Spec) or (
        isinstance(x, tuple) and all(isinstance(n, Integral) and not isinstance(n, bool) for n in x)
    )


def given(x: Any, where: str) -> Tensor:
    """An input as a tensor: as it is, or zeros (float32, or of the spec's dtype) of a shape.

    Args:
        x: tensor, array, shape or spec.
        where: the function that asks, for errors.

    Raises:
        ShapeError: if an axis is negative.

    >>> given((2, 3), "draw").shape
    (2, 3)
    """
    if isinstance(x, Tensor):
        return x
    if is_shape(x):
        shape, dtype = (x.shape, x.dtype) if isinstance(x, Spec) else (x, np.dtype(np.float32))
        if any(n < 0 for n in shape):
            raise ShapeError(where, f"{x} is no shape", "Axes have at least 0 elements.")
        x = np.zeros(shape, dtype)
    return asarray(x)
