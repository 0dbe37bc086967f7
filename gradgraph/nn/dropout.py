"""Dropout as a layer."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..ops.operand import number
from ..ops.random import Rng, generator
from .module import Module


class Dropout(Module):
    """Each number is 0 with the probability `rate`, the others are scaled; in use x itself.

    Args:
        rate: from 0 to 1.
        rng: a numpy Generator, which goes on from step to step, or a seed for one.

    Raises:
        DTypeError: if rng is no generator and no seed, or rate is no number.
        DomainError: if rate is not from 0 to 1.

    >>> import numpy as np
    >>> layer = Dropout(0.5, rng=0)
    >>> layer(np.ones(6)), layer.eval()(np.ones(6))
    (array([2., 2., 2., 0., 0., 0.]), array([1., 1., 1., 1., 1., 1.]))
    """

    def __init__(self, rate: float = 0.5, *, rng: Rng) -> None:
        self.rng = generator(rng, type(self).__name__)
        self.rate = number(type(self).__name__, "rate", rate, 0, 1)

    def forward(self, x: Any) -> Any:
        return ops.dropout(x, self.rate, rng=self.rng, training=self.training)

    def extra_repr(self) -> str:
        return f"{self.rate:g}"


class ChannelDropout(Dropout):
    """The same with whole channels (N, *S, C): neighbouring pixels are too alike to hide alone.

    >>> import numpy as np
    >>> ChannelDropout(0.5, rng=0)(np.ones((1, 2, 2, 4)))[0, :, :, 1].ravel().tolist()
    [2.0, 2.0, 2.0, 2.0]
    """

    def forward(self, x: Any) -> Any:
        return ops.channel_dropout(x, self.rate, rng=self.rng, training=self.training)
