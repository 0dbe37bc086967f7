"""Derivatives by differences: extrapolated, with an error that they estimate themselves.

A central difference at step h errs by h² times something unknown, and by rounding / h. Here the
step is halved many times, the errors of order h² and h⁴ are eliminated (Richardson), and for every
element the step is taken at which successive estimates agree best, with all finer ones, too. How
well they agree is the error: a comparison needs no tolerance chosen by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Curve = Callable[[float], Array]

EPS = float(np.finfo(float).eps)
COARSE, LEVELS = 2.0**-3, 12
SAFETY = 10.0  # of estimated errors
LARGEST_KEPT = 10_000  # elements of a value


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


def remembered(curve: Curve, size: int) -> Curve:
    """The curve, with its values kept (unless they are large): most steps are asked for again."""
    if size > LARGEST_KEPT:
        return curve
    return cache(lambda h: np.array(curve(h)))


class Samples:
    """A curve's values at steps that shrink towards 0, from both sides.

    Args:
        curve: function of one number; its results all have one shape.
        coarse: the first step; each next one is smaller by `ratio`.
        levels: how many steps.
        ratio: by which they shrink.
        rounding: how far the values are known to be off.

    Attributes:
        size: the largest absolute value of each element.
    """

    def __init__(
        self,
        curve: Curve,
        coarse: float = COARSE,
        levels: int = LEVELS,
        ratio: float = 2.0,
        rounding: Any = 0.0,
    ) -> None:
        steps = [coarse / ratio**k for k in range(levels)]
        self.ratio = ratio
        self.ahead = np.array([curve(h) for h in steps], dtype=float)
        self.behind = np.array([curve(-h) for h in steps], dtype=float)
        self.here = np.asarray(curve(0.0), dtype=float)
        self.h = np.array(steps).reshape(levels, *(1,) * self.here.ndim)
        size = np.maximum(np.abs(self.ahead), np.abs(self.behind))
        size = np.maximum(size, np.abs(self.here))
        noise = np.maximum(self._noise(self.ahead, size), self._noise(self.behind, size))
        self.floor = np.maximum(np.maximum(4 * EPS * size, noise), rounding) / self.h
        self.size = np.fmax.reduce(np.where(np.isfinite(size), size, np.nan), axis=0)

    def _noise(self, side: Array, size: Array) -> Array:
        """How far the values jump at the finer steps, where a curve should be smooth.

        A function may round inside (to float32, or because large numbers cancel) far more than
        its result shows. What is left of the values after the terms of first and second order
        are eliminated falls by r³ from one step to the next; what hardly falls is noise.
        """
        rest = side - self.here
        for order in (1, 2):
            rest = rest[:-1] - self.ratio**order * rest[1:]
        rest = np.abs(rest)
        half = max(len(rest) // 2, 3)
        late, before = rest[half:], rest[half - 3 : -3]
        stays = (late > before / self.ratio**3) & (late > 64 * EPS * size.max(axis=0))
        return np.asarray(np.where(stays, late, 0.0).max(axis=0, initial=0.0))

    def central(self) -> Estimate:
        """The slope at 0 by central differences; nothing is known where they grow with 1 / h."""
        table = (self.ahead - self.behind) / (2 * self.h)
        value, error = self._best(table, (2, 4))
        last = np.abs(table[-3:])
        grows = (last[1:] > 0.75 * self.ratio * last[:-1]).all(axis=0) & (last[0] > 0)
        return Estimate(value, np.where(grows, np.inf, error))

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
            value = table[:-2]
            near = np.maximum(np.abs(table[1:-1] - value), np.abs(table[2:] - value))
            below = np.minimum.accumulate((table + 8 * floor)[:0:-1])[:0:-1]
            above = np.maximum.accumulate((table - 8 * floor)[:0:-1])[:0:-1]
            far = np.maximum(value - below, above - value)
            errors.append(np.maximum(near, far) + 2 * floor[2:])
            values.append(value)
        error, value = np.concatenate(errors), np.concatenate(values)
        error = np.where(np.isnan(error), np.inf, error)
        best = np.expand_dims(np.argmin(error, axis=0), 0)
        return Estimate(
            np.take_along_axis(value, best, 0)[0],
            SAFETY * np.take_along_axis(error, best, 0)[0],
        )


SHARP = 1e-3  # a derivative known no better than this (relative) decides nothing
CLOSER = (1e-5, 1e-7, 1e-9)  # first steps that look closer and closer


def confirmed(
    curve: Curve,
    claimed: Array,
    found: Estimate,
    near: float = CLOSER[0],
    vague: Any = False,
) -> tuple[Array, Array]:
    """Where steps too small for what bends or breaks nearby say that a claimed slope is right.

    Args:
        curve: of which it is the slope.
        claimed: the slope.
        found: what larger steps say.
        near: a step that suits the point: a tenth of the smallest distance to 0, say.
        vague: where larger steps say nothing, so that smaller ones need not contradict them.

    Returns:
        Where it is right, and where that is doubtful, because the curve is a staircase: between
        its steps every function that computes in low precision is level.

    >>> bend = lambda h: np.hypot(h + 1e-7, 1e-7)  # looks like |h| from afar
    >>> confirmed(bend, np.sqrt(0.5), Samples(bend).central())
    (np.True_, np.False_)
    >>> stairs = lambda h: np.float64(np.float32(np.sin(1.0 + h)))
    >>> confirmed(stairs, np.array(0.0), Samples(stairs).central())
    (np.True_, np.True_)
    """
    gap = np.abs(claimed - found.value)
    right, doubtful = np.zeros((2, *np.shape(gap)), dtype=bool)
    for coarse in (*CLOSER, near, near / 100):
        closer = Samples(curve, coarse=coarse, levels=6).central()
        sharp = (closer.error < 0.1 * gap) | (vague & (closer.error <= SHARP * np.abs(claimed)))
        agrees = sharp & (np.abs(claimed - closer.value) <= closer.error)
        if agrees.any():
            doubtful |= agrees & ~right & (jumps(curve) > 0.1 * coarse * gap)
        right |= agrees
    return right, doubtful


def stair(curve: Curve) -> Array:
    """How high the first step is of a curve that is level at the point; 0 where it is not.

    >>> round(float(stair(lambda h: np.round(np.sin(1.0 + h), 3))), 6)
    0.001
    """
    samples = Samples(curve, coarse=0.25, levels=24)
    found = np.full(samples.here.shape, np.inf)
    level = np.ones(samples.here.shape, dtype=bool)
    for side in (samples.ahead, samples.behind):
        gap = np.abs(side - samples.here)
        level &= (gap[-3:] == 0).all(axis=0)
        found = np.minimum(found, np.where(gap > 0, gap, np.inf).min(axis=0))
    return np.where(level & np.isfinite(found), found, 0.0)


def jumps(curve: Curve, coarse: float = 1e-2, levels: int = 16) -> Array:
    """How far the values of a curve jump at most of its small steps.

    A bend or a break nearby shows at few of them: on both sides of it the curve goes on straight.
    """
    samples = Samples(curve, coarse, levels)
    found = np.zeros(samples.here.shape)
    for side in (samples.ahead, samples.behind):
        rest = side - samples.here
        for order in (1, 2, 0):
            rest = rest[:-1] - 2.0**order * rest[1:]
        found = np.maximum(found, np.median(np.abs(rest), axis=0))
    size = np.maximum(np.abs(samples.here), np.abs(samples.ahead).max(axis=0))
    return np.where(found > 64 * EPS * size, found, 0.0)


def straight(curve: Curve) -> bool:
    """Whether a curve goes straight on at 0 as far as one tiny step shows: it has no kink there.

    >>> straight(np.exp), straight(abs)
    (True, False)
    """
    h = 2.0**-24
    behind, here, ahead = curve(-h), curve(0.0), curve(h)
    bend = np.abs(ahead - here - (here - behind))
    noise = 8 * EPS * np.maximum(np.abs(ahead), np.abs(behind))
    return bool(np.all(bend <= 1e-6 * np.abs(ahead - behind) + noise))


def closest(curve: Curve, rounding: Any = 0.0, near: float = 1.0) -> Slopes:
    """The slopes at 0, from steps so small that kinks nearby are not between them.

    >>> closest(lambda h: np.array([abs(h), abs(h - 1e-7)])).kink
    array([ True, False])
    """
    with np.errstate(all="ignore"):
        found = Samples(curve, rounding=rounding).sides()
        for coarse in (*CLOSER, *((near, near / 100) if near < CLOSER[-1] else ())):
            if not found.kink.any():
                break
            closer = Samples(curve, coarse=coarse, levels=6, rounding=rounding).sides()
            gap = np.abs(found.left.value - found.right.value)
            joins = found.kink & ~closer.kink & (closer.left.error + closer.right.error < 0.1 * gap)
            found = chosen(joins, closer, found)
    return found


def chosen(where: Array, a: Slopes, b: Slopes) -> Slopes:
    """Slopes from `a` where a condition holds, else from `b`."""
    pairs = [
        Estimate(*(np.where(where, x, y) for x, y in zip(p, q, strict=True)))
        for p, q in zip(a, b, strict=True)
    ]
    return Slopes(*pairs)


def complex_slope(curve: Callable[[complex], Array], like: Estimate) -> Array | None:
    """Im curve(ih) / h: no cancellation, so it is exact to rounding where the curve is analytic.

    None where it is not: where numpy cannot go there, or it is not certain to be the slope `like`.

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
    size = np.abs(slope)
    if not np.all(like.error <= SHARP * (size + size.max(initial=0.0))):
        return None  # too vague to say that this is it
    return np.asarray(slope)
