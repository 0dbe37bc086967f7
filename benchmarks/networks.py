"""Training steps and inference of the benchmark models: gradgraph beside other engines.

    python benchmarks/networks.py [lenet] [vgg] [tiny] [resnet] [--rounds 15] [--memory]

gradgraph on plain numpy (what the core alone reaches) and with compiled kernels (extra `fast`),
each eager and by `gg.compile`; torch with channels first and last, and compiled; jax, if it is
there. All do the same in turn, in one process, with the same weights and data. Before each of them
is timed it works for a tenth of a second untimed: the threads of the one before are still waiting
for more, on all cores, and its own may be asleep. Printed are medians, the spread (the quarter and
the three quarters), ratios to the better of torch's two eager ones, and what the first two losses
are, to show that all compute the same.

With `--memory` each engine runs alone, in processes of its own: the peak of its resident memory
over what it was when the engine was loaded, and had taken a step of the smallest model; and the
time from the start of the program to the end of the first step.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

BEGUN = time.perf_counter()
WARM = 0.1  # seconds of work before an engine is timed

import numpy as np  # noqa: E402

import gradgraph as gg  # noqa: E402

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


class Jax:
    """The functions of jax."""

    def __init__(self) -> None:
        import jax

        self.jax, self.np = jax, jax.numpy
        self.relu = jax.nn.relu

    def conv(self, x: Any, w: Any, b: Any, stride: int = 1) -> Any:
        pad = [(w.shape[0] // 2, w.shape[0] // 2)] * 2
        y = self.jax.lax.conv_general_dilated(
            x, w, (stride, stride), pad, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y if b is None else y + b

    def fc(self, x: Any, w: Any, b: Any) -> Any:
        return x @ w + b

    def norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return (x - mean) / self.np.sqrt(var + 1e-5) * gamma + beta

    def pool(self, x: Any) -> Any:
        size = (1, 2, 2, 1)
        return self.jax.lax.reduce_window(x, -self.np.inf, self.jax.lax.max, size, size, "VALID")

    def mean(self, x: Any) -> Any:
        return x.mean((1, 2))

    def flatten(self, x: Any) -> Any:
        return x.reshape(len(x), -1)


Step = Callable[[], float]


def gradgraph(
    layers: Layers, images: Any, labels: Any, train: bool, backend: str, compiled: bool
) -> Step:
    from gradgraph.optim import SGD

    parameters = [[gg.Tensor(a, requires_grad=True) for a in own] for own in weights(layers)]
    optimizer = SGD([p for own in parameters for p in own], lr=RATE, momentum=MOMENTUM)
    x = gg.asarray(images, copy=False)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = gg.cross_entropy(forward(Gradgraph, layers, x, parameters), y)
        loss.backward()
        optimizer.step()
        return loss

    def infer(x: Any, y: Any) -> Any:
        with gg.no_grad():
            return forward(Gradgraph, layers, x, parameters)

    run = step if train else infer
    run = gg.compile(run) if compiled else run

    def once() -> float:
        with gg.backend(backend):
            return float(run(x, labels).data.ravel()[0])

    return once


def torch(
    layers: Layers, images: Any, labels: Any, train: bool, channels_last: bool, compiled: bool
) -> Step:
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

    def net(x: Any) -> Any:
        return forward(engine, layers, x, parameters)

    net = torch.compile(net) if compiled else net

    def step() -> float:
        optimizer.zero_grad()
        loss = engine.f.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    def infer() -> float:
        with torch.inference_mode():
            return float(net(x).ravel()[0])

    return step if train else infer


def jax(layers: Layers, images: Any, labels: Any, train: bool) -> Step:
    import jax

    engine = Jax()
    state = [[jax.numpy.asarray(a) for a in own] for own in weights(layers)]
    speed = jax.tree.map(jax.numpy.zeros_like, state)
    x, y = jax.numpy.asarray(images), jax.numpy.asarray(labels)

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        logs = jax.nn.log_softmax(forward(engine, layers, x, parameters))
        return -jax.numpy.take_along_axis(logs, y[:, None], -1).mean()

    @jax.jit
    def step(parameters: Any, speed: Any, x: Any, y: Any) -> Any:
        value, slopes = jax.value_and_grad(loss)(parameters, x, y)
        speed = jax.tree.map(lambda v, g: MOMENTUM * v + g, speed, slopes)
        return value, jax.tree.map(lambda w, v: w - RATE * v, parameters, speed), speed

    infer = jax.jit(lambda parameters, x: forward(engine, layers, x, parameters))

    def once() -> float:
        nonlocal state, speed
        if train:
            value, state, speed = step(state, speed, x, y)
            jax.block_until_ready(state)
            return float(value)
        return float(jax.block_until_ready(infer(state, x)).ravel()[0])

    return once


ENGINES: dict[str, Callable[..., Step]] = {
    "gradgraph, numpy": partial(gradgraph, backend="numpy", compiled=False),
    "gradgraph, numpy, compile": partial(gradgraph, backend="numpy", compiled=True),
    "gradgraph, numba": partial(gradgraph, backend="auto", compiled=False),
    "gradgraph, numba, compile": partial(gradgraph, backend="auto", compiled=True),
    "torch": partial(torch, channels_last=False, compiled=False),
    "torch, channels-last": partial(torch, channels_last=True, compiled=False),
    "torch.compile": partial(torch, channels_last=True, compiled=True),
    "jax.jit": jax,
}
BEST = ("torch", "torch, channels-last")  # the better of them is what others are measured by


def made(engine: str, model: str, train: bool) -> Step | None:
    """A step or an inference; None if the engine does not run here."""
    layers, shape = MODELS[model]
    rng = np.random.default_rng(1)
    images = rng.normal(size=shape).astype(np.float32)
    labels = rng.integers(0, 10, size=shape[0])
    try:
        return ENGINES[engine](layers, images, labels, train)
    except ImportError:
        return None


def compare(model: str, train: bool, rounds: int, engines: list[str]) -> None:
    """Print the table of one model."""
    steps = {e: step for e in engines if (step := made(e, model, train)) is not None}
    results, failed = {}, {}
    for engine, step in steps.items():
        try:
            results[engine] = step(), step()
        except Exception as error:
            failed[engine] = f"{type(error).__name__}: {str(error).splitlines()[0]:.60}"
    steps = {e: step for e, step in steps.items() if e in results}
    times: dict[str, list[float]] = {engine: [] for engine in steps}
    for _ in range(rounds):
        for engine, step in steps.items():
            begun = time.perf_counter()
            while time.perf_counter() - begun < WARM:
                step()
            for _ in range(30 if model == "tiny" else 3):
                start = time.perf_counter()
                step()
                times[engine].append((time.perf_counter() - start) * 1e3)
    medians = {engine: statistics.median(t) for engine, t in times.items()}
    best = min((medians[e] for e in BEST if e in medians), default=math.nan)
    print(f"{model}, {'training step' if train else 'inference'}, {rounds} rounds")
    for engine, ms in medians.items():
        low, _, high = statistics.quantiles(times[engine])
        told = ", ".join(f"{r:.5f}" for r in results[engine])
        print(
            f"  {engine:26} {ms:9.3f} ms ({low:.3f} to {high:.3f})   {best / ms:6.2f} x"
            f"   {'losses' if train else 'first score'} {told}"
        )
    for engine, error in failed.items():
        print(f"  {engine:26} does not run here: {error}")


def alone(engine: str, model: str, train: bool) -> None:
    """Print when the first step ends, counted from the start of the program."""
    step = made(engine, model, train)
    if step is None:
        print("not installed")
        return
    step()
    first = time.perf_counter() - BEGUN
    print(f"first step after {first:5.2f} s", end="")


def peak(engine: str, model: str, train: bool) -> None:
    """Print how much more memory three steps take than the engine itself."""
    small = made(engine, "tiny", train)
    if small is None:
        return
    small()
    if "numba" in engine:
        from gradgraph.kernels.numba_ import direct, product, statistics, winograd  # noqa: F401
    step = made(engine, model, train)
    if step is None:
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        step()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{(after - before) / 1024:5.0f} MB over {before / 1024:.0f} MB", end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=[*MODELS])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=("train", "infer"))
    parser.add_argument("--engines", nargs="*", default=[*ENGINES], choices=ENGINES)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--alone", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--peak", choices=ENGINES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    for model in args.models:
        for train in (True, False):
            if args.only not in (None, "train" if train else "infer"):
                continue
            if args.alone:
                alone(args.alone, model, train)
            elif args.peak:
                peak(args.peak, model, train)
            elif args.memory:
                print(f"{model}, {'training step' if train else 'inference'}, each alone")
                for engine in args.engines:
                    told = []
                    for what in ("--peak", "--alone"):
                        only = [what, engine, "--only", "train" if train else "infer"]
                        run = [sys.executable, __file__, model, *only]
                        done = subprocess.run(run, capture_output=True, text=True, check=False)
                        told.append(done.stdout.strip() or "does not run here")
                    print(f"  {engine:26} {', '.join(told)}", flush=True)
            else:
                compare(model, train, args.rounds, args.engines)
    if not (args.alone or args.peak):
        print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()},"
              f" Python {platform.python_version()}, numpy {np.__version__}")  # fmt: skip


if __name__ == "__main__":
    main()
