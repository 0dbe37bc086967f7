"""What is done with whole vectors: building blocks of instructions that are written out one by one.

A compiler that has to find vectors by itself finds them by luck. Here loads, stores and fused
multiply-adds are asked for explicitly, and Python loops unroll them, so that the sums stay in
registers. All numbers are float32; places in memory are addresses in bytes, and it is the caller's
duty that they are right. Nothing is aligned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..toom import Matrix, Toom

X86 = binding.get_process_triple().startswith(("x86_64", "i686"))
WIDE = binding.get_host_cpu_features().get("avx512f", False)
LANES = 16 if WIDE else 8  # numbers in a vector
ROWS = 8 if WIDE else 4  # rows of a panel: with two vectors each they fill half of the registers
FLOAT = 4  # bytes

SHORT = (Toom.of(2, 3), Toom.of(4, 3), Toom.of(4, 5))  # by number; the first is the most accurate

_F, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_V = ir.VectorType(_F, LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)
_Block = Any  # an ir.IRBuilder


def _int(n: int) -> Any:
    return ir.Constant(_I64, n)


def _place(b: _Block, base: Any, offset: Any) -> Any:
    return b.inttoptr(b.add(base, offset), ir.PointerType())


def _load(b: _Block, base: Any, offset: Any) -> Any:
    return b.load(_place(b, base, offset), typ=_V, align=FLOAT)


def _store(b: _Block, value: Any, base: Any, offset: Any) -> None:
    b.store(value, _place(b, base, offset), align=FLOAT)


def _everywhere(b: _Block, number: Any) -> Any:
    """A vector that holds the number in all lanes."""
    none = ir.Constant(_V, ir.Undefined)
    first = b.insert_element(none, number, ir.Constant(_I32, 0))
    return b.shuffle_vector(first, none, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def _constant(value: float) -> Any:
    return ir.Constant(_V, [value] * LANES)


def _fma(b: _Block, x: Any, y: Any, z: Any) -> Any:
    kind = ir.FunctionType(_V, [_V, _V, _V])
    return b.call(
        cgutils.get_or_insert_function(b.module, kind, f"llvm.fma.v{LANES}f32"), [x, y, z]
    )


def _panel(vectors: int) -> Any:
    """c[r, :] += Σ_t Σ_k a[r · row + offset_t + k · step] · b[t, k, :] for ROWS rows r, where c and
    b have so many vectors in a row.

    Arguments: a, row, step; the number of taps t and the address of their offsets in bytes; depth
    (the number of k); b, from one of its rows to the next; c, from one of its rows to the next;
    whether to add to c. All sums are in registers until the end.
    """

    @intrinsic
    def panel(
        context: Any, a: Any, row: Any, step: Any, taps: Any, offsets: Any, depth: Any,
        b: Any, b_row: Any, c: Any, c_row: Any, add: Any,
    ) -> Any:  # fmt: skip
        return types.void(*[types.int64] * 11), generate

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        a, row, step, taps, offsets, depth, data, data_row, c, c_row, add = arguments
        rows = [b.mul(row, _int(r)) for r in range(ROWS)]
        places = [
            b.add(b.mul(c_row, _int(r)), _int(v * LANES * FLOAT))
            for r in range(ROWS)
            for v in range(vectors)
        ]
        entry = b.block
        before, outer, inner, next_tap, done = map(b.append_basic_block, ("before", *"oind"))
        b.cbranch(b.icmp_signed("!=", add, _int(0)), before, outer)
        b.position_at_end(before)
        held = [_load(b, c, place) for place in places]
        b.branch(outer)

        b.position_at_end(outer)
        tap, start = b.phi(_I64), b.phi(_I64)
        sums = [b.phi(_V) for _ in places]
        for block in (entry, before):
            tap.add_incoming(_int(0), block)
            start.add_incoming(data, block)
        for total, value in zip(sums, held, strict=True):
            total.add_incoming(_constant(0.0), entry)
            total.add_incoming(value, before)
        shift = b.load(_place(b, offsets, b.mul(tap, _int(8))), typ=_I64, align=8)
        first = b.add(a, shift)
        b.branch(inner)

        b.position_at_end(inner)
        k, at, line = b.phi(_I64), b.phi(_I64), b.phi(_I64)
        part = [b.phi(_V) for _ in places]
        for phi, value in ((k, _int(0)), (at, first), (line, start)):
            phi.add_incoming(value, outer)
        for phi, value in zip(part, sums, strict=True):
            phi.add_incoming(value, outer)
        vectors_of_b = [_load(b, line, _int(v * LANES * FLOAT)) for v in range(vectors)]
        new = []
        for r in range(ROWS):
            x = _everywhere(b, b.load(_place(b, at, rows[r]), typ=_F, align=FLOAT))
            for v in range(vectors):
                new.append(_fma(b, x, vectors_of_b[v], part[r * vectors + v]))
        k_next, line_next = b.add(k, _int(1)), b.add(line, data_row)
        for phi, value in ((k, k_next), (at, b.add(at, step)), (line, line_next)):
            phi.add_incoming(value, inner)
        for phi, value in zip(part, new, strict=True):
            phi.add_incoming(value, inner)
        b.cbranch(b.icmp_signed("<", k_next, depth), inner, next_tap)

        b.position_at_end(next_tap)
        tap_next = b.add(tap, _int(1))
        tap.add_incoming(tap_next, next_tap)
        start.add_incoming(line_next, next_tap)
        for total, value in zip(sums, new, strict=True):
            total.add_incoming(value, next_tap)
        b.cbranch(b.icmp_signed("<", tap_next, taps), outer, done)

        b.position_at_end(done)
        for value, place in zip(new, places, strict=True):
            _store(b, value, c, place)
        return context.get_dummy_value()

    return panel


def _loop(b: _Block, count: Any, start: Any, steps: Sequence[Any], body: Any) -> Any:
    """A sum that stays in registers: total = body(total, k, places) for k from 0 to count - 1,
    where the places go on by a step each time. At least once."""
    before, inner, done = b.block, b.append_basic_block("loop"), b.append_basic_block("done")
    b.branch(inner)
    b.position_at_end(inner)
    k, total = b.phi(_I64), b.phi(_V)
    places = [b.phi(_I64) for _ in steps]
    new = body(total, k, places)
    k_next = b.add(k, _int(1))
    k.add_incoming(_int(0), before)
    k.add_incoming(k_next, inner)
    total.add_incoming(start, before)
    total.add_incoming(new, inner)
    for place, (first, step) in zip(places, steps, strict=True):
        place.add_incoming(first, before)
        place.add_incoming(b.add(place, step), inner)
    b.cbranch(b.icmp_signed("<", k_next, count), inner, done)
    b.position_at_end(done)
    return new


@intrinsic
def dot_taps(context: Any, x: Any, offsets: Any, taps: Any, w: Any, w_step: Any, y: Any) -> Any:
    """y = Σ_t x[offset_t] · w[t] for one vector."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        x, offsets, taps, w, w_step, y = arguments

        def body(total: Any, _: Any, places: Any) -> Any:
            table, weight = places
            shift = b.load(_place(b, table, _int(0)), typ=_I64, align=8)
            return _fma(b, _load(b, x, shift), _load(b, weight, _int(0)), total)

        steps = [(offsets, _int(8)), (w, w_step)]
        _store(b, _loop(b, taps, _constant(0.0), steps, body), y, _int(0))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@intrinsic
def dot_steps(
    context: Any, x: Any, x_step: Any, g: Any, g_step: Any, count: Any, total: Any
) -> Any:
    """total += Σ_k x[k] · g[k] for one vector, with x and g at steps."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        x, x_step, g, g_step, count, total = arguments

        def body(sum_: Any, _: Any, places: Any) -> Any:
            left, right = places
            return _fma(b, _load(b, left, _int(0)), _load(b, right, _int(0)), sum_)

        steps = [(x, x_step), (g, g_step)]
        _store(b, _loop(b, count, _load(b, total, _int(0)), steps, body), total, _int(0))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


def _combined(b: _Block, matrix: Matrix, x: Sequence[Any]) -> list[Any]:
    """matrix · x for vectors x. Two rows that differ in the signs of some columns share their
    sums: even + odd, even - odd."""
    out: list[Any] = [None] * len(matrix)
    for i, row in enumerate(matrix):
        if out[i] is not None:
            continue
        out[i] = _sum(b, row, x)
        for j in range(i + 1, len(matrix)):
            even = [u if u == v else Fraction(0) for u, v in zip(row, matrix[j], strict=True)]
            odd = [u if u == -v else Fraction(0) for u, v in zip(row, matrix[j], strict=True)]
            plus = tuple(p + q for p, q in zip(even, odd, strict=True))
            minus = tuple(p - q for p, q in zip(even, odd, strict=True))
            if any(even) and any(odd) and (plus, minus) == (row, matrix[j]):
                e, o = _sum(b, even, x), _sum(b, odd, x)
                out[i], out[j] = b.fadd(e, o), b.fsub(e, o)
    return out


def _sum(b: _Block, row: Sequence[Fraction], x: Sequence[Any]) -> Any:
    """Σ row[k] · x[k], without products by 0, 1 and -1."""
    terms = sorted(
        ((f, v) for f, v in zip(row, x, strict=True) if f), key=lambda term: term[0] != 1
    )
    (factor, total), *rest = terms
    if factor != 1:
        total = b.fmul(_constant(float(factor)), total)
    for factor, value in rest:
        if factor == 1:
            total = b.fadd(total, value)
        elif factor == -1:
            total = b.fsub(total, value)
        else:
            total = _fma(b, _constant(float(factor)), value, total)
    return total


def _both_ways(
    b: _Block, matrix: Matrix, source: Sequence[Any], to: Callable[[int, int, Any], None]
) -> None:
    """matrix · x · matrixᵀ of a patch x of vectors, handed to `to(i, j, vector)`."""
    start, row, column = source
    n = len(matrix[0])
    lines = [
        [b.add(b.mul(row, _int(i)), b.mul(column, _int(j))) for i in range(n)] for j in range(n)
    ]
    half = [_combined(b, matrix, [_load(b, start, place) for place in line]) for line in lines]
    for i in range(len(matrix)):
        for j, value in enumerate(_combined(b, matrix, [column[i] for column in half])):
            to(i, j, value)


def _choice(matrices: Sequence[Matrix], write: Any) -> Callable[..., Any]:
    """A generator that does `write` with one of the matrices, chosen by the first argument."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        which, *rest = arguments
        done = b.append_basic_block("done")
        switch = b.switch(which, done)
        for number, matrix in enumerate(matrices):
            block = b.append_basic_block("case")
            switch.add_case(_int(number), block)
            b.position_at_end(block)
            write(b, matrix, *rest)
            b.branch(done)
        b.position_at_end(done)
        return context.get_dummy_value()

    return generate


def _write_plain(b: _Block, matrix: Matrix, *arguments: Any) -> None:
    *source, to, to_row, to_column = arguments

    def put(i: int, j: int, value: Any) -> None:
        _store(b, value, to, b.add(b.mul(to_row, _int(i)), b.mul(to_column, _int(j))))

    _both_ways(b, matrix, source, put)


def _write_result(b: _Block, matrix: Matrix, *arguments: Any) -> None:
    *source, to, to_row, to_column, flag = arguments
    strange = [_load(b, flag, _int(0))]

    def put(i: int, j: int, value: Any) -> None:
        strange[0] = _fma(b, value, _constant(0.0), strange[0])
        _store(b, value, to, b.add(b.mul(to_row, _int(i)), b.mul(to_column, _int(j))))

    _both_ways(b, matrix, source, put)
    _store(b, strange[0], flag, _int(0))


_transform_one = _choice(
    [m for s in SHORT for m in (s.data, s.filter, s.gradient, s.back)],
    _write_plain,
)
_result_one = _choice([short.result for short in SHORT], _write_result)

panel_1, panel_2 = _panel(1), _panel(2)


@intrinsic
def get(context: Any, place: Any) -> Any:
    """The number at an address."""

    def generate(_: Any, b: _Block, __: Any, arguments: Sequence[Any]) -> Any:
        return b.load(b.inttoptr(arguments[0], ir.PointerType()), typ=_F, align=FLOAT)

    return types.float32(types.int64), generate


@intrinsic
def copy(context: Any, to: Any, source: Any, count: Any) -> Any:
    """Copy numbers from one address to another; they must not overlap."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        to, source = (b.inttoptr(a, ir.PointerType()) for a in arguments[:2])
        cgutils.raw_memcpy(b, to, source, arguments[2], FLOAT)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def clear(context: Any, to: Any, count: Any) -> Any:
    """Write zeros to an address."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        size = b.mul(arguments[1], _int(FLOAT))
        cgutils.memset(b, b.inttoptr(arguments[0], ir.PointerType()), size, 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def fill(context: Any, to: Any, value: Any, count: Any) -> Any:
    """Write the same byte to so many places."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        to, value, count = arguments
        byte = b.trunc(value, ir.IntType(8))
        kind = ir.FunctionType(
            ir.VoidType(), [ir.PointerType(), ir.IntType(8), _I64, ir.IntType(1)]
        )
        memset = cgutils.get_or_insert_function(b.module, kind, "llvm.memset.p0.i64")
        off = ir.Constant(ir.IntType(1), 0)
        b.call(memset, [b.inttoptr(to, ir.PointerType()), byte, count, off])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@intrinsic
def glance(context: Any, place: Any) -> Any:
    """An int that another thread may change, after a pause as short as there is."""

    def generate(_: Any, b: _Block, __: Any, arguments: Sequence[Any]) -> Any:
        if X86:
            pause = ir.FunctionType(ir.VoidType(), [])
            b.call(cgutils.get_or_insert_function(b.module, pause, "llvm.x86.sse2.pause"), [])
        place = b.inttoptr(arguments[0], ir.PointerType())
        return b.load_atomic(place, "acquire", 8, typ=_I64)

    return types.int64(types.int64), generate


@intrinsic
def offset(context: Any, table: Any, index: Any) -> Any:
    """An int of a table of ints, by the table's address."""

    def generate(_: Any, b: _Block, __: Any, arguments: Sequence[Any]) -> Any:
        return b.load(_place(b, arguments[0], b.mul(arguments[1], _int(8))), typ=_I64, align=8)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def put(context: Any, place: Any, number: Any) -> Any:
    """Write a number to an address."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        b.store(arguments[1], b.inttoptr(arguments[0], ir.PointerType()), align=FLOAT)
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), generate


@intrinsic
def double(context: Any, place: Any) -> Any:
    """The float64 at an address."""

    def generate(_: Any, b: _Block, __: Any, arguments: Sequence[Any]) -> Any:
        place = b.inttoptr(arguments[0], ir.PointerType())
        return b.load(place, typ=ir.DoubleType(), align=8)

    return types.float64(types.int64), generate


@intrinsic
def byte(context: Any, place: Any) -> Any:
    """The byte at an address."""

    def generate(_: Any, b: _Block, __: Any, arguments: Sequence[Any]) -> Any:
        return b.load(b.inttoptr(arguments[0], ir.PointerType()), typ=ir.IntType(8), align=1)

    return types.uint8(types.int64), generate


@intrinsic
def put_byte(context: Any, place: Any, value: Any) -> Any:
    """Write a byte to an address."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        b.store(arguments[1], b.inttoptr(arguments[0], ir.PointerType()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint8), generate


def _bytes(b: _Block, place: Any) -> Any:
    return b.load(b.inttoptr(place, ir.PointerType()), typ=_BYTES, align=1)


def _same(b: _Block, bytes_: Any, number: Any) -> Any:
    """In which lanes the byte is this one."""
    none = ir.Constant(_BYTES, ir.Undefined)
    first = b.insert_element(none, number, ir.Constant(_I32, 0))
    zeros = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
    return b.icmp_unsigned("==", bytes_, b.shuffle_vector(first, none, zeros))


@intrinsic
def relu_vector(context: Any, x: Any, y: Any) -> Any:
    """y = max(x, 0) for one vector; NaN stays."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        v, zero = _load(b, arguments[0], _int(0)), _constant(0.0)
        _store(b, b.select(b.fcmp_ordered("<=", v, zero), zero, v), arguments[1], _int(0))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def mask_vector(context: Any, x: Any, chosen: Any, y: Any) -> Any:
    """y = x where the byte is not 0, else 0, for one vector."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        x, chosen, y = arguments
        off = _same(b, _bytes(b, chosen), ir.Constant(ir.IntType(8), 0))
        _store(b, b.select(off, _constant(0.0), _load(b, x, _int(0))), y, _int(0))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def finish_vector(context: Any, y: Any, bias: Any, floor: Any) -> Any:
    """y = max(y + bias, floor) for one vector; NaN stays."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        y, bias, floor = arguments
        v, low = b.fadd(_load(b, y, _int(0)), _load(b, bias, _int(0))), _everywhere(b, floor)
        _store(b, b.select(b.fcmp_ordered("<=", v, low), low, v), y, _int(0))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.float32), generate


@intrinsic
def kept_vector(context: Any, x: Any, y: Any, z: Any) -> Any:
    """z = x where y is above 0, else 0, for one vector."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        x, y, z = arguments
        above = b.fcmp_ordered(">", _load(b, y, _int(0)), _constant(0.0))
        _store(b, b.select(above, _load(b, x, _int(0)), _constant(0.0)), z, _int(0))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@intrinsic
def better_vector(context: Any, x: Any, best: Any, winner: Any, tap: Any) -> Any:
    """Where x is greater than the best so far, or NaN, it is the best and its tap the winner."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        x, best, winner, tap = arguments
        v, held = _load(b, x, _int(0)), _load(b, best, _int(0))
        better = b.or_(b.fcmp_ordered(">", v, held), b.fcmp_unordered("uno", v, v))
        _store(b, b.select(better, v, held), best, _int(0))
        place = b.inttoptr(winner, ir.PointerType())
        none = ir.Constant(_BYTES, ir.Undefined)
        first = b.insert_element(none, tap, ir.Constant(_I32, 0))
        zeros = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
        taps = b.shuffle_vector(first, none, zeros)
        b.store(b.select(better, taps, _bytes(b, winner)), place, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.uint8), generate


@intrinsic
def best_of_four(context: Any, x: Any, column: Any, row: Any, y: Any, winner: Any) -> Any:
    """The greatest of four pixels, at steps of a column and a row from x, and its tap, 0 to 3, for
    one vector; the first wins a tie, NaN wins always."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        x, column, row, y, winner = arguments
        places = [_int(0), column, row, b.add(row, column)]
        best, *rest = (_load(b, x, place) for place in places)
        taps: Any = ir.Constant(_BYTES, [0] * LANES)
        for tap, v in enumerate(rest, 1):
            better = b.or_(b.fcmp_ordered(">", v, best), b.fcmp_unordered("uno", v, v))
            best = b.select(better, v, best)
            taps = b.select(better, ir.Constant(_BYTES, [tap] * LANES), taps)
        _store(b, best, y, _int(0))
        b.store(taps, b.inttoptr(winner, ir.PointerType()), align=1)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic
def won_vector(context: Any, g: Any, winner: Any, tap: Any, x: Any, add: Any) -> Any:
    """x = g where the tap is the winner, else 0; or that added to x, where `add` is 1."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        g, winner, tap, x, add = arguments
        here = _same(b, _bytes(b, winner), tap)
        v, held = _load(b, g, _int(0)), _load(b, x, _int(0))
        more = b.icmp_unsigned("!=", add, _int(0))
        kept = b.select(more, held, _constant(0.0))
        _store(b, b.select(here, b.fadd(kept, v), kept), x, _int(0))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.uint8, types.int64, types.int64), generate


@intrinsic
def fma_vector(context: Any, p: Any, q: Any, r: Any, y: Any) -> Any:
    """y = p · q + r for one vector."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        *given, y = arguments
        _store(b, _fma(b, *(_load(b, place, _int(0)) for place in given)), y, _int(0))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@intrinsic
def centred_vector(context: Any, x: Any, middle: Any, rate: Any, y: Any) -> Any:
    """y = (x - middle) · rate for one vector."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        x, middle, rate = (_load(b, place, _int(0)) for place in arguments[:3])
        _store(b, b.fmul(b.fsub(x, middle), rate), arguments[3], _int(0))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@intrinsic
def square_vector(context: Any, x: Any, middle: Any, total: Any) -> Any:
    """total += (x - middle)² for one vector."""

    def generate(context: Any, b: _Block, _: Any, arguments: Sequence[Any]) -> Any:
        x, middle, total = (_load(b, place, _int(0)) for place in arguments)
        apart = b.fsub(x, middle)
        _store(b, _fma(b, apart, apart, total), arguments[2], _int(0))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@intrinsic
def transform(
    context: Any, which: Any, x: Any, row: Any, column: Any, y: Any, y_row: Any, y_column: Any
) -> Any:
    """y = M x Mᵀ for one vector of channels; `which` is 4 · the number in SHORT, plus 0 for the
    data, 1 for the filter, 2 for the gradient, 3 for the way back to the filter. Rows and columns
    are steps in bytes."""
    return types.void(*[types.int64] * 7), _transform_one


@intrinsic
def result(
    context: Any, which: Any, x: Any, row: Any, column: Any, y: Any, y_row: Any, y_column: Any,
    flag: Any,
) -> Any:  # fmt: skip
    """y = Aᵀ x A for one vector of channels; `flag` becomes NaN, and stays it, if a number of it is
    infinite or NaN."""
    return types.void(*[types.int64] * 8), _result_one
