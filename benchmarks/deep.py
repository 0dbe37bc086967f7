"""Depth and memory: a chain of 10^6 ops, and a long training run with the collector off.

python benchmarks/deep.py [--ops 1000000] [--steps 20000]
"""

from __future__ import annotations

import argparse
import gc
import time
from itertools import pairwise

import numpy as np

import gradgraph as gg
from gradgraph.optim import SGD
from gradgraph.sweep import push, reach


def resident() -> float:
    """Resident memory of this process now, in MB (Linux)."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096 / 2**20


def chain(ops: int) -> None:
    x = gg.Tensor(np.ones(4), requires_grad=True)
    marks = [time.perf_counter()]
    y = x
    for _ in range(ops // 2):
        y = y * 1.0000001
        y = y + x
    y = y.sum()
    marks.append(time.perf_counter())
    y.backward()
    marks.append(time.perf_counter())
    tangent = push(reach([y]), [(x, np.ones(4))])[y]
    marks.append(time.perf_counter())
    assert x.grad is not None
    assert np.isclose(float(tangent), x.grad.data.sum())
    del y
    marks.append(time.perf_counter())
    parts = [b - a for a, b in pairwise(marks)]
    names = ("built", "backward", "jvp", "freed")
    shown = ", ".join(f"{name} {part:.1f} s" for name, part in zip(names, parts, strict=True))
    print(f"chain of {ops} ops, collector on: {shown}; in all {sum(parts):.1f} s")


def training(steps: int) -> None:
    rng = np.random.default_rng(0)
    shapes = [(3, 3, 1, 4), (64, 10)]
    parameters = [gg.Tensor(rng.normal(size=s) * 0.1, requires_grad=True) for s in shapes]
    optimizer = SGD(parameters, lr=0.01, momentum=0.9)
    images, labels = rng.normal(size=(2, 8, 8, 1)), np.array([1, 7])

    def step() -> None:
        optimizer.zero_grad()
        x = gg.max_pool(gg.relu(gg.conv(images, parameters[0], padding="same")), 2)
        gg.cross_entropy(x.reshape(2, -1) @ parameters[1], labels).backward()
        optimizer.step()

    for _ in range(200):
        step()
    gc.collect()
    gc.disable()
    before = resident()
    step()
    found = gc.collect()
    for _ in range(steps):
        step()
    print(
        f"{steps} training steps with the collector off: resident {before:.1f} MB before,"
        f" {resident():.1f} MB after; objects the collector finds after a step: {found}"
    )
    gc.enable()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", type=int, default=10**6)
    parser.add_argument("--steps", type=int, default=20_000)
    args = parser.parse_args()
    chain(args.ops)
    training(args.steps)


if __name__ == "__main__":
    main()
