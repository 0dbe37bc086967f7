"""The memory of a compiled plan as a picture: which results lie where, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from html import escape

from gradgraph.compile.plan import Plan
from gradgraph.errors import DTypeError
from gradgraph.spec import brief

from . import theme
from .picture import Picture
from .text import clean

WIDTH, HEIGHT = 860, 420  # pixels of the field
LEFT, TOP, EDGE = 92, 96, 28


@dataclass(frozen=True)
class Lot:
    """A result in the arena.

    Attributes:
        name: of what makes it.
        shape: of the result.
        style: colour group of the op.
        first, last: numbers of the calls between which it is needed.
        offset, size: where it lies, and how long it is, in bytes.
    """

    name: str
    shape: str
    style: str
    first: int
    last: int
    offset: int
    size: int


@dataclass(frozen=True)
class Memory(Picture):
    """The picture of a plan's memory; a notebook shows it by itself.

    Attributes:
        lots: the results.
        calls: how many calls the plan has.
        arena: bytes that all of them share.
        title: heading.
    """

    lots: tuple[Lot, ...]
    calls: int
    arena: int
    title: str

    @property
    def apart(self) -> int:
        """Bytes that it would take if nothing were shared."""
        return sum(lot.size for lot in self.lots)

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text."""
        return _svg(self)

    def __repr__(self) -> str:
        return f"Memory({_size(self.arena)} for {_size(self.apart)})"


def memory(plan: Plan, *, title: str = "Memory of a plan") -> Memory:
    """Draw the memory of a compiled plan: calls from left to right, addresses from below.

    Each box is a result: as wide as the time for which it is needed, as high as it is large. Where
    boxes stand side by side, one takes the place of another.

    Args:
        plan: what `f.plan(*args)` of a compiled function gives.
        title: heading of the picture.

    Raises:
        DTypeError: if it is no plan.

    >>> import gradgraph as gg
    >>> import numpy as np
    >>> with gg.backend("numpy"):
    ...     f = gg.compile(lambda x: gg.sin(gg.exp(gg.sin(x))).sum())
    ...     memory(f.plan(np.ones(1000)))
    Memory(15.6 kB for 23.4 kB)
    """
    if not isinstance(plan, Plan):
        raise DTypeError(
            "memory", f"{type(plan).__name__} is no plan", "Pass f.plan(x) of f = gg.compile(…)."
        )
    lots = []
    for call in plan.program.calls:
        for value in call.outputs:
            block = plan.blocks.get(value)
            if block is not None:
                known = call.op.style in theme.STYLES
                lots.append(
                    Lot(
                        call.op.name,
                        f"{brief(value.spec.shape)} {value.spec.dtype}",
                        call.op.style if known else "other",
                        block.first,
                        min(block.last, len(plan.program.calls) - 1),
                        block.offset,
                        block.size,
                    )
                )
    return Memory(tuple(lots), len(plan.program.calls), plan.arena, str(title))


def _size(count: float) -> str:
    units = ["B", "kB", "MB", "GB"]
    while count >= 1000 and len(units) > 1:
        count /= 1024
        del units[0]
    return f"{count:.3g} {units[0]}"


def _svg(m: Memory) -> str:
    title = clean(m.title, 60)
    across, up = WIDTH / max(1, m.calls), HEIGHT / max(1, m.arena)
    bottom = TOP + HEIGHT
    parts = []
    for k in range(5):
        y = bottom - HEIGHT * k / 4
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:g}" y2="{y:g}"/>')
        parts.append(
            f'<text class="told" x="{LEFT - 8}" y="{y + 4:g}" text-anchor="end">'
            f"{_size(m.arena * k / 4)}</text>"
        )
    for lot in m.lots:
        x, w = LEFT + lot.first * across, (lot.last - lot.first + 1) * across
        h = lot.size * up
        y = bottom - lot.offset * up - h
        told = f"{lot.name}: {lot.shape}, {_size(lot.size)} at {_size(lot.offset)}"
        told += f", calls {lot.first} to {lot.last}"
        label = clean(lot.name, max(3, int(w / 7.5)))
        shown = f'<text class="name" x="{x + 6:.2f}" y="{y + 15:.2f}">{escape(label)}</text>'
        parts.append(
            f"<g><title>{escape(told)}</title>"
            f'<rect class="{lot.style}" x="{x + 0.5:.2f}" y="{y + 0.5:.2f}"'
            f' width="{max(w - 1, 0.5):.2f}" height="{max(h - 1, 0.5):.2f}" rx="2"/>'
            f"{shown if w > 40 and h > 20 else ''}</g>"
        )
    share = m.arena / m.apart if m.apart else 1
    words = f"{_size(m.arena)} in one arena; {_size(m.apart)} if nothing were shared ({share:.0%})"
    own = "gm" + sha256(repr(m).encode() + repr(m.lots).encode()).hexdigest()[:8]
    width, height = LEFT + WIDTH + EDGE, bottom + 56
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" id="{own}" role="img"'
        f' aria-labelledby="{own}-title {own}-desc">'
        f'<title id="{own}-title">{escape(title)}</title><desc id="{own}-desc">{words}</desc>'
        f"<style>{_style(own)}</style>"
        f'<rect class="paper" width="100%" height="100%"/>'
        f'<text class="title" x="{EDGE}" y="40">{escape(title)}</text>'
        f'<text class="told" x="{EDGE}" y="64">{words}</text>'
        f"{''.join(parts)}"
        f'<text class="told" x="{LEFT}" y="{bottom + 24}">call 0</text>'
        f'<text class="told" x="{LEFT + WIDTH}" y="{bottom + 24}" text-anchor="end">'
        f"call {max(m.calls - 1, 0)}</text></svg>\n"
    )


def _style(own: str) -> str:
    """The rules of this picture alone, and the colours for dark surroundings."""

    def rules(shade: int) -> str:
        fills = {
            "rect.paper": "paper",
            "text": "ink",
            "text.told": "muted",
            "text.name": "on-header",
            **{f"rect.{style}": style for style in theme.STYLES},
        }
        found = [f"#{own} {what}{{fill:{theme.COLOURS[r][shade]}}}" for what, r in fills.items()]
        found.append(f"#{own} line{{stroke:{theme.COLOURS['track'][shade]}}}")
        return "".join(found)

    return (
        f"#{own} text{{font:13px {theme.FAMILY}}}#{own} text.title{{font:bold 22px {theme.FAMILY}}}"
        f"#{own} text.name{{font:12px {theme.FAMILY}}}"
        f"{rules(0)}@media (prefers-color-scheme:dark){{{rules(1)}}}"
    )
