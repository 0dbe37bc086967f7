"""Convolution (the chapter's filters, section 7.1): three ops, each the derivative of the others.

Channels last, any number of spatial axes: images (N, *S, C), filters (*K, C / groups, O).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import ShapeError
from ..kernels import dispatch as kernels
from ..op import Op
from ..spec import Spec, promote, show
from .arithmetic import add
from .geometry import Ints, Pairs, draw_geometry, out_positions, padding_pairs, per_axis
from .operand import shaped
from .shape import reshape

__all__ = ["conv", "depthwise_conv"]


class _Convolution(Op, abstract=True):
    """What the three ops share: the geometry, and the definition as a list of products."""

    stride: Ints
    padding: Pairs
    dilation: Ints
    groups: int
    style = "linear"
    checks = True

    @property
    def geometry(self) -> tuple[Ints, Pairs, Ints, int]:
        return self.stride, self.padding, self.dilation, self.groups

    def _products(
        self, size: Ints, kernel: Ints, positions: Ints
    ) -> Iterator[tuple[Ints, Ints, Ints]]:
        """Every (position, tap, pixel) that meet; pixels outside the image are skipped."""
        for p in product(*map(range, positions)):
            for t in product(*map(range, kernel)):
                pixel = tuple(
                    i * s + j * d - before
                    for i, s, j, d, (before, _) in zip(
                        p, self.stride, t, self.dilation, self.padding, strict=True
                    )
                )
                if all(0 <= i < n for i, n in zip(pixel, size, strict=True)):
                    yield p, t, pixel

    def _channels(self, c: int, o: int) -> Iterator[tuple[int, int, int]]:
        """Every (input channel, filter's channel, output channel) that meet, by groups."""
        per, out = c // self.groups, o // self.groups
        for group in range(self.groups):
            for i in range(per):
                for j in range(out):
                    yield group * per + i, i, group * out + j

    def label(self) -> str:
        words = ["s" + "×".join(map(str, self.stride))] if prod(self.stride) > 1 else []
        if any(n for pair in self.padding for n in pair):
            same = all(a == b == self.padding[0][0] for a, b in self.padding)
            words.append(f"p{self.padding[0][0]}" if same else f"p{self.padding}")
        if prod(self.dilation) > 1:
            words.append("d" + "×".join(map(str, self.dilation)))
        if self.groups > 1:
            words.append(f"g{self.groups}")
        return " · ".join(words)

    def _flops(self, x: Spec, w: Spec, y: Spec) -> int:
        return 2 * y.size * prod(w.shape[:-1])


class Conv(_Convolution):
    """y[n, p, o] = Σ_t Σ_c x[n, p·stride + t·dilation - padding, c] · w[t, c, o]."""

    linear = ("x", "w")
    per_item = ("x",)

    def forward(self, x: Any, w: Any) -> Any:
        return kernels.conv(x, w, *self.geometry)

    def into(self, out: Any, x: Any, w: Any) -> None:
        kernels.conv(x, w, *self.geometry, out=out)

    def vjp_x(self, g: Any, out: Any, x: Any, w: Any) -> Any:
        return ConvInput.of(*self.geometry, x.shape[1:-1])(g, w)

    def vjp_w(self, g: Any, out: Any, x: Any, w: Any) -> Any:
        return ConvFilter.of(*self.geometry, w.shape[:-2])(x, g)

    def spec(self, x: Spec, w: Spec) -> Spec:
        nd = len(self.stride)
        if x.ndim != nd + 2 or w.ndim != nd + 2:
            layout = "N×" + "×".join("DHW"[3 - nd :] if nd > 1 else "L") + "×C"
            raise ShapeError(
                "conv",
                f"x is {show(x.shape)} and w is {show(w.shape)}; a {nd}-d convolution needs x as"
                f" {layout} and w as kernel×C_in×C_out, both with {nd + 2} axes",
                "Add the missing batch or channel axis: x[None] or x[..., None]."
                if x.ndim == nd + 1
                else "Add the missing axes: x[None, ..., None]."
                if x.ndim == nd
                else "Channels come last.",
            )
        c, (per, o) = x.shape[-1], w.shape[-2:]
        if c != per * self.groups:
            raise ShapeError(
                "conv",
                f"x has {c} channels but w expects {per * self.groups} (x is {show(x.shape)}; w is"
                f" {show(w.shape)}, so groups={self.groups} needs C_in = {per * self.groups})",
                "Are the channels of x last?"
                if per * self.groups in x.shape[1:-1]
                else "Did you swap two layers?",
            )
        if o % self.groups:
            raise ShapeError(
                "conv",
                f"w has {o} filters, which {self.groups} groups cannot share evenly",
                "Make C_out a multiple of groups.",
            )
        size = out_positions("conv", x.shape[1:-1], w.shape[:-2], self)
        return Spec((x.shape[0], *size, o), promote(x, w))

    def reference(self, x: Any, w: Any) -> Any:
        x, w = np.asarray(x, dtype=object), np.asarray(w, dtype=object)
        kernel, size = w.shape[:-2], x.shape[1:-1]
        positions = kernels.out_shape(size, kernel, self.stride, self.padding, self.dilation)
        out = scalar.empty((len(x), *positions, w.shape[-1]))
        out.fill(0.0)
        for p, t, i in self._products(size, kernel, positions):
            for a, b, o in self._channels(x.shape[-1], w.shape[-1]):
                for n in range(len(x)):
                    out[(n, *p, o)] = out[(n, *p, o)] + x[(n, *i, a)] * w[(*t, b, o)]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        geometry, size, kernel, c, o, n = draw_geometry(draw)
        w = draw.normal((*kernel, c // geometry[3], o))
        return cls(*geometry), (draw.normal((n, *size, c)), w)

    def flops(self, out: Spec, x: Spec, w: Spec) -> int:  # type: ignore[override]
        return self._flops(x, w, out)


class ConvInput(_Convolution):
    """What each pixel of an image of `size` gets back from g: the transpose of conv in x."""

    size: Ints
    linear = ("g", "w")
    per_item = ("g",)

    def forward(self, g: Any, w: Any) -> Any:
        stride, padding, dilation, groups = self.geometry
        return kernels.conv_input(g, w, self.size, stride, padding, dilation, groups)

    def into(self, out: Any, g: Any, w: Any) -> None:
        kernels.conv_input(g, w, self.size, *self.geometry, out=out)

    def vjp_g(self, c: Any, out: Any, g: Any, w: Any) -> Any:
        return Conv.of(*self.geometry)(c, w)

    def vjp_w(self, c: Any, out: Any, g: Any, w: Any) -> Any:
        return ConvFilter.of(*self.geometry, w.shape[:-2])(c, g)

    def spec(self, g: Spec, w: Spec) -> Spec:
        return Spec((g.shape[0], *self.size, w.shape[-2] * self.groups), promote(g, w))

    def reference(self, g: Any, w: Any) -> Any:
        g, w = np.asarray(g, dtype=object), np.asarray(w, dtype=object)
        out = scalar.empty((len(g), *self.size, w.shape[-2] * self.groups))
        out.fill(0.0)
        for p, t, i in self._products(self.size, w.shape[:-2], g.shape[1:-1]):
            for a, b, o in self._channels(out.shape[-1], g.shape[-1]):
                for n in range(len(g)):
                    out[(n, *i, a)] = out[(n, *i, a)] + g[(n, *p, o)] * w[(*t, b, o)]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        geometry, size, kernel, c, o, n = draw_geometry(draw)
        positions = kernels.out_shape(size, kernel, *geometry[:3])
        w = draw.normal((*kernel, c // geometry[3], o))
        return cls(*geometry, size), (draw.normal((n, *positions, o)), w)

    def flops(self, out: Spec, g: Spec, w: Spec) -> int:  # type: ignore[override]
        return self._flops(out, w, g)


class ConvFilter(_Convolution):
    """What each weight of a filter of `kernel` gets back: the transpose of conv in w."""

    kernel: Ints
    linear = ("x", "g")

    def forward(self, x: Any, g: Any) -> Any:
        stride, padding, dilation, groups = self.geometry
        return kernels.conv_filter(x, g, self.kernel, stride, padding, dilation, groups)

    def into(self, out: Any, x: Any, g: Any) -> None:
        kernels.conv_filter(x, g, self.kernel, *self.geometry, out=out)

    def vjp_x(self, c: Any, out: Any, x: Any, g: Any) -> Any:
        return ConvInput.of(*self.geometry, x.shape[1:-1])(g, c)

    def vjp_g(self, c: Any, out: Any, x: Any, g: Any) -> Any:
        return Conv.of(*self.geometry)(x, c)

    def spec(self, x: Spec, g: Spec) -> Spec:
        shape = (*self.kernel, x.shape[-1] // self.groups, g.shape[-1])
        return Spec(shape, promote(x, g))

    def reference(self, x: Any, g: Any) -> Any:
        x, g = np.asarray(x, dtype=object), np.asarray(g, dtype=object)
        out = scalar.empty((*self.kernel, x.shape[-1] // self.groups, g.shape[-1]))
        out.fill(0.0)
        for p, t, i in self._products(x.shape[1:-1], self.kernel, g.shape[1:-1]):
            for a, b, o in self._channels(x.shape[-1], g.shape[-1]):
                for n in range(len(x)):
                    out[(*t, b, o)] = out[(*t, b, o)] + x[(n, *i, a)] * g[(n, *p, o)]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        geometry, size, kernel, c, o, n = draw_geometry(draw)
        positions = kernels.out_shape(size, kernel, *geometry[:3])
        x, g = draw.normal((n, *size, c)), draw.normal((n, *positions, o))
        return cls(*geometry, kernel), (x, g)

    def flops(self, out: Spec, x: Spec, g: Spec) -> int:  # type: ignore[override]
        return self._flops(x, out, g)


def conv(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Slide filters over images.

    y[n, p, o] = Σ_t Σ_c x[n, p·stride + t·dilation - padding, c] · w[t, c, o] + b[o]

    This is the correlation that networks call convolution (chapter, section 7.1). 1-, 2- and 3-d.

    Args:
        x: (N, *S, C) images: (N, L, C) signals, (N, H, W, C) images, (N, D, H, W, C) volumes.
        w: (*K, C / groups, O) filters; each output channel sees the channels of its group.
        b: (O,) bias, one number per filter; None for none.
        stride: spacing of the positions; an int, or one for each spatial axis.
        padding: zeros around the image: an int, one int or (before, after) pair for each axis,
            "valid" (none), or "same" (size kept at stride 1; where the kernel is even, the odd
            pixel goes before, as in the chapter; most other libraries put it after).
        dilation: spacing of the taps; an int, or one for each spatial axis.
        groups: number of groups that channels and filters are split into.

    Returns:
        (N, *P, O) with P = ⌈(S + before + after - dilation·(K - 1)) / stride⌉, before and after
        being the padding on either side; dtype of x and w promoted.

    Raises:
        ShapeError: if axes, channels, groups or bias do not fit, or the kernel is larger than the
            padded image.
        DomainError: if stride, padding, dilation or groups is no such value.

    >>> x = np.array([0.0, 1, 1, 1, 0, 1, 0, 0]).reshape(1, 8, 1)
    >>> f1 = np.array([-1.0, 1.0]).reshape(2, 1, 1)
    >>> conv(x, f1, padding="same").ravel()
    array([ 0.,  1.,  0.,  0., -1.,  1., -1.,  0.])
    """
    x = shaped("conv", x)
    w = shaped("conv", w)
    nd = w.ndim - 2
    if nd < 1:
        raise ShapeError(
            "conv",
            f"w is {show(w.shape)}, but filters have the axes kernel×C_in×C_out",
            "Reshape it: w.reshape(-1, 1, 1) for one filter over one channel.",
        )
    strides = per_axis("conv", "stride", stride, nd)
    dilations = per_axis("conv", "dilation", dilation, nd)
    (count,) = per_axis("conv", "groups", groups, 1)
    pairs = padding_pairs("conv", padding, w.shape[:-2], strides, dilations)
    y = Conv.of(strides, pairs, dilations, count)(x, w)
    return biased("conv", y, b, w, w.shape[-1])


def biased(op: str, y: Any, b: Any, w: Any, filters: int) -> Any:
    """y plus one bias for each of the filters w; y itself if b is None."""
    if b is None:
        return y
    b = shaped(op, b)
    if b.shape != (filters,):
        raise ShapeError(
            op,
            f"b is {show(b.shape)}, but w is {show(w.shape)}: one bias for each of"
            f" {filters} filters",
            f"Use shape ({filters},).",
        )
    return add(y, b)


def depthwise_conv(
    x: Any, w: Any, b: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Any:
    """Slide filters over each channel by itself: `conv` with as many groups as channels.

    y[n, p, c·M + m] = Σ_t x[n, p·stride + t·dilation - padding, c] · w[t, c, m] + b[c·M + m]

    Args:
        x: (N, *S, C) images, 1-, 2- or 3-d.
        w: (*K, C, M) filters, M for each channel.
        b: (C·M,) bias; None for none.
        stride, padding, dilation: as for `conv`.

    Returns:
        (N, *P, C·M), the M results of a channel side by side; P and dtype as for `conv`.

    Raises:
        ShapeError, DomainError: as for `conv`.

    Source: Sifre, Rigid-Motion Scattering for Image Classification (2014); Howard et al.,
    MobileNets (2017).

    >>> x = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])[None]
    >>> depthwise_conv(x, np.array([1.0, -1.0]).reshape(1, 2, 1))[0].tolist()
    [[1.0, -10.0], [2.0, -20.0], [3.0, -30.0]]
    """
    x = shaped("depthwise_conv", x)
    w = shaped("depthwise_conv", w)
    if w.ndim < 3 or x.ndim != w.ndim or x.shape[-1] != w.shape[-2]:
        raise ShapeError(
            "depthwise_conv",
            f"x is {show(x.shape)} and w is {show(w.shape)}, but x has the axes"
            " batch×image×channels and w kernel×channels×multiplier, with as many channels",
            "Filters of a conv are turned into these by swapaxes(-1, -2)."
            if w.ndim > 2 and w.shape[-2] == 1 and x.shape[-1:] == w.shape[-1:]
            else "Reshape w to (*kernel, channels, multiplier), with a multiplier of 1.",
        )
    *kernel, channels, multiplier = w.shape
    filters = channels * multiplier
    flat = reshape(w, (*kernel, min(channels, 1), filters))
    y = conv(x, flat, stride=stride, padding=padding, dilation=dilation, groups=max(channels, 1))
    return biased("depthwise_conv", y, b, w, filters)
