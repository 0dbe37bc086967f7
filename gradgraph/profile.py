"""Where the time and the memory of a step go: per op, per module, and on a time line.

The mode in force holds a `Profile`, as it holds the watch of the debug mode: ops and sweeps that
find one hand it their work; it lets them do it as usual, and looks at the clock.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np

from .errors import DomainError, GradError
from .mode import current, switch
from .node import Vertex
from .spec import brief

Step = Callable[..., Any]
PASSES = ("forward", "backward", "jvp")


@dataclass(frozen=True, slots=True)
class Event:
    """One op at work.

    Attributes:
        op: its name.
        module: the scopes in which it was applied, dotted; empty outside of all.
        when: "forward", "backward" (its rules in a reverse sweep) or "jvp" (in a forward sweep).
        start: seconds since the profile began.
        seconds: how long it took.
        nbytes: memory of what it made, a view counted as if it were a copy; going back, of the
            cotangents of its inputs.
        shape: of its result.
        thread: that did it.
    """

    op: str
    module: str
    when: str
    start: float
    seconds: float
    nbytes: int
    shape: tuple[int, ...]
    thread: int


class Profile:
    """What `profile` found; prints as a table of ops.

    Attributes:
        events: the ops at work, in the order in which they ended.
        seconds: from the beginning of the `with` statement to its end.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.seconds = 0.0
        self._began = 0.0
        self._on: Any = None
        self._outer: Any = None

    def __enter__(self) -> Self:
        if self._on is not None:
            raise GradError("profile", "it is open already", "Make another one: gg.profile().")
        self.events, self.seconds = [], 0.0
        self._outer = current().debug
        self._on = switch(lambda mode: replace(mode, debug=self))
        self._on.enter(sys._getframe(1))
        self._began = perf_counter()
        return self

    def __exit__(self, *error: Any) -> None:
        self.seconds = perf_counter() - self._began
        on, self._on = self._on, None
        on.__exit__(*error)

    # What ops and sweeps call

    def apply(self, op: Any, args: Sequence[Any]) -> Any:
        """The op's result, timed."""
        start = perf_counter()
        with self._unwatched():
            out = op(*args)
        self._note(op.name, current().scope, "forward", start, out)
        return out

    def reverse(self, order: Sequence[Vertex], grads: Mapping[Vertex, Any], step: Step) -> Step:
        """The step of a reverse sweep, timed."""
        if self._outer is not None:
            step = self._outer.reverse(order, grads, step)

        def timed(
            grads: dict[Vertex, Any], owned: set[Vertex], v: Vertex, g: Any, record: bool, rows: int
        ) -> None:
            op: Any = v.op
            start = perf_counter()
            with self._unwatched():
                step(grads, owned, v, g, record, rows)
            made = [grads.get(x) for x in dict.fromkeys(v.inputs)]
            self._note(op.name, v.scope, "backward", start, made, v._data)

        return timed

    def forward(self, order: Sequence[Vertex], step: Step) -> Step:
        """The step of a forward sweep, timed."""
        if self._outer is not None:
            step = self._outer.forward(order, step)

        def timed(v: Vertex, arriving: list[Any], record: bool) -> Any:
            op: Any = v.op
            start = perf_counter()
            with self._unwatched():
                tangent = step(v, arriving, record)
            self._note(op.name, v.scope, "jvp", start, tangent)
            return tangent

        return timed

    def _unwatched(self) -> Any:
        return switch(lambda mode: replace(mode, debug=self._outer))

    def _note(
        self, op: str, module: str, when: str, start: float, made: Any, result: Any = None
    ) -> None:
        now = perf_counter()
        arrays = list(_arrays(made))
        shapes = [a.shape for a in _arrays(result)] or [a.shape for a in arrays] or [()]
        self.events.append(
            Event(
                op,
                module,
                when,
                start - self._began,
                now - start,
                sum(a.nbytes for a in arrays),
                shapes[0],
                threading.get_ident(),
            )
        )

    # How it reads

    def table(self, by: str = "op") -> str:
        """Calls, milliseconds, share of the whole time, and megabytes made, the slowest first.

        Args:
            by: "op", or "module" for the scopes in which ops were applied.

        Raises:
            DomainError: if it is neither.
        """
        if by not in ("op", "module"):
            raise DomainError("profile", f"there is no table by {by!r:.40}", 'Use "op", "module".')
        groups: dict[str, list[Event]] = {}
        for event in self.events:
            groups.setdefault(getattr(event, by) or "(outside)", []).append(event)
        used = [when for when in PASSES if any(e.when == when for e in self.events)]
        head = [by, "calls", *(f"{when} ms" for when in used), "share", "MB"]
        rows = [
            [
                name,
                f"{sum(e.when == 'forward' for e in events) or len(events):,}",
                *(f"{1e3 * sum(e.seconds for e in events if e.when == w):.2f}" for w in used),
                f"{sum(e.seconds for e in events) / (self.seconds or 1):.1%}",
                f"{sum(e.nbytes for e in events) / 1e6:.2f}",
            ]
            for name, events in sorted(
                groups.items(), key=lambda item: -sum(e.seconds for e in item[1])
            )
        ]
        rest = self.seconds - sum(e.seconds for e in self.events)
        lines = [head, *rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
            for line in lines
        ]
        total = (
            f"{1e3 * self.seconds:.2f} ms in all, {1e3 * max(rest, 0.0):.2f} ms of them outside ops"
        )
        return "\n".join([*table, total])

    def __str__(self) -> str:
        return self.table()

    __repr__ = __str__

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the time line as a trace that Chrome (about:tracing) and Perfetto show.

        Args:
            path: of a `.json` file.

        Raises:
            DomainError: if the path has another ending.
            OSError: if it cannot be written; the old file is then untouched.
        """
        import json  # seldom asked for, like what writes files

        from .files import write

        if Path(path).suffix.lower() != ".json":
            raise DomainError("profile", f"{str(path)!r} does not end in .json", "Use step.json.")
        events = [
            {
                "name": e.op if e.when == "forward" else f"{e.op}, {e.when}",
                "cat": e.when,
                "ph": "X",
                "ts": round(1e6 * e.start, 3),
                "dur": round(1e6 * e.seconds, 3),
                "pid": os.getpid(),
                "tid": e.thread,
                "args": {"module": e.module, "result": brief(e.shape), "bytes": e.nbytes},
            }
            for e in self.events
        ]
        text = json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}, indent=1)
        return write(path, text.encode())


def profile() -> Profile:
    """Context manager that finds out where time and memory go.

    It sees the ops of this thread, forward and back; what is outside of ops (the optimiser, the
    data, Python) is told as the rest. Every op takes some ten microseconds longer with it. A
    `debug` that is opened inside sees the ops in its place.

    Returns:
        What it found: a table of ops when printed, `table("module")` for modules, `events` one by
        one, and `save("step.json")` for a time line.

    >>> import gradgraph as gg
    >>> x = gg.Tensor(np.ones((50, 20)), requires_grad=True)
    >>> with gg.profile() as found:
    ...     gg.relu(x * 2.0).sum().backward()
    >>> [(e.op, e.when, e.shape) for e in found.events][:3]
    [('multiply', 'forward', (50, 20)), ('relu', 'forward', (50, 20)), ('sum', 'forward', ())]
    >>> found.events[0].nbytes, found.table().splitlines()[0].split()[:3]
    (8000, ['op', 'calls', 'forward'])
    """
    return Profile()


def _arrays(value: Any) -> Iterable[Any]:
    """The arrays in tensors, lists and tuples."""
    value = getattr(value, "_data", value)
    if isinstance(value, tuple | list):
        for part in value:
            yield from _arrays(part)
    elif isinstance(value, np.ndarray):
        yield value
