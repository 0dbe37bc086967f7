"""`gradgraph bench`: how long a training step and a run of a network take on this machine."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DomainError
from ..mode import no_grad
from ..ops import cross_entropy
from ..optim import SGD
from ..tensor import asarray
from .arguments import positive

# For each network: how it is made of `gradgraph.models`; height, width, channels of its images.
NETWORKS: dict[str, tuple[Callable[[Any], Any], tuple[int, int, int]]] = {
    "lenet": (lambda models: models.LeNet(rng=0), (28, 28, 1)),
    "vgg": (lambda models: models.VGG(11, 10, side=32, width=32, hidden=256, rng=0), (32, 32, 3)),
    "resnet": (lambda models: models.ResNet18(10, width=32, small=True, rng=0), (32, 32, 3)),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "networks", nargs="*", metavar="network", help=f"of {', '.join(NETWORKS)} (default all)"
    )
    parser.add_argument("--batch", type=positive, default=32, help="images in a step (default 32)")
    parser.add_argument("--rounds", type=positive, default=7, help="steps to time (default 7)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(args: argparse.Namespace) -> int:
    """Time networks, and print medians."""
    known = ", ".join(NETWORKS)
    unknown = [name for name in args.networks if name not in NETWORKS]
    if unknown:
        raise DomainError("bench", f"there is no network {unknown[0]!r}", f"Use {known}.")
    results = {name: measured(name, args.batch, args.rounds) for name in args.networks or NETWORKS}
    if args.json:
        print(json.dumps({"batch": args.batch, "ms": results}, indent=2))
        return 0
    print(f"milliseconds for {args.batch} images, medians of {args.rounds}")
    for name, times in results.items():
        speed = args.batch / times["step"] * 1e3
        print(
            f"{name:8} step {times['step']:9.2f}   run {times['run']:9.2f}"
            f"   {speed:8,.0f} images/s learned from"
        )
    return 0


def measured(name: str, batch: int, rounds: int) -> dict[str, float]:
    """Milliseconds of a training step, and of a run without a graph."""
    from .. import models  # other commands do without

    make, image = NETWORKS[name]
    net, rng = make(models), np.random.default_rng(0)
    x = asarray(rng.normal(size=(batch, *image)).astype(np.float32), copy=False)
    labels = rng.integers(0, 10, batch)
    sgd = SGD(net.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        sgd.zero_grad()
        cross_entropy(net(x), labels).backward()
        sgd.step()

    def infer() -> Any:
        with no_grad():
            return net(x)

    found = {"step": _median(step, rounds)}
    net.eval()
    return {**found, "run": _median(infer, rounds)}


def _median(work: Callable[[], Any], rounds: int) -> float:
    """Milliseconds, the first time left out."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return round(statistics.median(times[1:]) * 1e3, 3)
