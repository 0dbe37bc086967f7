"""An LSTM cell, unrolled over a sequence: one weight that is used at every step.

    python examples/lstm.py [picture]

The cell remembers: c ← f·c + i·g forgets a part of what it knew and takes in a part of what is new,
and h = o·tanh(c) tells a part of it. All four gates come from one matrix. It is the same at every
step, so its gradient is the sum of what the steps send back; the picture shows it as one card with
a line from each step, and what each contributed.

Source: Hochreiter and Schmidhuber, Long Short-Term Memory (1997), with the forget gate of Gers,
Schmidhuber and Cummins (1999).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph import viz
from gradgraph.nn.init import xavier_normal
from gradgraph.testing import check

Parameters = dict[str, gg.Tensor]


def parameters(channels: int, units: int, rng: np.random.Generator) -> Parameters:
    """One matrix and one bias for the four gates, in the order i, f, o, g."""
    w = xavier_normal((channels + units, 4 * units), rng=rng)
    b = np.zeros(4 * units, np.float32)
    b[units : 2 * units] = 1.0  # at first the cell remembers
    named = {"w": w, "b": b}
    return {k: gg.Tensor(v, requires_grad=True, name=k) for k, v in named.items()}


def cell(x: Any, h: Any, c: Any, p: Parameters) -> tuple[Any, Any]:
    """One step: (batch, channels) and the state, two of (batch, units), give the next state."""
    units = h.shape[-1]
    with gg.scope("gates"):
        gates = gg.concatenate([x, h], axis=-1) @ p["w"] + p["b"]
        i, f, o = (gg.sigmoid(gates[:, k * units : (k + 1) * units]) for k in range(3))
        g = gg.tanh(gates[:, 3 * units :])
    c = f * c + i * g
    return o * gg.tanh(c), c


def lstm(xs: Sequence[Any], p: Parameters) -> Any:
    """What the cell tells after the last step.

    Args:
        xs: one (batch, channels) for each step.
        p: w (channels + units, 4 · units) and b (4 · units).

    Returns:
        (batch, units).
    """
    nothing = np.zeros((len(xs[0]), p["b"].shape[0] // 4), np.float32)
    h, c = gg.Tensor(nothing, name="h0"), gg.Tensor(nothing, name="c0")
    for t, x in enumerate(xs, 1):
        with gg.scope(f"step{t}"):
            h, c = cell(x, h, c, p)
    return h


def flops(batch: int, steps: int, channels: int, units: int) -> int:
    """The same, counted by hand."""
    gates = 4 * batch * units
    product, bias = 2 * (channels + units) * gates, gates
    state = 3 + 2  # f·c + i·g, o·tanh(c): operations for each unit
    return steps * (product + bias + gates + state * batch * units)


def main(picture: str | None = None) -> None:
    rng = np.random.default_rng(0)
    steps = [rng.normal(size=(4, 2)).astype(np.float32) for _ in range(3)]
    p = parameters(2, 2, rng)

    print("gradient:", check(lstm, steps, p, name="lstm").verdict)

    graph = gg.trace(lambda *xs: lstm(xs, p), *(x.shape for x in steps))
    assert graph.flops() == flops(4, steps=3, channels=2, units=2)
    print(f"{graph.parameters()} parameters, {graph.flops():,} FLOPs, as counted by hand")

    xs = [gg.Tensor(x, requires_grad=True, name=f"x{t}") for t, x in enumerate(steps, 1)]
    loss = gg.mse_loss(lstm(xs, p), gg.Tensor(steps[0], name="what came first"))
    for (reader, operand), norm in viz.flow(loss).edges.items():
        if reader.inputs[operand] is p["w"]:
            print(f"{reader.scope} adds a gradient of norm {norm:.3f} to that of w")
    path = picture or Path(tempfile.mkdtemp()) / "lstm.svg"
    gates = [f"step{t}.gates" for t in (1, 2, 3)]  # one card each, or nothing else could be seen
    print(gg.draw(loss, flow=True, collapse=gates, title="LSTM, three steps").save(path))


if __name__ == "__main__":
    main(*sys.argv[1:2])
