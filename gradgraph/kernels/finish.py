"""What is still to be done with the results of a convolution, while they are in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .numpy_ import Array, masked


@dataclass(frozen=True, slots=True)
class Finish:
    """y ← y + bias; then max(y, 0), if `rectified`; then 0 where `kept` is not above 0.

    Attributes:
        bias: one number for each channel, or None.
        rectified: whether to take the maximum with 0.
        kept: an array of the shape of y, or None.
    """

    bias: Array | None = None
    rectified: bool = False
    kept: Array | None = None

    def apply(self, y: Array, part: Any = ...) -> None:
        """Do it in place; `part` says which part of the whole result y is.

        >>> y = np.array([[1.0, -3.0]])
        >>> Finish(bias=np.array([0.5, 1.0]), rectified=True).apply(y)
        >>> y
        array([[1.5, 0. ]])
        """
        if self.bias is not None:
            y += self.bias
        if self.rectified:
            np.maximum(y, 0, out=y)
        if self.kept is not None:
            y[...] = masked(y, self.kept[part] > 0)
