"""Matrix products, and products over other axes, by numpy's rules."""

from __future__ import annotations

from math import prod
from operator import index
from string import ascii_letters
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import ShapeError
from ..kernels import dispatch
from ..op import Op
from ..spec import Shape, Spec, axes_of, promote, show
from .arithmetic import multiply
from .arrange import roll
from .einsum import Einsum
from .operand import one_axis, operand, shaped
from .shape import moveaxis, reshape, swapaxes

__all__ = ["cross", "dot", "inner", "matmul", "matrix_transpose", "outer", "tensordot"]


class Matmul(Op):
    """x @ y: rows of x times columns of y; leading axes broadcast; 1-d operands are vectors."""

    linear = ("x", "y")
    ufunc = np.matmul
    batched = True
    style = "linear"

    def forward(self, x: Any, y: Any) -> Any:
        return dispatch.matmul(x, y)

    def into(self, out: Any, x: Any, y: Any) -> None:
        dispatch.matmul(x, y, out)

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        if y.ndim == 1:
            return g[..., None] * y
        if x.ndim == 1:
            return (y @ g[..., None])[..., 0]
        return matmul(g, swapaxes(y, -1, -2))

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        if x.ndim == 1:
            return g[..., None] * x if y.ndim == 1 else x[:, None] * g[..., None, :]
        if y.ndim == 1:
            return (swapaxes(x, -1, -2) @ g[..., None])[..., 0]
        if y.ndim == 2 and x.ndim > 2 and g.ndim == out.ndim:
            count = prod(x.shape[:-1])
            rows = reshape(x, (count, x.shape[-1]))
            return matmul(swapaxes(rows, 0, 1), reshape(g, (count, g.shape[-1])))
        return matmul(swapaxes(x, -1, -2), g)

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        """Vectors become matrices of one row or column; the examples are one more leading axis."""
        (x, y), (ex, ey) = args, [e.shape for e in examples]
        ndim = max(len(ex), len(ey), 2)
        x = led(x, mapped[0], (1, *ex) if len(ex) == 1 else ex, ndim)
        y = led(y, mapped[1], (*ey, 1) if len(ey) == 1 else ey, ndim)
        return reshape(self(x, y), (size, *spec.shape))

    def spec(self, x: Spec, y: Spec) -> Spec:
        if not (x.ndim and y.ndim):
            raise ShapeError(
                self.name,
                f"x is {show(x.shape)} and y is {show(y.shape)}; a scalar has no rows or columns",
                "Use * to scale.",
            )
        inner = y.shape[0] if y.ndim == 1 else y.shape[-2]
        if x.shape[-1] != inner:
            raise ShapeError(
                self.name,
                f"x is {show(x.shape)} and y is {show(y.shape)}: the last axis of x"
                f" ({x.shape[-1]}) must be as long as axis {max(-2, -y.ndim)} of y ({inner})",
                _fix(x, y),
            )
        try:
            lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        except ValueError:
            raise ShapeError(
                self.name,
                f"x is {show(x.shape)} and y is {show(y.shape)}: their leading axes"
                f" {x.shape[:-2]} and {y.shape[:-2]} do not broadcast",
                "Make them equal or 1.",
            ) from None
        rows = x.shape[-2:-1] if x.ndim > 1 else ()
        columns = y.shape[-1:] if y.ndim > 1 else ()
        return Spec(lead + rows + columns, promote(x, y))

    def reference(self, x: Any, y: Any) -> Any:
        x, y = (np.asarray(a, dtype=object) for a in (x, y))
        wide = x[None, :] if x.ndim == 1 else x
        tall = y[:, None] if y.ndim == 1 else y
        lead = np.broadcast_shapes(wide.shape[:-2], tall.shape[:-2])
        wide = np.broadcast_to(wide, lead + wide.shape[-2:])
        tall = np.broadcast_to(tall, lead + tall.shape[-2:])
        out = scalar.empty((*lead, wide.shape[-2], tall.shape[-1]))
        for *at, i, j in np.ndindex(out.shape):
            at_ = tuple(at)
            products = (wide[(*at_, i, k)] * tall[(*at_, k, j)] for k in range(wide.shape[-1]))
            out[(*at_, i, j)] = scalar.total(products)
        out = out[..., 0, :] if x.ndim == 1 else out
        return np.asarray(out[..., 0] if y.ndim == 1 else out, dtype=object)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        i, j, k = draw.shape(3, 3, (2, 3, 1, 0))
        kind = draw.integer(0, 5)
        lead = draw.broadcastable(2) if kind == 0 else [draw.shape(high=2)] * 2
        x: Shape = (j,) if kind in (1, 2) else (*lead[0], i, j) if kind != 4 else (i, j)
        y: Shape = (j,) if kind in (2, 3) else (*lead[1], j, k) if kind != 5 else (j, k)
        return cls(), (draw.normal(x), draw.normal(y))

    def flops(self, out: Spec, x: Spec, y: Spec) -> int:  # type: ignore[override]
        return 2 * out.size * x.shape[-1]


def led(x: Any, mapped: bool, shape: Shape, ndim: int) -> Any:
    """x in a shape that broadcasts with `ndim` axes, behind that of the examples if it has one."""
    return reshape(x, (x.shape[0], *(1,) * (ndim - len(shape)), *shape) if mapped else shape)


def _fix(x: Spec, y: Spec) -> str:
    if y.ndim > 1 and x.shape[-1] == y.shape[-1]:
        return "Transpose y: x @ y.T."
    if x.ndim > 1 and y.ndim and x.shape[-2] == y.shape[max(-2, -y.ndim)]:
        return "Transpose x: x.T @ y."
    if x.ndim > 2 and prod(x.shape[1:]) == y.shape[0]:
        return f"Flatten x first: x.reshape({x.shape[0]}, -1) @ y."
    return f"Give y {x.shape[-1]} rows, or x {y.shape[max(-2, -y.ndim)]} columns."


_MATMUL = Matmul()


def matmul(x: Any, y: Any) -> Any:
    """The matrix product x @ y, by numpy's rules.

    Args:
        x: (…, m, k), or a vector (k,).
        y: (…, k, n), or a vector (k,).

    Returns:
        (…, m, n); the axis of a vector is dropped. Leading axes broadcast.

    Raises:
        ShapeError: if the inner lengths differ, a scalar is given, or leading axes do not fit.

    >>> matmul(np.array([[1.0, 2.0]]), np.array([3.0, 4.0]))
    array([11.])
    """
    return _MATMUL(x, y)


def matrix_transpose(x: Any) -> Any:
    """x with its last two axes exchanged: the transpose of each matrix (…, m, n).

    Raises:
        ShapeError: if x has fewer than two axes.

    >>> matrix_transpose(np.zeros((5, 2, 3))).shape
    (5, 3, 2)
    """
    x = shaped("matrix_transpose", x)
    if x.ndim < 2:
        raise ShapeError(
            "matrix_transpose",
            f"x is {show(x.shape)}, and a matrix has two axes",
            "Make a column of a vector with x[:, None].",
        )
    return swapaxes(x, -1, -2)


def dot(a: Any, b: Any) -> Any:
    """numpy's dot: the sum of products over the last axis of a and the last but one of b.

    For vectors the inner product, for matrices `matmul`; a scalar scales. With more axes,
    dot(a, b)[i, j, k, l] = Σₙ a[i, j, n] b[k, n, l]: leading axes do not broadcast as in `matmul`,
    but all meet all.

    Raises:
        ShapeError: if the lengths of the axes differ.

    >>> dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array(11.)
    """
    a, b = (operand("dot", v) for v in (a, b))
    if not (np.ndim(a) and np.ndim(b)):
        return multiply(a, b)
    if a.ndim > 1 and b.ndim > 2:
        return _contracted("dot", a, b, [-1], [-2])
    return matmul(a, b)


def inner(a: Any, b: Any) -> Any:
    """The sum of products over the last axes: inner(a, b)[i, j] = Σₙ a[i, n] b[j, n].

    All other axes of a, then those of b, make the result; a scalar scales. Errors as for `dot`.

    >>> inner(np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([3.0, 4.0]))
    array([11.,  4.])
    """
    a, b = (operand("inner", v) for v in (a, b))
    if not (np.ndim(a) and np.ndim(b)):
        return multiply(a, b)
    return _contracted("inner", a, b, [-1], [-1])


def outer(a: Any, b: Any) -> Any:
    """All products of an element of a with one of b: (a.size, b.size); both are flattened.

    >>> outer(np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0]))
    array([[ 3.,  4.,  5.],
           [ 6.,  8., 10.]])
    """
    a, b = (shaped("outer", v) for v in (a, b))
    return Einsum.of("i,j->ij")(reshape(a, (a.size,)), reshape(b, (b.size,)))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """The sum of products over some axes of a and as many of b.

    The other axes of a, then those of b, make the result, in their order.

    Args:
        a, b: tensors or arrays.
        axes: a pair (axes of a, axes of b), each an int or a sequence that is matched with the
            other in order; or a number n: the last n axes of a and the first n of b.

    Raises:
        ShapeError: if an axis is out of range or named twice, or if the lengths differ.

    >>> tensordot(np.ones((2, 3, 4)), np.ones((4, 3, 5)), axes=([1, 2], [1, 0])).shape
    (2, 5)
    """
    a, b = (shaped("tensordot", v) for v in (a, b))
    try:
        n = index(axes)
        of_a, of_b = list(range(-n, 0)), list(range(n))
    except TypeError:
        of_a, of_b = _pair(axes)
    return _contracted("tensordot", a, b, of_a, of_b)


def _pair(axes: Any) -> tuple[list[Any], list[Any]]:
    """The axes of both operands, from what tensordot was given."""
    try:
        of_a, of_b = ([x] if np.ndim(x) == 0 else list(x) for x in axes)
    except (TypeError, ValueError):
        raise ShapeError(
            "tensordot",
            f"axes is {axes!r}, neither an int nor a pair (axes of a, axes of b)",
            "Use axes=1 for a matrix product, or axes=([1], [0]).",
        ) from None
    return of_a, of_b


def _contracted(op: str, a: Any, b: Any, of_a: list[Any], of_b: list[Any]) -> Any:
    """The sum of products over pairs of axes."""
    axes_of(op, of_a, a.ndim)  # each is an axis, and named once
    axes_of(op, of_b, b.ndim)
    if len(of_a) != len(of_b):
        raise ShapeError(
            op,
            f"{len(of_a)} axes of a are summed over, but {len(of_b)} of b",
            "Name equally many: they are matched in order.",
        )
    left = list(ascii_letters[: a.ndim])
    right = list(ascii_letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(of_a, of_b, strict=True):
        if a.shape[i] != b.shape[j]:
            raise ShapeError(
                op,
                f"a is {show(a.shape)} and b is {show(b.shape)}: axis {i} of a ({a.shape[i]}) is"
                f" summed together with axis {j} of b ({b.shape[j]})",
                "Choose axes of equal length.",
            )
        right[j] = left[i]
    kept = [v for v in left if v not in right] + [v for v in right if v not in left]
    return Einsum.of("".join([*left, ",", *right, "->", *kept]))(a, b)


def cross(x: Any, y: Any, *, axis: int = -1) -> Any:
    """The vector product x × y of vectors of length 3 along an axis; the other axes broadcast.

    Raises:
        ShapeError: if a length is not 3, the axis is out of range, or the shapes do not fit.

    >>> cross(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    array([0., 0., 1.])
    """
    turned = []
    for name, vectors in (("x", x), ("y", y)):
        v = shaped("cross", vectors)
        v = moveaxis(v, one_axis("cross", axis, v.ndim), -1)
        if v.shape[-1] != 3:
            raise ShapeError(
                "cross",
                f"{name} has {v.shape[-1]} elements along axis {axis}, not 3",
                "In the plane it is the number x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0].",
            )
        turned += [roll(v, -1, -1), roll(v, 1, -1)]
    xs, x_back, ys, y_back = turned
    return moveaxis(xs * y_back - x_back * ys, -1, axis)
