"""Pooling layers: fewer pixels, the most telling of them or their means."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..ops.geometry import per_axis
from ..ops.operand import flag
from .conv import Ints
from .module import Module


class MaxPool(Module):
    """The greatest pixel of each window, channel by channel (chapter, section 7.2).

    Args:
        size, stride, padding: as for `gradgraph.max_pool`; the stride is the size by default.

    Raises:
        DomainError: if size or stride is no int ≥ 1, or one such int for each axis.

    >>> import numpy as np
    >>> MaxPool(2)(np.zeros((1, 28, 28, 8), np.float32)).shape
    (1, 14, 14, 8)
    """

    def __init__(self, size: Ints, stride: Ints | None = None, padding: Any = 0) -> None:
        for name, value in (("size", size), ("stride", stride)):
            if value is not None:
                axes = max(len(value), 1) if isinstance(value, tuple | list) else 1
                per_axis(type(self).__name__, name, value, axes)
        self.size = size
        self.stride = stride
        self.padding = padding

    def forward(self, x: Any) -> Any:
        return ops.max_pool(x, self.size, stride=self.stride, padding=self.padding)

    def extra_repr(self) -> str:
        words = [str(self.size)]
        words += [f"stride={self.stride}"] if self.stride is not None else []
        words += [f"padding={self.padding!r}"] if self.padding not in (0, "valid") else []
        return ", ".join(words)


class AvgPool(MaxPool):
    """The mean of each window, channel by channel. Arguments as for `MaxPool`.

    Args:
        count_include_pad: count padding as zeros (True), or leave it out of the mean (False).

    >>> import numpy as np
    >>> AvgPool(2)(np.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1)).ravel()
    array([2., 1.])
    """

    def __init__(
        self,
        size: Ints,
        stride: Ints | None = None,
        padding: Any = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(size, stride, padding)
        self.count_include_pad = flag("AvgPool", "count_include_pad", count_include_pad)

    def forward(self, x: Any) -> Any:
        return ops.avg_pool(
            x,
            self.size,
            stride=self.stride,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
        )

    def extra_repr(self) -> str:
        words = super().extra_repr()
        return words if self.count_include_pad else f"{words}, count_include_pad=False"


class MaxBlurPool(MaxPool):
    """The maximum of every window, then a blurring mean at each stride (chapter, section 7.2).

    It sees what `MaxPool(size, stride)` sees, but a pattern that moves by a pixel changes the
    result gradually: `max_pool` with stride 1, then `blur_pool`. N×⌈S / stride⌉ pixels.

    Args:
        size: of the windows.
        stride: spacing of the results; the size by default.
        blur: size of the window of the mean.

    >>> import numpy as np
    >>> MaxBlurPool(2)(np.zeros((1, 28, 28, 8), np.float32)).shape
    (1, 14, 14, 8)
    """

    def __init__(self, size: Ints, stride: Ints | None = None, blur: Ints = 3) -> None:
        super().__init__(size, stride, "same")
        axes = max(len(blur), 1) if isinstance(blur, tuple | list) else 1
        per_axis("MaxBlurPool", "blur", blur, axes)
        self.blur = blur

    def forward(self, x: Any) -> Any:
        tops = ops.max_pool(x, self.size, stride=1, padding=self.padding)
        return ops.blur_pool(
            tops, self.blur, stride=self.size if self.stride is None else self.stride
        )

    def extra_repr(self) -> str:
        stride = [] if self.stride is None else [f"stride={self.stride}"]
        return ", ".join([str(self.size), *stride, f"blur={self.blur}"])


class GlobalAvgPool(Module):
    """The mean of all pixels, channel by channel: (N, *S, C) → (N, C).

    >>> import numpy as np
    >>> GlobalAvgPool()(np.ones((2, 7, 7, 16), np.float32)).shape
    (2, 16)
    """

    def forward(self, x: Any) -> Any:
        return ops.global_avg_pool(x)
