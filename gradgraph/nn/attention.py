"""Attention with several heads."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..errors import DomainError
from ..ops.random import Rng, generator
from .init import xavier_uniform
from .linear import Linear, sizes
from .module import Module


class MultiHeadAttention(Module):
    """Each item of a sequence gathers from others what its heads ask for (Vaswani et al., 2017).

    x (N, n, features) and what it looks at, (N, m, features), give (N, n, features).

    Args:
        features: numbers in an item.
        heads: how many there are; each works on features / heads numbers.
        bias: whether the four linear layers have one; it starts at zero.
        rng: a numpy Generator, which goes on, or a seed, for the weights (Xavier uniform).

    Attributes:
        q, k, v, out: the linear layers for queries, keys, values, and what the heads found.

    Raises:
        DomainError: if a size is no int ≥ 1, or the heads cannot share the features.
        DTypeError: if rng is no generator and no seed.

    >>> layer = MultiHeadAttention(8, 2, rng=0)
    >>> layer(np.zeros((3, 5, 8), np.float32), causal=True).shape
    (3, 5, 8)
    """

    def __init__(self, features: int, heads: int, *, bias: bool = True, rng: Rng) -> None:
        op = "MultiHeadAttention"
        features, self.heads = sizes(op, features=features, heads=heads)
        if features % self.heads:
            raise DomainError(
                op,
                f"{self.heads} heads cannot share {features} features evenly",
                "Use a number of heads that divides them.",
            )
        rng = generator(rng, op)
        self.q, self.k, self.v, self.out = (
            Linear(features, features, bias, init=xavier_uniform, rng=rng) for _ in range(4)
        )

    def forward(self, x: Any, at: Any = None, *, mask: Any = None, causal: bool = False) -> Any:
        """Attend to `at` (to x itself if None).

        Args:
            x: (N, n, features).
            at: (N, m, features).
            mask: which of `at` an item may look at: (n, m), (N, n, m) the same for all heads, or
                (N, heads, n, m), as for `gradgraph.attention`.
            causal: let item i look at items 0 to i only.
        """
        at = x if at is None else at
        q, k, v = (self._apart(layer(y)) for layer, y in ((self.q, x), (self.k, at), (self.v, at)))
        if mask is not None and np.ndim(mask) == 3:
            mask = ops.expand_dims(mask, 1)  # the same for all heads
        found = ops.attention(q, k, v, mask=mask, causal=causal)
        together = ops.swapaxes(found, -3, -2)
        return self.out(ops.reshape(together, (*together.shape[:-2], x.shape[-1])))

    def _apart(self, y: Any) -> Any:
        """(N, n, features) → (N, heads, n, features / heads)."""
        shape = (*y.shape[:-1], self.heads, y.shape[-1] // self.heads)
        return ops.swapaxes(ops.reshape(y, shape), -3, -2)

    def extra_repr(self) -> str:
        return f"{self.q.w.shape[0]}, {self.heads} heads"
