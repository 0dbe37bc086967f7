"""A training that saves after every step and goes on from its last checkpoint; killed by a test.

python tests/resumed.py CHECKPOINT STEPS
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import gradgraph as gg
from gradgraph import data, io, nn, optim


def main(path: Path, steps: int) -> None:
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Linear(6, 32, rng=rng), nn.BatchNorm(32), nn.ReLU(), nn.Dropout(0.2, rng=rng),
        nn.Linear(32, 3, rng=rng),
    )  # fmt: skip
    x = rng.normal(size=(50, 6)).astype(np.float32)
    labels = rng.integers(0, 3, 50)

    def noisy(x, labels, *, rng):
        return x + rng.normal(0, 0.1, x.shape).astype(np.float32), labels

    adam = optim.Adam(net.parameters(), lr=0.01)
    schedule = optim.WarmupLR(optim.CosineLR(adam, steps), 5)
    loader = data.DataLoader((x, labels), 8, rng=rng, transform=noisy)
    parts = {"net": net, "adam": adam, "schedule": schedule, "loader": loader, "rng": rng}
    done = io.load(path, **parts)["done"] if path.exists() else 0
    print("from", done, flush=True)
    while done < steps:
        for images, truth in loader:
            adam.zero_grad()
            gg.cross_entropy(net(images), truth).backward()
            adam.step()
            schedule.step()
            done += 1
            io.save(path, **parts, done=done)
            if done == steps:
                break
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
