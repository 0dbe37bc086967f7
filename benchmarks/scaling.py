"""How training steps grow with batch, depth, width and threads, and what a graph costs by its size.

    python benchmarks/scaling.py [--torch]

A stack of 3×3 convolutions with relu on 16×16 images, a step of SGD each, compiled with the extra
`fast`; ms per step, beside torch eager with `--torch`. Each number of threads has a process of its
own. Then chains of small ops: seconds to capture, and to replay, for each op, and the memory that
the plan holds, which do not depend on their number.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph import nn, optim

# batch, depth, width
CASES = [
    *((batch, 4, 32) for batch in (1, 8, 64, 512)),
    *((16, depth, 32) for depth in (2, 20, 200)),
    *((32, 4, width) for width in (8, 32, 128)),
]


def median(step: Callable[[], Any]) -> float:
    """Milliseconds of a step, after two that are not timed."""
    step()
    step()
    times = []
    begun = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - begun < 1 and len(times) < 50):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def ours(batch: int, depth: int, width: int) -> float:
    rng = np.random.default_rng(0)
    layers: list[Any] = []
    for k in range(depth):
        layers += [nn.Conv(3 if k == 0 else width, width, 3, padding="same", rng=rng), nn.ReLU()]
    net = nn.Sequential(*layers)
    sgd = optim.SGD(net.parameters(), lr=1e-3)

    @gg.compile
    def step(x: Any) -> Any:
        sgd.zero_grad()
        loss = (net(x) ** 2).mean()
        loss.backward()
        sgd.step()
        return loss

    x = rng.normal(size=(batch, 16, 16, 3)).astype(np.float32)
    return median(lambda: step(x))


def theirs(batch: int, depth: int, width: int) -> float:
    import torch

    layers: list[Any] = []
    for k in range(depth):
        layers += [torch.nn.Conv2d(3 if k == 0 else width, width, 3, padding=1), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers)
    sgd = torch.optim.SGD(net.parameters(), lr=1e-3)
    x = torch.randn(batch, 3, 16, 16)

    def step() -> None:
        sgd.zero_grad()
        (net(x) ** 2).mean().backward()
        sgd.step()

    return median(step)


def one_process(torch: bool) -> None:
    for case in CASES:
        told = "".join(f"{word} {n:4}  " for word, n in zip(("batch", "depth", "width"), case))  # noqa: B905
        ms = ours(*case)
        line = f"  {told} {ms:9.2f} ms"
        if torch:
            other = theirs(*case)
            line += f"   torch {other:9.2f} ms   {other / ms:5.2f} x"
        print(line, flush=True)


def growth() -> None:
    """Chains of n multiplications and additions of four numbers."""
    print("chains of ops on (4,), numpy")
    for n in (100, 1_000, 10_000, 100_000):

        def chain(x: Any, n: int = n) -> Any:
            for _ in range(n // 2):
                x = x * 1.0001
                x = x + 1e-6
            return x

        f, x = gg.compile(chain), np.ones(4, np.float32)
        with gg.backend("numpy"):
            start = time.perf_counter()
            f(x)
            first = time.perf_counter() - start
            traced = gg.compile(chain)  # apart: it takes several times as long to trace
            tracemalloc.start()
            traced(x)
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            again = median(lambda f=f, x=x: f(x)) / 1e3
        print(
            f"  {n:7} ops: captured and planned in {first / n * 1e6:6.1f} µs an op,"
            f" replayed in {again / n * 1e6:5.2f} µs an op, {held / n:6.0f} bytes an op"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        one_process(args.torch)
        return
    cores = os.cpu_count() or 1
    for threads in sorted({1, 2, cores} & set(range(1, cores + 1))):
        print(f"{threads} thread{'' if threads == 1 else 's'}", flush=True)
        told = ["--inside", *(["--torch"] if args.torch else [])]
        env = os.environ | {"OMP_NUM_THREADS": str(threads)}
        subprocess.run([sys.executable, __file__, *told], env=env, check=True)
    growth()


if __name__ == "__main__":
    main()
