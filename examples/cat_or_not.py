"""Cat or not: a small CNN looks at colour patches of photographs (chapter 7, introduction).

The cat is Chelsea, whose photograph comes with scikit-image; the other photographs come with it
too. Patches to learn from and patches to test with lie in different parts of each photograph.

    pip install -e ".[tour]" && python examples/cat_or_not.py
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph import nn, optim

SIDE, CELL = 32, 8  # pixels of a patch; patches begin at multiples of CELL
OTHERS = ("astronaut", "coffee", "rocket", "hubble_deep_field", "immunohistochemistry", "retina")
CAT = (slice(16, 288), slice(96, 384))  # where there is hardly anything but cat


@dataclass(frozen=True)
class Patches:
    """Colour patches.

    Attributes:
        images: (N, 32, 32, 3) float32 from -0.5 to 0.5.
        labels: (N,) 1 for cat, 0 for not.
        boxes: every (photograph, row, column) of 8×8 pixels that some patch covers.
    """

    images: Any
    labels: Any
    boxes: set[tuple[str, int, int]]


@dataclass(frozen=True)
class Result:
    """A trained net, its losses, and the share of test patches that it names rightly."""

    net: nn.Module
    losses: list[float]
    accuracy: float
    test: Patches


def photographs() -> dict[str, Any]:
    """Colour photographs, (H, W, 3) integers from 0 to 255."""
    from skimage import data

    found = {name: getattr(data, name)() for name in OTHERS}
    return {"cat": data.chelsea()[CAT], **found}


def patches(rng: int, count: int = 400) -> tuple[Patches, Patches]:
    """Patches to learn from, of the left parts, and to test with, of the right parts."""
    generator = np.random.default_rng(rng)
    photos = photographs()
    parts: tuple[list[Any], list[Any]] = ([], [])
    for side, part in enumerate(parts):
        for label in (1, 0):
            names = ["cat"] if label else list(OTHERS)
            for i in range(count // 2):
                name = names[i % len(names)]
                height, width = (n // CELL for n in photos[name].shape[:2])
                half = width * 3 // 5
                low, high = ((0, half), (half, width))[side]
                row = int(generator.integers(height - SIDE // CELL + 1))
                column = int(generator.integers(low, high - SIDE // CELL + 1))
                part.append((name, row, column, label))
    return _cut(photos, parts[0]), _cut(photos, parts[1])


def _cut(photos: dict[str, Any], places: list[Any]) -> Patches:
    images, boxes = [], set()
    for name, row, column, _ in places:
        top, left = row * CELL, column * CELL
        images.append(photos[name][top : top + SIDE, left : left + SIDE])
        cells = range(SIDE // CELL)
        boxes |= {(name, row + i, column + j) for i in cells for j in cells}
    labels = np.array([label for *_, label in places])
    return Patches(np.stack(images).astype(np.float32) / 255 - 0.5, labels, boxes)


def network(rng: int) -> nn.Module:
    """conv-relu-pool twice, then fully connected."""
    return nn.Sequential(
        conv1=nn.Conv(3, 8, 5, stride=2, padding=2, rng=rng),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool(2),
        conv2=nn.Conv(8, 16, 3, padding=1, rng=rng),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool(2),
        flat=nn.Flatten(),
        fc=nn.Linear(256, 2, rng=rng),
    )


def experiment(rng: int = 0, steps: int = 300) -> Result:
    """Teach the network, and test it."""
    learn, test = patches(rng)
    net = network(rng)
    optimizer = optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    generator = np.random.default_rng(rng)
    losses = []
    for _ in range(steps):
        chosen = generator.integers(len(learn.labels), size=32)
        images = learn.images[chosen]
        if generator.random() < 0.5:
            images = images[:, :, ::-1]  # a mirrored cat is a cat
        optimizer.zero_grad()
        loss = gg.cross_entropy(net(images), learn.labels[chosen])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with gg.no_grad():
        guesses = net(gg.asarray(test.images)).data.argmax(-1)
    return Result(net, losses, float((guesses == test.labels).mean()), test)


def main() -> None:
    try:
        result = experiment(steps=200)
    except ImportError:
        sys.exit('the photographs come with scikit-image: pip install "gradgraph-engine[tour]"')
    print(gg.summary(result.net, (1, SIDE, SIDE, 3)))
    print(f"{result.accuracy:.1%} of {len(result.test.labels)} test patches named rightly")


if __name__ == "__main__":
    main()
