"""Padding with a number, with edges, mirrored or periodic."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, ShapeError
from ..node import Vertex
from ..op import Op
from ..spec import Spec, show
from .operand import shaped
from .shape import Rearrange

__all__ = ["pad"]

Width = tuple[tuple[int, int], ...]
MODES = ("reflect", "edge", "wrap")


class Pad(Rearrange):
    """x with `width[i]` = (before, after) elements of `value` around axis i."""

    width: tuple[tuple[int, int], ...]
    value: float = 0.0
    linear = ()

    def forward(self, x: Any) -> Any:
        inside = tuple(slice(b, b + n) for (b, _), n in zip(self.width, x.shape, strict=True))
        out = np.zeros([b + n + a for (b, a), n in zip(self.width, x.shape, strict=True)], x.dtype)
        if self.value:
            out.fill(_one_number(self.value, x.dtype))
        out[inside] = x
        return out

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        return Pad.of(((0, 0), *self.width), self.value)(*args)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g[tuple(slice(b, b + n) for (b, _), n in zip(self.width, x.shape, strict=True))]

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return Pad.of(self.width)(t)

    def spec(self, x: Spec) -> Spec:
        if len(self.width) != x.ndim or min((n for w in self.width for n in w), default=0) < 0:
            raise ShapeError(
                self.name,
                f"width {self.width} is not one (before, after) pair of lengths ≥ 0 for each of"
                f" the {x.ndim} axes of x ({show(x.shape)})",
                "To remove elements, slice: x[1:-1].",
            )
        sizes = zip(x.shape, self.width, strict=True)
        return x.with_shape(tuple(b + n + a for n, (b, a) in sizes))

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty(tuple(b + n + a for n, (b, a) in zip(x.shape, self.width, strict=True)))
        out.fill(self.value)
        for at in np.ndindex(x.shape):
            out[tuple(i + b for i, (b, _) in zip(at, self.width, strict=True))] = x[at]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape())
        width = tuple((draw.integer(0, 2), draw.integer(0, 1)) for _ in x.shape)
        return cls(width, draw.choice([0.0, 1.5])), (x,)


class Extend(Rearrange):
    """x continued beyond its ends: mirrored, with its edges, or periodically."""

    width: Width
    mode: str
    batched = True

    def forward(self, x: Any) -> Any:
        if not x.ndim:
            return x  # np.pad takes no scalars
        return np.pad(x, self.width, self.mode)  # type: ignore[call-overload]

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        return Extend.of(((0, 0), *self.width), self.mode)(*args)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        lead = ((0, 0),) * (g.ndim - out.ndim)
        return FoldBack.of(lead + self.width, self.mode)(g)

    def spec(self, x: Spec) -> Spec:
        return x.with_shape(tuple(b + n + a for n, (b, a) in zip(x.shape, self.width, strict=True)))

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        sources = [_sources(n, w, self.mode) for n, w in zip(x.shape, self.width, strict=True)]
        out = scalar.empty(tuple(map(len, sources)))
        for at in np.ndindex(out.shape):
            out[at] = x[tuple(s[i] for s, i in zip(sources, at, strict=True))]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape())
        width = tuple((draw.integer(0, 4), draw.integer(0, 4)) if n else (0, 0) for n in x.shape)
        return cls(width, draw.choice(MODES)), (x,)


class FoldBack(Op):
    """Transpose of extend: what lies beyond the ends is added where it came from."""

    width: Width
    mode: str
    linear = ("g",)
    style = "shape"

    def forward(self, g: Any) -> Any:
        g = np.array(g)
        for axis, (before, after) in enumerate(self.width):
            n = g.shape[axis] - before - after
            rows = np.moveaxis(g, axis, 0)
            inside = rows[before : before + n]
            sources = _sources(n, (before, after), self.mode)
            for i in (*range(before), *range(before + n, len(rows))):
                inside[sources[i]] += rows[i]
            g = np.moveaxis(inside, 0, axis)
        return g

    # The rules' own cotangent comes first; the argument g is what is folded.
    def vjp_g(self, c: Any, out: Any, g: Any) -> Any:
        return Extend.of(self.width, self.mode)(c)

    def spec(self, g: Spec) -> Spec:
        return g.with_shape(tuple(n - b - a for n, (b, a) in zip(g.shape, self.width, strict=True)))

    def reference(self, g: Any) -> Any:
        g = np.asarray(g, dtype=object)
        shape = self.spec(Spec(g.shape, np.dtype(float))).shape
        sources = [_sources(n, w, self.mode) for n, w in zip(shape, self.width, strict=True)]
        out = scalar.empty(shape)
        out.fill(0.0)
        for at in np.ndindex(g.shape):
            to = tuple(s[i] for s, i in zip(sources, at, strict=True))
            out[to] = out[to] + g[at]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, (x,) = Extend.sample(draw)
        return cls(op.width, op.mode), (draw.normal(op.spec(Spec.of(x)).shape),)


def _sources(n: int, width: tuple[int, int], mode: str) -> Any:
    """For each place along a padded axis, which of the n elements stands there."""
    at = np.arange(-width[0], n + width[1])
    if mode == "edge":
        return np.clip(at, 0, n - 1)
    if mode == "wrap":
        return at % n
    period = max(2 * n - 2, 1)  # there and back, without the ends twice
    return (n - 1) - abs((n - 1) - at % period)


def pad(x: Any, width: Any, mode: str = "constant", constant_values: float = 0.0) -> Any:
    """x with elements added around it.

    Args:
        x: tensor or array.
        width: as for numpy: an int, a pair (before, after), or one pair for each axis.
        mode: "constant" (a number), "reflect" (mirrored, the edge itself not repeated), "edge"
            (the last element repeated) or "wrap" (periodic). A width beyond the axis goes on
            mirroring, repeating.
        constant_values: the number that is added in mode "constant".

    Raises:
        ShapeError: if the width does not fit the axes, or an axis without elements is to be
            continued.
        DomainError: if there is no such mode, or the number does not fit an array of integers.

    >>> pad(np.array([1.0, 2.0]), (1, 0))
    array([0., 1., 2.])
    >>> pad(np.array([1.0, 2.0, 3.0]), 2, "reflect")
    array([3., 2., 1., 2., 3., 2., 1.])
    """
    if mode not in ("constant", *MODES):
        raise DomainError(
            "pad", f"mode {mode!r} is not available", f"Use one of {('constant', *MODES)}."
        )
    x = shaped("pad", x)
    ndim = x.ndim
    try:
        pairs = np.broadcast_to(np.asarray(width), (ndim, 2))
        if pairs.dtype.kind not in "iu" and pairs.size:
            raise ValueError("not integers")
    except ValueError:
        raise ShapeError(
            "pad",
            f"width {width} does not give a (before, after) pair of ints to each of {ndim} axes",
            "Pass an int, a pair, or one pair for each axis.",
        ) from None
    widths = tuple((int(b), int(a)) for b, a in pairs)
    if mode == "constant":
        op: Any = Pad.of(widths, _one_number(constant_values, x.dtype))
    else:
        op = Extend.of(widths, mode)
    Pad.of(widths).spec(Spec(x.shape, x.dtype))
    if mode != "constant":
        for axis, (n, pair) in enumerate(zip(x.shape, widths, strict=True)):
            if not n and any(pair):
                raise ShapeError(
                    "pad",
                    f"axis {axis} of x ({show(x.shape)}) has no elements, so there is nothing to"
                    f" continue in mode {mode!r}",
                    'Use mode="constant".',
                )
    return op(x)


def _one_number(value: Any, dtype: Any) -> float:
    """The number to pad an array of some dtype with, checked."""
    if isinstance(value, Vertex):  # as a number it would lose its gradient
        raise DomainError(
            "pad",
            "constant_values is a tensor, and the number in it would have no gradient",
            "Use where(inside, pad(x, width), value), or pass float(value).",
        )
    try:
        if np.ndim(value):
            raise TypeError("not one number")
        number = float(value)
    except (TypeError, ValueError):
        raise DomainError(
            "pad",
            f"constant_values is {type(value).__name__}, not one number",
            "Pad several times for several numbers.",
        ) from None
    if dtype.kind in "biu":
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if not low <= number <= high or number != int(number):
            raise DomainError(
                "pad",
                f"value {number:g} does not fit into an array of {dtype}",
                "Pad with a number of that dtype, or convert x to floats.",
            )
    return number
