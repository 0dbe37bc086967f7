"""A second automatic differentiation, for scalars only, that shares no code with the engine.

Run on arrays of `Number`, the `reference` of an op unfolds into its scalar graph. Differentiating
that graph gives JVP and VJP exact to rounding, with no differences in it. Beside every result goes
the sum of the absolute values of its terms: what rounding errors are measured by.
"""

from __future__ import annotations

import math
from itertools import count
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_birth = count().__next__


class Number:
    """A float that remembers its parents and its slope with respect to each."""

    __slots__ = ("birth", "parents", "v")

    def __init__(self, v: float, parents: tuple[tuple[Number, float], ...] = ()) -> None:
        self.v = float(v)
        self.parents = parents
        self.birth = _birth()

    def __float__(self) -> float:
        return self.v

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Number):
            return Number(self.v + other.v, ((self, 1.0), (other, 1.0)))
        if isinstance(other, np.ndarray):
            return NotImplemented  # numpy goes through its elements
        return Number(self.v + other, ((self, 1.0),))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Number):
            return Number(self.v * other.v, ((self, other.v), (other, self.v)))
        if isinstance(other, np.ndarray):
            return NotImplemented
        return Number(self.v * other, ((self, float(other)),))

    __rmul__ = __mul__

    def __neg__(self) -> Number:
        return Number(-self.v, ((self, -1.0),))

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, Number):
            q = self.v / other.v
            return Number(q, ((self, 1 / other.v), (other, -q / other.v)))
        if isinstance(other, np.ndarray):
            return NotImplemented
        return Number(self.v / other, ((self, 1 / other),))

    def __rtruediv__(self, other: Any) -> Any:
        return Number(other / self.v, ((self, -other / self.v**2),))

    def __pow__(self, other: Any) -> Any:
        y = float(other)
        slope = y * self.v ** (y - 1) if y else 0.0
        parents: tuple[tuple[Number, float], ...] = ((self, slope),)
        if isinstance(other, Number):
            parents += ((other, self.v**y * math.log(self.v)),)
        return Number(self.v**y, parents)

    def __rpow__(self, other: Any) -> Any:
        base = float(other)
        v = base**self.v
        return Number(v, ((self, v * math.log(base) if base else 0.0),))

    def exp(self) -> Number:
        e = math.exp(self.v)
        return Number(e, ((self, e),))

    def log(self) -> Number:
        return Number(math.log(self.v), ((self, 1 / self.v),))

    def sqrt(self) -> Number:
        r = math.sqrt(self.v)
        return Number(r, ((self, 0.5 / r),))

    def sin(self) -> Number:
        return Number(math.sin(self.v), ((self, math.cos(self.v)),))

    def cos(self) -> Number:
        return Number(math.cos(self.v), ((self, -math.sin(self.v)),))

    def tanh(self) -> Number:
        return Number(math.tanh(self.v), ((self, 1 / math.cosh(self.v) ** 2),))

    def arctan(self) -> Number:
        return Number(math.atan(self.v), ((self, 1 / (1 + self.v * self.v)),))

    def erf(self) -> Number:
        slope = 2 / math.sqrt(math.pi) * math.exp(-self.v * self.v)
        return Number(math.erf(self.v), ((self, slope),))


class Exact(NamedTuple):
    """A result, and for each of its elements the sum of the absolute values of its terms."""

    values: Any
    scales: Any


def numbers(array: Any) -> Array:
    """An array of leaves with the values of `array`.

    >>> x = numbers([2.0, 3.0])
    >>> graph = Scalars(np.asarray(x[0] * x[1]), [x])
    >>> graph.pull(np.asarray(1.0)).values
    [array([3., 2.])]
    """
    array = np.asarray(array)
    out = np.empty(array.shape, dtype=object)
    for at in np.ndindex(out.shape):
        out[at] = Number(array[at])
    return out


def values(array: Any) -> Array:
    """The floats in an array of Numbers and floats."""
    array = np.asarray(array, dtype=object)
    return np.array([float(v) for v in array.ravel()], dtype=float).reshape(array.shape)


class Scalars:
    """The scalar graph between arrays of leaves and an array of results.

    Args:
        output: array of Numbers and floats.
        leaves: arrays of Numbers that it was computed from.
    """

    def __init__(self, output: Any, leaves: list[Array]) -> None:
        self.output = np.asarray(output, dtype=object)
        self.leaves = leaves
        found: dict[int, Number] = {}
        stack = [n for n in self.output.ravel() if isinstance(n, Number)]
        while stack:
            n = stack.pop()
            if n.birth not in found:
                found[n.birth] = n
                stack.extend(p for p, _ in n.parents if p.birth not in found)
        self.order = [found[birth] for birth in sorted(found)]

    def __len__(self) -> int:
        return len(self.order)

    def pull(self, cotangent: Any) -> Exact:
        """The cotangent of each array of leaves."""
        grads: dict[int, float] = {}
        sizes: dict[int, float] = {}
        for n, c in zip(self.output.ravel(), np.ravel(cotangent), strict=True):
            if isinstance(n, Number):
                grads[n.birth] = grads.get(n.birth, 0.0) + c
                sizes[n.birth] = sizes.get(n.birth, 0.0) + abs(c)
        for n in reversed(self.order):
            g, size = grads.get(n.birth, 0.0), sizes.get(n.birth, 0.0)
            for parent, slope in n.parents:
                birth = parent.birth
                grads[birth] = grads.get(birth, 0.0) + g * slope
                sizes[birth] = sizes.get(birth, 0.0) + size * abs(slope)
        return Exact([self._read(grads, a) for a in self.leaves], self._sizes(sizes))

    def _sizes(self, sizes: dict[int, float]) -> list[Array]:
        return [self._read(sizes, a) for a in self.leaves]

    def _read(self, held: dict[int, float], array: Array) -> Array:
        flat = [held.get(n.birth, 0.0) if isinstance(n, Number) else 0.0 for n in array.ravel()]
        return np.array(flat, dtype=float).reshape(array.shape)

    def push(self, tangents: list[Any]) -> Exact:
        """The tangent of the output."""
        known: dict[int, float] = {}
        sizes: dict[int, float] = {}
        for array, t in zip(self.leaves, tangents, strict=True):
            for n, v in zip(array.ravel(), np.ravel(t), strict=True):
                known[n.birth], sizes[n.birth] = v, abs(v)
        for n in self.order:
            if n.birth not in known:
                known[n.birth] = sum(known[p.birth] * slope for p, slope in n.parents)
                sizes[n.birth] = sum(sizes[p.birth] * abs(slope) for p, slope in n.parents)
        return Exact(self._read(known, self.output), self._read(sizes, self.output))

    def condition(self) -> Array:
        """|y| + Σ |∂y/∂x| |x| along all paths: what rounding in the forward pass is measured by."""
        xs = [np.abs(values(a)) for a in self.leaves]
        return np.asarray(np.abs(values(self.output)) + self.push(xs).scales)

    def rounding(self) -> Array:
        """By how many eps of 1 the result itself may be off: every number on the way is rounded.

        >>> x = numbers([1e-6])
        >>> y = Scalars(np.asarray([x[0] - x[0].exp().log()]), [x])
        >>> float(y.condition()[0]) < 1e-5 < float(y.rounding()[0])
        True
        """
        found: dict[int, float] = {}
        for n in self.order:
            found[n.birth] = abs(n.v) + sum(found[p.birth] * abs(slope) for p, slope in n.parents)
        return self._read(found, self.output)
