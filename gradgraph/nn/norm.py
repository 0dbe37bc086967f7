"""Normalisations as layers, with scale and shift that are learned."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import ops
from ..errors import DomainError
from ..node import leaf
from ..ops.operand import check_eps, number
from ..spec import brief
from ..tensor import Tensor
from .linear import sizes
from .module import Module, parameter


class BatchNorm(Module):
    """Each channel with mean 0 and variance 1 over the batch, then scaled and shifted.

    In training it uses the statistics of the batch and keeps running ones,
    running ← (1 - momentum) · running + momentum · batch, that take their place in use (`eval`).
    The running variance is the unbiased one.

    Source: Ioffe and Szegedy, Batch normalization (2015).

    Args:
        channels: on the last axis.
        eps: what is added to the variance, > 0.
        momentum: the weight of the newest batch, from 0 to 1.

    Attributes:
        gamma, beta: (channels,) scale and shift, float32.
        mean, var: (channels,) running statistics: buffers, which no optimiser changes.

    Raises:
        DomainError: if channels is no int ≥ 1, or momentum is not from 0 to 1.

    >>> layer = BatchNorm(3)
    >>> y = layer(np.random.default_rng(0).normal(5.0, 2.0, (64, 8, 8, 3)).astype(np.float32))
    >>> y.data.mean().round(4) + 0.0, layer.mean.data.round(1)
    (np.float32(0.0), array([0.5, 0.5, 0.5], dtype=float32))
    """

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        (channels,) = sizes("BatchNorm", channels=channels)
        check_eps("BatchNorm", eps, "1e-5")
        self.eps, self.momentum = eps, number("BatchNorm", "momentum", momentum, 0, 1)
        self.gamma = parameter(np.ones(channels), "gamma")
        self.beta = parameter(np.zeros(channels), "beta")
        self.mean = leaf(Tensor, np.zeros(channels, np.float32))
        self.var = leaf(Tensor, np.ones(channels, np.float32))

    def forward(self, x: Any) -> Any:
        y, mean, var = ops.batch_norm(
            x,
            self.gamma,
            self.beta,
            running_mean=self.mean,
            running_var=self.var,
            training=self.training,
            eps=self.eps,
            return_stats=True,
        )
        if self.training:
            items = prod(np.shape(x)[:-1])
            unbiased = items / max(items - 1, 1)
            old, new = 1 - self.momentum, self.momentum
            self.mean.assign(old * self.mean + new * mean)
            self.var.assign(old * self.var + new * unbiased * var)
        return y

    def extra_repr(self) -> str:
        return str(len(self.gamma))


class LayerNorm(Module):
    """Each item with mean 0 and variance 1 over its features, then scaled and shifted.

    Source: Ba, Kiros and Hinton, Layer normalization (2016).

    Args:
        features: how many there are on the last axis, or on each of the last axes.
        eps: what is added to the variance, > 0.

    Attributes:
        gamma, beta: scale and shift, in the shape of the features, float32.

    Raises:
        DomainError: if a size is no int ≥ 1.

    >>> LayerNorm(4)(np.array([[0.0, 2.0, 0.0, 2.0]], np.float32)).data.round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(self, features: int | tuple[int, ...], *, eps: float = 1e-5) -> None:
        check_eps("LayerNorm", eps, "1e-5")
        given = features if isinstance(features, tuple | list) else (features,)
        if not given:
            raise DomainError("LayerNorm", "features is (): of no axis", "Use features=8.")
        shape = tuple(sizes("LayerNorm", features=n)[0] for n in given)
        self.eps = eps
        self.gamma = parameter(np.ones(shape), "gamma")
        self.beta = parameter(np.zeros(shape), "beta")

    def forward(self, x: Any) -> Any:
        axes = tuple(range(-self.gamma.ndim, 0))
        return ops.layer_norm(x, self.gamma, self.beta, axis=axes, eps=self.eps)

    def extra_repr(self) -> str:
        return brief(self.gamma.shape)


class GroupNorm(Module):
    """Each group of channels of an item with mean 0 and variance 1, then scaled and shifted.

    Source: Wu and He, Group normalization (2018).

    Args:
        groups: into how many groups of neighbours the channels are divided.
        channels: on the last axis.
        eps: what is added to the variance, > 0.

    Attributes:
        gamma, beta: (channels,) scale and shift, float32.

    Raises:
        DomainError: if a size is no int ≥ 1, or the groups cannot share the channels.

    >>> GroupNorm(2, 4)(np.array([[0.0, 2.0, 5.0, 7.0]], np.float32)).data.round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(self, groups: int, channels: int, *, eps: float = 1e-5) -> None:
        check_eps("GroupNorm", eps, "1e-5")
        self.groups, channels = sizes("GroupNorm", groups=groups, channels=channels)
        if channels % self.groups:
            raise DomainError(
                "GroupNorm",
                f"{self.groups} groups cannot share {channels} channels evenly",
                "Use groups that divide them.",
            )
        self.eps = eps
        self.gamma = parameter(np.ones(channels), "gamma")
        self.beta = parameter(np.zeros(channels), "beta")

    def forward(self, x: Any) -> Any:
        return ops.group_norm(x, self.groups, self.gamma, self.beta, eps=self.eps)

    def extra_repr(self) -> str:
        return f"{self.groups} groups of {len(self.gamma)}"
