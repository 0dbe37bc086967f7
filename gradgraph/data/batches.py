"""One pass over arrays, and their division into parts to learn from and to test with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

import numpy as np

from ..errors import DomainError, DTypeError, ShapeError
from ..ops.random import Rng, generator
from ..tensor import Array
from .dataset import Dataset, Subset, rows

Pair = tuple[Array, Array]


def batches(
    *arrays: Array,
    size: int,
    rng: Rng | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
) -> Iterator[tuple[Array, ...]]:
    """Pass once over arrays of equal length, `size` items at a time.

    Args:
        arrays: each (N, …); rows of equal number stay together.
        size: items per batch; the last batch may be smaller.
        rng: a numpy Generator, which goes on from epoch to epoch, or a seed, which gives the same
            order every time. Needed to shuffle.
        shuffle: whether each pass has a new order.
        drop_last: whether to leave out a last batch that is smaller.

    Returns:
        An iterator of tuples, one copy of rows for each array.

    Raises:
        ShapeError: if there is no array, one has no rows, or lengths differ.
        DomainError: if size is no int ≥ 1.
        DTypeError: if there is no rng to shuffle with.

    >>> for x, y in batches(np.arange(5), np.arange(5) * 10, size=2, rng=0):
    ...     print(x, y)
    [2 4] [20 40]
    [3 0] [30  0]
    [1] [10]
    """
    held = rows("batches", arrays)
    n = len(held[0])
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise DomainError("batches", f"size is {size!r}, not an int ≥ 1", "Use size=32.")
    order = generator(rng, "batches").permutation(n) if shuffle else np.arange(n)
    return _parts(held, order, int(size), drop_last)


def _parts(
    held: tuple[Array, ...], order: Array, size: int, drop_last: bool
) -> Iterator[tuple[Array, ...]]:
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        if len(chosen) == size or not drop_last:
            yield tuple(a[chosen] for a in held)


@overload
def split(images: Array, labels: Any, *, test: int = 1000, rng: Rng) -> tuple[Pair, Pair]: ...


@overload
def split(
    images: Dataset, labels: Any = None, *, test: int = 1000, rng: Rng
) -> tuple[Subset, Subset]: ...


def split(images: Any, labels: Any = None, *, test: int = 1000, rng: Rng) -> tuple[Any, Any]:
    """Part items at random into those to learn from and those to test with, alike in classes.

    Args:
        images: (N, …); or a dataset with `labels`, such as an `ImageFolder`, by itself.
        labels: (N,) class numbers.
        test: how many to hold out; each class gives its share.
        rng: a numpy Generator, which goes on, or a seed.

    Returns:
        (images, labels) to learn from and (images, labels) to test with: disjoint, and together
        everything. Of a dataset, two datasets.

    Raises:
        ShapeError: if lengths differ.
        DTypeError: if the images are neither an array nor a dataset with labels.
        DomainError: if test is not between 0 and N.

    >>> labels = np.array([0, 1] * 5)
    >>> train, held_out = split(np.arange(10), labels, test=4, rng=0)
    >>> train[1].tolist().count(1), held_out[1].tolist().count(1)
    (3, 2)
    """
    whole = labels is None
    labels = getattr(images, "labels", None) if whole else labels
    if labels is None or not (whole or isinstance(images, np.ndarray)):
        raise DTypeError(
            "split",
            f"images are {type(images).__name__}, and there are no labels to them"
            if labels is None
            else f"images are {type(images).__name__}, not an array",
            "Pass images and labels as arrays, or a dataset with an attribute labels by itself.",
        )
    labels, n = np.asarray(labels), len(labels)
    if len(images) != n:
        raise ShapeError("split", f"{len(images)} images but {n} labels", "Pass one label each.")
    if not 0 <= test <= n:
        raise DomainError("split", f"test is {test}, but there are {n} items", f"Use {n // 5}.")
    order = generator(rng, "split").permutation(n)
    by_class = np.argsort(labels[order], kind="stable")
    held = np.zeros(n, bool)
    held[by_class[np.arange(test) * n // max(test, 1)]] = True
    learn, hold = order[~held], order[held]
    if whole:
        return Subset(images, learn), Subset(images, hold)
    return (images[learn], labels[learn]), (images[hold], labels[hold])
