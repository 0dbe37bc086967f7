"""The chapter's simple CNN for signals."""

from __future__ import annotations

from typing import Any

from .. import nn, ops
from ..ops.random import Rng, generator


class SignalCNN(nn.Module):
    """One filter, relu, and one fully connected unit, none with a bias (chapter, section 7.4).

    (N, length, 1) signals → (N, 1) numbers, float32; kernel + length weights.

    Args:
        length: of the signals.
        kernel: length of the filter; padding keeps the length of the signal.
        rng: a numpy Generator, which goes on, or a seed, for the weights.

    >>> import numpy as np
    >>> net = SignalCNN(10, 3, rng=0)
    >>> net(np.zeros((1, 10, 1), np.float32)).shape, sum(p.size for p in net.parameters())
    ((1, 1), 13)
    """

    def __init__(self, length: int, kernel: int = 3, *, rng: Rng) -> None:
        rng = generator(rng, "SignalCNN")
        self.conv = nn.Conv(1, 1, (kernel,), padding="same", bias=False, rng=rng)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(length, 1, bias=False, rng=rng)

    def forward(self, x: Any) -> Any:
        a = ops.relu(self.conv(x))
        return self.fc(self.flatten(a))
