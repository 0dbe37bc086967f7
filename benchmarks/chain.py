"""Cost of one op: 1000 adds and multiplies on shape (4,), forward and backward, beside torch.

    python benchmarks/chain.py [--rounds 60]

Both engines run the same chain in turn, in one process, on one thread, float32.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import gradgraph as gg

OPS = 1000


def seconds(x: Any, c: Any, cotangent: Any) -> float:
    start = time.perf_counter()
    y = x
    for _ in range(OPS // 2):
        y = y * c
        y = y + c
    y.backward(cotangent)
    return time.perf_counter() - start


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    start = np.linspace(0.5, 1.5, 4, dtype=np.float32)
    factor = np.full(4, 0.999, np.float32)
    tensors: dict[str, Callable[[Any, bool], Any]] = {
        "gradgraph": lambda a, grad: gg.Tensor(a, requires_grad=grad),
        "torch": lambda a, grad: torch.tensor(a, requires_grad=grad),
    }
    cotangents = {"gradgraph": np.ones(4, np.float32), "torch": torch.ones(4)}
    for both in (False, True):
        times: dict[str, list[float]] = {name: [] for name in tensors}
        grads = {}
        for _ in range(rounds):
            for name, tensor in tensors.items():
                x, c = tensor(start, True), tensor(factor, both)
                times[name].append(seconds(x, c, cotangents[name]) / OPS * 1e6)
                grads[name] = np.array(x.grad.tolist())
        np.testing.assert_allclose(grads["gradgraph"], grads["torch"], rtol=1e-4)
        mine, theirs = (statistics.median(times[n]) for n in ("gradgraph", "torch"))
        label = "both operands require grad" if both else "one operand constant"
        print(f"{label}: gradgraph {mine:.2f} µs, torch {theirs:.2f} µs per op,"
              f" {theirs / mine:.2f}x as fast (median of {rounds})")  # fmt: skip


if __name__ == "__main__":
    main()
