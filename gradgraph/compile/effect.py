"""What a compiled function does beside computing: it changes state, and it draws numbers.

Each is a vertex of the captured graph, at its place in the order of things, with an op that holds
what is to be done. No rule belongs to them: no gradient goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..node import Array, Vertex
from ..op import Op


class Effect(Op, abstract=True):
    """Something that is done when its turn comes; equal to nothing but itself."""

    constant = ("values",)
    args = ("values",)
    variadic = True
    vjps = jvps = (None,)
    forward = None
    style = "other"

    def __init__(self, name: str, **held: Any) -> None:
        self.__dict__.update(held, name=name, _values=(), _hash=id(self))

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Op.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def label(self) -> str:
        return ""

    def flops(self, *specs: Any) -> int:
        return 0


@dataclass(frozen=True)
class Recipe:
    """What an optimiser does to a leaf, for those who do it without its Python.

    Attributes:
        kind: its name.
        owner: the optimiser.
        slots: leaves that it changes as well.
        numbers: its settings now.
    """

    kind: str
    owner: Any
    slots: tuple[Any, ...]
    numbers: Callable[[], Sequence[float]]


class Change(Effect, abstract=True):
    """A leaf gets another value: `run(array of the leaf, *arrays)` writes it.

    The first input is the leaf as it was: who reads that comes before.

    Attributes:
        target: the leaf.
        slots: other leaves that `run` changes.
        recipe: what it does, if it is known.
    """

    target: Vertex
    run: Callable[..., None]
    slots: tuple[Vertex, ...]
    recipe: Recipe | None


class Draw(Effect, abstract=True):
    """Numbers that come anew each time, drawn or read: `run()` gives them."""

    run: Callable[[], Array]


class Host(Effect, abstract=True):
    """A function of arrays that gives several arrays, computed as it is."""

    run: Callable[..., Sequence[Array]]


def store(to: Array, value: Any) -> None:
    """What `assign` does."""
    np.copyto(to, value, casting="same_kind")
