"""Which results lie in the arena of a plan, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels.threads import aligned
from ..node import Array
from .cut import Cut
from .effect import Change, Effect
from .memory import Block, arrange
from .program import Program, Value


class Layout:
    """The places of a program's results.

    Attributes:
        blocks: the place of each value in the arena.
        fresh: values that are written to a new array in each run, for they leave the plan.
        last: the number of the last call that reads a value.
        size: bytes of the arena.
    """

    def __init__(self, program: Program, parts: Cut) -> None:
        self.blocks: dict[Value, Block] = {}
        self.fresh: set[Value] = set()
        self.last: dict[Value, int] = {}
        self._views: dict[Value, Array] = {}
        wanted = program.wanted()
        roots: dict[Value, set[Value]] = {}  # in whose place a value may lie
        for moment, call in enumerate(program.calls):
            end = parts.until.get(call, moment)
            for value in parts.reads(call):
                self.last[value] = max(end, self.last.get(value, 0))
                for root in roots.get(value, ()):
                    self.blocks[root].last = max(end, self.blocks[root].last)
            for value in call.outputs:
                if isinstance(call.op, Change):
                    continue
                if call in parts.own or (into(call.op) and value not in wanted):
                    self.blocks[value] = Block(value.spec.nbytes, moment, moment)
                    roots[value] = {value}
                elif into(call.op):
                    self.fresh.add(value)
                else:  # it may be a view of what it was made from
                    roots[value] = set().union(*(roots.get(x, set()) for x in call.inputs))
        for value in wanted:
            for root in roots.get(value, ()):
                self.blocks[root].last = len(program.calls)
        self.size = arrange(list(self.blocks.values()))
        self._memory = aligned(self.size)

    def view(self, value: Value) -> Array | None:
        """The array of a value in the arena; None if it lies elsewhere."""
        block, spec = self.blocks.get(value), value.spec
        if block is None:
            return None
        if value not in self._views:
            part = self._memory[block.offset : block.offset + spec.nbytes]
            self._views[value] = part.view(spec.dtype).reshape(spec.shape)
        return self._views[value]


def into(op: Any) -> Callable[..., Any] | None:
    """What writes the result of an op into an array that is there: a ufunc, or its `into`."""
    if isinstance(op, Effect):
        return None
    if isinstance(op.forward, np.ufunc):
        return op.forward
    return op.into  # type: ignore[no-any-return]
