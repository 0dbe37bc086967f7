"""A linear recurrence along the first axis, without a Python step for each element."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

WIDE = 256  # so many lines side by side keep numpy busy: then step by step is fastest
SHORT = 16  # as are so few steps
BLOCK = 1 << 14  # elements that are worked on at once, few enough to stay in cache


def recurrence(a: Array, b: Array) -> Array:
    """y[0] = b[0] and y[i] = a[i - 1] · y[i - 1] + b[i], for float64 arrays.

    Two steps at once are one step of the same kind, so that the odd elements obey a recurrence of
    half the length: y[2k + 1] = (a a') y[2k - 1] + (a' b + b'). Products of couplings a that leave
    the range of floats become 0 or infinite on this way; where that makes a line infinite or NaN
    it is computed again, step by step.

    Args:
        a: (n - 1, …) couplings between neighbours, or nothing if n is 0.
        b: (n, …), with at least one element in each step.

    >>> recurrence(np.array([2.0, 3.0]), np.array([1.0, 0.0, 1.0]))
    array([1., 2., 7.])
    """
    with np.errstate(all="ignore"):
        y = _by_blocks(a, b)
        failed = ~np.isfinite(y).all(axis=0)
        if failed.any():
            y[:, failed] = stepwise(a[:, failed], b[:, failed])
    return y


def stepwise(a: Array, b: Array) -> Array:
    """The same recurrence, one element after the other."""
    y = b.copy()
    for i in range(1, len(y)):
        y[i] += a[i - 1] * y[i - 1]
    return y


def _by_blocks(a: Array, b: Array) -> Array:
    length = max(SHORT, BLOCK // b[0].size)
    if len(b) <= length:
        return _halved(a, b)
    y = np.empty_like(b)
    for start in range(0, len(b), length):
        part = b[start : start + length].copy()
        if start:
            part[0] += a[start - 1] * y[start - 1]
        y[start : start + length] = _halved(a[start : start + length - 1], part)
    return y


def _halved(a: Array, b: Array) -> Array:
    if len(b) <= SHORT or b[0].size >= WIDE:
        return stepwise(a, b)
    odd, even = a[::2], a[1::2]  # the couplings that lead to odd elements, and to even ones
    pairs = len(odd)
    y = np.empty_like(b)
    y[0] = b[0]
    y[1::2] = _halved(odd[1:] * even[: pairs - 1], odd * b[: 2 * pairs : 2] + b[1::2])
    y[2::2] = even * y[1:-1:2] + b[2::2]
    return y
