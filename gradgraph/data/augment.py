"""Augmentations: images that are changed a little are still of the same class.

All take (N, H, W, C) images and return new ones of the same dtype; chance comes from an explicit
rng.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DomainError, ShapeError
from ..ops.operand import count
from ..ops.random import Rng, generator
from ..spec import show
from ..tensor import Array


def shifted(images: Array, pixels: int, *, rng: Rng) -> Array:
    """Each image moved by up to so many pixels along height and width, zeros filled in.

    Digits that are moved a little are still the same digits: more examples for nothing.

    Args:
        images: (N, H, W, C).
        pixels: the greatest shift, ≥ 0; every one from -pixels to pixels is equally likely.
        rng: a numpy Generator, which goes on, or a seed.

    Raises:
        ShapeError: if the images do not have four axes.

    >>> image = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    >>> shifted(image, 1, rng=0)[0, :, :, 0]
    array([[3., 4.],
           [0., 0.]])
    """
    images = _four_axes("shifted", images)
    pixels = count("shifted", "pixels", pixels, 0)
    n, height, width, _ = images.shape
    down, right = generator(rng, "shifted").integers(0, 2 * pixels + 1, size=(2, n, 1))
    wide = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
    rows, columns = down + np.arange(height), right + np.arange(width)
    moved: Array = wide[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved


def flipped(images: Array, *, rate: float = 0.5, rng: Rng) -> Array:
    """Each image mirrored, left to right, with the probability `rate`.

    Raises:
        ShapeError: if the images do not have four axes.
        DomainError: if rate is not from 0 to 1.

    >>> image = np.array([[1.0, 2.0]]).reshape(1, 1, 2, 1)
    >>> flipped(image, rate=1.0, rng=0)[0, :, :, 0]
    array([[2., 1.]])
    """
    images = _four_axes("flipped", images)
    if not 0 <= rate <= 1:
        raise DomainError("flipped", f"rate is {rate}, not from 0 to 1", "Use rate=0.5.")
    chosen = generator(rng, "flipped").random(len(images)) < rate
    return np.where(chosen[:, None, None, None], images[:, :, ::-1], images)


def cropped(images: Array, size: int | tuple[int, int], *, padding: int = 0, rng: Rng) -> Array:
    """A window of each image, at a place of its own, after zeros were added around it.

    Args:
        images: (N, H, W, C).
        size: height and width of the window, or one int for both.
        padding: how many rows and columns of zeros are added on each side.
        rng: a numpy Generator, which goes on, or a seed; every place is equally likely.

    Raises:
        ShapeError: if the images do not have four axes, or the window does not fit.

    >>> cropped(np.ones((5, 32, 32, 3), np.float32), 28, rng=0).shape
    (5, 28, 28, 3)
    """
    images = _four_axes("cropped", images)
    height, width = size if isinstance(size, tuple | list) else (size, size)
    padding = count("cropped", "padding", padding, 0)
    pad = (padding, padding)
    wide = np.pad(images, ((0, 0), pad, pad, (0, 0)))
    n, rows, columns, _ = wide.shape
    if not (0 < height <= rows and 0 < width <= columns):
        raise ShapeError(
            "cropped",
            f"a window of {height}×{width} does not fit into images of {rows}×{columns}",
            "Use a smaller size, or padding.",
        )
    rng = generator(rng, "cropped")
    down = rng.integers(0, rows - height + 1, n)[:, None] + np.arange(height)
    right = rng.integers(0, columns - width + 1, n)[:, None] + np.arange(width)
    window: Array = wide[np.arange(n)[:, None, None], down[:, :, None], right[:, None, :]]
    return window


def normalised(images: Array, mean: Any = None, std: Any = None) -> Array:
    """(images - mean) / std for each channel; those of these images unless they are given.

    For others (those to test with) pass the statistics of the images that were learned from.

    Raises:
        ShapeError: if the images do not have four axes.
        DomainError: if a std is not positive.

    >>> normalised(np.array([1.0, 3.0]).reshape(2, 1, 1, 1)).ravel()
    array([-1.,  1.])
    """
    images = _four_axes("normalised", images)
    dtype = images.dtype if images.dtype.kind == "f" else np.dtype(np.float32)
    x = images.astype(dtype)
    mean = x.mean((0, 1, 2), dtype=float) if mean is None else mean
    std = x.std((0, 1, 2), dtype=float) if std is None else std
    if not np.all(np.asarray(std) > 0):
        raise DomainError(
            "normalised", f"std is {std}: a channel is constant", "Pass std=1.0 for it."
        )
    scaled: Array = ((x - mean) / std).astype(dtype)
    return scaled


def _four_axes(op: str, images: Any) -> Array:
    array = np.asarray(images)
    if array.ndim != 4:
        raise ShapeError(
            op,
            f"images have {array.ndim} axes ({show(array.shape)}), not N×H×W×C",
            "Add x[..., None].",
        )
    return array
