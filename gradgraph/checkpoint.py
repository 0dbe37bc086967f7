"""Time for memory: a function whose inner graph is dropped, and made again when a sweep needs it.

The function runs once, as usual. What it recorded becomes a program: a list of steps without
values. The one vertex that stands for it holds its operands and results only. A sweep runs the
steps again, and never the function: nothing that it does besides happens twice, and what it drew
at random (the masks of `dropout`) is a constant of the program and stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np

from . import ops
from .draw import Draw
from .errors import DTypeError, GradError
from .graph import Step
from .mode import current, enable_grad, switch
from .node import Vertex, leaf, make
from .op import Op, Part, Saved
from .ops.elementwise import ALIAS
from .record import compute, foreseen
from .spec import Spec, spec_of
from .sweep import downstream, pull, push, reach

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """What was recorded between some vertices, without the values in between.

    The first slots hold the inputs, the next ones the constants.
    """

    constants: tuple[Any, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    flops: int = 0  # of one run

    @staticmethod
    def of(heads: Sequence[Vertex], start: int) -> tuple[Program, tuple[Vertex, ...], bool]:
        """The program that made the heads after the moment `start`, and its inputs.

        Inputs are the vertices that were there before, and tracked leaves. The last result is
        whether all of them still have the values that were used.
        """
        order = _made(heads, start)
        outside = [v for v in order if v.birth < start or (v.op is None and v.requires_grad)]
        fixed = [v for v in order if v.op is None and v not in set(outside)]
        inner = [v for v in order if v.op is not None and v.birth > start]
        slot = {v: i for i, v in enumerate([*outside, *fixed, *inner])}
        steps = [
            Step(v.op, tuple(slot[x] for x in v.inputs), slot[v], v.scope, None)
            for v in inner
            if v.op is not None
        ]
        flops = (
            s.op.flops(spec_of(v._data), *(spec_of(x._data) for x in v.inputs))
            for s, v in zip(steps, inner, strict=True)
            if not isinstance(s.op, Part | Saved)
        )
        program = Program(
            constants=tuple(v._data for v in fixed),
            steps=tuple(steps),
            outputs=tuple(slot[h] for h in heads),
            flops=sum(flops),
        )
        fresh = all(v._seen == _versions(v.inputs) for v in inner)
        return program, tuple(outside), fresh

    def run(self, inputs: Sequence[Vertex]) -> tuple[Vertex, ...]:
        """The outputs for these inputs; recorded where an input is tracked."""
        constants = [leaf(Op.vertex, c) for c in self.constants]
        slots: dict[int, Any] = dict(enumerate([*inputs, *constants]))
        last = {slot: step for step in self.steps for slot in step.inputs}
        for scope, steps in groupby(self.steps, attrgetter("scope")):
            with switch(lambda mode, scope=scope: replace(mode, scope=scope)):  # type: ignore[misc]
                for step in steps:
                    slots[step.output] = _applied(step.op, tuple(slots[i] for i in step.inputs))
                    for i in set(step.inputs):
                        if last[i] is step and i not in self.outputs:
                            del slots[i]
        return tuple(slots[i] for i in self.outputs)


def _made(heads: Iterable[Vertex], start: int) -> list[Vertex]:
    """All that the heads were made from since `start`, and what that began from; oldest first."""
    found = set()
    stack = list(heads)
    while stack:
        v = stack.pop()
        if v not in found:
            found.add(v)
            if v.birth > start:
                stack.extend(v.inputs)
    return sorted(found, key=attrgetter("birth"))


def _applied(op: Op, inputs: tuple[Vertex, ...]) -> Any:
    """The vertex of an op; it keeps what the op saved, even if it is not recorded."""
    if any(x.__class__ is Op.traced for x in inputs) and not isinstance(op, Saved):
        return foreseen(op, inputs, current())
    data, saved = (
        (inputs[0].saved[op.index], ())
        if isinstance(op, Saved)
        else compute(op, [x._data for x in inputs])
    )
    rules = [op.vjps[min(i, len(op.vjps) - 1)] for i in range(len(inputs))]
    tracked = any(x.requires_grad and r is not None for x, r in zip(inputs, rules, strict=True))
    mode = current()
    if op.__class__ is Saved and inputs[0].__class__ is Op.traced:
        return make(inputs[0].__class__, data, op, inputs, (), _versions(inputs), False, mode)
    if not (tracked or mode.capture):
        return make(Op.vertex, data, None, (), saved, 0, False, mode)
    return make(Op.vertex, data, op, inputs, saved, _versions(inputs), tracked, mode)


def _versions(vertices: Iterable[Vertex]) -> int:
    return sum(v.version for v in vertices)


class Checkpoint(Op):
    """A program as one op, whose rules run it again."""

    program: Program
    title: str = "checkpoint"
    batched = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.__dict__["outputs"] = len(self.program.outputs)

    def forward(self, *xs: Any) -> Any:
        return _one_or_all([v._data for v in self.program.run([leaf(Op.vertex, x) for x in xs])])

    def pulls(
        self, g: Any, out: Any, args: Sequence[Any], saved: Sequence[Any], wanted: Sequence[bool]
    ) -> list[Any]:
        cotangents = g if isinstance(g, tuple) else (g,)
        first = out[0] if isinstance(out, tuple) else out
        rows = cotangents[0].shape[0] if cotangents[0].ndim > first.ndim else 0
        starts, heads, order = self._again(args, wanted)
        seeds = list(zip(heads, cotangents, strict=True))
        grads = pull(order, seeds, _recorded(args), rows, stop=starts)
        return [grads.get(s) for s in starts]

    def pushes(
        self, tangents: Sequence[Any], out: Any, args: Sequence[Any], saved: Sequence[Any]
    ) -> list[Any]:
        starts, heads, order = self._again(args, [t is not None for t in tangents])
        seeds = [(s, t) for s, t in zip(starts, tangents, strict=True) if t is not None]
        found = push(order, seeds, _recorded(args))
        results = [
            np.zeros(h._data.shape, h._data.dtype) if found.get(h) is None else found[h]
            for h in heads
        ]
        return [_one_or_all(results)]

    def _again(
        self, args: Sequence[Any], wanted: Sequence[bool]
    ) -> tuple[list[Vertex], tuple[Vertex, ...], list[Vertex]]:
        """Stand-ins of the operands, the results from them, and what lies between the wanted ones
        and the results."""
        with enable_grad():
            starts = [_stand_in(a, want) for a, want in zip(args, wanted, strict=True)]
            heads = self.program.run(starts)
        ends = [s for s, want in zip(starts, wanted, strict=True) if want]
        return starts, heads, downstream(reach(heads, stop=starts), ends)

    def vjp_xs(self, g: Any, out: Any, i: int, *xs: Any) -> Any:
        return self.pulls(g, out, xs, (), [j == i for j in range(len(xs))])[i]

    def jvp_xs(self, t: Any, out: Any, i: int, *xs: Any) -> Any:
        return self.pushes([t if j == i else None for j in range(len(xs))], out, xs, ())[0]

    def spec(self, *xs: Spec) -> Any:
        results = self.program.run([leaf(Op.vertex, np.ones(x.shape, x.dtype)) for x in xs])
        return _one_or_all([spec_of(v._data) for v in results])

    def reference(self, *xs: Any) -> Any:
        """The definitions of the steps, one after the other."""
        slots = dict(enumerate([*xs, *self.program.constants]))
        for step in self.program.steps:
            slots[step.output] = step.op.reference(*(slots[i] for i in step.inputs))
        return _one_or_all([slots[i] for i in self.program.outputs])

    def label(self) -> str:
        return self.title

    def flops(self, out: Any, *xs: Spec) -> int:
        return self.program.flops

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        shape = draw.shape()
        x, y = (leaf(Op.vertex, draw.normal(shape), True) for _ in range(2))
        start = leaf(Op.vertex, None).birth
        with enable_grad():
            inner = ops.tanh(x * y) * 2.0
            heads = [inner + x, ops.sum(inner)] if draw.boolean() else [(inner * inner)[...]]
        program, inputs, _ = Program.of(heads, start)
        return cls(program), tuple(v._data for v in inputs)


def _one_or_all(results: list[Any]) -> Any:
    return results[0] if len(results) == 1 else tuple(results)


def _recorded(args: Sequence[Any]) -> bool:
    """Whether a sweep that is recorded gave these operands."""
    return any(isinstance(a, Vertex) for a in args)


def _stand_in(x: Any, wanted: bool) -> Vertex:
    """An operand as a vertex at which a sweep ends, tracked if its derivative is wanted.

    In a recorded sweep, what is computed for one operand may be differentiated by another.
    """
    if isinstance(x, Vertex):
        tracked = wanted or x.requires_grad
        return make(type(x), x._data, ALIAS, (x,), (), x.version, tracked, current())  # type: ignore[no-any-return]
    return leaf(Op.vertex, x, wanted)  # type: ignore[no-any-return]


def checkpoint(f: Function) -> Function:
    """f without the memory of its inner graph: a sweep computes that again.

    A network of n blocks that are checkpoints keeps n results, and the graph of one block at a
    time, for the price of a second forward pass. Values and derivatives of any order are those
    of f (where several blocks read one tensor, its cotangents are summed block by block); tensors
    that f closes over get gradients too.

    f runs once per call. A sweep repeats the ops that it applied, not f itself, so that random
    masks repeat, and whatever f does besides (counting, printing, running averages) does not.
    Arrays that f brought in (masks, data) are kept. A recorded sweep (`create_graph`, nested
    `grad`) repeats them once for each operand. Inside `no_grad`, `gg.capture`, `gg.trace` and
    `gg.vmap`, f is just called: nothing is kept, or everything is meant to be.

    Source: Chen et al., Training deep nets with sublinear memory cost (2016).

    Args:
        f: function with any arguments that returns a tensor, or a tuple or list of them.

    Raises:
        DTypeError: if f is no function.
        GradError: if f returns something else, in which tensors might hide.
        MutationError: by a sweep, if `assign` changed an operand, as for any op.

    >>> import gradgraph as gg
    >>> w = gg.Tensor(3.0, requires_grad=True)
    >>> block = checkpoint(lambda x: gg.tanh(x * w) * x)
    >>> y = block(gg.Tensor(0.5))
    >>> y.op.name, len(gg.Graph.of(y))
    ('checkpoint', 1)
    >>> y.backward()
    >>> w.grad.numpy().round(3)
    np.float64(0.045)
    """
    if not callable(f):
        raise DTypeError(
            "checkpoint",
            f"{type(f).__name__} is no function",
            "Write gg.checkpoint(f), then call the result.",
        )
    name = str(getattr(f, "__name__", type(f).__name__))
    title = "checkpoint" if name == "<lambda>" else name

    @wraps(f, updated=())
    def result(*args: Any, **kwargs: Any) -> Any:
        mode = current()
        if mode.capture or not mode.record:
            return f(*args, **kwargs)
        start = leaf(Op.vertex, None).birth
        out = f(*args, **kwargs)
        if any(o.__class__ is Op.traced for o in (out if isinstance(out, tuple | list) else [out])):
            return out
        if not isinstance(out, tuple | list):
            return _folded([out], start, title)[0]
        parts = _folded(out, start, title)
        return type(out)._make(parts) if hasattr(out, "_make") else type(out)(parts)

    return result


def _folded(outs: Sequence[Any], start: int, title: str) -> list[Any]:
    """The results, with one vertex in place of all that was recorded since `start`."""
    for o in outs:
        if not isinstance(o, Vertex | np.ndarray | np.generic | bool | int | float):
            raise GradError(
                "checkpoint",
                f"the function returned {'None' if o is None else f'a {type(o).__name__}'}, not a"
                " tensor",
                "Return one tensor, or a tuple of tensors.",
            )
    tracked = [o for o in outs if isinstance(o, Vertex) and o.requires_grad]
    heads = list(dict.fromkeys(o for o in tracked if o.op is not None and o.birth > start))
    if not heads:
        return list(outs)
    program, inputs, fresh = Program.of(heads, start)
    data = _one_or_all([h._data for h in heads])
    seen = _versions(inputs) if fresh else -1  # a sweep will say what was changed
    op = Checkpoint(program, title)
    vertex = make(Op.vertex, data, op, inputs, (), seen, True, current())
    parts = [vertex] if len(heads) == 1 else [Part.of(i)(vertex) for i in range(len(heads))]
    for part, head in zip(parts, heads, strict=True):
        part.name = head.name
    folded = dict(zip(heads, parts, strict=True))
    return [folded.get(o, o) if isinstance(o, Vertex) else o for o in outs]
