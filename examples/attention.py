"""Self-attention with several heads and a causal mask, written out: softmax(q kᵀ / √d) v.

    python examples/attention.py [picture]

Every token asks (q), answers to something (k), and has something to tell (v). It takes from the
others in the measure in which its question meets their keys; each head does so by itself, with its
share of the channels. The mask keeps a token from what comes after it: scores of -∞ weigh nothing.

Source: Vaswani et al., Attention Is All You Need (2017).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph.nn.init import xavier_normal
from gradgraph.testing import check

Parameters = dict[str, gg.Tensor]


def parameters(channels: int, rng: np.random.Generator) -> Parameters:
    """One square matrix for queries, keys, values, and what the heads found together."""
    return {
        name: gg.Tensor(
            xavier_normal((channels, channels), rng=rng), requires_grad=True, name=f"w_{name}"
        )
        for name in ("query", "key", "value", "out")
    }


def split(x: Any, heads: int) -> Any:
    """(batch, tokens, channels) → (batch, heads, tokens, channels / heads)."""
    n, tokens, channels = x.shape
    return gg.swapaxes(gg.reshape(x, n, tokens, heads, channels // heads), 1, 2)


def merge(x: Any) -> Any:
    """(batch, heads, tokens, d) → (batch, tokens, heads · d)."""
    n, heads, tokens, d = x.shape
    return gg.reshape(gg.swapaxes(x, 1, 2), n, tokens, heads * d)


def attention(x: Any, p: Parameters, heads: int = 2) -> Any:
    """What every token learns from itself and those before it.

    Args:
        x: (batch, tokens, channels).
        p: the four matrices.
        heads: a divisor of the channels.

    Returns:
        (batch, tokens, channels).
    """
    tokens, d = x.shape[1], x.shape[2] // heads
    past = gg.Tensor(np.tri(tokens, dtype=bool), name="mask")  # row i: what token i sees

    def project(x: Any, name: str) -> Any:
        with gg.scope(name):
            return x @ p[name]

    with gg.scope("attention"):
        q, k, v = (split(project(x, name), heads) for name in ("query", "key", "value"))
        with gg.scope("weights"):
            scores = (q / d**0.5) @ gg.swapaxes(k, -1, -2)
            weights = gg.softmax(gg.where(past, scores, -np.inf))
        return project(merge(weights @ v), "out")


def flops(batch: int, tokens: int, channels: int, heads: int = 2) -> int:
    """The same, counted by hand."""
    d = channels // heads
    pairs = batch * heads * tokens * tokens  # of a query and a key
    projections = 4 * 2 * batch * tokens * channels * channels
    scores = batch * tokens * channels + 2 * pairs * d + pairs  # scale, product, mask
    softmax = 4 * pairs  # difference, exponential, sum, quotient
    mix = 2 * pairs * d
    return projections + scores + softmax + mix


def main(picture: str | None = None) -> None:
    rng = np.random.default_rng(0)
    p = parameters(8, rng)
    x = rng.normal(size=(2, 6, 8)).astype(np.float32)

    print("gradient:", check(attention, x[:, :3], p, name="attention").verdict)

    graph = gg.trace(lambda x: attention(x, p), x.shape)
    assert graph.flops() == flops(*x.shape)
    print(f"{graph.parameters()} parameters, {graph.flops():,} FLOPs, as counted by hand")

    later = x.copy()
    later[:, -1] += 1.0
    same = attention(x, p).data[:, :-1] == attention(later, p).data[:, :-1]
    print("another last token changes what the others learn:", not same.all())

    tokens = gg.Tensor(x, requires_grad=True, name="tokens")
    before = gg.Tensor(np.roll(x, 1, axis=1), name="token before")  # what it shall learn to tell
    loss = gg.mse_loss(attention(tokens, p), before)
    path = picture or Path(tempfile.mkdtemp()) / "attention.svg"
    print(gg.draw(loss, flow=True, title="Self-attention, two heads").save(path))


if __name__ == "__main__":
    main(*sys.argv[1:2])
