"""What each layer of a network is, in the symbols of the chapter: n, m, k, s, p."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

from ..compile import Compiled
from ..errors import DTypeError
from ..graph import Graph, Step
from ..mode import capture, enable_grad
from ..node import Vertex
from ..op import Part
from ..ops.arithmetic import Add, Divide, Multiply, Subtract
from ..ops.average import WindowMean
from ..ops.conv import Conv as ConvOp
from ..ops.conv import ConvInput
from ..ops.elementwise import Elementwise
from ..ops.linalg import Matmul
from ..ops.normalisation import Standardise
from ..ops.pad import Pad
from ..ops.pool import MaxPool as MaxPoolOp
from ..ops.reduce import Reduce
from ..ops.shape import Reshape, Transpose
from ..spec import Shape, Spec, brief
from ..trace import given
from .dropout import Dropout
from .module import Module, unchanged
from .norm import BatchNorm

# For each spatial axis: first and last + 1 pixel of the input that the result at 0 sees, and how
# many pixels of the input lie between neighbouring results.
Field = tuple[tuple[int, int, int], ...]

_AFFINE = (Add, Subtract, Multiply, Divide)
_HEAD = ("layer", "op", "n", "m", "k", "s", "p", "output", "weights", "dense", "flops", "field")


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
        shape: of the result.
        weights: numbers that the layer learns, m (k² m' + 1) for a filter layer.
        flops: floating point operations, a bias included (a multiply-add is two).
        dense: numbers that a fully connected layer of the same sizes would learn; 0 for a pool or
            a normalisation.
        field: receptive field: how many pixels of the input a result can depend on, along each
            axis, by way of the mean and variance of a normalisation left aside; empty if on all,
            or if it is not known.
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
    shape: Shape
    weights: int
    flops: int
    dense: int
    field: Shape
    note: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The layers of a network, in the order in which they ran; prints as a table.

    Attributes:
        rows: one for each layer that has weights, normalises or pools.
        weights: numbers that all of them hold, frozen ones too.
        frozen: how many of these do not learn.
        flops: floating point operations of one run, of what has no row too.
        others: how many ops have no row: activations, sums, changes of shape.
        mode: "training" or "use", if the module has layers for which it makes a difference.
    """

    rows: tuple[Row, ...]
    weights: int
    frozen: int
    flops: int
    others: int
    mode: str

    def __str__(self) -> str:
        lines = [_HEAD, *map(_cells, self.rows)]
        if self.others:
            told = {
                "layer": "others",
                "op": f"{self.others:,} op{'s' * (self.others > 1)}",
                "flops": f"{self.flops - sum(row.flops for row in self.rows):,}",
            }
            lines.append(tuple(told.get(column, "") for column in _HEAD))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        notes = [f"note: {row.name}: {row.note}" for row in self.rows if row.note]
        total = f"{self.weights:,} weights in all"
        if self.frozen:
            total += f", {self.frozen:,} of them frozen"
        if self.weights != sum(row.weights for row in self.rows):
            total += " (each once, those outside these layers too)"
        total += f", {self.flops:,} floating point operations"
        if self.mode:
            notes.append(f"note: run as in {self.mode}")
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
    >>> print(summary(net, (1, 8, 8, 3)))
    layer         op        n          m      k    s    p    output   weights  dense   flops   field
    sequential.0  conv      8×8 → 8×8  3 → 8  3×3  1×1  1×1  1×8×8×8  224      98,816  28,160  3×3
    sequential.1  max_pool  8×8 → 4×4  8      2×2  2×2  0×0  1×4×4×8  0        0       512     4×4
    224 weights in all, 28,672 floating point operations
    """
    module = module.__wrapped__ if isinstance(module, Compiled) else module
    graph = started(module, x)
    module = getattr(module, "__self__", module)
    kept = set(module.frozen()) if isinstance(module, Module) else set()
    frozen = {i for i in graph.constants if graph.vertices[i] in kept}
    rows, others = _rows(graph, frozen)
    fixed = sum(graph.specs[i].size for i in frozen)
    return Summary(
        tuple(rows), graph.parameters() + fixed, fixed, graph.flops(), others, _mode(module)
    )


def started(module: Any, x: Any, where: str = "summary") -> Graph:
    """The graph of one run of a module on an input, or of none on a shape or spec; `where` is the
    function that errors name."""
    start = given(x, where)
    with enable_grad(), capture(), unchanged(module):
        out = module(start)
    if not isinstance(out, Vertex):
        raise DTypeError(
            where,
            f"the module returned {type(out).__name__}, not a tensor",
            "Pass a module or a function that returns one tensor.",
        )
    return Graph.of(out, inputs=start)


def _mode(module: Any) -> str:
    """In which mode it runs, if it has layers that have two."""
    if not isinstance(module, Module):
        return ""
    modes = {m.training for m in module.modules() if isinstance(m, BatchNorm | Dropout)}
    return "" if len(modes) != 1 else "training" if modes.pop() else "use (eval)"


def _rows(graph: Graph, frozen: set[int]) -> tuple[list[Row], int]:
    """A row for each layer, and how many ops are in none; the receptive field follows every step.

    A bias belongs to the layer before it, and so do the scale and shift of a normalisation, which
    without statistics of its own is a few products and sums in one scope.
    """
    start = graph.inputs[0]
    fields: dict[int, Field | None] = {start: ((0, 1, 1),) * (graph.specs[start].ndim - 2)}
    learned = {i for i in graph.constants if graph.vertices[i].requires_grad} | frozen
    readers: dict[int, list[Step]] = {}
    makers = {step.output: step for step in graph.steps}
    for step in graph.steps:
        for slot in step.inputs:
            readers.setdefault(slot, []).append(step)
    biases: set[int] = set()  # outputs of the steps that add the bias of the layer before
    rows: list[Row] = []
    normal: dict[int, tuple[int, str]] = {}  # the result of a normalisation so far: row and scope
    others: list[Step] = []
    for step in graph.steps:
        geometry = _geometry(step, graph)
        if any(slot in fields for slot in step.inputs):
            fields[step.output] = _field(step, geometry, fields, graph)
        if step.output in biases or isinstance(step.op, Part):
            continue
        own = {_source(slot, makers) for slot in step.inputs} & learned
        places = (_made(slot, makers) for slot in step.inputs)
        norm, scope = next((normal[i] for i in places if i in normal), (-1, ""))
        if norm >= 0 and scope == step.scope and own and isinstance(step.op, _AFFINE):
            normal[step.output] = norm, scope
            shape = graph.specs[step.output].shape
            rows[norm] = replace(
                rows[norm],
                n_out=shape[1:-1],
                m_out=shape[-1] if shape else 1,
                shape=shape,
                weights=rows[norm].weights + sum(graph.specs[slot].size for slot in own),
                flops=rows[norm].flops + graph.cost(step),
            )
            continue
        if (
            geometry is None
            and not isinstance(step.op, Matmul | Standardise)
            and not (own and step.output in fields)
        ):
            others.append(step)
            continue
        bias = _bias(step, readers.get(step.output, []), graph, learned)
        weights = sum(graph.specs[slot].size for slot in own)
        flops = graph.cost(step)
        if geometry is None and step.scope and isinstance(step.op, _AFFINE):
            normal[step.output] = len(rows), step.scope
            while others and _before(others[-1], step):
                flops += graph.cost(others.pop())
        if bias is not None:
            biases.add(bias.output)
            weights += sum(graph.specs[slot].size for slot in bias.inputs if slot in learned)
            flops += graph.cost(bias)
        data = [slot for slot in step.inputs if _source(slot, makers) not in learned]
        source = (data or step.inputs)[0]
        if isinstance(step.op, Standardise):  # of groups it normalises another shape
            source, normal[step.output] = _made(source, makers), (len(rows), step.scope)
        x, y = graph.specs[source], result(step, graph)
        if geometry is None:
            k: Shape = ()
            s: Shape = ()
            p: tuple[tuple[int, int], ...] = ()
            dense, note = weights, ""
        else:
            k, s, p, d = geometry
            units = prod(y.shape[1:])
            dense = units * (prod(x.shape[1:]) + bool(bias)) if len(step.inputs) > 1 else 0
            note = _note(step, x.shape[1:-1], k, s, p, d)
        field = fields.get(step.output)
        rows.append(
            Row(
                name=step.scope or step.op.name,
                op=step.op.name,
                n_in=x.shape[1:-1],
                n_out=y.shape[1:-1],
                m_in=x.shape[-1] if x.ndim else 1,
                m_out=y.shape[-1] if y.ndim else 1,
                k=k,
                s=s,
                p=p,
                shape=y.shape,
                weights=weights,
                flops=flops,
                dense=dense,
                field=tuple(high - low for low, high, _ in field or ()),
                note=note,
            )
        )
    return rows, len(others)


def _before(step: Step, last: Step) -> bool:
    """Whether a step belongs to the same layer of products and sums as the last one."""
    return (
        step.scope == last.scope
        and isinstance(step.op, Elementwise)
        and (step.op.style != "activation")
    )


def result(step: Step, graph: Graph) -> Spec:
    """What a step gives: the first of several outputs, for the others are for its rules."""
    spec = graph.specs[step.output]
    return spec[0] if isinstance(spec, tuple) else spec  # type: ignore[no-any-return]


def _geometry(step: Step, graph: Graph) -> Any:
    """(kernel, stride, padding, dilation) of a layer that slides a window, else None."""
    op = step.op
    if isinstance(op, ConvOp | ConvInput):
        return graph.specs[step.inputs[1]].shape[:-2], op.stride, op.padding, op.dilation
    if isinstance(op, MaxPoolOp | WindowMean):
        return op.kernel, op.stride, op.padding, op.dilation
    return None


def _field(
    step: Step, geometry: Any, fields: dict[int, Field | None], graph: Graph
) -> Field | None:
    """What one result sees; None if that is not known, or everything.

    A window of k pixels that lie `jump` pixels of the input apart adds (k - 1) · jump; a stride
    multiplies the jump. Branches that meet see what any of them sees.
    """
    if isinstance(step.op, Part | Standardise):  # what it sees by way of a mean is left aside
        return fields[step.inputs[0]]
    below = [fields[slot] for slot in step.inputs if slot in fields]
    known = [field for field in below if field is not None]
    first_only = len(below) == 1 and step.inputs[0] in fields
    if len(known) < len(below) or (not first_only and isinstance(step.op, ConvOp | Matmul)):
        return None
    if isinstance(step.op, ConvInput):
        return None  # it may differ from one result to the next
    if geometry is not None:
        return tuple(
            (low - before * jump, high - before * jump + (k - 1) * gap * jump, jump * stride)
            for (low, high, jump), k, stride, (before, _), gap in zip(
                known[0], *geometry, strict=True
            )
        )
    shape = result(step, graph).shape
    if isinstance(step.op, Pad):
        width = step.op.width[1:-1]
        return tuple(
            (low - before * jump, high - before * jump, jump)
            for (low, high, jump), (before, _) in zip(known[0], width, strict=True)
        )
    by_pixel = isinstance(step.op, Elementwise | Matmul) or getattr(step.op, "axis", 0) in (
        -1,
        (-1,),
    )
    sizes = {graph.specs[slot].shape[1:-1] for slot in step.inputs if graph.specs[slot].ndim > 2}
    jumps = {tuple(jump for _, _, jump in field) for field in known}
    fits = len(shape) > 2 and sizes == {shape[1:-1]} and len(jumps) == 1
    if not by_pixel or not fits or isinstance(step.op, Reduce):
        return None
    return tuple(
        (min(a for a, _, _ in axis), max(b for _, b, _ in axis), axis[0][2])
        for axis in zip(*known, strict=True)
    )


def _source(slot: int, makers: dict[int, Step]) -> int:
    """The slot that this one is a reshaped or transposed form of: a depthwise filter is reshaped
    for its conv, and weights with a row for each output are transposed."""
    while slot in makers and isinstance(makers[slot].op, Reshape | Transpose):
        slot = makers[slot].inputs[0]
    return slot


def _made(slot: int, makers: dict[int, Step]) -> int:
    """The slot that this one is a part of, or that it holds in another shape."""
    while slot in makers and isinstance(makers[slot].op, Reshape | Part):
        slot = makers[slot].inputs[0]
    return slot


def _bias(step: Step, readers: list[Step], graph: Graph, learned: set[int]) -> Step | None:
    """The only reader of the step, if it adds a vector that is learned."""
    if step.op.style != "linear" or len(readers) != 1 or not isinstance(readers[0].op, Add):
        return None
    others = [slot for slot in readers[0].inputs if slot != step.output]
    if readers[0].scope != step.scope:
        return None
    fits = others and all(slot in learned and graph.specs[slot].ndim == 1 for slot in others)
    return readers[0] if fits else None


def _note(
    step: Step, n: Shape, k: Shape, s: Shape, p: tuple[tuple[int, int], ...], d: Shape
) -> str:
    """What a pool never looks at, in words."""
    if step.op.style != "pool":
        return ""
    if any(stride > size for size, stride in zip(k, s, strict=True)):
        return (
            f"the stride {brief(s)} is larger than the window {brief(k)}, so some pixels are"
            " never looked at; chapter 7.2 wants k ≥ stride"
        )
    if any(_leaves_gaps(*axis) for axis in zip(k, s, d, strict=True)):
        return (
            f"with a window {brief(k)}, dilation {brief(d)} and stride {brief(s)} some pixels are"
            " never looked at"
        )
    over = [
        max((size + before + after - gap * (window - 1) - 1) % stride - after, 0)
        for size, window, stride, (before, after), gap in zip(n, k, s, p, d, strict=True)
    ]
    if any(over):
        return f"the last {brief(tuple(over))} rows or columns of pixels are in no window"
    return ""


def _leaves_gaps(k: int, stride: int, dilation: int) -> bool:
    """Whether there are pixels that no tap of a window meets, wherever the window stands."""
    return len({tap * dilation % stride for tap in range(k)}) < stride


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
        brief(row.shape),
        f"{row.weights:,}",
        f"{row.dense:,}",
        f"{row.flops:,}",
        brief(row.field) if row.field else "" if row.n_in else "all",
    )
