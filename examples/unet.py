"""A U-Net: down to what is in the image, and up again to where it is.

    python examples/unet.py [picture]

On the way down pooling halves the images and convolutions double the channels; on the way up it is
the other way round, and each level gets what it saw on the way down, concatenated: skips that carry
what pooling forgot. Up-sampling repeats every pixel as a square of two by two: an axis of length 1
is broadcast to 2, so its gradient is the sum over the square.

Source: Ronneberger, Fischer and Brox, U-Net (2015).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph.nn.init import kaiming_normal
from gradgraph.testing import check

Parameters = dict[str, gg.Tensor]


def filters(channels: int, width: int, levels: int) -> dict[str, tuple[int, int, int]]:
    """(size, channels in, channels out) of each convolution, from the first to the last."""
    shapes = {}
    wide = [width * 2**level for level in range(levels + 1)]
    for level, out in enumerate(wide):
        name = f"down{level + 1}" if level < levels else "bottom"
        shapes[name] = (3, wide[level - 1] if level else channels, out)
    for level in reversed(range(levels)):
        shapes[f"up{level + 1}"] = (3, wide[level] + wide[level + 1], wide[level])
    return {**shapes, "out": (1, width, 1)}


def parameters(channels: int, width: int, levels: int, rng: np.random.Generator) -> Parameters:
    """Filters and a bias for each convolution, named like "down1.w"."""
    named = {}
    for name, (k, c, out) in filters(channels, width, levels).items():
        named[f"{name}.w"] = kaiming_normal((k, k, c, out), rng=rng)
        named[f"{name}.b"] = rng.normal(0, 0.1, out).astype(np.float32)
    return {k: gg.Tensor(v, requires_grad=True, name=k) for k, v in named.items()}


def doubled(x: Any) -> Any:
    """Every pixel of (batch, height, width, channels) as a square of two by two."""
    n, height, width, c = x.shape
    with gg.scope("upsample"):
        spread = gg.reshape(x, n, height, 1, width, 1, c)
        squares = gg.broadcast_to(spread, (n, height, 2, width, 2, c))
        return gg.reshape(squares, n, 2 * height, 2 * width, c)


def unet(x: Any, p: Parameters, levels: int = 2) -> Any:
    """Images (batch, height, width, channels) → a number between 0 and 1 for each pixel.

    Height and width are multiples of 2 ** levels.
    """

    def conv(x: Any, name: str) -> Any:
        return gg.conv(x, p[f"{name}.w"], p[f"{name}.b"], padding="same")

    seen = []
    for level in range(1, levels + 1):
        with gg.scope(f"down{level}"):
            seen.append(gg.relu(conv(x, f"down{level}")))
            x = gg.max_pool(seen[-1], 2)
    with gg.scope("bottom"):
        x = gg.relu(conv(x, "bottom"))
    for level in range(levels, 0, -1):
        with gg.scope(f"up{level}"):
            x = gg.concatenate([seen.pop(), doubled(x)], axis=-1)
            x = gg.relu(conv(x, f"up{level}"))
    with gg.scope("out"):
        return gg.sigmoid(conv(x, "out"))


def flops(shape: tuple[int, ...], width: int, levels: int) -> int:
    """The same, counted by hand."""
    n, height, wide, channels = shape
    total = 0
    for name, (k, c, out) in filters(channels, width, levels).items():
        level = levels + 1 if name == "bottom" else 1 if name == "out" else int(name[-1])
        pixels = n * height * wide // 4 ** (level - 1)
        total += pixels * (2 * k * k * c * out + out + out)  # filters, bias, relu or sigmoid
        if name.startswith("down"):
            total += pixels * out  # the pool compares every pixel once
    return total


def main(picture: str | None = None) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 8, 8, 1)).astype(np.float32)
    p = parameters(1, 4, 2, rng)

    print("gradient:", check(unet, images[:1], p, name="unet").verdict)

    graph = gg.trace(lambda x: unet(x, p), images.shape)
    assert graph.flops() == flops(images.shape, 4, 2)
    print(f"{graph.parameters():,} parameters, {graph.flops():,} FLOPs, as counted by hand")

    positive = gg.Tensor((images > 0).astype(np.float32), name="where positive")
    loss = gg.mse_loss(unet(gg.Tensor(images, name="images"), p), positive)
    path = picture or Path(tempfile.mkdtemp()) / "unet.svg"
    print(gg.draw(loss, flow=True, title="U-Net, two levels").save(path))


if __name__ == "__main__":
    main(*sys.argv[1:2])
