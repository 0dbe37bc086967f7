"""A confusion matrix as a picture: what the items of each class are taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from html import escape
from typing import Any

import numpy as np

from gradgraph.errors import DTypeError, ShapeError
from gradgraph.spec import show

from . import theme
from .picture import Picture
from .text import clean

CELL, TOP, EDGE = 46, 96, 28  # pixels: of a cell, above the cells, and around


@dataclass(frozen=True)
class Confusion(Picture):
    """The picture of a confusion matrix; a notebook shows it by itself.

    Attributes:
        counts: how often items of each class (rows) were taken for each class (columns).
        names: of the classes.
        title: heading.
    """

    counts: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    title: str

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text."""
        return _svg(self)

    def __repr__(self) -> str:
        right = sum(row[i] for i, row in enumerate(self.counts))
        return f"Confusion({right} of {sum(map(sum, self.counts))} right)"


def confusion(
    matrix: Any, names: Sequence[str] | None = None, *, title: str = "Confusion matrix"
) -> Confusion:
    """Draw a confusion matrix: a row for each class, shaded by how much of the row a cell holds.

    Args:
        matrix: (classes, classes) counts, as from `gradgraph.train.confusion_matrix`.
        names: of the classes; their numbers by default.
        title: heading of the picture.

    Raises:
        ShapeError: if the matrix is not square, or there are not as many names as classes.
        DTypeError: if it holds anything but counts.

    >>> confusion([[8, 2], [1, 9]], ["cat", "no cat"])
    Confusion(17 of 20 right)
    """
    try:
        counts = np.asarray(matrix)
    except ValueError:  # rows of different lengths
        counts = np.zeros((0, 0))
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ShapeError(
            "confusion", f"the matrix is {show(counts.shape)}", "Pass (classes, classes) counts."
        )
    if counts.dtype.kind not in "iu" or counts.min() < 0:
        raise DTypeError("confusion", "the matrix holds no counts", "Pass integers ≥ 0.")
    if isinstance(names, str):
        raise DTypeError("confusion", f"names is {names!r}, one text", "Pass a list of names.")
    labels = tuple(map(str, range(len(counts)) if names is None else names))
    if len(labels) != len(counts):
        raise ShapeError(
            "confusion", f"{len(labels)} names for {len(counts)} classes", "Pass one for each."
        )
    return Confusion(tuple(map(tuple, counts.tolist())), labels, str(title))


def _svg(c: Confusion) -> str:
    names = [clean(name, 16) for name in c.names]
    title = clean(c.title, 60)
    left = EDGE + 24 + 8 * max(map(len, names))
    n = len(names)
    slanted = max(map(len, names)) > 4
    top = TOP + (6 * max(map(len, names)) if slanted else 0)
    lean = 5 * len(names[-1]) if slanted else 0
    least = max(360, 2 * EDGE + 12 * len(title))
    width, height = max(left + n * CELL + EDGE + lean, least), top + n * CELL + EDGE
    parts = []
    for i, row in enumerate(c.counts):
        y = top + i * CELL
        parts.append(
            f'<text class="name" x="{left - 10}" y="{y + CELL / 2 + 5}" text-anchor="end">'
            f"{escape(names[i])}</text>"
        )
        x = left + i * CELL + CELL / 2
        turn = f' transform="rotate(-50 {x} {top - 10})"' if slanted else ""
        anchor = "start" if slanted else "middle"
        parts.append(
            f'<text class="name" x="{x}" y="{top - 10}" text-anchor="{anchor}"{turn}>'
            f"{escape(names[i])}</text>"
        )
        parts += [
            _cell((names[i], names[j]), i == j, count, sum(row), left + j * CELL, y)
            for j, count in enumerate(row)
        ]
    heading = escape(title)
    own = "gm" + sha256(repr((c.counts, c.names, c.title)).encode()).hexdigest()[:8]
    words = f"{sum(r[i] for i, r in enumerate(c.counts))} of {sum(map(sum, c.counts))} right"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" id="{own}" role="img"'
        f' aria-labelledby="{own}-title {own}-desc">'
        f'<title id="{own}-title">{heading}</title><desc id="{own}-desc">{words}</desc>'
        f"<style>{_style(own)}</style>"
        f'<rect class="paper" width="100%" height="100%"/>'
        f'<text class="title" x="{EDGE}" y="40">{heading}</text>'
        f'<text class="told" x="{EDGE}" y="62">{words}; rows: truths, columns: guesses</text>'
        f"{''.join(parts)}</svg>\n"
    )


def _cell(names: tuple[str, str], right: bool, count: int, total: int, x: float, y: float) -> str:
    """A cell, as strong as its share of the row; what is right has another colour."""
    box = f'x="{x + 1}" y="{y + 1}" width="{CELL - 2}" height="{CELL - 2}" rx="4"'
    empty = f'<rect class="cell" {box}/>'
    if not count:
        return empty
    share = count / total
    told = f"{names[0]} taken for {names[1]}: {count} ({share:.0%})"
    number = f"{count:,}" if count < 100_000 else f"{count:.0e}"
    return (
        f"<g><title>{escape(told)}</title>{empty}"
        f'<rect class="{"right" if right else "wrong"}" {box} fill-opacity="{share**0.5:.3f}"/>'
        f'<text class="{"strong" if share > 0.55 else "count"}" x="{x + CELL / 2}"'
        f' y="{y + CELL / 2 + 5}" text-anchor="middle">{number}</text></g>'
    )


def _style(own: str) -> str:
    """The rules of this picture alone, and the colours for dark surroundings."""

    def rules(shade: int) -> str:
        fills = {
            "rect.paper": "paper",
            "rect.cell": "foot",
            "rect.right": "activation",
            "text": "ink",
            "text.told": "muted",
            "text.strong": "on-header",
        }
        return "".join(
            f"#{own} {what}{{fill:{theme.COLOURS[role][shade]}}}" for what, role in fills.items()
        )

    wrong = f"#{own} rect.wrong{{fill:{theme.colour('alarm')}}}"  # in both: words lie upon it
    fonts = (
        f"#{own} text{{font:14px {theme.FAMILY}}}#{own} text.title{{font-size:20px;"
        f"font-weight:bold}}#{own} text.told{{font-size:13px}}"
    )
    return f"{rules(0)}{wrong}{fonts}@media (prefers-color-scheme:dark){{{rules(1)}}}"
