"""`gradgraph demo`: teach a LeNet to read handwritten digits, and draw its graph."""

from __future__ import annotations

import argparse
import errno
import os
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from .. import data
from ..errors import DomainError, MissingExtraError
from ..nn import LeNet, Module
from ..ops import cross_entropy
from ..optim import SGD, CosineLR
from ..tensor import Tensor
from ..train import Training, accuracy, evaluate, fit
from .arguments import count, positive

EPOCHS, BATCH, HELD_OUT = 15, 50, 1000
RATE, MOMENTUM = 0.05, 0.9
SHIFT = 2  # pixels that a digit may be moved by while training


def moved(images: Any, labels: Any, *, rng: np.random.Generator) -> data.Pair:
    """The images, each shifted by up to two pixels."""
    return data.shifted(images, SHIFT, rng=rng), labels


def train(
    net: Module, learn: data.Pair, *, epochs: int, rng: Any, progress: bool = True
) -> Training:
    """Train by SGD with momentum on shifted digits, the rate falling to zero along a cosine.

    Args:
        net: a classifier of images.
        learn: images and labels.
        epochs: passes over them.
        rng: a numpy Generator, which goes on, or a seed, for the order and the shifts.
        progress: whether to show it.
    """
    loader = data.DataLoader(learn, BATCH, rng=rng, transform=moved)
    sgd = SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)
    schedule = CosineLR(sgd, epochs * len(loader))
    followed = {"accuracy": accuracy}
    return fit(
        net, loader, cross_entropy, sgd,
        epochs=epochs, schedule=schedule, metrics=followed, progress=progress,
    )  # fmt: skip


def _writable(folder: Path) -> None:
    """Make the folder, and find out now, not after the training, if it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        for name in ("graph.svg", "flow.svg"):
            if (folder / name).is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), folder / name)
    except OSError as error:
        raise DomainError(
            "demo",
            f"the pictures cannot be written to {folder} ({error.strerror})",
            "Name a folder of yours with --out.",
        ) from None


def run(args: argparse.Namespace) -> int:
    """Load digits, train a LeNet for each seed, print test accuracies, save two pictures."""
    images, labels = data.mnist_5k()
    _writable(args.out)
    print(f"MNIST digits: {len(labels) - HELD_OUT:,} to learn from, {HELD_OUT:,} held out")
    results: list[float] = []
    for seed in args.seeds or [args.seed]:
        rng = np.random.default_rng(seed)
        learn, held_out = data.split(images, labels, test=HELD_OUT, rng=rng)
        net = LeNet(rng=rng)
        if not results:
            print(net)
        start = time.perf_counter()
        with _one_thread():
            train(net, learn, epochs=args.epochs, rng=rng)
        seconds = time.perf_counter() - start
        results.append(evaluate(net, held_out, cross_entropy, {"accuracy": accuracy})["accuracy"])
        print(
            f"seed {seed}: test accuracy {results[-1]:.1%} on {HELD_OUT:,} held-out digits,"
            f" after {seconds:.1f} s of training"
        )
    if len(results) > 1:
        mean, worst = sum(results) / len(results), min(results)
        print(f"mean of {len(results)} seeds {mean:.2%}, worst {worst:.1%}")
    _draw(net, learn, args.out)
    return 0


def _one_thread() -> AbstractContextManager[Any]:
    """One BLAS thread: matrices this small gain nothing from more, and sums keep their order."""
    try:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError:
        return nullcontext()
    return threadpool_limits(1)  # type: ignore[no-any-return]


def _draw(net: Module, learn: data.Pair, out: Path) -> None:
    """Draw the graph of the loss of one batch after the training, and its gradient's flow."""
    from ..viz import draw

    images, labels = (part[:BATCH] for part in learn)
    loss = cross_entropy(net(Tensor(images, name="images")), labels)
    try:
        for name, flow, title in (
            ("graph", False, "LeNet: the graph of one step"),
            ("flow", True, "LeNet: the gradient's flow after the training"),
        ):
            print(f"{name}: {draw(loss, flow=flow, title=title).save(out / f'{name}.svg')}")
    except MissingExtraError as error:
        print(f"no pictures: {error.problem}. {error.fix}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=count, default=0, help="of all randomness (default 0)")
    seeds.add_argument("--seeds", type=count, nargs="+", help="one run each, and their mean")
    parser.add_argument(
        "--epochs",
        type=positive,
        default=EPOCHS,
        help=f"passes over the digits (default {EPOCHS})",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of the pictures (default out/)"
    )
