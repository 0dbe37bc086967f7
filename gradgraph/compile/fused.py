"""Several ops as one, so that what is between them is never written to memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..kernels import dispatch, threads
from ..kernels.dispatch import Finish
from ..node import Array
from ..op import Op
from ..ops.conv import Conv
from ..ops.linalg import Matmul
from ..record import compute
from ..spec import Spec

Wiring = tuple[tuple[Op, tuple[int, ...]], ...]
BLOCK = 1 << 15  # numbers of a block: its operands and results stay in the cache


class Fused(Op, abstract=True):
    """Ops in a row of which only the last result is wanted.

    Attributes:
        parts: each op, and the numbers of its operands: arguments count first, then results.
    """

    variadic = True
    args = ("values",)
    vjps = jvps = (None,)
    name = "fused"

    parts: ClassVar[Wiring]

    def __init__(self, parts: Wiring) -> None:
        names = [op.name for op, _ in parts]
        self.__dict__.update(parts=parts, _values=(), _hash=hash(parts))
        self.__dict__.update(name=" · ".join(names), style=parts[0][0].style)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.parts == other.parts

    __hash__ = Op.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"

    def label(self) -> str:
        return self.parts[0][0].label()

    def forward(self, *values: Any) -> Any:
        """One after the other."""
        held = list(values)
        for op, places in self.parts:
            held.append(compute(op, [held[i] for i in places])[0])
        return held[-1]

    def flops(self, out: Spec, *given: Spec) -> int:
        specs = list(given)
        total = 0
        for op, places in self.parts:
            operands = [specs[i] for i in places]
            specs.append(op.spec(*operands))
            total += op.flops(specs[-1], *operands)
        return total


class Finished(Fused, abstract=True):
    """A convolution, the gradient of its image, or a product of matrices, with what is done to its
    results.

    Attributes:
        bias, kept: the number of that argument; None for none.
        rectified: whether a relu is part of it.
    """

    bias: ClassVar[int | None]
    kept: ClassVar[int | None]
    rectified: ClassVar[bool]

    def __init__(self, parts: Wiring, bias: int | None, rectified: bool, kept: int | None) -> None:
        super().__init__(parts)
        self.__dict__.update(bias=bias, rectified=rectified, kept=kept)

    def into(self, out: Any, x: Any, w: Any, *more: Any) -> None:
        given = (x, w, *more)
        todo = Finish(
            None if self.bias is None else given[self.bias],
            self.rectified,
            None if self.kept is None else given[self.kept],
        )
        op: Any = self.parts[0][0]
        if isinstance(op, Matmul):
            dispatch.matmul(x, w, out, todo)
            return
        stride, padding, dilation, groups = op.geometry
        if isinstance(op, Conv):
            dispatch.conv(x, w, stride, padding, dilation, groups, todo, out)
        else:
            dispatch.conv_input(x, w, op.size, stride, padding, dilation, groups, todo, out)


class Pooling(Finished, abstract=True):
    """A convolution, finished, of which only the maxima of windows are kept."""

    saves = ("winner",)

    def forward(self, *values: Any) -> Any:
        held = list(values)
        *parts, (pool, (last,)) = self.parts
        for op, places in parts:
            held.append(compute(op, [held[i] for i in places])[0])
        out, saved = compute(pool, [held[last]])
        return out, *saved

    def into(self, out: Any, x: Any, w: Any, *more: Any) -> None:
        bias = None if self.bias is None else (x, w, *more)[self.bias]
        op: Any = self.parts[0][0]
        pool: Any = self.parts[-1][0]
        stride, padding, dilation, groups = op.geometry
        todo = Finish(bias, self.rectified)
        dispatch.conv_pool(x, w, stride, padding, dilation, groups, todo, pool.geometry, out)


class Elementwise(Fused, abstract=True):
    """Ops on each element, done block by block, in as many threads as there are."""

    dtypes: ClassVar[tuple[np.dtype[Any], ...]]

    def __init__(self, parts: Wiring, specs: Sequence[Spec]) -> None:
        super().__init__(parts)
        self.__dict__.update(dtypes=tuple(s.dtype for s in specs))

    def into(self, out: Any, *values: Any) -> None:
        flat = all(np.size(v) == 1 or (np.shape(v) == out.shape and _whole(v)) for v in values)
        given: list[Any] = list(values)
        if flat:
            given = [
                v.reshape(-1 if v.size > 1 else ()) if isinstance(v, np.ndarray) else v
                for v in values
            ]
        target = out.reshape(-1) if flat else out
        across = max(1, target[0].size)
        rows = max(1, BLOCK // across)
        cut = [np.ndim(v) == target.ndim and len(v) > 1 for v in given]

        def work(_: int, first: int, end: int) -> None:
            room = _rooms(self.dtypes, (min(rows, end - first), *target.shape[1:]))
            for start in range(first, end, rows):
                stop = min(start + rows, end)
                held = [v[start:stop] if c else v for v, c in zip(given, cut, strict=True)]
                for k, (op, places) in enumerate(self.parts):
                    last = k == len(self.parts) - 1
                    to = target[start:stop] if last else room[k][: stop - start]
                    write = op.forward if isinstance(op.forward, np.ufunc) else None
                    operands = [held[i] for i in places]
                    if write is not None:
                        write(*operands, out=to)
                    else:
                        op.into(to, *operands)
                    held.append(to)

        threads.run(work, len(target), _no_wait, rows)


def _whole(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.flags.c_contiguous


def _rooms(dtypes: Sequence[np.dtype[Any]], shape: tuple[int, ...]) -> list[Array]:
    return [np.empty(shape, dtype) for dtype in dtypes[:-1]]


def _no_wait(address: int, value: int) -> None:
    """Threads sleep between blocks of work."""


class Kept(Op, abstract=True):
    """x where y is above 0, exactly 0 elsewhere: what comes back through a relu."""

    args = ("x", "y")
    vjps = jvps = (None, None)
    name = "mask"
    style = "arithmetic"

    def forward(self, x: Any, y: Any) -> Any:
        return dispatch.kept(x, y)

    def into(self, out: Any, x: Any, y: Any) -> None:
        dispatch.kept(x, y, out)

    def spec(self, x: Spec, y: Spec) -> Spec:
        return x


KEPT = Kept()
