"""What flows back along a link: a gradient, or how two gradients compare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from . import heading, story, theme
from .facts import sent
from .flow import Flow
from .tables import text
from .text import number
from .view import Card, Link, View


@dataclass(frozen=True, slots=True)
class Lane:
    """A coloured line from a card back to one that it read.

    Attributes:
        colour, width: of the line.
        words: what it says when it is read aloud.
    """

    colour: str
    width: float
    words: str


class Lanes(Protocol):
    """What is drawn beside the data."""

    def legend(self) -> str:
        """The legend as a table."""

    def lane(self, view: View, link: Link) -> Lane | None:
        """The lane of a link; None if nothing flowed."""

    def foot(self, view: View, card: Card) -> str:
        """Words for the foot of a card; empty for the norm of its gradient."""


@dataclass(frozen=True, slots=True)
class Gradient:
    """The norms of one flow, a colour and a width for each decade."""

    flow: Flow

    def legend(self) -> str:
        return heading.decades()

    def lane(self, view: View, link: Link) -> Lane | None:
        norms = sent(view, link, self.flow)
        if not norms:
            return None
        most = max(norms)
        return Lane(theme.ramp(most), theme.width(most), story.gradient_words(view, link, norms))

    def foot(self, view: View, card: Card) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How the norms of a flow changed: grey where they are equal, orange for more, blue for less.

    Attributes:
        before, after: flows of graphs with the same structure; of both, the vertices are those of
            the graph that is drawn.
    """

    before: Flow
    after: Flow

    def legend(self) -> str:
        steps = [
            (light, theme.ratio_width(k), words) for k, (light, _, words) in enumerate(theme.RATIOS)
        ]
        return heading.swatches(
            "‖∂L/∂·‖ after : before", steps, ("less", "more"),
            "thin grey ↓ data, thick colour ↑ gradient",
        )  # fmt: skip

    def lane(self, view: View, link: Link) -> Lane | None:
        old, new = sent(view, link, self.before), sent(view, link, self.after)
        if not old or not new:
            return None
        quotient = ratio(max(old), max(new))
        words = story.gradient_words(view, link, new) + f", {changed(quotient)}"
        step = theme.ratio_step(quotient)
        return Lane(theme.RATIOS[step][0], theme.ratio_width(step), words)

    def foot(self, view: View, card: Card) -> str:
        vertices = view.graph.vertices
        slot = card.main if isinstance(vertices[card.main]._data, tuple) else card.id
        old, new = (f.norms.get(vertices[slot]) for f in (self.before, self.after))
        if old is None or new is None:
            return text("no gradient", 10, "muted")
        told = f"{number(old)} → {number(new)}"
        return text(told, 11, bold=True) + text(f"  {changed(ratio(old, new))}", 10, "muted")


def ratio(old: float, new: float) -> float:
    """new / old; 1 if both are zero, NaN if either is not a number.

    >>> ratio(2.0, 1.0), ratio(0.0, 0.0), ratio(0.0, 1.0)
    (0.5, 1.0, inf)
    """
    if math.isnan(old) or math.isnan(new):
        return math.nan
    if old == new:
        return 1.0
    if math.isinf(old):
        return math.nan
    return new / old if old else math.inf


def changed(quotient: float) -> str:
    """A ratio in words.

    >>> changed(0.25), changed(10.0), changed(1.0)
    ('÷ 4', '× 10', '=')
    """
    if math.isnan(quotient):
        return "NaN"
    if quotient == 0:
        return "gone"
    if "1" in (number(quotient), number(1 / quotient)):
        return "="
    return f"× {number(quotient)}" if quotient > 1 else f"÷ {number(1 / quotient)}"
