"""The heading of a picture: its title, what it shows in words, and the legend."""

from __future__ import annotations

from collections.abc import Iterable

from . import theme
from .tables import bar, cell, row, table, text


def heading(title: str, lines: Iterable[str], legend: str = "") -> str:
    """The title, the lines below it, and a legend."""
    rows = [row(cell(text(title, 18, bold=True, limit=80), align="LEFT"))]
    rows += [
        row(cell(text(part, 11, "muted", limit=110), align="LEFT"))
        for line in lines
        for part in _wrapped(line)
    ]
    if legend:
        rows.append(row(cell(legend, align="LEFT")))
    rows.append(row(cell("", height=10)))
    return table(rows, cellpadding=2)


def swatches(name: str, steps: Iterable[tuple[str, float, str]], ends: tuple[str, str], told: str,
             more: Iterable[tuple[str, str]] = ()) -> str:  # fmt: skip
    """A legend.

    Args:
        name: of what is shown.
        steps: (colour, thickness, words) of each step.
        ends: words before and after them.
        told: how to read it.
        more: further (colour, words).
    """
    each = list(steps)
    first = cell(text(name, 11, bold=True), rowspan=2, align="LEFT")
    before = cell(text(ends[0], 10, "muted"), align="RIGHT")
    after = cell(text(ends[1], 10, "muted"), align="LEFT")
    bars = [cell(bar([(34, colour)], max(round(thick), 2))) for colour, thick, _ in each]
    names = [cell(text(words, 10)) for _, _, words in each]
    extra = [
        cell(table([row(cell(bar([(14, colour)], 10)), cell(text(words, 10, "muted")))],
                   cellspacing=3), align="LEFT")
        for colour, words in more
    ]  # fmt: skip
    last = table([row(cell(text(told, 10, "muted")), *extra)], cellspacing=4)
    return table(
        [
            row(first, before, *bars, after),
            row(cell(""), *names, cell("")),
            row(cell(last, colspan=len(each) + 3, align="LEFT")),
        ],
        cellpadding=2,
    )


def decades() -> str:
    """The legend of a gradient's flow: a swatch per decade, as thick as the lines of it."""
    count = len(theme.RAMP)
    steps = []
    for i, (light, _) in enumerate(theme.RAMP):
        decade = theme.FIRST_DECADE + i
        sign = {0: "≤", count - 1: "≥"}.get(i, "")
        steps.append((light, theme.width(10.0**decade), f"{sign}10{_raised(decade)}"))
    return swatches(
        "‖∂L/∂·‖",
        steps,
        ("▼ vanishing?", "▲ exploding?"),
        "thin grey ↓ data, thick colour ↑ gradient",
        (
            (theme.colour("alarm"), "dead: zero for every item"),
            (theme.colour("off"), "zero for some"),
        ),
    )


def _raised(n: int) -> str:
    return str(n).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _wrapped(line: str, limit: int = 96) -> list[str]:
    rows = [""]
    for word in line.split():
        if rows[-1] and len(rows[-1]) + len(word) >= limit:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return rows
