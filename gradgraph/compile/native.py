"""Calls on small arrays as instructions of the machine (kernels/numba_/machine.py).

For each op that the machine knows, `instruction` gives the row of numbers that does the same. The
machine takes as many calls in a row as it knows; where it meets what only numpy handles well (a NaN
in a softmax, a label that is no class), Python does the whole run of calls again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any
from weakref import ref

import numpy as np

from ..node import Array, Vertex
from ..ops.activation import Relu
from ..ops.classify import CrossEntropy
from ..ops.conv import Conv, ConvFilter, ConvInput
from ..ops.elementwise import Mask
from ..ops.linalg import Matmul
from ..ops.pool import MaxPool, Place
from ..ops.reduce import Mean, Sum
from ..ops.select import OneHot
from ..ops.shape import Reshape, Transpose
from ..ops.softmax import Softmax
from ..spec import Shape, Spec
from .effect import Change
from .fused import Finished, Kept
from .program import Call, Program, Value

SMALL = 1 << 18  # bytes of all results, up to which Python takes longer than the work
WORK = 1 << 21  # operations, up to which that holds
FLOAT, BYTE, LONG = (np.dtype(t) for t in (np.float32, np.uint8, np.int64))

Row = list[int]


def small(program: Program) -> bool:
    """Whether calling the ops of a program takes longer than what they do."""
    results = sum(v.spec.nbytes for c in program.calls for v in c.outputs)
    return results <= SMALL and sum(map(_work, program.calls)) <= WORK


def _work(call: Call) -> int:
    given = [v.spec for v in call.inputs]
    outs = [v.spec for v in call.outputs[: call.op.outputs]]
    if isinstance(call.op, Change):
        return given[0].size
    try:
        return int(call.op.flops(outs[0] if len(outs) == 1 else tuple(outs), *given))
    except Exception:
        return WORK + 1


class Places:
    """The table of addresses, and whose they are.

    Attributes:
        table: an address for each value that instructions read or write.
        moving: values that lie elsewhere in each run: their numbers in the table.
    """

    def __init__(self, program: Program, arena: Callable[[Value], Array | None]) -> None:
        self.table = np.zeros(0, np.int64)
        self.moving: dict[Value, int] = {}
        self.views = views(program)
        self._known: dict[Any, int] = {}
        self._addresses: list[int] = []
        self._held: list[Any] = []
        self._arena = arena

    def finish(self) -> None:
        """No more values will come."""
        self.table = np.array(self._addresses, np.int64)

    def of(self, value: Value, *kinds: np.dtype[Any]) -> int | None:
        """The number of a value in the table, if it is contiguous and of one of these dtypes."""
        whole, strides = self.views.get(value, (value, None))
        if strides is not None:
            return None
        return self.of_whole(whole, *kinds)

    def of_whole(self, value: Value, *kinds: np.dtype[Any]) -> int | None:
        """The same for one that is no view."""
        kinds = kinds or (FLOAT,)
        weak = value.kind == "constant" and not isinstance(value.held, np.ndarray)
        if not weak and value.spec.dtype not in kinds:
            return None
        if weak and isinstance(value.held, complex):
            return None
        if value not in self._known:
            if value.kind == "constant":
                held = np.ascontiguousarray(value.held, FLOAT if weak else None)
                self._known[value] = self.fixed(held)
            elif (array := self._arena(value)) is not None:
                self._known[value] = self.fixed(array)
            else:
                self.moving[value] = self._known[value] = len(self._addresses)
                self._addresses.append(0)
        return self._known[value]

    def fixed(self, array: Array) -> int:
        """The number of an array that stays where it is."""
        self._held.append(array)
        self._addresses.append(array.ctypes.data)
        return len(self._addresses) - 1

    def same(self, value: Value, other: Value) -> None:
        """One value lies where another one does."""
        self._known[value] = self._known[other]


def views(program: Program) -> dict[Value, tuple[Value, Shape | None]]:
    """What is only another view of another value: that, and its strides in numbers (None if it is
    contiguous)."""
    found: dict[Value, tuple[Value, Shape | None]] = {}
    for call in program.calls:
        if not isinstance(call.op, Reshape | Transpose):
            continue
        (x,), (y,) = call.inputs, call.outputs
        whole, strides = found.get(x, (x, None))
        if isinstance(call.op, Reshape):
            if strides is None:
                found[y] = whole, None
        elif strides is None and x.spec.ndim == 2 and call.op.axes == (1, 0):
            found[y] = whole, (1, x.spec.shape[1])
    return found


def instruction(call: Call, places: Places) -> Row | None:
    """What the machine does for a call; None if it cannot."""
    op: Any = call.op
    ins, outs = call.inputs, call.outputs
    known = next((give for kinds, give in _GIVE if type(op) in kinds), None)
    if known is None:
        if isinstance(op.forward, np.ufunc):
            known = _elementwise
        else:
            return None
    row = known(op, ins, outs, places)
    if row is None or any(n is None for n in row):
        return None
    return row  # type: ignore[no-any-return]


def _machine() -> Any:
    from ..kernels.numba_ import machine

    return machine


def _broadcast(x: Spec, out: Spec) -> tuple[int, int] | None:
    """(div, mod) with which element i of the result meets element (i // div) % mod of x."""
    shape = (1,) * (out.ndim - x.ndim) + x.shape
    full = [k for k, (n, m) in enumerate(zip(shape, out.shape, strict=True)) if n == m and m != 1]
    if any(n not in (1, m) for n, m in zip(shape, out.shape, strict=True)):
        return None
    if not full:
        return 1, 1
    first, last = full[0], full[-1]
    if any(shape[k] != out.shape[k] for k in range(first, last + 1)):
        return None
    return prod(out.shape[last + 1 :]), prod(out.shape[first : last + 1])


def _elementwise(op: Any, ins: Sequence[Value], outs: Sequence[Value], places: Places) -> Any:
    machine = _machine()
    out = outs[0]
    if op.forward is np.greater:
        head, kind = [machine.GREATER, places.of(out, np.dtype(bool))], 0
    elif op.forward in machine.UFUNCS:
        kind = machine.UFUNCS.index(op.forward)
        head = [machine.BINARY if len(ins) == 2 else machine.UNARY, places.of(out)]
    else:
        return None
    head += [places.of(x) for x in ins]
    if len(ins) == 1:
        return [*head, kind, out.spec.size] if ins[0].spec.shape == out.spec.shape else None
    patterns = [_broadcast(x.spec, out.spec) for x in ins]
    if None in patterns:
        return None
    return [*head, kind, out.spec.size, *(n for p in patterns for n in p or ())]


def _relu(op: Any, ins: Sequence[Value], outs: Sequence[Value], places: Places) -> Any:
    machine = _machine()
    zero = places.of(Value(Spec((), FLOAT, weak=True), "constant", 0.0))
    head = [machine.BINARY, places.of(outs[0]), places.of(ins[0]), zero]
    size = outs[0].spec.size
    return [*head, machine.UFUNCS.index(np.maximum), size, 1, size, 1, 1]


def _mask(op: Any, ins: Sequence[Value], outs: Sequence[Value], places: Places) -> Any:
    x, y = ins
    if x.spec.shape != y.spec.shape:
        return None
    machine = _machine()
    code, kinds = (machine.KEPT, (FLOAT,)) if isinstance(op, Kept) else (machine.MASK, (_BOOL,))
    return [code, places.of(outs[0]), places.of(x), places.of(y, *kinds), x.spec.size]


_BOOL = np.dtype(bool)


def _conv(op: Any, ins: Sequence[Value], outs: Sequence[Value], places: Places) -> Any:
    """A convolution or one of its gradients, with what it was fused with."""
    machine = _machine()
    bias: int | None = -1
    kept: int | None = -1
    relu = False
    plain = op
    if isinstance(op, Finished):
        plain, relu = op.parts[0][0], op.rectified
        bias = -1 if op.bias is None else places.of(ins[op.bias])
        kept = -1 if op.kept is None else places.of(ins[op.kept])
    if type(plain) not in (Conv, ConvInput, ConvFilter):
        return None
    stride, padding, dilation, groups = plain.geometry
    if groups != 1 or len(stride) > 2:
        return None
    image, slopes, filters = {
        Conv: (ins[0], outs[0], ins[1]),
        ConvInput: (outs[0], ins[0], ins[1]),
        ConvFilter: (ins[0], ins[1], outs[0]),
    }[type(plain)]
    if type(plain) is not Conv and (bias != -1 or relu):
        return None
    code = {Conv: machine.CONV, ConvInput: machine.CONV_INPUT, ConvFilter: machine.CONV_FILTER}
    flat = len(stride) == 1

    def two(values: Any, filler: int) -> Any:
        return (filler, *values) if flat else tuple(values)

    n, *size, depth = image.spec.shape
    *taps, _, channels = filters.spec.shape
    before = [b for b, _ in padding]
    return [
        code[type(plain)],
        places.of(outs[0]), places.of(ins[0]), places.of(ins[1]), bias, kept,
        n, *two(size, 1), depth, *two(taps, 1), channels, *two(slopes.spec.shape[1:-1], 1),
        *two(stride, 1), *two(before, 0), *two(dilation, 1), int(relu),
    ]  # fmt: skip


def _pool(op: Any, ins: Sequence[Value], outs: Sequence[Value], places: Places) -> Any:
    machine = _machine()
    kernel, stride, padding, dilation = op.geometry
    if len(kernel) != 2 or prod(kernel) > 256:
        return None
    if isinstance(op, MaxPool):
        image, small, winner = ins[0], outs[0], outs[1]
        code, where = machine.POOL, [places.of(outs[0]), places.of(ins[0])]
    else:
        image, small, winner = outs[0], ins[0], ins[1]
        code, where = machine.PLACE, [places.of(outs[0]), places.of(ins[0])]
    before = [b for b, _ in padding]
    return [
        code, *where, places.of(winner, BYTE), *image.spec.shape, *kernel,
        *small.spec.shape[1:3], *stride, *before, *dilation,
    ]  # fmt: skip


def _matmul(op: Any, ins: Sequence[Value], outs: Sequence[Value], places: Places) -> Any:
    if not all(v.spec.ndim == 2 for v in ins):
        return None
    given: list[int | None] = []
    steps: list[int] = []
    for v in ins:
        whole, strides = places.views.get(v, (v, None))
        given.append(places.of_whole(whole))
        steps += strides or (v.spec.shape[1], 1)
    (rows, depth), columns = ins[0].spec.shape, ins[1].spec.shape[1]
    return [_machine().MATMUL, places.of(outs[0]), *given, rows, depth, columns, *steps]


def _sum(op: Any, ins: Sequence[Value], outs: Sequence[Value], places: Places) -> Any:
    (x,) = ins
    axes = sorted(a + x.spec.ndim for a in op.axis)
    if not axes or axes != list(range(axes[0], axes[-1] + 1)):
        return None
    shape = x.spec.shape
    count = prod(shape[axes[0] : axes[-1] + 1])
    around = prod(shape[: axes[0]]), count, prod(shape[axes[-1] + 1 :])
    divisor = count if isinstance(op, Mean) else 1
    return [_machine().SUM, places.of(outs[0]), places.of(x), *around, divisor]


def _softmax(op: Any, ins: Sequence[Value], outs: Sequence[Value], places: Places) -> Any:
    x = ins[0]
    if op.axis not in (-1, (-1,)) or not x.spec.size:
        return None
    columns = x.spec.shape[-1]
    where = places.of(outs[0]), places.of(x)
    return [_machine().SOFTMAX, *where, x.spec.size // columns, columns]


def _cross_entropy(op: Any, ins: Sequence[Value], outs: Sequence[Value], places: Places) -> Any:
    logits, labels = ins
    if op.reduction == "none" or not logits.spec.size:
        return None
    where = places.of(outs[0]), places.of(logits), places.of(labels, LONG)
    sizes = labels.spec.size, logits.spec.shape[-1], int(op.reduction == "mean")
    return [_machine().CROSS_ENTROPY, *where, *sizes]


def _one_hot(op: Any, ins: Sequence[Value], outs: Sequence[Value], places: Places) -> Any:
    where = places.of(outs[0]), places.of(ins[0], LONG)
    return [_machine().ONE_HOT, *where, ins[0].spec.size, op.classes]


_GIVE: list[tuple[tuple[type, ...], Callable[..., Any]]] = [
    ((Finished, Conv, ConvInput, ConvFilter), _conv),
    ((MaxPool, Place), _pool),
    ((Matmul,), _matmul),
    ((Sum, Mean), _sum),
    ((Relu,), _relu),
    ((Kept, Mask), _mask),
    ((Softmax,), _softmax),
    ((CrossEntropy,), _cross_entropy),
    ((OneHot,), _one_hot),
]


class Updates:
    """What optimisers do, as instructions: the numbers of each are read before every run."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.targets: list[tuple[int, Vertex]] = []  # whose array is to be written to
        self.settings: list[tuple[Array, Callable[[], Sequence[float]]]] = []
        self._known: dict[int, int] = {}

    def instruction(self, call: Call) -> Row | None:
        """What changes a leaf, if the machine knows how."""
        op: Any = call.op
        recipe = op.recipe
        before, slope = call.inputs[0], call.inputs[-1]
        if recipe is None or recipe.kind != "sgd" or before.kind != "state":
            return None
        if any(t._data.dtype != FLOAT for t in (op.target, *recipe.slots)):
            return None
        g, w = self.places.of(slope), self.places.of(before)
        if g is None or w is None:
            return None
        key = id(recipe.owner)
        if key not in self._known:
            numbers = np.zeros(8)
            self.settings.append((numbers, recipe.numbers))
            self._known[key] = self.places.fixed(numbers)
        self.targets.append((w, op.target))
        slots = []
        for t in recipe.slots:
            slots.append(self.places.fixed(np.zeros(1, FLOAT)))
            self.targets.append((slots[-1], t))
        self.places.same(call.outputs[0], before)
        row = [_machine().SGD, w, g, *(slots or [-1]), self._known[key], before.spec.size]
        return row


class Segment:
    """A run of calls that the machine carries out.

    Args:
        rows: its instructions.
        places: the table of addresses.
        inputs: what lies elsewhere in each run: the number in the table, and where it is found.
        updates: the leaves that are written to, and the numbers of their optimisers.
        otherwise: does the same in Python.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        places: Places,
        inputs: Sequence[tuple[int, int]],
        leaves: Sequence[tuple[int, Vertex]],
        updates: Updates,
        otherwise: Callable[[list[Any]], None],
    ) -> None:
        machine = _machine()
        self._execute, self._done = machine.execute, machine.DONE
        self._code = np.zeros((len(rows), machine.ROW), np.int64)
        for line, row in zip(self._code, rows, strict=True):
            line[: len(row)] = row
        self._where = self._code.ctypes.data, len(rows)
        self._places, self._inputs, self._leaves = places, inputs, leaves
        self._updates, self._otherwise = updates, otherwise
        self._seen: dict[int, Any] = {}

    def __call__(self, v: list[Any]) -> None:
        table = self._places.table
        fine = True
        held = [np.asarray(v[slot], order="C") for _, slot in self._inputs]
        for (number, _), array in zip(self._inputs, held, strict=True):
            table[number] = array.ctypes.data
        for number, leaf in self._leaves:
            fine = self._point(table, number, leaf._data) and fine
        for number, leaf in self._updates.targets:
            fine = self._point(table, number, leaf.own()) and fine
        for numbers, ask in self._updates.settings:
            given = ask()
            numbers[: len(given)] = given
        code, count = self._where
        if not fine or self._execute(code, table.ctypes.data, count) != self._done:
            self._otherwise(v)

    def _point(self, table: Array, number: int, array: Array) -> bool:
        """Note where the array of a leaf is: mostly where it was. False if it is not contiguous."""
        seen = self._seen.get(number)
        if seen is not None and seen() is array:
            return True
        if not array.flags.c_contiguous:
            self._seen.pop(number, None)
            return False
        self._seen[number] = ref(array)
        table[number] = array.ctypes.data
        return True
