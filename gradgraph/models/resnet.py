"""ResNet-18: blocks that add what they find to what they got."""

from __future__ import annotations

from typing import Any

from .. import nn, ops
from ..ops.random import Rng, generator


class BasicBlock(nn.Module):
    """Two 3×3 filter layers with batch normalisation, and a way around them.

    Args:
        c_in, c_out: channels before and after.
        stride: of the first layer; where it is not 1, or the channels differ, x goes through 1×1
            filters on its way.
        rng: a numpy Generator, which goes on, or a seed, for the weights.

    >>> import numpy as np
    >>> BasicBlock(4, 8, stride=2, rng=0)(np.zeros((1, 8, 8, 4), np.float32)).shape
    (1, 4, 4, 8)
    """

    def __init__(self, c_in: int, c_out: int, stride: int = 1, *, rng: Rng) -> None:
        rng = generator(rng, "BasicBlock")
        body = nn.Sequential(
            conv1=nn.Conv(c_in, c_out, 3, stride=stride, padding=1, bias=False, rng=rng),
            norm1=nn.BatchNorm(c_out),
            relu=nn.ReLU(),
            conv2=nn.Conv(c_out, c_out, 3, padding=1, bias=False, rng=rng),
            norm2=nn.BatchNorm(c_out),
        )
        around = None
        if stride != 1 or c_in != c_out:
            around = nn.Sequential(
                conv=nn.Conv(c_in, c_out, 1, stride=stride, bias=False, rng=rng),
                norm=nn.BatchNorm(c_out),
            )
        self.residual = nn.Residual(body, around)

    def forward(self, x: Any) -> Any:
        return ops.relu(self.residual(x))


class ResNet18(nn.Module):
    """Four rounds of two blocks; each round halves the image and doubles the channels.

    (N, H, W, channels) images → (N, classes) scores, float32; 11,689,512 weights for 1000 classes.

    Source: He, Zhang, Ren and Sun, Deep residual learning (2015), table 1.

    Args:
        classes: how many there are.
        channels: of the images.
        width: channels of the first round.
        small: for images of about 32×32: 3×3 filters at the beginning, which halve nothing, and no
            pool after them.
        rng: a numpy Generator, which goes on, or a seed, for the weights.

    >>> import numpy as np
    >>> net = ResNet18(10, width=8, small=True, rng=0)
    >>> net(np.zeros((1, 32, 32, 3), np.float32)).shape
    (1, 10)
    """

    def __init__(
        self,
        classes: int = 1000,
        *,
        channels: int = 3,
        width: int = 64,
        small: bool = False,
        rng: Rng,
    ) -> None:
        rng = generator(rng, "ResNet18")
        kernel, stride, padding = (3, 1, 1) if small else (7, 2, 3)
        self.conv = nn.Conv(
            channels, width, kernel, stride=stride, padding=padding, bias=False, rng=rng
        )
        self.norm = nn.BatchNorm(width)
        self.pool = None if small else nn.MaxPool(3, 2, 1)
        blocks: dict[str, nn.Module] = {}
        c_in = width
        for i in range(4):
            c_out = width * 2**i
            blocks[f"block{i + 1}_1"] = BasicBlock(c_in, c_out, 1 if i == 0 else 2, rng=rng)
            blocks[f"block{i + 1}_2"] = BasicBlock(c_out, c_out, rng=rng)
            c_in = c_out
        self.blocks = nn.Sequential(**blocks)
        self.mean = nn.GlobalAvgPool()
        self.fc = nn.Linear(c_in, classes, rng=rng)

    def forward(self, x: Any) -> Any:
        x = ops.relu(self.norm(self.conv(x)))
        x = x if self.pool is None else self.pool(x)
        return self.fc(self.mean(self.blocks(x)))
