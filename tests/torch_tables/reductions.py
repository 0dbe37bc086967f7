"""Reductions and scans."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import gradgraph as gg

from .case import F, case, distinct, normal, torch


def reductions(shape: tuple[int, ...], axis: Any) -> None:
    which = "all" if axis is None else f"axis {axis}"
    dim = tuple(range(len(shape))) if axis is None else axis
    peers: dict[str, Any] = {
        "sum": torch.sum,
        "mean": torch.mean,
        "max": torch.amax,
        "min": torch.amin,
        "var": partial(torch.var, correction=0),
        "std": partial(torch.std, correction=0),
        "logsumexp": torch.logsumexp,
    }
    for function, peer in peers.items():
        case(
            f"{function} {which}",
            partial(_reduced, peer, dim),
            distinct(*shape),
            ours=partial(_ours_reduced, function, axis),
        )


def _reduced(peer: Any, dim: Any, x: Any) -> Any:
    return peer(x, dim=dim)


def _ours_reduced(function: str, axis: Any, x: Any) -> Any:
    return getattr(gg, function)(x, axis=axis)


for axis in (None, 0, -1, (0, 2)):
    reductions((2, 3, 4), axis)
case(
    "sum keepdims",
    lambda x: x.sum(1, keepdim=True),
    normal(3, 4),
    ours=lambda x: gg.sum(x, 1, keepdims=True),
)
case("var ddof", lambda x: x.var(0), normal(5, 2), ours=lambda x: gg.var(x, 0, ddof=1))
case("std ddof", lambda x: x.std(0), normal(5, 2), ours=lambda x: gg.std(x, 0, ddof=1))
case("prod", torch.prod, normal(5))
case("prod axis", lambda x: x.prod(1), normal(3, 4), ours=lambda x: gg.prod(x, 1))
case("prod one zero", torch.prod, np.array([2.0, 0.0, 3.0, -1.0]))
case("prod two zeros", torch.prod, np.array([2.0, 0.0, 3.0, 0.0]))
case("prod three zeros", torch.prod, np.array([0.0, 0.0, 3.0, 0.0]))
case("cumsum", lambda x: x.cumsum(1), normal(3, 4), ours=lambda x: gg.cumsum(x, 1))
case("cumsum first axis", lambda x: x.cumsum(0), normal(3, 4), ours=lambda x: gg.cumsum(x, 0))
case("cumprod", lambda x: x.cumprod(1), normal(3, 4), ours=lambda x: gg.cumprod(x, 1))
case(
    "cumprod zeros",
    lambda x: x.cumprod(0),
    np.array([2.0, 0.0, 3.0, 0.0, 4.0]),
    ours=lambda x: gg.cumprod(x, 0),
)
case("trace", torch.trace, normal(4, 4))
case("trace oblong", torch.trace, normal(3, 5))
for order in (1, 2, 3, np.inf):
    case(
        f"norm {order}",
        partial(torch.linalg.vector_norm, ord=order),
        distinct(7),
        ours=partial(lambda o, x: gg.norm(x, o), order),
    )
    case(
        f"norm {order} axis",
        partial(torch.linalg.vector_norm, ord=order, dim=1),
        distinct(3, 4),
        ours=partial(lambda o, x: gg.norm(x, o, axis=1), order),
    )
case("normalize", lambda x: F.normalize(x, dim=-1), normal(3, 4))
