"""Columns that were laid out one by one, put side by side, and the links between them.

A link leaves its card at the right (or, where another card is in the way, below it), runs up in
the gap between two columns, and enters the next card at the left (or above it). Links that skip a
column pass above it. In every gap each link has a place of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from . import theme
from .dot import Crossing, Picture

Point = tuple[float, float]

ROOM, APART = 20.0, 12.0  # points on both sides of a gap's links, and between two links
STEP = 7.0  # points between a link and the card that it goes around
HEADER, FOOT = 12.0, 11.0  # the middle of a card's header from above, and of its foot from below
ROUND = 9.0  # radius of a corner
_KEPT = {"node", "edge", "cluster"}
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Box:
    """Where a card lies in the whole picture, and in which column."""

    left: float
    top: float
    right: float
    bottom: float
    column: int


@dataclass(frozen=True, slots=True)
class _Way:
    """A link: its first points up to the gap, and its last ones from the gap on."""

    crossing: Crossing
    out: tuple[Point, ...]
    into: tuple[Point, ...]
    first: int  # gap after this column
    last: int


def together(parts: Sequence[ElementTree.Element], picture: Picture) -> ElementTree.Element:
    """One drawing of a heading and columns.

    Args:
        parts: the SVG of the heading, then of each column from left to right.
        picture: names the links between columns.
    """
    head, *columns = parts
    sizes = [_size(part) for part in columns]
    outlines = [_boxes(part) for part in columns]
    start = {name: k for k, found in enumerate(outlines) for name in found}
    crossings = [c for c in picture.crossings if c.source in start and c.target in start]
    through = [0] * len(columns)  # links in the gap after each column
    skipping = 0
    for c in crossings:
        first, last = start[c.source], start[c.target] - 1
        through[first] += 1
        if last != first:
            through[last] += 1
            skipping += 1
    wide, high = _size(head)
    top = high + skipping * APART
    boxes: dict[str, Box] = {}
    group = _group(head, 0.0, 0.0)
    x, edges = 0.0, []
    for k, (part, (w, _)) in enumerate(zip(columns, sizes, strict=True)):
        inner = _group(part, x, top)
        group.extend(child for child in inner if child.get("class") in _KEPT)
        boxes |= {
            name: Box(a + x, b + top, c + x, d + top, k)
            for name, (a, b, c, d) in outlines[k].items()
        }
        edges.append(x + w)
        x += w + (ROOM * 2 + APART * max(through[k] - 1, 0) if k + 1 < len(columns) else 0.0)
    tall = top + max(h for _, h in sizes)
    ways = [_way(c, boxes, picture.lanes) for c in crossings]
    for way, points in _placed(ways, edges, high):
        group.append(_drawn(way.crossing, points))
    root = parts[0]
    total = max(x, wide)
    root.set("width", f"{total:.0f}pt")
    root.set("height", f"{tall:.0f}pt")
    root.set("viewBox", f"0 0 {total:.0f} {tall:.0f}")
    paper = group.find("polygon")
    if paper is not None:
        paper.set("points", f"0,0 {total:.0f},0 {total:.0f},{tall:.0f} 0,{tall:.0f} 0,0")
    return root


def _size(part: ElementTree.Element) -> Point:
    _, _, wide, tall = map(float, part.get("viewBox", "0 0 0 0").split())
    return wide, tall


def _shift(part: ElementTree.Element) -> tuple[ElementTree.Element, Point]:
    """The group that holds everything, and by how much it is moved."""
    group = next((child for child in part if child.tag == "g"), ElementTree.Element("g"))
    moved = group.get("transform", "").partition("translate(")[2]
    numbers = [float(n) for n in _NUMBERS.findall(moved)[:2]]
    return group, (numbers[0], numbers[1]) if len(numbers) == 2 else (0.0, 0.0)


def _group(part: ElementTree.Element, x: float, y: float) -> ElementTree.Element:
    """The part's group, with every coordinate in it moved to where the whole picture has it."""
    group, (dx, dy) = _shift(part)
    group.attrib.pop("transform", None)
    for element in group.iter():
        for name in ("points", "d"):
            if name in element.attrib:
                element.set(name, _moved(element.attrib[name], x + dx, y + dy))
        for names, by in ((("x", "cx"), x + dx), (("y", "cy"), y + dy)):
            for name in names:
                if name in element.attrib:
                    element.set(name, f"{float(element.attrib[name]) + by:.2f}")
    return group


def _moved(path: str, x: float, y: float) -> str:
    """A path or a list of points, moved: its numbers are pairs of absolute coordinates."""
    turn = 0

    def add(found: re.Match[str]) -> str:
        nonlocal turn
        turn += 1
        return f"{float(found[0]) + (x if turn % 2 else y):.2f}"

    return _NUMBERS.sub(add, path)


def _boxes(part: ElementTree.Element) -> dict[str, tuple[float, float, float, float]]:
    """The outlines of the cards by their ids: (left, top, right, bottom) in the part."""
    group, (dx, dy) = _shift(part)
    found = {}
    for node in group.iter("g"):
        if node.get("class") != "node":
            continue
        numbers = [
            float(n)
            for shape in node.iter()
            if shape.tag in ("polygon", "path")
            for n in _NUMBERS.findall(shape.get("points") or shape.get("d") or "")
        ]
        xs, ys = numbers[::2], numbers[1::2]
        if xs:
            found[node.get("id", "")] = (min(xs) + dx, min(ys) + dy, max(xs) + dx, max(ys) + dy)
    return found


def _way(crossing: Crossing, boxes: Mapping[str, Box], lanes: Point) -> _Way:
    source, target = boxes[crossing.source], boxes[crossing.target]
    data = crossing.lane is None
    at = HEADER if data else max(source.bottom - source.top - FOOT, HEADER)
    y = source.top + at
    others = [b for b in boxes.values() if b.column == source.column and b.right > source.right + 1]
    out: tuple[Point, ...] = ((source.right, y),)
    if _blocked(y, others):
        free = _free(source.bottom + STEP, STEP, others)
        x = source.left + lanes[0] if data else source.right - lanes[1]
        out = ((x, source.bottom), (x, free))
    at = HEADER if data else max(target.bottom - target.top - FOOT, HEADER)
    y = target.top + at
    others = [b for b in boxes.values() if b.column == target.column and b.left < target.left - 1]
    into: tuple[Point, ...] = ((target.left, y),)
    if _blocked(y, others):
        free = _free(target.top - STEP, -STEP, others)
        x = target.left + lanes[0] if data else target.right - lanes[1]
        into = ((x, free), (x, target.top))
    return _Way(crossing, out, into, source.column, target.column - 1)


def _blocked(y: float, others: Sequence[Box]) -> bool:
    return any(b.top - 3 < y < b.bottom + 3 for b in others)


def _free(y: float, step: float, others: Sequence[Box]) -> float:
    """The nearest height, from y on, at which nothing is in the way."""
    while wall := next((b for b in others if b.top - 3 < y < b.bottom + 3), None):
        y = wall.bottom + 3 + STEP if step > 0 else wall.top - 3 - STEP
    return y


def _placed(
    ways: Sequence[_Way], edges: Sequence[float], high: float
) -> list[tuple[_Way, list[Point]]]:
    """All points of each link, from its source to its target."""
    used = [0] * len(edges)
    above = 0
    found = []
    for way in sorted(ways, key=lambda w: (w.out[-1][1], w.crossing.id)):
        x = edges[way.first] + ROOM + APART * used[way.first]
        used[way.first] += 1
        points = [*way.out, (x, way.out[-1][1])]
        if way.last != way.first:
            y = high + APART * (above + 0.5)
            above += 1
            points.append((x, y))
            x = edges[way.last] + ROOM + APART * used[way.last]
            used[way.last] += 1
            points.append((x, y))
        points += [(x, way.into[0][1]), *way.into]
        found.append((way, points))
    return found


def _drawn(crossing: Crossing, points: list[Point]) -> ElementTree.Element:
    """The link with its arrowhead: data go to the target, a gradient to the source."""
    lane = crossing.lane
    colour, width = (theme.colour("data"), 1.0) if lane is None else (lane.colour, lane.width)
    if lane is not None:
        points = points[::-1]
    size = 5.0 + width
    tip, before = points[-1], points[-2]
    along = _towards(before, tip)
    base = (tip[0] - along[0] * size * 1.6, tip[1] - along[1] * size * 1.6)
    across = (-along[1] * size * 0.6, along[0] * size * 0.6)
    corners = [
        tip,
        (base[0] + across[0], base[1] + across[1]),
        (base[0] - across[0], base[1] - across[1]),
    ]
    group = ElementTree.Element("g", {"id": crossing.id, "class": "edge"})
    ElementTree.SubElement(
        group,
        "path",
        {
            "fill": "none",
            "stroke": colour,
            "stroke-width": f"{width:.1f}",
            "d": _rounded([*points[:-1], base]),
        },
    )
    ElementTree.SubElement(
        group,
        "polygon",
        {
            "fill": colour,
            "stroke": colour,
            "points": " ".join(f"{a:.2f},{b:.2f}" for a, b in corners),
        },
    )
    return group


def _towards(a: Point, b: Point) -> Point:
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = max((dx * dx + dy * dy) ** 0.5, 1e-9)
    return dx / length, dy / length


def _rounded(points: Sequence[Point]) -> str:
    """A path along points, its corners rounded."""
    words = [f"M{points[0][0]:.2f},{points[0][1]:.2f}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        reach = [
            min(ROUND, (abs(p[0] - corner[0]) + abs(p[1] - corner[1])) / 2) for p in (before, after)
        ]
        ends = [
            (corner[0] - d[0] * r, corner[1] - d[1] * r)
            for d, r in (
                (_towards(p, corner), r) for p, r in zip((before, after), reach, strict=True)
            )
        ]
        (a, b), (c, d) = ends
        words.append(f"L{a:.2f},{b:.2f} Q{corner[0]:.2f},{corner[1]:.2f} {c:.2f},{d:.2f}")
    words.append(f"L{points[-1][0]:.2f},{points[-1][1]:.2f}")
    return " ".join(words)
