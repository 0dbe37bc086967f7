"""Structure reduces the data that are needed: a CNN against a fully connected net of equal size.

Both learn handwritten digits from 100, 500 or 4,000 examples, centred or moved at random, and are
tested on 1,000 others, centred or moved alike (chapter 7, introduction).

    python examples/data_needed.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph import data, nn, optim

Found = dict[tuple[str, int, int], list[float]]


def nets(rng: int) -> dict[str, nn.Module]:
    """A CNN of 11,978 parameters, and a fully connected net of 11,935."""
    cnn = nn.Sequential(
        conv1=nn.Conv(1, 8, 5, rng=rng),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool(2),
        conv2=nn.Conv(8, 16, 5, rng=rng),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool(2),
        flat=nn.Flatten(),
        fc1=nn.Linear(256, 32, rng=rng),
        relu3=nn.ReLU(),
        fc2=nn.Linear(32, 10, rng=rng),
    )
    dense = nn.Sequential(
        flat=nn.Flatten(),
        fc1=nn.Linear(784, 15, rng=rng),
        relu=nn.ReLU(),
        fc2=nn.Linear(15, 10, rng=rng),
    )
    return {"cnn": cnn, "dense": dense}


def teach(net: nn.Module, images: Any, labels: Any, *, steps: int, rng: Any) -> None:
    """SGD with momentum on batches of 32, however many examples there are."""
    optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for step in range(steps):
        optimizer.lr = 0.05 * (1 - step / steps)
        chosen = rng.integers(len(labels), size=32)
        optimizer.zero_grad()
        gg.cross_entropy(net(images[chosen]), labels[chosen]).backward()
        optimizer.step()


def accuracy(net: nn.Module, images: Any, labels: Any) -> float:
    """The share of images that the net names rightly."""
    with gg.no_grad():
        return float((net(gg.asarray(images)).data.argmax(-1) == labels).mean())


def experiment(
    counts: Sequence[int] = (100, 500, 4000),
    seeds: Sequence[int] = (0, 1, 2),
    shifts: Sequence[int] = (0, 4),
    steps: int = 300,
) -> Found:
    """Test accuracies, one for each seed, by (kind of net, examples, pixels of shift)."""
    images, labels = data.mnist_5k()
    found: Found = {}
    for seed in seeds:
        for shift in shifts:
            rng = np.random.default_rng(seed)
            moved = data.shifted(images, shift, rng=rng) if shift else images
            (learn, names), (test, truth) = data.split(moved, labels, test=1000, rng=rng)
            for count in counts:
                for kind, net in nets(seed).items():
                    rng = np.random.default_rng(seed)
                    teach(net, learn[:count], names[:count], steps=steps, rng=rng)
                    found.setdefault((kind, count, shift), []).append(accuracy(net, test, truth))
    return found


def main() -> None:
    found = experiment(counts=(100, 500), seeds=(0,), steps=150)
    for (kind, count, shift), values in found.items():
        how = f"moved by up to {shift} pixels" if shift else "centred"
        print(f"{kind:5}  {count:5,} digits, {how:24}  {np.mean(values):6.1%}")


if __name__ == "__main__":
    main()
