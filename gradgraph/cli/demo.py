"""`gradgraph demo`: teach a LeNet to read handwritten digits, and draw its graph."""

from __future__ import annotations

import argparse
import errno
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import data
from ..errors import DomainError, MissingExtraError
from ..mode import no_grad
from ..nn import LeNet, Module
from ..ops import cross_entropy
from ..optim import SGD
from ..tensor import Tensor, asarray
from .arguments import count, positive

EPOCHS, BATCH, HELD_OUT = 15, 50, 1000
RATE, MOMENTUM = 0.05, 0.9
SHIFT = 2  # pixels that a digit may be moved by while training


@dataclass(frozen=True)
class Step:
    """One step of training, between its backward pass and the change of the weights.

    Attributes:
        loss: the loss with its graph, which can still be drawn.
        right: how many of the batch were recognised.
        images: how many there were.
        epoch: number of the pass over the data, from 0.
        ends_epoch: whether it is the last step of the pass.
    """

    loss: Tensor
    right: int
    images: int
    epoch: int
    ends_epoch: bool


def train(
    net: Module, images: Any, labels: Any, *, epochs: int, rng: np.random.Generator
) -> Iterator[Step]:
    """Train by SGD with momentum on shifted digits, the rate falling to zero along a cosine.

    Yields each step before the weights change; the caller looks, and asks for the next.
    """
    optimizer = SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)
    per_epoch = math.ceil(len(labels) / BATCH)
    for epoch in range(epochs):
        for i, (x, y) in enumerate(data.batches(images, labels, size=BATCH, rng=rng)):
            done = (epoch + i / per_epoch) / epochs
            optimizer.lr = RATE * (1 + math.cos(math.pi * done)) / 2
            optimizer.zero_grad()
            batch = asarray(data.shifted(x, SHIFT, rng=rng), copy=False)
            batch.name = "images"
            scores = net(batch)
            loss = cross_entropy(scores, y)
            loss.backward()
            right = int((scores.data.argmax(-1) == y).sum())
            yield Step(loss, right, len(y), epoch, i == per_epoch - 1)
            optimizer.step()


def accuracy(net: Module, images: Any, labels: Any) -> float:
    """The share of the images that the network recognises."""
    right = 0
    with no_grad():
        for x, y in data.batches(images, labels, size=500, shuffle=False):
            right += int((net(asarray(x, copy=False)).data.argmax(-1) == y).sum())
    return right / len(labels)


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


class Meter:
    """Shows loss, accuracy and images per second: a live bar in a terminal, else lines."""

    def __init__(self, epochs: int, images: int) -> None:
        self.epochs = epochs
        self.bar = _bar(epochs * images) if sys.stdout.isatty() else None
        self._restart()

    def _restart(self) -> None:
        self.loss, self.right, self.images, self.since = 0.0, 0, 0, time.perf_counter()

    def show(self, step: Step) -> None:
        """Count a step, and show what the epoch has come to so far."""
        self.loss += step.loss.item() * step.images
        self.right += step.right
        self.images += step.images
        loss, share = self.loss / self.images, self.right / self.images
        if self.bar is not None:
            self.bar.set_description(f"epoch {step.epoch + 1}/{self.epochs}", refresh=False)
            self.bar.set_postfix_str(f"loss {loss:.4f}, accuracy {share:.1%}", refresh=False)
            self.bar.update(step.images)
        elif step.ends_epoch:
            speed = self.images / (time.perf_counter() - self.since)
            print(
                f"epoch {step.epoch + 1:2}/{self.epochs}  loss {loss:.4f}"
                f"  accuracy {share:6.1%}  {speed:,.0f} images/s",
                flush=True,
            )
        if step.ends_epoch:
            self._restart()

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self.bar is not None:
            self.bar.close()


def _bar(total: int) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit=" images", unit_scale=True, file=sys.stdout)


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
            drawings = _teach(net, learn, args.epochs, rng)
        seconds = time.perf_counter() - start
        results.append(accuracy(net, *held_out))
        print(
            f"seed {seed}: test accuracy {results[-1]:.1%} on {HELD_OUT:,} held-out digits,"
            f" after {seconds:.1f} s of training"
        )
    if len(results) > 1:
        mean, worst = sum(results) / len(results), min(results)
        print(f"mean of {len(results)} seeds {mean:.2%}, worst {worst:.1%}")
    _save(drawings, args.out)
    return 0


def _teach(net: Module, learn: data.Pair, epochs: int, rng: np.random.Generator) -> dict[str, Any]:
    """Train the network; returns drawings of the last step's graph and of its gradient."""
    from ..viz import draw

    meter = Meter(epochs, len(learn[1]))
    drawings = {}
    try:
        for step in train(net, *learn, epochs=epochs, rng=rng):
            meter.show(step)
            if step.ends_epoch and step.epoch == epochs - 1:
                drawings["graph"] = draw(step.loss, title="LeNet: the graph of one step")
                drawings["flow"] = draw(
                    step.loss, flow=True, title="LeNet: the gradient's flow in the last step"
                )
    finally:
        meter.close()
    return drawings


def _one_thread() -> AbstractContextManager[Any]:
    """One BLAS thread: matrices this small gain nothing from more, and sums keep their order."""
    try:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError:
        return nullcontext()
    return threadpool_limits(1)  # type: ignore[no-any-return]


def _save(drawings: dict[str, Any], out: Path) -> None:
    try:
        for name, drawing in drawings.items():
            print(f"{name}: {drawing.save(out / f'{name}.svg')}")
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
