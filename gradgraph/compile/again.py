"""Results of a plan that require grad: a sweep runs the function itself once more, and goes on.

Plans of forward functions keep nothing for a sweep. Who calls `backward` on what they gave wants
gradients of the parameters that the function closes over: it is then called as it is, recorded,
and swept; the price is a second forward pass, as of a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..mode import enable_grad
from ..node import Vertex
from ..op import Op
from ..sweep import downstream, pull, push, reach


class Replayed(Op, abstract=True):
    """What a plan computed, as one op of the parameters that it read.

    Attributes:
        again: runs the function as it is; its results that require grad.
        states: the parameters, and the tensors that it was given.
    """

    variadic = True
    args = ("parameters",)
    vjps = jvps = (None,)
    name = "compiled"
    style = "other"

    def __init__(
        self, again: Callable[[], Sequence[Vertex]], states: Sequence[Vertex], outputs: int
    ) -> None:
        self.__dict__.update(again=again, states=tuple(states), outputs=outputs)
        self.__dict__.update(_values=(), _hash=id(self))

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Op.__hash__

    def label(self) -> str:
        return ""

    def _recorded(self) -> tuple[Sequence[Vertex], list[Vertex]]:
        with enable_grad():
            heads = self.__dict__["again"]()
        return heads, downstream(reach(heads), self.__dict__["states"])

    def pulls(
        self, g: Any, out: Any, args: Sequence[Any], saved: Sequence[Any], wanted: Sequence[bool]
    ) -> list[Any]:
        cotangents = g if isinstance(g, tuple) else (g,)
        heads, order = self._recorded()
        record = any(isinstance(c, Vertex) for c in cotangents)
        grads = pull(order, list(zip(heads, cotangents, strict=True)), record)
        states = self.__dict__["states"]
        return [grads.get(t) if want else None for t, want in zip(states, wanted, strict=True)]

    def pushes(
        self, tangents: Sequence[Any], out: Any, args: Sequence[Any], saved: Sequence[Any]
    ) -> list[Any]:
        heads, order = self._recorded()
        given = zip(self.__dict__["states"], tangents, strict=True)
        seeds = [(s, t) for s, t in given if t is not None]
        found = push(downstream(order, [s for s, _ in seeds]), seeds, any(
            isinstance(t, Vertex) for _, t in seeds
        ))  # fmt: skip
        results = tuple(found.get(h, h._data * 0) for h in heads)
        return [results[0] if len(results) == 1 else results]
