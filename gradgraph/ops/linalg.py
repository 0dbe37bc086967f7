"""Matrix products, by numpy's rules."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import ShapeError
from ..op import Op
from ..spec import Shape, Spec, promote, show
from .shape import reshape, swapaxes

__all__ = ["matmul"]


class Matmul(Op):
    """x @ y: rows of x times columns of y; leading axes broadcast; 1-d operands are vectors."""

    linear = ("x", "y")
    ufunc = np.matmul
    batched = True
    style = "linear"

    def forward(self, x: Any, y: Any) -> Any:
        return np.matmul(x, y)

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        if y.ndim == 1:
            return g[..., None] * y
        if x.ndim == 1:
            return (y @ g[..., None])[..., 0]
        return g @ swapaxes(y, -1, -2)

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        if x.ndim == 1:
            return g[..., None] * x if y.ndim == 1 else x[:, None] * g[..., None, :]
        if y.ndim == 1:
            return (swapaxes(x, -1, -2) @ g[..., None])[..., 0]
        if y.ndim == 2 and x.ndim > 2 and g.ndim == out.ndim:
            count = prod(x.shape[:-1])
            rows = reshape(x, (count, x.shape[-1]))
            return swapaxes(rows, 0, 1) @ reshape(g, (count, g.shape[-1]))
        return swapaxes(x, -1, -2) @ g

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
