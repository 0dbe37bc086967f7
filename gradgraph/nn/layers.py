"""Layers: ops with their settings and, where they learn, their weights. Channels last, float32."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from .. import ops
from ..errors import DomainError, DTypeError
from ..ops.geometry import padding_pairs, per_axis
from ..ops.random import Rng
from ..spec import brief
from .init import kaiming_normal
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
        nd = len(kernel) if isinstance(kernel, tuple | list) else 2
        if not 1 <= nd <= 3:
            raise DomainError(
                op,
                f"kernel {kernel!r} has {nd} axes; signals have 1, images 2, volumes 3",
                "Use kernel=3 or kernel=(3, 3) for images.",
            )
        self.kernel = per_axis(op, "kernel", kernel, nd)
        self.stride = per_axis(op, "stride", stride, nd)
        self.dilation = per_axis(op, "dilation", dilation, nd)
        padding_pairs(op, padding, self.kernel, self.stride, self.dilation)
        self.padding = padding
        c_in, c_out, self.groups = _sizes(op, c_in=c_in, c_out=c_out, groups=groups)
        if c_in % self.groups or c_out % self.groups:
            raise DomainError(
                op,
                f"{self.groups} groups cannot share {c_in} input and {c_out} output channels"
                " evenly",
                "Use groups that divide both.",
            )
        shape = (*self.kernel, c_in // self.groups, c_out)
        self.w = parameter(kaiming_normal(shape, rng=rng), "w")
        self.b = parameter(np.zeros(c_out), "b") if bias else None

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
        words += [f"stride={self.stride}"] if prod(self.stride) > 1 else []
        words += [f"padding={self.padding!r}"] if self.padding not in (0, "valid") else []
        words += [f"dilation={self.dilation}"] if prod(self.dilation) > 1 else []
        words += [f"groups={self.groups}"] if self.groups > 1 else []
        return ", ".join(words)


class Linear(Module):
    """A fully connected layer: x w + b. (…, n_in) → (…, n_out).

    Args:
        n_in, n_out: numbers of inputs and outputs.
        bias: whether each output adds a number of its own; it starts at zero.
        rng: a numpy Generator, which goes on, or a seed, for the weights (Kaiming normal).

    Attributes:
        w: (n_in, n_out) float32.
        b: (n_out,) float32, or None.

    Raises:
        DomainError: if a size is no int ≥ 1.
        DTypeError: if rng is no generator and no seed.

    >>> Linear(784, 10, rng=0)
    Linear(784 → 10)  w 784×10, b 10  7,850 parameters
    """

    def __init__(self, n_in: int, n_out: int, bias: bool = True, *, rng: Rng) -> None:
        n_in, n_out = _sizes(type(self).__name__, n_in=n_in, n_out=n_out)
        self.w = parameter(kaiming_normal((n_in, n_out), rng=rng), "w")
        self.b = parameter(np.zeros(n_out), "b") if bias else None

    def forward(self, x: Any) -> Any:
        y = ops.matmul(x, self.w)
        return y if self.b is None else ops.add(y, self.b)

    def extra_repr(self) -> str:
        return " → ".join(map(str, self.w.shape))


class MaxPool(Module):
    """The greatest pixel of each window, channel by channel (chapter, section 7.2).

    Args:
        size, stride, padding: as for `gradgraph.max_pool`; the stride is the size by default.

    Raises:
        DomainError: if size or stride is no int ≥ 1, or one such int for each axis.

    >>> MaxPool(2)(np.zeros((1, 28, 28, 8), np.float32)).shape
    (1, 14, 14, 8)
    """

    def __init__(self, size: Ints, stride: Ints | None = None, padding: Any = 0) -> None:
        for name, value in (("size", size), ("stride", stride)):
            if value is not None:
                axes = len(value) if isinstance(value, tuple | list) else 1
                per_axis(type(self).__name__, name, value, axes)
        self.size = size
        self.stride = stride
        self.padding = padding

    def forward(self, x: Any) -> Any:
        return ops.max_pool(x, self.size, stride=self.stride, padding=self.padding)

    def extra_repr(self) -> str:
        words = [str(self.size)]
        words += [f"stride={self.stride}"] if self.stride is not None else []
        words += [f"padding={self.padding!r}"] if self.padding not in (0, "valid") else []
        return ", ".join(words)


class AvgPool(MaxPool):
    """The mean of each window, channel by channel. Arguments as for `MaxPool`.

    Args:
        count_include_pad: count padding as zeros (True), or leave it out of the mean (False).

    >>> AvgPool(2)(np.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1)).ravel()
    array([2., 1.])
    """

    def __init__(
        self,
        size: Ints,
        stride: Ints | None = None,
        padding: Any = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(size, stride, padding)
        self.count_include_pad = count_include_pad

    def forward(self, x: Any) -> Any:
        return ops.avg_pool(
            x,
            self.size,
            stride=self.stride,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
        )


class MaxBlurPool(MaxPool):
    """The maximum of every window, then a blurring mean at each stride (chapter, section 7.2).

    It sees what `MaxPool(size, stride)` sees, but a pattern that moves by a pixel changes the
    result gradually: `max_pool` with stride 1, then `blur_pool`. N×⌈S / stride⌉ pixels.

    Args:
        size: of the windows.
        stride: spacing of the results; the size by default.
        blur: size of the window of the mean.

    >>> MaxBlurPool(2)(np.zeros((1, 28, 28, 8), np.float32)).shape
    (1, 14, 14, 8)
    """

    def __init__(self, size: Ints, stride: Ints | None = None, blur: Ints = 3) -> None:
        super().__init__(size, stride, "same")
        self.blur = blur

    def forward(self, x: Any) -> Any:
        tops = ops.max_pool(x, self.size, stride=1, padding=self.padding)
        return ops.blur_pool(
            tops, self.blur, stride=self.size if self.stride is None else self.stride
        )


class ReLU(Module):
    """max(x, 0), element by element.

    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def forward(self, x: Any) -> Any:
        return ops.relu(x)


class Tanh(Module):
    """tanh(x), element by element.

    >>> Tanh()(np.array([0.0]))
    array([0.])
    """

    def forward(self, x: Any) -> Any:
        return ops.tanh(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), element by element.

    >>> Sigmoid()(np.array([0.0]))
    array([0.5])
    """

    def forward(self, x: Any) -> Any:
        return ops.sigmoid(x)


class Flatten(Module):
    """All axes but the first as one: (N, …) → (N, product of the others), in reading order.

    >>> Flatten()(np.zeros((2, 7, 7, 16))).shape
    (2, 784)
    """

    def forward(self, x: Any) -> Any:
        n, *rest = np.shape(x) if not hasattr(x, "shape") else x.shape
        return ops.reshape(x, n, prod(rest))


class Sequential(Module):
    """Layers one after the other: each gets what the one before it computed.

    Args:
        layers: modules, or any functions of one argument; their names are "0", "1", ….
        named: the same with names of one's own, after those without.

    Raises:
        DTypeError: if a layer cannot be called.
        DomainError: if a name is already one of a module's methods.

    >>> net = Sequential(conv=Conv(1, 4, 3, rng=0), act=ReLU(), pool=MaxPool(2))
    >>> y = net(np.zeros((1, 6, 6, 1), np.float32))
    >>> y.shape, y.scope
    ((1, 2, 2, 4), 'sequential.pool')
    >>> Sequential(Flatten(), Linear(4, 2, rng=0))
    Sequential()  10 parameters
      0: Flatten()
      1: Linear(4 → 2)  w 4×2, b 2  10 parameters
    """

    def __init__(self, *layers: Callable[[Any], Any], **named: Callable[[Any], Any]) -> None:
        self._order = (*map(str, range(len(layers))), *named)
        if len(set(self._order)) < len(self._order):
            twice = sorted(set(map(str, range(len(layers)))) & set(named))
            raise DomainError(
                "Sequential", f"two layers are called {twice[0]!r}", "Choose another name."
            )
        for name, layer in zip(self._order, (*layers, *named.values()), strict=True):
            if isinstance(layer, type) and issubclass(layer, Module):
                raise DTypeError(
                    "Sequential",
                    f"layer {name} is the class {layer.__name__}, not a module",
                    f"Make one: {layer.__name__}(...).",
                )
            if not callable(layer):
                raise DTypeError(
                    "Sequential",
                    f"layer {name} is {type(layer).__name__}, which cannot be called",
                    "Pass the layers one by one: Sequential(*layers)."
                    if isinstance(layer, list | tuple)
                    else "Pass modules or functions of one argument.",
                )
            if hasattr(type(self), name) or name.startswith("_"):
                raise DomainError(
                    "Sequential",
                    f"a layer cannot be called {name!r}; a module has a use for that name",
                    "Choose another name.",
                )
            setattr(self, name, layer)

    def forward(self, x: Any) -> Any:
        for name in self._order:
            x = getattr(self, name)(x)
        return x

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int | slice) -> Any:
        """The layer at a position, or a Sequential of the layers in a slice (the same ones)."""
        if isinstance(index, slice):
            return Sequential(
                **{
                    f"layer{name}" if name.isdecimal() else name: getattr(self, name)
                    for name in self._order[index]
                }
            )
        return getattr(self, self._order[index])


def _sizes(op: str, **sizes: Any) -> tuple[int, ...]:
    """The sizes as ints ≥ 1, checked by name."""
    return tuple(per_axis(op, name, value, 1)[0] for name, value in sizes.items())
