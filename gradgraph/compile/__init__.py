"""`compile`: a function is looked at once, and then repeated without looking at it again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import deepcopy
from functools import update_wrapper
from threading import RLock
from types import MethodType
from typing import Any

import numpy as np

from ..errors import DTypeError, GradError
from ..graph import Graph, ancestors
from ..kernels import settings
from ..mode import current
from ..node import Vertex, leaf, make
from ..op import Op
from ..spec import Spec
from ..sweep import reach
from .again import Replayed
from .capture import Capture, NotCompiledError, plain
from .fuse import fuse
from .passes import simplify
from .plan import Plan
from .program import program_of
from .tree import Tree, flatten

__all__ = ["Compiled", "compile"]

MOST = 64  # kinds of arguments for which plans are kept


class Compiled:
    """A function that is replayed; made by `compile`.

    Whatever else is asked of it (`f.parameters()` of a module) is asked of the function itself.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function, updated=())
        self._function = function
        self._lock = RLock()
        self._known: dict[Any, list[_Replay]] = {}
        self._count = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not plain(current()):
            return self._function(*args, **kwargs)
        tree, leaves = flatten((args, kwargs))
        with self._lock:
            replay = self._find(tree, leaves)
            if replay.plan is not None and not replay.meets(leaves):
                return replay.run(leaves)
        return self._function(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> tuple[Any, ...]:
        return compile, (self._function,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        return Compiled(deepcopy(self._function, memo))

    def plan(self, *args: Any, **kwargs: Any) -> Plan | None:
        """The plan for such arguments; None if a gradient leaves through one of them."""
        with self._lock:
            return self._find(*flatten((args, kwargs))).plan

    @property
    def graph(self) -> Graph:
        """The newest plan as a graph, to draw: `gg.draw(f.graph)`."""
        plans = [r.plan for known in self._known.values() for r in known if r.plan]
        if not plans:
            raise GradError("compile", "the function was not called yet", "Call it once.")
        return plans[-1].graph

    def _find(self, tree: Tree, leaves: list[Any]) -> _Replay:
        key = (tree, *map(_kind, leaves), _alike(leaves), current().record, *settings.chosen())
        for replay in self._known.get(key, ()):
            if replay.holds():
                return replay
        made = _Replay(self._function, tree, leaves)
        known = [r for r in self._known.pop(key, ()) if not r.same(made)]
        self._known[key] = [*known, made]
        self._count += 1
        if self._count == MOST + 1:
            print(
                f"gradgraph: {self!r} was captured {MOST} times, and keeps as many plans at most;"
                " a number that differs from call to call is better an array",
                file=sys.stderr,
            )
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._function, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            setattr(self._function, name, value)

    def __repr__(self) -> str:
        return f"compile({getattr(self._function, '__name__', self._function)})"


def _kind(x: Any) -> Any:
    """What has to be the same of an argument."""
    if isinstance(x, Vertex):
        data = x._data
        return type(x), data.shape, data.dtype, x.requires_grad
    return x.shape, x.dtype


def _alike(leaves: list[Any]) -> tuple[int, ...]:
    """Which tensors among the arguments are the same one."""
    places: dict[int, int] = {}
    return tuple(places.setdefault(id(x), i) for i, x in enumerate(leaves))


class _Replay:
    """One plan of a function, and what has to be as it was when it was made."""

    def __init__(self, function: Callable[..., Any], tree: Tree, leaves: list[Any]) -> None:
        tape = Capture()
        self.plan: Plan | None = None
        self._function, self._given = function, tree
        self._states: list[Vertex] = []  # parameters that results have gradients by
        made: dict[int, Vertex] = {}  # the same tensor has one stand-in, wherever it is passed
        for i, x in enumerate(leaves):
            if id(x) not in made:
                spec = Spec.of(getattr(x, "_data", x))
                made[id(x)] = tape.argument(i, spec, getattr(x, "requires_grad", False))
        stand_ins = [made[id(x)] for x in leaves]
        args, kwargs = tree.filled(stand_ins)
        try:
            with tape.running():
                out = function(*args, **kwargs)
                self._tree, results = flatten(out)
                _check(self._tree)
                self._prepare(tape, results, leaves)
        except NotCompiledError:
            pass
        self._asked = list(tape.asked.items())
        self._changed = tape.changed()

    def meets(self, leaves: list[Any]) -> bool:
        """Whether the function changes one of its arguments, which it knows by another name."""
        changed = self._changed
        return bool(changed) and any(x.__class__ is Op.vertex and x in changed for x in leaves)

    def _prepare(self, tape: Capture, results: list[Any], leaves: list[Any]) -> None:
        """Make the plan, and know how each result is handed out."""
        tensors = {v for v, i in tape.arguments.items() if isinstance(leaves[i], Vertex)}
        tensors |= {*tape.states.values(), *tape.entering.values()}
        results = [tape.result(x) if isinstance(x, Vertex) else x for x in results]
        learned = [v for v in results if isinstance(v, Vertex) and v.requires_grad]
        behind = set(reach(learned))
        if not behind.isdisjoint(tape.arguments):
            raise NotCompiledError
        states = [t for t, v in tape.states.items() if v in behind]
        if states and not tape.gradients:  # a sweep may come later
            if tape.effects:
                raise NotCompiledError
            self._states = states
        made: list[Vertex] = []
        self._hand_out: list[Callable[[list[Any], list[Any]], Any]] = []
        for x in results:
            self._hand_out.append(self._way_out(tape, x, made, tensors))
        self._tracked = [i for i, v in enumerate(made) if self._states and v.requires_grad]
        self._places = [
            i for i, v in enumerate(results) if any(v is made[k] for k in self._tracked)
        ]
        program = program_of(tape, made)
        simplify(program)
        fuse(program)
        self.plan = Plan(program)

    def _way_out(
        self, tape: Capture, x: Any, made: list[Vertex], tensors: set[Vertex]
    ) -> Callable[[list[Any], list[Any]], Any]:
        """How a result is made of the arguments and the plan's results."""
        if not isinstance(x, Vertex):
            return lambda *_: np.array(x)
        if x in tape.arguments:
            number = tape.arguments[x]
            return lambda leaves, _: leaves[number]
        if x.__class__ is not Op.traced:
            if not tape.knows(x):
                return lambda *_: x  # state is returned as itself
            return lambda *_: leaf(Op.vertex, np.array(x._data))
        place = len(made)
        made.append(x)
        if tensors.isdisjoint(ancestors([x], set())):
            return lambda _, arrays: arrays[place]
        return lambda _, arrays: _tensor(arrays[place])

    def _track(self, arrays: list[Any], leaves: list[Any]) -> None:
        """Make tensors of results that know the parameters they have gradients by."""
        given = [x if isinstance(x, Vertex) else np.array(x) for x in leaves]

        def again() -> list[Vertex]:
            args, kwargs = self._given.filled(given)
            _, results = flatten(self._function(*args, **kwargs))
            return [results[i] for i in self._places]

        found = [arrays[i] for i in self._tracked]
        read = (*self._states, *(x for x in given if isinstance(x, Vertex)))
        op = Replayed(again, read, len(found))
        data = tuple(found) if len(found) > 1 else found[0]
        seen = sum(t.version for t in read)
        vertex = make(Op.vertex, data, op, read, (), seen, True, current())
        parts = op._parts(vertex) if len(found) > 1 else (vertex,)
        for i, part in zip(self._tracked, parts, strict=True):
            arrays[i] = part

    def holds(self) -> bool:
        """Whether Python objects still say what they said."""
        return all(question() == answer for _, (question, answer) in self._asked)

    def same(self, other: _Replay) -> bool:
        """Whether another one holds for the same answers."""
        told = [[(key, answer) for key, (_, answer) in r._asked] for r in (self, other)]
        return told[0] == told[1]

    def run(self, leaves: list[Any]) -> Any:
        """The function's result for these arguments."""
        assert self.plan is not None
        arrays = self.plan.run([getattr(x, "_data", x) for x in leaves])
        if self._tracked:
            self._track(arrays, leaves)
        return self._tree.filled([way(leaves, arrays) for way in self._hand_out])


def _tensor(value: Any) -> Any:
    return value if isinstance(value, Vertex) else leaf(Op.vertex, value)


def _check(tree: Tree) -> None:
    """Raise if stand-ins for tensors may hide in a result."""
    for thing in tree.objects():
        raise GradError(
            "compile",
            f"the function returns a {type(thing).__name__}, in which nobody looks for tensors",
            "Return tensors, and tuples, lists and dicts of them.",
        )


def compile(f: Callable[..., Any]) -> Compiled:
    """f, looked at once for each kind of arguments, and then replayed without Python's toll.

    The first call runs f with stand-ins in place of values, as `trace` does, and notes down every
    op, the sweeps of `backward` and `grad` and the updates of optimisers included. What nothing
    depends on is left out, what is computed twice is computed once, ops in a row become one, and
    results that are not needed at the same time share memory. Later calls only run that plan. The
    results are those of f: the same bits, or those of the same sums in another order.

    It is looked at anew for other shapes, dtypes, numbers and strings among the arguments, for
    another mode of a module that it calls (`train`, `eval`), when a parameter was frozen, and in
    `no_grad`. Leaf tensors are state: the plan reads and changes the tensors themselves, so weights
    may be loaded or assigned in between. Generators go on from replay to replay. Arrays that f
    closes over, and everything else that Python computes in it (a print, a counter), stay as they
    were at the first call.

    Compile the function that calls `backward`, or that `grad` made: a plan keeps nothing for a
    later sweep. Where one comes all the same, by the parameters of f, it runs f once more, as it
    is. Where a gradient leaves f through an argument that requires one, or through parameters while
    f draws numbers or changes buffers, where another function is compiled or traced, and in `debug`
    and `profile`, f runs as it is, too. Threads take turns.

    Args:
        f: a function or a module; takes and returns tensors, arrays, and nested tuples, lists and
            dicts of them, beside anything else.

    Returns:
        A function like f. `f.plan(*args)` is the plan for such arguments, to print; `f.graph` the
        newest one, to draw.

    Raises:
        GradError: when called, if f asks for values (`if x > 0`, `float(x)`, `x.numpy()`), or for
            what would happen once only, as the step of a schedule.
        DTypeError: if f cannot be called.

    >>> import gradgraph as gg
    >>> from gradgraph import optim
    >>> w = gg.Tensor([3.0, -2.0], requires_grad=True)
    >>> sgd = optim.SGD([w], lr=0.1)
    >>> @gg.compile
    ... def step(x):
    ...     sgd.zero_grad()
    ...     loss = ((w - x) ** 2).sum()
    ...     loss.backward()
    ...     sgd.step()
    ...     return loss
    >>> [round(step(np.array([1.0, 1.0])).item(), 3) for _ in range(3)]
    [13.0, 8.32, 5.325]
    """
    if not callable(f):
        raise DTypeError("compile", f"{type(f).__name__} is no function", "Write gg.compile(f).")
    return Compiled(f)
