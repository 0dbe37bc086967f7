"""A frozen, flat snapshot of a graph: the one representation that replay, FLOP counting and
drawing read. A backward pass that was recorded is a graph too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import Any

import numpy as np

from .errors import GradError
from .node import Vertex
from .op import Op, Part, Saved
from .record import compute
from .spec import Spec, spec_of


@dataclass(frozen=True, slots=True)
class Step:
    """One op: what it reads, what it writes.

    Attributes:
        op: the Op.
        inputs: slots it reads.
        output: slot it writes.
        scope: dotted path of the module it belongs to.
        origin: for a step of a backward pass, the forward slot (-1 if it is not in this graph)
            and the rule it was made for, e.g. `(4, "vjp_w")`.
    """

    op: Op
    inputs: tuple[int, ...]
    output: int
    scope: str
    origin: tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class Graph:
    """Slots (one per vertex, inputs before outputs) and the steps that fill them.

    Attributes:
        vertices: the vertex behind each slot, by reference.
        specs: shape and dtype of each slot; a tuple of them for an op with several outputs.
        names: the user's name of each slot, or None.
        inputs: slots that `replay` takes values for.
        outputs: slots that it returns.
        constants: all other slots that no step writes.
        steps: the ops, in an order in which they can run.
    """

    vertices: tuple[Vertex, ...]
    specs: tuple[Any, ...]
    names: tuple[str | None, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    constants: tuple[int, ...]
    steps: tuple[Step, ...]

    @staticmethod
    def of(
        outputs: Vertex | Iterable[Any], inputs: Vertex | Sequence[Vertex] | None = None
    ) -> Graph:
        """The graph that computed the outputs.

        Args:
            outputs: a tensor, or several (nested lists and object arrays of tensors count too).
            inputs: tensors at which the graph begins; by default the leaves that require grad.

        Raises:
            GradError: if an input is not part of the graph.

        >>> import gradgraph as gg
        >>> x = gg.Tensor([1.0, 2.0], requires_grad=True)
        >>> graph = Graph.of((x * x).sum())
        >>> [step.op.name for step in graph.steps]
        ['multiply', 'sum']
        >>> graph.replay([3.0, 4.0])
        array(25.)
        """
        heads = list(_flatten(outputs))
        if inputs is None:
            order = ancestors(heads, set())
            return Graph.between([v for v in order if v.op is None and v.requires_grad], heads)
        starts = list(_flatten(inputs))
        reached = set(ancestors(heads, set(starts)))
        for v in starts:
            if v not in reached:
                raise GradError(
                    "Graph.of",
                    f"the input {v.name or ''} ({Spec.of(v._data)}) is not part of the graph",
                    "Pass tensors that the output was computed from.",
                )
        return Graph.between(starts, heads)

    @staticmethod
    def between(starts: Sequence[Vertex], heads: Sequence[Vertex]) -> Graph:
        """The graph from some vertices to others; those that nothing depends on are in it too."""
        order = ancestors([*heads, *starts], set(starts))
        slot = {v: i for i, v in enumerate(order)}
        begins = set(starts)
        steps = []
        for v in order:
            if v.op is not None and v not in begins:
                origin = v.origin and (slot.get(v.origin[0], -1), v.origin[1])
                read = tuple(slot[x] for x in v.inputs)
                steps.append(Step(v.op, read, slot[v], v.scope, origin))
        return Graph(
            vertices=tuple(order),
            specs=tuple(spec_of(v._data) for v in order),
            names=tuple(v.name for v in order),
            inputs=tuple(slot[v] for v in starts),
            outputs=tuple(slot[v] for v in heads),
            constants=tuple(i for i, v in enumerate(order) if v.op is None and v not in begins),
            steps=tuple(steps),
        )

    def replay(self, *values: Any) -> Any:
        """Run the steps on new values of the inputs (in order); constants keep their value now.

        What was computed from values outside the graph is a constant of it: `x > 0` is an array,
        so `where(x > 0, …)` chooses as it did when it was recorded.

        Returns the outputs as arrays: one, or a tuple of several.

        Raises:
            GradError: if the number of values or a shape differs from the recorded one.
        """
        if len(values) != len(self.inputs):
            raise GradError(
                "Graph.replay",
                f"{len(values)} values for {len(self.inputs)} inputs",
                "Pass one value for each of graph.inputs.",
            )
        slots: list[Any] = [None] * len(self.specs)
        saved: dict[int, Any] = {}
        for i in self.constants:
            slots[i] = self.vertices[i]._data
        for i, given in zip(self.inputs, values, strict=True):
            spec = self.specs[i]
            array = np.asarray(getattr(given, "_data", given), spec.dtype)
            if array.shape != spec.shape:
                raise GradError(
                    "Graph.replay",
                    f"input {self.names[i] or i} was recorded as {spec}, got {Spec.of(array)}",
                    "Record the graph again for other shapes.",
                )
            slots[i] = array
        for step in self.steps:
            args = [slots[i] for i in step.inputs]
            if isinstance(step.op, Part):
                slots[step.output] = step.op.forward(*args)
            elif isinstance(step.op, Saved):
                if step.inputs[0] not in saved:
                    raise GradError(
                        "Graph.replay",
                        f"{step.scope or 'a rule'} needs what the op saved that made an input of"
                        " the graph, and that op is not part of it",
                        "Let the graph begin before that op.",
                    )
                slots[step.output] = saved[step.inputs[0]][step.op.index]
            else:
                slots[step.output], saved[step.output] = compute(step.op, args)
        results = tuple(np.array(slots[i]) for i in self.outputs)
        return results[0] if len(results) == 1 else results

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For notebooks: the drawing. Its package is found by name: nothing here depends on it."""
        drawing = import_module("gradgraph.viz").draw(self)
        return drawing._repr_mimebundle_()  # type: ignore[no-any-return]

    def flops(self) -> int:
        """Floating point operations of one replay (a multiply-add is two)."""
        return sum(map(self.cost, self.steps))

    def cost(self, step: Step) -> int:
        """Floating point operations of one step."""
        if isinstance(step.op, Part | Saved):
            return 0
        return step.op.flops(self.specs[step.output], *(self.specs[i] for i in step.inputs))

    def memory(self) -> tuple[int, ...]:
        """Bytes of each slot's arrays, with what its op saved for the rules.

        A view counts as if it were a copy: whether a reshape copies is known only when it runs.

        >>> import gradgraph as gg
        >>> gg.trace(gg.relu, (10, 20)).memory()
        (800, 800)
        """
        return tuple(
            sum(s.nbytes for s in (spec if isinstance(spec, tuple) else (spec,)))
            + sum(a.nbytes for a in v.saved)
            for spec, v in zip(self.specs, self.vertices, strict=True)
        )

    def parameters(self) -> int:
        """How many numbers the graph learns: the sizes of its constants that require grad.

        >>> import gradgraph as gg
        >>> w = gg.Tensor(np.ones((3, 2)), requires_grad=True)
        >>> gg.trace(lambda x: x @ w, (5, 3)).parameters()
        6
        """
        return sum(self.specs[i].size for i in self.constants if self.vertices[i].requires_grad)

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        return (
            f"Graph({len(self.steps)} steps, {len(self.inputs)} inputs,"
            f" {len(self.constants)} constants, {len(self.outputs)} outputs)"
        )


def _flatten(tensors: Any) -> Iterable[Vertex]:
    stack = [tensors]
    while stack:
        item = stack.pop()
        if isinstance(item, Vertex):
            yield item
        elif isinstance(item, np.ndarray):
            stack.extend(reversed(item.ravel().tolist()))
        elif isinstance(item, Iterable) and not isinstance(item, str):
            stack.extend(reversed(list(item)))
        else:
            raise GradError(
                "Graph.of",
                f"{type(item).__name__} is no tensor",
                "Pass the tensor that your function returned: net(x), not net.",
            )


def ancestors(heads: Iterable[Vertex], stop: set[Vertex]) -> list[Vertex]:
    """Everything that the heads were computed from, oldest first."""
    found = set()
    stack = list(heads)
    while stack:
        v = stack.pop()
        if v not in found:
            found.add(v)
            if v not in stop:
                stack.extend(x for x in v.inputs if x not in found)
    return sorted(found, key=attrgetter("birth"))
