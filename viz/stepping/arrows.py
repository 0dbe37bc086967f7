"""Lines with round corners and an arrowhead."""

from __future__ import annotations

from collections.abc import Sequence

from .rows import Point

_CORNER, _TIP = 8.0, 9.0  # pixels: how round corners are, how long the arrowhead is


def arrow(corners: Sequence[Point]) -> str:
    """A line through some corners, with an arrowhead at its end, as SVG.

    >>> arrow([(0, 0), (0, 50)])
    '<path d="M0.0 0.0L0.0 42.0"/><polygon points="0.0,50.0 -5.0,41.0 5.0,41.0"/>'
    """
    (_, y0), (x1, y1) = corners[-2:]
    down = 1 if y1 > y0 else -1
    tip, corners = corners[-1], [*corners[:-1], (x1, y1 - down * (_TIP - 1))]
    path = f"M{corners[0][0]:.1f} {corners[0][1]:.1f}"
    for before, at, after in zip(corners, corners[1:], corners[2:], strict=False):
        near, far = _toward(at, before), _toward(at, after)
        path += f"L{near[0]:.1f} {near[1]:.1f}Q{at[0]:.1f} {at[1]:.1f} {far[0]:.1f} {far[1]:.1f}"
    path += f"L{corners[-1][0]:.1f} {corners[-1][1]:.1f}"
    base = tip[1] - down * _TIP
    head = f"{tip[0]:.1f},{tip[1]:.1f} {tip[0] - 5:.1f},{base:.1f} {tip[0] + 5:.1f},{base:.1f}"
    return f'<path d="{path}"/><polygon points="{head}"/>'


def _toward(at: Point, other: Point) -> Point:
    """A point a corner's radius from `at`, but not beyond half the way."""
    dx, dy = other[0] - at[0], other[1] - at[1]
    length = abs(dx) + abs(dy)  # lines are horizontal or vertical
    part = min(_CORNER, length / 2) / length if length else 0.0
    return at[0] + dx * part, at[1] + dy * part
