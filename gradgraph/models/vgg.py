"""VGG: many rounds of 3×3 filters."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..errors import DomainError
from ..nn.linear import sizes
from ..ops.random import Rng, generator

# How many filter layers there are before each pool.
ROUNDS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


class VGG(nn.Module):
    """Rounds of 3×3 filters and a max pool that halves the image, then three layers.

    (N, side, side, channels) images → (N, classes) scores, float32. VGG-16 at 224×224 has
    138,357,544 weights, 14,714,688 of them in filters.

    Source: Simonyan and Zisserman, Very deep convolutional networks (2014), table 1.

    Args:
        depth: 11, 13, 16 or 19 layers with weights.
        classes: how many there are.
        channels, side: of the images; the side a multiple of 32.
        width: filters of the first round; the next have 2, 4, 8 and 8 times as many.
        hidden: units of the two layers before the last.
        rate: of the dropout after each of them.
        rng: a numpy Generator, which goes on, or a seed, for the weights and the dropout.

    Raises:
        DomainError: if there is no such depth, or the side is no multiple of 32.

    >>> import numpy as np
    >>> net = VGG(11, classes=10, side=32, width=8, hidden=64, rng=0)
    >>> net(np.zeros((2, 32, 32, 3), np.float32)).shape
    (2, 10)
    """

    def __init__(
        self,
        depth: int = 16,
        classes: int = 1000,
        *,
        channels: int = 3,
        side: int = 224,
        width: int = 64,
        hidden: int = 4096,
        rate: float = 0.5,
        rng: Rng,
    ) -> None:
        if not isinstance(depth, int) or depth not in ROUNDS:
            raise DomainError("VGG", f"depth is {depth!r}", f"Use one of {tuple(ROUNDS)}.")
        side, width = sizes("VGG", side=side, width=width)
        if side % 32:
            raise DomainError(
                "VGG", f"side is {side}, which five pools cannot halve", "Use 224, or 32."
            )
        rng = generator(rng, "VGG")
        layers: dict[str, nn.Module] = {}
        for i, (rounds, times) in enumerate(zip(ROUNDS[depth], (1, 2, 4, 8, 8), strict=True), 1):
            for j in range(1, rounds + 1):
                layers[f"conv{i}_{j}"] = nn.Conv(channels, width * times, 3, padding=1, rng=rng)
                layers[f"relu{i}_{j}"] = nn.ReLU()
                channels = width * times
            layers[f"pool{i}"] = nn.MaxPool(2)
        self.features = nn.Sequential(**layers)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            fc1=nn.Linear(channels * (side // 32) ** 2, hidden, rng=rng),
            relu1=nn.ReLU(),
            drop1=nn.Dropout(rate, rng=rng),
            fc2=nn.Linear(hidden, hidden, rng=rng),
            relu2=nn.ReLU(),
            drop2=nn.Dropout(rate, rng=rng),
            fc3=nn.Linear(hidden, classes, rng=rng),
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.flatten(self.features(x)))
