"""Real digits with `fit`: test accuracy and time for several seeds, and whether a seed repeats.

    python benchmarks/digits.py [--seeds 0 1 2]

On every path: numpy alone and compiled kernels (extra `fast`, where it is installed; also with
`gg.precision("high")`), each as it is and by `gg.compile`.
28×28: LeNet on 4,000 of MNIST's digits, moved by up to two pixels, 1,000 held out. 8×8: one filter
layer on 1,437 digits, 360 held out. The accuracy is that after the last epoch: nothing is chosen by
the held-out digits.
"""

from __future__ import annotations

import argparse
import statistics
import time
from importlib.util import find_spec
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph import data, nn, optim
from gradgraph.train import accuracy, evaluate


def moved(images: Any, labels: Any, *, rng: np.random.Generator) -> tuple[Any, Any]:
    return data.shifted(images, 2, rng=rng), labels


def large(seed: int, compiled: bool) -> tuple[float, float, bytes]:
    rng = np.random.default_rng(seed)
    learn, held_out = data.split(*data.mnist_5k(), test=1000, rng=rng)
    net = nn.LeNet(rng=rng)
    epochs, size = 15, 50
    loader = data.DataLoader(learn, size, rng=rng, transform=moved)
    sgd = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    return taught(
        net, loader, sgd, optim.CosineLR(sgd, epochs * len(loader)), epochs, held_out, compiled
    )


def small(seed: int, compiled: bool) -> tuple[float, float, bytes]:
    rng = np.random.default_rng(seed)
    learn, held_out = data.split(*data.digits_8x8(), test=360, rng=rng)
    net = nn.Sequential(
        conv=nn.Conv(1, 16, 3, padding=1, rng=rng),
        relu=nn.ReLU(),
        pool=nn.MaxPool(2),
        flat=nn.Flatten(),
        fc=nn.Linear(4 * 4 * 16, 10, rng=rng),
    )
    epochs = 20
    loader = data.DataLoader(learn, 32, rng=rng)
    sgd = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    return taught(
        net, loader, sgd, optim.CosineLR(sgd, epochs * len(loader)), epochs, held_out, compiled
    )


def taught(
    net: nn.Module,
    loader: Any,
    sgd: Any,
    schedule: Any,
    epochs: int,
    held_out: Any,
    compiled: bool,
) -> tuple[float, float, bytes]:
    """Accuracy on the held-out digits, seconds of training, and the weights."""
    start = time.perf_counter()
    told = {"schedule": schedule, "compile": compiled, "progress": False}
    gg.fit(net, loader, gg.cross_entropy, sgd, epochs=epochs, **told)
    seconds = time.perf_counter() - start
    found = evaluate(net, held_out, gg.cross_entropy, {"accuracy": accuracy})
    return found["accuracy"], seconds, b"".join(v.tobytes() for v in net.state_dict().values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    paths = [("numpy", "fast")]
    paths += [("auto", "fast"), ("auto", "high")] if find_spec("numba") else []
    for name, run in (("28×28", large), ("8×8", small)):
        for backend, precision in paths:
            for compiled in (False, True):
                label = f"{name}, {backend}, {precision}{', compile' * compiled}"
                with gg.backend(backend), gg.precision(precision):
                    results = [run(seed, compiled) for seed in args.seeds]
                    again = run(args.seeds[0], compiled)
                shares = [share for share, _, _ in results]
                print(
                    f"{label}: mean {statistics.mean(shares):.2%} of"
                    f" {', '.join(f'{s:.1%}' for s in shares)};"
                    f" {', '.join(f'{seconds:.1f}' for _, seconds, _ in results)} s;"
                    f" the same seed gives the same bits: {again[2] == results[0][2]}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
