"""Where a number lies in a panel: logarithmic or linear axes, and points that stand for many."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from .text import number

MOST_DECADES = 12
MOST_POINTS = 96  # in a panel; more steps than that are drawn as bands
FLOOR = 9.0  # height of the strip below a logarithmic axis where zeros lie

Numbers = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Point:
    """What is drawn at one place: one step, or several in a row.

    Attributes:
        step: the middle of the steps.
        values: the least, the median and the greatest finite number; None if there is none.
        broken: whether a NaN or an infinity is among them.
    """

    step: float
    values: tuple[float, float, float] | None
    broken: bool


def points(steps: Sequence[int], lines: Sequence[Numbers]) -> list[Point]:
    """One point for each step, or for several if there are many, of one line or of several.

    >>> points([0, 1], [[1.0, None]])[0]
    Point(step=0.0, values=(1.0, 1.0, 1.0), broken=False)
    """
    width = each(len(steps))
    found = []
    for start in range(0, len(steps), width):
        stop = min(start + width, len(steps))
        known = [v for line in lines for v in line[start:stop] if v is not None]
        finite = sorted(filter(math.isfinite, known))
        ends = (finite[0], median(finite), finite[-1]) if finite else None
        middle = (steps[start] + steps[stop - 1]) / 2
        found.append(Point(middle, ends, broken=len(finite) < len(known)))
    return found


def each(count: int) -> int:
    """How many steps a point stands for.

    >>> each(96), each(5000)
    (1, 53)
    """
    return -(-count // MOST_POINTS)


@dataclass(frozen=True, slots=True)
class Log:
    """An axis of decades, with a strip at the bottom for what is zero or lies below it.

    Attributes:
        low, high: exponents of its ends.
        floor: what the strip is called; empty if there is none.
    """

    low: int
    high: int
    floor: str

    @staticmethod
    def of(values: Iterable[float]) -> Log:
        """An axis for these finite numbers: whole decades, two or more, not more than twelve.

        >>> Log.of([0.002, 0.5]), Log.of([0.0, 1e-40, 1.0])
        (Log(low=-3, high=0, floor=''), Log(low=-12, high=0, floor='≤ 1e−12'))
        """
        known = list(values)
        positive = [v for v in known if v > 0] or [1.0]
        high = math.ceil(math.log10(max(positive)) - 1e-9)
        first = math.floor(math.log10(min(positive)) + 1e-9)
        low = max(min(first, high - 2), high - MOST_DECADES)
        floor = "0" if len(positive) < len(known) else ""
        return Log(low, high, f"≤ {power(low)}" if first < low else floor)

    def y(self, value: float, height: float) -> float:
        """The distance from the top of a panel of this height."""
        if value < 10.0**self.low * (1 - 1e-9):
            return height
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return (1 - part) * self.tall(height)

    def tall(self, height: float) -> float:
        """The height of the panel without the strip."""
        return height - FLOOR if self.floor else height

    def ticks(self, height: float) -> list[tuple[float, str]]:
        """Places and words: some of the decades, and the floor."""
        room = max(int(self.tall(height) // 17), 1)
        step = -(-(self.high - self.low) // room)
        decade = self.tall(height) / (self.high - self.low)
        decades = range(self.high, self.low - 1, -step)
        found = [((self.high - k) * decade, power(k)) for k in decades]
        if not self.floor:
            return found
        return [*(tick for tick in found if height - tick[0] > FLOOR + 1), (height, self.floor)]


@dataclass(frozen=True, slots=True)
class Linear:
    """An axis of even steps.

    Attributes:
        low, high: its ends.
        percent: whether its numbers are shares of 1.
    """

    low: float
    high: float
    percent: bool = False

    def y(self, value: float, height: float) -> float:
        """The distance from the top of a panel of this height."""
        return height * (self.high - value) / (self.high - self.low)

    def ticks(self, height: float) -> list[tuple[float, str]]:
        """Places and words: both ends, and the middle if there is room."""
        parts = (0.0, 0.5, 1.0) if height >= 40 else (0.0, 1.0)
        values = [self.high + part * (self.low - self.high) for part in parts]
        return [(self.y(v, height), percent(v) if self.percent else number(v)) for v in values]


def wheel(low: float, high: float, most: int = 5) -> list[int]:
    """Whole numbers from low to high for the ticks of an axis of steps: 1, 2 or 5 times a power.

    >>> wheel(0, 19), wheel(0, 4999), wheel(7, 7)
    ([0, 5, 10, 15], [0, 1000, 2000, 3000, 4000], [7])
    """
    for decade in range(19):
        for factor in (1, 2, 5):
            step = factor * 10**decade
            first = math.ceil(low / step) * step
            found = list(range(first, int(min(high, first + most * step)) + 1, step))
            if 0 < len(found) <= most:
                return found
    return [int(low)]


def power(exponent: int) -> str:
    """A power of ten.

    >>> power(-3), power(-1), power(2)
    ('1e−3', '0.1', '100')
    """
    return f"{10.0**exponent:g}" if -3 < exponent < 4 else f"1e{exponent}".replace("-", "−")


def percent(share: float) -> str:
    """A share in percent; not zero if something is there.

    >>> percent(0.0), percent(0.001), percent(0.5)
    ('0 %', '0.1 %', '50 %')
    """
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else f"{100 * share:.1g} %"
