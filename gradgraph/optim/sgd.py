"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..compile.effect import Recipe
from ..errors import DomainError
from ..mode import current
from ..tensor import Array, Tensor
from .optimizer import Optimizer, Setting, decayed, pieces


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum: v ← momentum · v + g,  w ← w - lr · v.

    With weight decay, g + weight_decay · w takes the place of g. With Nesterov's look-ahead,
    w ← w - lr · (g + momentum · v). Everything happens in place.

    Args:
        parameters, lr: as for `Optimizer`.
        momentum: how much of the last velocity stays, ≥ 0; the velocity starts at zero.
        weight_decay: pull towards zero, ≥ 0.
        nesterov: whether to look ahead; needs momentum.

    Raises:
        DomainError: if a number is negative, or nesterov is asked for without momentum.
        Also those of `Optimizer`.

    >>> import gradgraph as gg
    >>> w = gg.Tensor(1.0, requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).backward()
    ...     optimizer.step()
    >>> round(w.item(), 6)
    0.46
    """

    momentum = Setting()
    weight_decay = Setting()

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = bool(nesterov)
        if nesterov and not self.momentum:
            raise DomainError(
                "SGD", "nesterov looks ahead along the velocity, but momentum is 0", "Use 0.9."
            )
        if self.momentum:
            self.add_slot("velocity")

    def _fixed(self) -> dict[str, Any]:
        return super()._fixed() | {"nesterov": self.nesterov}

    @property
    def velocity(self) -> list[Tensor]:
        """The velocity of each parameter; empty without momentum."""
        return self.slots.get("velocity", [])

    def recipe(self, i: int) -> Recipe | None:
        if type(self).update is not SGD.update:
            return None
        if tape := current().tape:
            tape.ask((id(self), "velocity"), lambda: bool(self.velocity or self.momentum))
        if self.momentum and not self.velocity:
            return None
        slots = (self.velocity[i],) if self.velocity else ()
        return Recipe("sgd", self, slots, self._numbers)

    def _numbers(self) -> tuple[float, ...]:
        return self.lr, self.momentum, self.weight_decay, float(self.nesterov)

    def update(self, i: int, w: Array, g: Array) -> None:
        if self.momentum and not self.velocity:  # it was set after the first steps
            self.add_slot("velocity")
        if not self.velocity:
            for w_, g_, scratch in pieces(w, g):
                slope = decayed(g_, w_, self.weight_decay, scratch)
                w_ -= np.multiply(slope, self.lr, out=scratch)
            return
        for w_, g_, v_, scratch in pieces(w, g, self.velocity[i].own()):
            slope = decayed(g_, w_, self.weight_decay, scratch)
            v_ *= self.momentum
            v_ += slope
            ahead = slope + self.momentum * v_ if self.nesterov else v_
            w_ -= np.multiply(ahead, self.lr, out=scratch)
