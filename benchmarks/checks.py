"""How long `check` takes at its default settings: a function of ten ops, and a LeNet.

OMP_NUM_THREADS=1 python benchmarks/checks.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph import nn
from gradgraph.testing import check, tensors

ROUNDS = 5


def ten_ops(x: Any, w: Any) -> Any:
    """matmul, add, tanh, relu, sigmoid, multiply, mean, subtract, log_softmax, sum."""
    h = gg.tanh(x @ w + 0.1)
    h = gg.relu(h) * gg.sigmoid(h)
    return gg.log_softmax(h - h.mean(-1, keepdims=True)).sum()


def timed(what: str, run: Callable[[], Any]) -> None:
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        report = run()
        seconds.append(time.perf_counter() - start)
    print(f"{what:<28} {report.examples:>3} inputs  median {statistics.median(seconds):.2f} s")


def main() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3)), rng.normal(size=(3, 5))
    image, net = rng.normal(size=(1, 28, 28, 1)), nn.LeNet(rng=0)
    timed("ten ops, an example", lambda: check(ten_ops, x, w))
    timed("ten ops, drawn", lambda: check(ten_ops, tensors((4, 3)), tensors((3, 5))))
    timed("LeNet and its parameters", lambda: check(net, image))


if __name__ == "__main__":
    main()
