"""How well a classifier guesses, from its scores and the truths."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DomainError, DTypeError, ShapeError
from ..spec import show
from ..tensor import Array


def accuracy(scores: Any, labels: Any) -> float:
    """The share of items whose greatest score is that of their class.

    Args:
        scores: (…, classes) tensor or array.
        labels: (…) class numbers.

    Raises:
        ShapeError: if they do not belong together, or there are none.
        DTypeError: if the labels are no integers.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    guesses, labels = _guesses("accuracy", scores, labels)
    return float(np.mean(guesses == labels))


def confusion_matrix(scores: Any, labels: Any, classes: int | None = None) -> Array:
    """How often items of each class (rows) are taken for each class (columns).

    Args:
        scores: (…, classes) tensor or array, or (…) guessed class numbers with `classes` given.
        labels: (…) class numbers.
        classes: how many there are; by default the length of the scores' last axis.

    Raises:
        DomainError: if a label or a guess is no class.
        Also those of `accuracy`.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), classes=2)
    array([[1, 1],
           [0, 1]])
    """
    op = "confusion_matrix"
    array = np.asarray(getattr(scores, "_data", scores))
    if classes is None:
        classes = array.shape[-1] if array.ndim else 0
        guesses, labels = _guesses(op, scores, labels)
    else:
        guesses, labels = _labels(op, array, "guesses"), _labels(op, labels)
        if guesses.shape != labels.shape:
            raise ShapeError(
                op,
                f"guesses are {show(guesses.shape)}, labels {show(labels.shape)}",
                "Pass one guess for each label.",
            )
    for name, numbers in (("labels", labels), ("guesses", guesses)):
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < classes):
            raise DomainError(
                op, f"{name} go from {numbers.min()} to {numbers.max()}", f"Use 0 to {classes - 1}."
            )
    counts = np.bincount((labels * classes + guesses).ravel(), minlength=classes**2)
    return counts.reshape(classes, classes)


def _guesses(op: str, scores: Any, labels: Any) -> tuple[Array, Array]:
    if callable(scores):
        raise DTypeError(
            op,
            f"scores are {type(scores).__name__}, not numbers",
            'Pass net(x), or use evaluate(net, (x, y), loss, {"accuracy": accuracy}).',
        )
    scores, labels = np.asarray(getattr(scores, "_data", scores)), _labels(op, labels)
    if scores.ndim != labels.ndim + 1 or scores.shape[:-1] != labels.shape or not scores.size:
        raise ShapeError(
            op,
            f"scores are {show(scores.shape)}, labels {show(labels.shape)}",
            "Pass (…, classes) scores and one class number for each item.",
        )
    return scores.argmax(-1), labels


def _labels(op: str, labels: Any, name: str = "labels") -> Array:
    array = np.asarray(getattr(labels, "_data", labels))
    if array.dtype.kind not in "iu":
        raise DTypeError(op, f"{name} are {array.dtype}, not class numbers", "Pass integers.")
    return array.astype(int)
