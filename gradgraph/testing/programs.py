"""Random programs of ops: graphs with fan-out, broadcasting and shared operands.

They hold the sweeps to the laws, not only the rules, and `blame` to naming the right vertex.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..draw import Draw
from ..op import Op
from ..ops.activation import Sigmoid
from ..ops.arithmetic import Add, Divide, Multiply, Subtract
from ..ops.choice import Maximum
from ..ops.exponential import Exp
from ..ops.index import Getitem
from ..ops.linalg import Matmul
from ..ops.reduce import Max, Mean, Sum
from ..ops.shape import Transpose
from ..ops.softmax import LogSoftmax, Softmax
from ..ops.trigonometry import Sin, Tanh

Array = np.ndarray[Any, np.dtype[Any]]

SIDE = 3  # every value is 3×3, or broadcasts to it
REVERSED = Getitem((("slice", None, None, -1),))
FIRST_ROW = Getitem((("slice", 0, 1, None),))
# Ops whose cotangents are shared or added in place come more often: sweeps go wrong there.
UNARY: tuple[Op, ...] = (
    Tanh(),
    Sin(),
    Sigmoid(),
    Softmax(-1),
    LogSoftmax(-2),
    Transpose((1, 0)),
    Mean((-1,), True),
    Sum((-2,), True),
    Max((-1,), True),
    Exp(),
    *(3 * (REVERSED, FIRST_ROW)),
)
BINARY: tuple[Op, ...] = (
    Add(),
    Add(),
    Add(),
    Subtract(),
    Multiply(),
    Matmul(),
    Maximum(),
    Divide(),
)


@dataclass(frozen=True)
class Program:
    """Instructions that each apply an op to earlier values; the result is a sum of the last ones.

    Attributes:
        inputs: the arguments.
        steps: (op, places of its operands): arguments come first, then results in order.
    """

    inputs: tuple[Array, ...]
    steps: tuple[tuple[Op, tuple[int, ...]], ...]

    def __call__(self, *xs: Any) -> Any:
        """The result for other arguments."""
        return self.run(xs, {})

    def run(self, xs: Any, instead: Mapping[int, Op]) -> Any:
        """The result, with other ops in the place of some steps."""
        values = list(xs)
        for i, (op, places) in enumerate(self.steps):
            args = [values[p] for p in places]
            if isinstance(op, Divide):
                args[1] = ops.add(ops.multiply(args[1], args[1]), 1.0)
            if isinstance(op, Matmul):
                args = [ops.add(a, np.zeros((SIDE, SIDE))) for a in args]
            value = instead.get(i, op)(*args)
            values.append(ops.tanh(value) if _grows(op) else value)
        used = {p for _, places in self.steps for p in places}
        ends = [v for i, v in enumerate(values) if i not in used]
        total: Any = 0.0
        for k, v in enumerate(ends):
            total = ops.add(total, ops.sum(ops.multiply(v, 1.0 + 0.5 * k)))
        return total

    @property
    def __name__(self) -> str:
        return "program"

    @staticmethod
    def drawn(draw: Draw, longest: int = 8) -> Program:
        """A random program of 1 to `longest` steps."""
        shapes = [(SIDE, SIDE), (SIDE,), (SIDE, 1), ()]
        inputs = [draw.distinct(draw.choice(shapes[: 1 + 3 * (i > 0)])) for i in range(2)]
        steps: list[tuple[Op, tuple[int, ...]]] = []
        square = [0]  # places whose value is 3×3
        for i in range(draw.integer(1, longest)):
            place = len(inputs) + i
            if draw.boolean():
                op: Op = draw.choice(UNARY)
                steps.append((op, (draw.choice(square),)))
                if not isinstance(op, Mean | Sum | Max) and op is not FIRST_ROW:
                    square.append(place)
            else:
                a, b = draw.choice(square), draw.integer(0, place - 1)
                steps.append((draw.choice(BINARY), (a, b) if draw.boolean() else (a, a)))
                square.append(place)
        return Program(tuple(inputs), tuple(steps))


def _grows(op: Op) -> bool:
    """Whether repeating the op leaves the range in which differences are sharp."""
    return isinstance(op, Exp | Multiply | Matmul | Sum | LogSoftmax)
