"""Scalars for references: what a definition by loops may use besides + - * / and **.

A scalar is a Python float (then this is the `math` module with numpy's limits) or any object with
arithmetic and methods of the same names, such as a 0-d tensor: then running a definition unfolds
it into a graph of scalars. Comparisons look at the value and are not part of the graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Number = Any
NUMBERS = (bool, int, float, np.generic)


def value(v: Number) -> float:
    """The number in a scalar."""
    return float(v)


def empty(shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[Any]]:
    """An array of objects to fill with scalars."""
    return np.empty(shape, dtype=object)


def along(
    axis: int | tuple[int, ...], line: Callable[[list[Any]], list[Any]], x: Any
) -> np.ndarray[Any, np.dtype[Any]]:
    """What `line` makes of the scalars along an axis of x, or of those in several axes.

    >>> along(0, lambda v: v[::-1], [[1, 2], [3, 4]]).tolist()
    [[3, 4], [1, 2]]
    """
    axes = axis if isinstance(axis, tuple) else (axis,)
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(np.asarray(x, dtype=object), axes, last)
    lead = moved.shape[: moved.ndim - len(axes)]
    out = empty(moved.shape)
    for at in np.ndindex(lead):
        places = [at + place for place in np.ndindex(moved.shape[len(lead) :])]
        for place, v in zip(places, line([moved[p] for p in places]), strict=True):
            out[place] = v
    return np.moveaxis(out, last, axes)


def total(terms: Iterable[Number], start: Number = 0.0) -> Number:
    """start + the first term + the second …, from left to right."""
    for term in terms:
        start = start + term
    return start


def where(condition: Any, a: Number, b: Number) -> Number:
    """a if the condition holds, else b."""
    return a if condition else b


def maximum(a: Number, b: Number) -> Number:
    """The greater one; the mean of both at a tie, so that the gradient splits evenly."""
    if value(a) == value(b):
        return (a + b) * 0.5
    return b if value(b) > value(a) else a


def minimum(a: Number, b: Number) -> Number:
    """The smaller one; the mean of both at a tie, so that the gradient splits evenly."""
    return -maximum(-a, -b)


def floor(v: Number) -> float:
    """The greatest whole number that is not above v; a constant, like all that is rounded."""
    return float(math.floor(value(v)))


def nearest(v: Number) -> float:
    """The nearest whole number, the even one of two; a constant."""
    return float(round(value(v)))


def largest(values: Iterable[Number]) -> Number:
    """The first of the greatest, in the order given."""
    best = None
    for v in values:
        if best is None or value(v) > value(best):
            best = v
    return best


def tied_mean(values: Iterable[Number]) -> Number:
    """The mean of all the greatest, so that the gradient splits evenly."""
    values = list(values)
    top = max(map(value, values))
    winners = [v for v in values if value(v) == top]
    return total(winners[1:], winners[0]) * (1.0 / len(winners))


def _lift(name: str, function: Any) -> Any:
    def lifted(v: Number) -> Number:
        return function(v) if isinstance(v, NUMBERS) else getattr(v, name)()

    lifted.__name__ = name
    lifted.__doc__ = f"{name} of a float, or of any object with a method `{name}`."
    return lifted


def _exp(v: float) -> float:
    return math.exp(v) if v < 709.0 else math.inf


def _log(v: float) -> float:
    return math.log(v) if v > 0 else (-math.inf if v == 0 else math.nan)


exp = _lift("exp", _exp)
log = _lift("log", _log)
sin = _lift("sin", math.sin)
cos = _lift("cos", math.cos)
sqrt = _lift("sqrt", lambda v: math.sqrt(v) if v >= 0 else math.nan)
tanh = _lift("tanh", math.tanh)
arctan = _lift("arctan", math.atan)
erf = _lift("erf", math.erf)
