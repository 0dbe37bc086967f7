"""What a function does, noted down once, with stand-ins for every value that may differ.

The function runs as in `gg.trace`: nothing is computed from its arguments. State (leaf tensors that
were there before, and their `.grad`) is unknown, too, since it is another one the next time. Where
it is changed, whoever reads it afterwards gets the new stand-in. What is found in this way:

    arguments, states and their gradients     inputs of the graph
    arrays that the function made or held     constants
    drawn numbers, changes of state           effects, see effect.py

What Python decided on the way is looked at again before each replay: whether modules were in
training mode, parameters frozen, gradients there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from ..errors import GradError, ShapeError
from ..mode import Mode, current, no_grad, switch
from ..node import Vertex, leaf, make
from ..op import Op, Part
from ..ops import broadcast_to, cast
from ..record import foresee
from ..spec import Spec
from ..sweep import pull
from ..trace import Traced, stand_for
from .effect import Change, Draw, Effect, Host, Recipe, store


class NotCompiledError(Exception):
    """The function has to run as it is: a gradient leaves it through an argument."""


class Capture:
    """The tape that ops, sweeps, tensors and optimisers find in the mode in force.

    Attributes:
        arguments: stand-ins of the function's arguments, with their numbers.
        states: stand-in of each leaf at the beginning.
        entering: stand-in of the `.grad` that a leaf has at the beginning, where it is read.
        effects: vertices of what is done, in order.
        gradients: what each leaf's `.grad` is at the end, where it was set.
        asked: what was asked of Python objects: (function, answer).
    """

    def __init__(self) -> None:
        self.arguments: dict[Vertex, int] = {}
        self.states: dict[Vertex, Vertex] = {}
        self.entering: dict[Vertex, Vertex] = {}
        self.effects: list[Vertex] = []
        self.gradients: dict[Vertex, Any] = {}
        self.asked: dict[Any, tuple[Callable[[], Any], Any]] = {}
        self._now: dict[Vertex, Vertex] = {}  # the value of a leaf at this point
        self._touched: set[Vertex] = set()  # leaves that changed, and were not read since
        self._made_here: set[Vertex] = set()  # leaves of the function's own, which it changed
        self._owner: dict[Vertex, Vertex] = {}  # whose value a stand-in is
        self._start = leaf(Vertex, None).birth

    def running(self) -> switch:
        """Context manager in which ops are noted down."""
        return switch(lambda mode: replace(mode, tape=self, debug=None))

    def argument(self, number: int, spec: Spec, requires_grad: bool) -> Vertex:
        """A stand-in for an argument, by its number."""
        stand = stand_for(spec)
        stand.requires_grad = requires_grad
        self.arguments[stand] = number
        return stand  # type: ignore[no-any-return]

    # What ops ask

    def apply(self, op: Any, args: Sequence[Any]) -> Any:
        """The op on stand-ins; as it is, if everything that it is given was made here."""
        given = [self._at_present(a) if isinstance(a, Vertex) else a for a in args]
        mode = replace(current(), tape=None, debug=None)
        if any(a.__class__ is Traced for a in given):
            return foresee(op, given, mode)
        with switch(lambda _: mode):
            return op(*given)

    def knows(self, t: Vertex) -> bool:
        """Whether the values of a tensor are the same each time: it was made here, of constants."""
        return t.__class__ is not Traced and t.birth > self._start and t not in self._now

    def _at_present(self, t: Vertex) -> Vertex:
        """What stands for a tensor at this point."""
        if t.__class__ is Traced or self.knows(t):
            return t
        if t.op is not None and t.requires_grad and current().record:
            raise GradError(
                "compile",
                f"the function uses {t.name or 'a tensor'} ({Spec.of(t._data)}), which {t.op.name}"
                " computed outside of it, so gradients cannot reach what it came from",
                "Compute it inside of the function, pass it as an argument, or use .detach().",
            )
        if t in self._touched:
            self._touched.remove(t)
            spec = Spec.of(t._data)
            self._now[t] = self.draw(lambda: np.array(t._data), spec)
            self._owner[self._now[t]] = t
        elif t not in self._now:
            self.states[t] = self._now[t] = stand = self._stand(Spec.of(t._data), t)
            self._owner[stand] = t
            self.ask((id(t), "requires_grad"), lambda: t.requires_grad)
        return self._now[t]

    def _stand(self, spec: Spec, t: Vertex) -> Any:
        stand = leaf(Traced, spec.stand_in(), t.requires_grad and t.op is None)
        stand.name = t.name
        return stand

    def ask(self, key: Any, question: Callable[[], Any]) -> None:
        """Look at the answer now, and before each replay."""
        self.asked.setdefault(key, (question, question()))

    def result(self, t: Vertex) -> Vertex:
        """What a tensor that is returned stands for: what a leaf made here has become."""
        return self._now[t] if t in self._made_here else t

    def changed(self) -> set[Vertex]:
        """The leaves that the function changes."""
        effects: list[Any] = [v.op for v in self.effects if isinstance(v.op, Change)]
        return {t for op in effects for t in (op.target, *op.slots)} | set(self.gradients)

    def uses(self, module: Any) -> None:
        """A module is called: in which mode, and with which tensors, may decide what it does."""
        self.ask((id(module), "training"), lambda: module.training)
        own = [(k, v) for k, v in vars(module).items() if isinstance(v, Vertex)]
        self.ask((id(module), "state"), lambda: all(vars(module).get(k) is v for k, v in own))

    def refuse(self, what: str, t: Any = None) -> NoReturn:
        """Raise: what was asked for is not known while a function is compiled."""
        which = "this" if t is None else f"{t.name or 'this tensor'} ({Spec.of(t._data)})"
        raise GradError(
            what,
            f"{which} is not known while gg.compile looks at a function once, to repeat it for"
            " other values"
            if t is not None
            else "it would happen once, while gg.compile looks at a function to repeat it",
            "Choose by value with gg.where instead of if, and read values outside."
            if t is not None
            else "Do it outside of the compiled function.",
        )

    # What changes

    def assign(self, t: Any, value: Any) -> None:
        """`t.assign(value)`."""
        if t.__class__ is Traced:
            self.refuse("assign", t)
        if t.op is not None:
            raise GradError("assign", "only leaves hold state", "Assign to a leaf.")
        value = value if isinstance(value, Vertex) else np.array(value)
        spec = Spec.of(t._data)
        given = Spec.of(getattr(value, "_data", value))
        if given.shape not in (spec.shape, ()) or not np.can_cast(
            given.dtype, spec.dtype, "same_kind"
        ):
            raise ShapeError(
                "assign",
                f"the value is {given}, but {t.name or 'the tensor'} is {spec}",
                "Assign a value of the same shape and kind.",
            )
        value = self._at_present(value) if isinstance(value, Vertex) else leaf(Op.vertex, value)
        if self.knows(t) or t in self._made_here:  # nobody else sees it
            self._made_here.add(t)
            self._now[t] = broadcast_to(cast(value, spec.dtype), spec.shape)
            return
        self.change(t, "assign", store, value)

    def change(
        self,
        t: Any,
        name: str,
        run: Callable[..., None],
        *values: Any,
        slots: Sequence[Any] = (),
        recipe: Recipe | None = None,
    ) -> None:
        """Let `run(array of t, *arrays)` change a leaf, and other ones, the slots."""
        if self.knows(t) or t in self._made_here:
            raise GradError(
                name,
                f"{t.name or 'a tensor'} was made inside of the function that is compiled, so"
                " every call would begin with another one",
                "Make what changes outside of it.",
            )
        before = self._at_present(t)
        spec = Spec.of(t._data)
        op = Change(name, target=t, run=run, slots=tuple(slots), recipe=recipe)
        made = self._effect(op, (before, *values), spec.stand_in())
        made.requires_grad, made.retains, made.name = t.requires_grad, True, t.name
        self._now[t] = made
        self._owner[made] = t
        self._touched.update(slots)

    def draw(self, run: Callable[[], Any], spec: Spec) -> Any:
        """Numbers that are drawn anew each time."""
        return self._effect(Draw("draw", run=run), (), spec.stand_in())

    def call(
        self, name: str, run: Callable[..., Any], values: Sequence[Any], specs: Sequence[Spec]
    ) -> list[Any]:
        """The results of a function of arrays that is none of ours, of these shapes."""
        op = Host(name, run=run, outputs=len(specs))
        given = tuple(map(self._at_present, values))
        whole = self._effect(op, given, tuple(s.stand_in() for s in specs))
        return [Part.of(i)(whole) for i in range(len(specs))]

    def _effect(self, op: Effect, inputs: tuple[Any, ...], data: Any) -> Any:
        mode = replace(current(), tape=None, debug=None)
        vertex = make(Traced, data, op, inputs, (), sum(x.version for x in inputs), False, mode)
        self.effects.append(vertex)
        return vertex

    # Gradients

    def backward(self, order: Sequence[Vertex], t: Vertex, seed: Any, create_graph: bool) -> None:
        """`t.backward(seed)`: the sweep is noted down, and its results become `.grad`."""
        seed = seed if isinstance(seed, Vertex) else leaf(Op.vertex, seed)
        if create_graph:
            grads = pull(order, [(t, seed)], True)
        else:
            with no_grad():
                grads = pull(order, [(t, seed)], True)
        for v, g in grads.items():
            if g is None:
                continue
            if v in self.arguments:
                raise NotCompiledError
            owner = self._owner.get(v, v)
            held = self.gradient(owner)
            g = g if isinstance(g, Vertex) else leaf(Op.vertex, g)
            self.set_gradient(owner, g if held is None else held + g)

    def gradient(self, t: Any) -> Any:
        """`t.grad` at this point."""
        if t.__class__ is Traced or self.knows(t):
            return t._grad
        if t not in self.gradients:
            self.ask((id(t), "grad"), lambda: t._grad is None)
            if t._grad is None:
                return None
            if t not in self.entering:
                self.entering[t] = self._stand(Spec.of(t._grad._data), t._grad)
            return self.entering[t]
        return self.gradients[t]

    def set_gradient(self, t: Any, value: Any) -> None:
        """`t.grad = value`."""
        if t.__class__ is Traced or self.knows(t):
            t._grad = value
        else:
            self.gradients[t] = None if value is None else self._at_present(value)


def plain(mode: Mode) -> bool:
    """Whether a function may be compiled in this mode: nobody looks at what it does."""
    return not (mode.tape or mode.debug or mode.capture)
