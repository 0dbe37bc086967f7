"""Products, decompositions, attention."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

import gradgraph as gg

from .case import RNG, F, case, normal, torch

for name, a, b in (
    ("vectors", (4,), (4,)),
    ("matrix vector", (3, 4), (4,)),
    ("vector matrix", (3,), (3, 4)),
    ("matrices", (3, 4), (4, 2)),
    ("batches", (5, 3, 4), (5, 4, 2)),
    ("batches that broadcast", (2, 1, 3, 4), (5, 4, 2)),
):
    case(f"matmul {name}", torch.matmul, normal(*a), normal(*b))
case("dot", torch.dot, normal(4), normal(4))
case("dot of blocks", lambda x, y: torch.tensordot(x, y, ([2], [0])), normal(2, 3, 4), normal(4, 2))
case("outer", torch.outer, normal(3), normal(4))
case("inner", torch.inner, normal(2, 4), normal(3, 4))
case(
    "tensordot",
    lambda x, y: torch.tensordot(x, y, 2),
    normal(2, 3, 4),
    normal(3, 4, 5),
    ours=lambda x, y: gg.tensordot(x, y, 2),
)
case(
    "tensordot axes",
    lambda x, y: torch.tensordot(x, y, ([2, 0], [1, 0])),
    normal(2, 3, 4),
    normal(2, 4, 5),
    ours=lambda x, y: gg.tensordot(x, y, ([2, 0], [1, 0])),
)


def einsum_case(subscripts: str, *shapes: Sequence[int]) -> None:
    case(
        f"einsum {subscripts}",
        partial(torch.einsum, subscripts),
        *(normal(*s) for s in shapes),
        ours=lambda *xs: gg.einsum(subscripts, *xs),
    )


einsum_case("ij,jk->ik", (3, 4), (4, 2))
einsum_case("ij,jk", (3, 4), (4, 2))
einsum_case("bij,bjk->bik", (5, 3, 4), (5, 4, 2))
einsum_case("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4))
einsum_case("...ij,...jk->...ik", (2, 3, 4), (2, 4, 2))
einsum_case("ij->ji", (3, 4))
einsum_case("ij->i", (3, 4))
einsum_case("ij->", (3, 4))
einsum_case("ii->i", (4, 4))
einsum_case("ii->", (4, 4))
einsum_case("i,j->ij", (3,), (4,))
einsum_case("ij,ij->", (3, 4), (3, 4))
einsum_case("ij,jk,kl->il", (2, 3), (3, 4), (4, 2))
einsum_case("ij,k->i", (3, 4), (2,))
WELL = normal(4, 4) + 4 * np.eye(4)
BATCH = normal(2, 3, 3) + 4 * np.eye(3)
case("solve", torch.linalg.solve, WELL, normal(4, 2))
case("solve vector", torch.linalg.solve, WELL, normal(4))
case("solve batch", torch.linalg.solve, BATCH, normal(2, 3, 2))
case("inv", torch.linalg.inv, WELL)
case("inv batch", torch.linalg.inv, BATCH)
case("cholesky", torch.linalg.cholesky, WELL @ WELL.T)
case(
    "cholesky of a product",
    lambda x: torch.linalg.cholesky(x @ x.T + torch.eye(4)),
    WELL,
    ours=lambda x: gg.cholesky(x @ x.T + np.eye(4)),
)
case("slogdet", lambda x: torch.linalg.slogdet(x)[1], BATCH, ours=lambda x: gg.slogdet(x)[1])
case("det", torch.linalg.det, BATCH)


def peer_attention(mask: Any, causal: bool, *qkv: Any) -> Any:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH):  # the others have no second order
        return F.scaled_dot_product_attention(*qkv, attn_mask=mask, is_causal=causal)


SEEN = RNG.random((5, 5)) < 0.6
SEEN[:, 0] = True
QKV = (normal(2, 5, 4), normal(2, 5, 4), normal(2, 5, 3))
case("attention", partial(peer_attention, None, False), *QKV)
case(
    "attention causal",
    partial(peer_attention, None, True),
    *QKV,
    ours=lambda q, k, v: gg.attention(q, k, v, causal=True),
)
case(
    "attention mask",
    partial(peer_attention, torch.tensor(SEEN), False),
    *QKV,
    ours=lambda q, k, v: gg.attention(q, k, v, mask=SEEN),
)
