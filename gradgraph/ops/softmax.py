"""Softmax, its logarithm, and the logarithm of a sum of exponentials."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..op import Op
from ..spec import Shape, Spec, axes_of, floating
from .operand import accumulated, flag, one_axis, shaped
from .reduce import Reduce, Sum

__all__ = ["log_softmax", "logsumexp", "softmax"]


class _Normalised(Op, abstract=True):
    """An op that looks at all elements of a line together: along one axis, or several (negative).

    Infinite logits are limits: a line of nothing but -inf has no share to give, and those that are
    +inf share evenly.
    """

    axis: int | Shape
    diagonal = ()
    batched = True
    trailing = True
    checks = True
    style = "activation"

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, floating(x))

    def line(self, values: list[Any]) -> list[Any]:
        """The definition on the scalars of one line along the axis."""
        raise NotImplementedError

    def reference(self, x: Any) -> Any:
        return scalar.along(self.axis, self.line, x)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.logits(draw.shape(low=1))
        if draw.integer(0, 3) == 3:
            return cls(axes_of(cls.name, draw.axis(x.ndim), x.ndim)), (x,)
        return cls(draw.integer(-x.ndim, -1)), (x,)

    def flops(self, out: Spec, x: Spec) -> int:  # type: ignore[override]
        return 4 * x.size


class Softmax(_Normalised):
    """eˣ / Σ eˣ along an axis."""

    def forward(self, x: Any) -> Any:
        shifted, _ = to_top(x, self.axis)
        e = np.exp(shifted, out=shifted)
        e /= np.maximum(np.sum(e, axis=self.axis, keepdims=True), 1)
        return e.astype(floating(Spec.of(x)), copy=False)

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
        shifted, _ = to_top(x, self.axis)
        shifted -= log_total(shifted, self.axis)
        return shifted.astype(floating(Spec.of(x)), copy=False)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g - np.exp(out) * g.sum(axis=self.axis, keepdims=True)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return t - (np.exp(out) * t).sum(axis=self.axis, keepdims=True)

    def line(self, values: list[Any]) -> list[Any]:
        log_total = scalar.log(scalar.total(scalar.exp(v) for v in values))
        return [v - log_total for v in values]


class LogSumExp(Reduce):
    """ln Σ eˣ over the axes; the slopes are the softmax."""

    name = "logsumexp"

    def forward(self, x: Any) -> Any:
        shifted, top = to_top(x, self.axis)
        out = log_total(shifted, self.axis)
        out += top
        return out.reshape(self._folded(x.shape)).astype(self._dtype(Spec.of(x)), copy=False)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return self._spread(g, out, x) * Softmax.of(self.axis)(x)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return Sum.of(self.axis, self.keepdims)(t * Softmax.of(self.axis)(x))

    def _dtype(self, x: Spec) -> Any:
        return floating(x)

    def fold(self, values: list[Any]) -> Any:
        return scalar.log(scalar.total(scalar.exp(v) for v in values))

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.logits(draw.shape(sizes=(2, 3, 1, 5)))
        return cls(axes_of(cls.name, draw.axis(x.ndim), x.ndim), draw.boolean()), (x,)

    def flops(self, out: Spec, x: Spec) -> int:  # type: ignore[override]
        return 3 * x.size


def to_top(x: Any, axis: Any) -> tuple[Any, Any]:
    """x minus the greatest element of its line, in a new array of floats, and that element.

    The greatest is then 0 also if it is +inf, and all are -inf if there is no other. Half precision
    becomes single: the exponentials are to be summed.
    """
    x = accumulated(x)
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    if np.isfinite(top).all():
        return np.asarray(x - top), top
    with np.errstate(invalid="ignore"):
        shifted = np.asarray(x - np.where(top == -np.inf, 0, top))
    shifted[x == np.inf] = 0
    return shifted, top


def log_total(shifted: Any, axis: Any) -> Any:
    """ln Σ eˣ of lines whose greatest element is 0, and 0 for lines of -inf."""
    total = np.asarray(np.sum(np.exp(shifted), axis=axis, keepdims=True))
    return np.log(np.maximum(total, 1, out=total), out=total)


def _along(cls: type[_Normalised], x: Any, axis: Any) -> Any:
    x = shaped(cls.name, x)
    return cls.of(one_axis(cls.name, axis, x.ndim, "Use axis=-1."))(x)


def softmax(x: Any, axis: int = -1) -> Any:
    """eˣ / Σ eˣ along an axis: positive numbers that sum to 1 (chapter, section 7.3).

    Args:
        x: tensor or array with at least one axis; integers give floats.
        axis: the axis that sums to 1.

    Raises:
        ShapeError: if the axis is out of range.

    Where a line has nothing but -inf (all is masked), softmax is 0, so is its gradient, and
    log_softmax is -inf; logits of +inf share evenly.

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


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """ln Σ eˣ over some axes, computed so that it never overflows: a smooth maximum.

    Its gradient is the softmax. A line of nothing but -inf, like one without elements, gives -inf
    and its gradient is 0; +inf gives +inf, and elements that are +inf share the gradient evenly.

    Args:
        x: tensor or array; integers give floats.
        axis: int, tuple of ints (negative ones count from the end) or None for all axes.
        keepdims: keep the folded axes with length 1.

    Raises:
        ShapeError: if an axis is out of range or named twice.

    >>> logsumexp(np.array([1000.0, 1000.0])) - 1000.0
    np.float64(0.6931471805598903)
    """
    x = shaped("logsumexp", x)
    keepdims = flag("logsumexp", "keepdims", keepdims)
    return LogSumExp.of(axes_of("logsumexp", axis, x.ndim), keepdims)(x)
