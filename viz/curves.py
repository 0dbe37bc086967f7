"""The history of a training as small multiples: a row for each layer, on shared axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from . import theme
from .axes import Linear, Log, Numbers, Point, each, percent, points, wheel
from .sheet import named, sheet, text
from .text import clean, count, number

if TYPE_CHECKING:
    from .history import Track

MOST_ROWS = 30
GUIDE = 1e-3  # the share of a weight by which a step customarily moves it
LEFT, LABEL, TICKS, PANEL, VALUE, TOP = 28.0, 172.0, 46.0, 190.0, 64.0, 98.0
LOSS, HEAD, GAP = 84.0, 58.0, 16.0
STRIDE = TICKS + PANEL + VALUE
DOTS = 24  # up to so many points are drawn as dots too

Axis = Log | Linear


@dataclass(frozen=True, slots=True)
class _Column:
    """What is drawn of every row, on one axis.

    Attributes:
        kind: class of its lines.
        head, told: what it shows.
        axis: shared by all rows.
        rows: the points of each; empty where nothing was measured.
        ends: the first and the last numbers of the layers of each row.
        shown: how a number is printed.
        missing: said where nothing was measured.
    """

    kind: str
    head: str
    told: str
    axis: Axis
    rows: tuple[list[Point], ...]
    ends: tuple[tuple[list[float], list[float]], ...]
    shown: Callable[[float], str]
    missing: str


def curves(
    title: str, steps: Sequence[int], losses: Sequence[float], layers: Mapping[str, Track]
) -> str:
    """The picture as SVG text.

    Args:
        title: heading.
        steps, losses: at least one.
        layers: what was noted of each, by its name.
    """
    own = named("gh", title, steps, losses, layers)
    groups = _groups(list(layers))
    columns = _columns(steps, [[layers[name] for name in group] for group in groups])
    height = 58.0 if len(groups) <= 10 else 42.0 if len(groups) <= 20 else 32.0
    ends = (steps[0], steps[-1]) if len(steps) > 1 else (steps[0] - 1, steps[0] + 1)
    place = partial(_x, ends)
    body = list(_heading(title, steps, losses, layers, len(groups)))
    body += _loss(place, steps, losses)
    top = TOP + LOSS + HEAD + 46
    body += _heads(columns, top)
    for i, group in enumerate(groups):
        y = top + 14 + i * (height + GAP)
        body += _label(group, layers, y, height)
        for k, column in enumerate(columns):
            body.append(_panel(own, column, i, place, (_column_x(k), y), height, _name(group)))
    bottom = top + 14 + len(groups) * (height + GAP)
    body += [line for k in range(3) for line in _step_ticks(place, _column_x(k), bottom, steps)]
    ramp = columns[0].axis
    assert isinstance(ramp, Log)
    return sheet(
        own,
        (_column_x(3), bottom + 34),
        title,
        _words(steps, losses, columns, groups),
        f"<defs>{_ramp(own, ramp, height)}</defs>{''.join(body)}",
        _rules(),
    )


def _groups(names: list[str]) -> list[list[str]]:
    """One layer in each row, or several neighbours if there are many layers."""
    size = -(-len(names) // MOST_ROWS)
    return [names[i : i + size] for i in range(0, len(names), size)]


def _columns(steps: Sequence[int], groups: Sequence[Sequence[Track]]) -> tuple[_Column, ...]:
    def measured(
        values: Callable[[Track], Numbers],
    ) -> tuple[tuple[list[Point], ...], tuple[tuple[list[float], list[float]], ...]]:
        lines = [[values(track) for track in group] for group in groups]
        rows = [points(steps, group) for group in lines]
        known = [[[v for v in line if v is not None] for line in group] for group in lines]
        ends = [
            ([line[0] for line in group if line], [line[-1] for line in group if line])
            for group in known
        ]
        return tuple(row if any(map(_known, row)) else [] for row in rows), tuple(ends)

    gradients, updates = measured(lambda t: t.gradient), measured(lambda t: t.update)
    decades = Log.of(_finite(gradients[0]))
    around = Log.of([GUIDE / 10, GUIDE * 10, *_finite(updates[0])])
    shares = measured(lambda t: t.dead)
    return (
        _Column("ramp", "gradient ‖∂W‖", "its colour is its decade", decades, *gradients,
                number, "no gradient"),
        _Column("moved", "update ‖ΔW‖ / ‖W‖", "dashed: the customary 1e−3", around, *updates,
                number, "no step yet"),
        _Column("dead", "dead units", "of its relu, in the whole batch", Linear(0.0, 1.0, True),
                *shares, percent, "no relu"),
    )  # fmt: skip


def _known(point: Point) -> bool:
    return point.values is not None or point.broken


def _finite(rows: Sequence[Sequence[Point]]) -> list[float]:
    return [v for row in rows for p in row for v in p.values or ()]


def _heading(
    title: str,
    steps: Sequence[int],
    losses: Sequence[float],
    layers: Mapping[str, Track],
    rows: int,
) -> Iterator[str]:
    yield text("title", LEFT, 42, clean(title, 80))
    parts = [count(len(steps), "step"), count(len(layers), "layer"), _fall(losses)]
    many = each(len(steps))
    if many > 1:
        parts.append(f"a point is {many} steps: line median, band least to greatest")
    yield text("told", LEFT, 66, " · ".join(parts))
    broken = _broken(steps, losses, layers)
    if broken:
        yield text("alarm", LEFT, 86, broken)
    if rows < len(layers):
        size = -(-len(layers) // MOST_ROWS)
        told = (
            f"folded: {len(layers)} layers in {rows} rows, {size} neighbours each, from the least"
        )
        yield text("told", LEFT, 102 if broken else 86, f"{told} to the greatest")


def _fall(losses: Sequence[float]) -> str:
    if len(losses) == 1:
        return f"loss {number(losses[0])}"
    return f"loss {number(losses[0])} → {number(losses[-1])}"


def _broken(steps: Sequence[int], losses: Sequence[float], layers: Mapping[str, Track]) -> str:
    """Where a NaN or an infinity came first; empty if nowhere."""
    lines: list[tuple[str, Numbers]] = [("the loss", losses)]
    lines += [(name, track.gradient) for name, track in layers.items()]
    first = [
        (next((i for i, v in enumerate(line) if v is not None and not math.isfinite(v)), None), n)
        for n, line in lines
    ]
    known = [i for i, _ in first if i is not None]
    if not known:
        return ""
    names = [clean(n, 30) for i, n in first if i == min(known)]
    told = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"× NaN or ∞ first at step {steps[min(known)]:,}: {told}"


def _loss(
    place: Callable[[float], float], steps: Sequence[int], losses: Sequence[float]
) -> list[str]:
    """The loss over the full width."""
    wide = _column_x(2) + PANEL - _column_x(0)
    row = points(steps, [losses])
    values = _finite([row])
    low, high = min(values, default=0.0), max(values, default=1.0)
    axis: Axis = Linear(min(low, 0.0), high if high > min(low, 0.0) else high + 1.0)
    told = ""
    if low > 0 and high / low > 30:
        axis, told = Log.of(values), "log axis"
    column = _Column("loss", "loss", told, axis, (row,), (([losses[0]], [losses[-1]]),), number, "")

    def stretched(step: float) -> float:
        return place(step) * wide / PANEL

    return [
        text("name", LEFT, TOP + 24, "loss"),
        *([text("told", LEFT, TOP + 41, told)] if told else []),
        _panel("", column, 0, stretched, (_column_x(0), TOP + 10), LOSS, "loss", wide),
        *_step_ticks(stretched, _column_x(0), TOP + 10 + LOSS + 10, steps, 10),
    ]


def _heads(columns: Sequence[_Column], y: float) -> Iterator[str]:
    for k, column in enumerate(columns):
        yield text("name", _column_x(k), y - 20, column.head)
        yield text("told", _column_x(k), y - 4, column.told)


def _label(group: list[str], layers: Mapping[str, Track], y: float, height: float) -> Iterator[str]:
    weights = sum(layers[name].weights for name in group)
    told = count(weights, "weight")
    if len(group) > 1:
        told = f"{len(group)} layers, {told}"
    yield text("name", LEFT, y + height / 2 - 2, _name(group))
    yield text("told", LEFT, y + height / 2 + 14, told)


def _name(group: list[str]) -> str:
    """What a row is called; of a long name, the end."""
    ends = [clean(name, 200) or "unnamed" for name in dict.fromkeys([group[0], group[-1]])]
    if len(ends) > 1:
        ends = [name.rpartition(".")[2] for name in ends]
    most = 24 if len(ends) == 1 else 11
    return " – ".join(n if len(n) <= most else "…" + n[1 - most :] for n in ends)


def _panel(
    own: str,
    column: _Column,
    i: int,
    place: Callable[[float], float],
    at: tuple[float, float],
    height: float,
    name: str,
    wide: float = PANEL,
) -> str:
    """One row of one column: its axis, its curve, its marks, and its last number."""
    row, axis = column.rows[i], column.axis
    told = f"{name}, {column.head}: {_told(column, i)}"
    parts = [f"<title>{escape(told)}</title>", f'<rect class="frame" width="{wide:.0f}"'
             f' height="{height:.0f}"/>']  # fmt: skip
    for y, words in axis.ticks(height) if row else ():
        parts.append(f'<path class="grid" d="M0 {y:.1f}H{wide:.0f}"/>')
        parts.append(text("tick", -6, y + 3.5, words, "end"))
    if column.kind == "moved" and row:
        parts.append(f'<path class="guide" d="M0 {axis.y(GUIDE, height):.1f}H{wide:.0f}"/>')
    if row:
        stroke = f' stroke="url(#{own}-ramp)"' if column.kind == "ramp" else ""
        parts += _curve(column.kind, stroke, row, axis, place, height)
        parts += _crosses(row, place)
        parts.append(_end(column, i, wide, height))
    else:
        parts.append(text("told", wide / 2, height / 2 + 4, column.missing, "middle"))
    where = f"translate({at[0]:.0f} {at[1]:.0f})"
    return f'<g class="{column.kind}" transform="{where}">{"".join(parts)}</g>'


def _curve(
    kind: str,
    stroke: str,
    row: list[Point],
    axis: Axis,
    place: Callable[[float], float],
    height: float,
) -> Iterator[str]:
    """The band, the line, and dots where there are few points or a point stands alone."""
    for run in _runs(row):
        low, middle, high = (
            [f"{place(p.step):.1f} {axis.y(p.values[k], height):.1f}" for p in run if p.values]
            for k in range(3)
        )
        if low != high:
            fill = stroke.replace("stroke", "fill")
            yield f'<path class="band"{fill} d="M{"L".join(high + low[::-1])}Z"/>'
        if len(run) > 1:
            yield f'<path class="line"{stroke} d="M{"L".join(middle)}"/>'
        if len(run) == 1 or len(row) <= DOTS:
            # a line of no length is a dot in the colour of the line
            yield f'<path class="dot"{stroke} d="{"".join(f"M{p}h.01" for p in middle)}"/>'


def _runs(row: list[Point]) -> Iterator[list[Point]]:
    """The points without the gaps, in pieces."""
    run: list[Point] = []
    for p in row:
        if p.values:
            run.append(p)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _crosses(row: list[Point], place: Callable[[float], float]) -> Iterator[str]:
    """A cross at the top for each point with a NaN or an infinity."""
    at = [place(p.step) for p in row if p.broken]
    if at:
        yield f'<path class="cross" d="{"".join(f"M{x - 2.5:.1f} 2l5 5m0-5l-5 5" for x in at)}"/>'


def _end(column: _Column, i: int, wide: float, height: float) -> str:
    """The last number, to the right of the panel."""
    values = column.ends[i][1]
    last, words = _greatest(values), _shown(column, values)
    if not math.isfinite(last):
        return text("alarm", wide + 7, 12, words)
    return text("value", wide + 7, min(max(column.axis.y(last, height) + 4, 9), height), words)


def _greatest(values: Sequence[float]) -> float:
    return next((v for v in values if math.isnan(v)), max(values))


def _shown(column: _Column, values: Sequence[float]) -> str:
    """A number; of several layers whose numbers differ, the greatest."""
    most = _greatest(values)
    if not math.isfinite(most):
        return number(most)
    return ("≤ " if min(values) < most else "") + column.shown(most)


def _told(column: _Column, i: int) -> str:
    """A curve in words: how it began, how it ended, how often it was broken."""
    if not column.rows[i]:
        return column.missing
    words = " → ".join(dict.fromkeys(_shown(column, values) for values in column.ends[i]))
    broken = sum(p.broken for p in column.rows[i])
    return f"{words}, NaN or ∞ in {count(broken, 'point')}" if broken else words


def _words(
    steps: Sequence[int],
    losses: Sequence[float],
    columns: Sequence[_Column],
    groups: Sequence[list[str]],
) -> str:
    """The picture in words."""
    parts = [f"{count(len(steps), 'step')}, {_fall(losses)}"]
    for column in columns:
        each_row = [
            f"{_name(group)} {_told(column, i)}" for i, group in enumerate(groups) if column.rows[i]
        ]
        parts.append(f"{column.head}: {', '.join(each_row) or 'none'}")
    return ". ".join(parts) + "."


def _step_ticks(
    place: Callable[[float], float], x: float, y: float, steps: Sequence[int], most: int = 4
) -> Iterator[str]:
    yield text("tick", x - 6, y + 6, "step", "end")
    for step in wheel(steps[0], steps[-1], most):
        yield text("tick", x + place(step), y + 6, f"{step:,}", "middle")


def _x(ends: tuple[float, float], step: float) -> float:
    """The distance from the left of a panel of usual width; a single step is in the middle."""
    return 4 + (PANEL - 8) * (step - ends[0]) / (ends[1] - ends[0])


def _column_x(k: int) -> float:
    return LEFT + LABEL + TICKS + k * STRIDE


def _ramp(own: str, axis: Log, height: float) -> str:
    """The colours of the decades, from the bottom of a panel to its top."""
    decades = range(axis.low, axis.high)
    tall = axis.tall(height)
    stops = []
    for i, k in enumerate(decades):
        kind = f"s{theme.step(1.0001 * 10.0**k)}"
        for part in (i / len(decades), (i + 1) / len(decades)):
            stops.append(f'<stop class="{kind}" offset="{part:.4f}"/>')
    return (
        f'<linearGradient id="{own}-ramp" gradientUnits="userSpaceOnUse" x1="0" x2="0"'
        f' y1="{tall:.1f}" y2="0">{"".join(stops)}</linearGradient>'
    )


def _rules() -> dict[str, str]:
    return {
        ".frame": "fill:{card};stroke:{border};stroke-width:1",
        ".grid": "stroke:{track};stroke-width:1",
        ".tick": "font-size:10px",
        ".line": "fill:none;stroke-width:2;stroke-linejoin:round",
        ".dot": "fill:none;stroke-width:5;stroke-linecap:round",
        ".band": "fill-opacity:.35",
        ".guide": "stroke:{ink};stroke-width:1;stroke-dasharray:4 3",
        ".cross": "fill:none;stroke:{alarm};stroke-width:1.6",
        ".loss .line": "stroke:{ink}",
        ".loss .dot": "stroke:{ink}",
        ".loss .band": "fill:{data}",
        ".moved .line": "stroke:{ratio1}",
        ".moved .dot": "stroke:{ratio1}",
        ".moved .band": "fill:{ratio1}",
        ".dead .line": "stroke:{alarm}",
        ".dead .dot": "stroke:{alarm}",
        ".dead .band": "fill:{alarm}",
        **{f".s{i}": f"stop-color:{{ramp{i}}}" for i in range(len(theme.RAMP))},
    }
