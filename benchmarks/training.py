"""Training steps of the benchmark models: gradgraph beside torch, both eager.

    python benchmarks/training.py [lenet] [vgg] [tiny] [resnet] [--rounds 15]

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
RESNET: Layers = [
    ("conv", 3, 3, 64), ("norm", 64), ("relu",),
    *(
        ("block", a, b, stride)
        for a, b, first in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
        for a, stride in ((a, first), (b, 1))
    ),
    ("mean",), ("fc", 512, 10),
]  # fmt: skip

MODELS = {
    "lenet": (LENET, (128, 28, 28, 1)),
    "vgg": (VGG, (64, 32, 32, 3)),
    "tiny": (TINY, (1, 8, 8, 1)),
    "resnet": (RESNET, (32, 32, 32, 3)),
}
RATE, MOMENTUM = 0.01, 0.9


def weights(layers: Layers) -> list[list[Any]]:
    """The arrays of each layer: filters (k, k, C_in, C_out), dense (in, out), and vectors."""
    rng = np.random.default_rng(0)

    def filled(*shape: int) -> Any:
        return (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32)

    def norm(channels: int) -> list[Any]:
        return [np.ones(channels, np.float32), np.zeros(channels, np.float32)]

    found = []
    for kind, *sizes in layers:
        if kind == "conv":
            k, a, b = sizes
            found.append([filled(k, k, a, b), np.zeros(b, np.float32)])
        elif kind == "fc":
            found.append([filled(*sizes), np.zeros(sizes[1], np.float32)])
        elif kind == "norm":
            found.append(norm(*sizes))
        elif kind == "block":
            a, b, stride = sizes
            found.append([filled(3, 3, a, b), *norm(b), filled(3, 3, b, b), *norm(b)])
            found[-1] += [filled(1, 1, a, b), *norm(b)] if stride > 1 else []
        else:
            found.append([])
    return found


def forward(engine: Any, layers: Layers, x: Any, parameters: list[list[Any]]) -> Any:
    """The scores, by the functions of an engine."""
    for (kind, *sizes), own in zip(layers, parameters, strict=True):
        if kind == "block":
            stride = sizes[2]
            y = engine.relu(engine.norm(engine.conv(x, own[0], None, stride), *own[1:3]))
            y = engine.norm(engine.conv(y, own[3], None), *own[4:6])
            if len(own) > 6:
                x = engine.norm(engine.conv(x, own[6], None, stride), *own[7:9])
            x = engine.relu(x + y)
        else:
            x = getattr(engine, kind)(x, *own)
    return x


class Gradgraph:
    """The functions of gradgraph."""

    relu = staticmethod(gg.relu)

    @staticmethod
    def conv(x: Any, w: Any, b: Any, stride: int = 1) -> Any:
        return gg.conv(x, w, b, stride=stride, padding=w.shape[0] // 2)

    @staticmethod
    def fc(x: Any, w: Any, b: Any) -> Any:
        return x @ w + b

    @staticmethod
    def norm(x: Any, gamma: Any, beta: Any) -> Any:
        return gg.batch_norm(x, gamma, beta)

    @staticmethod
    def pool(x: Any) -> Any:
        return gg.max_pool(x, 2)

    @staticmethod
    def mean(x: Any) -> Any:
        return x.mean((1, 2))

    @staticmethod
    def flatten(x: Any) -> Any:
        return x.reshape(len(x), -1)


class Torch:
    """The functions of torch."""

    def __init__(self) -> None:
        from torch.nn import functional

        self.f = functional
        self.relu = functional.relu
        self.fc = functional.linear

    def conv(self, x: Any, w: Any, b: Any, stride: int = 1) -> Any:
        return self.f.conv2d(x, w, b, stride, w.shape[2] // 2)

    def norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        return self.f.batch_norm(x, None, None, gamma, beta, training=True)

    def pool(self, x: Any) -> Any:
        return self.f.max_pool2d(x, 2)

    def mean(self, x: Any) -> Any:
        return x.mean((2, 3))

    def flatten(self, x: Any) -> Any:
        return x.permute(0, 2, 3, 1).flatten(1)


def step_of_gradgraph(
    layers: Layers, images: Any, labels: Any, backend: str = "auto"
) -> Callable[[], float]:
    from gradgraph.optim import SGD

    parameters = [[gg.Tensor(a, requires_grad=True) for a in own] for own in weights(layers)]
    optimizer = SGD([p for own in parameters for p in own], lr=RATE, momentum=MOMENTUM)

    def step() -> float:
        with gg.backend(backend):
            optimizer.zero_grad()
            scores = forward(Gradgraph, layers, gg.asarray(images, copy=False), parameters)
            loss = gg.cross_entropy(scores, labels)
            loss.backward()
            optimizer.step()
        return float(loss)

    return step


def step_of_torch(
    layers: Layers, images: Any, labels: Any, channels_last: bool = False
) -> Callable[[], float]:
    import torch

    def tensor(a: Any) -> Any:
        moved = np.moveaxis(a, (-1, -2), (0, 1)) if a.ndim == 4 else a.T
        t = torch.tensor(np.ascontiguousarray(moved))
        if channels_last and t.ndim == 4:
            t = t.to(memory_format=torch.channels_last)
        return t.requires_grad_()

    parameters = [[tensor(a) for a in own] for own in weights(layers)]
    x = torch.tensor(np.ascontiguousarray(np.moveaxis(images, -1, 1)))
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    y, engine = torch.tensor(labels), Torch()
    optimizer = torch.optim.SGD([p for own in parameters for p in own], lr=RATE, momentum=MOMENTUM)

    def step() -> float:
        optimizer.zero_grad()
        loss = engine.f.cross_entropy(forward(engine, layers, x, parameters), y)
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
    parser.add_argument("models", nargs="*", default=[*MODELS])
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
