"""Joining arrays along an axis, and splitting one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import ShapeError
from ..op import Op
from ..spec import Spec, promote, show
from .index import Scatter, getitem, parsed
from .operand import ints, one_axis, shaped
from .shape import along, broadcast_to, reshape

__all__ = ["concatenate", "hstack", "split", "stack", "vstack"]


class Concatenate(Op):
    """The arrays one after the other along an axis (negative)."""

    axis: int
    style = "shape"
    checks = True

    def forward(self, *xs: Any) -> Any:
        return np.concatenate(xs, self.axis)

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        pairs = zip(args, mapped, strict=True)
        return self(*(x if m else broadcast_to(x, (size, *x.shape)) for x, m in pairs))

    def vjp_xs(self, g: Any, out: Any, i: int, *xs: Any) -> Any:
        start = _offset(xs, i, self.axis)
        return g[along(self.axis, start, start + xs[i].shape[self.axis], out.ndim)]

    def jvp_xs(self, t: Any, out: Any, i: int, *xs: Any) -> Any:
        start = _offset(xs, i, self.axis)
        there = along(self.axis, start, start + xs[i].shape[self.axis], out.ndim)
        return Scatter.of(parsed(self.name, there)[0], out.shape)(t)

    def spec(self, *xs: Spec) -> Spec:
        first = xs[0]
        for x in xs:
            for axis in range(-max(x.ndim, first.ndim), 0):
                if x.ndim != first.ndim or (
                    axis != self.axis and x.shape[axis] != first.shape[axis]
                ):
                    raise ShapeError(
                        self.name,
                        f"the parts are {', '.join(show(s.shape) for s in xs)}; besides axis"
                        f" {self.axis} all axes must agree, and axis {axis} does not",
                        "Reshape the parts, or concatenate along another axis.",
                    )
        shape = list(first.shape)
        shape[self.axis] = sum(x.shape[self.axis] for x in xs)
        return Spec(tuple(shape), promote(*xs))

    def reference(self, *xs: Any) -> Any:
        xs = tuple(np.asarray(x, dtype=object) for x in xs)
        shape = list(xs[0].shape)
        shape[self.axis] = sum(x.shape[self.axis] for x in xs)
        out = scalar.empty(tuple(shape))
        start = 0
        for x in xs:
            for at in np.ndindex(x.shape):
                to = list(at)
                to[self.axis] += start
                out[tuple(to)] = x[at]
            start += x.shape[self.axis]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        shape = list(draw.shape(low=1))
        axis = draw.integer(-len(shape), -1)
        parts = []
        for _ in range(draw.integer(1, 3)):
            shape[axis] = draw.integer(0, 3)
            parts.append(draw.normal(tuple(shape)))
        return cls(axis), tuple(parts)

    def flops(self, out: Spec, *args: Spec) -> int:
        return 0


def _offset(xs: Any, i: int, axis: int) -> int:
    return sum(x.shape[axis] for x in xs[:i])


def _several(op: str, xs: Any) -> list[Any]:
    """The operands of an op that takes several at once."""
    try:
        return list(xs)
    except TypeError:
        raise ShapeError(
            op, f"it was given {type(xs).__name__}, not several arrays", f"Use {op}([a, b])."
        ) from None


def concatenate(xs: Any, axis: int = 0) -> Any:
    """Tensors or arrays one after the other along an axis; flattened if the axis is None.

    Raises:
        ShapeError: if there are none, or another axis differs.

    >>> concatenate([np.array([1.0]), np.array([2.0, 3.0])])
    array([1., 2., 3.])
    """
    xs = _several("concatenate", xs)
    if not xs:
        raise ShapeError("concatenate", "there is nothing to concatenate", "Pass at least one.")
    xs = [shaped("concatenate", v) for v in xs]
    if axis is None:
        xs, axis = [reshape(x, -1) for x in xs], 0
    return Concatenate.of(one_axis("concatenate", axis, xs[0].ndim))(*xs)


def stack(xs: Any, axis: int = 0) -> Any:
    """Tensors or arrays of one shape side by side along a new axis.

    Raises:
        ShapeError: if there are none, or the shapes differ.

    >>> stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])]).shape
    (2, 2)
    """
    xs = [shaped("stack", x) for x in _several("stack", xs)]
    if not xs:
        raise ShapeError("stack", "there is nothing to stack", "Pass at least one.")
    at = one_axis("stack", axis, xs[0].ndim + 1) + xs[0].ndim + 1
    if any(x.shape != xs[0].shape for x in xs):
        raise ShapeError(
            "stack",
            f"the parts are {', '.join(show(x.shape) for x in xs)}, and must have one shape",
            "Use concatenate for parts of different lengths.",
        )
    rows = [reshape(x, (*x.shape[:at], 1, *x.shape[at:])) for x in xs]
    return concatenate(rows, at)


def vstack(xs: Any) -> Any:
    """Tensors or arrays one below the other, along axis 0; a vector is a row.

    Raises:
        ShapeError: if there are none, or another axis differs.

    >>> vstack([np.array([1.0, 2.0]), np.array([[3.0, 4.0], [5.0, 6.0]])])
    array([[1., 2.],
           [3., 4.],
           [5., 6.]])
    """
    xs = [shaped("vstack", x) for x in _several("vstack", xs)]
    return concatenate([x if x.ndim > 1 else reshape(x, (1, -1)) for x in xs], 0)


def hstack(xs: Any) -> Any:
    """Tensors or arrays side by side, along axis 1; vectors and numbers make one vector.

    Raises:
        ShapeError: if there are none, or another axis differs.

    >>> hstack([np.array([[1.0], [2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])])
    array([[1., 3., 4.],
           [2., 5., 6.]])
    """
    xs = [shaped("hstack", x) for x in _several("hstack", xs)]
    xs = [x if x.ndim else reshape(x, (1,)) for x in xs]
    return concatenate(xs, 0 if xs and xs[0].ndim == 1 else 1)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """x in consecutive parts along an axis: equal ones, or cut at given indices.

    Args:
        x: tensor or array.
        indices_or_sections: the number of equal parts, or the indices where a new part starts.
        axis: int.

    Raises:
        ShapeError: if the axis does not divide into so many equal parts, or is out of range.

    >>> split(np.arange(5.0), [2, 4])
    [array([0., 1.]), array([2., 3.]), array([4.])]
    """
    x = shaped("split", x)
    axis = one_axis("split", axis, x.ndim)
    n = x.shape[axis]
    if isinstance(indices_or_sections, np.ndarray) and indices_or_sections.ndim:
        indices_or_sections = indices_or_sections.tolist()
    cuts = ints("split", "indices_or_sections", indices_or_sections)
    if not isinstance(indices_or_sections, tuple | list):
        (count,) = cuts
        if count < 1 or n % count:
            raise ShapeError(
                "split",
                f"axis {axis} of x ({show(x.shape)}) does not divide into {count} equal parts",
                "Pass the indices where a new part starts: split(x, [2, 5]).",
            )
        cuts = tuple(range(n // count, n, n // count)) if n else (0,) * (count - 1)
    edges = zip((0, *cuts), (*cuts, None), strict=True)
    return [getitem(x, along(axis, start, stop, x.ndim)) for start, stop in edges]
