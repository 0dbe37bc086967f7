"""Fully connected layers, tables of rows, and the way from images to vectors."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from .. import ops
from ..ops.geometry import per_axis
from ..ops.operand import flag
from ..ops.random import Rng, generator
from ..tensor import Array
from .init import kaiming_normal, zeros
from .module import Module, parameter


class Linear(Module):
    """A fully connected layer: x w + b. (…, n_in) → (…, n_out).

    Args:
        n_in, n_out: numbers of inputs and outputs.
        bias: whether each output adds a number of its own; it starts at zero.
        init: of `nn.init`, what draws the weights.
        rng: a numpy Generator, which goes on, or a seed, for the weights.

    Attributes:
        w: (n_in, n_out) float32.
        b: (n_out,) float32, or None.

    Raises:
        DomainError: if a size is no int ≥ 1.
        DTypeError: if rng is no generator and no seed.

    >>> Linear(784, 10, rng=0)
    Linear(784 → 10)  w 784×10, b 10  7,850 parameters
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        bias: bool = True,
        *,
        init: Callable[..., Array] = kaiming_normal,
        rng: Rng,
    ) -> None:
        op = type(self).__name__
        n_in, n_out = sizes(op, n_in=n_in, n_out=n_out)
        self.w = parameter(init((n_in, n_out), rng=generator(rng, op)), "w")
        self.b = parameter(zeros((n_out,)), "b") if flag(op, "bias", bias) else None

    def forward(self, x: Any) -> Any:
        y = ops.matmul(x, self.w)
        return y if self.b is None else ops.add(y, self.b)

    def extra_repr(self) -> str:
        return " → ".join(map(str, self.w.shape))


class Embedding(Module):
    """A learned row for each number from 0: integers of any shape → (*shape, features).

    Args:
        count: how many rows there are.
        features: numbers in a row.
        rng: a numpy Generator, which goes on, or a seed, for the rows (standard normal).

    Attributes:
        w: (count, features) float32.

    Raises:
        DomainError: if a size is no int ≥ 1. Also those of `gradgraph.embedding`.

    >>> Embedding(100, 8, rng=0)(np.array([[1, 2, 3]])).shape
    (1, 3, 8)
    """

    def __init__(self, count: int, features: int, *, rng: Rng) -> None:
        shape = sizes("Embedding", count=count, features=features)
        self.w = parameter(generator(rng, "Embedding").normal(size=shape), "w")

    def forward(self, indices: Any) -> Any:
        return ops.embedding(indices, self.w)

    def extra_repr(self) -> str:
        return " → ".join(map(str, self.w.shape))


class Flatten(Module):
    """All axes but the first as one: (N, …) → (N, product of the others), in reading order.

    >>> Flatten()(np.zeros((2, 7, 7, 16))).shape
    (2, 784)
    """

    def forward(self, x: Any) -> Any:
        n, *rest = np.shape(x) if not hasattr(x, "shape") else x.shape
        return ops.reshape(x, n, prod(rest))


def sizes(op: str, **given: Any) -> tuple[int, ...]:
    """The sizes as ints ≥ 1, checked by name.

    >>> sizes("Linear", n_in=3, n_out=2)
    (3, 2)
    """
    return tuple(per_axis(op, name, value, 1)[0] for name, value in given.items())
