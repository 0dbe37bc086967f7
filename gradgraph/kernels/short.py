"""Winograd's short convolutions on plain numpy: fewer products, all of them in matrix products.

As in numba_/winograd.py, an image is cut into tiles that give m × m results each, of which
t² = (m + r - 1)² transformed numbers are multiplied. Here the transforms are matrix products, too:
both ways at once, by the Kronecker product of the matrix with itself. A group of images is done
from beginning to end, so that it stays in the cache.

Names: x (N, H, W, C) images, w (r, r, C, K) filters, y and g (N, P, Q, K) results and slopes; d, v
tiles and transformed tiles (t², tiles, C), u transformed filters (t², C, K).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .numpy_ import Array, Pairs
from .toom import Matrix, Toom

GROUP = 448  # tiles: enough for a fast product, and few enough for the cache
F = Toom.of(4, 3)  # for 5×5 filters the copies take as long as the products that are saved


@cache
def _both_ways(matrix: Matrix) -> Array:
    """M ⊗ M: what transforms rows and columns of a tile at once."""
    plain = np.array([[float(v) for v in row] for row in matrix], np.float32)
    return np.kron(plain, plain)


class _Tiles:
    """How images of some size are cut.

    Args:
        short: the convolution.
        size: of an image.
        padding: zeros around it; may be negative.
    """

    def __init__(self, short: Toom, size: tuple[int, ...], padding: Pairs) -> None:
        self.short, self.size, self.padding = short, size, padding
        self.out = [n + b + a - short.r + 1 for n, (b, a) in zip(size, padding, strict=True)]
        self.count = [-(-p // short.m) for p in self.out]
        self.full = [k * short.m + short.r - 1 for k in self.count]

    def groups(self, images: int) -> Iterator[slice]:
        """Images that have about GROUP tiles together."""
        step = max(1, GROUP // (self.count[0] * self.count[1]))
        for start in range(0, images, step):
            yield slice(start, min(start + step, images))

    def data(self, x: Array, room: dict[str, Array]) -> Array:
        """The transformed tiles of some images, (t², tiles, C)."""
        n, *_, channels = x.shape
        padded = _take(room, "padded", (n, *self.full, channels), zero=True)
        to, of = [], []
        for k, (before, _) in enumerate(self.padding):
            low, high = max(0, -before), min(self.size[k], self.full[k] - before)
            to.append(slice(low + before, high + before))
            of.append(slice(low, high))
        padded[(slice(None), *to)] = x[(slice(None), *of)]
        return _transformed(
            _patches(padded, self.short.points, self.short.m, self.count), self.short.data, room
        )

    def slopes(self, g: Array, room: dict[str, Array]) -> Array:
        """The transformed slopes of the results of some images, (t², tiles, K)."""
        n, *_, channels = g.shape
        m = self.short.m
        whole = [k * m for k in self.count]
        if whole != self.out:
            padded = _take(room, "slopes", (n, *whole, channels), zero=True)
            padded[:, : self.out[0], : self.out[1]] = g
            g = padded
        patches = _patches(np.ascontiguousarray(g), m, m, self.count)
        return _transformed(patches, self.short.gradient, room, "z")

    def put(self, products: Array, y: Array, room: dict[str, Array]) -> None:
        """Transform products (t², tiles, K) back, into the results of some images."""
        m, (down, across) = self.short.m, self.count
        n, channels = len(y), y.shape[-1]
        flat = products.reshape(len(products), -1)
        made = _take(room, "made", (m * m, flat.shape[1]))
        np.matmul(_both_ways(self.short.result), flat, out=made)
        tiles = made.reshape(m, m, n, down, across, channels).transpose(2, 3, 0, 4, 1, 5)
        if [down * m, across * m] == self.out:
            np.copyto(y.reshape(n, down, m, across, m, channels), tiles)
        else:
            whole = tiles.reshape(n, down * m, across * m, channels)
            np.copyto(y, whole[:, : self.out[0], : self.out[1]])


def _patches(x: Array, side: int, step: int, count: list[int]) -> Array:
    """View (side, side, N, down, across, C) of the patches of images, `step` apart."""
    n, row, column, channel = x.strides
    shape = (side, side, len(x), *count, x.shape[-1])
    return as_strided(x, shape, (row, column, n, step * row, step * column, channel))


def _transformed(patches: Array, matrix: Matrix, room: dict[str, Array], name: str = "v") -> Array:
    """M ⊗ M times the patches, (t², tiles, channels)."""
    both = _both_ways(matrix)
    channels = patches.shape[-1]
    d = _take(room, "d", patches.shape)
    np.copyto(d, patches)
    flat = d.reshape(both.shape[1], -1)
    v = _take(room, name, (len(both), flat.shape[1]))
    np.matmul(both, flat, out=v)
    return v.reshape(len(both), -1, channels)


def _take(room: dict[str, Array], name: str, shape: tuple[int, ...], zero: bool = False) -> Array:
    """An array that a group of images leaves to the next one; zeros around stay zeros."""
    held = room.get(name)
    if held is None or held.shape != shape:
        held = room[name] = np.zeros(shape, np.float32) if zero else np.empty(shape, np.float32)
    return held


def filters(short: Toom, w: Array) -> Array:
    """Transformed filters, (t², C, K)."""
    flat = np.ascontiguousarray(w).reshape(short.r**2, -1)
    u: Array = np.matmul(_both_ways(short.filter), flat)
    return u.reshape(-1, *w.shape[-2:])


@np.errstate(invalid="ignore", over="ignore")
def conv(
    x: Array, w: Array, padding: Pairs, out: Array, done: Callable[[Any], None] | None = None
) -> bool:
    """x * w in `out`, a group of images at a time, after each of which `done(group)` is called.

    Returns False, and leaves disorder, if a number in it is infinite or NaN: it would spread.
    """
    tiles, room = _Tiles(F, x.shape[1:3], padding), dict[str, Array]()
    u = filters(F, w)
    for group in tiles.groups(len(x)):
        v = tiles.data(x[group], room)
        products = _take(room, "products", (len(u), v.shape[1], w.shape[-1]))
        np.matmul(v, u, out=products)
        tiles.put(products, out[group], room)
        if not np.isfinite(np.sum(room["made"])):
            return False
        if done:
            done(group)
    return True


@np.errstate(invalid="ignore", over="ignore")
def filter_gradient(x: Array, g: Array, padding: Pairs) -> Array | None:
    """What each weight of the filters sent to g; None if a number is infinite or NaN."""
    tiles, room = _Tiles(F, x.shape[1:3], padding), dict[str, Array]()
    channels = x.shape[-1], g.shape[-1]
    total = np.zeros((F.points**2, *channels), np.float32)
    share = np.empty_like(total)
    for group in tiles.groups(len(x)):
        v, z = tiles.data(x[group], room), tiles.slopes(g[group], room)
        total += np.matmul(v.swapaxes(1, 2), z, out=share)
    back = np.matmul(_both_ways(F.back), total.reshape(len(total), -1))
    return back.reshape(F.r, F.r, *channels) if np.isfinite(np.sum(back)) else None
