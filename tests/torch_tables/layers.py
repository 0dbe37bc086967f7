"""Convolution, pooling, normalisation."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradgraph as gg

from .case import F, case, distinct, filters, first, last, normal, positive, torch

SPACE = (7, 6, 5)


def peer_conv(kind: str, nd: int, options: Any, x: Any, w: Any, b: Any = None) -> Any:
    return last(getattr(F, f"{kind}{nd}d")(first(x), filters(w), b, **options))


def conv_case(nd: int, channels: tuple[int, int] = (2, 3), kernel: int = 3, **options: Any) -> None:
    """conv with bias; the filters are (*K, in / groups, out)."""
    into, out = channels
    size = f"{nd}-d" if kernel == 3 else f"{nd}-d of {kernel}"
    name = f"conv {size} " + " ".join(f"{k} {v}" for k, v in options.items())
    case(
        name.strip(),
        partial(peer_conv, "conv", nd, options),
        normal(2, *SPACE[:nd], into),
        normal(*(kernel,) * nd, into // options.get("groups", 1), out),
        normal(out),
        ours=lambda x, w, b: gg.conv(x, w, b, **options),
    )


def transposed_case(nd: int, channels: tuple[int, int] = (2, 3), **options: Any) -> None:
    """conv_transpose with bias; the filters are (*K, out / groups, in)."""
    into, out = channels
    name = f"conv_transpose {nd}-d " + " ".join(f"{k} {v}" for k, v in options.items())
    case(
        name.strip(),
        partial(peer_conv, "conv_transpose", nd, options),
        normal(2, *(4, 3, 3)[:nd], into),
        normal(*(3,) * nd, out // options.get("groups", 1), into),
        normal(out),
        ours=lambda x, w, b: gg.conv_transpose(x, w, b, **options),
    )


for nd in (1, 2, 3):
    conv_case(nd)
    conv_case(nd, stride=2, padding=1)
    transposed_case(nd)
    transposed_case(nd, stride=2, padding=1, output_padding=1)
conv_case(1, dilation=2)
conv_case(2, dilation=2, padding=2)
conv_case(2, channels=(4, 6), groups=2)
conv_case(2, channels=(4, 4), groups=4, stride=2)
conv_case(2, stride=(2, 3), padding=(1, 0))
conv_case(2, kernel=1)
conv_case(1, padding="same")
transposed_case(2, dilation=2)
transposed_case(2, channels=(4, 6), groups=2, stride=3)
transposed_case(2, stride=(2, 3), padding=(1, 0))


def peer_depthwise(x: Any, w: Any) -> Any:
    *kernel, channels, times = w.shape
    return last(
        F.conv2d(
            first(x),
            w.movedim((-2, -1), (0, 1)).reshape(channels * times, 1, *kernel),
            groups=channels,
            padding=1,
        )
    )


case(
    "depthwise_conv",
    peer_depthwise,
    normal(2, 5, 4, 3),
    normal(3, 3, 3, 2),
    ours=lambda x, w: gg.depthwise_conv(x, w, padding=1),
)


def pool_case(kind: str, nd: int, size: int, **options: Any) -> None:
    name = f"{kind} {nd}-d " + " ".join(f"{k} {v}" for k, v in options.items())
    peer = getattr(F, f"{kind}{nd}d")
    case(
        name.strip(),
        lambda x: last(peer(first(x), size, **options)),
        distinct(2, *SPACE[:nd], 2),
        ours=lambda x: getattr(gg, kind)(x, size, **options),
    )


for nd in (1, 2, 3):
    pool_case("max_pool", nd, 2)
    pool_case("avg_pool", nd, 2)
    pool_case("max_pool", nd, 3, stride=2, padding=1)
    pool_case("avg_pool", nd, 3, stride=2, padding=1)
pool_case("max_pool", 2, 2, stride=1)
pool_case("max_pool", 2, 2, dilation=2)
pool_case("max_pool", 2, 3, stride=2, ceil_mode=True)
pool_case("max_pool", 1, 3, stride=2, padding=1, dilation=2, ceil_mode=True)
pool_case("avg_pool", 2, 3, stride=2, padding=1, count_include_pad=False)
pool_case("avg_pool", 2, 3, stride=2, ceil_mode=True)
pool_case("avg_pool", 2, 3, stride=2, padding=1, ceil_mode=True)
pool_case("avg_pool", 2, 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False)
for nd, size in ((1, (3,)), (2, (3, 4)), (3, (2, 4, 5))):
    case(
        f"adaptive_avg_pool {nd}-d",
        partial(lambda n, s, x: last(getattr(F, f"adaptive_avg_pool{n}d")(first(x), s)), nd, size),
        normal(2, *SPACE[:nd], 2),
        ours=partial(lambda s, x: gg.adaptive_avg_pool(x, s), size),
    )
case("global_avg_pool", lambda x: x.mean((1, 2)), normal(2, 4, 3, 2))
case("global_max_pool", lambda x: x.amax((1, 2)), distinct(2, 4, 3, 2))


def peer_unfold(x: Any) -> Any:
    columns = F.unfold(first(x), 2, padding=1, stride=2)
    n, rows, _ = columns.shape
    return columns.reshape(n, rows // 4, 4, 4, 3).permute(0, 3, 4, 2, 1).reshape(n, 4, 3, rows)


def peer_fold(columns: Any) -> Any:
    n, p, q, rows = columns.shape
    turned = columns.reshape(n, p * q, 4, rows // 4).permute(0, 3, 2, 1)
    return last(F.fold(turned.reshape(n, rows, p * q), (7, 5), 2, padding=1, stride=2))


case("unfold", peer_unfold, normal(2, 7, 5, 3), ours=lambda x: gg.unfold(x, 2, padding=1, stride=2))
case(
    "fold",
    peer_fold,
    normal(2, 4, 3, 12),
    ours=lambda c: gg.fold(c, (7, 5), 2, padding=1, stride=2),
)


MEAN, VAR = normal(3), positive(3)
X, GAMMA, BETA = normal(4, 5, 3), positive(3), normal(3)
case(
    "batch_norm",
    lambda x, g, b: last(F.batch_norm(first(x), None, None, g, b, training=True)),
    X,
    GAMMA,
    BETA,
    ours=lambda x, g, b: gg.batch_norm(x, g, b, training=True),
)
case(
    "batch_norm dense",
    lambda x, g, b: F.batch_norm(x, None, None, g, b, True, eps=1e-3),
    normal(6, 3),
    GAMMA,
    BETA,
    ours=lambda x, g, b: gg.batch_norm(x, g, b, training=True, eps=1e-3),
)
case(
    "batch_norm without weights",
    lambda x: last(F.batch_norm(first(x), None, None, training=True)),
    X,
    ours=lambda x: gg.batch_norm(x, None, None, training=True),
)
case(
    "batch_norm evaluation",
    lambda x, g, b: last(F.batch_norm(first(x), torch.tensor(MEAN), torch.tensor(VAR), g, b)),
    X,
    GAMMA,
    BETA,
    ours=lambda x, g, b: gg.batch_norm(x, g, b, training=False, running_mean=MEAN, running_var=VAR),
)
case("layer_norm", lambda x, g, b: F.layer_norm(x, (3,), g, b), X, GAMMA, BETA)
case(
    "layer_norm two axes",
    lambda x, g, b: F.layer_norm(x, (5, 3), g, b),
    X,
    positive(5, 3),
    normal(5, 3),
    ours=lambda x, g, b: gg.layer_norm(x, g, b, axis=(-2, -1)),
)
case(
    "layer_norm eps",
    lambda x, g, b: F.layer_norm(x, (3,), g, b, 0.1),
    X,
    GAMMA,
    BETA,
    ours=lambda x, g, b: gg.layer_norm(x, g, b, eps=0.1),
)
case(
    "group_norm",
    lambda x, g, b: last(F.group_norm(first(x), 2, g, b)),
    normal(3, 5, 4),
    positive(4),
    normal(4),
    ours=lambda x, g, b: gg.group_norm(x, 2, g, b),
)
case(
    "group_norm of one group",
    lambda x, g, b: last(F.group_norm(first(x), 1, g, b)),
    normal(3, 5, 4),
    positive(4),
    normal(4),
    ours=lambda x, g, b: gg.group_norm(x, 1, g, b),
)
case(
    "instance_norm",
    lambda x, g, b: last(F.instance_norm(first(x), None, None, g, b)),
    X,
    GAMMA,
    BETA,
)
case("rms_norm", lambda x, g: F.rms_norm(x, (3,), g, 1e-5), X, GAMMA)
