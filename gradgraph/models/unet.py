"""U-Net: down to what is in an image, and up again to where it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import nn, ops
from ..errors import ShapeError
from ..nn.linear import sizes
from ..ops.geometry import per_axis
from ..ops.random import Rng, generator
from ..spec import show


def _double(c_in: int, c_out: int, rng: Rng) -> nn.Sequential:
    return nn.Sequential(
        conv1=nn.Conv(c_in, c_out, 3, padding=1, rng=rng),
        relu1=nn.ReLU(),
        conv2=nn.Conv(c_out, c_out, 3, padding=1, rng=rng),
        relu2=nn.ReLU(),
    )


class UNet(nn.Module):
    """Pools halve the image and double the channels, transposed filters do the opposite.

    Each level on the way up gets what its neighbour saw on the way down, which pools forgot.
    (N, H, W, channels) images → (N, H, W, classes) scores, float32, H and W multiples of 2^levels.
    Unlike the published one it pads, so that the result has the size of the image; it has as many
    weights, 31,030,658 with one channel and two classes.

    Source: Ronneberger, Fischer and Brox, U-Net (2015), figure 1.

    Args:
        classes, channels: of the result and of the images.
        width: channels of the first level; each level has twice as many as the one above.
        levels: how often the image is halved.
        rng: a numpy Generator, which goes on, or a seed, for the weights.

    Raises:
        DomainError: if a size is no int ≥ 1.
        ShapeError: if an image cannot be halved so often.

    >>> import numpy as np
    >>> UNet(2, 1, width=4, levels=2, rng=0)(np.zeros((1, 16, 8, 1), np.float32)).shape
    (1, 16, 8, 2)
    """

    def __init__(
        self,
        classes: int = 2,
        channels: int = 1,
        *,
        width: int = 64,
        levels: int = 4,
        rng: Rng,
    ) -> None:
        width, classes = sizes("UNet", width=width, classes=classes)
        (levels,) = per_axis("UNet", "levels", levels, 1)
        rng = generator(rng, "UNet")
        wide = [width * 2**i for i in range(levels + 1)]
        self.down = nn.ModuleList(
            _double(a, b, rng) for a, b in zip([channels, *wide], wide, strict=False)
        )
        self.pool = nn.MaxPool(2)
        self.larger = nn.ModuleList(
            nn.ConvTranspose(2 * n, n, 2, stride=2, rng=rng) for n in reversed(wide[:-1])
        )
        self.up = nn.ModuleList(_double(2 * n, n, rng) for n in reversed(wide[:-1]))
        self.out = nn.Conv(width, classes, 1, rng=rng)

    def forward(self, x: Any) -> Any:
        levels = len(self.up)
        if any(n % 2**levels for n in np.shape(x)[1:-1]):
            raise ShapeError(
                "UNet",
                f"x is {show(np.shape(x))}, and an image is halved {levels} times",
                f"Pad or crop height and width to multiples of {2**levels}.",
            )
        seen: list[Any] = []
        for level in self.down:
            x = level(self.pool(x) if seen else x)
            seen.append(x)
        for larger, level, kept in zip(self.larger, self.up, reversed(seen[:-1]), strict=True):
            x = level(ops.concatenate([kept, larger(x)], axis=-1))
        return self.out(x)
