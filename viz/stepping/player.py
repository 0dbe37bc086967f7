"""The page that plays a playback: one file, no network, all steps in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .. import theme
from ..policy import source

_STYLE = """
:root{color-scheme:light dark;scroll-padding:1rem 1rem 5rem}
body{margin:0;font-family:FAMILY;background:PAPER0;color:INK0}
main{padding-bottom:5rem}
#bar{position:fixed;inset:auto 0 0 0;display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;
padding:.6rem 1rem;background:FOOT0;border-top:1px solid BORDER0}
button{font:inherit;min-width:2.4rem;padding:.3rem .6rem;color:INK0;background:CARD0;
border:1px solid MUTED0;border-radius:4px;cursor:pointer}
button:disabled{color:MUTED0;cursor:default}
input{flex:1 1 12rem}
output{flex:2 1 20rem}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
:focus-visible{outline:3px solid LINEAR0;outline-offset:2px}
@media (prefers-color-scheme:dark){body{background:PAPER1;color:INK1}
#bar{background:FOOT1;border-color:BORDER1}
button{color:INK1;background:CARD1;border-color:MUTED1}
button:disabled{color:MUTED1}
:focus-visible{outline-color:INK1}}
@media print{#bar{display:none}}
"""

_SCRIPT = """
"use strict";
const find = (id) => document.getElementById(id);
const slider = find("step"), play = find("play"), said = find("said"), aloud = find("aloud");
const parts = [...document.querySelectorAll("[data-on]")].map((part) =>
  [part, new Set(part.dataset.on.split(" ").map(Number))]);
const captions = [...document.querySelectorAll("[data-said]")];
const last = captions.length - 1;
const pause = 2000;
let step = Number(slider.value), timer = null;

function show(wanted) {
  step = Math.min(Math.max(wanted, 0), last);
  for (const [part, steps] of parts) part.classList.toggle("off", !steps.has(step));
  slider.value = step;
  said.textContent = captions[step].dataset.said;
  aloud.textContent = captions[step].textContent;
  slider.setAttribute("aria-valuetext", captions[step].dataset.said);
  find("first").disabled = find("back").disabled = step === 0;
  find("next").disabled = find("last").disabled = step === last;
  for (const what of ["rect.panel", "rect.now"]) {
    const seen = [...document.querySelectorAll(what)].find((rect) => !rect.closest(".off"));
    if (seen) seen.scrollIntoView({block: "nearest", inline: "nearest"});
  }
}

function stop() {
  clearInterval(timer);
  timer = null;
  play.textContent = "Play";
}

function start() {
  if (step === last) show(0);
  play.textContent = "Pause";
  timer = setInterval(() => {
    show(step + 1);
    if (step === last) stop();
  }, pause);
}

function go(wanted) {
  stop();
  show(wanted);
}

find("first").onclick = () => go(0);
find("back").onclick = () => go(step - 1);
find("next").onclick = () => go(step + 1);
find("last").onclick = () => go(last);
play.onclick = () => (timer === null ? start() : stop());
slider.oninput = () => go(Number(slider.value));
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const keys = {ArrowRight: step + 1, ArrowLeft: step - 1, Home: 0, End: last};
  if (event.key in keys) go(keys[event.key]);
  else if (event.key === " " && event.target.tagName !== "BUTTON") play.click();
  else return;
  event.preventDefault();
});
find("bar").hidden = false;
show(step);
"""


def page(title: str, picture: str, captions: Sequence[tuple[str, str]], step: int) -> str:
    """The page as HTML text.

    Args:
        title: of the page.
        picture: SVG text with all steps; its parts have the steps at which they show as `data-on`.
        captions: for each step its title and all its words.
        step: the one to begin with.
    """
    style = _coloured(_STYLE)
    inner = picture[picture.index("<style>") + len("<style>") : picture.index("</style>")]
    policy = (
        f"default-src 'none'; style-src {source(style)} {source(inner)};"
        f" script-src {source(_SCRIPT)}; base-uri 'none'; form-action 'none'"
    )
    told = "".join(f'<p data-said="{escape(a)}">{escape(b)}</p>' for a, b in captions)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body><main>{picture}</main>"
        '<div id="bar" role="group" aria-label="Playback" hidden>'
        '<button id="first" aria-label="First step">|◀\ufe0e</button>'
        '<button id="back" aria-label="Previous step">◀\ufe0e</button>'
        '<button id="play">Play</button>'
        '<button id="next" aria-label="Next step">▶\ufe0e</button>'
        '<button id="last" aria-label="Last step">▶\ufe0e|</button>'
        f'<input id="step" type="range" min="0" max="{len(captions) - 1}" value="{step}"'
        ' aria-label="Step"><output id="said" for="step"></output></div>'
        '<div id="aloud" class="unseen" role="status"></div>'
        f"<div hidden>{told}</div><script>{_SCRIPT}</script></body></html>\n"
    )


def _coloured(style: str) -> str:
    """The style sheet with the theme's colours: PAPER0 is the light one, PAPER1 the dark one."""
    for role in ("paper", "ink", "foot", "border", "card", "muted", "linear"):
        for dark, colour in enumerate(theme.COLOURS[role]):
            style = style.replace(f"{role.upper()}{dark}", colour)
    return style.replace("FAMILY", theme.FAMILY)
