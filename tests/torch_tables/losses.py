"""Losses and their reductions."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import gradgraph as gg

from .case import F, case, distinct, first, integers, normal, positive, torch, unit


def loss_cases(name: str, peer: Any, *args: Any, **options: Any) -> None:
    """A loss with each of its reductions."""
    function = name.partition(" ")[0]
    for reduction in ("mean", "sum", "none"):
        case(
            f"{name} {reduction}",
            partial(peer, reduction=reduction),
            *args,
            ours=partial(getattr(gg, function, None) or _missing, reduction=reduction, **options),
        )


def _missing(*_: Any, **__: Any) -> Any:
    raise AssertionError("a case of a function that is not there was run")


def probabilities(*shape: int) -> Any:
    e = np.exp(normal(*shape))
    return e / e.sum(-1, keepdims=True)


GUESS, ACTUAL = distinct(3, 4), normal(3, 4) * 0.01
loss_cases("mse_loss", F.mse_loss, GUESS, ACTUAL)
loss_cases("l1_loss", F.l1_loss, GUESS, ACTUAL)
loss_cases("huber_loss", F.huber_loss, GUESS, ACTUAL)
loss_cases("huber_loss delta", partial(F.huber_loss, delta=0.3), GUESS, ACTUAL, delta=0.3)
loss_cases("smooth_l1_loss", F.smooth_l1_loss, GUESS, ACTUAL)
loss_cases("smooth_l1_loss beta", partial(F.smooth_l1_loss, beta=0.3), GUESS, ACTUAL, beta=0.3)
loss_cases("kl_div", F.kl_div, np.log(probabilities(3, 4)), probabilities(3, 4))
loss_cases("binary_cross_entropy", F.binary_cross_entropy, positive(3, 4) / 2.1, unit(3, 4) ** 2)
loss_cases(
    "binary_cross_entropy_with_logits",
    F.binary_cross_entropy_with_logits,
    normal(3, 4),
    unit(3, 4) ** 2,
)
POSITIVE = positive(4)
loss_cases(
    "binary_cross_entropy_with_logits pos_weight",
    partial(F.binary_cross_entropy_with_logits, pos_weight=torch.tensor(POSITIVE)),
    normal(3, 4),
    unit(3, 4) ** 2,
    pos_weight=POSITIVE,
)
case(
    "cosine_similarity", lambda x, y: F.cosine_similarity(x, y, dim=-1), normal(3, 4), normal(3, 4)
)
case(
    "cosine_similarity axis",
    lambda x, y: F.cosine_similarity(x, y, dim=0),
    normal(3, 4),
    normal(3, 4),
    ours=lambda x, y: gg.cosine_similarity(x, y, axis=0),
)

WEIGHT = positive(4)
LABELS = integers(0, 4, 5)
IGNORED = np.array([0, 3, 1, 3, 2])
for function, scores in (
    ("cross_entropy", normal(5, 4)),
    ("nll_loss", np.log(probabilities(5, 4))),
):
    peer = getattr(F, function)
    weighted = partial(peer, weight=torch.tensor(WEIGHT))
    loss_cases(function, peer, scores, LABELS)
    loss_cases(f"{function} weight", weighted, scores, LABELS, weight=WEIGHT)
    loss_cases(f"{function} ignore", partial(peer, ignore_index=3), scores, IGNORED, ignore_index=3)
    loss_cases(
        f"{function} weight ignore",
        partial(weighted, ignore_index=3),
        scores,
        IGNORED,
        weight=WEIGHT,
        ignore_index=3,
    )
SCORES = normal(5, 4)
loss_cases(
    "cross_entropy smoothing",
    partial(F.cross_entropy, label_smoothing=0.1),
    SCORES,
    LABELS,
    label_smoothing=0.1,
)
loss_cases(
    "cross_entropy smoothing weight ignore",
    partial(F.cross_entropy, label_smoothing=0.1, weight=torch.tensor(WEIGHT), ignore_index=3),
    SCORES,
    IGNORED,
    label_smoothing=0.1,
    weight=WEIGHT,
    ignore_index=3,
)
loss_cases("cross_entropy probabilities", F.cross_entropy, SCORES, probabilities(5, 4))
case(
    "cross_entropy of pixels",
    lambda x, t: F.cross_entropy(first(x), t),
    normal(2, 3, 5, 4),
    integers(0, 4, 2, 3, 5),
)
