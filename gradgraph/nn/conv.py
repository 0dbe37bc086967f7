"""Filter layers: banks of filters that slide over signals, images and volumes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import ops
from ..errors import DomainError
from ..ops.geometry import padding_pairs, per_axis
from ..ops.operand import flag
from ..ops.random import Rng, generator
from ..spec import brief
from .init import kaiming_normal, zeros
from .linear import sizes
from .module import Module, parameter

Ints = int | tuple[int, ...]


class Conv(Module):
    """A bank of filters that slide over an image (chapter, section 7.1): conv(x, w) + b.

    (N, *S, c_in) → (N, *P, c_out) with P = ⌈(S + padding - dilation·(K - 1)) / stride⌉.

    Args:
        c_in, c_out: channels of the input; number of filters.
        kernel: size of the filters: an int for square images, else one int for each spatial axis
            (1 to 3 of them: signals, images, volumes).
        stride, padding, dilation, groups: as for `gradgraph.conv`.
        bias: whether each filter adds a number of its own; it starts at zero.
        rng: a numpy Generator, which goes on, or a seed, for the weights (Kaiming normal).

    Attributes:
        w: (*kernel, c_in / groups, c_out) float32.
        b: (c_out,) float32, or None.

    Raises:
        DomainError: if a size is no such number, or groups do not divide the channels.
        DTypeError: if rng is no generator and no seed.

    >>> conv = Conv(1, 8, 5, padding="same", rng=0)
    >>> conv(np.zeros((2, 28, 28, 1), np.float32)).shape
    (2, 28, 28, 8)
    >>> conv
    Conv(1 → 8, kernel 5×5, padding='same')  w 5×5×1×8, b 8  208 parameters
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: Ints,
        *,
        stride: Ints = 1,
        padding: Any = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        rng: Rng,
    ) -> None:
        op = type(self).__name__
        self.kernel, self.stride, self.dilation = _geometry(op, kernel, stride, dilation)
        padding_pairs(op, padding, self.kernel, self.stride, self.dilation)
        self.padding = padding
        c_in, c_out, self.groups = sizes(op, c_in=c_in, c_out=c_out, groups=groups)
        _check_groups(op, self.groups, c_in, c_out)
        shape = (*self.kernel, c_in // self.groups, c_out)
        self.w = parameter(kaiming_normal(shape, rng=generator(rng, op)), "w")
        self.b = parameter(zeros((c_out,)), "b") if flag(op, "bias", bias) else None

    def forward(self, x: Any) -> Any:
        return ops.conv(
            x,
            self.w,
            self.b,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def extra_repr(self) -> str:
        *kernel, per, c_out = self.w.shape
        words = [f"{per * self.groups} → {c_out}", f"kernel {brief(tuple(kernel))}"]
        return ", ".join(words + _settings(self))


class DepthwiseConv(Module):
    """A bank of filters of its own for each channel: depthwise_conv(x, w) + b.

    (N, *S, channels) → (N, *P, channels · multiplier), with P as for `Conv`.

    Args:
        channels: of the input.
        kernel: size of the filters, as for `Conv`.
        multiplier: how many filters each channel has.
        stride, padding, dilation, bias, rng: as for `Conv`.

    Attributes:
        w: (*kernel, channels, multiplier) float32.
        b: (channels · multiplier,) float32, or None.

    Raises:
        As `Conv`.

    >>> DepthwiseConv(8, 3, padding=1, rng=0)(np.zeros((2, 28, 28, 8), np.float32)).shape
    (2, 28, 28, 8)
    """

    def __init__(
        self,
        channels: int,
        kernel: Ints,
        *,
        multiplier: int = 1,
        stride: Ints = 1,
        padding: Any = 0,
        dilation: Ints = 1,
        bias: bool = True,
        rng: Rng,
    ) -> None:
        op = type(self).__name__
        self.kernel, self.stride, self.dilation = _geometry(op, kernel, stride, dilation)
        padding_pairs(op, padding, self.kernel, self.stride, self.dilation)
        self.padding = padding
        channels, multiplier = sizes(op, channels=channels, multiplier=multiplier)
        fan_in = (*self.kernel, 1, channels * multiplier)
        w = kaiming_normal(fan_in, rng=generator(rng, op)).reshape(
            *self.kernel, channels, multiplier
        )
        self.w = parameter(w, "w")
        self.b = parameter(zeros((channels * multiplier,)), "b") if flag(op, "bias", bias) else None

    def forward(self, x: Any) -> Any:
        return ops.depthwise_conv(
            x, self.w, self.b, stride=self.stride, padding=self.padding, dilation=self.dilation
        )

    def extra_repr(self) -> str:
        *kernel, channels, multiplier = self.w.shape
        words = [f"{channels}", f"kernel {brief(tuple(kernel))}"]
        words += [f"multiplier={multiplier}"] if multiplier > 1 else []
        return ", ".join(words + _settings(self))


class ConvTranspose(Module):
    """The transpose of a filter layer, which makes images larger: conv_transpose(x, w) + b.

    (N, *S, c_in) → (N, *P, c_out), P = (S - 1)·stride - padding + dilation·(K - 1) + 1 +
    output_padding, padding being that of both sides.

    Args:
        c_in, c_out: channels of the input and of the result.
        kernel, stride, padding, dilation, groups, bias, rng: as for `Conv`.
        output_padding: how many more pixels at the end, where the stride leaves a choice.

    Attributes:
        w: (*kernel, c_out / groups, c_in) float32, the filters of the conv it transposes.
        b: (c_out,) float32, or None.

    Raises:
        As `Conv`.

    >>> ConvTranspose(8, 4, 2, stride=2, rng=0)(np.zeros((2, 7, 7, 8), np.float32)).shape
    (2, 14, 14, 4)
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: Ints,
        *,
        stride: Ints = 1,
        padding: Any = 0,
        output_padding: Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        rng: Rng,
    ) -> None:
        op = type(self).__name__
        self.kernel, self.stride, self.dilation = _geometry(op, kernel, stride, dilation)
        padding_pairs(op, padding, self.kernel, self.stride, self.dilation)
        self.padding = padding
        self.output_padding = per_axis(
            op, "output_padding", output_padding, len(self.kernel), least=0
        )
        c_in, c_out, self.groups = sizes(op, c_in=c_in, c_out=c_out, groups=groups)
        _check_groups(op, self.groups, c_in, c_out)
        # Each result sums what comes from kernel / stride places: the fan in of its filters.
        shape = (*self.kernel, c_out // self.groups, c_in)
        fan_in = prod(self.kernel) * c_in // self.groups / prod(self.stride)
        noise = generator(rng, op).normal(size=shape) * np.sqrt(2 / max(fan_in, 1))
        self.w = parameter(noise, "w")
        self.b = parameter(zeros((c_out,)), "b") if flag(op, "bias", bias) else None

    def forward(self, x: Any) -> Any:
        return ops.conv_transpose(
            x,
            self.w,
            self.b,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def extra_repr(self) -> str:
        *kernel, per, c_in = self.w.shape
        words = [f"{c_in} → {per * self.groups}", f"kernel {brief(tuple(kernel))}"]
        return ", ".join(words + _settings(self))


def _geometry(op: str, kernel: Any, stride: Any, dilation: Any) -> tuple[Any, Any, Any]:
    """Kernel, stride and dilation with one int for each spatial axis."""
    nd = len(kernel) if isinstance(kernel, tuple | list) else 2
    if not 1 <= nd <= 3:
        raise DomainError(
            op,
            f"kernel {kernel!r} has {nd} axes; signals have 1, images 2, volumes 3",
            "Use kernel=3 or kernel=(3, 3) for images.",
        )
    named = {"kernel": kernel, "stride": stride, "dilation": dilation}
    kernel, stride, dilation = (per_axis(op, k, v, nd) for k, v in named.items())
    return kernel, stride, dilation


def _check_groups(op: str, groups: int, c_in: int, c_out: int) -> None:
    if c_in % groups or c_out % groups:
        raise DomainError(
            op,
            f"{groups} groups cannot share {c_in} input and {c_out} output channels evenly",
            "Use groups that divide both.",
        )


def _settings(layer: Any) -> list[str]:
    """What differs from the usual, for a representation."""
    words = [f"stride={layer.stride}"] if prod(layer.stride) > 1 else []
    words += [f"padding={layer.padding!r}"] if layer.padding not in (0, "valid") else []
    words += [f"dilation={layer.dilation}"] if prod(layer.dilation) > 1 else []
    more = getattr(layer, "output_padding", (0,))
    words += [f"output_padding={more}"] if any(more) else []
    words += [f"groups={layer.groups}"] if getattr(layer, "groups", 1) > 1 else []
    return words
