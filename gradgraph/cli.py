"""The command line: `demo` trains a LeNet on digits, `draw` draws, `check` verifies a gradient."""

from __future__ import annotations

import argparse
import errno
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from . import data
from .errors import DomainError, GradgraphError, MissingExtraError
from .locate import locate, shape
from .mode import no_grad
from .nn import LeNet, Module
from .ops import cross_entropy
from .optim import SGD
from .tensor import Tensor, asarray
from .testing import command

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


def demo(args: argparse.Namespace) -> int:
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
    from .viz import draw

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


def _draw_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        help="what to draw: module:name or file.py:name of a tensor, a graph, a module or a"
        " function; a function without --shape is called, and what it returns is drawn",
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("graph.svg"), metavar="FILE",
        help="where to: .svg, .html (interactive), .png or .dot (default graph.svg)",
    )  # fmt: skip
    parser.add_argument(
        "--shape", action="append", default=[], metavar="1x28x28x1",
        help="shape of the next input of a module or function",
    )  # fmt: skip
    parser.add_argument(
        "--flow",
        action="store_true",
        help="draw the gradient's flow too; the target gives one number then, such as a loss",
    )
    parser.add_argument("--backward", action="store_true", help="draw the way back beside it")
    parser.add_argument("--thumbnails", action="store_true", help="small images in the cards")
    parser.add_argument("--detail", choices=("full", "overview"), default="full")
    parser.add_argument("--collapse", action="append", default=[], metavar="SCOPE")
    parser.add_argument("--title")
    parser.add_argument("--budget", type=_positive, help="the most cards")


def draw(args: argparse.Namespace) -> int:
    """Draw what a module and a name say, into a file."""
    from . import viz

    _, target = locate(args.target)
    inputs: list[Any] = [shape(text) for text in args.shape]
    if isinstance(target, type):
        target = _called(target, args.target)
    made = ""
    if inputs and (args.flow or args.backward):  # a gradient needs values
        rng = np.random.default_rng(0)
        inputs = [np.asarray(_called(partial(rng.normal, size=n), "--shape")) for n in inputs]
        made = " on random inputs"
    if callable(target) and not isinstance(target, Module | Tensor) and not inputs:
        target = _called(target, args.target)
    budget = {} if args.budget is None else {"budget": args.budget}
    drawing = _called(
        partial(viz.draw, target, *inputs),
        args.target,
        flow=args.flow,
        backward=args.backward,
        detail=args.detail,
        collapse=args.collapse,
        thumbnails=args.thumbnails,
        title=args.title or args.target.rpartition(":")[2] + made,
        **budget,
    )
    print(drawing.save(args.out))
    return 0


def _called(function: Any, name: str, **options: Any) -> Any:
    try:
        return function(**options)
    except (GradgraphError, OSError):
        raise
    except (Exception, SystemExit) as error:
        raise DomainError(
            repr(name),
            f"calling it fails with {type(error).__name__}: {error}",
            "Give a --shape for each input, and none to a function that takes none.",
        ) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 for a failure, 2 for wrong usage.

    Args:
        argv: the arguments; those of the process by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m gradgraph", description="A computation-graph autodiff engine."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    add = commands.add_parser(
        "demo", help="teach a LeNet to read handwritten digits, and draw its graph"
    )
    seeds = add.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=_count, default=0, help="of all randomness (default 0)")
    seeds.add_argument("--seeds", type=_count, nargs="+", help="one run each, and their mean")
    add.add_argument(
        "--epochs",
        type=_positive,
        default=EPOCHS,
        help=f"passes over the digits (default {EPOCHS})",
    )
    add.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of the pictures (default out/)"
    )
    add.set_defaults(run=demo)
    add = commands.add_parser("draw", help="draw the graph of a tensor, a function or a module")
    _draw_arguments(add)
    add.set_defaults(run=draw)
    add = commands.add_parser("check", help="verify the derivatives of a function or an op")
    command.add_arguments(add)
    add.set_defaults(run=command.run)
    args = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no arrows shows "?"
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (closed by the caller)
    try:
        return int(args.run(args))
    except GradgraphError as error:
        print(f"{error.op}: {error.problem}. {error.fix}", file=sys.stderr)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (whoever read has seen enough)
        return 1
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"{error.strerror}{where}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 1


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no int ≥ 0")
    if len(text) > 18:
        raise argparse.ArgumentTypeError(f"an int of {len(text):,} digits is too large")
    return int(text)


def _positive(text: str) -> int:
    if not _count(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no int ≥ 1")
    return int(text)
