"""A machine for small networks: one kernel that carries out a list of instructions.

Where arrays are small, calling an op from Python takes longer than the op. Here a plan is a table
of numbers: in each row what is to be done, then what it is done to, as places in a table of
addresses, then sizes. The kernel is compiled once, for all plans; a step of a small network is one
call of it.

Arrays are contiguous float32, answers and winners bytes, labels int64. Loops are plain: nothing
here is for large arrays.
"""

from __future__ import annotations

import math

import numpy as np

from .compiled import kernel
from .simd import FLOAT, byte, double, get, offset, put, put_byte

ROW = 24  # numbers in an instruction
DONE = -1

(
    BINARY, UNARY, GREATER, KEPT, CONV, CONV_INPUT, CONV_FILTER, POOL, PLACE, MATMUL, SUM, SOFTMAX,
    CROSS_ENTROPY, ONE_HOT, MASK, SGD,
) = range(16)  # fmt: skip
UFUNCS = [
    np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum,
    np.negative, np.exp, np.log, np.tanh, np.sqrt, np.absolute, np.square,
]  # fmt: skip


@kernel
def _place(i: int, div: int, mod: int) -> int:  # fmt: skip
    """Where in an operand the element is that belongs to element i of the result."""
    if mod == 1:
        return 0
    return (i // div) % mod


@kernel
def _binary(row: int, table: int) -> None:  # fmt: skip
    which, count = offset(row, 4), offset(row, 5)
    out, x, y = (
        offset(table, offset(row, 1)), offset(table, offset(row, 2)), offset(table, offset(row, 3)),
    )  # fmt: skip
    for i in range(count):
        a = get(x + _place(i, offset(row, 6), offset(row, 7)) * FLOAT)
        b = get(y + _place(i, offset(row, 8), offset(row, 9)) * FLOAT)
        if which == 0:
            v = a + b
        elif which == 1:
            v = a - b
        elif which == 2:
            v = a * b
        elif which == 3:
            v = a / b
        elif which == 4:
            v = a if a >= b or a != a else b
        else:
            v = a if a <= b or a != a else b
        put(out + i * FLOAT, v)


@kernel
def _unary(row: int, table: int) -> None:  # fmt: skip
    which, count = offset(row, 3), offset(row, 4)
    out, x = offset(table, offset(row, 1)), offset(table, offset(row, 2))
    for i in range(count):
        a = get(x + i * FLOAT)
        if which == 6:
            v = -a
        elif which == 7:
            v = np.float32(math.exp(a)) if a < np.float32(88.7) else np.exp(a)
        elif which == 8:
            v = np.log(a)
        elif which == 9:
            v = np.float32(math.tanh(a))
        elif which == 10:
            v = np.sqrt(a)
        elif which == 11:
            v = abs(a)
        else:
            v = a * a
        put(out + i * FLOAT, v)


@kernel
def _greater(row: int, table: int) -> None:  # fmt: skip
    out, x, y = (
        offset(table, offset(row, 1)), offset(table, offset(row, 2)), offset(table, offset(row, 3)),
    )  # fmt: skip
    for i in range(offset(row, 5)):
        a = get(x + _place(i, offset(row, 6), offset(row, 7)) * FLOAT)
        b = get(y + _place(i, offset(row, 8), offset(row, 9)) * FLOAT)
        put_byte(out + i, np.uint8(a > b))


@kernel
def _kept(row: int, table: int) -> None:  # fmt: skip
    """Whether `y > 0`, or what bytes say, decides: opcode KEPT or MASK."""
    out, x, y = (
        offset(table, offset(row, 1)), offset(table, offset(row, 2)), offset(table, offset(row, 3)),
    )  # fmt: skip
    for i in range(offset(row, 4)):
        chosen = get(y + i * FLOAT) > 0 if offset(row, 0) == KEPT else byte(y + i) != 0
        put(out + i * FLOAT, get(x + i * FLOAT) if chosen else np.float32(0.0))


@kernel
def _conv(row: int, table: int) -> None:  # fmt: skip
    """Fields: out, x, w, bias, kept (-1 for none); images, height, width, depth; taps down and
    across, channels; results down and across; stride, padding, dilation, each twice; relu."""
    out, x, w = (
        offset(table, offset(row, 1)), offset(table, offset(row, 2)), offset(table, offset(row, 3)),
    )  # fmt: skip
    bias, kept = offset(row, 4), offset(row, 5)
    height, width, depth = offset(row, 7), offset(row, 8), offset(row, 9)
    down, across, channels = offset(row, 10), offset(row, 11), offset(row, 12)
    for n in range(offset(row, 6)):
        for p in range(offset(row, 13)):
            for q in range(offset(row, 14)):
                to = out + ((n * offset(row, 13) + p) * offset(row, 14) + q) * channels * FLOAT
                for o in range(channels):
                    put(to + o * FLOAT, np.float32(0.0))
                for a in range(down):
                    i = p * offset(row, 15) - offset(row, 17) + a * offset(row, 19)
                    for b in range(across):
                        j = q * offset(row, 16) - offset(row, 18) + b * offset(row, 20)
                        if i < 0 or j < 0 or i >= height or j >= width:
                            continue
                        pixel = x + ((n * height + i) * width + j) * depth * FLOAT
                        weight = w + (a * across + b) * depth * channels * FLOAT
                        for c in range(depth):
                            v = get(pixel + c * FLOAT)
                            for o in range(channels):
                                at = to + o * FLOAT
                                put(at, get(at) + v * get(weight + (c * channels + o) * FLOAT))
                for o in range(channels):
                    v = get(to + o * FLOAT)
                    if bias >= 0:
                        v += get(offset(table, bias) + o * FLOAT)
                    if offset(row, 21) and v <= 0:
                        v = np.float32(0.0)
                    if kept >= 0 and not get(offset(table, kept) + to - out + o * FLOAT) > 0:
                        v = np.float32(0.0)
                    put(to + o * FLOAT, v)


@kernel
def _conv_input(row: int, table: int) -> None:  # fmt: skip
    """The same fields: out is the image, x the slopes of the results."""
    out, g, w = (
        offset(table, offset(row, 1)), offset(table, offset(row, 2)), offset(table, offset(row, 3)),
    )  # fmt: skip
    kept = offset(row, 5)
    height, width, depth = offset(row, 7), offset(row, 8), offset(row, 9)
    down, across, channels = offset(row, 10), offset(row, 11), offset(row, 12)
    numbers = offset(row, 6) * height * width * depth
    for k in range(numbers):
        put(out + k * FLOAT, np.float32(0.0))
    for n in range(offset(row, 6)):
        for p in range(offset(row, 13)):
            for q in range(offset(row, 14)):
                slopes = g + ((n * offset(row, 13) + p) * offset(row, 14) + q) * channels * FLOAT
                for a in range(down):
                    i = p * offset(row, 15) - offset(row, 17) + a * offset(row, 19)
                    for b in range(across):
                        j = q * offset(row, 16) - offset(row, 18) + b * offset(row, 20)
                        if i < 0 or j < 0 or i >= height or j >= width:
                            continue
                        pixel = out + ((n * height + i) * width + j) * depth * FLOAT
                        weight = w + (a * across + b) * depth * channels * FLOAT
                        for c in range(depth):
                            v = get(pixel + c * FLOAT)
                            for o in range(channels):
                                at = weight + (c * channels + o) * FLOAT
                                v += get(slopes + o * FLOAT) * get(at)
                            put(pixel + c * FLOAT, v)
    for k in range(numbers if kept >= 0 else 0):
        if not get(offset(table, kept) + k * FLOAT) > 0:
            put(out + k * FLOAT, np.float32(0.0))


@kernel
def _conv_filter(row: int, table: int) -> None:  # fmt: skip
    """The same fields: out are the filters, x the image, w the slopes of the results."""
    out, x, g = (
        offset(table, offset(row, 1)), offset(table, offset(row, 2)), offset(table, offset(row, 3)),
    )  # fmt: skip
    height, width, depth = offset(row, 7), offset(row, 8), offset(row, 9)
    down, across, channels = offset(row, 10), offset(row, 11), offset(row, 12)
    for k in range(down * across * depth * channels):
        put(out + k * FLOAT, np.float32(0.0))
    for n in range(offset(row, 6)):
        for p in range(offset(row, 13)):
            for q in range(offset(row, 14)):
                slopes = g + ((n * offset(row, 13) + p) * offset(row, 14) + q) * channels * FLOAT
                for a in range(down):
                    i = p * offset(row, 15) - offset(row, 17) + a * offset(row, 19)
                    for b in range(across):
                        j = q * offset(row, 16) - offset(row, 18) + b * offset(row, 20)
                        if i < 0 or j < 0 or i >= height or j >= width:
                            continue
                        pixel = x + ((n * height + i) * width + j) * depth * FLOAT
                        weight = out + (a * across + b) * depth * channels * FLOAT
                        for c in range(depth):
                            v = get(pixel + c * FLOAT)
                            for o in range(channels):
                                at = weight + (c * channels + o) * FLOAT
                                put(at, get(at) + v * get(slopes + o * FLOAT))


@kernel
def _pool(row: int, table: int) -> int:  # fmt: skip
    """Fields: out, x, winner; images, height, width, channels; taps down and across; results down
    and across; stride, padding, dilation, each twice. 0 where a result is not finite."""
    out, x, winner = (
        offset(table, offset(row, 1)), offset(table, offset(row, 2)), offset(table, offset(row, 3)),
    )  # fmt: skip
    height, width, channels = offset(row, 5), offset(row, 6), offset(row, 7)
    down, across = offset(row, 8), offset(row, 9)
    for n in range(offset(row, 4)):
        for p in range(offset(row, 10)):
            for q in range(offset(row, 11)):
                place = ((n * offset(row, 10) + p) * offset(row, 11) + q) * channels
                for c in range(channels):
                    best, tap = np.float32(-np.inf), -1
                    for t in range(down * across):
                        i = p * offset(row, 12) - offset(row, 14) + t // across * offset(row, 16)
                        j = q * offset(row, 13) - offset(row, 15) + t % across * offset(row, 17)
                        if i < 0 or j < 0 or i >= height or j >= width:
                            continue
                        v = get(x + (((n * height + i) * width + j) * channels + c) * FLOAT)
                        if tap < 0 or v > best or v != v:
                            best, tap = v, t
                    if not math.isfinite(best):
                        return 0
                    put(out + (place + c) * FLOAT, best)
                    put_byte(winner + place + c, np.uint8(tap))
    return 1


@kernel
def _place_winners(row: int, table: int) -> None:  # fmt: skip
    """The same fields: out is the image, x the slopes of the results."""
    out, g, winner = (
        offset(table, offset(row, 1)), offset(table, offset(row, 2)), offset(table, offset(row, 3)),
    )  # fmt: skip
    height, width, channels, across = offset(row, 5), offset(row, 6), offset(row, 7), offset(row, 9)
    for k in range(offset(row, 4) * height * width * channels):
        put(out + k * FLOAT, np.float32(0.0))
    for n in range(offset(row, 4)):
        for p in range(offset(row, 10)):
            for q in range(offset(row, 11)):
                place = ((n * offset(row, 10) + p) * offset(row, 11) + q) * channels
                for c in range(channels):
                    t = int(byte(winner + place + c))
                    i = p * offset(row, 12) - offset(row, 14) + t // across * offset(row, 16)
                    j = q * offset(row, 13) - offset(row, 15) + t % across * offset(row, 17)
                    at = out + (((n * height + i) * width + j) * channels + c) * FLOAT
                    put(at, get(at) + get(g + (place + c) * FLOAT))


@kernel
def _matmul(row: int, table: int) -> None:  # fmt: skip
    """Fields: out, x, y; rows, depth, columns; steps in x from row to row and along a row, and in
    y; in numbers."""
    out, x, y = (
        offset(table, offset(row, 1)), offset(table, offset(row, 2)), offset(table, offset(row, 3)),
    )  # fmt: skip
    rows, depth, columns = offset(row, 4), offset(row, 5), offset(row, 6)
    for i in range(rows):
        to = out + i * columns * FLOAT
        for j in range(columns):
            put(to + j * FLOAT, np.float32(0.0))
        for k in range(depth):
            a = get(x + (i * offset(row, 7) + k * offset(row, 8)) * FLOAT)
            line, step = y + k * offset(row, 9) * FLOAT, offset(row, 10) * FLOAT
            for j in range(columns):
                put(to + j * FLOAT, get(to + j * FLOAT) + a * get(line + j * step))


@kernel
def _sum(row: int, table: int) -> None:  # fmt: skip
    """Fields: out, x; what is before the axes that are summed, their size, what is after them; what
    the sum is divided by."""
    out, x = offset(table, offset(row, 1)), offset(table, offset(row, 2))
    before, count, after = offset(row, 3), offset(row, 4), offset(row, 5)
    for i in range(before):
        for k in range(after):
            v = 0.0
            for j in range(count):
                v += get(x + ((i * count + j) * after + k) * FLOAT)
            put(out + (i * after + k) * FLOAT, np.float32(v / offset(row, 6)))


@kernel
def _softmax(row: int, table: int) -> int:  # fmt: skip
    out, x = offset(table, offset(row, 1)), offset(table, offset(row, 2))
    columns = offset(row, 4)
    for i in range(offset(row, 3)):
        line, to = x + i * columns * FLOAT, out + i * columns * FLOAT
        top = np.float32(-np.inf)
        for j in range(columns):
            v = get(line + j * FLOAT)
            if not math.isfinite(v):
                return 0
            top = max(top, v)
        total = np.float32(0.0)
        for j in range(columns):
            v = np.float32(math.exp(get(line + j * FLOAT) - top))
            total += v
            put(to + j * FLOAT, v)
        for j in range(columns):
            put(to + j * FLOAT, get(to + j * FLOAT) / total)
    return 1


@kernel
def _cross_entropy(row: int, table: int) -> int:  # fmt: skip
    """Fields: out, logits, labels; items, classes; whether it is the mean. 0 where a logit is not
    finite, or a label no class."""
    out, x, labels = (
        offset(table, offset(row, 1)), offset(table, offset(row, 2)), offset(table, offset(row, 3)),
    )  # fmt: skip
    items, columns = offset(row, 4), offset(row, 5)
    loss = 0.0
    for i in range(items):
        line, label = x + i * columns * FLOAT, offset(labels, i)
        if label < 0 or label >= columns:
            return 0
        top = np.float32(-np.inf)
        for j in range(columns):
            v = get(line + j * FLOAT)
            if not math.isfinite(v):
                return 0
            top = max(top, v)
        total = np.float32(0.0)
        for j in range(columns):
            total += np.float32(math.exp(get(line + j * FLOAT) - top))
        loss += np.float32(math.log(total)) - (get(line + label * FLOAT) - top)
    put(out, np.float32(loss / items if offset(row, 6) else loss))
    return 1


@kernel
def _one_hot(row: int, table: int) -> int:  # fmt: skip
    out, labels = offset(table, offset(row, 1)), offset(table, offset(row, 2))
    columns = offset(row, 4)
    for i in range(offset(row, 3)):
        label = offset(labels, i)
        if label < 0 or label >= columns:
            return 0
        for j in range(columns):
            put(out + (i * columns + j) * FLOAT, np.float32(1.0 if j == label else 0.0))
    return 1


@kernel
def _sgd(row: int, table: int) -> None:  # fmt: skip
    """Fields: weights, slopes, velocity (-1 for none), numbers (lr, momentum, weight decay, whether
    to look ahead); how many."""
    w, g, v = offset(table, offset(row, 1)), offset(table, offset(row, 2)), offset(row, 3)
    numbers = offset(table, offset(row, 4))
    rate, momentum = np.float32(double(numbers)), np.float32(double(numbers + 8))
    decay, ahead = np.float32(double(numbers + 16)), double(numbers + 24) != 0
    for i in range(offset(row, 5)):
        slope = get(g + i * FLOAT)
        if decay != 0:
            slope = slope + get(w + i * FLOAT) * decay
        if v >= 0:
            at = offset(table, v) + i * FLOAT
            speed = get(at) * momentum
            speed = speed + slope
            put(at, speed)
            slope = slope + momentum * speed if ahead else speed
        put(w + i * FLOAT, get(w + i * FLOAT) - slope * rate)


@kernel
def execute(code: int, table: int, count: int) -> int:  # fmt: skip
    """Carry out the instructions; returns DONE, or the number of one that Python has to do: it met
    a number that is not finite, or a label that is none."""
    for k in range(count):
        row = code + k * ROW * 8
        what, fine = offset(row, 0), 1
        if what == BINARY:
            _binary(row, table)
        elif what == UNARY:
            _unary(row, table)
        elif what == GREATER:
            _greater(row, table)
        elif what in (KEPT, MASK):
            _kept(row, table)
        elif what == CONV:
            _conv(row, table)
        elif what == CONV_INPUT:
            _conv_input(row, table)
        elif what == CONV_FILTER:
            _conv_filter(row, table)
        elif what == POOL:
            fine = _pool(row, table)
        elif what == PLACE:
            _place_winners(row, table)
        elif what == MATMUL:
            _matmul(row, table)
        elif what == SUM:
            _sum(row, table)
        elif what == SOFTMAX:
            fine = _softmax(row, table)
        elif what == CROSS_ENTROPY:
            fine = _cross_entropy(row, table)
        elif what == ONE_HOT:
            fine = _one_hot(row, table)
        else:
            _sgd(row, table)
        if not fine:
            return k
    return DONE
