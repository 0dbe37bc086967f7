"""An entry of `ops.py`: a function, the numpy expression of it, and of its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradgraph as gg

Rng = np.random.Generator


@dataclass(frozen=True)
class Entry:
    """One line of the table.

    Attributes:
        name: our function, then what is special.
        make: arguments from a generator; floats are differentiated by.
        ours, numpy: functions of the arguments.
        gradient: numpy expression of the cotangents, from (cotangent, result, *arguments).
        by: how many of the float arguments are differentiated by; None for all.
        same: whether both give the same numbers.
    """

    name: str
    make: Callable[[Rng], tuple[Any, ...]]
    ours: Callable[..., Any]
    numpy: Callable[..., Any]
    gradient: Callable[..., Any] | None = None
    by: int | None = None
    same: bool = True

    @property
    def function(self) -> str:
        return self.name.partition(" ")[0]


ENTRIES: list[Entry] = []


def entry(
    name: str, make: Any, numpy: Any, gradient: Any = None, ours: Any = None, **how: Any
) -> None:
    """Add an entry; without `ours` it is our function of that name, applied to the arguments."""
    function = name.partition(" ")[0]
    ours = ours or (lambda *xs: getattr(gg, function)(*xs))
    ENTRIES.append(Entry(name, make, ours, numpy, gradient, **how))


def normal(*shapes: tuple[int, ...]) -> Any:
    return lambda rng: tuple(rng.normal(size=s) for s in shapes)


def positive(*shapes: tuple[int, ...]) -> Any:
    return lambda rng: tuple(rng.uniform(0.5, 1.5, s) for s in shapes)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def lse(x: Any) -> Any:
    top = x.max(-1, keepdims=True)
    return (top + np.log(np.exp(x - top).sum(-1, keepdims=True)))[:, 0]


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


ONE, TWO = ((1000, 1000),), ((1000, 1000), (1000, 1000))
