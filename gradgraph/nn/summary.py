"""What each layer of a network is, in the symbols of the chapter: n, m, k, s, p."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..errors import DTypeError
from ..graph import Graph, Step
from ..mode import capture, enable_grad
from ..node import Vertex
from ..ops.conv import Conv as ConvOp
from ..ops.elementwise import Add, Elementwise
from ..ops.linalg import Matmul
from ..ops.pad import Pad
from ..ops.pool import MaxPool as MaxPoolOp
from ..ops.pool import WindowMean
from ..ops.reduce import Reduce
from ..spec import Shape, brief
from ..tensor import Tensor
from .inputs import given

# For each spatial axis: first and last + 1 pixel of the input that the result at 0 sees, and how
# many pixels of the input lie between neighbouring results.
Field = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One layer, as it was run.

    Attributes:
        name: dotted path of its scope.
        op: what it does.
        n_in, n_out: sizes of the image before and after, one number for each spatial axis; empty
            where there is no image.
        m_in, m_out: channels before and after (or inputs and outputs, if fully connected).
        k, s, p: size of a filter or window, stride, and padding (before, after); empty if none.
        weights: numbers that the layer learns, m (k² m' + 1) for a filter layer.
        dense: numbers that a fully connected layer of the same sizes would learn; 0 for a pool.
        field: receptive field: how many pixels of the input a result can depend on, along each
            axis; empty if on all, or if it is not known.
        note: what is unusual about it; else empty.
    """

    name: str
    op: str
    n_in: Shape
    n_out: Shape
    m_in: int
    m_out: int
    k: Shape
    s: Shape
    p: tuple[tuple[int, int], ...]
    weights: int
    dense: int
    field: Shape
    note: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The layers of a network, in the order in which they ran; prints as a table.

    Attributes:
        rows: one for each layer that has weights or pools.
        weights: numbers that all of them learn.
    """

    rows: tuple[Row, ...]
    weights: int

    def __str__(self) -> str:
        head = ("layer", "op", "n", "m", "k", "s", "p", "weights", "if dense", "field")
        lines = [head, *(_cells(row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        notes = [f"note: {row.name}: {row.note}" for row in self.rows if row.note]
        total = f"{self.weights:,} weights in all"
        if self.weights != sum(row.weights for row in self.rows):
            total += " (each once, those outside these layers too)"
        return "\n".join([*table, total, *notes])

    __repr__ = __str__


def summary(module: Any, x: Any) -> Summary:
    """Run a network once and say what each layer did, with the counts of chapter, section 7.1.

    A layer with m filters of k×k×m' has m (k² m' + 1) weights, gives n = ⌈(n' + 2p - (k - 1)) / s⌉
    rows and columns, and would need n² m (n'² m' + 1) weights if it were fully connected.

    Args:
        module: a module, or any function of one tensor.
        x: an input, channels last, with a batch axis; or its shape as a tuple, or its `Spec`.

    Raises:
        DTypeError: if the module does not return a tensor.
        Also what the module raises for this input.

    >>> from gradgraph import nn
    >>> net = nn.Sequential(nn.Conv(3, 8, 3, padding=1, rng=0), nn.MaxPool(2))
    >>> print(summary(net, (1, 64, 64, 3)))
    layer         op        n              m      k    s    p    weights  if dense     field
    sequential.0  conv      64×64 → 64×64  3 → 8  3×3  1×1  1×1  224      402,685,952  3×3
    sequential.1  max_pool  64×64 → 32×32  8      2×2  2×2  0×0  0        0            4×4
    224 weights in all
    """
    graph = started(module, x)
    learned = {v: v.size for v in graph.vertices if isinstance(v, Tensor) and _learns(v)}
    return Summary(tuple(_rows(graph)), sum(learned.values()))


def started(module: Any, x: Any, where: str = "summary") -> Graph:
    """The graph of one run of a module on an input, or on zeros of a shape or spec; `where` is the
    function that errors name."""
    start = given(x, where)
    with enable_grad(), capture():
        out = module(start)
    if not isinstance(out, Vertex):
        raise DTypeError(
            where,
            f"the module returned {type(out).__name__}, not a tensor",
            "Pass a module or a function that returns one tensor.",
        )
    return Graph.of(out, inputs=start)


def _learns(v: Vertex) -> bool:
    return v.op is None and v.requires_grad


def _rows(graph: Graph) -> Iterator[Row]:
    """A row for each step that is a layer; the receptive field follows every step."""
    start = graph.inputs[0]
    fields: dict[int, Field | None] = {start: ((0, 1, 1),) * (graph.specs[start].ndim - 2)}
    readers: dict[int, list[Step]] = {}
    for step in graph.steps:
        for slot in step.inputs:
            readers.setdefault(slot, []).append(step)
    for step in graph.steps:
        geometry = _geometry(step, graph)
        if any(slot in fields for slot in step.inputs):
            fields[step.output] = _field(step, geometry, fields, graph)
        if geometry is None and not isinstance(step.op, Matmul):
            continue
        x, y = graph.specs[step.inputs[0]], graph.specs[step.output]
        bias = _bias(step, readers.get(step.output, []), graph)
        inputs = [graph.vertices[slot] for slot in step.inputs[1:]]
        weights = sum(np.size(v._data) for v in [*inputs, *bias] if _learns(v))
        if geometry is None:
            k: Shape = ()
            s: Shape = ()
            p: tuple[tuple[int, int], ...] = ()
            dense, note = weights, ""
        else:
            k, s, p, _ = geometry
            units = prod(y.shape[1:])
            dense = units * (prod(x.shape[1:]) + bool(bias)) if len(step.inputs) > 1 else 0
            note = _note(step, x.shape[1:-1], k, s, p)
        field = fields.get(step.output)
        yield Row(
            name=step.scope or step.op.name,
            op=step.op.name,
            n_in=x.shape[1:-1],
            n_out=y.shape[1:-1],
            m_in=x.shape[-1],
            m_out=y.shape[-1],
            k=k,
            s=s,
            p=p,
            weights=weights,
            dense=dense,
            field=tuple(high - low for low, high, _ in field or ()),
            note=note,
        )


def _geometry(step: Step, graph: Graph) -> Any:
    """(kernel, stride, padding, dilation) of a layer that slides a window, else None."""
    op = step.op
    if isinstance(op, ConvOp):
        return graph.specs[step.inputs[1]].shape[:-2], op.stride, op.padding, op.dilation
    if isinstance(op, MaxPoolOp | WindowMean):
        return op.kernel, op.stride, op.padding, (1,) * len(op.kernel)
    return None


def _field(
    step: Step, geometry: Any, fields: dict[int, Field | None], graph: Graph
) -> Field | None:
    """What one result sees; None if that is not known, or everything.

    A window of k pixels that lie `jump` pixels of the input apart adds (k - 1) · jump; a stride
    multiplies the jump. Branches that meet see what any of them sees.
    """
    below = [fields[slot] for slot in step.inputs if slot in fields]
    known = [field for field in below if field is not None]
    first_only = len(below) == 1 and step.inputs[0] in fields
    if len(known) < len(below) or (not first_only and isinstance(step.op, ConvOp | Matmul)):
        return None
    if geometry is not None:
        return tuple(
            (low - before * jump, high - before * jump + (k - 1) * gap * jump, jump * stride)
            for (low, high, jump), k, stride, (before, _), gap in zip(
                known[0], *geometry, strict=True
            )
        )
    shape = graph.specs[step.output].shape
    if isinstance(step.op, Pad):
        width = step.op.width[1:-1]
        return tuple(
            (low - before * jump, high - before * jump, jump)
            for (low, high, jump), (before, _) in zip(known[0], width, strict=True)
        )
    by_pixel = isinstance(step.op, Elementwise | Matmul) or getattr(step.op, "axis", 0) == -1
    sizes = {graph.specs[slot].shape[1:-1] for slot in step.inputs if graph.specs[slot].ndim > 2}
    jumps = {tuple(jump for _, _, jump in field) for field in known}
    fits = len(shape) > 2 and sizes == {shape[1:-1]} and len(jumps) == 1
    if not by_pixel or not fits or isinstance(step.op, Reduce):
        return None
    return tuple(
        (min(a for a, _, _ in axis), max(b for _, b, _ in axis), axis[0][2])
        for axis in zip(*known, strict=True)
    )


def _bias(step: Step, readers: list[Step], graph: Graph) -> list[Vertex]:
    """The parameter that the only reader of the step adds to it, if there is one."""
    if step.op.style != "linear" or len(readers) != 1 or not isinstance(readers[0].op, Add):
        return []
    others = [graph.vertices[slot] for slot in readers[0].inputs if slot != step.output]
    return [v for v in others if _learns(v) and np.ndim(v._data) == 1]


def _note(step: Step, n: Shape, k: Shape, s: Shape, p: tuple[tuple[int, int], ...]) -> str:
    """What a pool never looks at, in words."""
    if step.op.style != "pool":
        return ""
    if any(stride > size for size, stride in zip(k, s, strict=True)):
        return (
            f"the stride {brief(s)} is larger than the window {brief(k)}, so some pixels are"
            " never looked at; chapter 7.2 wants k ≥ stride"
        )
    over = [
        max((size + before + after - window) % stride - after, 0)
        for size, window, stride, (before, after) in zip(n, k, s, p, strict=True)
    ]
    if any(over):
        return f"the last {brief(tuple(over))} rows or columns of pixels are in no window"
    return ""


def _cells(row: Row) -> tuple[str, ...]:
    def arrow(a: Any, b: Any) -> str:
        return f"{a} → {b}" if a != b else str(a)

    return (
        row.name,
        row.op,
        f"{brief(row.n_in)} → {brief(row.n_out)}" if row.n_in else "",
        arrow(row.m_in, row.m_out),
        brief(row.k) if row.k else "",
        brief(row.s) if row.s else "",
        "×".join(str(b) if b == a else f"({b},{a})" for b, a in row.p),
        f"{row.weights:,}",
        f"{row.dense:,}",
        brief(row.field) if row.field else "" if row.n_in else "all",
    )
