"""Softmax and its logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import ShapeError
from ..op import Op
from ..spec import Spec, axes_of, floating

__all__ = ["log_softmax", "softmax"]


class _Normalised(Op, abstract=True):
    """An op along one axis (negative) that looks at all its elements together."""

    axis: int
    diagonal = ()
    batched = True
    trailing = True
    checks = True
    style = "activation"

    def spec(self, x: Spec) -> Spec:
        if x.size and not x.shape[self.axis]:
            raise ShapeError(self.name, f"axis {self.axis} of {x} is empty", "Choose another.")
        return Spec(x.shape, floating(x))

    def line(self, values: list[Any]) -> list[Any]:
        """The definition on the scalars of one line along the axis."""
        raise NotImplementedError

    def reference(self, x: Any) -> Any:
        x = np.moveaxis(np.asarray(x, dtype=object), self.axis, -1)
        out = scalar.empty(x.shape)
        for at in np.ndindex(x.shape[:-1]):
            for i, v in enumerate(self.line(list(x[at]))):
                out[(*at, i)] = v
        return np.moveaxis(out, -1, self.axis)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.logits(draw.shape(low=1))
        return cls(draw.integer(-x.ndim, -1)), (x,)

    def flops(self, out: Spec, x: Spec) -> int:  # type: ignore[override]
        return 4 * x.size


class Softmax(_Normalised):
    """eˣ / Σ eˣ along an axis."""

    def forward(self, x: Any) -> Any:
        x = x.astype(floating(Spec.of(x)), copy=False)
        if not x.size:
            return x
        e = np.exp(x - np.max(x, axis=self.axis, keepdims=True))
        e /= np.sum(e, axis=self.axis, keepdims=True)
        return e

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return out * (g - (g * out).sum(axis=self.axis, keepdims=True))

    jvp_x = vjp_x  # the Jacobian is symmetric

    def line(self, values: list[Any]) -> list[Any]:
        e = [scalar.exp(v) for v in values]
        total = scalar.total(e)
        return [v / total for v in e]


class LogSoftmax(_Normalised):
    """x - ln Σ eˣ along an axis."""

    def forward(self, x: Any) -> Any:
        x = x.astype(floating(Spec.of(x)), copy=False)
        if not x.size:
            return x
        shifted = x - np.max(x, axis=self.axis, keepdims=True)
        return shifted - np.log(np.sum(np.exp(shifted), axis=self.axis, keepdims=True))

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g - np.exp(out) * g.sum(axis=self.axis, keepdims=True)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return t - (np.exp(out) * t).sum(axis=self.axis, keepdims=True)

    def line(self, values: list[Any]) -> list[Any]:
        log_total = scalar.log(scalar.total(scalar.exp(v) for v in values))
        return [v - log_total for v in values]


def _along(cls: type[_Normalised], x: Any, axis: Any) -> Any:
    x = x if hasattr(x, "ndim") else np.asarray(x)
    axes = axes_of(cls.name, axis, x.ndim)
    if axis is None or len(axes) != 1:
        raise ShapeError(cls.name, f"axis is {axis!r}, not one axis", "Use axis=-1.")
    return cls.of(axes[0])(x)


def softmax(x: Any, axis: int = -1) -> Any:
    """eˣ / Σ eˣ along an axis: positive numbers that sum to 1 (chapter, section 7.3).

    Args:
        x: tensor or array with at least one axis; integers give floats.
        axis: the axis that sums to 1.

    Raises:
        ShapeError: if the axis is out of range.

    >>> softmax(np.array([0.0, np.log(3.0)]))
    array([0.25, 0.75])
    """
    return _along(Softmax, x, axis)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """ln softmax(x), computed so that it never is ln 0. Arguments and errors as for `softmax`.

    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return _along(LogSoftmax, x, axis)
