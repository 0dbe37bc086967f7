"""Training steps of the benchmark models: gradgraph beside torch, both eager.

    python benchmarks/training.py [lenet] [vgg] [tiny] [--rounds 15]

gradgraph on plain numpy (what the core alone reaches) and with compiled kernels (extra `fast`),
torch with channels first and last. All take the same step in turn, in one process, with the same
weights and data; printed are medians, the spread (the quarter and the three quarters), ratios to
the better of torch's, and the loss of the first two steps, to show that all compute the same. Peak
memory is that of the whole process for each engine alone (`--only`).
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import gradgraph as gg

Layers = list[tuple[Any, ...]]

LENET: Layers = [
    ("conv", 5, 1, 32), ("relu",), ("pool",),
    ("conv", 5, 32, 64), ("relu",), ("pool",),
    ("flatten",), ("fc", 3136, 512), ("relu",), ("fc", 512, 10),
]  # fmt: skip
VGG: Layers = [
    step
    for a, b in ((3, 64), (64, 128), (128, 256))
    for step in (("conv", 3, a, b), ("relu",), ("conv", 3, b, b), ("relu",), ("pool",))
] + [("flatten",), ("fc", 4096, 10)]
TINY: Layers = [("conv", 3, 1, 4), ("relu",), ("pool",), ("flatten",), ("fc", 64, 10)]

MODELS = {
    "lenet": (LENET, (128, 28, 28, 1)),
    "vgg": (VGG, (64, 32, 32, 3)),
    "tiny": (TINY, (1, 8, 8, 1)),
}
RATE, MOMENTUM = 0.01, 0.9


def weights(layers: Layers) -> list[tuple[Any, Any]]:
    """(w, b) of every conv and fc: filters (k, k, C_in, C_out), dense (in, out)."""
    rng = np.random.default_rng(0)
    result = []
    for kind, *sizes in layers:
        if kind == "conv":
            k, a, b = sizes
            shape: tuple[int, ...] = (k, k, a, b)
        elif kind == "fc":
            shape = tuple(sizes)
        else:
            continue
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        w = (rng.normal(size=shape) * scale).astype(np.float32)
        result.append((w, np.zeros(shape[-1], np.float32)))
    return result


def step_of_gradgraph(
    layers: Layers, images: Any, labels: Any, backend: str = "auto"
) -> Callable[[], float]:
    from gradgraph.optim import SGD

    pairs = [
        (gg.Tensor(w, requires_grad=True), gg.Tensor(b, requires_grad=True))
        for w, b in weights(layers)
    ]
    optimizer = SGD([p for pair in pairs for p in pair], lr=RATE, momentum=MOMENTUM)

    def step() -> float:
        with gg.backend(backend):
            return _step()

    def _step() -> float:
        optimizer.zero_grad()
        x: Any = gg.asarray(images, copy=False)
        parameters = iter(pairs)
        for kind, *_ in layers:
            if kind == "conv":
                x = gg.conv(x, *next(parameters), padding="same")
            elif kind == "fc":
                w, b = next(parameters)
                x = x @ w + b
            elif kind == "relu":
                x = gg.relu(x)
            elif kind == "pool":
                x = gg.max_pool(x, 2)
            else:
                x = x.reshape(len(images), -1)
        loss = gg.cross_entropy(x, labels)
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def step_of_torch(
    layers: Layers, images: Any, labels: Any, channels_last: bool = False
) -> Callable[[], float]:
    import torch
    from torch.nn import functional as F  # noqa: N812

    parameters = []
    for w, b in weights(layers):
        w = np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1)) if w.ndim == 4 else w.T)
        weight = torch.tensor(w)
        if channels_last and weight.ndim == 4:
            weight = weight.to(memory_format=torch.channels_last)
        parameters += [weight.requires_grad_(), torch.tensor(b, requires_grad=True)]
    pairs = list(zip(parameters[::2], parameters[1::2], strict=True))
    x0 = torch.tensor(np.ascontiguousarray(np.moveaxis(images, -1, 1)))
    if channels_last:
        x0 = x0.to(memory_format=torch.channels_last)
    y = torch.tensor(labels)
    optimizer = torch.optim.SGD(parameters, lr=RATE, momentum=MOMENTUM)

    def step() -> float:
        optimizer.zero_grad()
        x = x0
        remaining = iter(pairs)
        for kind, *sizes in layers:
            if kind == "conv":
                w, b = next(remaining)
                x = F.conv2d(x, w, b, padding=sizes[0] // 2)
            elif kind == "fc":
                x = F.linear(x, *next(remaining))
            elif kind == "relu":
                x = F.relu(x)
            elif kind == "pool":
                x = F.max_pool2d(x, 2)
            else:
                x = x.permute(0, 2, 3, 1).flatten(1)
        loss = F.cross_entropy(x, y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


ENGINES: dict[str, Callable[..., Callable[[], float]]] = {
    "numpy": partial(step_of_gradgraph, backend="numpy"),
    "compiled": step_of_gradgraph,
    "torch": step_of_torch,
    "torch channels-last": partial(step_of_torch, channels_last=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["lenet", "vgg", "tiny"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=ENGINES)
    args = parser.parse_args()
    for name in args.models:
        layers, shape = MODELS[name]
        rng = np.random.default_rng(1)
        images = rng.normal(size=shape).astype(np.float32)
        labels = rng.integers(0, 10, size=shape[0])
        steps = {
            engine: make(layers, images, labels)
            for engine, make in ENGINES.items()
            if args.only in (None, engine)
        }
        losses = {engine: (step(), step()) for engine, step in steps.items()}
        times: dict[str, list[float]] = {engine: [] for engine in steps}
        rounds = args.rounds * (20 if name == "tiny" else 1)
        for _ in range(rounds):
            for engine, step in steps.items():
                start = time.perf_counter()
                step()
                times[engine].append((time.perf_counter() - start) * 1e3)
        medians = {engine: statistics.median(t) for engine, t in times.items()}
        best = min((ms for e, ms in medians.items() if e.startswith("torch")), default=math.nan)
        print(f"{name}, {rounds} rounds")
        for engine, ms in medians.items():
            low, _, high = statistics.quantiles(times[engine])
            first, second = losses[engine]
            print(
                f"  {engine:20} {ms:8.2f} ms ({low:.2f} to {high:.2f})   {best / ms:5.2f} x"
                f"   losses {first:.5f}, {second:.5f}"
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak resident memory of the process: {peak:.0f} MB")


if __name__ == "__main__":
    main()
