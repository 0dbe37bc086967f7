"""A depthwise-separable block beside the convolution that it stands for.

    python examples/separable.py [picture]

A convolution looks at neighbours and mixes channels in one step. Here the two are separate: a 3×3
filter for each channel by itself (`groups` = channels), then a 1×1 convolution that mixes them.
Weights and work are 1 / filters + 1 / 9 of those of the plain convolution.

Source: Howard et al., MobileNets (2017).
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


def parameters(channels: int, filters: int, rng: np.random.Generator) -> Parameters:
    """Weights of both: depthwise and pointwise, and plain."""
    shapes = {
        "depthwise": (3, 3, 1, channels),
        "pointwise": (1, 1, channels, filters),
        "plain": (3, 3, channels, filters),
    }
    return {
        k: gg.Tensor(kaiming_normal(shape, rng=rng), requires_grad=True, name="w")
        for k, shape in shapes.items()
    }


def separable(x: Any, p: Parameters) -> Any:
    """Images (batch, height, width, channels) → (batch, height, width, filters)."""
    with gg.scope("separable"):
        with gg.scope("depthwise"):
            y = gg.conv(x, p["depthwise"], padding=1, groups=x.shape[-1])
        with gg.scope("pointwise"):
            y = gg.conv(y, p["pointwise"])
        return gg.relu(y)


def plain(x: Any, p: Parameters) -> Any:
    """The same with one convolution."""
    with gg.scope("plain"):
        with gg.scope("conv"):
            y = gg.conv(x, p["plain"], padding=1)
        return gg.relu(y)


def flops(shape: tuple[int, ...], filters: int) -> tuple[int, int]:
    """Those of the separable and of the plain block, counted by hand."""
    n, height, width, channels = shape
    pixels = n * height * width
    relu = pixels * filters
    depthwise = 2 * 9 * pixels * channels
    pointwise = 2 * channels * pixels * filters
    return depthwise + pointwise + relu, 2 * 9 * channels * pixels * filters + relu


def main(picture: str | None = None) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 8, 8, 8)).astype(np.float32)
    p = parameters(8, 16, rng)

    print("gradient:", check(separable, images[:1, :4, :4], p, name="separable").verdict)

    counts = flops(images.shape, 16)
    for block, count in zip((separable, plain), counts, strict=True):
        graph = gg.trace(lambda x, block=block: block(x, p), images.shape)
        assert graph.flops() == count
        print(f"{block.__name__}: {graph.parameters()} weights, {count:,} FLOPs")
    weights = 9 * 8 + 8 * 16
    print(f"{weights / (9 * 8 * 16):.3f} of the weights is {1 / 16 + 1 / 9:.3f}, 1/filters + 1/9")

    x = gg.Tensor(images, requires_grad=True, name="images")
    loss = gg.mse_loss(separable(x, p), plain(x, p))  # learn to do the same with less
    path = picture or Path(tempfile.mkdtemp()) / "separable.svg"
    print(gg.draw(loss, flow=True, title="Depthwise-separable, and plain").save(path))


if __name__ == "__main__":
    main(*sys.argv[1:2])
