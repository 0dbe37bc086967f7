"""Normalisation to mean 0 and variance 1, over batches, layers, groups, instances; channels last.

Sources: batch, arXiv:1502.03167; layer, 1607.06450; instance, 1607.08022; group, 1803.08494; root
mean square, 1910.07467.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, ShapeError
from ..kernels import dispatch
from ..op import Op
from ..spec import Shape, Spec, accumulating, axes_of, floating, show
from .elementwise import cast
from .operand import accumulated, check_eps, operand_spec, shaped
from .reduce import mean
from .shape import reshape

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]


class Standardise(Op):
    """(x - mean) / √(var + eps) over the axes (negative, sorted); and mean and var themselves.

    Mean and variance (biased) keep the folded axes with length 1. For half precision they are in
    single. One kernel serves every normalisation of this module.
    """

    axis: Shape
    eps: float
    outputs = 3
    batched = True
    checks = True
    style = "activation"

    def forward(self, x: Any) -> Any:
        made = dispatch.standardise(x, self.axis, self.eps)
        if made is not None:
            return made
        dtype = floating(Spec.of(x))
        x = accumulated(x)
        middle = np.mean(x, axis=self.axis, keepdims=True)
        y = np.asarray(x - middle)
        var = np.mean(np.square(y), axis=self.axis, keepdims=True)
        y *= 1 / np.sqrt(var + self.eps)
        return y.astype(dtype, copy=False), middle, var

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        gy, gm, gv = g
        y, _, var = out
        rate = 1 / np.sqrt(var + self.eps)
        count = self._count(x.shape)
        along, shift = gv * (2 / count) / rate, gm * (1 / count)
        made = dispatch.standardise_back(gy, y, self.axis, rate, along, shift)
        if made is not None:
            return made
        scale = along - rate * self._mean(gy * y)
        return rate * gy + scale * y + (shift - rate * self._mean(gy))

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        y, _, var = out
        rate = 1 / np.sqrt(var + self.eps)
        middle, along = self._mean(t), self._mean(t * y)
        return rate * (t - middle - along * y), middle, 2 * along / rate

    def _mean(self, x: Any) -> Any:
        return mean(x, self.axis, keepdims=True)

    def _count(self, shape: Shape) -> int:
        return math.prod(shape[a] for a in self.axis)

    def spec(self, x: Spec) -> tuple[Spec, Spec, Spec]:
        _check_count(self.name, x.shape, self.axis)
        axes = [a % x.ndim for a in self.axis]
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        stats = Spec(kept, accumulating(x))
        return Spec(x.shape, floating(x)), stats, stats

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        axes = [a % x.ndim for a in self.axis]
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        y, middle, var = scalar.empty(x.shape), scalar.empty(kept), scalar.empty(kept)
        for at in np.ndindex(kept):
            line = [p for p in np.ndindex(x.shape) if _projected(p, axes) == at]
            middle[at] = scalar.total(x[p] for p in line) * (1 / len(line))
            squares = [(x[p] - middle[at]) * (x[p] - middle[at]) for p in line]
            var[at] = scalar.total(squares) * (1 / len(line))
            for p in line:
                y[p] = (x[p] - middle[at]) / scalar.sqrt(var[at] + self.eps)
        return y, middle, var

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape(sizes=(2, 3, 1, 5)))
        return cls(axes_of(cls.name, draw.axis(x.ndim), x.ndim), draw.choice([0.1, 1e-5, 1.0])), (
            x,
        )

    def flops(self, out: Any, x: Spec) -> int:  # type: ignore[override]
        return 6 * x.size


def _projected(place: Shape, axes: list[int]) -> Shape:
    """A place of x as the place of the statistics of its line."""
    return tuple(0 if i in axes else p for i, p in enumerate(place))


def _check_count(op: str, shape: Shape, axes: Shape) -> None:
    """Raise if the axes hold nothing to take a mean of."""
    if not math.prod(shape[a] for a in axes):
        raise ShapeError(
            op,
            f"x is {show(shape)} and axes {axes} hold no elements to take a mean of",
            "Skip empty batches.",
        )


def _standardised(op: str, x: Any, axes: Shape, eps: float) -> Any:
    """`Standardise` for a function whose name its errors shall have."""
    _check_count(op, x.shape, axes)
    return Standardise.of(axes, float(eps))(x)


def batch_norm(
    x: Any,
    gamma: Any,
    beta: Any,
    *,
    running_mean: Any = None,
    running_var: Any = None,
    training: bool = True,
    eps: float = 1e-5,
    return_stats: bool = False,
) -> Any:
    """gamma · (x - mean) / √(var + eps) + beta, for each channel over the batch and all places.

    In training, mean and variance are those of the batch, and the gradient goes through them; a
    channel with one value has variance 0 and becomes beta. Else they are the running ones.

    Args:
        x: (batch, …, channels) tensor or array.
        gamma, beta: (channels,) scale and shift; None for 1 and 0.
        running_mean, running_var: (channels,) statistics to use when not training.
        training: whether to use the batch's own.
        eps: what is added to the variance, > 0.
        return_stats: whether to return (y, mean, var), for a layer that keeps running ones:
            `running.assign(0.9 * running + 0.1 * mean)`, of tensors and not of their `.data`, which
            `gg.trace` does not know.

    Returns:
        y in the shape of x, and in its dtype unless that of gamma or beta is wider; integers give
        float64. With `return_stats` also the (channels,) mean and the biased
        variance Σ (x - mean)² / n that were used, in float32 if x is float16.

    Raises:
        ShapeError: if an argument does not have one number for each channel, or the batch is empty.
        DomainError: if running statistics are missing when not training, or eps is not > 0.

    >>> batch_norm(np.array([[1.0, 5.0], [3.0, 5.0]]), None, None).round(3)
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    x = _checked("batch_norm", x, 2, "(batch, …, channels)", eps)
    channels = x.shape[-1:]
    y: Any
    if training:
        y, middle, var = _standardised("batch_norm", x, tuple(range(-x.ndim, -1)), eps)
        middle, var = reshape(middle, channels), reshape(var, channels)
    else:
        middle, var = running_mean, running_var
        if middle is None or var is None:
            raise DomainError(
                "batch_norm",
                "training is False, but running_mean and running_var were not both given",
                "Pass the statistics that were collected in training, or training=True.",
            )
        middle, var = (shaped("batch_norm", v) for v in (middle, var))
        for name, value in (("running_mean", middle), ("running_var", var)):
            _fits("batch_norm", name, value, channels, x)
        y = (x - middle) * (1 / np.sqrt(var + eps))
        dtype = floating(operand_spec(x))
        y = y if y.dtype == dtype else cast(y, dtype)
    y = _affine("batch_norm", y, gamma, beta, channels, x)
    return (y, middle, var) if return_stats else y


def layer_norm(
    x: Any, gamma: Any = None, beta: Any = None, *, axis: Any = -1, eps: float = 1e-5
) -> Any:
    """gamma · (x - mean) / √(var + eps) + beta, for each item over its own features.

    Args:
        x: tensor or array.
        gamma, beta: scale and shift in the shape of the axes, in their order in x; None for 1, 0.
        axis: int or tuple of ints: the axes of the features.
        eps: what is added to the variance, > 0.

    Raises:
        ShapeError: if an axis is out of range, gamma or beta has another shape, or there are no
            features.
        DomainError: if eps is not > 0.

    >>> layer_norm(np.array([[1.0, 3.0], [6.0, 2.0]])).round(3)
    array([[-1.,  1.],
           [ 1., -1.]])
    """
    x = _checked("layer_norm", x, 1, "(…, features)", eps)
    axes = axes_of("layer_norm", axis, x.ndim)
    y, _, _ = _standardised("layer_norm", x, axes, eps)
    return _affine("layer_norm", y, gamma, beta, tuple(x.shape[a] for a in axes), x, axes)


def group_norm(
    x: Any, groups: int, gamma: Any = None, beta: Any = None, *, eps: float = 1e-5
) -> Any:
    """gamma · (x - mean) / √(var + eps) + beta, for each item over groups of channels.

    A group's statistics are those of all its channels at all places.

    Args:
        x: (batch, …, channels) tensor or array.
        groups: into how many groups of neighbours the channels are divided.
        gamma, beta: (channels,) scale and shift; None for 1 and 0.
        eps: what is added to the variance, > 0.

    Raises:
        ShapeError: if the groups do not divide the channels, gamma or beta does not have one number
            for each channel, or there are no elements.
        DomainError: if eps is not > 0.

    >>> group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), 2).round(3)
    array([[-1.,  1., -1.,  1.]])
    """
    x = _checked("group_norm", x, 2, "(batch, …, channels)", eps)
    channels = x.shape[-1]
    if isinstance(groups, bool) or not isinstance(groups, int | np.integer) or groups < 1:
        raise DomainError("group_norm", f"groups is {groups!r}, not an int > 0", "Use groups=1.")
    if channels % groups:
        raise ShapeError(
            "group_norm",
            f"x is {show(x.shape)}: its {channels} channels cannot be divided into {groups} groups"
            " of equal size",
            f"Use a divisor of {channels}.",
        )
    split = reshape(x, (*x.shape[:-1], int(groups), channels // groups))
    axes = (*range(-split.ndim + 1, -2), -1)
    y, _, _ = _standardised("group_norm", split, axes, eps)
    return _affine("group_norm", reshape(y, x.shape), gamma, beta, (channels,), x)


def instance_norm(x: Any, gamma: Any = None, beta: Any = None, *, eps: float = 1e-5) -> Any:
    """gamma · (x - mean) / √(var + eps) + beta, for each item and channel over all places.

    Args:
        x: (batch, …, channels) tensor or array with at least one axis of places.
        gamma, beta: (channels,) scale and shift; None for 1 and 0.
        eps: what is added to the variance, > 0.

    Raises:
        ShapeError: if gamma or beta does not have one number for each channel, or x has no places.
        DomainError: if eps is not > 0.

    >>> instance_norm(np.array([[[1.0, 10.0], [3.0, 10.0]]])).round(3)
    array([[[-1.,  0.],
            [ 1.,  0.]]])
    """
    x = _checked("instance_norm", x, 3, "(batch, …, channels)", eps)
    y, _, _ = _standardised("instance_norm", x, tuple(range(-x.ndim + 1, -1)), eps)
    return _affine("instance_norm", y, gamma, beta, x.shape[-1:], x)


def rms_norm(x: Any, gamma: Any = None, *, axis: Any = -1, eps: float = 1e-5) -> Any:
    """gamma · x / √(mean x² + eps), for each item over its own features.

    Arguments and errors as for `layer_norm`. Half precision is computed in single.

    >>> rms_norm(np.array([[1.0, 7.0]])).round(3)
    array([[0.2, 1.4]])
    """
    x = _checked("rms_norm", x, 1, "(…, features)", eps)
    axes = axes_of("rms_norm", axis, x.ndim)
    _check_count("rms_norm", x.shape, axes)
    wide = cast(x, np.float32) if x.dtype == np.float16 else x
    y = wide * (1 / np.sqrt(mean(wide * wide, axes, keepdims=True) + eps))
    y = cast(y, x.dtype) if wide is not x else y
    return _affine("rms_norm", y, gamma, None, tuple(x.shape[a] for a in axes), x, axes)


def _checked(op: str, x: Any, ndim: int, layout: str, eps: Any) -> Any:
    x = shaped(op, x)
    if x.ndim < ndim:
        raise ShapeError(
            op,
            f"x is {show(x.shape)}, but {layout} is needed: at least {ndim} axes, channels last",
            "Insert axes of length 1 with [None].",
        )
    check_eps(op, eps, "1e-5")
    return x


def _fits(op: str, name: str, value: Any, wanted: Shape, x: Any) -> None:
    """Raise unless the argument has the shape of what is normalised."""
    if np.shape(value) != wanted:
        what = f"{wanted[0]} channels" if len(wanted) == 1 else f"features of shape {show(wanted)}"
        raise ShapeError(
            op,
            f"{name} is {show(np.shape(value))}, but x is {show(x.shape)} and has {what}",
            f"Give {name} the shape {wanted}; channels of x are last.",
        )


def _affine(
    op: str, y: Any, gamma: Any, beta: Any, wanted: Shape, x: Any, axes: Shape = (-1,)
) -> Any:
    """gamma · y + beta, each in the shape of the axes, or None."""
    lined = tuple(n if i - x.ndim in axes else 1 for i, n in enumerate(x.shape))
    lined = lined[axes[0] :] if axes else ()
    for name, value in (("gamma", gamma), ("beta", beta)):
        if value is None:
            continue
        value = shaped(op, value)
        _fits(op, name, value, wanted, x)
        value = reshape(value, lined) if len(lined) != len(wanted) else value
        y = y * value if name == "gamma" else y + value
    return y
