"""Losses of questions with two answers, and the margin that tells them apart."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, ShapeError
from ..kink import Kink
from ..spec import Spec, broadcast, floating, show
from .activation import sigmoid
from .choice import maximum, where
from .elementwise import cast, greater, mask
from .loss import REDUCTIONS, PairLoss, paired, reduced
from .operand import known, operand_spec, real, values

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "hinge_loss"]

LEAST_LOG = -100.0  # logarithms of probabilities are cut off here
LEAST = exp(LEAST_LOG)
FLAT = 1e-12  # p · (1 - p) is taken for at least this in a slope


class BinaryCrossEntropy(PairLoss):
    """-(y ln p + (1 - y) ln(1 - p)) for each probability p and its truth y."""

    kinks = (
        Kink(
            "p = 0 or 1",
            "slope (p - y) · 10¹², logarithms being cut off at -100",
            ([0.0, 1.0, 0.0], [1.0, 0.0, 0.0]),
            ([-1 / FLAT, 1 / FLAT, 0.0], [100.0, -100.0, 100.0]),
            ("sum",),
        ),
    )

    def forward(self, probability: Any, actual: Any) -> Any:
        dtype = floating(Spec.of(probability), Spec.of(actual))
        p, y = np.asarray(probability, dtype), np.asarray(actual, dtype)
        with np.errstate(divide="ignore", invalid="ignore"):
            losses = _cost(p, y)
            losses += _cost(1 - p, 1 - y)
        if np.isnan(losses.min(initial=0.0)):
            self._check(p)
        return self._reduce(losses)

    def _check(self, p: Any) -> None:
        """Raise if a probability is outside 0 to 1: its logarithm is NaN."""
        wrong = np.argwhere((p < 0) | (p > 1))
        if len(wrong):
            at = tuple(int(i) for i in wrong[0])
            raise DomainError(
                self.name,
                f"probability {p[at]:g} at position {at[0] if len(at) == 1 else at} is outside 0"
                " to 1",
                "Apply sigmoid, or use binary_cross_entropy_with_logits.",
            )

    def vjp_probability(self, g: Any, out: Any, probability: Any, actual: Any) -> Any:
        slope = _slope(probability, actual)
        return self._each(g, slope.size) * slope

    def vjp_actual(self, g: Any, out: Any, probability: Any, actual: Any) -> Any:
        slope = _log(1 - probability) - _log(probability)
        return self._each(g, slope.size) * slope

    def jvp_probability(self, t: Any, out: Any, probability: Any, actual: Any) -> Any:
        return self._reduce(t * _slope(probability, actual))

    def jvp_actual(self, t: Any, out: Any, probability: Any, actual: Any) -> Any:
        return self._reduce(t * (_log(1 - probability) - _log(probability)))

    def one(self, guess: Any, actual: Any) -> Any:
        return -(actual * scalar.log(guess) + (1.0 - actual) * scalar.log(1.0 - guess))

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        shape = draw.shape(sizes=(2, 3, 1, 5))
        p = np.asarray(draw.rng.uniform(0.2, 0.8, shape))
        return cls(draw.choice(REDUCTIONS)), (p, np.asarray(draw.rng.uniform(0.0, 1.0, shape)))

    def flops(self, out: Spec, guess: Spec, actual: Spec) -> int:  # type: ignore[override]
        return 7 * guess.size


def _cost(p: Any, weight: Any) -> Any:
    """-weight · ln p, an array of its own."""
    log = np.asarray(np.log(p))
    np.maximum(log, LEAST_LOG, out=log)
    log *= weight
    return np.negative(log, out=log)


def _log(p: Any) -> Any:
    """ln p, or -100 where that is less."""
    dtype = getattr(p, "dtype", np.float64)
    least = max(LEAST, float(np.finfo(dtype).smallest_subnormal))  # float16 rounds it to 0
    small = greater(least, p)
    return where(small, LEAST_LOG, np.log(where(small, 1.0, p)))


def _slope(p: Any, y: Any) -> Any:
    """(p - y) / (p (1 - p)), finite for p = 0 and p = 1."""
    least = max(FLAT, float(np.finfo(p.dtype).tiny))  # float16 knows no number that small
    return (p - y) / maximum(p * (1 - p), least)


class BinaryCrossEntropyWithLogits(PairLoss):
    """ln(1 + eˣ) - x y for each logit x and its truth y."""

    def forward(self, logits: Any, actual: Any) -> Any:
        dtype = floating(Spec.of(logits), Spec.of(actual))
        x, y = np.asarray(logits, dtype), np.asarray(actual, dtype)
        return self._reduce(np.log1p(np.exp(-np.abs(x))) + (np.maximum(x, 0) - x * y))

    def vjp_logits(self, g: Any, out: Any, logits: Any, actual: Any) -> Any:
        slope = sigmoid(logits) - actual
        return self._each(g, slope.size) * slope

    def vjp_actual(self, g: Any, out: Any, logits: Any, actual: Any) -> Any:
        return self._each(g, actual.size) * -logits

    def jvp_logits(self, t: Any, out: Any, logits: Any, actual: Any) -> Any:
        return self._reduce(t * (sigmoid(logits) - actual))

    def jvp_actual(self, t: Any, out: Any, logits: Any, actual: Any) -> Any:
        return self._reduce(t * -logits)

    def one(self, guess: Any, actual: Any) -> Any:
        return scalar.log(1.0 + scalar.exp(guess)) - guess * actual

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        shape = draw.shape(sizes=(2, 3, 1, 5))
        logits, actual = draw.logits(shape), draw.rng.uniform(0.0, 1.0, shape)
        return cls(draw.choice(REDUCTIONS)), (logits, np.asarray(actual))

    def flops(self, out: Spec, guess: Spec, actual: Spec) -> int:  # type: ignore[override]
        return 7 * guess.size


class HingeLoss(PairLoss):
    """max(0, 1 - y s) for each score s and its truth y."""

    kinks = (
        Kink(
            "y · s = 1",
            "slope 0",
            ([1.0, 0.0, -1.0], [1.0, 1.0, -1.0]),
            ([0.0, -1.0, 0.0], [0.0, 0.0, 0.0]),
            ("sum",),
        ),
    )

    def forward(self, scores: Any, actual: Any) -> Any:
        dtype = floating(Spec.of(scores), Spec.of(actual))
        margin = np.asarray(np.multiply(scores, actual, dtype=dtype))
        np.subtract(1, margin, out=margin)
        return self._reduce(np.maximum(margin, 0, out=margin))

    def vjp_scores(self, g: Any, out: Any, scores: Any, actual: Any) -> Any:
        return _short(self._per_element(g, actual) * actual, scores * actual)

    def vjp_actual(self, g: Any, out: Any, scores: Any, actual: Any) -> Any:
        return _short(self._per_element(g, actual) * scores, scores * actual)

    def jvp_scores(self, t: Any, out: Any, scores: Any, actual: Any) -> Any:
        return self._reduce(_short(t * actual, scores * actual))

    def jvp_actual(self, t: Any, out: Any, scores: Any, actual: Any) -> Any:
        return self._reduce(_short(t * scores, scores * actual))

    def one(self, guess: Any, actual: Any) -> Any:
        lack = 1.0 - actual * guess
        return lack if scalar.value(lack) > 0 else lack * 0.0

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        actual = draw.rng.choice([-1.0, 1.0], draw.shape(sizes=(2, 3, 1, 5)))
        scores = actual * (1 - draw.kinky(actual.shape))
        return cls(draw.choice(REDUCTIONS)), (scores, np.asarray(actual))

    def flops(self, out: Spec, guess: Spec, actual: Spec) -> int:  # type: ignore[override]
        return 4 * guess.size


def _short(x: Any, margin: Any) -> Any:
    """-x where the margin is short of 1, 0 elsewhere."""
    return mask(-x, greater(1, margin))


def _scale(op: str, name: str, factor: Any, like: Spec) -> Any:
    """A factor of the losses, in their dtype, if it broadcasts to their shape."""
    factor = real(op, name, factor)
    spec = operand_spec(factor)
    if broadcast(op, losses=like, **{name: spec}) != like.shape:
        raise ShapeError(
            op,
            f"{name} is {show(spec.shape)}, but the losses are {show(like.shape)}",
            f"Let {name} have at most the axes of the losses.",
        )
    return factor if spec.weak or spec.dtype == like.dtype else cast(factor, like.dtype)


def binary_cross_entropy(
    probability: Any, actual: Any, *, weight: Any = None, reduction: str = "mean"
) -> Any:
    """-(y ln p + (1 - y) ln(1 - p)) of probabilities p of "yes" and truths y.

    Logarithms are cut off at -100, and p·(1 - p) in a slope is taken for at least 10⁻¹² (in
    float16, for its least normal number), so that p = 0 and p = 1 give finite losses and slopes.
    `binary_cross_entropy_with_logits` is more accurate: it knows how close to 0 or 1 they are.

    Args:
        probability: numbers from 0 to 1.
        actual: truths from 0 (no) to 1 (yes), of the same shape.
        weight: factor of each loss; it broadcasts to their shape.
        reduction: "mean" over all elements (whatever they weigh), "sum", or "none".

    Raises:
        DomainError: if a probability is outside 0 to 1, or the reduction is unknown.
        ShapeError: if the shapes differ, or the mean is of nothing.
        DTypeError: if an argument is not made of real numbers.

    >>> binary_cross_entropy(np.array([0.5, 1.0]), np.array([1.0, 0.0]), reduction="none").round(4)
    array([  0.6931, 100.    ])
    """
    op, names = "binary_cross_entropy", ("probability", "actual")
    probability, actual = paired(op, probability, actual, reduction, names)
    if weight is None:
        return BinaryCrossEntropy.of(reduction)(probability, actual)
    losses = BinaryCrossEntropy.of("none")(probability, actual)
    return reduced(losses * _scale(op, "weight", weight, operand_spec(losses)), reduction)


def binary_cross_entropy_with_logits(
    logits: Any, actual: Any, *, pos_weight: Any = None, reduction: str = "mean"
) -> Any:
    """-(y ln p + (1 - y) ln(1 - p)) with p = sigmoid(logits), without ever forming p.

    It neither overflows nor loses digits, however large a logit: its slope is p - y.

    Args:
        logits: finite numbers of any size.
        actual: truths from 0 (no) to 1 (yes), of the same shape.
        pos_weight: how much more a "yes" counts than a "no"; it broadcasts to the shape of the
            logits (one number, or one for each class on the last axis).
        reduction: "mean" over all elements, "sum", or "none".

    Raises:
        ShapeError: if the shapes differ, or the mean is of nothing.
        DTypeError: if an argument is not made of real numbers.
        DomainError: if the reduction is unknown.

    >>> binary_cross_entropy_with_logits(np.array([0.0, 1e4]), np.array([1.0, 0.0])).round(4)
    np.float64(5000.3466)
    """
    op, names = "binary_cross_entropy_with_logits", ("logits", "actual")
    logits, actual = paired(op, logits, actual, reduction, names)
    if pos_weight is None:
        return BinaryCrossEntropyWithLogits.of(reduction)(logits, actual)
    spec = operand_spec(logits)
    each = BinaryCrossEntropyWithLogits.of("none")
    yes = each(logits, np.ones(spec.shape, spec.dtype))
    no = each(logits, np.zeros(spec.shape, spec.dtype))
    factor = _scale(op, "pos_weight", pos_weight, spec)
    return reduced(factor * actual * yes + (1 - actual) * no, reduction)


def hinge_loss(scores: Any, actual: Any, *, reduction: str = "mean") -> Any:
    """max(0, 1 - actual · score): 0 for whoever is right by a margin of 1; slope 0 right there.

    Source: Cortes and Vapnik, Support-vector networks (1995).

    Args:
        scores: numbers of any size; their sign is the guess.
        actual: -1 or 1, of the same shape.
        reduction: "mean" over all elements, "sum", or "none".

    Raises:
        DomainError: if a truth is neither -1 nor 1, or the reduction is unknown.
        ShapeError: if the shapes differ, or the mean is of nothing.
        DTypeError: if an argument is not made of real numbers.

    >>> hinge_loss(np.array([2.0, 0.5, -1.0]), np.array([1, 1, 1]), reduction="none")
    array([0. , 0.5, 2. ])
    """
    scores, actual = paired("hinge_loss", scores, actual, reduction, ("scores", "actual"))
    truths = values(actual)
    wrong = (truths != 1) & (truths != -1)
    if known(actual) and wrong.any():
        raise DomainError(
            "hinge_loss",
            f"actual holds {truths[wrong][0]:g} (it is {show(truths.shape)}), neither -1 nor 1",
            "Turn 0 and 1 into -1 and 1: 2 * actual - 1.",
        )
    return HingeLoss.of(reduction)(scores, actual)
