"""Losses: how far a guess is from the truth, as one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, DTypeError, ShapeError
from ..op import Op
from ..spec import Spec, floating, show
from .elementwise import cast, equal
from .reduce import mean, sum
from .softmax import softmax

__all__ = ["cross_entropy", "mse_loss", "squared_loss"]

REDUCTIONS = ("mean", "sum", "none")


class _Loss(Op, abstract=True):
    """Losses per item, and their mean, sum, or none of both."""

    reduction: str = "mean"
    checks = True
    style = "loss"

    def _reduce(self, losses: Any) -> Any:
        if self.reduction == "none":
            return losses
        return (mean if self.reduction == "mean" else sum)(losses)

    def _each(self, g: Any, count: int) -> Any:
        """Cotangent of each item's loss."""
        return g * (1.0 / count) if self.reduction == "mean" else g

    def _reduced(self, out: Any) -> Any:
        """The definition of the reduction on an array of scalars."""
        if self.reduction == "none":
            return out
        total = scalar.total(out.ravel())
        reduced = scalar.empty(())
        reduced[()] = total * (1.0 / out.size) if self.reduction == "mean" else total
        return reduced

    def _spec(self, shape: tuple[int, ...], dtype: Any) -> Spec:
        if self.reduction == "none":
            return Spec(shape, dtype)
        if self.reduction == "mean" and not np.prod(shape):
            raise ShapeError(
                self.name,
                f"the batch is empty ({show(shape)}): its mean loss is undefined",
                'Use reduction="sum", or skip empty batches.',
            )
        return Spec((), dtype)


class SquaredError(_Loss):
    """(guess - actual)² for each element."""

    def forward(self, guess: Any, actual: Any) -> Any:
        dtype = floating(Spec.of(guess), Spec.of(actual))
        return self._reduce(np.square(np.subtract(guess, actual, dtype=dtype)))

    def vjp_guess(self, g: Any, out: Any, guess: Any, actual: Any) -> Any:
        slope = 2 * (guess - actual)  # either may be a plain number
        return self._each(g, slope.size) * slope

    def vjp_actual(self, g: Any, out: Any, guess: Any, actual: Any) -> Any:
        slope = 2 * (actual - guess)
        return self._each(g, slope.size) * slope

    def jvp_guess(self, t: Any, out: Any, guess: Any, actual: Any) -> Any:
        return self._reduce(t * (2 * (guess - actual)))

    def jvp_actual(self, t: Any, out: Any, guess: Any, actual: Any) -> Any:
        return self._reduce(t * (2 * (actual - guess)))

    def spec(self, guess: Spec, actual: Spec) -> Spec:
        if guess.shape != actual.shape:
            raise ShapeError(
                self.name,
                f"guess is {show(guess.shape)} but actual is {show(actual.shape)}; a loss does"
                " not broadcast, because that pairs every guess with every truth",
                f"Use actual.reshape{guess.shape}."
                if guess.size == actual.size
                else "Compare arrays of one shape.",
            )
        return self._spec(guess.shape, floating(guess, actual))

    def reference(self, guess: Any, actual: Any) -> Any:
        guess, actual = (np.asarray(a, dtype=object) for a in (guess, actual))
        out = scalar.empty(guess.shape)
        for at in np.ndindex(out.shape):
            out[at] = (guess[at] - actual[at]) * (guess[at] - actual[at])
        return self._reduced(out)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        shape = draw.shape(sizes=(2, 3, 1, 5))
        return cls(draw.choice(REDUCTIONS)), (draw.normal(shape), draw.normal(shape))

    def flops(self, out: Spec, guess: Spec, actual: Spec) -> int:  # type: ignore[override]
        return 3 * guess.size


class CrossEntropy(_Loss):
    """-ln softmax(logits)[label] for each item; the class axis is the last."""

    constant = ("labels",)

    def forward(self, logits: Any, labels: Any) -> Any:
        logits = logits.astype(floating(Spec.of(logits)), copy=False)
        classes = logits.shape[-1]
        wrong = (labels < 0) | (labels >= classes)
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise DomainError(
                self.name,
                f"label {labels[at]} at position {at[0] if len(at) == 1 else at} is outside 0 to"
                f" {classes - 1} (logits are {show(logits.shape)}, so there are {classes} classes)",
                "Count labels from 0, or give the last layer more outputs.",
            )
        shifted = logits - np.max(logits, axis=-1, keepdims=True, initial=-np.inf)
        chosen = np.take_along_axis(shifted, labels[..., None], axis=-1)[..., 0]
        return self._reduce(np.log(np.sum(np.exp(shifted), axis=-1)) - chosen)

    def vjp_logits(self, g: Any, out: Any, logits: Any, labels: Any) -> Any:
        each = self._each(g, labels.size)
        each = each[..., None] if self.reduction == "none" else each
        return each * _surplus(logits, labels)

    def jvp_logits(self, t: Any, out: Any, logits: Any, labels: Any) -> Any:
        return self._reduce(sum(t * _surplus(logits, labels), axis=-1))

    def spec(self, logits: Spec, labels: Spec) -> Spec:
        if labels.dtype.kind not in "iu":
            raise DTypeError(
                self.name,
                f"labels are {labels.dtype}, not integers",
                "Pass class numbers: labels.astype(int).",
            )
        if not logits.ndim or logits.shape[:-1] != labels.shape:
            one_hot = logits.shape == labels.shape
            raise ShapeError(
                self.name,
                f"logits are {show(logits.shape)}, so labels must be {show(logits.shape[:-1])}"
                f" (one class number per item), but they are {show(labels.shape)}",
                "Turn one-hot rows into numbers: labels.argmax(-1)."
                if one_hot
                else "The last axis of logits is the class axis.",
            )
        if not logits.shape[-1]:
            raise ShapeError(self.name, f"logits are {logits}: no classes", "Add outputs.")
        return self._spec(labels.shape, floating(logits))

    def reference(self, logits: Any, labels: Any) -> Any:
        logits = np.asarray(logits, dtype=object)
        out = scalar.empty(logits.shape[:-1])
        for at in np.ndindex(out.shape):
            total = scalar.total(scalar.exp(v) for v in logits[at])
            out[at] = scalar.log(total) - logits[at][labels[at]]
        return self._reduced(out)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        lead = draw.choice([(2,), (3, 2), (), (1,)])
        classes = draw.integer(1, 4)
        labels = draw.rng.integers(0, classes, size=lead)
        return cls(draw.choice(REDUCTIONS)), (draw.logits((*lead, classes)), np.asarray(labels))

    def flops(self, out: Spec, logits: Spec, labels: Spec) -> int:  # type: ignore[override]
        return 5 * logits.size


def _surplus(logits: Any, labels: Any) -> Any:
    """softmax(logits) minus one-hot labels: the slope of each item's loss."""
    one_hot = equal(labels[..., None], np.arange(logits.shape[-1]))
    return softmax(logits) - cast(one_hot, logits.dtype)


def _reduction(op: str, reduction: str) -> str:
    if reduction not in REDUCTIONS:
        raise DomainError(op, f"reduction {reduction!r} is unknown", f"Use one of {REDUCTIONS}.")
    return reduction


def mse_loss(guess: Any, actual: Any, *, reduction: str = "mean") -> Any:
    """Mean squared error, mean (guess - actual)².

    Args:
        guess, actual: tensors or arrays of exactly one shape (a loss does not broadcast).
        reduction: "mean" over all elements, "sum", or "none".

    Raises:
        ShapeError: if the shapes differ, or the mean is of nothing.
        DomainError: if the reduction is unknown.

    >>> mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array(2.)
    """
    return SquaredError.of(_reduction("mse_loss", reduction))(guess, actual)


def squared_loss(guess: Any, actual: Any, *, reduction: str = "sum") -> Any:
    """The chapter's squared loss (guess - actual)², without ½ (section 7.4), summed.

    Arguments and errors as for `mse_loss`.

    >>> squared_loss(np.array(3.0), np.array(1.0))
    array(4.)
    """
    return SquaredError.of(_reduction("squared_loss", reduction))(guess, actual)


def cross_entropy(logits: Any, labels: Any, *, reduction: str = "mean") -> Any:
    """-ln softmax(logits)[label], the loss of a classifier.

    Args:
        logits: (…, classes) scores, before softmax.
        labels: (…) class numbers from 0; integers.
        reduction: "mean" over all items, "sum", or "none" (one loss per item).

    Raises:
        DomainError: if a label is out of range or the reduction is unknown.
        DTypeError: if labels are not integers.
        ShapeError: if labels are not shaped like logits without the class axis.

    >>> cross_entropy(np.array([[0.0, 0.0]]), np.array([1])).round(4)
    np.float64(0.6931)
    """
    logits, labels = (a if hasattr(a, "ndim") else np.asarray(a) for a in (logits, labels))
    return CrossEntropy.of(_reduction("cross_entropy", reduction))(logits, labels)
