"""A drawing as a table: what can be shown of a graph where no layout engine is."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from . import story, theme
from .dot import Picture
from .facts import gather
from .flow import Flow
from .policy import source
from .text import clean, number
from .view import View

HEADS = ("name", "op", "module", "result", "reads", "‖∂L/∂·‖", "what is wrong")


def listing(
    view: View,
    flow: Flow | None,
    picture: Picture,
    why: str,
    limits: theme.Thresholds | None = None,
    values: bool = True,
) -> str:
    """An HTML page with a row for each card, in the order of computation.

    Args:
        view, flow: what is shown.
        picture: title and description.
        why: why there is no picture.
        limits: thresholds of the alarms.
        values: whether the data mean something.
    """
    style = _style()
    rows = "".join(f"<tr>{''.join(cells)}</tr>" for cells in _rows(view, flow, limits, values))
    heads = "".join(f'<th scope="col">{head}</th>' for head in HEADS)
    policy = f"default-src 'none'; style-src {source(style)}; base-uri 'none'; form-action 'none'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(picture.title)}</title><style>{style}</style></head>\n"
        f"<body><h1>{escape(picture.title)}</h1><p>{escape(picture.description)}</p>"
        f'<p role="note">{escape(why)}</p>\n'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></body></html>\n"
    )


def _rows(
    view: View, flow: Flow | None, limits: theme.Thresholds | None, values: bool
) -> Iterator[list[str]]:
    known = gather(view, flow, limits, values)
    reads: dict[int, list[str]] = {}
    for link in view.links:
        reads.setdefault(link.target, []).append(view.owner[link.source].title)
    for card in view.cards:
        facts = known[card.id]
        told = (
            clean(card.title, 60) or "unnamed",
            clean(card.detail, 60),
            clean(card.scope, 60),
            story.shape(story.result(view, card)),
            clean(", ".join(dict.fromkeys(reads.get(card.id, ()))), 80),
            "" if facts.norm is None else number(facts.norm),
            "; ".join(facts.alarms),
        )
        yield [f"<td>{escape(words)}</td>" for words in told]


def _style() -> str:
    def rules(dark: int) -> str:
        def c(role: str) -> str:
            return theme.COLOURS[role][dark]

        return (
            f"body{{background:{c('paper')};color:{c('ink')}}}"
            f"p,th{{color:{c('muted')}}}td:last-child{{color:{c('alarm')}}}"
            f"td,th{{border-bottom:1px solid {c('border')}}}"
        )

    return (
        f"body{{font:14px {theme.FAMILY};margin:2em}}table{{border-collapse:collapse}}"
        "td,th{padding:.3em .8em;text-align:left;vertical-align:top}"
        f"{rules(0)}@media (prefers-color-scheme:dark){{{rules(1)}}}"
    )
