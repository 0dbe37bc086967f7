"""Adam and AdamW: steps of about the learning rate, whatever the size of the gradients."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import ClassVar

import numpy as np

from ..errors import DTypeError
from ..tensor import Array, Tensor
from .optimizer import Optimizer, Setting, decayed, pieces


class Adam(Optimizer):
    """m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  w ← w - lr · m̂ / (√v̂ + eps).

    m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) undo that both start at zero; t counts the steps of
    the parameter. With weight decay, g + weight_decay · w takes the place of g (`AdamW` decays the
    weights themselves). Everything happens in place.

    Source: Kingma and Ba, Adam: a method for stochastic optimization (2014).

    Args:
        parameters, lr: as for `Optimizer`.
        betas: β₁ and β₂, from 0 to less than 1.
        eps: what keeps the quotient finite, > 0.
        weight_decay: pull towards zero, ≥ 0.

    Raises:
        DomainError: if a number is out of range. Also those of `Optimizer`.

    >>> import gradgraph as gg
    >>> w = gg.Tensor([1.0, 100.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(6)
    array([ 0.9, 99.9])
    """

    beta1, beta2 = Setting(below=1), Setting(below=1)
    eps = Setting(positive=True)
    weight_decay = Setting()
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise DTypeError(
                type(self).__name__, f"betas is {betas!r}, not two numbers", "Use (0.9, 0.999)."
            )
        self.beta1, self.beta2 = betas
        self.eps = eps
        self.weight_decay = weight_decay
        self.add_slot("mean")
        self.add_slot("square")
        self.add_slot("steps", 0)

    def update(self, i: int, w: Array, g: Array) -> None:
        mean, square, steps = (self.slots[name][i].own() for name in ("mean", "square", "steps"))
        steps += 1
        rate = self.lr / (1 - self.beta1 ** int(steps))
        root = sqrt(1 - self.beta2 ** int(steps))
        for w_, g_, m_, v_, scratch in pieces(w, g, mean, square):
            if self.decoupled:
                w_ *= 1 - self.lr * self.weight_decay
            slope = decayed(g_, w_, 0.0 if self.decoupled else self.weight_decay, scratch)
            m_ += (1 - self.beta1) * (slope - m_)
            v_ *= self.beta2
            v_ += (1 - self.beta2) * (slope * slope)
            np.sqrt(v_, out=scratch)
            scratch /= root
            scratch += self.eps
            np.divide(m_, scratch, out=scratch)
            scratch *= rate
            w_ -= scratch


class AdamW(Adam):
    """Adam whose weights decay by themselves: w ← (1 - lr · weight_decay) w before each step.

    Source: Loshchilov and Hutter, Decoupled weight decay regularization (2017).

    Arguments and errors as for `Adam`; the weight decay is 0.01 unless it is given.

    >>> import gradgraph as gg
    >>> w = gg.Tensor(1.0, requires_grad=True)
    >>> (w * 0.0).backward()
    >>> AdamW([w], lr=0.1, weight_decay=0.5).step()
    >>> round(w.item(), 6)
    0.95
    """

    decoupled = True

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)
