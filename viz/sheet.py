"""A picture that is drawn without a layout engine: its frame, its words and its two themes."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from html import escape

from . import theme
from .text import clean

_RULES = {
    "text": f"font-family:{theme.FAMILY};font-size:12px;fill:{{muted}}",
    ".paper": "fill:{paper}",
    ".title": "font-size:20px;font-weight:700;fill:{ink}",
    ".name": "font-size:13px;font-weight:700;fill:{ink}",
    ".value": "fill:{ink}",
    ".alarm": "font-weight:700;fill:{alarm}",
}


def named(kind: str, *content: object) -> str:
    """An id for a picture: others on the same page, with other content, have other ids.

    >>> named("gh", 1, 2) == named("gh", 1, 2), named("gh", 1, 2) == named("gh", 1, 3)
    (True, False)
    """
    return kind + sha256(repr(content).encode()).hexdigest()[:8]


def sheet(
    own: str,
    size: tuple[float, float],
    title: str,
    words: str,
    body: str,
    rules: Mapping[str, str],
) -> str:
    """The whole SVG text.

    Args:
        own: id of the picture, which every id in its body begins with.
        size: width and height.
        title, words: heading and description; not yet escaped.
        body: SVG of what is drawn.
        rules: declarations by selector, with roles of the theme in braces: `fill:{ink}`.

    >>> "<title" in sheet("a", (9, 9), "Loss", "It falls.", "", {".line": "stroke:{ink}"})
    True
    """
    heading, told = escape(clean(title, 80)), escape(clean(words, 2000))
    width, height = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
        f' width="{width:.0f}" height="{height:.0f}" id="{own}" role="img"'
        f' aria-labelledby="{own}-title {own}-desc">'
        f'<title id="{own}-title">{heading}</title><desc id="{own}-desc">{told}</desc>'
        f"<style>{_style(own, _RULES | dict(rules))}</style>"
        f'<rect class="paper" width="100%" height="100%"/>{body}</svg>\n'
    )


def text(kind: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    """Escaped words of a class.

    >>> text("name", 1, 2, "a<b")
    '<text class="name" x="1.0" y="2.0">a&lt;b</text>'
    """
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{where}>{escape(words)}</text>'


def _style(own: str, rules: Mapping[str, str]) -> str:
    """All rules in the light colours, and again in the dark ones those that have any."""

    def written(dark: int, chosen: Mapping[str, str]) -> str:
        colours = {role: pair[dark] for role, pair in theme.COLOURS.items()}
        return "".join(
            f"#{own} {name}{{{declared.format_map(colours)}}}" for name, declared in chosen.items()
        )

    coloured = {name: declared for name, declared in rules.items() if "{" in declared}
    return f"{written(0, rules)}@media (prefers-color-scheme:dark){{{written(1, coloured)}}}"
