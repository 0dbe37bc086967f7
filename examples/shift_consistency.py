"""What a shift by one pixel does to strided max pooling, and the remedy (chapter, section 7.2).

python examples/shift_consistency.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from data_needed import accuracy, teach

import gradgraph as gg
from gradgraph import data, nn


def change_under_shift(pool: Callable[[Any], Any], images: Any, filters: Any) -> float:
    """How much a pooled feature map changes when the image moves by a pixel: ‖Δ‖ / ‖map‖."""

    def maps(x: Any) -> Any:
        return np.asarray(pool(gg.relu(gg.conv(x, filters, padding="same"))))

    before = maps(images)
    changes = [
        np.linalg.norm(maps(np.roll(images, 1, axis)) - before) / np.linalg.norm(before)
        for axis in (1, 2)
    ]
    return float(np.mean(changes))


def network(pool: Callable[[], nn.Module], rng: int) -> nn.Module:
    """A small CNN with any kind of pooling."""
    return nn.Sequential(
        conv1=nn.Conv(1, 8, 5, padding=2, rng=rng),
        relu1=nn.ReLU(),
        pool1=pool(),
        conv2=nn.Conv(8, 16, 5, padding=2, rng=rng),
        relu2=nn.ReLU(),
        pool2=pool(),
        flat=nn.Flatten(),
        fc=nn.Linear(784, 10, rng=rng),
    )


def consistency(net: nn.Module, images: Any, most: int = 4) -> list[float]:
    """For shifts of 1, 2, … pixels: the share of images whose guessed class stays the same."""

    def guesses(x: Any) -> Any:
        with gg.no_grad():
            return net(gg.asarray(x)).data.argmax(-1)

    still = guesses(images)
    return [float((guesses(np.roll(images, d, 2)) == still).mean()) for d in range(1, most + 1)]


def experiment(steps: int = 300, seed: int = 0) -> dict[str, tuple[float, list[float]]]:
    """Test accuracy and consistency of a CNN with strided, and with blurred, max pooling."""
    images, labels = data.mnist_5k()
    (learn, names), (test, truth) = data.split(images, labels, test=1000, rng=seed)
    results = {}
    for kind, pool in (("strided max", nn.MaxPool), ("max, then blur", nn.MaxBlurPool)):
        net = network(lambda pool=pool: pool(2), seed)
        teach(net, learn, names, steps=steps, rng=np.random.default_rng(seed))
        results[kind] = accuracy(net, test, truth), consistency(net, test[:500])
    return results


def main() -> None:
    for kind, (right, same) in experiment(steps=100).items():
        shares = ", ".join(f"{share:.1%}" for share in same)
        print(f"{kind:14}  accuracy {right:.1%}; same class after 1 to 4 pixels: {shares}")


if __name__ == "__main__":
    main()
