"""The matrices of Winograd's short convolutions F(m, r), from the points of Toom and Cook.

m results of a filter with r taps need m + r - 1 products instead of m · r:

    y = Aᵀ [(G w) ⊙ (Bᵀ x)]

Filter and data are taken as polynomials; their values at m + r - 1 points are multiplied, and the
product is interpolated. In two dimensions each matrix is applied to rows and to columns.

Source: Winograd, Arithmetic Complexity of Computations (1980); Lavin and Gray, Fast Algorithms for
Convolutional Neural Networks (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod

Matrix = tuple[tuple[Fraction, ...], ...]

POINTS = (
    *map(Fraction, (0, 1, -1, 2, -2)),
    Fraction(1, 2),
    Fraction(-1, 2),
)  # and infinity, the last


@dataclass(frozen=True)
class Toom:
    """F(m, r): `data` (Bᵀ), `filter` (G) and `result` (Aᵀ), exact.

    >>> from operator import mul
    >>> f = Toom.of(2, 3)
    >>> [[int(v) for v in row] for row in f.result]
    [[1, 1, 1, 0], [0, 1, -1, 1]]
    >>> x, w = (1, 2, 3, 4), (1, 10, 100)
    >>> both = [sum(map(mul, g, w)) * sum(map(mul, b, x)) for g, b in zip(f.filter, f.data)]
    >>> [int(sum(map(mul, a, both))) for a in f.result]
    [321, 432]
    """

    m: int
    r: int
    data: Matrix
    filter: Matrix
    result: Matrix

    @property
    def points(self) -> int:
        """How many products there are along an axis."""
        return self.m + self.r - 1

    @property
    def gradient(self) -> Matrix:
        """A: how the slopes of results meet the data, for the slope of a filter."""
        return tuple(zip(*self.result, strict=True))

    @property
    def back(self) -> Matrix:
        """Gᵀ: from products to the slope of a filter."""
        return tuple(zip(*self.filter, strict=True))

    @classmethod
    def of(cls, m: int, r: int) -> Toom:
        """The matrices for m results of r taps."""
        n = m + r - 1
        points = POINTS[: n - 1]
        scale = [prod((p - q for q in points if q != p), start=Fraction(1)) for p in points]
        zero, one = Fraction(0), Fraction(1)
        end = (*(zero,) * (r - 1), one)
        return cls(
            m,
            r,
            data=(
                *(_padded(_product([q for q in points if q != p]), n) for p in points),
                _product(points),
            ),
            filter=(
                *(tuple(p**k / s for k in range(r)) for p, s in zip(points, scale, strict=True)),
                end,
            ),
            result=tuple((*(p**k for p in points), one if k == m - 1 else zero) for k in range(m)),
        )


def _product(roots: tuple[Fraction, ...] | list[Fraction]) -> tuple[Fraction, ...]:
    """The coefficients of Π (x - root), from the constant on."""
    found = [Fraction(1)]
    for root in roots:
        found = [
            low - root * high
            for low, high in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)
        ]
    return tuple(found)


def _padded(row: tuple[Fraction, ...], n: int) -> tuple[Fraction, ...]:
    return (*row, *(Fraction(0),) * (n - len(row)))
