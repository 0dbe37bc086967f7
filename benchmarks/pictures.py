"""What pictures cost: seconds, bytes, cards and memory, each case in fresh processes.

    python benchmarks/pictures.py [--rounds 5] [--only lenet ...]

"cold" is from the first line of a fresh process, imports and the network included, to the file
written; "flow" is the reverse sweep alone, "drawn" what follows it; "cpu" is what the process and
the layout engine computed in all, which a busy machine changes less; MB is the most memory that the
process held. Every process has another PYTHONHASHSEED; "same" says whether all wrote the same
bytes. Numbers are medians.
"""

from __future__ import annotations

import time

START = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Callable  # noqa: E402
from hashlib import sha256  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
OPS = 10**5
MANY = ("chain", "ladder", "tangle")  # cases of that many ops
BARS = {
    "lenet": "cold < 0.5 s, < 200 KB",
    "lenet thumbnails": "none",
    "resnet50": "flow + drawn < 2 s, ≤ 150 cards",
    **dict.fromkeys(MANY, "flow + drawn < 10 s"),
}


def lenet() -> Any:
    """The loss of the LeNet of `nn` on 32 random images."""
    import numpy as np

    import gradgraph as gg
    from gradgraph import nn

    rng = np.random.default_rng(0)
    images = gg.Tensor(rng.normal(size=(32, 28, 28, 1)).astype(np.float32), name="images")
    return gg.cross_entropy(nn.LeNet(rng=0)(images), rng.integers(10, size=32))


def resnet50() -> Any:
    """A trace of the size of a ResNet-50."""
    sys.path.insert(0, str(ROOT / "docs" / "gallery"))
    import nets

    return nets.resnet50()


def chain() -> Any:
    """Ops in a row, each of which is read by the next."""
    import gradgraph as gg

    y = gg.Tensor([1.0, 2.0], requires_grad=True)
    for _ in range(OPS // 2):
        y = gg.tanh(y * 0.999)
    return y.sum()


def ladder() -> Any:
    """Residual blocks in scopes: every third op is read twice."""
    import gradgraph as gg

    y = gg.Tensor([1.0, 2.0], requires_grad=True)
    for i in range(OPS // 4):
        with gg.scope(f"stage{i // 1000}"), gg.scope(f"block{i}"):
            y = y + gg.tanh(y * 0.999) * 0.1
    return y.sum()


def tangle() -> Any:
    """Each op reads the one before and one of the last thousand, which may be the same."""
    import numpy as np

    import gradgraph as gg

    rng = np.random.default_rng(0)
    seen = [gg.Tensor([1.0, 2.0], requires_grad=True)]
    for i in range(OPS):
        seen.append(gg.maximum(seen[-1], seen[rng.integers(max(0, i - 1000), i + 1)]))
    return seen[-1].sum()


CASES: dict[str, Callable[[], Any]] = {
    "lenet": lenet,
    "lenet thumbnails": lenet,
    "resnet50": resnet50,
    "chain": chain,
    "ladder": ladder,
    "tangle": tangle,
}


def measure(name: str, path: str) -> None:
    """Draw one case to a file, and print what it cost as JSON."""
    loss = CASES[name]()
    built = time.perf_counter()
    import gradgraph as gg
    from gradgraph import viz

    flow = viz.flow(loss)
    swept = time.perf_counter()
    drawing = viz.draw(loss, flow=flow, thumbnails="thumbnails" in name)
    drawing.save(path)
    end, used = time.perf_counter(), os.times()
    svg = Path(path).read_bytes()
    print(
        json.dumps({
            "ops": len(gg.Graph.of(loss)),
            "cold": end - START,
            "flow": swept - built,
            "drawn": end - swept,
            "cpu": sum(used[:4]),
            "bytes": len(svg),
            "cards": svg.count(b'class="node"'),
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "hash": sha256(svg).hexdigest(),
        })
    )  # fmt: skip


def rounds_of(name: str, rounds: int) -> list[dict[str, Any]]:
    """What each round measured; the first, which compiles the sources, is not counted."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        env["PYTHONPYCACHEPREFIX"] = folder
        for seed in range(rounds + 1):
            command = [sys.executable, __file__, "--case", name, f"{folder}/picture.svg"]
            env["PYTHONHASHSEED"] = str(seed)
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
            found.append(json.loads(done.stdout))
    return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--case", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        measure(*args.case)
        return
    from gradgraph.viz import engine

    load = os.getloadavg()[0]
    print(f"engine {Path(engine.find()).name}; load {load:.1f} on {os.cpu_count()} cores")
    heads = ("ops", "cards", "KB", "cold s", "flow s", "drawn s", "cpu s", "MB", "same")
    print(f"{'picture':<17}" + "".join(f"{h:>10}" for h in heads) + "  bar")
    for name in args.only:
        found = rounds_of(name, args.rounds)
        middle = {k: statistics.median(f[k] for f in found) for k in found[0] if k != "hash"}
        same = len({f["hash"] for f in found}) == 1
        seconds = [f"{middle[k]:.2f}" for k in ("cold", "flow", "drawn", "cpu")]
        sizes = [f"{n:.0f}" for n in (middle["ops"], middle["cards"], middle["bytes"] / 1000)]
        columns = [*sizes, *seconds, f"{middle['memory']:.0f}", "yes" if same else "NO"]
        print(f"{name:<17}" + "".join(f"{c:>10}" for c in columns) + f"  {BARS[name]}", flush=True)


if __name__ == "__main__":
    main()
