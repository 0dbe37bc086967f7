"""Cells that remember from step to step."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from .. import ops
from ..errors import DTypeError, ShapeError
from ..ops.random import Rng, generator
from ..spec import Shape, show
from .linear import sizes
from .module import Module, parameter


class LSTMCell(Module):
    """One step of a long short-term memory: (x, (h, c)) → (h, c).

    With the gates i, f, g, o = x wx + h wh + b, each (N, units):
    c ← sigmoid(f) · c + sigmoid(i) · tanh(g),  h = sigmoid(o) · tanh(c).

    Source: Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (1999).

    Args:
        n_in: numbers in x.
        units: numbers in h and in c.
        rng: a numpy Generator, which goes on, or a seed, for the weights (uniform to ±1/√units).

    Attributes:
        wx: (n_in, 4 · units), wh: (units, 4 · units), b: (4 · units,), float32; the gates lie in
            the order i, f, g, o. b starts at 0, for the forget gate at 1.

    Raises:
        DomainError: if a size is no int ≥ 1.
        DTypeError: if rng is no generator and no seed.

    >>> cell = LSTMCell(3, 5, rng=0)
    >>> h, c = cell(np.zeros((2, 3), np.float32))
    >>> h, c = cell(np.ones((2, 3), np.float32), (h, c))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    def __init__(self, n_in: int, units: int, *, rng: Rng) -> None:
        n_in, units = sizes("LSTMCell", n_in=n_in, units=units)
        rng, bound = generator(rng, "LSTMCell"), 1 / sqrt(units)
        self.wx = parameter(rng.uniform(-bound, bound, (n_in, 4 * units)), "wx")
        self.wh = parameter(rng.uniform(-bound, bound, (units, 4 * units)), "wh")
        self.b = parameter(np.repeat([0.0, 1.0, 0.0, 0.0], units), "b")

    def forward(self, x: Any, state: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
        """(N, n_in) and the state, two of (N, units) or None for zeros, give the next state."""
        units = self.wh.shape[0]
        gates = ops.matmul(x, self.wx) + self.b
        if state is not None:
            h, c = self._parts(state, (*np.shape(x)[:-1], units))
            gates = gates + ops.matmul(h, self.wh)
        i, f, g, o = (gates[..., k * units : (k + 1) * units] for k in range(4))
        new = ops.sigmoid(i) * ops.tanh(g)
        c = new if state is None else ops.sigmoid(f) * c + new
        return ops.sigmoid(o) * ops.tanh(c), c

    def _parts(self, state: Any, shape: Shape) -> tuple[Any, Any]:
        if not isinstance(state, tuple | list) or len(state) != 2:
            raise DTypeError(
                "LSTMCell", f"the state is {type(state).__name__}, not (h, c)", "Pass both."
            )
        h, c = state
        for name, part in (("h", h), ("c", c)):
            if np.shape(part) != shape:
                raise ShapeError(
                    "LSTMCell",
                    f"{name} is {show(np.shape(part))}, and for this x it must be {show(shape)}",
                    "Pass what the last step returned.",
                )
        return h, c

    def extra_repr(self) -> str:
        return f"{self.wx.shape[0]} → {self.wh.shape[0]}"
