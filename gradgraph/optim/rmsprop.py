"""RMSprop: each gradient is divided by the size that its weight has seen lately."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..tensor import Array, Tensor
from .optimizer import Optimizer, Setting, decayed, pieces


class RMSprop(Optimizer):
    """v ← alpha · v + (1 - alpha) g²,  w ← w - lr · g / (√v + eps).

    With momentum, u ← momentum · u + g / (√v + eps) and w ← w - lr · u. With weight decay,
    g + weight_decay · w takes the place of g. Everything happens in place.

    Source: Tieleman and Hinton, Lecture 6.5 of Neural networks for machine learning (2012).

    Args:
        parameters, lr: as for `Optimizer`.
        alpha: how much of the mean square stays, from 0 to less than 1.
        eps: what keeps the quotient finite, > 0.
        weight_decay: pull towards zero, ≥ 0.
        momentum: how much of the last velocity stays, ≥ 0.

    Raises:
        DomainError: if a number is out of range. Also those of `Optimizer`.

    >>> import gradgraph as gg
    >>> w = gg.Tensor([1.0, 100.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> RMSprop([w], lr=0.1).step()
    >>> w.data.round(6)
    array([ 0., 99.])
    """

    alpha = Setting(below=1)
    eps = Setting(positive=True)
    weight_decay = Setting()
    momentum = Setting()

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        self.alpha, self.eps = alpha, eps
        self.weight_decay, self.momentum = weight_decay, momentum
        self.add_slot("square")
        if self.momentum:
            self.add_slot("velocity")

    def update(self, i: int, w: Array, g: Array) -> None:
        if self.momentum and "velocity" not in self.slots:  # it was set after the first steps
            self.add_slot("velocity")
        held = [self.slots[name][i].own() for name in self.slots]
        for w_, g_, v_, *velocity, scratch in pieces(w, g, *held):
            slope = decayed(g_, w_, self.weight_decay, scratch)
            v_ *= self.alpha
            v_ += (1 - self.alpha) * (slope * slope)
            size = np.sqrt(v_)
            size += self.eps
            np.divide(slope, size, out=scratch)
            for u_ in velocity:
                u_ *= self.momentum
                u_ += scratch
                scratch[...] = u_
            scratch *= self.lr
            w_ -= scratch
