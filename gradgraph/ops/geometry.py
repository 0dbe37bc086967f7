"""How a window lies over an image: sizes, strides, padding, dilation, as checked tuples."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from ..draw import Draw
from ..errors import DomainError, ShapeError
from ..kernels import numpy_ as kernels
from ..spec import Shape, show

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

LARGEST = 2**31 - 1  # of a size, stride or padding: what lies beyond is a mistake


def out_positions(op: str, size: Ints, kernel: Ints, geometry: Any) -> Shape:
    """Output size of each spatial axis; an error if the kernel does not fit."""
    names = {1: "L", 2: "HW", 3: "DHW"}.get(len(size), "?" * len(size))
    for axis, (n, k, d, (b, a)) in enumerate(
        zip(size, kernel, geometry.dilation, geometry.padding, strict=True)
    ):
        span = d * (k - 1) + 1
        if span > n + b + a:
            padded = f" (with padding {b} + {a}: {n + b + a})" if b or a else ""
            dilated = f" ({k} taps, dilation {d})" if d > 1 else ""
            raise ShapeError(
                op,
                f"the kernel is {show(kernel)} but the image is {show(size)}: along axis"
                f" {axis + 1} ({names[axis]}) it spans {span}{dilated} and there are only"
                f" {n}{padded}",
                "Use a smaller dilation or kernel."
                if d > 1
                else 'Use padding="same", a smaller kernel, or pool less before.',
            )
    return kernels.out_shape(size, kernel, geometry.stride, geometry.padding, geometry.dilation)


def draw_geometry(draw: Draw) -> tuple[tuple[Ints, Pairs, Ints, int], Ints, Ints, int, int, int]:
    """(stride, padding, dilation, groups), image size, kernel, channels in and out, batch."""
    nd = draw.choice((1, 2, 1, 2, 3))
    groups = draw.choice((1, 1, 2))
    c, o = groups * draw.choice((1, 2)), groups * draw.choice((2, 1))
    n = draw.choice((2, 1, 3, 2, 1, 0))
    equal = draw.boolean()
    axes: list[tuple[int, int, int, tuple[int, int], int]] = []
    for axis in range(nd):
        if axis and equal:
            axes.append(axes[0])
            continue
        k, s, d = draw.choice((2, 3, 1)), draw.choice((1, 2, 3)), draw.choice((1, 1, 2))
        b, a = draw.integer(0, 2), draw.integer(0, 1)
        smallest = max(1, d * (k - 1) + 1 - b - a)
        axes.append((k, s, d, (b, a), smallest + draw.integer(0, 3 if nd < 3 else 1)))
    kernel, stride, dilation, padding, size = zip(*axes, strict=True)
    return (stride, padding, dilation, groups), size, kernel, c, o, n


def per_axis(op: str, name: str, value: Any, nd: int, least: int = 1) -> Ints:
    """An int, or one int for each spatial axis, as a tuple; checked."""
    try:
        values = (
            tuple(map(index, value)) if isinstance(value, tuple | list) else (index(value),) * nd
        )
    except TypeError:
        values = ()
    if len(values) != nd or min(values) < least or max(values) > LARGEST:
        each = f" or one such int for each of {nd} axes" if nd > 1 else ""
        raise DomainError(
            op,
            f"{name} is {value!r}, not an int from {least} to {LARGEST:,}{each}",
            f"Use {name}={max(least, 1)}, for example.",
        )
    return values


def padding_pairs(op: str, padding: Any, kernel: Ints, stride: Ints, dilation: Ints) -> Pairs:
    """Padding as one (before, after) pair for each spatial axis.

    "same" gives ⌈n / stride⌉ positions for stride 1; the odd pixel of an even kernel goes before,
    as in the chapter's Y_i = F · (X_{i-1}, X_i).
    """
    nd = len(kernel)
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * nd
        if padding == "same":
            spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
            return tuple((s - s // 2, s // 2) for s in spans)
        raise DomainError(
            op, f"padding {padding!r} is unknown", 'Use "same", "valid", ints or pairs.'
        )
    items = list(padding) if isinstance(padding, tuple | list) else [padding] * nd
    if nd == 1 and len(items) == 2 and not isinstance(items[0], tuple | list):
        items = [items]  # a lone pair for the one axis of a signal
    pairs: list[tuple[int, int]] = []
    for item in items:
        pair = tuple(item) if isinstance(item, tuple | list) else (item, item)
        fine = all(isinstance(n, int | np.integer) and 0 <= n <= LARGEST for n in pair)
        if len(pair) != 2 or not fine:
            pairs = []
            break
        pairs.append((int(pair[0]), int(pair[1])))
    if len(pairs) != nd:
        raise DomainError(
            op,
            f"padding is {padding!r}; for {nd} spatial axes it may be an int ≥ 0, {nd} ints,"
            f" {nd} (before, after) pairs, 'same' or 'valid'",
            "Use padding=0 for none.",
        )
    return tuple(pairs)
