"""How the numbers of an array are laid out in cells."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import numpy as np

Places = np.ndarray[Any, np.dtype[np.intp]]

LINE, MOST = 16, 64  # the longest line of a vector; how many numbers of an array are shown


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells in rows.

    Attributes:
        title: which part of the array it is, e.g. "channel 1"; empty if it is all of it.
        rows: for each cell the place of its number in reading order.
    """

    title: str
    rows: tuple[tuple[int, ...], ...]


def grids(shape: tuple[int, ...], filters: bool = False) -> tuple[Grid, ...]:
    """The cells that are shown of an array: all of a small one, the first ones of a large one.

    Axes of length 1 are left out. A vector is one line, a matrix one grid; images (channels last)
    and filters are one grid for each channel.

    >>> grids((1, 4, 1))
    (Grid(title='', rows=((0, 1, 2, 3),)),)
    >>> [(grid.title, grid.rows) for grid in grids((1, 2, 2))]
    [('channel 0', ((0, 2),)), ('channel 1', ((1, 3),))]
    """
    if not prod(shape):
        return ()
    kept = [(n, name) for n, name in zip(shape, _names(len(shape), filters), strict=True) if n > 1]
    places = np.arange(prod(shape)).reshape([n for n, _ in kept])
    plane = [axis for axis, (_, name) in enumerate(kept) if not name] or list(range(len(kept)))
    plane = plane[-2:]
    outer = [axis for axis in range(len(kept)) if axis not in plane]
    places = places.transpose(outer + plane)
    at_most = 8 if places.size <= MOST else 4
    found = []
    for at in islice(np.ndindex(places.shape[: len(outer)]), at_most):
        words = [f"{kept[axis][1] or 'slice'} {i}" for axis, i in zip(outer, at, strict=True)]
        found.append(Grid(" · ".join(words), _rows(places[at], prod(places.shape[: len(outer)]))))
    return tuple(found)


def _names(ndim: int, filters: bool) -> list[str]:
    """What the axes that get a grid for each of their places are called; "" for the others."""
    if ndim < 3:
        return [""] * ndim
    if filters:
        return [*[""] * (ndim - 2), "from", "to"]
    return ["item", *[""] * (ndim - 2), "channel"]


def _rows(places: Places, beside: int) -> tuple[tuple[int, ...], ...]:
    """Rows of cells of one of several grids: the corner of a large one, a long vector in lines."""
    if places.ndim < 2:
        line = places.ravel()[: max(MOST // beside, LINE)]
        lines = [line[i : i + LINE] for i in range(0, line.size, LINE)]
    elif places.size * beside <= MOST and places.shape[1] <= LINE:
        lines = list(places)
    else:
        lines = list(places[: 8 if beside == 1 else 4, : 8 if beside < 3 else 4])
    return tuple(tuple(map(int, line)) for line in lines)
