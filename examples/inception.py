"""An inception block: filters of several sizes look at the same images, side by side.

    python examples/inception.py [picture]

Four branches (1×1, 3×3, 5×5, and a pooling) keep the size of the images and are concatenated over
the channels: the next layer chooses. A 1×1 convolution before the large filters makes the channels
fewer, and so the block cheap. What comes back to the images is the sum over the branches.

Source: Szegedy et al., Going Deeper with Convolutions (2014).
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

BRANCHES = {  # each a chain of convolutions: name, size of the filters, their number
    "1×1": [("conv1", 1, 4)],
    "3×3": [("reduce3", 1, 2), ("conv3", 3, 4)],
    "5×5": [("reduce5", 1, 1), ("conv5", 5, 2)],
    "pool": [("project", 1, 2)],
}


def parameters(channels: int, rng: np.random.Generator) -> Parameters:
    """Filters and biases of all branches, named like "conv3.w"."""
    named = {}
    for chain in BRANCHES.values():
        c = channels
        for name, k, filters in chain:
            named[f"{name}.w"] = kaiming_normal((k, k, c, filters), rng=rng)
            named[f"{name}.b"] = rng.normal(0, 0.1, filters).astype(np.float32)
            c = filters
    return {k: gg.Tensor(v, requires_grad=True, name=k) for k, v in named.items()}


def inception(x: Any, p: Parameters) -> Any:
    """Images (batch, height, width, channels) → the same size, with the filters of all branches."""

    def conv(x: Any, name: str) -> Any:
        with gg.scope(name):
            return gg.conv(x, p[f"{name}.w"], p[f"{name}.b"], padding="same")

    found = []
    with gg.scope("inception"):
        for branch, chain in BRANCHES.items():
            with gg.scope(branch):
                y = gg.max_pool(x, 3, stride=1, padding=1) if branch == "pool" else x
                for name, _, _ in chain:
                    y = gg.relu(conv(y, name))
                found.append(y)
        return gg.concatenate(found, axis=-1)


def flops(shape: tuple[int, ...]) -> int:
    """The same, counted by hand."""
    n, height, width, channels = shape
    each = 9 * channels  # for a pixel: the pool compares the nine of a window
    for chain in BRANCHES.values():
        c = channels
        for _, k, filters in chain:
            each += 2 * k * k * c * filters + filters + filters  # filters, bias, relu
            c = filters
    return n * height * width * each


def main(picture: str | None = None) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 8, 8, 4)).astype(np.float32)
    p = parameters(4, rng)

    print("gradient:", check(inception, images[:1, :4, :4], p, name="inception").verdict)

    graph = gg.trace(lambda x: inception(x, p), images.shape)
    assert graph.flops() == flops(images.shape)
    print(f"{graph.parameters()} parameters, {graph.flops():,} FLOPs, as counted by hand")

    x = gg.Tensor(images, requires_grad=True, name="images")
    loss = gg.mean(inception(x, p) ** 2)
    path = picture or Path(tempfile.mkdtemp()) / "inception.svg"
    print(gg.draw(loss, flow=True, title="Inception").save(path))


if __name__ == "__main__":
    main(*sys.argv[1:2])
