"""Keeping numbers between bounds that may themselves be learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..kink import Kink
from ..spec import Spec, broadcast, promote
from .elementwise import ALIAS, Elementwise, both, greater, greater_equal, mask

__all__ = ["clip"]


class Clip(Elementwise):
    """x kept between bounds; what a bound clips, or touches, goes to the bound.

    Attributes:
        sides: which bounds there are: `"low"`, `"high"` or both in this order.
    """

    sides: tuple[str, ...]
    diagonal = ("x", "bounds")
    kinks = (
        Kink(
            "x = low or x = high",
            "everything to the bound",
            ([-1.0, 0.0, 1.0, 2.0, 3.0], [0.0], [2.0]),
            ([0.0, 0.0, 1.0, 0.0, 0.0], [2.0], [2.0]),
            (("low", "high"),),
        ),
    )

    def forward(self, x: Any, *bounds: Any) -> Any:
        return np.clip(x, *self._pair(bounds))

    def vjp_x(self, g: Any, out: Any, x: Any, *bounds: Any) -> Any:
        low, high = self._pair(bounds)
        if low is None:
            return mask(g, greater(high, x))
        above = greater(x, low)
        return mask(g, above if high is None else both(above, greater(high, x)))

    def vjp_bounds(self, g: Any, out: Any, i: int, x: Any, *bounds: Any) -> Any:
        low, high = self._pair(bounds)
        if self.sides[i] == "high":
            return mask(g, greater_equal(x if low is None else np.maximum(x, low), high))
        below = greater_equal(low, x)
        return mask(g, below if high is None else both(below, greater(high, low)))

    def _pair(self, bounds: Any) -> list[Any]:
        """The lower and the upper bound, None where there is none."""
        given = dict(zip(self.sides, bounds, strict=True))
        return [given.get("low"), given.get("high")]

    def spec(self, x: Spec, *bounds: Spec) -> Spec:
        shapes = dict(zip(self.sides, bounds, strict=True))
        return Spec(broadcast(self.name, x=x, **shapes), promote(x, *bounds))

    def scalar(self, x: Any, *bounds: Any) -> Any:
        low, high = self._pair(bounds)
        if low is not None and scalar.value(x) <= scalar.value(low):
            x = low
        return high if high is not None and scalar.value(x) >= scalar.value(high) else x

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        sides = draw.choice([("low", "high"), ("low",), ("high",)])
        shapes = draw.broadcastable(1 + len(sides))
        x, *bounds = (draw.kinky(shape) for shape in shapes)
        offsets = (0.0, 0.0) if draw.ties else (0.03, 0.06)  # no ties among the three
        pairs = zip(bounds, offsets, strict=False)
        return cls(sides), (x, *(np.asarray(b + offset) for b, offset in pairs))


def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    """min(max(x, low), high), elementwise with broadcasting; NaN stays NaN.

    The gradient goes to x strictly between the bounds and to a bound where it clips x. Where x is
    on a bound, the bound gets everything and the slope of x is 0, as that of `relu` at 0. If low
    exceeds high the result is high.

    Args:
        x: tensor, array or number.
        low, high: tensors, arrays or numbers that broadcast with x; None for no bound. The dtype
            is numpy's for the three.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> clip(np.array([-2.0, 0.5, 3.0]), 0.0, 1.0)
    array([0. , 0.5, 1. ])
    """
    bounds = {"low": low, "high": high}
    given = {side: bound for side, bound in bounds.items() if bound is not None}
    return Clip.of(tuple(given))(x, *given.values()) if given else ALIAS(x)
