"""What a network looks at: a score's slopes by the pixels, maps weighted by slopes, hidden patches.

A score is one column of what the network returns for a batch, before any softmax. No gradient of a
parameter is read or written; a module runs in `eval` mode, whatever mode it is in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from gradgraph.errors import DomainError, DTypeError, GradError, ShapeError
from gradgraph.graph import Graph
from gradgraph.mode import enable_grad, no_grad
from gradgraph.nn.module import unchanged
from gradgraph.node import Vertex
from gradgraph.spec import show
from gradgraph.sweep import downstream, pull, reach
from gradgraph.tensor import Array, Tensor, asarray

from .transform import paths

Function = Callable[[Any], Any]
Unit = int | Sequence[int] | None
Layer = str | Callable[[Graph], Vertex]

BATCH = 128  # images with a hidden patch that run at once


def saliency(f: Function, x: Any, unit: Unit = None) -> Array:
    """How steeply a score changes with each pixel: max over the channels c of |∂S / ∂x_c|.

    Simonyan, Vedaldi and Zisserman, Deep Inside Convolutional Networks (2014).

    Args:
        f: a module, or any function (N, …, C) → (N, K) scores.
        x: (N, *space, C) floats.
        unit: the column of the score, from 0: one for all items or one for each; by default the
            greatest of each item.

    Returns:
        (N, *space).

    Raises:
        ShapeError: if x or the scores have other axes.
        DTypeError: if x is not floats, f returns no tensor, or the unit is no int.
        DomainError: if there is no such unit.
        Also what f raises for this x, e.g. if its batch axis is missing.

    >>> w = np.array([1.0, -3.0, 2.0, 0.5]).reshape(4, 1)
    >>> saliency(lambda x: x.reshape(len(x), 4) @ w, np.zeros((1, 2, 2, 1)))[0]
    array([[1. , 3. ],
           [2. , 0.5]])
    """
    image, scores, units = _scored("saliency", f, x, unit)
    return np.asarray(np.abs(_slope(scores, units, image)).max(-1))


def grad_cam(f: Function, x: Any, layer: Layer, unit: Unit = None) -> Array:
    """Where a layer's maps A_k speak for a score: relu(Σ_k α_k A_k), α_k = mean of ∂S / ∂A_k.

    Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization (2017).

    Args:
        f, x, unit: as for `saliency`.
        layer: scope of the layer, e.g. "features.conv2", which means the last tensor computed in
            it; or a function that picks a tensor from the `Graph` of the scores.

    Returns:
        (N, *space of the layer).

    Raises:
        DomainError: if no layer, or more than one, is called so.
        GradError: if the picked tensor does not lie between x and the scores.
        ShapeError: if what the layer computes has no space.
        Also those of `saliency`.

    >>> import gradgraph as gg
    >>> def f(x):
    ...     with gg.scope("maps"):
    ...         maps = x * 2.0
    ...     return maps.sum(axis=(1, 2))
    >>> grad_cam(f, np.array([[1.0, -1.0], [0.0, 3.0]]).reshape(1, 2, 2, 1), "maps")[0]
    array([[2., 0.],
           [0., 6.]])
    """
    image, scores, units = _scored("grad_cam", f, x, unit)
    order = downstream(reach([scores]), [image])
    vertex = _picked(layer, scores, order) if callable(layer) else _called(layer, order)
    maps = vertex._data
    if not isinstance(maps, np.ndarray) or maps.ndim < 3:
        raise ShapeError(
            "grad_cam",
            f"the layer gives {show(np.shape(maps))}, which has no rows and columns of pixels",
            "Take a layer before the images are flattened.",
        )
    slope = _slope(scores, units, vertex)
    weights = slope.mean(axis=tuple(range(1, maps.ndim - 1)), keepdims=True)
    return np.asarray(np.maximum((weights * maps).sum(-1), 0))


def occlusion(
    f: Function,
    x: Any,
    unit: Unit = None,
    size: int | None = None,
    stride: int | None = None,
    fill: Any = None,
) -> Array:
    """How much of a score is lost where a patch is hidden: S(x) - S(x with the patch hidden).

    Each pixel gets the mean over all patches that hide it; what is negative spoke against the
    score. Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2014).

    Args:
        f, x, unit: as for `saliency`; nothing is differentiated.
        size: side of the patch in pixels; by default a fifth of the image's shortest side.
        stride: pixels from one patch to the next, at most `size`; by default half of it. The last
            patch ends at the border.
        fill: what hides a patch, a number or one for each channel; by default the mean colour of
            the image.

    Returns:
        (N, *space).

    Raises:
        DomainError: if the size or the stride does not fit.
        ShapeError: if the fill has not one number for each channel.
        Also those of `saliency`.

    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    >>> occlusion(lambda x: x.reshape(len(x), 4).sum(axis=1, keepdims=True), x, size=1, fill=0)[0]
    array([[1., 2.],
           [3., 4.]])
    """
    images = _images("occlusion", x)
    with no_grad():
        scores = _scores("occlusion", f, images)._data
        units = _units("occlusion", scores, unit)
        space = images.shape[1:-1]
        side = _whole("size", size, max(round(min(space) / 5), 1), min(space))
        step = _whole("stride", stride, max(side // 2, 1), side)
        patches: list[tuple[Any, ...]] = [
            tuple(slice(start, start + side) for start in corner)
            for corner in product(*(_starts(n, side, step) for n in space))
        ]
        seen = np.zeros(space)
        for patch in patches:
            seen[patch] += 1
        lost = np.zeros(images.shape[:-1])
        for i, (image, k) in enumerate(zip(images, units, strict=True)):
            colour = _colour(image, fill)
            for start in range(0, len(patches), BATCH):
                some = patches[start : start + BATCH]
                hidden = np.repeat(image[None], len(some), axis=0)
                for j, patch in enumerate(some):
                    hidden[(j, *patch)] = colour
                drops = scores[i, k] - _scores("occlusion", f, hidden)._data[:, k]
                for patch, drop in zip(some, drops, strict=True):
                    lost[(i, *patch)] += drop
    return lost / seen


def _scored(op: str, f: Function, x: Any, unit: Unit) -> tuple[Tensor, Vertex, Array]:
    """The input as a leaf, the scores computed from it, and the column of each item's score."""
    image = Tensor(_images(op, x), requires_grad=True)
    with enable_grad():
        scores = _scores(op, f, image)
    return image, scores, _units(op, scores._data, unit)


def _slope(scores: Vertex, units: Array, at: Vertex) -> Array:
    """The slope of each item's score by the tensor `at`, which it was computed from."""
    seed = np.zeros_like(scores._data)
    seed[np.arange(len(units)), units] = 1
    at.retains = True
    found = pull(downstream(reach([scores]), [at]), [(scores, seed)]).get(at)
    return np.zeros_like(at._data) if found is None else np.asarray(found)


def _images(op: str, x: Any) -> Array:
    images = np.asarray(getattr(x, "_data", x))
    if images.dtype.kind != "f":
        raise DTypeError(
            op,
            f"x is {images.dtype}, not floats",
            "Scale it as in training, then x.astype(np.float32).",
        )
    if images.ndim < 3 or not images.size:
        raise ShapeError(
            op,
            f"x is {show(images.shape)}, not a batch of images N×H×W×C",
            "Add the missing axes: x[None] is a batch of one, x[..., None] has one channel.",
        )
    return images


def _scores(op: str, f: Function, images: Any) -> Vertex:
    with unchanged(f, training=False):
        scores = f(asarray(images))
    if not isinstance(scores, Vertex):
        raise DTypeError(
            op,
            f"the function returned {type(scores).__name__}, not a tensor",
            "Pass the network itself, or a function that returns net(x).",
        )
    shape = np.shape(scores._data)
    if len(shape) != 2 or shape[0] != len(images) or not shape[1]:
        raise ShapeError(
            op,
            f"the scores are {show(shape)} for {len(images)} items, not {len(images)}×K",
            "Return one row of scores for each item of the batch.",
        )
    if not np.isfinite(np.asarray(scores._data)).all():
        raise DomainError(
            op,
            "the scores have a NaN or an infinity",
            "gradgraph.debug() names the op that made it.",
        )
    return scores


def _units(op: str, scores: Array, unit: Any) -> Array:
    """One column for each item."""
    items, columns = scores.shape
    if unit is None:
        return np.asarray(scores.argmax(-1))
    units = np.asarray(getattr(unit, "_data", unit))
    if units.dtype.kind not in "iu" or units.ndim > 1 or units.size not in (1, items):
        raise DTypeError(
            op,
            f"unit is {unit!r:.40}, neither an int nor one for each of {items} items",
            "Use unit=3, or leave it out for the greatest score.",
        )
    if ((units < 0) | (units >= columns)).any():
        raise DomainError(
            op,
            f"unit is {unit!r:.40}, but there are {columns} scores",
            f"Use a number from 0 to {columns - 1}.",
        )
    return np.broadcast_to(units, items)


def _called(name: Any, order: Sequence[Vertex]) -> Vertex:
    """The last tensor of the scope that has this name, or whose path ends in it."""
    lasts = {path: v for v in order for path in paths(v.scope)}
    found = [p for p in lasts if p == name] or [p for p in lasts if p.endswith(f".{name}")]
    if len(found) != 1:
        maps = [path for path, v in lasts.items() if np.ndim(v._data) > 2] or list(lasts)
        raise DomainError(
            "grad_cam",
            f"{name!r:.60} is the name of {len(found) or 'no'} layers",
            "There are these: " + ", ".join((found or maps)[:20]) + ".",
        )
    return lasts[found[0]]


def _picked(pick: Callable[[Graph], Vertex], scores: Vertex, order: Sequence[Vertex]) -> Vertex:
    vertex = pick(Graph.of(scores))
    if not any(v is vertex for v in order):
        raise GradError(
            "grad_cam",
            f"the picked {type(vertex).__name__} does not lie between x and the scores",
            "Return one of graph.vertices that depends on x.",
        )
    return vertex


def _whole(name: str, value: Any, usual: int, most: int) -> int:
    value = usual if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 < value <= most:
        raise DomainError(
            "occlusion",
            f"{name} is {value!r:.40}, not an int from 1 to {most}",
            f"Use {name}={usual}, or leave it out.",
        )
    return int(value)


def _starts(n: int, size: int, stride: int) -> list[int]:
    """Where patches begin along an axis: the last one ends at its end."""
    return sorted({*range(0, n - size + 1, stride), n - size})


def _colour(image: Array, fill: Any) -> Array:
    if fill is None:
        return np.asarray(image.mean(axis=tuple(range(image.ndim - 1))))
    given = np.asarray(fill)
    if given.dtype.kind not in "iuf":
        raise DTypeError(
            "occlusion", f"fill is {fill!r:.40}, not numbers", "Use fill=0, or leave it out."
        )
    colour = given.astype(image.dtype)
    if colour.shape not in ((), (1,), image.shape[-1:]):
        raise ShapeError(
            "occlusion",
            f"fill is {show(colour.shape)}, but there are {image.shape[-1]} channels",
            "Pass one number, or one for each channel.",
        )
    return colour
