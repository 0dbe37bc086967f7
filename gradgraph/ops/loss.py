"""Losses: how far a guess is from the truth, as one number."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, ShapeError
from ..kink import Kink
from ..op import Op
from ..spec import Shape, Spec, floating, show
from .arithmetic import absolute
from .choice import where
from .clip import clip
from .elementwise import cast, equal, mask, negate
from .operand import number, operand_spec, real
from .reduce import mean, sum

__all__ = ["huber_loss", "kl_div", "l1_loss", "mse_loss", "smooth_l1_loss", "squared_loss"]

REDUCTIONS = ("mean", "sum", "none")


class Loss(Op, abstract=True):
    """Losses per item, and their mean, sum, or none of both."""

    reduction: str = "mean"
    checks = True
    style = "loss"

    def _reduce(self, losses: Any) -> Any:
        return reduced(losses, self.reduction)

    def _each(self, g: Any, count: int) -> Any:
        """Cotangent of each item's loss."""
        return g * (1.0 / count) if self.reduction == "mean" else g

    def _reduced(self, out: Any) -> Any:
        """The definition of the reduction on an array of scalars."""
        if self.reduction == "none":
            return out
        total = scalar.total(out.ravel())
        result = scalar.empty(())
        result[()] = total * (1.0 / out.size) if self.reduction == "mean" else total
        return result

    def _spec(self, shape: Shape, dtype: Any) -> Spec:
        check_batch(self.name, shape, self.reduction)
        return Spec(shape if self.reduction == "none" else (), dtype)


class PairLoss(Loss, abstract=True):
    """A loss of guesses and truths of one shape, element by element."""

    def spec(self, guess: Spec, actual: Spec) -> Spec:
        check_shapes(self.name, self.args, guess.shape, actual.shape)
        return self._spec(guess.shape, floating(guess, actual))

    def _per_element(self, g: Any, like: Any) -> Any:
        """Cotangent of each element's loss; a plain number is one element."""
        return self._each(g, getattr(like, "size", 1))

    def one(self, guess: Any, actual: Any) -> Any:
        """The definition of the loss of one element."""
        raise NotImplementedError

    def reference(self, guess: Any, actual: Any) -> Any:
        guess, actual = (np.asarray(a, dtype=object) for a in (guess, actual))
        out = scalar.empty(guess.shape)
        for at in np.ndindex(out.shape):
            out[at] = self.one(guess[at], actual[at])
        return self._reduced(out)


class SquaredError(PairLoss):
    """(guess - actual)² for each element."""

    def forward(self, guess: Any, actual: Any) -> Any:
        dtype = floating(Spec.of(guess), Spec.of(actual))
        error = np.subtract(guess, actual, dtype=dtype)
        error *= error
        return self._reduce(error)

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

    def one(self, guess: Any, actual: Any) -> Any:
        return (guess - actual) * (guess - actual)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        shape = draw.shape(sizes=(2, 3, 1, 5))
        return cls(draw.choice(REDUCTIONS)), (draw.normal(shape), draw.normal(shape))

    def flops(self, out: Spec, guess: Spec, actual: Spec) -> int:  # type: ignore[override]
        return 3 * guess.size


class KlDiv(PairLoss):
    """actual · (ln actual - log_guess) for each element; 0 where the truth is 0."""

    kinks = (
        Kink(
            "actual = 0",
            "slope 0 (the limit is -∞)",
            ([-1.0, -1.0], [0.0, 1.0]),
            ([0.0, -1.0], [0.0, 2.0]),
            ("sum",),
        ),
    )

    def forward(self, log_guess: Any, actual: Any) -> Any:
        dtype = floating(Spec.of(log_guess), Spec.of(actual))
        truth = np.asarray(actual, dtype)
        with np.errstate(divide="ignore", invalid="ignore"):  # 0 · ∞, or a truth below 0
            terms = np.asarray(np.log(truth))
            terms -= log_guess
            terms *= truth
        terms[truth == 0] = 0
        return self._reduce(terms)

    def vjp_log_guess(self, g: Any, out: Any, log_guess: Any, actual: Any) -> Any:
        return _where_true(self._per_element(g, actual), actual) * -actual

    def vjp_actual(self, g: Any, out: Any, log_guess: Any, actual: Any) -> Any:
        return _where_true(self._per_element(g, actual), actual) * _by_truth(log_guess, actual)

    def jvp_log_guess(self, t: Any, out: Any, log_guess: Any, actual: Any) -> Any:
        return self._reduce(_where_true(t, actual) * -actual)

    def jvp_actual(self, t: Any, out: Any, log_guess: Any, actual: Any) -> Any:
        return self._reduce(_where_true(t, actual) * _by_truth(log_guess, actual))

    def one(self, guess: Any, actual: Any) -> Any:
        return actual * (scalar.log(actual) - guess) if scalar.value(actual) else actual * 0.0

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        shape = draw.shape(sizes=(2, 3, 1, 5))
        truth = np.asarray(draw.rng.uniform(0.2, 1.0, shape))
        return cls(draw.choice(REDUCTIONS)), (draw.normal(shape), truth)

    def flops(self, out: Spec, guess: Spec, actual: Spec) -> int:  # type: ignore[override]
        return 4 * guess.size


def _by_truth(log_guess: Any, actual: Any) -> Any:
    """The slope of a divergence by its truth."""
    logarithm = np.log(where(equal(actual, 0), 1.0, actual))
    return _where_true(logarithm + 1 - log_guess, actual)


def _where_true(x: Any, actual: Any) -> Any:
    """x, but 0 where the truth is 0, whatever arrives there."""
    return mask(x, negate(equal(actual, 0)))


def reduced(losses: Any, reduction: str) -> Any:
    """The mean or the sum of the losses, or the losses themselves."""
    if reduction == "none":
        return losses
    return (mean if reduction == "mean" else sum)(losses)


def check_reduction(op: str, reduction: Any) -> str:
    """The reduction, if there is such a one."""
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        raise DomainError(op, f"reduction {reduction!r} is unknown", f"Use one of {REDUCTIONS}.")
    return str(reduction)


def check_batch(op: str, shape: Shape, reduction: str) -> None:
    """Raise if the mean is of no losses."""
    if reduction == "mean" and 0 in shape:
        raise ShapeError(
            op,
            f"the batch is empty ({show(shape)}): its mean loss is undefined",
            'Use reduction="sum", or skip empty batches.',
        )


def check_shapes(op: str, names: Sequence[str], guess: Shape, actual: Shape) -> None:
    """Raise if guesses and truths differ in shape."""
    if guess != actual:
        a, b = names
        raise ShapeError(
            op,
            f"{a} is {show(guess)} but {b} is {show(actual)}; a loss does not broadcast, because"
            " that pairs every guess with every truth",
            f"Use {b}.reshape{guess}."
            if prod(guess) == prod(actual)
            else "Compare arrays of one shape.",
        )


def paired(
    op: str, guess: Any, actual: Any, reduction: str, names: Sequence[str] = ("guess", "actual")
) -> tuple[Any, Any]:
    """Guesses and truths as floats, once their shapes and the reduction have been checked.

    Integers take the dtype of the floats beside them: labels do not make a float32 loss float64.
    """
    check_reduction(op, reduction)
    guess, actual = (real(op, name, x) for name, x in zip(names, (guess, actual), strict=True))
    specs = [operand_spec(x) for x in (guess, actual)]
    check_shapes(op, names, specs[0].shape, specs[1].shape)
    check_batch(op, specs[0].shape, reduction)
    floats = [s for s in specs if s.dtype.kind == "f"]
    if len(floats) == 2:
        return guess, actual
    dtype = floating(*(floats or specs))  # differences of unsigned integers would wrap around
    first, second = (
        x if s.dtype.kind == "f" else cast(x, dtype)
        for x, s in zip((guess, actual), specs, strict=True)
    )
    return first, second


def mse_loss(guess: Any, actual: Any, *, reduction: str = "mean") -> Any:
    """Mean squared error, mean (guess - actual)².

    Args:
        guess, actual: tensors or arrays of exactly one shape (a loss does not broadcast);
            integers become floats of the other's dtype.
        reduction: "mean" over all elements, "sum", or "none".

    Raises:
        ShapeError: if the shapes differ, or the mean is of nothing.
        DTypeError: if an argument is not made of real numbers.
        DomainError: if the reduction is unknown.

    >>> mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array(2.)
    """
    guess, actual = paired("mse_loss", guess, actual, reduction)
    return SquaredError.of(reduction)(guess, actual)


def squared_loss(guess: Any, actual: Any, *, reduction: str = "sum") -> Any:
    """The chapter's squared loss (guess - actual)², without ½ (section 7.4), summed.

    Arguments and errors as for `mse_loss`.

    >>> squared_loss(np.array(3.0), np.array(1.0))
    array(4.)
    """
    guess, actual = paired("squared_loss", guess, actual, reduction)
    return SquaredError.of(reduction)(guess, actual)


def l1_loss(guess: Any, actual: Any, *, reduction: str = "mean") -> Any:
    """Mean absolute error, mean |guess - actual|; its slope is 0 where both agree.

    Arguments and errors as for `mse_loss`.

    >>> l1_loss(np.array([1.0, 2.0]), np.array([1.0, 5.0]))
    array(1.5)
    """
    guess, actual = paired("l1_loss", guess, actual, reduction)
    return reduced(absolute(guess - actual), reduction)


def huber_loss(guess: Any, actual: Any, *, delta: float = 1.0, reduction: str = "mean") -> Any:
    """Squares for small errors, a straight line for large ones, which so weigh less.

    With e = guess - actual it is e²/2 where |e| ≤ δ, and δ·(|e| - δ/2) beyond; that is q·(e - q/2)
    with q = e cut off at ±δ, and q is its slope.

    Source: Huber, Robust estimation of a location parameter (1964).

    Args:
        guess, actual, reduction: as for `mse_loss`.
        delta: where the line begins; positive.

    Raises:
        DomainError: if delta is not positive.
        Also those of `mse_loss`.

    >>> huber_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])
    """
    guess, actual = paired("huber_loss", guess, actual, reduction)
    if number("huber_loss", "delta", delta, 0.0) == 0:
        raise DomainError("huber_loss", "delta is 0: no loss at all", "Use l1_loss for its limit.")
    error = guess - actual
    near = clip(error, -float(delta), float(delta))
    return reduced(near * (error - 0.5 * near), reduction)


def smooth_l1_loss(guess: Any, actual: Any, *, beta: float = 1.0, reduction: str = "mean") -> Any:
    """Huber's loss by β: e²/(2β) where |e| ≤ β, |e| - β/2 beyond; for β = 0 it is `l1_loss`.

    Source: Girshick, Fast R-CNN (2015).

    Args:
        guess, actual, reduction: as for `mse_loss`.
        beta: where the line of slope 1 begins; not negative.

    Raises:
        DomainError: if beta is negative.
        Also those of `mse_loss`.

    >>> smooth_l1_loss(np.array([0.5, 3.0]), np.zeros(2), beta=0.5, reduction="none")
    array([0.25, 2.75])
    """
    guess, actual = paired("smooth_l1_loss", guess, actual, reduction)
    error = guess - actual
    if number("smooth_l1_loss", "beta", beta, 0.0) == 0:
        return reduced(absolute(error), reduction)
    near = clip(error, -float(beta), float(beta))
    return reduced(near / float(beta) * (error - 0.5 * near), reduction)


def kl_div(log_guess: Any, actual: Any, *, reduction: str = "mean") -> Any:
    """Kullback-Leibler divergence, element by element: actual · (ln actual - log_guess).

    A term whose truth is 0 is 0, as is its slope by the truth (the limit is -∞). The divergence of
    two distributions is the sum over their elements: use `reduction="sum"`, or "none" and `.sum`
    over the axis of the classes; the mean is over all elements.

    Args:
        log_guess: logarithms of probabilities, as from `log_softmax`.
        actual: probabilities, of the same shape; a negative one gives NaN.
        reduction: "mean" over all elements, "sum", or "none".

    Raises:
        As `mse_loss`.

    >>> half = np.log([0.5, 0.5])
    >>> kl_div(half, np.array([1.0, 0.0]), reduction="sum").round(4)
    np.float64(0.6931)
    """
    log_guess, actual = paired("kl_div", log_guess, actual, reduction, ("log_guess", "actual"))
    return KlDiv.of(reduction)(log_guess, actual)
