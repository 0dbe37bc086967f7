"""How an op's `sample` asks for inputs: a few draws of integers, and one seed for the values.

Ops know only this class. The laws drive it with hypothesis (shapes and parameters shrink, values
come from a seed); benchmarks and galleries drive it with a seeded generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .spec import Shape

T = TypeVar("T")
Array = np.ndarray[Any, np.dtype[Any]]

SIZES = (2, 3, 1, 5, 0)  # hypothesis shrinks towards the first


class Draw:
    """Draws shapes, parameters and values.

    Args:
        source: function (low, high) -> int, both ends included; the only source of choice.
        ties: whether `kinky` gives ties and zeros instead of avoiding them.

    >>> draw = Draw.seeded(0)
    >>> draw.normal((2, 3)).shape
    (2, 3)
    """

    def __init__(self, source: Callable[[int, int], int], ties: bool = False) -> None:
        self._source = source
        self._drawn: list[int] = []
        self.ties = ties
        self._rng: np.random.Generator | None = None

    @staticmethod
    def seeded(seed: int) -> Draw:
        """Draws from a numpy generator: no hypothesis needed."""
        rng = np.random.default_rng(seed)
        return Draw(lambda low, high: int(rng.integers(low, high + 1)))

    def integer(self, low: int, high: int) -> int:
        """A number from low to high."""
        self._drawn.append(self._source(low, high) - low)
        return self._drawn[-1] + low

    @property
    def rng(self) -> np.random.Generator:
        """The generator of values, seeded by all that was drawn before: few values repeat."""
        if self._rng is None:
            self.integer(0, 2**31)
            self._rng = np.random.default_rng(self._drawn)
        return self._rng

    def choice(self, options: Sequence[T]) -> T:
        """One of the options; the first is the simplest."""
        return options[self.integer(0, len(options) - 1)]

    def boolean(self) -> bool:
        return self.integer(0, 1) == 1

    def shape(self, low: int = 0, high: int = 3, sizes: Sequence[int] = SIZES) -> Shape:
        """A shape of `low` to `high` axes: one in four is square, one in eight may be empty."""
        ndim = self.integer(low, high)
        if self.integer(0, 7) < 7:
            sizes = [n for n in sizes if n]
        if self.integer(0, 3) == 3:
            return (self.choice(sizes),) * ndim
        return tuple(self.choice(sizes) for _ in range(ndim))

    def broadcastable(self, count: int) -> list[Shape]:
        """`count` shapes that broadcast together, with missing axes and axes of length 1."""
        full = self.shape()
        shapes = []
        for _ in range(count):
            kept = full[self.integer(0, len(full)) :]
            shapes.append(tuple(1 if self.integer(0, 3) == 3 else n for n in kept))
        return shapes

    def axis(self, ndim: int) -> int | tuple[int, ...] | None:
        """None, a positive or negative axis, or a tuple of axes."""
        kind = self.integer(0, 2) if ndim else 0
        if kind == 0:
            return None
        if kind == 1:
            return self.integer(-ndim, ndim - 1)
        axes = [a for a in range(ndim) if self.boolean()]
        return tuple(a - ndim if self.boolean() else a for a in axes)

    def normal(self, shape: Shape) -> Array:
        """Standard normal values."""
        return np.asarray(self.rng.normal(size=shape))

    def logits(self, shape: Shape) -> Array:
        """Normal values; in every fourth draw so large that their exponentials overflow float32."""
        return self.normal(shape) * (150.0 if self.integer(0, 3) == 3 else 1.0)

    def away_from_zero(self, shape: Shape) -> Array:
        """Values of either sign with absolute value in 0.3 to 2."""
        sign = self.rng.choice([-1.0, 1.0], size=shape)
        return np.asarray(sign * self.rng.uniform(0.3, 2.0, size=shape))

    def positive(self, shape: Shape) -> Array:
        """Values from 0.3 to 2."""
        return np.asarray(self.rng.uniform(0.3, 2.0, size=shape))

    def unit(self, shape: Shape) -> Array:
        """Values from -0.9 to 0.9."""
        return np.asarray(self.rng.uniform(-0.9, 0.9, size=shape))

    def above_one(self, shape: Shape) -> Array:
        """Values from 1.2 to 3."""
        return np.asarray(self.rng.uniform(1.2, 3.0, size=shape))

    def distinct(self, shape: Shape) -> Array:
        """Values that are at least 0.1 apart and 0.05 away from zero: no ties, no kinks."""
        size = int(np.prod(shape))
        values = (np.arange(size) - size // 2 + 0.5) * 0.1
        return np.asarray(self.rng.permutation(values).reshape(shape))

    def tied(self, shape: Shape) -> Array:
        """Values from a small set, so that maxima are tied."""
        return self.rng.integers(-1, 2, size=shape).astype(float)

    def kinky(self, shape: Shape) -> Array:
        """For an op with kinks: values well away from them, or, with `ties`, right on them."""
        return self.tied(shape) if self.ties else self.distinct(shape)

    def indices(self, shape: Shape, size: int) -> Array:
        """Indices into an axis of length `size`, repeated and negative ones among them."""
        return self.rng.integers(-size, size, size=shape)
