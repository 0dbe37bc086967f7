"""The typical architecture as cuboids (chapter, section 7.3), from a run of the network.

Height and width of a cuboid are those of the image, its depth (drawn from left to right) is the
number of channels. Fully connected layers are bars. A small pyramid shows a filter at work.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from html import escape
from math import prod
from typing import Any

from gradgraph.errors import DTypeError
from gradgraph.graph import Graph
from gradgraph.nn.summary import result, started
from gradgraph.ops.conv import Conv
from gradgraph.spec import brief

from . import theme
from .picture import Picture
from .text import clean

Point = tuple[float, float]

TALL, SLANT = 170.0, 0.38  # pixels of the largest image; how far its width leans to the right
GAP, LEFT, TOP = 46.0, 40.0, 96.0
LEAST = 440.0  # width, for the words below the title


@dataclass(frozen=True, slots=True)
class Block:
    """One cuboid or bar.

    Attributes:
        name: of the layer, or "input".
        op: what made it, with its settings.
        style: colour group of the op.
        shape: of one item: (H, W, channels), (L, channels), or (units,).
        kernel: size of the filter or window that made it; empty if none.
        then: activations that were applied at once, e.g. ("relu",).
    """

    name: str
    op: str
    style: str
    shape: tuple[int, ...]
    kernel: tuple[int, ...] = ()
    then: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cuboids(Picture):
    """The drawing of an architecture; a notebook shows it by itself.

    Attributes:
        blocks: from the input to the output.
        title: heading.
    """

    blocks: tuple[Block, ...]
    title: str

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text."""
        return _svg(self.blocks, self.title)

    def __repr__(self) -> str:
        return f"Cuboids({' → '.join(brief(b.shape) for b in self.blocks)})"


def cuboids(module: Any, x: Any, *, title: str = "Architecture") -> Cuboids:
    """Run a network once, and draw what every layer makes of the input.

    Args:
        module: a module, or any function of one tensor.
        x: an input, channels last, with a batch axis; or its shape as a tuple, or its `Spec`.
        title: heading of the picture.

    Raises:
        DTypeError: if the module does not return a tensor, or the title is no string.
        Also what the module raises for this input.

    >>> from gradgraph import nn
    >>> cuboids(nn.LeNet(rng=0), (1, 28, 28, 1))
    Cuboids(28×28×1 → 24×24×16 → 12×12×16 → 8×8×32 → 4×4×32 → 128 → 10)
    """
    if not isinstance(title, str):
        raise DTypeError("cuboids", f"title is {title!r}, not a string", 'Use title="LeNet".')
    return Cuboids(tuple(_blocks(started(module, x, "cuboids"))), title)


def _blocks(graph: Graph) -> Iterator[Block]:
    start = graph.inputs[0]
    held = Block("input", "", "leaf", graph.specs[start].shape[1:] or (1,))
    reached, tail = {start}, {start}  # what depends on the input; what is still the held block
    for step in graph.steps:
        if reached.isdisjoint(step.inputs):
            continue
        reached.add(step.output)
        shape = result(step, graph).shape[1:] or (1,)
        kernel: tuple[int, ...] = getattr(step.op, "kernel", ())
        if isinstance(step.op, Conv):
            kernel = graph.specs[step.inputs[1]].shape[:-2]
        if step.op.style in ("linear", "pool"):
            yield held
            name = step.scope.rpartition(".")[2] or step.op.name
            words = " ".join([step.op.name, brief(kernel) if kernel else ""]).strip()
            held, tail = Block(name, words, step.op.style, shape, kernel), {step.output}
        elif not tail.isdisjoint(step.inputs):
            tail.add(step.output)
            if step.op.style == "activation":
                held = replace(held, then=(*held.then, step.op.name))
    yield held
    shape = graph.specs[graph.outputs[0]].shape[1:] or (1,)
    if prod(shape) != prod(held.shape):
        yield Block("output", graph.steps[-1].op.name, graph.steps[-1].op.style, shape)


def _size(block: Block, largest: int) -> tuple[float, float, float]:
    """Depth, height and lean of a block in pixels."""
    *spatial, channels = block.shape
    if not spatial:
        return 14.0, 30 + 13 * math.log2(1 + channels), 0.0
    height = TALL * max(spatial[0] / largest, 0.02) ** 0.6
    width = TALL * max(spatial[-1] / largest, 0.02) ** 0.6 if len(spatial) > 1 else 10.0
    return 6 + 9 * math.log2(1 + channels), height, SLANT * width


def _svg(blocks: tuple[Block, ...], title: str) -> str:
    largest = max([1, *(n for b in blocks for n in b.shape[:-1])])
    base = TOP + TALL * (1 + SLANT)
    x = LEFT
    parts: list[str] = []
    before: tuple[Block, float, tuple[float, float, float]] | None = None
    for block in blocks:
        depth, height, lean = size = _size(block, largest)
        lines = _caption(block)
        room = max(depth + lean, 7.0 * max(map(len, lines)))
        at = x + max(0.0, (room - depth - lean) / 2)
        if before and block.kernel and len(before[0].shape) > 1:
            parts.append(_filter(before, block, (at, base - height / 2), base))
        elif before and len(block.shape) == 1:
            parts.append(_everything(before, (at, height), base))
        parts.append(_block(block, at, base, size))
        for i, line in enumerate(lines):
            kind = "name" if not i else "told"
            parts.append(
                f'<text class="{kind}" x="{x + room / 2:.1f}" y="{base + 26 + 17 * i:.1f}"'
                f' text-anchor="middle">{escape(line)}</text>'
            )
        before = block, at, size
        x += room + GAP
    width = max(x - GAP + LEFT, LEAST, 2 * LEFT + 12.0 * len(clean(title, 80)))
    tall = base + 100
    words = ", then ".join(f"{clean(b.name)} {brief(b.shape)}" for b in blocks)
    heading = escape(clean(title, 80))
    own = "gc" + sha256(f"{heading} {blocks}".encode()).hexdigest()[:8]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {tall:.0f}"'
        f' width="{width:.0f}" height="{tall:.0f}" id="{own}" role="img"'
        f' aria-labelledby="{own}-title {own}-desc">'
        f'<title id="{own}-title">{heading}</title><desc id="{own}-desc">{escape(words)}</desc>'
        f"<style>{_style(own)}</style>"
        f'<rect class="paper" width="100%" height="100%"/>'
        f'<text class="title" x="{LEFT:.0f}" y="44">{heading}</text>'
        f'<text class="told" x="{LEFT:.0f}" y="66">height and width: the image;'
        f" depth, from left to right: the channels</text>{''.join(parts)}</svg>\n"
    )


def _caption(block: Block) -> list[str]:
    made = " + ".join([*([block.op] if block.op else []), *block.then])
    return [clean(block.name, 20) or "unnamed", brief(block.shape), *([made] if made else [])]


def _block(block: Block, x: float, base: float, size: tuple[float, float, float]) -> str:
    """The front (channels × height), the side (width, leaning back) and the top of a cuboid."""
    depth, height, lean = size
    top = base - height
    front = [(x, base), (x + depth, base), (x + depth, top), (x, top)]
    side = [(x + depth, base), (x + depth + lean, base - lean),
            (x + depth + lean, top - lean), (x + depth, top)]  # fmt: skip
    lid = [(x, top), (x + depth, top), (x + depth + lean, top - lean), (x + lean, top - lean)]
    faces = [("front", front)] + ([("side", side), ("lid", lid)] if lean else [])
    colour = block.style if block.style in theme.STYLES else "leaf"
    drawn = "".join(f'<polygon class="{name}" points="{_points(p)}"/>' for name, p in faces)
    return f'<g class="{colour}"><title>{escape(", ".join(_caption(block)))}</title>{drawn}</g>'


def _filter(
    before: tuple[Block, float, tuple[float, float, float]], block: Block, tip: Point, base: float
) -> str:
    """The filter on the side of the cuboid before, and the lines to the pixel that it makes."""
    source, x, (depth, height, lean) = before
    tall = height * min(block.kernel[0] / source.shape[0], 1.0)
    part = lean * min(block.kernel[-1] / source.shape[-2], 1.0) if len(block.kernel) > 1 else lean
    left, low = x + depth + (lean - part) * 0.4, base - (lean - part) * 0.4 - (height - tall) * 0.35
    corners = [(left, low), (left + part, low - part), (left + part, low - part - tall),
               (left, low - tall)]  # fmt: skip
    lines = "".join(
        f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{tip[0]:.1f}" y2="{tip[1]:.1f}"/>' for a, b in corners
    )
    return f'<g class="filter"><polygon points="{_points(corners)}"/>{lines}</g>'


def _everything(
    before: tuple[Block, float, tuple[float, float, float]], bar: Point, base: float
) -> str:
    """Lines from the edges of the cuboid before to a bar, which is connected to all of it."""
    _, x, (depth, height, lean) = before
    right, (left, tall) = x + depth + lean, bar
    pairs = [
        ((right, base - lean - height), (left, base - tall)),
        ((right, base - lean), (left, base)),
    ]
    lines = "".join(
        f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}"/>' for (a, b), (c, d) in pairs
    )
    return f'<g class="filter">{lines}</g>'


def _points(corners: list[Point]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)


def _style(own: str) -> str:
    """Colours of the light and the dark theme, for the picture with this id alone."""
    at = f"#{own} "

    def rules(dark: int) -> str:
        def c(role: str) -> str:
            return theme.COLOURS[role][dark]

        return "".join(
            [
                f"{at}.paper{{fill:{c('paper')}}}",
                f"{at}.title,{at}.name{{fill:{c('ink')}}}{at}.told{{fill:{c('muted')}}}",
                f"{at}.filter polygon{{fill:{c('ramp7')};fill-opacity:.55;stroke:{c('ink')}}}",
                f"{at}.filter line{{stroke:{c('muted')}}}",
                *(
                    f"{at}.{s} polygon{{fill:{c(s)};stroke:{c('paper')}}}"
                    for s in (*theme.STYLES, "leaf")
                ),
            ]
        )

    return (
        f"{at}text{{font-family:{theme.FAMILY};font-size:12px}}"
        f"{at}.title{{font-size:20px;font-weight:700}}{at}.name{{font-size:13px;font-weight:700}}"
        f"{at}.side{{fill-opacity:.72}}{at}.lid{{fill-opacity:.5}}"
        f"{at}.filter line{{stroke-width:.8;stroke-dasharray:3 2}}"
        f"{rules(0)}@media (prefers-color-scheme:dark){{{rules(1)}}}"
    )
