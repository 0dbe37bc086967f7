"""A chain of ops on each element, tanh(a·x + b)·c + d on 10⁷ float32, compiled, beside torch.

    python benchmarks/elementwise.py [--rounds 15]

gradgraph eager and compiled, plain numpy, torch eager and compiled, in turn, in one process; each
does it once untimed before. Printed are medians in ms, and ratios to torch.compile.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import gradgraph as gg


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    x = np.random.default_rng(0).normal(size=10**7).astype(np.float32)
    own, other = gg.asarray(x, copy=False), torch.tensor(x)

    def chain(x: Any, tanh: Any = gg.tanh) -> Any:
        return tanh(1.5 * x + 0.25) * 2.0 + 0.5

    def theirs(x: Any) -> Any:
        return chain(x, torch.tanh)

    compiled, torched = gg.compile(chain), torch.compile(theirs)
    np.testing.assert_allclose(compiled(own).data, torched(other).numpy(), rtol=1e-5, atol=1e-6)
    engines: dict[str, Callable[[], Any]] = {
        "gradgraph": lambda: chain(own),
        "gradgraph, compile": lambda: compiled(own),
        "numpy": lambda: chain(x, np.tanh),
        "torch": lambda: theirs(other),
        "torch.compile": lambda: torched(other),
    }
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, run in engines.items():
            run()
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) * 1e3)
    best = statistics.median(times["torch.compile"])
    for name, found in times.items():
        low, middle, high = statistics.quantiles(found)
        print(f"  {name:20} {middle:7.2f} ms ({low:.2f} to {high:.2f})   {best / middle:5.2f} x")


if __name__ == "__main__":
    main()
