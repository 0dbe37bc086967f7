"""A drawing as one interactive page: no network, nothing but this file."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from . import theme
from .details import details
from .dot import Picture
from .flow import Flow
from .policy import source
from .svg import SVG
from .view import View

KEYS = (
    ("/", "search; Enter goes to the next match, Shift+Enter to the one before"),
    ("Tab", "next card"),
    ("Enter", "open the card; expand a collapsed scope"),
    ("c", "collapse or expand the scope of the card"),
    ("+ −", "zoom"),
    ("0", "fit the picture"),
    ("← ↑ ↓ →", "move the picture"),
    (", .", "step back and on"),
    ("p", "play the steps"),
    ("g", "gradient on and off"),
    ("d", "dark, light, or as the system"),
    ("s", "save this SVG"),
    ("?", "these keys"),
    ("Esc", "close"),
)


def page(
    view: View,
    flow: Flow | None,
    picture: Picture,
    svg: str,
    limits: theme.Thresholds | None = None,
    values: bool = True,
) -> str:
    """The page as HTML text.

    Args:
        view: the cards of the picture.
        flow: the gradient that is drawn over them, if any.
        picture: title and words.
        svg: the finished SVG text.
        limits: from where on a card says that something is wrong.
        values: whether the data mean something.
    """
    root, sheet = _bare(svg)
    told = details(view, flow, limits, values) | {
        "sheet": sheet,
        "colours": {role: light for role, (light, _) in theme.COLOURS.items()},
    }
    block = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    block = block.replace("<", "\\u003c")  # nothing in it can end the element
    here = Path(__file__)
    style = _colours() + here.with_suffix(".css").read_text(encoding="utf-8")
    script = here.with_suffix(".js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src {source(style)};"
        f" script-src {source(script)}; base-uri 'none'; form-action 'none'"
    )
    last = len(told["steps"])
    keys = "".join(f"<dt><kbd>{key}</kbd></dt><dd>{words}</dd>" for key, words in KEYS)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(picture.title)}</title><style>{style}</style></head>\n<body>"
        '<header id="bar" role="group" aria-label="Tools" hidden>'
        '<span class="field"><input id="search" type="search" placeholder="Search ( / )"'
        ' aria-label="Search cards by name, op, module or shape"><output id="matches"></output>'
        "</span>"
        '<span class="group"><button id="out" aria-label="Zoom out">−</button>'
        '<output id="zoom" aria-label="Zoom"></output>'
        '<button id="in" aria-label="Zoom in">+</button><button id="fit">Fit</button></span>'
        '<span class="group" id="folding"><button id="collapse">Collapse all</button>'
        '<button id="expand">Expand all</button></span>'
        '<span class="group"><button id="gradient" aria-pressed="true">Gradient</button>'
        '<button id="look">Look: auto</button><button id="save">Save SVG</button>'
        '<button id="keys" aria-label="Keys" aria-haspopup="dialog">?</button></span></header>\n'
        f'<div id="middle"><main id="stage">{root}</main>'
        '<aside id="panel" aria-label="Details of a card" hidden></aside></div>\n'
        '<footer id="steps" role="group" aria-label="Steps" hidden>'
        '<button id="back" aria-label="Previous step">◀\ufe0e</button>'
        '<button id="play">Play</button>'
        '<button id="next" aria-label="Next step">▶\ufe0e</button>'
        f'<input id="step" type="range" min="0" max="{last}" value="0" aria-label="Step">'
        '<output id="said" for="step"></output></footer>'
        '<div id="aloud" class="unseen" role="status" aria-live="polite"></div>'
        f'<dialog id="help" aria-labelledby="help-title"><h2 id="help-title">Keys</h2>'
        f'<dl>{keys}</dl><form method="dialog"><button>Close</button></form></dialog>'
        f'<script type="application/json" id="data">{block}</script>'
        f"<script>{script}</script></body></html>\n"
    )


def _bare(svg: str) -> tuple[str, str]:
    """The SVG without the styles that the policy of the page would block, and its style sheet."""
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    (style,) = root.findall("style")
    root.remove(style)
    root.attrib.pop("style", None)
    root.set("xmlns", SVG)
    return ElementTree.tostring(root, encoding="unicode"), escape(style.text or "", quote=False)


def _colours() -> str:
    """The colours of the theme as variables and as the classes that the drawing uses."""
    names = "".join(f"--{role}:light-dark({a},{b});" for role, (a, b) in theme.COLOURS.items())
    classes = "".join(
        f".f-{role}{{fill:var(--{role})}}.s-{role}{{stroke:var(--{role})}}"
        for role in theme.COLOURS
    )
    return f":root{{--family:{theme.FAMILY};{names}}}\n{classes}\n"
