"""LeNet-5, as published."""

from __future__ import annotations

from typing import Any

from .. import nn, ops
from ..ops.random import Rng, generator


class LeNet5(nn.Module):
    """LeNet-5: three rounds of filters with tanh, means of 2×2 pixels between them, two layers.

    (N, 28, 28, channels) images → (N, classes) scores, float32; 61,706 weights for digits. As in
    later descriptions of it, every filter of the second round sees all channels. `nn.LeNet` is the
    modern one, with relu and maxima.

    Source: LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document
    recognition (1998), section II.B.

    Args:
        classes: how many there are.
        channels: of the images.
        rng: a numpy Generator, which goes on, or a seed, for the weights.

    >>> import numpy as np
    >>> net = LeNet5(rng=0)
    >>> net(np.zeros((2, 28, 28, 1), np.float32)).shape, sum(p.size for p in net.parameters())
    ((2, 10), 61706)
    """

    def __init__(self, classes: int = 10, channels: int = 1, *, rng: Rng) -> None:
        rng = generator(rng, "LeNet5")
        self.conv1 = nn.Conv(channels, 6, 5, padding=2, rng=rng)
        self.pool1 = nn.AvgPool(2)
        self.conv2 = nn.Conv(6, 16, 5, rng=rng)
        self.pool2 = nn.AvgPool(2)
        self.conv3 = nn.Conv(16, 120, 5, rng=rng)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(120, 84, rng=rng)
        self.fc2 = nn.Linear(84, classes, rng=rng)

    def forward(self, x: Any) -> Any:
        x = self.pool1(ops.tanh(self.conv1(x)))
        x = self.pool2(ops.tanh(self.conv2(x)))
        x = ops.tanh(self.conv3(x))
        x = ops.tanh(self.fc1(self.flatten(x)))
        return self.fc2(x)
