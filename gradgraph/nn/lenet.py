"""LeNet: the convolutional network that learned to read digits."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..ops.random import Rng, generator
from .activation import ReLU
from .container import Sequential
from .conv import Conv
from .linear import Linear
from .module import Module
from .pool import MaxPool


class LeNet(Module):
    """Two rounds of filters, relu and max pooling, then two fully connected layers.

    The pyramid of the chapter, section 7.3, in the proportions of LeCun, Bottou, Bengio and
    Haffner, Gradient-Based Learning Applied to Document Recognition (1998).
    (N, 28, 28, 1) images → (N, 10) scores, float32.

    Args:
        rng: a numpy Generator, which goes on, or a seed, for the weights.

    >>> import numpy as np
    >>> net = LeNet(rng=0)
    >>> scores = net(np.zeros((2, 28, 28, 1), np.float32))
    >>> scores.shape, scores.scope
    ((2, 10), 'lenet.fc2')
    """

    def __init__(self, *, rng: Rng) -> None:
        rng = generator(rng, "LeNet")
        self.features = Sequential(
            conv1=Conv(1, 16, 5, rng=rng),
            relu1=ReLU(),
            pool1=MaxPool(2),
            conv2=Conv(16, 32, 5, rng=rng),
            relu2=ReLU(),
            pool2=MaxPool(2),
        )
        self.fc1 = Linear(4 * 4 * 32, 128, rng=rng)
        self.fc2 = Linear(128, 10, rng=rng)

    def forward(self, x: Any) -> Any:
        maps = self.features(x)
        hidden = ops.relu(self.fc1(ops.reshape(maps, maps.shape[0], 4 * 4 * 32)))
        return self.fc2(hidden)
