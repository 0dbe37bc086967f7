"""The text of a plan: one line of Python for each call, with its arrays by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..node import Vertex
from ..record import compute
from .effect import Change, Draw, Host
from .layout import Layout, into
from .program import Call, Value

LINES = 2000  # in one function of Python


class Text:
    """Lines that work on a list v of the values that do not lie in the arena.

    Attributes:
        slots: the place of a value in v.
        arguments: (number of the argument, place in v).
    """

    def __init__(self, layout: Layout, wanted: set[Value]) -> None:
        self.layout, self.wanted = layout, wanted
        self.slots: dict[Value, int] = {}
        self.arguments: list[tuple[int, int]] = []
        self._known: dict[Value, str] = {}
        self._count = 0
        self._names: dict[str, Any] = {
            "compute": compute,
            "results": _results,
            "change": _change,
            "empty": np.empty,
            "asarray": np.asarray,
            "copyto": np.copyto,
        }

    def function(self, lines: Sequence[str]) -> Callable[[list[Any]], None]:
        """Lines as a function of v."""
        parts = []
        for start in range(0, len(lines), LINES):
            body = "".join(f"    {line}\n" for line in lines[start : start + LINES])
            exec(compile(f"def part(v):\n{body}", "<gradgraph plan>", "exec"), self._names)
            parts.append(self._names.pop("part"))
        if len(parts) == 1:
            return parts[0]  # type: ignore[no-any-return]

        def all_of_them(v: list[Any]) -> None:
            for part in parts:
                part(v)

        return all_of_them

    def held(self, thing: Any, letter: str = "f") -> str:
        """A name for something that lines use."""
        self._count += 1
        self._names[f"{letter}{self._count}"] = thing
        return f"{letter}{self._count}"

    def name(self, value: Value) -> str:
        """How lines call a value."""
        if value not in self._known:
            view = self.layout.view(value)
            if view is not None:
                self._known[value] = self.held(view, "b")
            elif value.kind == "constant":
                self._known[value] = self.held(value.held, "c")
            else:
                self._known[value] = f"v[{self.slot(value)}]"
        return self._known[value]

    def slot(self, value: Value) -> int:
        """The place of a value in v."""
        if value not in self.slots:
            self.slots[value] = len(self.slots)
            if value.kind == "argument":
                self.arguments.append((value.held, self.slots[value]))
        return self.slots[value]

    def read(self, values: Iterable[Value]) -> list[str]:
        """Lines that take up leaves, as they are now."""
        lines = []
        for value in dict.fromkeys(values):
            if value.kind in ("state", "gradient"):
                grad = "_grad." if value.kind == "gradient" else ""
                lines.append(f"{self.name(value)} = {self.held(value.held, 't')}.{grad}_data")
        return lines

    def forget(self, values: Iterable[Value]) -> list[str]:
        """Lines that let go of values, so that their memory is free."""
        names = (self.name(value) for value in dict.fromkeys(values))
        return [f"{name} = None" for name in names if name.startswith("v")]

    def call(self, moment: int, call: Call) -> list[str]:
        """The lines of one call."""
        op: Any = call.op
        if isinstance(op, Change):
            return self._change(moment, call, op)
        arguments = [self.name(v) for v in call.inputs]
        outs = [self.name(v) for v in call.outputs]
        fill = into(op)
        if fill is not None:
            lines = [
                f"{self.name(v)} = empty({v.spec.shape}, {self.held(v.spec.dtype, 'd')})"
                for v in call.outputs
                if v in self.layout.fresh
            ]
            function = self.held(fill)
            if isinstance(fill, np.ufunc):
                return [*lines, f"{function}({', '.join(arguments)}, out={outs[0]})"]
            out = outs[0] if len(outs) == 1 else f"({', '.join(outs)})"
            return [*lines, f"{function}({', '.join([out, *arguments])})"]
        targets = ", ".join(outs)
        if isinstance(op, Draw | Host):
            function = self.held(op.run if isinstance(op, Host) else lambda: (op.run(),))
            return [f"{targets}, = {function}({', '.join(arguments)})"]
        if op.outputs > 1 or op.saves or not op.trusted:
            made = f"results({self.held(op)}, [{', '.join(arguments)}])"
            targets += ","
        else:
            made = f"{self.held(op.forward)}({', '.join(arguments)})"
            if not call.outputs[0].spec.shape:  # of which numpy makes no array
                made = f"asarray({made})"
        if outs[0].startswith("b"):
            return [f"copyto({outs[0]}, {made})"]
        return [f"{targets} = {made}"]

    def _change(self, moment: int, call: Call, op: Change) -> list[str]:
        before, *values = call.inputs
        needed = self.layout.last[before] > moment or before in self.wanted
        lines = [] if needed else self.forget([before])
        target = self.held(op.target, "t")
        given = ", ".join([target, self.held(op.run), *map(self.name, values)])
        lines.append(f"change({given})")
        if call.outputs[0] in self.layout.last or call.outputs[0] in self.wanted:
            lines.append(self.changed(call))
        return lines

    def changed(self, call: Call) -> str:
        """The line that takes up a leaf after its change."""
        return f"{self.name(call.outputs[0])} = {self.held(call.op.target, 't')}._data"


def _change(target: Vertex, run: Callable[..., None], *values: Any) -> None:
    run(target.own(), *values)


def _results(op: Any, args: list[Any]) -> tuple[Any, ...]:
    """The results of an op, and what it saves."""
    data, saved = compute(op, args)
    return (*data, *saved) if isinstance(data, tuple) else (data, *saved)
