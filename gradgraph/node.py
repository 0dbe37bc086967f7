"""The vertex of the graph: an array that remembers how it was made.

Edges point from a vertex to its inputs and nowhere else: no tape and no back-pointers, so there
are no reference cycles, and a graph is freed the moment its last vertex is dropped.
"""

from __future__ import annotations

import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from .mode import Mode, current

if TYPE_CHECKING:
    from .op import Op

Array = np.ndarray[Any, np.dtype[Any]]

_birth = count().__next__
_new = object.__new__


class Vertex:
    """One array of the graph, and its past.

    Attributes:
        op: the Op that made it; None for a leaf.
        inputs: the vertices that the op was applied to.
        saved: integer and boolean arrays that the op's rules want back.
        requires_grad: whether a leaf that wants a gradient can be reached from here.
        name: the user's name for it, or None.
        version: how often `assign` has changed it (leaves only).
        birth: its place in the order of creation; inputs are always older.
        retains: whether a sweep hands out its cotangent although it is no leaf.
    """

    __slots__ = (
        "__weakref__",
        "_data",  # ndarray; a Python scalar for a weak constant; a tuple for several outputs
        "_grad",
        "_mode",
        "_seen",  # sum of the inputs' versions when this was made
        "birth",
        "inputs",
        "name",
        "op",
        "requires_grad",
        "retains",
        "saved",
        "version",
    )

    _data: Any
    _grad: Any
    _mode: Mode
    _seen: int
    birth: int
    inputs: tuple[Vertex, ...]
    name: str | None
    op: Op | None
    requires_grad: bool
    retains: bool
    saved: tuple[Array, ...]
    version: int

    @property
    def scope(self) -> str:
        """Dotted path of the scopes that were open when it was made."""
        return self._mode.scope

    @property
    def line(self) -> str:
        """`file.py:41` where the user applied its op inside `gradgraph.debug`; empty elsewhere.

        A vertex of a backward pass has the line of the forward vertex that it was made for.
        """
        return self._mode.line

    @property
    def origin(self) -> tuple[Vertex, str] | None:
        """For a vertex of a backward pass: the forward vertex and the rule it was made for."""
        return self._mode.origin

    def own(self) -> Array:
        """The buffer of a leaf, for writing; counts as one change of its state.

        The leaf's own array if nobody else can see it (no view, no graph), else a fresh copy:
        what was computed or handed out from the old value never changes.
        """
        if tape := current().tape:
            tape.refuse("own", self)
        data = self._data
        if not alone(self) or not data.flags.writeable:
            data = self._data = np.array(data)
        self.version += 1
        return data  # type: ignore[no-any-return]


def alone(vertex: Vertex) -> bool:
    """Whether nobody sees the vertex's buffer but the vertex and one variable of the caller."""
    return vertex._data.base is None and _holders(vertex) <= _ALONE


def _holders(vertex: Vertex) -> int:
    return sys.getrefcount(vertex._data)


def make(
    kind: type[Vertex],
    data: Any,
    op: Any,
    inputs: tuple[Vertex, ...],
    saved: tuple[Any, ...],
    seen: int,
    requires_grad: bool,
    mode: Mode,
) -> Any:
    """A new vertex of class `kind`."""
    v: Any = _new(kind)
    v._data = data
    v.op = op
    v.inputs = inputs
    v.saved = saved
    v._seen = seen
    v.requires_grad = requires_grad
    v._mode = mode
    v._grad = None
    v.name = None
    v.version = 0
    v.retains = False
    v.birth = _birth()
    return v


def leaf(kind: type[Vertex], data: Any, requires_grad: bool = False) -> Any:
    """A vertex with no past."""
    return make(kind, data, None, (), (), 0, requires_grad, current())


def _count_when_alone() -> int:
    probe = leaf(Vertex, np.empty(1))
    data = probe._data  # the caller's variable
    count = _holders(probe)
    del data
    return count


# What the interpreter counts for a buffer that one vertex and one variable hold.
_ALONE = _count_when_alone() if hasattr(sys, "getrefcount") else -1
