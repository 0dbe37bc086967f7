"""A second automatic differentiation, for scalars only and independent of the engine.

Running an op's `reference` on arrays of `Number` gives its scalar graph; `pull` and `push`
differentiate that graph. It shares no code with the sweeps or the rules that it checks.
"""

from __future__ import annotations

import math

import numpy as np


class Number:
    """A float that remembers its parents and the slope with respect to each."""

    __slots__ = ("parents", "v")

    def __init__(self, v, parents=()):
        self.v = float(v)
        self.parents = parents

    def __float__(self):
        return self.v

    def __add__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented  # numpy goes through its elements
        if isinstance(other, Number):
            return Number(self.v + other.v, ((self, 1.0), (other, 1.0)))
        return Number(self.v + other, ((self, 1.0),))

    __radd__ = __add__

    def __mul__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        if isinstance(other, Number):
            return Number(self.v * other.v, ((self, other.v), (other, self.v)))
        return Number(self.v * other, ((self, float(other)),))

    __rmul__ = __mul__

    def __neg__(self):
        return Number(-self.v, ((self, -1.0),))

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        if isinstance(other, Number):
            q = self.v / other.v
            return Number(q, ((self, 1 / other.v), (other, -q / other.v)))
        return Number(self.v / other, ((self, 1 / other),))

    def __rtruediv__(self, other):
        return Number(other / self.v, ((self, -other / self.v**2),))

    def __pow__(self, other):
        y = float(other)
        slope = y * self.v ** (y - 1) if y else 0.0
        parents = ((self, slope),)
        if isinstance(other, Number):
            parents += ((other, self.v**y * math.log(self.v)),)
        return Number(self.v**y, parents)

    def exp(self):
        e = math.exp(self.v)
        return Number(e, ((self, e),))

    def log(self):
        return Number(math.log(self.v), ((self, 1 / self.v),))

    def sqrt(self):
        r = math.sqrt(self.v)
        return Number(r, ((self, 0.5 / r),))

    def sin(self):
        return Number(math.sin(self.v), ((self, math.cos(self.v)),))

    def cos(self):
        return Number(math.cos(self.v), ((self, -math.sin(self.v)),))

    def tanh(self):
        return Number(math.tanh(self.v), ((self, 1 / math.cosh(self.v) ** 2),))


def numbers(array):
    """An array of leaves with the values of `array`."""
    out = np.empty(np.shape(array), dtype=object)
    for at in np.ndindex(out.shape):
        out[at] = Number(array[at])
    return out


def values(array):
    """The floats in an array of Numbers and floats."""
    array = np.asarray(array, dtype=object)
    return np.array([float(v) for v in array.ravel()], dtype=float).reshape(array.shape)


def _order(heads):
    """Every Number below the heads, parents before children."""
    state, order, stack = {}, [], list(heads)
    while stack:
        n = stack[-1]
        if state.get(id(n)) == 2:
            stack.pop()
        elif state.get(id(n)) == 1:
            state[id(n)] = 2
            order.append(n)
            stack.pop()
        else:
            state[id(n)] = 1
            stack.extend(p for p, _ in n.parents if id(p) not in state)
    return order


def _heads(output):
    return [n for n in np.asarray(output, dtype=object).ravel() if isinstance(n, Number)]


def pull(output, cotangent, leaves):
    """The cotangent of each array of leaves."""
    output = np.asarray(output, dtype=object)
    grads = {}
    for n, c in zip(output.ravel(), np.ravel(cotangent), strict=True):
        if isinstance(n, Number):
            grads[id(n)] = grads.get(id(n), 0.0) + c
    for n in reversed(_order(_heads(output))):
        g = grads.get(id(n), 0.0)
        for parent, slope in n.parents:
            grads[id(parent)] = grads.get(id(parent), 0.0) + g * slope
    return [np.array([grads.get(id(n), 0.0) for n in a.ravel()]).reshape(a.shape) for a in leaves]


def push(output, tangents, leaves):
    """The tangent of the output."""
    output = np.asarray(output, dtype=object)
    known = {}
    for array, t in zip(leaves, tangents, strict=True):
        for n, v in zip(array.ravel(), np.ravel(t), strict=True):
            known[id(n)] = v
    for n in _order(_heads(output)):
        if id(n) not in known:
            known[id(n)] = sum(known[id(p)] * slope for p, slope in n.parents)
    flat = [known[id(n)] if isinstance(n, Number) else 0.0 for n in output.ravel()]
    return np.array(flat, dtype=float).reshape(output.shape)
