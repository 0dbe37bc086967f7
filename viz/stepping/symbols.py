"""Scalars that remember how they were computed, to write down what an op did in symbols.

Run on arrays of `Term`, the `reference` of an op gives for each result the expression that it is:
it can be read with names or with numbers, and be differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from ..text import number

_HIGH = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
MOST_DIVISOR = 10_000  # up to which 1/n is written as a division
ALL, LONG = 1_000_000, 8  # the most parts of a sum that are written
_SUM, _TIMES, _POWER, _WHOLE = 1, 2, 3, 4  # how tightly parts hold together
_HOLDS = {"+": _SUM, "−": _SUM, "·": _TIMES, "/": _TIMES, "^": _POWER}


def short(value: float) -> str:
    """A number as cells and equations show it: in four digits, or in five if that is all of it.

    >>> short(3.0), short(-2.5), short(1 / 3), short(1.5625), short(1.23456e-7)
    ('3', '−2.5', '0.3333', '1.5625', '1.235e−7')
    """
    value = float(value)
    size = abs(value)
    if not math.isfinite(value) or value == 0:
        return number(value)
    if (value.is_integer() and size < 1e6) or 1e4 <= size < 1e6:
        text = f"{value:.0f}"
    elif 1e-3 <= size < 1e4:
        exact = math.isclose(float(f"{value:.5g}"), value, rel_tol=1e-9)
        rounded = float(f"{value:.{5 if exact else 4}g}")
        text = f"{rounded:.8f}".rstrip("0").rstrip(".")
    else:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text.replace("-", "−")


def is_short(value: float) -> bool:
    """Whether `short` shows all of a number, but for rounding in its last digits.

    >>> is_short(5.625), is_short(0.1 + 0.2), is_short(1 / 3)
    (True, True, False)
    """
    shown = short(value).replace("−", "-").replace("∞", "inf").replace(",", "")
    return math.isclose(float(shown), value, rel_tol=1e-6) or not math.isfinite(value)


def subscript(shape: tuple[int, ...], flat: int) -> str:
    """Which element of an array it is; axes of length 1 are left out.

    >>> subscript((1, 5, 1), 3), subscript((2, 3), 5), subscript((12, 12), 142), subscript((), 0)
    ('₃', '₁₂', '[11,10]', '')
    """
    place = [int(i) for i, n in zip(np.unravel_index(flat, shape), shape, strict=True) if n > 1]
    if len(place) > 1 and max(place) > 9:
        return "[" + ",".join(map(str, place)) + "]"
    return "".join(map(str, place)).translate(_LOW)


class Term:
    """An expression and its value.

    Attributes:
        kind: "name", "number", one of + − · / ^ (− has one part), or the name of a function.
        value: what it is.
        parts: what it is made of.
        name: for a kind of "name", what it is called.
    """

    def __init__(self, kind: str, value: float, parts: tuple[Term, ...] = (), name: str = ""):
        self.kind = kind
        self.value = np.float64(value)
        self.parts = parts
        self.name = name

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that it depends on."""
        return frozenset(leaf.name for leaf in self.leaves())

    def leaves(self) -> Iterator[Term]:
        """What has a name in it, from left to right, as often as it occurs."""
        todo = [self]
        while todo:
            term = todo.pop()
            if term.kind == "name":
                yield term
            todo.extend(reversed(term.parts))

    @cached_property
    def text(self) -> str:
        """The expression in symbols, whole."""
        return self._write(0, lambda t: t.name)

    def written(self, numbers: bool = False) -> str:
        """The expression in symbols, or with the numbers in their place; long sums are cut.

        >>> total(named(f"x{i}", 1) for i in range(12)).written()
        'x0 + x1 + x2 + x3 + … (12 terms)'
        """
        return self._write(0, (lambda t: short(t.value)) if numbers else (lambda t: t.name), LONG)

    @cached_property
    def is_short(self) -> bool:
        """Whether all its numbers are shown without loss."""
        if not self.parts:
            return is_short(float(self.value))
        return all(part.is_short for part in self.parts)

    @cached_property
    def scale(self) -> float:
        """Its value if nothing in it cancelled: what rounding is measured by."""
        if self.kind in ("+", "−"):
            return sum(part.scale for part in self.parts)
        if self.kind == "·":
            return math.prod(part.scale for part in self.parts)
        if self.kind == "^" and self.parts[1].value == 2:
            return self.parts[0].scale ** 2
        return abs(float(self.value))

    def slope(self, name: str) -> Term:
        """The derivative by what has this name.

        >>> x, y = named("x", 3.0), named("y", 1.0)
        >>> loss = (x - y) * (x - y)
        >>> loss.text, loss.slope("x").text, loss.slope("x").written(True), float(loss.slope("x"))
        ('(x − y)²', '2·(x − y)', '2·(3 − 1)', 4.0)
        """
        if name not in self.names:
            return constant(0)
        if self.kind == "name":
            return constant(1)
        if self.kind == "·":
            rest = [self.parts[:i] + self.parts[i + 1 :] for i in range(len(self.parts))]
            each = zip(self.parts, rest, strict=True)
            return total(product(part.slope(name), *others) for part, others in each)
        first = self.parts[0]
        if self.kind == "+":
            return total(part.slope(name) for part in self.parts)
        if self.kind == "−":
            return -first.slope(name)
        if self.kind == "/":
            below = self.parts[1]
            by_below = ratio(product(self, below.slope(name)), below)
            return total([ratio(first.slope(name), below), -by_below])
        if self.kind == "^":
            exponent = self.parts[1]
            by_base = product(exponent, first ** (exponent - 1), first.slope(name))
            if name not in exponent.names:
                return by_base
            return total([by_base, product(self, first.log(), exponent.slope(name))])
        return product(_SLOPES[self.kind](self, first), first.slope(name))

    def with_name(self, known: Term, name: str) -> Term:
        """The expression with a name wherever another expression stands in it.

        >>> x = named("x", 0.5)
        >>> x.tanh().slope("x").with_name(x.tanh(), "y").text
        '1 − y²'
        """
        if self.text == known.text:
            return named(name, float(known.value))
        if not self.parts:
            return self
        return Term(self.kind, self.value, tuple(p.with_name(known, name) for p in self.parts))

    def _write(self, within: int, word: Callable[[Term], str], most: int = ALL) -> str:
        """The expression, in brackets if it holds together less tightly than what is around it."""

        def part(term: Term, within: int) -> str:
            return term._write(within, word, most)

        kind, parts = self.kind, self.parts
        if not parts:
            text = word(self) if kind == "name" else short(self.value)
            ends_high = within == _POWER + 1 and text[-1] in "⁰¹²³⁴⁵⁶⁷⁸⁹"
            return f"({text})" if (within and text[0] == "−") or ends_high else text
        holds = _HOLDS.get(kind, _WHOLE)
        cut = len(parts) > most
        shown = parts[: most // 2] if cut else parts
        if kind == "+":
            text = part(shown[0], _SUM)
            for term in shown[1:]:
                less = term.kind == "−" or (term.kind == "number" and term.value < 0)
                text += f" − {part(-term, _TIMES)}" if less else f" + {part(term, _SUM)}"
            text += f" + … ({len(parts)} terms)" if cut else ""
        elif kind == "−":
            text = "−" + part(parts[0], _TIMES)
        elif kind == "·":
            text = "·".join(part(term, _POWER if i else _TIMES) for i, term in enumerate(parts))
        elif kind == "/":
            text = f"{part(parts[0], _TIMES)} / {part(parts[1], _POWER)}"
        elif kind == "^":
            base, exponent = part(parts[0], _POWER + 1), parts[1]
            if exponent.kind == "number" and float(exponent).is_integer():
                text = base + str(int(exponent.value)).translate(_HIGH)
            else:
                text = f"{base}^({part(exponent, 0)})"
        else:
            more = [f"… ({len(parts)} of them)"] if cut else []
            text = f"{kind}({', '.join([*(part(term, 0) for term in shown), *more])})"
        return f"({text})" if holds < within else text

    def __float__(self) -> float:
        return float(self.value)

    def __lt__(self, other: Any) -> bool:
        return float(self) < float(other)

    def __gt__(self, other: Any) -> bool:
        return float(self) > float(other)

    def __le__(self, other: Any) -> bool:
        return float(self) <= float(other)

    def __ge__(self, other: Any) -> bool:
        return float(self) >= float(other)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented  # numpy goes through its elements
        other = lift(other)
        if _is(other, 0):
            return self
        if _is(self, 0):
            return other
        if self.kind == other.kind == "number":
            return constant(self.value + other.value)
        parts = [p for t in (self, other) for p in (t.parts if t.kind == "+" else (t,))]
        return Term("+", self.value + other.value, tuple(parts))

    def __radd__(self, other: Any) -> Any:
        return lift(other) + self

    def __neg__(self) -> Term:
        if self.kind == "−":
            return self.parts[0]
        return constant(-self.value) if self.kind == "number" else Term("−", -self.value, (self,))

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else self + -lift(other)

    def __rsub__(self, other: Any) -> Any:
        return lift(other) - self

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = lift(other)
        if self.kind != "number" and self.text == other.text:
            return self**2
        return product(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = lift(other)
        if _is(other, 1) or (_is(self, 0) and other.value != 0):
            return self
        return Term("/", self.value / other.value, (self, other))

    def __rtruediv__(self, other: Any) -> Any:
        return lift(other) / self

    def __pow__(self, other: Any) -> Term:
        other = lift(other)
        if _is(other, 1):
            return self
        value = self.value**other.value
        return constant(1) if _is(other, 0) else Term("^", value, (self, other))

    def __rpow__(self, other: Any) -> Term:
        base: Term = lift(other)
        return base**self

    def exp(self) -> Term:
        return Term("exp", np.exp(self.value), (self,))

    def log(self) -> Term:
        return Term("ln", np.log(self.value), (self,))

    def sqrt(self) -> Term:
        return Term("√", np.sqrt(self.value), (self,))

    def sin(self) -> Term:
        return Term("sin", np.sin(self.value), (self,))

    def cos(self) -> Term:
        return Term("cos", np.cos(self.value), (self,))

    def tanh(self) -> Term:
        return Term("tanh", np.tanh(self.value), (self,))

    def arctan(self) -> Term:
        return Term("arctan", np.arctan(self.value), (self,))

    def erf(self) -> Term:
        return Term("erf", math.erf(self.value), (self,))

    def sigmoid(self) -> Term:
        return Term("σ", 1 / (1 + np.exp(-self.value)), (self,))


_SLOPES: dict[str, Callable[[Term, Term], Term]] = {
    "exp": lambda y, x: y,
    "ln": lambda y, x: 1 / x,
    "√": lambda y, x: 1 / product(constant(2), y),
    "sin": lambda y, x: x.cos(),
    "cos": lambda y, x: -x.sin(),
    "tanh": lambda y, x: 1 - y**2,
    "arctan": lambda y, x: 1 / total([constant(1), x**2]),
    "erf": lambda y, x: product(constant(2 / math.sqrt(math.pi)), (-(x**2)).exp()),
    "σ": lambda y, x: product(y, 1 - y),
}


def named(name: str, value: float) -> Term:
    """A term that is one name."""
    return Term("name", value, name=name)


def constant(value: float) -> Term:
    """A term that is one number."""
    return Term("number", value)


def lift(value: Any) -> Term:
    """A term as it is, a number as a term."""
    return value if isinstance(value, Term) else constant(float(value))


def greatest(terms: Iterable[Term], value: float) -> Term:
    """The greatest of some terms, which is known."""
    return Term("max", value, tuple(terms))


def total(terms: Iterable[Term]) -> Term:
    """The sum, with terms that are alike taken together."""
    alike: dict[str, list[Term]] = {}
    for term in terms:
        if not _is(term, 0):
            alike.setdefault("" if term.kind == "number" else term.text, []).append(term)
    result = constant(0)
    for text, same in alike.items():
        if not text:
            result = result + constant(sum(float(t) for t in same))
        else:
            result = result + (same[0] if len(same) == 1 else product(constant(len(same)), same[0]))
    return result


def product(*terms: Term) -> Term:
    """The product, with its numbers taken together and put first; 1/n divides by n."""
    amount, rest, below, todo = np.float64(1.0), list[Term](), constant(1), list(terms)
    while todo:
        term = todo.pop(0)
        if term.kind == "number":
            amount = amount * term.value
        elif term.kind in ("·", "−"):
            amount = -amount if term.kind == "−" else amount
            todo = [*term.parts, *todo]
        elif term.kind == "/" and term.parts[1].kind != "number":
            todo, below = [term.parts[0], *todo], below * term.parts[1]
        else:
            rest.append(term)
    if amount == 0 or not rest:
        return ratio(constant(math.prod([amount, *(t.value for t in rest)])), below)
    body = rest[0]
    if len(rest) > 1:
        body = Term("·", math.prod(t.value for t in rest), tuple(rest))
    size = abs(amount)
    if size != 1:
        by = round(1 / size)
        if 1 < by <= MOST_DIVISOR and math.isclose(by * size, 1, rel_tol=1e-9):
            body = Term("/", body.value * size, (body, constant(by)))
        else:
            body = Term("·", body.value * size, (constant(size), *rest))
    return ratio(body if amount > 0 else -body, below)


def ratio(above: Term, below: Term) -> Term:
    """The quotient, as one fraction."""
    if above.kind == "−" or (above.kind == "number" and above.value < 0):
        return -ratio(-above, below)
    if above.kind == "/":
        return ratio(above.parts[0], above.parts[1] * below)
    quotient: Term = above / below
    return quotient


def _is(term: Term, value: float) -> bool:
    return term.kind == "number" and term.value == value
