"""Shapes, indices, order."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import gradgraph as gg

from .case import F, case, distinct, first, integers, last, normal, torch

case("reshape", lambda x: x.reshape(4, 3), normal(3, 4), ours=lambda x: gg.reshape(x, (4, 3)))
case("ravel", torch.ravel, normal(3, 4))
case(
    "transpose",
    lambda x: x.permute(2, 0, 1),
    normal(2, 3, 4),
    ours=lambda x: gg.transpose(x, (2, 0, 1)),
)
case("swapaxes", lambda x: x.swapaxes(0, 2), normal(2, 3, 4), ours=lambda x: gg.swapaxes(x, 0, 2))
case("moveaxis", lambda x: x.movedim(0, -1), normal(2, 3, 4), ours=lambda x: gg.moveaxis(x, 0, -1))
case("matrix_transpose", lambda x: x.mT, normal(2, 3, 4))
case("expand_dims", lambda x: x[:, None], normal(3, 4), ours=lambda x: gg.expand_dims(x, 1))
case("squeeze", lambda x: x.squeeze(1), normal(3, 1, 4), ours=lambda x: gg.squeeze(x, 1))
case(
    "broadcast_to",
    lambda x: x.broadcast_to(2, 3, 4),
    normal(3, 1),
    ours=lambda x: gg.broadcast_to(x, (2, 3, 4)),
)
case(
    "concatenate",
    lambda x, y: torch.cat([x, y], 1),
    normal(3, 2),
    normal(3, 4),
    ours=lambda x, y: gg.concatenate([x, y], 1),
)
case(
    "concatenate twice the same",
    lambda x: torch.cat([x, x * 2]),
    normal(3),
    ours=lambda x: gg.concatenate([x, x * 2]),
)
case(
    "stack",
    lambda x, y: torch.stack([x, y], -1),
    normal(3, 2),
    normal(3, 2),
    ours=lambda x, y: gg.stack([x, y], -1),
)
case("split", lambda x: x.split(2, 1)[1], normal(3, 6), ours=lambda x: gg.split(x, 3, 1)[1])
case("flip", lambda x: x.flip(0, 1), normal(3, 4), ours=lambda x: gg.flip(x))
case("flip axis", lambda x: x.flip(1), normal(3, 4), ours=lambda x: gg.flip(x, 1))
case("roll", lambda x: x.roll(2), normal(3, 4), ours=lambda x: gg.roll(x, 2))
case(
    "roll axes",
    lambda x: x.roll((1, -2), (0, 1)),
    normal(3, 4),
    ours=lambda x: gg.roll(x, (1, -2), (0, 1)),
)
case("tile", lambda x: x.tile(2, 3), normal(3, 2), ours=lambda x: gg.tile(x, (2, 3)))
case("repeat", lambda x: x.repeat_interleave(3, 1), normal(2, 3), ours=lambda x: gg.repeat(x, 3, 1))
case(
    "repeat each",
    lambda x: x.repeat_interleave(torch.tensor([2, 0, 3]), 1),
    normal(2, 3),
    ours=lambda x: gg.repeat(x, [2, 0, 3], 1),
)
case(
    "pad",
    lambda x: F.pad(x, (2, 1, 0, 3)),
    normal(3, 4),
    ours=lambda x: gg.pad(x, ((0, 3), (2, 1))),
)
for mode, theirs in {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}.items():
    case(
        f"pad {mode}",
        partial(lambda m, x: F.pad(x, (2, 1, 1, 3), mode=m), theirs),
        normal(2, 5, 4),
        ours=partial(lambda m, x: gg.pad(x, ((0, 0), (1, 3), (2, 1)), mode=m), mode),
    )
for function in ("tril", "triu"):
    for k in (0, 1, -2):
        case(
            f"{function} {k}",
            partial(getattr(torch, function), diagonal=k),
            normal(4, 5),
            ours=partial(lambda f, k, x: getattr(gg, f)(x, k), function, k),
        )
case("diag of a vector", torch.diag, normal(4))
case("diag of a matrix", lambda x: torch.diag(x, 1), normal(4, 5), ours=lambda x: gg.diag(x, 1))
case(
    "diagonal",
    lambda x: x.diagonal(1, 0, 2),
    normal(3, 2, 4),
    ours=lambda x: gg.diagonal(x, 1, 0, 2),
)
for nd, smooth in ((1, "linear"), (2, "bilinear"), (3, "trilinear")):
    for size in ((7, 5, 6)[:nd], (2, 3, 2)[:nd]):
        case(
            f"resize nearest {size}",
            partial(lambda s, x: last(F.interpolate(first(x), s, mode="nearest")), size),
            normal(2, *(4, 3, 5)[:nd], 2),
            ours=partial(lambda s, x: gg.resize(x, s, method="nearest"), size),
        )
        case(
            f"resize bilinear {size}",
            partial(
                lambda s, m, x: last(F.interpolate(first(x), s, mode=m, align_corners=False)),
                size,
                smooth,
            ),
            normal(2, *(4, 3, 5)[:nd], 2),
            ours=partial(lambda s, x: gg.resize(x, s, method="bilinear"), size),
        )


def theirs_index(index: Any) -> Any:
    """An index with arrays as the peer takes it."""
    if isinstance(index, tuple):
        return tuple(map(theirs_index, index))
    return torch.tensor(index) if isinstance(index, np.ndarray) else index


def index_case(name: str, index: Any, *shape: int) -> None:
    peer = theirs_index(index)
    case(f"getitem {name}", lambda x: x[peer], normal(*shape), ours=lambda x: x[index])


index_case("int", 1, 3, 4)
index_case("negative", (-1, 2), 3, 4)
index_case("slices", (slice(1, None), slice(None, None, 2)), 3, 5)
index_case("none and ellipsis", (None, ..., 1), 2, 3, 4)
index_case("array with repeats", np.array([0, 2, 2, -1]), 3, 4)
index_case("two arrays", (np.array([0, 1, 1]), np.array([2, 0, 0])), 3, 4)
index_case("arrays that broadcast", (np.array([[0], [2]]), np.array([1, 3])), 3, 4)
index_case("arrays apart", (np.array([0, 1]), slice(None), np.array([2, 0])), 2, 3, 4)
index_case("boolean", np.array([True, False, True]), 3, 4)
index_case("boolean matrix", np.array([[True, False], [False, True], [True, True]]), 3, 2, 4)
case(
    "take",
    lambda x, i: x[:, i],
    normal(3, 4),
    np.array([1, 1, 3]),
    ours=lambda x, i: gg.take(x, i, axis=1),
)
case("take flat", lambda x, i: x.ravel()[i], normal(3, 4), np.array([[1, 1], [11, 0]]))
case(
    "take_along_axis",
    lambda x, i: x.take_along_dim(i, 1),
    normal(3, 4),
    integers(0, 4, 3, 2),
    ours=lambda x, i: gg.take_along_axis(x, i, 1),
)
case(
    "put add",
    lambda x, i, v: x.index_put((i,), v, accumulate=True),
    normal(3, 2),
    np.array([0, 2, 2]),
    normal(3, 2),
    ours=lambda x, i, v: gg.put(x, i, v, add=True),
)
case("put", lambda x, i, v: x.index_put((i,), v), normal(4, 2), np.array([0, 2]), normal(2, 2))
case("embedding", F.embedding, integers(0, 5, 2, 3), normal(5, 4))
case("sort", lambda x: x.sort(-1).values, distinct(3, 5))
case("sort axis", lambda x: x.sort(0).values, distinct(3, 5), ours=lambda x: gg.sort(x, 0))
case("topk", lambda x: x.topk(2).values, distinct(3, 5), ours=lambda x: gg.topk(x, 2)[0])
case(
    "topk axis",
    lambda x: x.topk(2, 0).values,
    distinct(4, 3),
    ours=lambda x: gg.topk(x, 2, axis=0)[0],
)
