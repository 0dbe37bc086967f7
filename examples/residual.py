"""A residual block, relu(x + f(x)) with f two convolutions, beside the same block without the skip.

    python examples/residual.py [picture]

Both stacks have the same weights, a little too small. In the plain one every convolution passes on
a part of the gradient, and little arrives at the images. In the residual one the addition hands all
of it to the skip as well, and past the convolutions. The picture shows both; at a fan-out it lists
what each reader sent back: the first convolution of a block, and the skip.

Source: He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition (2015).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph import viz
from gradgraph.nn.init import kaiming_normal
from gradgraph.testing import check

Parameters = dict[str, gg.Tensor]


def parameters(channels: int, rng: np.random.Generator, small: float = 0.3) -> Parameters:
    """Two 3×3 convolutions that keep the channels; `small` is a factor for the usual weights."""
    named = {}
    for i in (1, 2):
        named[f"w{i}"] = small * kaiming_normal((3, 3, channels, channels), rng=rng)
        named[f"b{i}"] = np.zeros(channels, np.float32)
    return {k: gg.Tensor(v, requires_grad=True, name=k) for k, v in named.items()}


def block(x: Any, p: Parameters, skip: bool = True) -> Any:
    """relu(x + f(x)), or relu(f(x)): images (batch, height, width, channels) keep their shape."""
    with gg.scope("conv1"):
        y = gg.conv(x, p["w1"], p["b1"], padding=1)
    y = gg.relu(y)
    with gg.scope("conv2"):
        y = gg.conv(y, p["w2"], p["b2"], padding=1)
    if skip:
        with gg.scope("skip"):
            y = y + x
    return gg.relu(y)


def stack(x: Any, blocks: list[Parameters], skip: bool = True) -> Any:
    """One block after the other."""
    for i, p in enumerate(blocks, 1):
        with gg.scope(f"block{i}"):
            x = block(x, p, skip)
    return x


def flops(shape: tuple[int, ...], skip: bool = True) -> int:
    """Those of a block, counted by hand."""
    n, height, width, channels = shape
    pixels = n * height * width * channels
    conv = 2 * 9 * channels * pixels + pixels  # a multiply-add for each weight, and the bias
    relu = add = pixels
    return 2 * (conv + relu) + skip * add


def main(picture: str | None = None) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 6, 6, 4)).astype(np.float32)
    blocks = [parameters(4, rng) for _ in range(3)]

    print("gradient:", check(block, images[:1, :4, :4], blocks[0], name="block").verdict)

    for skip in (True, False):
        graph = gg.trace(lambda x, skip=skip: block(x, blocks[0], skip), images.shape)
        assert graph.flops() == flops(images.shape, skip)
    print(f"{graph.parameters()} parameters, {flops(images.shape):,} FLOPs, as counted by hand")

    x = gg.Tensor(images, requires_grad=True, name="images")
    alone = [{k: gg.Tensor(w.data, True, name=k) for k, w in p.items()} for p in blocks]
    with gg.scope("residual"):
        residual = gg.mean(stack(x, blocks))
    with gg.scope("plain"):
        plain = gg.mean(stack(x, alone, skip=False))
    loss = residual + plain
    for (reader, operand), norm in viz.flow(loss).edges.items():
        if reader.inputs[operand] is x:
            print(f"{reader.scope} sends the images a gradient of norm {norm:.2g}")
    path = picture or Path(tempfile.mkdtemp()) / "residual.svg"
    print(gg.draw(loss, flow=True, title="Three blocks, with and without a skip").save(path))


if __name__ == "__main__":
    main(*sys.argv[1:2])
