"""Sums of products over labelled axes: Einstein's notation, by numpy's rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import prod
from operator import index
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, ShapeError
from ..op import Op
from ..spec import Shape, Spec, promote, show
from .elementwise import cast
from .index import Scatter, parsed
from .operand import operand
from .shape import broadcast_to, reshape, transpose

__all__ = ["einsum"]


class Einsum(Op):
    """The products of the operands, summed over the labels that the result does not name.

    The subscripts are letters only, with "->", and a label has one length wherever it stands: that
    is how `einsum` hands them on.
    """

    subscripts: str
    linear = ("xs",)
    batched = True
    style = "linear"

    def forward(self, *xs: Any) -> Any:
        dtype = promote(*map(Spec.of, xs))
        arrays = [np.asarray(x, dtype) for x in xs]
        terms, result = _split(self.subscripts)
        if len(arrays) == 2:
            return _product(terms[0], terms[1], result, *arrays)
        return np.einsum(self.subscripts, *arrays)

    def vjp_xs(self, g: Any, out: Any, i: int, *xs: Any) -> Any:
        terms, result = _split(self.subscripts)
        own, others = terms[i], terms[:i] + terms[i + 1 :]
        extra = g.ndim - out.ndim
        lead = _unused(self.subscripts)[:extra]
        kept = _among(own, "".join([result, *others]))
        back = _joined([lead + result, *others], lead + kept)
        c = Einsum.of(back)(g, *xs[:i], *xs[i + 1 :])
        return c if kept == own else _spread(c, own, kept, g.shape[:extra], xs[i].shape)

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        """One more label, which counts the examples."""
        terms, result = _split(self.subscripts)
        label = _unused(self.subscripts)[0]
        labelled = [label + t if m else t for t, m in zip(terms, mapped, strict=True)]
        return Einsum.of(_joined(labelled, label + result))(*args)

    def spec(self, *xs: Spec) -> Spec:
        sizes = self._sizes(xs)
        return Spec(tuple(sizes[label] for label in _split(self.subscripts)[1]), promote(*xs))

    def _sizes(self, xs: Sequence[Any]) -> dict[str, int]:
        terms = _split(self.subscripts)[0]
        return {
            v: n for t, x in zip(terms, xs, strict=True) for v, n in zip(t, x.shape, strict=True)
        }

    def reference(self, *xs: Any) -> Any:
        xs = tuple(np.asarray(x, dtype=object) for x in xs)
        sizes = self._sizes(xs)
        terms, result = _split(self.subscripts)
        out = scalar.empty(tuple(sizes[label] for label in result))
        out.fill(0.0)
        for values in np.ndindex(*sizes.values()):
            at = dict(zip(sizes, values, strict=True))
            product: Any = 1.0
            for term, x in zip(terms, xs, strict=True):
                product = product * x[tuple(at[label] for label in term)]
            place = tuple(at[label] for label in result)
            out[place] = out[place] + product
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        subscripts = draw.choice([*_TYPICAL, ""]) or _drawn(draw)
        terms, _ = _split(subscripts)
        lengths = (2, 3, 1, 0) if draw.integer(0, 3) == 3 else (2, 3)
        sizes = {label: draw.choice(lengths) for label in dict.fromkeys("".join(terms))}
        xs = tuple(draw.normal(tuple(sizes[label] for label in term)) for term in terms)
        return cls(subscripts), xs

    def label(self) -> str:
        return self.subscripts

    def flops(self, out: Spec, *xs: Spec) -> int:
        sizes = self._sizes(xs)
        summed = len(sizes) > len(_split(self.subscripts)[1])
        return (len(xs) - 1 + summed) * prod(sizes.values())


_TYPICAL = (
    *("ij,jk->ik", "bij,bkj->bik", "ijb,bjk->kbi", "ij,ij->i", "i,j->ji", "ij,kij->k"),
    *("ii->i", "ii->", "ij->j", "iij,jk->ki", "ij,jk,kl->li", "ij,->ji"),
)


def _drawn(draw: Draw) -> str:
    """Any subscripts of up to three operands."""
    terms = [
        "".join(draw.choice("ijkl") for _ in range(draw.integer(0, 3)))
        for _ in range(draw.integer(1, 3))
    ]
    labels = list(dict.fromkeys("".join(terms)))
    order = [labels[i] for i in draw.rng.permutation(len(labels))]
    return _joined(terms, "".join(order[draw.integer(0, len(order)) :]))


def _split(subscripts: str) -> tuple[list[str], str]:
    """The labels of each operand, and those of the result."""
    operands, _, result = subscripts.partition("->")
    return operands.split(","), result


def _joined(terms: Iterable[str], result: str) -> str:
    return ",".join(terms) + "->" + result


def _among(labels: str, others: str) -> str:
    """The labels that are among others, each once, in their order."""
    return "".join(label for label in dict.fromkeys(labels) if label in others)


def _unused(subscripts: str) -> str:
    """The letters that subscripts leave free."""
    return "".join(letter for letter in ascii_letters if letter not in subscripts)


def _product(left: str, right: str, result: str, x: Any, y: Any) -> Any:
    """The sum of products of two arrays: a matrix product if elements meet several others."""
    batch = "".join(label for label in result if label in left and label in right)
    rows = "".join(label for label in result if label not in right)
    columns = "".join(label for label in result if label not in left)
    inner = "".join(v for v in dict.fromkeys(left) if v in right and v not in result)
    if not inner or (batch and not rows + columns):
        return np.einsum(_joined([left, right], result), x, y)
    x = _arranged(x, left, batch + rows + inner)
    y = _arranged(y, right, batch + inner + columns)
    shape = x.shape[: len(batch)]
    tall = x.shape[len(batch) : len(batch + rows)]
    wide = y.shape[len(batch + inner) :]
    depth = prod(y.shape[len(batch) : len(batch + inner)])
    x = _fast(x.reshape(*shape, prod(tall), depth))
    y = _fast(y.reshape(*shape, depth, prod(wide)))
    return _arranged(np.matmul(x, y).reshape(shape + tall + wide), batch + rows + columns, result)


def _arranged(x: Any, labels: str, wanted: str) -> Any:
    """x with its axes in the wanted order, its diagonals taken, and other axes summed."""
    return x if labels == wanted else np.einsum(f"{labels}->{wanted}", x)


def _fast(x: Any) -> Any:
    """x itself, or a copy if no axis of its matrices is contiguous, which BLAS asks for."""
    return x if x.itemsize in x.strides[-2:] else np.ascontiguousarray(x)


def _spread(c: Any, own: str, kept: str, lead: Shape, shape: Shape) -> Any:
    """The cotangent of an operand from that of its kept labels.

    It is the same along axes that the operand alone has, and zero off the diagonal of a label that
    the operand repeats.
    """
    times = Counter(own)
    length = dict(zip(own, shape, strict=True))
    c = reshape(c, (*lead, *(n if v in kept else 1 for v, n in length.items())))
    if len(times) == len(own):
        return broadcast_to(c, lead + shape)
    # With its axes side by side and flat, the diagonal of a label is a slice with a step.
    steps = [slice(None, None, sum(n ** np.arange(times[v]))) for v, n in length.items()]
    flat = (n ** times[v] for v, n in length.items())
    c = Scatter.of(parsed("einsum", (..., *steps))[0], (*lead, *flat))(c)
    c = reshape(c, (*lead, *(length[v] for v in times.elements())))
    beside = sorted(range(len(own)), key=lambda place: own.index(own[place]))
    return transpose(c, (*range(len(lead)), *(np.argsort(beside) + len(lead))))


def einsum(subscripts: Any, *operands: Any, optimize: Any = True) -> Any:
    """Products of the operands, summed over labels: "ij,jk->ik" is a matrix product.

    Every form that numpy takes: labels that an operand repeats (its diagonal), "..." for the axes
    that have no label and broadcast, axes of length 1 that broadcast against a label's length, no
    "->" (then the labels that occur once, in alphabetical order, make the result), spaces, and
    `einsum(x, [0, 1], y, [1, 2], [0, 2])`. More than two operands are contracted pair by pair in
    the order that numpy's greedy search finds, which the graph and the FLOP counts then show.

    Args:
        subscripts: the labels of each operand's axes, and those of the result.
        operands: tensors, arrays or numbers; the dtype is what numpy promotes them to (Python
            numbers adapt).
        optimize: accepted as numpy's; the order of the products is always optimised.

    Raises:
        DomainError: if the subscripts are malformed, or the result names a label twice or one
            that no operand has.
        ShapeError: if the number of operands or of an operand's axes is another, or if a label
            stands for two lengths.

    >>> x = np.arange(6.0).reshape(2, 3)
    >>> einsum("ij,kj->ik", x, x)
    array([[ 5., 14.],
           [14., 50.]])
    >>> einsum("ii", x @ x.T)
    array(55.)
    """
    text, given = _text(subscripts, operands)
    xs = [operand("einsum", x) for x in given]
    shapes = tuple(x.shape if hasattr(x, "shape") else () for x in xs)
    long, steps = _plan(text, shapes)
    xs = [x if n == m else reshape(x, m) for x, n, m in zip(xs, shapes, long, strict=True)]
    if len(steps) > 1:  # or a product of some operands is computed in a smaller dtype
        dtype = promote(
            *(Spec(x.shape, x.dtype) if hasattr(x, "dtype") else Spec.of(x) for x in xs)
        )
        xs = [x if getattr(x, "dtype", dtype) == dtype else cast(x, dtype) for x in xs]
    for group, op in steps:
        result = op(*(xs[i] for i in group))
        xs = [x for i, x in enumerate(xs) if i not in group] + [result]
    return xs[0]


@lru_cache(maxsize=1024)
def _plan(
    text: str, shapes: tuple[Shape, ...]
) -> tuple[list[Shape], list[tuple[tuple[int, ...], Einsum]]]:
    """How to compute a sum of products.

    Returns:
        The shapes of the operands without axes of length 1 that broadcast against a label's
        length: those are no axes; and the steps: which operands are multiplied, and by what op.
        The result of a step becomes the last operand.
    """
    terms, result = _explicit(text, shapes)
    sizes = _lengths(text, terms, shapes)
    long = []
    for i, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        pairs = [(v, n) for v, n in zip(term, shape, strict=True) if n == sizes[v]]
        terms[i] = "".join(v for v, _ in pairs)
        long.append(tuple(n for _, n in pairs))
    steps = []
    for group in _path(_joined(terms, result), long):
        taken = [terms[i] for i in group]
        terms = [term for i, term in enumerate(terms) if i not in group]
        out = _among("".join(taken), "".join([result, *terms])) if terms else result
        terms.append(out)
        steps.append((group, Einsum.of(_joined(taken, out))))
    return long, steps


def _path(subscripts: str, shapes: list[Shape]) -> list[tuple[int, ...]]:
    """Which operands are multiplied together, in turn."""
    if len(shapes) < 3:
        return [tuple(range(len(shapes)))]
    stand_ins = [np.broadcast_to(np.zeros(()), shape) for shape in shapes]
    path: Any = np.einsum_path(subscripts, *stand_ins, optimize="greedy")[0]
    return [tuple(sorted(group)) for group in path[1:]]


def _text(subscripts: Any, operands: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """The subscripts as one text without spaces, and the operands."""
    if isinstance(subscripts, str):
        return subscripts.replace(" ", ""), list(operands)
    given = [subscripts, *operands]
    pairs = len(given) // 2 * 2
    text = ",".join(map(_letters, given[1:pairs:2]))
    return text + "".join("->" + _letters(v) for v in given[pairs:]), given[0:pairs:2]


def _letters(labels: Any) -> str:
    """Labels given as numbers, as letters in the same order."""
    letters = ascii_uppercase + ascii_lowercase
    try:
        places = [v if v is ... else index(v) for v in labels]
        outside = any(v is not ... and not 0 <= v < len(letters) for v in places)
    except TypeError:
        outside = True
    if outside:
        raise DomainError(
            "einsum",
            f"subscripts {labels!r} are not a list of integers from 0 to {len(letters) - 1}",
            'Use a text such as "ij,jk->ik", or einsum(x, [0, 1], y, [1, 2], [0, 2]).',
        )
    return "".join("..." if v is ... else letters[v] for v in places)


_TERM = re.compile(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*")


def _explicit(text: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """Labels of the operands and of the result, with letters for the axes of "..."."""
    operands, arrow, result = text.partition("->")
    terms = operands.split(",")
    for term in (*terms, result):
        if not _TERM.fullmatch(term):
            raise DomainError(
                "einsum",
                f"subscripts {text!r}: {term!r} is not made of letters and at most one '...'",
                'Write them as in "ij,jk->ik" or "...i,i->...".',
            )
    if len(terms) != len(shapes):
        raise ShapeError(
            "einsum",
            f"subscripts {text!r} have labels for {_count(len(terms), 'operand', 'operands')}, but"
            f" {_count(len(shapes), 'was', 'were')} given",
            "Separate the labels of each operand by a comma.",
        )
    ranks = [_unlabelled(i, *each) for i, each in enumerate(zip(terms, shapes, strict=True))]
    free = _unused(text)[: max(ranks)][::-1]  # from the last axis on
    if not arrow:
        count = Counter(operands)
        once = sorted(v for v in count if v.isalpha() and count[v] == 1)
        result = "".join(["...", *once])
    elif max(ranks) and "..." not in result:
        raise DomainError(
            "einsum",
            f"subscripts {text!r}: the operands have axes for '...', and the result does not",
            f'Write "->...{result}", or sum those axes first.',
        )
    full = [t.replace("...", free[:n][::-1]) for t, n in zip(terms, ranks, strict=True)]
    for label, times in Counter(result.replace("...", "")).items():
        if times > 1 or label not in operands:
            problem = "more than once" if times > 1 else "and no operand has it"
            raise DomainError(
                "einsum",
                f"subscripts {text!r}: the result names {label!r} {problem}",
                "The result names labels of the operands, each at most once.",
            )
    return full, result.replace("...", free[::-1])


def _unlabelled(i: int, term: str, shape: Shape) -> int:
    """How many axes of an operand the "..." in its labels stands for."""
    labels = term.replace("...", "")
    rest = len(shape) - len(labels)
    if rest < 0 or (rest and labels == term):
        raise ShapeError(
            "einsum",
            f"operand {i} is {show(shape)} ({_count(len(shape), 'axis', 'axes')}), but has"
            f" {_count(len(labels), 'label', 'labels')}, {term!r}",
            "Give one label to each axis, or write ... for those in front.",
        )
    return rest


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _lengths(text: str, terms: list[str], shapes: Sequence[Shape]) -> dict[str, int]:
    """The length of each label; 1 counts only where there is no other."""
    seen: dict[str, tuple[int, int]] = {}  # the operand that has it, and its length there
    for i, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        own: dict[str, int] = {}
        for label, n in zip(term, shape, strict=True):
            if own.setdefault(label, n) != n:
                raise _two_lengths(text, label, (i, own[label]), (i, n), shapes)
        for label, n in own.items():
            first, length = seen.setdefault(label, (i, n))
            if length == 1:
                seen[label] = i, n
            elif n not in (1, length):
                raise _two_lengths(text, label, (first, length), (i, n), shapes)
    return {label: n for label, (_, n) in seen.items()}


def _two_lengths(
    text: str, label: str, one: tuple[int, int], other: tuple[int, int], shapes: Sequence[Shape]
) -> ShapeError:
    name = f"label {label!r}" if label in text else "an axis of '...'"
    (i, n), (j, m) = one, other
    return ShapeError(
        "einsum",
        f"subscripts {text!r}: {name} is {n} long in operand {i} ({show(shapes[i])}) and {m} long"
        f" in operand {j} ({show(shapes[j])})",
        "Give axes of different lengths different labels.",
    )
