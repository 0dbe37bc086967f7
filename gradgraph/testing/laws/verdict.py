"""What laws say of a case: it is broken, where, by how much; or it held, how well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...spec import brief
from ..differences import EPS

Array = np.ndarray[Any, np.dtype[Any]]

GROSS = 0.05  # an error of this share of the natural size is no rounding error
ROUNDING = 2_000.0  # how many eps of its terms a number may be off


class Broken(Exception):
    """A law that does not hold.

    Attributes:
        law: its name in `LAWS`.
        problem: what was found, in words.
        entry: where, what was expected and what was got; None where there is no one place.
    """

    def __init__(self, law: str, problem: str, entry: Entry | None = None) -> None:
        super().__init__(law, problem)
        self.law, self.problem, self.entry = law, problem, entry


@dataclass(frozen=True)
class Entry:
    """One wrong number.

    Attributes:
        what: what it is, e.g. `∂out[0, 1] / ∂w[2]`.
        expected, got: the numbers.
    """

    what: str
    expected: float
    got: float

    def __str__(self) -> str:
        wanted, got = number(self.expected), number(self.got)
        if float(wanted) == float(got):  # they differ in later digits
            wanted, got = repr(self.expected), repr(self.got)
        return f"{self.what}: expected {wanted}, got {got}"


@dataclass
class Tally:
    """What was measured while checking.

    Attributes:
        held: how often each law was tried and held.
        worst: the largest error per law, in eps of the terms.
        compared, unclear: comparisons with differences, and those that decided nothing.
        kinks: comparisons at a kink.
    """

    held: dict[str, int] = field(default_factory=dict)
    worst: dict[str, float] = field(default_factory=dict)
    compared: int = 0
    unclear: int = 0
    kinks: int = 0

    def add(self, other: Tally) -> None:
        """Count another tally in."""
        for law, n in other.held.items():
            self.held[law] = self.held.get(law, 0) + n
        for law, e in other.worst.items():
            self.worst[law] = max(self.worst.get(law, 0.0), e)
        self.compared += other.compared
        self.unclear += other.unclear
        self.kinks += other.kinks


class Terms(NamedTuple):
    """What numbers are made of: their natural size, at hand, and the terms that cancel in them,
    which take time to find."""

    natural: Callable[[], float]
    found: Callable[[], Any]


def compare(
    law: str,
    got: Any,
    wanted: Any,
    scale: Any,
    tally: Tally,
    what: Callable[[Any], str],
    terms: Terms | None = None,
) -> None:
    """Raise if a number is further off than rounding explains; remember the worst in eps.

    Args:
        law: the law that is broken then.
        got, wanted: the numbers.
        scale: their sizes, elementwise: rounding errors are measured in eps of them.
        tally: takes the worst error.
        what: names the element at an index.
        terms: what cancels in the numbers; asked only before a fault is told.
    """
    got, wanted = np.asarray(got, dtype=float), np.asarray(wanted, dtype=float)
    if got.shape != wanted.shape:
        raise Broken(law, f"{what(())} is {brief(got.shape)}, not {brief(wanted.shape)}")
    if not got.size:
        return
    equal = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    gap = np.where(equal, 0.0, np.abs(got - wanted))
    size = np.broadcast_to(np.asarray(scale, dtype=float), got.shape)
    errors = _in_eps(gap, size)
    if errors.max() > ROUNDING and terms is not None and gap.max() <= GROSS * terms.natural():
        errors = _in_eps(gap, size + terms.found())
    worst = float(errors.max())
    if worst > ROUNDING:
        at = worst_of(errors)
        entry = Entry(what(at), float(wanted[at]), float(got[at]))
        raise Broken(law, f"one number is off by {worst:.3g} eps of the terms it is made of", entry)
    tally.worst[law] = max(tally.worst.get(law, 0.0), worst)


def _in_eps(gap: Array, size: Array) -> Array:
    errors = np.where(gap == 0, 0.0, gap / np.maximum(EPS * size, 1e-300))
    errors = np.where(np.isnan(errors), np.inf, errors)
    return np.where(np.isfinite(size) | np.isnan(gap), errors, 0.0)  # the terms overflow


def same(a: Any, b: Any) -> bool:
    """Whether two arrays are equal, NaN for NaN."""
    return bool(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc"))


def largest(a: Any) -> float:
    """The largest absolute value; 0 of an empty array."""
    return float(np.max(np.abs(a), initial=0.0))


def worst_of(errors: Array) -> tuple[int, ...]:
    """The index of the largest error."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(errors)), errors.shape))


def place(at: Sequence[int]) -> str:
    """An index as it is written behind a name: `[0, 1]`."""
    return f"[{', '.join(map(str, at))}]" if at else ""


def gradient(label: str, tail: str, at: Sequence[int]) -> str:
    """The name of an element of a gradient, e.g. `dx[0, 1]`."""
    return f"d{label}{place(at)}{tail}"


def number(v: Any) -> str:
    """Six digits; whole numbers as such."""
    v = float(v)
    return f"{v:.1f}" if abs(v) < 1e6 and v == round(v) else f"{v:.6g}"
