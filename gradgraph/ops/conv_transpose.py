"""The transpose of a convolution, as a layer of its own: it makes images larger."""

from __future__ import annotations

from typing import Any

from ..errors import DomainError, ShapeError
from ..spec import brief, show
from .conv import ConvInput, biased
from .geometry import Ints, padding_pairs, per_axis
from .operand import shaped

__all__ = ["conv_transpose"]


class ConvTranspose(ConvInput):
    """y[n, p·stride + t·dilation - padding, c] = Σ_o g[n, p, o] · w[t, c, o], where they meet."""


def conv_transpose(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Lay filters over an image, weighted by its pixels, and add: the transpose of `conv`.

    y[n, p·stride + t·dilation - padding, c] = Σ_o x[n, p, o] · w[t, c, o] + b[c], added over all
    p and t that meet there. It is the gradient in the image of the `conv` with the same filters
    and arguments: ⟨conv(z, w), x⟩ = ⟨z, conv_transpose(x, w)⟩.

    Args:
        x: (N, *P, C_in) images, 1-, 2- or 3-d.
        w: (*K, C_out / groups, C_in) filters, those of the conv from C_out to C_in channels.
        b: (C_out,) bias; None for none.
        stride: how many pixels of the result lie between neighbouring pixels of x.
        padding: how many pixels are cut off around the result: an int, one int or (before, after)
            pair for each axis, "valid" (none), or "same" (the size is P·stride: the transpose of
            the conv with "same" on an image of that size).
        output_padding: pixels more at the end, less than the stride: of several image sizes that
            conv maps to P it takes a larger one. With "same" it is 0.
        dilation: spacing of the taps; an int, or one for each spatial axis.
        groups: number of groups that channels and filters are split into.

    Returns:
        (N, *S, C_out) with S = (P - 1)·stride - before - after + dilation·(K - 1) + 1 +
        output_padding; dtype of x and w promoted.

    Raises:
        ShapeError: if axes, channels, groups or bias do not fit, or the result has no pixels.
        DomainError: if stride, padding, output_padding, dilation or groups is no such value.

    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016).

    >>> import numpy as np
    >>> x = np.array([1.0, 2.0]).reshape(1, 2, 1)
    >>> conv_transpose(x, np.ones((3, 1, 1)), stride=2).ravel()
    array([1., 1., 3., 2., 2.])
    """
    x = shaped("conv_transpose", x)
    w = shaped("conv_transpose", w)
    op, nd = "conv_transpose", w.ndim - 2
    if nd < 1 or x.ndim != w.ndim:
        raise ShapeError(
            op,
            f"x is {show(x.shape)} and w is {show(w.shape)}; x has the axes batch×image×C_in and w"
            " kernel×C_out×C_in, as many as x",
            "Add the missing batch or channel axis: x[None] or x[..., None].",
        )
    strides = per_axis(op, "stride", stride, nd)
    dilations = per_axis(op, "dilation", dilation, nd)
    more = per_axis(op, "output_padding", output_padding, nd, least=0)
    (count,) = per_axis(op, "groups", groups, 1)
    kernel, (per, c_in) = w.shape[:-2], w.shape[-2:]
    pairs = padding_pairs(op, padding, kernel, strides, dilations)
    if x.shape[-1] != c_in:
        raise ShapeError(
            op,
            f"x has {x.shape[-1]} channels but w expects {c_in} (x is {show(x.shape)}; w is"
            f" {show(w.shape)}, kernel×C_out×C_in)",
            "The filter is that of the conv it transposes: swap its last two axes,"
            " w.swapaxes(-1, -2)."
            if x.shape[-1] == per and count == 1
            else "Are the channels of x last?",
        )
    if c_in % count:
        raise ShapeError(
            op,
            f"x has {c_in} channels, which {count} groups cannot share evenly",
            "Make C_in a multiple of groups.",
        )
    if padding == "same":
        if any(more):
            raise DomainError(
                op,
                f'padding "same" decides the size, but output_padding is {output_padding!r}',
                "Leave output_padding at 0, or give the padding in pixels.",
            )
        more = tuple(s - 1 for s in strides)
    if any(m >= s for m, s in zip(more, strides, strict=True)):
        raise DomainError(
            op,
            f"output_padding is {output_padding!r} and the stride {brief(strides)}: the conv that"
            " this transposes would have more positions than x has pixels",
            "Use an output_padding less than the stride, or pad the result.",
        )
    size: Ints = tuple(
        (p - 1) * s - before - after + d * (k - 1) + 1 + m
        for p, s, (before, after), d, k, m in zip(
            x.shape[1:-1], strides, pairs, dilations, kernel, more, strict=True
        )
    )
    if min(size) < 1 or 0 in x.shape[1:-1] or 0 in kernel:
        raise ShapeError(
            op,
            f"x is {show(x.shape)} and the kernel {show(kernel)}, but with padding {pairs} the"
            f" result would have size {size}",
            "Use less padding, or a larger image.",
        )
    y = ConvTranspose.of(strides, pairs, dilations, count, size)(x, w)
    return biased(op, y, b, w, per * count)
