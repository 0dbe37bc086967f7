"""Choices between elements: the greater, the smaller, the one that a condition names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..kink import Kink
from ..spec import Spec, broadcast, promote
from .elementwise import Binary, Elementwise, equal, greater, mask, negate

__all__ = ["apply_where", "maximum", "minimum", "where"]


class _Extreme(Binary, abstract=True):
    """One of x and y; a tie gives each half of the gradient."""

    domain = "kinky"

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return self._share(g, x, y)

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return self._share(g, y, x)

    def _share(self, g: Any, own: Any, other: Any) -> Any:
        """The cotangent of one side: all of g where it is taken, half where both are equal."""
        return mask(g, self._taken(own, other)) + 0.5 * mask(g, equal(own, other))

    def _taken(self, own: Any, other: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        a, b = draw.broadcastable(2)
        x, y = draw.kinky(a), draw.kinky(b)
        return cls(), (x, y if draw.ties else np.asarray(y + 0.03))


class Maximum(_Extreme):
    """The greater of x and y; a tie gives each half of the gradient."""

    forward = np.maximum
    kinks = (Kink("x = y", "half to each", ([1.0, 2.0], [1.0, 0.0]), ([0.5, 1.0], [0.5, 0.0])),)

    def _taken(self, own: Any, other: Any) -> Any:
        return greater(own, other)

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.maximum(x, y)


class Minimum(_Extreme):
    """The smaller of x and y; a tie gives each half of the gradient."""

    forward = np.minimum
    kinks = (Kink("x = y", "half to each", ([1.0, 2.0], [1.0, 4.0]), ([0.5, 1.0], [0.5, 0.0])),)

    def _taken(self, own: Any, other: Any) -> Any:
        return greater(other, own)

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.minimum(x, y)


class Where(Elementwise):
    """x where the condition holds, y elsewhere."""

    linear = ()
    constant = ("condition",)
    diagonal = ("x", "y")
    style = "arithmetic"
    kinks = (
        Kink(
            "the side that is not taken",
            "exactly 0, whatever arrives",
            ([True, False], [1.0, 2.0], [3.0, 4.0]),
            ([1.0, 0.0], [0.0, 1.0]),
        ),
    )

    def forward(self, condition: Any, x: Any, y: Any) -> Any:
        return np.where(condition, x, y)

    def into(self, out: Any, condition: Any, x: Any, y: Any) -> None:
        np.copyto(out, y)
        np.copyto(out, x, where=np.asarray(condition, dtype=bool))

    def vjp_x(self, g: Any, out: Any, condition: Any, x: Any, y: Any) -> Any:
        return mask(g, condition)

    def vjp_y(self, g: Any, out: Any, condition: Any, x: Any, y: Any) -> Any:
        return mask(g, negate(condition))

    def spec(self, condition: Spec, x: Spec, y: Spec) -> Spec:
        return Spec(broadcast(self.name, condition=condition, x=x, y=y), promote(x, y))

    def scalar(self, condition: Any, x: Any, y: Any) -> Any:
        return scalar.where(condition, x, y)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        c, a, b = draw.broadcastable(3)
        return cls(), (draw.rng.random(c) < 0.5, draw.normal(a), draw.normal(b))


MAXIMUM, MINIMUM, WHERE = Maximum(), Minimum(), Where()


def maximum(x: Any, y: Any) -> Any:
    """The greater of x and y, elementwise with broadcasting; NaN if either is.

    At a tie each gets half of the gradient; at a NaN none gets any. Errors as for `add`.

    >>> maximum(np.array([1.0, 5.0]), 3.0)
    array([3., 5.])
    """
    return MAXIMUM(x, y)


def minimum(x: Any, y: Any) -> Any:
    """The smaller of x and y, elementwise with broadcasting; NaN if either is.

    At a tie each gets half of the gradient; at a NaN none gets any. Errors as for `add`.

    >>> minimum(np.array([1.0, 5.0]), 3.0)
    array([1., 3.])
    """
    return MINIMUM(x, y)


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, y elsewhere, with broadcasting.

    The gradient of the side that is not taken is exactly 0, whatever its value. A NaN that an
    earlier op makes of that 0 (as sqrt does at 0) is avoided by choosing the input too:
    `where(x > 0, sqrt(where(x > 0, x, 1)), 0)`, or in short `apply_where(x > 0, sqrt, x, 0)`.

    Args:
        condition: boolean array or tensor; it gets no gradient.
        x, y: tensors, arrays or numbers.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> where(np.array([True, False]), 1.0, np.array([7.0, 8.0]))
    array([1., 8.])
    """
    return WHERE(condition, x, y)


def apply_where(
    condition: Any, f: Callable[[Any], Any], x: Any, otherwise: Any, *, stand_in: Any = 1.0
) -> Any:
    """f(x) where the condition holds, `otherwise` elsewhere; f never sees the other elements.

    It is `where(condition, f(where(condition, x, stand_in)), otherwise)`. Without the inner
    choice, f would be evaluated outside of its domain too: its warnings would come, and a slope
    that is infinite there would make a NaN of the gradient 0 that `where` gives it.

    Args:
        condition: boolean array or tensor; it gets no gradient.
        f: elementwise function of one tensor or array.
        x: what f is applied to where the condition holds.
        otherwise: tensor, array or number for the other elements.
        stand_in: what f sees in their place, inside of its domain.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> x = np.array([4.0, 0.0, -4.0])
    >>> apply_where(x > 0, np.sqrt, x, 0.0)
    array([2., 0., 0.])
    """
    return where(condition, f(where(condition, x, stand_in)), otherwise)
