"""Small images inside the cards: filters, feature maps, inputs, and the winners of a pool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradgraph.ops.conv import Conv
from gradgraph.ops.pool import MaxPool

from .facts import winning
from .view import Card, View

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

MOST = 8  # images in a row
SMALL, LARGE = 28, 84  # points of an image in a row, and of one by itself
FINEST = 64  # pixels along each side of an image; what is larger is thinned out

_PLUS, _MINUS = np.array([194.0, 65.0, 12.0]), np.array([29.0, 78.0, 216.0])
_DARK, _WON = np.array([27.0, 36.0, 48.0]), np.array([121.0, 71.0, 154.0])


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of images in a card.

    Attributes:
        images: (H, W, 3) each.
        size: points of the longer side of each.
        caption: what they are; how many more there are.
    """

    images: tuple[Pixels, ...]
    size: int
    caption: str


def strips(view: View, card: Card, flows: bool, values: bool = True) -> Iterator[Strip]:
    """What can be shown of a card: of the first item of a batch, and the first channels.

    Args:
        view, card: what is shown.
        flows: whether there is a gradient, so that a pool has winners.
        values: whether the data mean something; else only weights are shown.
    """
    vertex = view.graph.vertices[card.main]
    if card.kind in ("input", "weight") and values:
        yield from _input(vertex._data)
    elif card.kind == "op":
        op = view.steps[card.main].op
        if isinstance(op, Conv):
            yield from _filters(vertex.inputs[1]._data)
        elif not values:
            return
        elif isinstance(op, MaxPool) and flows and vertex.requires_grad:
            yield from _winners(vertex)
        elif op.style == "activation":
            yield from _maps(vertex._data)


def _input(data: Any) -> Iterator[Strip]:
    if not _is_images(data) or data.dtype.kind != "f" or data.shape[-1] not in (1, 3):
        return
    first = _thinned(data[0])
    if not np.isfinite(first).all():
        return
    unit = _unit(first, first.min(), first.max())
    image = _shade(unit[..., 0], _DARK) if data.shape[-1] == 1 else _bytes(255 * unit)
    yield Strip((image,), LARGE, f"item 1 of {len(data):,}")


def _filters(w: Any) -> Iterator[Strip]:
    """A filter bank on one scale: orange adds, blue subtracts."""
    if not w.size or not np.isfinite(w).all():
        return
    most = float(np.abs(w).max()) or 1.0
    if w.ndim == 4 and min(w.shape[:2]) > 1:
        shown = [_diverging(w[:, :, 0, k] / most) for k in range(min(w.shape[-1], MOST))]
        of = f", input channel 1 of {w.shape[2]:,}" if w.shape[2] > 1 else ""
        yield Strip(tuple(shown), SMALL, f"filters{_more(w.shape[-1])}, orange + blue −{of}")
    elif w.ndim == 3:
        rows = w[..., :MOST].reshape(-1, min(w.shape[-1], MOST)).T
        yield Strip(
            (_diverging(_thinned(rows) / most),),
            LARGE,
            f"a filter per row{_more(w.shape[-1])}, orange + blue −",
        )


def _maps(data: Any) -> Iterator[Strip]:
    """Feature maps on one scale, white for the least."""
    if not _is_images(data) or not np.isfinite(data[0]).all():
        return
    first = data[0]
    low, high = min(float(first.min()), 0.0), float(first.max())
    shown = [
        _shade(_unit(_thinned(first[..., k]), low, high), _DARK)
        for k in range(min(first.shape[-1], MOST))
    ]
    yield Strip(tuple(shown), SMALL, f"feature maps{_more(first.shape[-1])}")


def _winners(vertex: Any) -> Iterator[Strip]:
    if _is_images(vertex.inputs[0]._data):
        won = winning(vertex)[0]
        image = _shade(_thinned(won[..., 0]).astype(float), _WON)
        yield Strip((image,), LARGE, f"winners, channel 1 of {won.shape[-1]:,}")


def _is_images(data: Any) -> bool:
    return isinstance(data, np.ndarray) and data.ndim == 4 and data.size > 1


def _more(count: int) -> str:
    return f", +{count - MOST:,} more" if count > MOST else ""


def _thinned(image: Any) -> Any:
    steps = [-(-n // FINEST) for n in image.shape[:2]]
    return image[:: steps[0], :: steps[1]].astype(float)


def _unit(image: Any, low: float, high: float) -> Any:
    return (image - low) / ((high - low) or 1.0)


def _shade(unit: Any, dark: Any) -> Pixels:
    """White at 0, a colour at 1."""
    return _bytes(255 + unit[..., None] * (dark - 255))


def _diverging(values: Any) -> Pixels:
    """White at 0, orange at 1, blue at -1."""
    colour = np.where(values[..., None] > 0, _PLUS, _MINUS)
    return _bytes(255 + np.abs(values)[..., None] * (colour - 255))


def enlarged(image: Pixels, size: int) -> Pixels:
    """Every pixel as a square of pixels: viewers that smooth images show the squares, too."""
    factor = max(-(-2 * size // max(image.shape[:2])), 1)
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _bytes(image: Any) -> Pixels:
    return np.asarray(np.clip(np.rint(image), 0, 255), dtype=np.uint8)
