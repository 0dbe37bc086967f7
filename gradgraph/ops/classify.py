"""Losses of classifiers: how surprising the right class is to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, DTypeError, ShapeError
from ..op import Op
from ..spec import Shape, Spec, floating, show
from .choice import where
from .elementwise import both, cast, equal, mask, negate
from .index import getitem
from .loss import REDUCTIONS, Loss, check_batch, check_reduction, reduced
from .operand import number, operand_spec, real, shaped
from .reduce import sum
from .select import OneHot
from .softmax import log_softmax, log_total, softmax, to_top

__all__ = ["cross_entropy", "nll_loss"]


class CrossEntropy(Loss):
    """-ln softmax(logits)[label] for each item; the class axis is the last."""

    constant = ("labels",)

    def forward(self, logits: Any, labels: Any) -> Any:
        _check_labels(self.name, labels, logits.shape)
        shifted, _ = to_top(logits, -1)
        chosen = np.take_along_axis(shifted, labels[..., None], axis=-1)
        losses = (log_total(shifted, -1) - chosen)[..., 0]
        return self._reduce(losses.astype(floating(Spec.of(logits)), copy=False))

    def vjp_logits(self, g: Any, out: Any, logits: Any, labels: Any) -> Any:
        each = self._each(g, labels.size)
        each = each[..., None] if self.reduction == "none" else each
        return each * _surplus(logits, labels)

    def jvp_logits(self, t: Any, out: Any, logits: Any, labels: Any) -> Any:
        return self._reduce(sum(t * _surplus(logits, labels), axis=-1))

    def spec(self, logits: Spec, labels: Spec) -> Spec:
        check_classes(self.name, logits, labels)
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
        logits, labels = _draw_items(draw)
        return cls(draw.choice(REDUCTIONS)), (logits, labels)

    def flops(self, out: Spec, logits: Spec, labels: Spec) -> int:  # type: ignore[override]
        return 5 * logits.size


class Chosen(Op):
    """The element of each item at its label; the class axis is the last."""

    loss: str  # whose labels they are, for its errors
    linear = ("log_probs",)
    constant = ("labels",)
    batched = True
    checks = True
    style = "loss"

    def forward(self, log_probs: Any, labels: Any) -> Any:
        _check_labels(self.loss, labels, log_probs.shape)
        return np.take_along_axis(log_probs, labels[..., None], axis=-1)[..., 0]

    def vjp_log_probs(self, g: Any, out: Any, log_probs: Any, labels: Any) -> Any:
        return mask(g[..., None], _one_hot(labels, log_probs.shape[-1], np.dtype(bool)))

    def spec(self, log_probs: Spec, labels: Spec) -> Spec:
        check_classes(self.loss, log_probs, labels)
        return Spec(labels.shape, log_probs.dtype)

    def reference(self, log_probs: Any, labels: Any) -> Any:
        log_probs = np.asarray(log_probs, dtype=object)
        out = scalar.empty(labels.shape)
        for at in np.ndindex(out.shape):
            out[at] = log_probs[at][labels[at]] * 1.0
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return cls("nll_loss"), _draw_items(draw)

    def label(self) -> str:
        return ""

    def flops(self, out: Spec, log_probs: Spec, labels: Spec) -> int:  # type: ignore[override]
        return 0


def _draw_items(draw: Draw) -> tuple[Any, Any]:
    """Logits of some items, and a label for each."""
    lead = draw.choice([(2,), (3, 2), (), (1,)])
    classes = draw.integer(1, 4)
    labels = draw.rng.integers(0, classes, size=lead)
    return draw.logits((*lead, classes)), np.asarray(labels)


def _surplus(logits: Any, labels: Any) -> Any:
    """softmax(logits) minus one-hot labels: the slope of each item's loss."""
    return softmax(logits) - _one_hot(labels, logits.shape[-1], logits.dtype)


def _one_hot(labels: Any, classes: int, dtype: Any) -> Any:
    """1 at the class of each item, 0 at the others."""
    return OneHot.of(classes, dtype.name)(labels)


def _check_labels(op: str, labels: Any, shape: Shape) -> None:
    """Raise if a label is no class."""
    classes = shape[-1]
    if not labels.size or (labels.min() >= 0 and labels.max() < classes):
        return
    wrong = (labels < 0) | (labels >= classes)
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    raise DomainError(
        op,
        f"label {labels[at]} at position {at[0] if len(at) == 1 else at} is outside 0 to"
        f" {classes - 1} ({argument(op)} are {show(shape)}, so there are {classes} classes)",
        "Count labels from 0, or give the last layer more outputs.",
    )


def argument(op: str) -> str:
    """What a loss calls the array with the class axis."""
    return "log_probs" if op == "nll_loss" else "logits"


def check_classes(op: str, logits: Spec, labels: Spec) -> None:
    """Raise if the labels are no class numbers of the items."""
    named = argument(op)
    if labels.dtype.kind not in "iu":
        raise DTypeError(
            op,
            f"labels are {labels.dtype}, not integers",
            "Pass class numbers: labels.astype(int).",
        )
    if not logits.ndim or logits.shape[:-1] != labels.shape:
        one_hot = logits.shape == labels.shape
        raise ShapeError(
            op,
            f"{named} are {show(logits.shape)}, so labels must be {show(logits.shape[:-1])}"
            f" (one class number per item), but they are {show(labels.shape)}",
            "Turn one-hot rows into numbers: labels.argmax(-1)."
            if one_hot
            else f"The last axis of {named} is the class axis.",
        )
    if not logits.shape[-1]:
        raise ShapeError(op, f"{named} are {logits}: no classes", "Add outputs.")


def _class_losses(
    op: str,
    log_probs: Any,
    labels: Any,
    weight: Any,
    ignore_index: Any,
    smoothing: float,
    reduction: str,
) -> Any:
    """The losses of labels that are class numbers, from the logarithms of probabilities."""
    spec = operand_spec(log_probs)
    check_batch(op, labels.shape, reduction)
    counts = None if ignore_index is None else negate(equal(labels, _label(op, ignore_index)))
    kept = labels if counts is None else where(counts, labels, 0)
    losses = -Chosen.of(op)(log_probs, kept)
    each = None
    if weight is not None:
        weight = _weights(op, weight, spec)
        each = getitem(weight, kept)
        losses = losses * each
    if smoothing:
        spread = log_probs if weight is None else log_probs * weight
        losses = (1 - smoothing) * losses - (smoothing / spec.shape[-1]) * sum(spread, axis=-1)
    if counts is not None:
        losses = mask(losses, counts)
        each = cast(counts, spec.dtype) if each is None else mask(each, counts)
    if each is None or reduction != "mean":
        return reduced(losses, reduction)
    wide = np.promote_types(spec.dtype, np.float32)  # sums overflow float16
    total = sum(cast(each, wide))
    average = sum(cast(losses, wide)) / where(equal(total, 0), 1.0, total)
    return cast(average, spec.dtype)


def _label(op: str, label: Any) -> int:
    if isinstance(label, bool) or not isinstance(label, int | np.integer):
        raise DTypeError(op, f"ignore_index is {label!r}, not an int", "Pass ignore_index=-1, say.")
    return int(label)


def _weights(op: str, weight: Any, logits: Spec) -> Any:
    """The weights of the classes, in the dtype of the logits."""
    weight = real(op, "weight", weight)
    spec = operand_spec(weight)
    if spec.shape != logits.shape[-1:]:
        raise ShapeError(
            op,
            f"weight is {show(spec.shape)}, but there are {logits.shape[-1]} classes",
            "Give one weight for each class.",
        )
    return weight if spec.dtype == logits.dtype else cast(weight, logits.dtype)


def _soft_losses(
    op: str, logits: Any, labels: Any, weight: Any, smoothing: float, reduction: str
) -> Any:
    """The losses of labels that are probabilities of the classes."""
    if labels.shape != logits.shape:
        raise ShapeError(
            op,
            f"labels are {show(labels.shape)} probabilities, but logits are {show(logits.shape)}",
            "Give one probability for each logit, or one class number (an integer) per item.",
        )
    check_batch(op, labels.shape[:-1], reduction)
    log_probs = log_softmax(logits)
    if smoothing:
        labels = (1 - smoothing) * labels + smoothing / logits.shape[-1]
    excluded = both(equal(labels, 0), equal(log_probs, -np.inf))  # 0 · ∞ is 0
    terms = labels * where(excluded, 0.0, log_probs)
    if weight is not None:
        terms = terms * _weights(op, weight, operand_spec(log_probs))
    return reduced(-sum(terms, axis=-1), reduction)


def cross_entropy(
    logits: Any,
    labels: Any,
    *,
    reduction: str = "mean",
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """-ln softmax(logits)[label], the loss of a classifier.

    With labels that are probabilities q it is -Σ q ln softmax(logits), summed over the classes.

    Args:
        logits: (…, classes) scores, before softmax.
        labels: (…) class numbers from 0, integers; or (…, classes) probabilities, floats, which
            get gradients too.
        reduction: "mean" over all items, "sum", or "none" (one loss per item).
        weight: (classes,) how much each class counts. The mean of class numbers is then the
            weighted one, Σ w loss / Σ w over the items; that of probabilities still divides by
            the number of items.
        ignore_index: the label of items that do not count, neither in the sum nor in the mean; it
            need be no class. If no item counts, the mean is 0, as is its gradient.
        label_smoothing: 0 to 1; that part of each label is spread evenly over all classes.
            Source: Szegedy et al., Rethinking the Inception architecture (2015), section 7.

    Raises:
        DomainError: if a label is out of range, the reduction is unknown, or the smoothing is not
            from 0 to 1.
        DTypeError: if labels are neither integers nor probabilities.
        ShapeError: if labels or weights do not fit the logits, or the mean is of nothing.

    >>> cross_entropy(np.array([[0.0, 0.0]]), np.array([1])).round(4)
    np.float64(0.6931)
    >>> cross_entropy(np.zeros((3, 2)), np.array([1, -1, 0]), ignore_index=-1).round(4)
    np.float64(0.6931)
    """
    op = "cross_entropy"
    check_reduction(op, reduction)
    smoothing = number(op, "label_smoothing", label_smoothing, 0.0, 1.0)
    logits, labels = (shaped(op, a) for a in (logits, labels))
    if labels.dtype.kind == "f" and labels.ndim == logits.ndim > 0:
        if ignore_index is not None:
            raise DTypeError(
                op,
                f"ignore_index is {ignore_index!r}, but labels are probabilities, not class"
                " numbers",
                "Give items that do not count the probabilities 0.",
            )
        return _soft_losses(op, logits, labels, weight, smoothing, reduction)
    if weight is None and ignore_index is None and not smoothing:
        return CrossEntropy.of(reduction)(logits, labels)
    check_classes(op, operand_spec(logits), operand_spec(labels))
    return _class_losses(
        op, log_softmax(logits), labels, weight, ignore_index, smoothing, reduction
    )


def nll_loss(
    log_probs: Any,
    labels: Any,
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Any:
    """-log_probs[label]: `cross_entropy` for those who have taken `log_softmax` already.

    Args:
        log_probs: (…, classes) logarithms of probabilities.
        labels: (…) class numbers from 0; integers.
        weight, ignore_index, reduction: as for `cross_entropy`.

    Raises:
        DomainError: if a label is out of range or the reduction is unknown.
        DTypeError: if labels are not integers.
        ShapeError: if labels or weights do not fit, or the mean is of nothing.

    >>> nll_loss(np.log([[0.25, 0.75]]), np.array([1])).round(4)
    np.float64(0.2877)
    """
    op = "nll_loss"
    check_reduction(op, reduction)
    log_probs, labels = (shaped(op, a) for a in (log_probs, labels))
    check_classes(op, operand_spec(log_probs), operand_spec(labels))
    if log_probs.dtype.kind != "f":
        log_probs = cast(log_probs, floating(operand_spec(real(op, "log_probs", log_probs))))
    return _class_losses(op, log_probs, labels, weight, ignore_index, 0.0, reduction)
