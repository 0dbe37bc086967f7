"""What an op says about the points where it has no derivative: kinks and ties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kink:
    """A convention, with an example that shows it.

    Attributes:
        where: the points, e.g. `"x = 0"`.
        takes: what the rules do there, e.g. `"slope 0"`.
        at: arguments at such a point, as nested lists.
        gives: the gradient of the sum of the result by each float argument there.
        fields: the op's parameters in the example.

    >>> Kink("x = 0", "slope 0", at=([0.0, 2.0],), gives=([0.0, 1.0],)).where
    'x = 0'
    """

    where: str
    takes: str
    at: tuple[Any, ...]
    gives: tuple[Any, ...]
    fields: tuple[Any, ...] = ()
