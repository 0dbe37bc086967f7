"""Derivatives by differences: extrapolated, with an error that they estimate themselves.

A central difference at step h errs by h² times something unknown, and by rounding / h. Here the
step is halved many times, the errors of order h² and h⁴ are eliminated (Richardson), and for every
element the step is taken at which successive estimates agree best, with all finer ones, too. How
well they agree is the error: a comparison needs no tolerance chosen by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Curve = Callable[[float], Array]

EPS = float(np.finfo(float).eps)
COARSE, LEVELS = 2.0**-3, 12
SAFETY = 10.0  # of estimated errors


class Estimate(NamedTuple):
    """A derivative and how far it may be off, elementwise; inf where nothing is known."""

    value: Array
    error: Array


class Slopes(NamedTuple):
    """Derivatives at 0 of a curve: from both sides at once, and from each."""

    central: Estimate
    left: Estimate
    right: Estimate

    @property
    def kink(self) -> Array:
        """Where the curve certainly has different slopes on its two sides."""
        gap = np.abs(self.left.value - self.right.value)
        return np.asarray(gap > self.left.error + self.right.error)


class Samples:
    """A curve's values at steps that shrink towards 0, from both sides.

    Args:
        curve: function of one number; its results all have one shape.
        coarse: the first step; each next one is smaller by `ratio`.
        levels: how many steps.
    """

    def __init__(
        self, curve: Curve, coarse: float = COARSE, levels: int = LEVELS, ratio: float = 2.0
    ) -> None:
        steps = [coarse / ratio**k for k in range(levels)]
        self.ratio = ratio
        self.ahead = np.array([curve(h) for h in steps], dtype=float)
        self.behind = np.array([curve(-h) for h in steps], dtype=float)
        self.here = np.asarray(curve(0.0), dtype=float)
        self.h = np.array(steps).reshape(levels, *(1,) * self.here.ndim)
        size = np.maximum(np.abs(self.ahead), np.abs(self.behind))
        self.floor = 4 * EPS * np.maximum(size, np.abs(self.here)) / self.h

    def central(self) -> Estimate:
        """The slope at 0 by central differences."""
        return self._best((self.ahead - self.behind) / (2 * self.h), (2, 4))

    def sides(self) -> Slopes:
        """The slopes at 0 from the left and from the right, too."""
        left = self._best((self.here - self.behind) / self.h, (1, 2))
        right = self._best((self.ahead - self.here) / self.h, (1, 2))
        return Slopes(self.central(), left, right)

    def _best(self, table: Array, orders: tuple[int, ...]) -> Estimate:
        """The most stable of the raw and the extrapolated estimates, elementwise."""
        values, errors = [], []
        for order in (0, *orders):
            if order:
                factor = self.ratio**order
                table = (factor * table[1:] - table[:-1]) / (factor - 1)
            floor = self.floor[-len(table) :]
            # What agrees at coarse steps may lie beyond a kink: finer steps must agree, too,
            # as far as their own rounding errors let them.
            errors.append(
                np.stack(
                    [
                        np.maximum(
                            np.max(np.abs(table[k : k + 3] - table[k]), axis=0),
                            np.max(np.abs(table[k + 1 :] - table[k]) - 8 * floor[k + 1 :], axis=0),
                        )
                        + 2 * floor[k + 2]
                        for k in range(len(table) - 2)
                    ]
                )
            )
            values.append(table[:-2])
        error, value = np.concatenate(errors), np.concatenate(values)
        error = np.where(np.isnan(error), np.inf, error)
        best = np.expand_dims(np.argmin(error, axis=0), 0)
        return Estimate(
            np.take_along_axis(value, best, 0)[0],
            SAFETY * np.take_along_axis(error, best, 0)[0],
        )


def slopes(curve: Curve, **steps: Any) -> Slopes:
    """The slopes of `curve` at 0; `steps` as for `Samples`.

    >>> s = slopes(lambda h: np.array([np.exp(h), abs(h)]))
    >>> s.central.value.round(8), s.kink
    (array([1., 0.]), array([False,  True]))
    """
    with np.errstate(all="ignore"):
        return Samples(curve, **steps).sides()


def complex_slope(curve: Callable[[complex], Array], like: Estimate) -> Array | None:
    """Im curve(ih) / h: no cancellation, so it is exact to rounding where the curve is analytic.

    None where it is not: where numpy cannot go there, or the result is not the slope `like`.

    >>> like = Samples(np.exp).central()
    >>> float(complex_slope(np.exp, like))
    1.0
    """
    tiny = 1e-40
    try:
        found = np.asarray(curve(complex(0.0, tiny)))
    except Exception:
        return None
    if found.dtype.kind != "c":
        return None
    slope = found.imag / tiny
    if slope.shape != like.value.shape or not np.all(np.abs(slope - like.value) <= like.error):
        return None
    return np.asarray(slope)
