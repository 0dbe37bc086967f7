"""A captured function as a list of calls that read and write values: what passes change.

Unlike vertices, calls have one value for each result, and for each array that an op saves; reading
one of several results is no call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..graph import ancestors
from ..mode import Mode
from ..node import Vertex
from ..op import Op, Part, Saved
from ..ops.elementwise import Alias
from ..spec import Spec
from .capture import Capture
from .effect import Effect


class Value:
    """An array that a call reads or writes.

    Attributes:
        spec: its shape and dtype.
        kind: "argument", "state", "gradient" (the `.grad` of a leaf at the beginning), "constant",
            or "made" by a call.
        held: the leaf, the constant (an array or a Python number), or the number of the argument.
        name: the user's name for it.
    """

    __slots__ = ("held", "kind", "name", "spec")

    def __init__(self, spec: Spec, kind: str = "made", held: Any = None, name: str = "") -> None:
        self.spec, self.kind, self.held, self.name = spec, kind, held, name

    def __repr__(self) -> str:
        return f"Value({self.spec}, {self.kind!r})"


class Call:
    """An op that is applied to values.

    Attributes:
        op: the Op.
        inputs: what it reads.
        outputs: its results, then what it saves.
        mode: in which it was captured: its scope.
        name: the user's name of the result.
    """

    __slots__ = ("inputs", "mode", "name", "op", "outputs")

    def __init__(
        self,
        op: Any,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        mode: Mode,
        name: str | None = None,
    ) -> None:
        self.op, self.inputs, self.outputs = op, tuple(inputs), tuple(outputs)
        self.mode, self.name = mode, name

    def __repr__(self) -> str:
        return f"{self.op.name}({', '.join(map(repr, self.inputs))})"


@dataclass
class Program:
    """Calls in an order in which they can run, and what is wanted of them.

    Attributes:
        calls: all of them.
        results: what the function returns.
        gradients: what the `.grad` of leaves is at the end; None for none.
    """

    calls: list[Call]
    results: list[Value]
    gradients: dict[Vertex, Value | None] = field(default_factory=dict)

    def wanted(self) -> list[Value]:
        """What leaves the program."""
        return [*self.results, *(g for g in self.gradients.values() if g is not None)]

    def readers(self) -> dict[Value, list[Call]]:
        """The calls that read each value."""
        found: dict[Value, list[Call]] = {}
        for call in self.calls:
            for value in dict.fromkeys(call.inputs):
                found.setdefault(value, []).append(call)
        return found

    def makers(self) -> dict[Value, Call]:
        """The call that makes each value."""
        return {value: call for call in self.calls for value in call.outputs}

    def replace(self, exchanged: dict[Value, Value]) -> None:
        """Read other values instead of some, everywhere."""

        def now(value: Value) -> Value:
            while value in exchanged:
                value = exchanged[value]
            return value

        for call in self.calls:
            call.inputs = tuple(map(now, call.inputs))
        self.results = [now(v) for v in self.results]
        self.gradients = {t: v if v is None else now(v) for t, v in self.gradients.items()}


def program_of(tape: Capture, results: Iterable[Vertex]) -> Program:
    """What was captured, as far as something depends on it."""
    results = list(results)
    gradients = [g for g in tape.gradients.values() if g is not None]
    order = ancestors([*results, *gradients, *tape.effects], set())
    inputs: dict[Vertex, Value] = {}
    for v, i in tape.arguments.items():
        inputs[v] = Value(Spec.of(v._data), "argument", i)
    for kind, leaves in (("state", tape.states), ("gradient", tape.entering)):
        for t, v in leaves.items():
            inputs[v] = Value(Spec.of(v._data), kind, t, t.name or "")
    values: dict[Vertex, Value] = {}
    whole: dict[Vertex, tuple[Value, ...]] = {}
    calls = []
    for v in order:
        if v in inputs:
            values[v] = inputs[v]
        elif v.op is None:
            values[v] = Value(Spec.of(v._data), "constant", v._data)
        elif isinstance(v.op, Part):
            values[v] = whole[v.inputs[0]][v.op.index]
        elif isinstance(v.op, Saved):
            made_by: Any = v.inputs[0].op
            values[v] = whole[v.inputs[0]][v.op.index + made_by.outputs]
        elif isinstance(v.op, Alias):
            values[v] = values[v.inputs[0]]
        else:
            made = v._data if isinstance(v._data, tuple) else (v._data,)
            outputs = tuple(Value(Spec.of(a)) for a in (*made, *v.saved))
            mode = replace(v._mode, origin=None)  # which would hold the vertices
            calls.append(Call(v.op, [values[x] for x in v.inputs], outputs, mode, v.name))
            whole[v], values[v] = outputs, outputs[0]
    return Program(
        calls,
        [values[v] for v in results],
        {t: g if g is None else values[g] for t, g in tape.gradients.items()},
    )


def pure(op: Op) -> bool:
    """Whether the op gives the same each time, and does nothing else."""
    return op.trusted and not isinstance(op, Effect)
