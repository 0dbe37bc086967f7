"""HTML-like labels of DOT: text, cells, rows, tables, bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from . import theme
from .text import clean

BAR = 48  # width of a bar
SLACK = "&#160;"  # after text at the right border: browsers' fonts may be wider than the engine's


def html(content: str) -> str:
    """A label: DOT takes what stands in angle brackets for HTML."""
    return f"<{content}>"


def text(words: str, size: int, role: str = "ink", *, bold: bool = False, limit: int = 120) -> str:
    """Escaped text; nothing at all where there is none, because an empty FONT is an error."""
    lead = "\u00a0" * (len(words) - len(words.lstrip(" ")))
    shown = clean(words, limit)
    if not shown:
        return ""
    # the engine takes a backslash, even one that was written as an entity, for an escape
    safe = escape(lead + shown).replace("\\", "\\\\")
    safe = f"<B>{safe}</B>" if bold else safe
    return f'<FONT COLOR="{theme.colour(role)}" POINT-SIZE="{size}">{safe}</FONT>'


def cell(content: str, **attributes: object) -> str:
    return f"<TD{_attributes(attributes)}>{content}</TD>"


def row(*cells: str) -> str:
    return f"<TR>{''.join(cells)}</TR>"


def wide(content: str, **attributes: object) -> str:
    """A row of one cell over both columns of a card."""
    return row(cell(content, **({"colspan": 2, "align": "LEFT"} | attributes)))


def pair(left: str, right: str, role: str = "ink") -> str:
    """A row that says what on the left, and how much on the right."""
    return row(
        cell(text(left, 11, "muted"), align="LEFT"),
        cell(text(right, 11, role, bold=role == "alarm") + SLACK, align="RIGHT"),
    )


def share(name: str, part: float, told: str, role: str) -> str:
    """A row with a share of 1 as a bar and in words."""
    fill = round(BAR * min(max(part, 0.0), 1.0))
    return measured(name, [(fill, theme.colour(role)), (BAR - fill, theme.colour("track"))], told)


def measured(name: str, parts: Sequence[tuple[int, str]], told: str) -> str:
    """A row with a bar of coloured pieces and words behind it."""
    words = cell(text(told, 11) + SLACK, align="RIGHT", width=40)
    both = table([row(cell(bar(parts)), words)], cellspacing=2)
    return row(cell(text(name, 11, "muted"), align="LEFT"), cell(both, align="RIGHT"))


def table(rows: Iterable[str], **attributes: object) -> str:
    usual: dict[str, object] = {"border": 0, "cellborder": 0, "cellpadding": 0, "cellspacing": 0}
    return f"<TABLE{_attributes(usual | attributes)}>{''.join(rows)}</TABLE>"


def bar(parts: Sequence[tuple[int, str]], height: int = 8) -> str:
    """A bar of coloured pieces, each (width, colour)."""
    cells = [
        cell("", bgcolor=colour, fixedsize="TRUE", height=height, width=width)
        for width, colour in parts
        if width > 0
    ]
    total = sum(width for width, _ in parts)
    return table([row(*cells)], fixedsize="TRUE", height=height, width=total)


def _attributes(given: dict[str, object]) -> str:
    return "".join(f' {key.upper()}="{value}"' for key, value in given.items())
