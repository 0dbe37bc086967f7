"""The local equations of an op: what each number is made of, and where its gradient comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from gradgraph.errors import ShapeError
from gradgraph.op import Op
from gradgraph.ops.activation import Relu, Sigmoid
from gradgraph.ops.average import WindowMean
from gradgraph.ops.choice import Maximum
from gradgraph.ops.pool import MaxPool
from gradgraph.ops.reduce import Max, Sum

from .symbols import Term, constant, greatest, is_short, lift, named, product, ratio, short

MOST_NAMES = 50_000  # in all results of an op whose equations are written
LONG_SLOPE = 60  # characters; of a longer one only the number is written
_ROUNDING = {2: 5e-2, 4: 1e-3, 8: 1e-6}  # by the bytes of a dtype


@dataclass(frozen=True, slots=True)
class Equation:
    """One line: `z₁ = x₀·w₀ + x₁·w₁ = 1·2 + 3·(−1) = −1`.

    Attributes:
        place: of the number that it is about, in reading order of its array.
        left: what that is called.
        symbols: the expression with names.
        numbers: the same with numbers.
        relation: before the value: "=", "≈" if shown numbers are rounded, or "≠" if the engine
            has another value than the definition of the op.
        value: the engine's number.
    """

    place: int
    left: str
    symbols: str
    numbers: str
    relation: str
    value: float

    @property
    def parts(self) -> list[str]:
        """The sides of the equation, with what repeats left out."""
        result = f"{self.relation} {short(self.value)}"
        sides = [self.left]
        sides += [f"= {self.symbols}"] if self.symbols != self.numbers else []
        return [
            *sides,
            *([f"= {self.numbers}"] if self.numbers != short(self.value) else []),
            result,
        ]

    def __str__(self) -> str:
        return " ".join(self.parts)


class TooLongError(Exception):
    """The results of an op have too many names in them to write equations."""


class Local:
    """An op at work: what each of its results is, and the equations that follow from it.

    Args:
        op: the op.
        args: its operands as arrays; numbers that have a name are terms.
        names: of its results, in reading order.

    Raises:
        ShapeError: if the definition gives more or fewer results.
        TooLongError: if there are more than `MOST_NAMES` names in all of them.
        Also what the definition raises on terms.

    >>> x, w = named("x", 2.0), named("w", -1.5)
    >>> from gradgraph.ops.arithmetic import ADD
    >>> local = Local(ADD, [np.array([x], object), np.array([w], object)], ["z"])
    >>> print(local.forward(0, 0.5, 8), local.backward("w", 0, "L", [3.0], 3.0, 8), sep="; ")
    z = x + w = 2 + (−1.5) = 0.5; ∂L/∂w = ∂L/∂z = 3
    """

    def __init__(self, op: Op, args: Sequence[Any], names: Sequence[str]) -> None:
        self.names = names
        with np.errstate(all="ignore"):
            self.exact = _flat(op.reference(*args))
            self.shown = _shown(op, args, self.exact)
        if isinstance(op, Sigmoid):
            self.exact = self.shown
        if len(self.shown) != len(names):
            raise ShapeError(
                op.name,
                f"its definition gives {len(self.shown)} numbers, but it computed {len(names)}",
                "Compare `reference` with `forward`.",
            )
        self.readers: dict[str, list[int]] = {}  # the results that depend on each name
        room = MOST_NAMES
        for j, term in enumerate(self.shown):
            found = [leaf.name for leaf in islice(term.leaves(), room + 1)]
            room -= len(found)
            if room < 0:
                raise TooLongError
            for leaf in dict.fromkeys(found):
                self.readers.setdefault(leaf, []).append(j)

    def greatest(self, j: int) -> list[str]:
        """Those that are as great as result j, of those that it was chosen from."""
        best = float(self.exact[j])
        return [part.written() for part in self.shown[j].parts if float(part) == best]

    def forward(self, j: int, value: float, size: int) -> Equation | None:
        """What result j is made of.

        Args:
            j: place of the result.
            value: what the engine computed.
            size: bytes of its dtype.

        Returns:
            The equation; None if the definition overflows or meets NaN where the engine does not.
        """
        return _equation(j, self.names[j], self.shown[j], value, size)

    def backward(
        self,
        name: str,
        place: int,
        loss: str,
        cotangent: Sequence[float],
        value: float,
        size: int,
        before: float | None = None,
    ) -> Equation | None:
        """Where the gradient of an operand's element comes from, by the chain rule.

        Args:
            name, place: of the element.
            loss: what the result of the whole graph is called.
            cotangent: ∂L/∂y of every result of the op.
            value: what the engine computed.
            size: bytes of its dtype.
            before: what had arrived from other readers already.

        Returns:
            The equation; None if the definition overflows or meets NaN where the engine does not.
        """
        left = f"∂{loss}/∂{name}"
        terms = [] if before is None else [named(f"({left} so far)", before)]
        for j in self.readers.get(name, ()):
            exact, output = self.exact[j], self.names[j]
            with np.errstate(all="ignore"):
                slope = exact.slope(name)
            slope = slope.with_name(exact, output) if exact.parts else slope
            if len(slope.text) > LONG_SLOPE:
                slope = named(f"(slope by {name})", float(slope))
            terms.append(_times(named(f"∂{loss}/∂{output}", cotangent[j]), slope))
        found = _equation(place, left, _sum(terms), value, size)
        met_nan = any(math.isnan(float(self.exact[j])) for j in self.readers.get(name, ()))
        return None if found and found.relation == "≠" and met_nan else found


def _flat(array: Any) -> list[Term]:
    return [lift(v) for v in np.asarray(array, dtype=object).ravel()]


def _shown(op: Op, args: Sequence[Any], exact: list[Term]) -> list[Term]:
    """The results as they are written down: `max(a, b)` instead of the greater one."""
    if isinstance(op, Sigmoid):
        return [x.sigmoid() for x in _flat(args[0])]
    if isinstance(op, Relu):
        pairs = zip(_flat(args[0]), exact, strict=True)
        return [greatest([x, constant(0)], float(y)) for x, y in pairs]
    if isinstance(op, Maximum):
        both = zip(*map(_flat, np.broadcast_arrays(*args)), strict=True)
        return [greatest(pair, float(y)) for pair, y in zip(both, exact, strict=True)]
    if isinstance(op, MaxPool | Max):  # a sum over the same numbers tells what it chooses from
        everyone = (
            WindowMean(*op.geometry, op.padding)
            if isinstance(op, MaxPool)
            else Sum(op.axis, op.keepdims)
        )
        rivals = (t.leaves() for t in _flat(everyone.reference(*args)))
        return [greatest(r, float(y)) for r, y in zip(rivals, exact, strict=True)]
    return exact


def _times(g: Term, slope: Term) -> Term:
    """∂L/∂y · slope; a slope of zero is written, because it says why nothing passes."""
    if slope.kind == "−":
        return -_times(g, slope.parts[0])
    if slope.kind == "number" and abs(slope.value) == 1:
        return product(g, slope)
    if slope.kind == "/" and slope.parts[0].kind == "number":
        return ratio(product(g, slope.parts[0]), slope.parts[1])
    return Term("·", g.value * slope.value, (g, *(slope.parts if slope.kind == "·" else (slope,))))


def _sum(terms: list[Term]) -> Term:
    if len(terms) < 2:
        return terms[0] if terms else constant(0)
    return Term("+", sum(float(t) for t in terms), tuple(terms))


def _equation(place: int, left: str, term: Term, value: float, size: int) -> Equation | None:
    claimed = float(term)
    if math.isfinite(value) and not math.isfinite(claimed):
        return None
    allowed = _ROUNDING.get(size, 1e-6) * max(term.scale, abs(value))
    wrong = math.isfinite(claimed) and abs(claimed - value) > allowed
    relation = "≠" if wrong else "=" if term.is_short and is_short(value) else "≈"
    return Equation(place, left, term.written(), term.written(True), relation, value)
