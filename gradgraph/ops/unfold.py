"""Windows of an image as rows of numbers, and rows put back: a pair, each the other's transpose."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import ShapeError
from ..kernels import numpy_ as kernels
from ..op import Op
from ..spec import Shape, Spec, show
from .geometry import Ints, Pairs, draw_geometry, out_positions, padding_pairs, per_axis
from .operand import shaped

__all__ = ["fold", "unfold"]


class _Windows(Op, abstract=True):
    """A window of `kernel` taps that moves by `stride` over all channels."""

    kernel: Ints
    stride: Ints
    padding: Pairs
    dilation: Ints
    style = "shape"

    @property
    def geometry(self) -> tuple[Ints, Ints, Pairs, Ints]:
        return self.kernel, self.stride, self.padding, self.dilation

    def _pairs(self, size: Ints, channels: int) -> Any:
        """The definition: every (position, column, pixel, channel) that hold the same number."""
        for p in np.ndindex(kernels.out_shape(size, *self.geometry)):
            for number, t in enumerate(np.ndindex(self.kernel)):
                pixel = tuple(
                    i * s + j * d - before
                    for i, s, j, d, (before, _) in zip(
                        p, self.stride, t, self.dilation, self.padding, strict=True
                    )
                )
                if all(0 <= i < n for i, n in zip(pixel, size, strict=True)):
                    for c in range(channels):
                        yield p, number * channels + c, pixel, c


class Unfold(_Windows):
    """The pixels of each window side by side, tap by tap; zeros outside the image."""

    linear = ("x",)
    per_item = ("x",)
    checks = True

    def forward(self, x: Any) -> Any:
        return kernels.unfold(x, *self.geometry)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return Fold.of(*self.geometry, x.shape[1:-1])(g)

    def spec(self, x: Spec) -> Spec:
        size = out_positions("unfold", x.shape[1:-1], self.kernel, self)
        return Spec((x.shape[0], *size, prod(self.kernel) * x.shape[-1]), x.dtype)

    def reference(self, x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        out = scalar.empty(self.spec(Spec(x.shape, np.dtype(float))).shape)
        out.fill(0.0)
        for p, column, pixel, c in self._pairs(x.shape[1:-1], x.shape[-1]):
            for n in range(len(x)):
                out[(n, *p, column)] = x[(n, *pixel, c)]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        (stride, padding, dilation, _), size, kernel, c, _, n = draw_geometry(draw)
        return cls(kernel, stride, padding, dilation), (draw.normal((n, *size, c)),)

    def flops(self, out: Spec, x: Spec) -> int:  # type: ignore[override]
        return 0


class Fold(_Windows):
    """Each column added at its pixel, in an image of `size`."""

    size: Ints
    linear = ("columns",)
    per_item = ("columns",)

    def forward(self, columns: Any) -> Any:
        return kernels.fold(columns, self.size, *self.geometry)

    def vjp_columns(self, g: Any, out: Any, columns: Any) -> Any:
        return Unfold.of(*self.geometry)(g)

    def spec(self, columns: Spec) -> Spec:
        shape = (columns.shape[0], *self.size, columns.shape[-1] // prod(self.kernel))
        return Spec(shape, columns.dtype)

    def reference(self, columns: Any) -> Any:
        columns = np.asarray(columns, dtype=object)
        out = scalar.empty(self.spec(Spec(columns.shape, np.dtype(float))).shape)
        out.fill(0.0)
        for p, column, pixel, c in self._pairs(self.size, out.shape[-1]):
            for n in range(len(out)):
                out[(n, *pixel, c)] = out[(n, *pixel, c)] + columns[(n, *p, column)]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, (x,) = Unfold.sample(draw)
        columns = draw.normal(op.spec(Spec.of(x)).shape)
        return cls(*op.geometry, x.shape[1:-1]), (columns,)

    def flops(self, out: Spec, columns: Spec) -> int:  # type: ignore[override]
        return columns.size


def unfold(x: Any, size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Any:
    """The windows of an image as rows: a convolution is then one matrix product.

    y[n, p, t·C + c] = x[n, p·stride + t·dilation - padding, c], for taps t in reading order;
    `conv(x, w)` is `unfold(x, size) @ w.reshape(-1, O)`.

    Args:
        x: (N, *S, C) images, 1-, 2- or 3-d.
        size: of the window: an int, or one for each spatial axis.
        stride, padding, dilation: as for `conv`.

    Returns:
        (N, *P, K·C) with K taps in a window and P = ⌈(S + padding - dilation·(size - 1)) /
        stride⌉; dtype of x.

    Raises:
        ShapeError: if axes are missing, or the window is larger than the padded image.
        DomainError: if size, stride, padding or dilation is no such value.

    >>> unfold(np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1), 2)[0].tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    x = shaped("unfold", x)
    return Unfold.of(*_geometry("unfold", "x", x, size, stride, padding, dilation))(x)


def fold(
    columns: Any,
    image_size: Any,
    size: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> Any:
    """Add rows back into an image: the transpose of `unfold`, not its inverse.

    A pixel gets the sum over all windows that hold it, so `fold(unfold(x))` counts it as often as
    there are such windows: divide by `fold(unfold(ones))` to get x back.

    Args:
        columns: (N, *P, K·C), as `unfold` gives them.
        image_size: S, of the image: an int, or one for each spatial axis.
        size, stride, padding, dilation: as for `unfold`.

    Returns:
        (N, *S, C), dtype of columns.

    Raises:
        ShapeError: if columns do not have the shape that unfold gives for such an image.
        DomainError: if image_size, size, stride, padding or dilation is no such value.

    >>> fold(np.array([[[1.0, 2.0], [2.0, 3.0]]]), 3, 2).ravel()
    array([1., 4., 3.])
    """
    columns = shaped("fold", columns)
    geometry = _geometry("fold", "columns", columns, size, stride, padding, dilation)
    image = per_axis("fold", "image_size", image_size, columns.ndim - 2)
    op = Fold.of(*geometry, image)
    found, taps = out_positions("fold", image, op.kernel, op), prod(op.kernel)
    if columns.shape[1:-1] != found or columns.shape[-1] % taps:
        raise ShapeError(
            "fold",
            f"columns are {show(columns.shape)}, but an image of {show(image)} has"
            f" {show(found)} windows of {taps} taps: N×{'×'.join(map(str, found))}×{taps}·C",
            "Pass the arguments that unfold was given.",
        )
    return op(columns)


def _geometry(
    op: str, name: str, x: Any, size: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[Shape, Ints, Pairs, Ints]:
    nd = x.ndim - 2
    if nd < 1:
        raise ShapeError(
            op,
            f"{name} is {show(x.shape)}, but needs the axes batch×image×channels",
            f"Add the missing axes: {name}[None] or {name}[..., None].",
        )
    kernel = per_axis(op, "size", size, nd)
    strides = per_axis(op, "stride", stride, nd)
    dilations = per_axis(op, "dilation", dilation, nd)
    return kernel, strides, padding_pairs(op, padding, kernel, strides, dilations), dilations
