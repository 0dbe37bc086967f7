"""Datasets: what can be asked for some of its items by their numbers."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..errors import ShapeError
from ..tensor import Array


class Dataset(Protocol):
    """Anything that has a length, and gives the items of an array of numbers as arrays."""

    def __len__(self) -> int: ...

    def __getitem__(self, items: Array) -> tuple[Array, ...]: ...


class ArrayDataset:
    """Arrays whose rows of equal number belong together.

    Args:
        arrays: each (N, …).

    Raises:
        ShapeError: if there is no array, one has no rows, or lengths differ.

    >>> images, labels = np.zeros((5, 28, 28, 1)), np.arange(5)
    >>> pairs = ArrayDataset(images, labels)
    >>> len(pairs), pairs[np.array([0, 3])][1]
    (5, array([0, 3]))
    """

    def __init__(self, *arrays: Any) -> None:
        self.arrays = rows("ArrayDataset", arrays)

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, items: Array) -> tuple[Array, ...]:
        return tuple(a[items] for a in self.arrays)


class Subset:
    """Some items of a dataset.

    Args:
        dataset: anything that gives the items of an array of numbers.
        items: numbers of the items that are in it.

    >>> part = Subset(ArrayDataset(np.arange(5) * 10), np.array([4, 1]))
    >>> len(part), part[np.array([0])]
    (2, (array([40]),))
    """

    def __init__(self, dataset: Dataset, items: Array) -> None:
        self.dataset, self.items = dataset, np.asarray(items)

    @property
    def labels(self) -> Array:
        """Class numbers, of a dataset that has some: so that it can be split again."""
        found: Array = np.asarray(getattr(self.dataset, "labels"))[self.items]  # noqa: B009
        return found

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, items: Any) -> tuple[Array, ...]:
        return self.dataset[self.items[items]]


def rows(op: str, arrays: Any) -> tuple[Array, ...]:
    """The arrays, if each has as many rows as the others, and some."""
    found = tuple(np.asarray(a) for a in arrays)
    lengths = [len(a) if a.ndim else 0 for a in found]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise ShapeError(
            op,
            f"the arrays have {', '.join(map(str, lengths)) or 'no'} rows; there must be some,"
            " and equally many in each",
            "Pass images and labels of the same items.",
        )
    return found
