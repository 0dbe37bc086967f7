"""Where a network looks: slopes of its score, maps weighted by slopes, and hidden patches.

Two small CNNs learn in a few seconds, one to read digits, one to tell patches of a cat's photograph
from patches of others. What they look at is drawn to out/ (or to the folder that is named).

    pip install -e ".[train,tour]" && python examples/where_it_looks.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cat_or_not
import numpy as np
from gradgraph.viz.maps import Maps, maps
from gradgraph.viz.saliency import grad_cam, occlusion, saliency

import gradgraph as gg
from gradgraph import data, nn, train
from gradgraph.cli import demo

SHOWN = 4  # images in each picture


def look(net: nn.Module, images: Any, layer: str, captions: list[str], title: str) -> Maps:
    """Three maps of each image, for the class that the network names."""
    found = {
        "saliency": saliency(net, images),
        f"Grad-CAM, {layer.rpartition('.')[2]}": grad_cam(net, images, layer),
        "occlusion": occlusion(net, images),
    }
    return maps(images, found, captions=captions, title=title)


def digits(epochs: int = 2) -> tuple[Maps, float]:
    """What a LeNet looks at that has seen 4,000 digits a few times; and its test accuracy."""
    rng = np.random.default_rng(0)
    learn, (images, labels) = data.split(*data.mnist_5k(), test=1000, rng=rng)
    net = nn.LeNet(rng=rng)
    demo.train(net, learn, epochs=epochs, rng=rng, progress=False)
    chosen = [int(np.flatnonzero(labels == digit)[0]) for digit in (2, 4, 7, 8)[:SHOWN]]
    captions = _captions(net, images[chosen], labels[chosen], [str(d) for d in range(10)])
    drawn = look(
        net, images[chosen], "features.conv2", captions, "Where a LeNet looks to read digits"
    )
    found = train.evaluate(net, (images, labels), gg.cross_entropy, {"accuracy": train.accuracy})
    return drawn, found["accuracy"]


def cats(steps: int = 200) -> tuple[Maps, float]:
    """What the net of `cat_or_not` looks at; and its test accuracy."""
    result = cat_or_not.experiment(steps=steps)
    labels = result.test.labels
    chosen = [*np.flatnonzero(labels == 1)[: SHOWN // 2], *np.flatnonzero(labels == 0)[2:4]]
    images = result.test.images[chosen]
    captions = _captions(result.net, images, labels[chosen], ["other", "cat"])
    drawn = look(result.net, images, "conv2", captions, "Where a network looks for a cat")
    return drawn, result.accuracy


def _captions(net: nn.Module, images: Any, labels: Any, names: list[str]) -> list[str]:
    with gg.no_grad():
        guesses = net(gg.asarray(images)).data.argmax(-1)
    return [f"{names[y]}, named {names[k]}" for y, k in zip(labels, guesses, strict=True)]


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    folder.mkdir(parents=True, exist_ok=True)
    for name, learned in (("digits", digits), ("cats", cats)):
        try:
            drawn, accuracy = learned()
        except ImportError as error:
            sys.exit(f'{error}\nTry: pip install "gradgraph-engine[train,tour]"')
        path = drawn.save(folder / f"where_it_looks_{name}.svg")
        print(f"{name}: {accuracy:.1%} of the test images named rightly; {path}")


if __name__ == "__main__":
    main()
