"""What is done with the results of a convolution as soon as they are there: bias, relu, mask."""

from __future__ import annotations

import numpy as np

from ..finish import Finish
from ..numpy_ import Array
from .compiled import kernel
from .simd import FLOAT, LANES, finish_vector, get, kept_vector, put


@kernel
def finish(y: int, channels: int, bias: int, floor: float, kept: int) -> None:
    """Finish the channels of one pixel; `bias` and `kept` are 0 if there are none."""
    whole = channels // LANES * LANES
    if bias:
        for c in range(0, whole, LANES):
            finish_vector(y + c * FLOAT, bias + c * FLOAT, np.float32(floor))
        for c in range(whole, channels):
            v = get(y + c * FLOAT) + get(bias + c * FLOAT)
            put(y + c * FLOAT, np.float32(floor) if v <= np.float32(floor) else v)  # NaN stays
    if kept:
        for c in range(0, whole, LANES):
            kept_vector(y + c * FLOAT, kept + c * FLOAT, y + c * FLOAT)
        for c in range(whole, channels):
            put(y + c * FLOAT, get(y + c * FLOAT) if get(kept + c * FLOAT) > 0 else np.float32(0.0))


class Ending:
    """A `Finish` as addresses, for results of so many channels at an address.

    Attributes:
        bias: address of one number for each channel, or 0.
        floor: what a result is at least.
        apart: from the address of a result to that of the number that tells whether to keep it;
            0 if all are kept.
    """

    def __init__(self, todo: Finish | None, channels: int, y: int) -> None:
        self.bias, self.floor, self.apart = 0, -np.inf, 0
        self._held: list[Array] = []
        if todo is None:
            return
        if todo.bias is not None or todo.rectified:
            given = np.zeros(channels) if todo.bias is None else todo.bias
            self._held.append(np.ascontiguousarray(given, np.float32))
            self.bias = self._held[-1].ctypes.data
            self.floor = 0.0 if todo.rectified else -np.inf
        if todo.kept is not None:
            self._held.append(np.ascontiguousarray(todo.kept, np.float32))
            self.apart = self._held[-1].ctypes.data - y

    @property
    def told(self) -> tuple[int, float, int]:
        """What kernels are given."""
        return self.bias, self.floor, self.apart
