"""The frames of a playback as SVG: one for a step, or one that holds all of them for the player."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from html import escape
from itertools import pairwise
from typing import TypeVar

from .. import theme
from ..text import clean
from .arrows import arrow
from .captions import Line, caption, words
from .cells import Card, Numbers
from .frame_style import sheet
from .grids import Grid
from .rows import Edge, Plan, Point, arrange
from .steps import Recording, Step
from .symbols import short

State = TypeVar("State", bound=Hashable)

CELL, HEAD, PAD, TITLE = 26.0, 126.0, 8.0, 15.0  # heights of a cell and a grid's title; a header
LEFT, TOP, PANEL, LINE = 28.0, 92.0, 444.0, 19.0


@dataclass(frozen=True, slots=True)
class Numbered:
    """A row of cells at some step.

    Attributes:
        numbers: None before they are computed.
        new: whether this step computes them.
        told: the places that the equations are about, if not all.
        marks: what is known of the places, "winner", "blocked" or nothing.
    """

    numbers: Numbers | None
    new: bool
    told: frozenset[int]
    marks: tuple[tuple[int, str], ...]


class Frames:
    """The pictures of a recording.

    Args:
        recording: of the steps.
        title: heading.
    """

    def __init__(self, recording: Recording, title: str) -> None:
        self.recording = recording
        self.title = clean(title, 80)
        count = len(recording.steps)
        self._known: dict[tuple[int, str], list[Numbered]] = {}
        self.captions = [caption(step, i + 1, count) for i, step in enumerate(recording.steps)]

    def svg(self, step: int) -> str:
        """The frame of a step."""
        return self._svg(_Moment(False, step), words(self.captions[step]))

    def whole(self) -> str:
        """All steps in one picture, for a script to choose from; without one the last is seen."""
        return self._svg(_Moment(True, len(self.captions) - 1), self._summary)

    def _svg(self, moment: _Moment, told: str) -> str:
        parts = [self._card(i, moment) for i in range(len(self.recording.cards))]
        parts += [moment.over(self._passing(edge), self._line(edge)) for edge in self.plan.edges]
        parts += [moment.over(range(len(self.captions)), self._panel)]
        own = "gp" + sha256(f"{self.title}{told}{parts}".encode()).hexdigest()[:8]
        width, height = self.size
        heading, marks = escape(self.title), self._legend
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
            f' width="{width:.0f}" height="{height:.0f}" id="{own}" role="img"'
            f' aria-labelledby="{own}-title {own}-desc">'
            f'<title id="{own}-title">{heading}</title><desc id="{own}-desc">{escape(told)}</desc>'
            f"<style>{sheet(own)}</style>"
            '<rect class="paper" width="100%" height="100%"/>'
            f'<text class="heading" x="{LEFT:.0f}" y="42">{heading}</text>'
            f'<text class="note" x="{LEFT:.0f}" y="64">{escape(marks)}</text>'
            f"{''.join(parts)}</svg>\n"
        )

    @cached_property
    def plan(self) -> Plan:
        """Where everything is."""
        return arrange([self._size(c) for c in self.recording.cards],
                       [c.reads for c in self.recording.cards])  # fmt: skip

    @cached_property
    def size(self) -> Point:
        """Width and height of every frame."""
        panel = max(_height(lines) for lines in self.captions)
        wide = LEFT + self.plan.width + 36 + PANEL + LEFT
        return wide, TOP + max(self.plan.height, panel) + LEFT

    @cached_property
    def _summary(self) -> str:
        loss = self.recording.cards[self.recording.loss]
        ops = sum(card.op is not None for card in self.recording.cards)
        return f"{len(self.captions)} steps forward and backward through {ops} ops to {loss.symbol}"

    @cached_property
    def _legend(self) -> str:
        marks = {kind for _, kind in self.recording.marks.values()}
        loss = self.recording.cards[self.recording.loss].symbol
        parts = [f"values, and below them ∂{loss} by each of them", "thick frame: this step"]
        parts += ["ring: winner"] if "winner" in marks else []
        parts += ["grey with ×: blocked"] if "blocked" in marks else []
        return " · ".join([*parts, "numbered from 0"])

    @cached_property
    def _cell(self) -> float:
        """The width of a cell: the longest number fits."""
        rows = [(card, card.values) for card in self.recording.cards]
        for i, found in self.recording.gradients.items():
            rows += [(self.recording.cards[i], g) for _, g in found]
        longest = max((len(short(row[p])) for card, row in rows for p in card.cells()), default=1)
        return max(40.0, 7.6 * longest + 18)

    def _label(self, card: Card) -> float:
        """The width of the words before the cells."""
        loss = self.recording.cards[self.recording.loss].symbol
        longest = f"∂{loss}/∂{card.symbol}" if card.wants else card.symbol
        return 7.6 * len(longest) + 14

    def _size(self, card: Card) -> Point:
        wide = sum(max(len(row) for row in grid.rows) * self._cell for grid in card.grids)
        wide += 12.0 * max(len(card.grids) - 1, 0)
        height = _section(card) * (2 if card.wants else 1) + (6 if card.wants else 0)
        height += TITLE if _cut(card) else 0
        return 3 * PAD + HEAD + self._label(card) + wide, max(height, CELL + TITLE) + 2 * PAD

    # The cards

    def _card(self, index: int, moment: _Moment) -> str:
        card, (x, y) = self.recording.cards[index], self.plan.cards[index]
        x, y = x + LEFT, y + TOP
        width, height = self._size(card)
        steps = range(len(self.recording.steps))

        def frame(active: bool) -> str:
            if not active:
                return ""
            return (
                f'<rect class="now" x="{x - 4:.1f}" y="{y - 4:.1f}" width="{width + 8:.1f}"'
                f' height="{height + 8:.1f}" rx="6"/>'
            )

        style = card.style if card.style in theme.STYLES or card.op is None else "other"
        middle = x + PAD + HEAD / 2
        name, detail = clean(card.title, 15), clean(card.detail, 22)
        baseline = y + height / 2 + (-1 if detail else 5)
        lines = [f'<text class="head" x="{middle:.1f}" y="{baseline:.1f}">{escape(name)}</text>']
        if detail:
            lines.append(
                f'<text class="under" x="{middle:.1f}" y="{baseline + 16:.1f}">'
                f"{escape(detail)}</text>"
            )
        body = [
            moment.over([self.recording.steps[s].card == index for s in steps], frame),
            f'<rect class="card s-{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}"'
            f' height="{height:.1f}"/>',
            f'<rect class="f-{style}" x="{x + PAD:.1f}" y="{y + PAD:.1f}" width="{HEAD:.0f}"'
            f' height="{height - 2 * PAD:.1f}"/>',
            *lines,
        ]
        left, top = x + 2 * PAD + HEAD + self._label(card), y + PAD
        if len(card.grids) and not card.wants and height > _section(card) + 2 * PAD:
            top += (height - 2 * PAD - _section(card) - (TITLE if _cut(card) else 0)) / 2
        body.append(self._row(index, "value", left, top, moment))
        if card.wants:
            body.append(self._row(index, "gradient", left, top + _section(card) + 6, moment))
        if _cut(card):
            body.append(
                f'<text class="small" x="{left:.1f}" y="{y + height - 6:.1f}">'
                f"{len(card.cells()):,} of {len(card.values):,} numbers</text>"
            )
        return f"<g>{''.join(body)}</g>"

    def _row(self, index: int, kind: str, left: float, top: float, moment: _Moment) -> str:
        """The label and the cells of the values or of the gradient."""
        card = self.recording.cards[index]
        loss = self.recording.cards[self.recording.loss].symbol
        label = card.symbol if kind == "value" else f"∂{loss}/∂{card.symbol}"
        if not card.grids:
            return ""
        baseline = top + (TITLE if _titled(card) else 0) + CELL / 2 + 5
        states = self._states(index, kind)
        return (
            f'<text class="label {kind}" x="{left - 8:.1f}" y="{baseline:.1f}">'
            f"{escape(label)}</text>"
            + moment.over(states, lambda state: self._cells(card.grids, state, kind, left, top))
        )

    def _states(self, index: int, kind: str) -> list[Numbered]:
        """What the cells of a card show at every step."""
        if (index, kind) not in self._known:
            states = self._valued(index) if kind == "value" else self._graded(index)
            self._known[index, kind] = list(states)
        return self._known[index, kind]

    def _valued(self, index: int) -> Iterator[Numbered]:
        card = self.recording.cards[index]
        numbers = card.values if card.op is None else None
        marks = [(p, since, mark) for (i, p), (since, mark) in self.recording.marks.items()
                 if i == index]  # fmt: skip
        for number, step in enumerate(self.recording.steps):
            new = step.phase == "forward" and index in step.fills
            numbers = card.values if new else numbers
            known = tuple((p, mark) for p, since, mark in marks if since <= number)
            yield Numbered(numbers, new, self._told(index, step) if new else frozenset(), known)

    def _graded(self, index: int) -> Iterator[Numbered]:
        arrived = dict(self.recording.gradients.get(index, ()))
        numbers = None
        for number, step in enumerate(self.recording.steps):
            new = number in arrived
            numbers = arrived.get(number, numbers)
            yield Numbered(numbers, new, self._told(index, step) if new else frozenset(), ())

    def _told(self, index: int, step: Step) -> frozenset[int]:
        """The cells of a card that the equations of a step are about, if not all."""
        told = frozenset(p for i, p in step.cells if i == index)
        return told if len(told) < len(self.recording.cards[index].values) else frozenset()

    def _cells(
        self, grids: tuple[Grid, ...], state: Numbered, kind: str, left: float, top: float
    ) -> str:
        parts = []
        marks = dict(state.marks)
        for grid in grids:
            y = top
            if grid.title:
                parts.append(
                    f'<text class="small" x="{left:.1f}" y="{y + 10:.1f}">{grid.title}</text>'
                )
            y += TITLE if any(g.title for g in grids) else 0
            for row in grid.rows:
                for column, place in enumerate(row):
                    at = left + column * self._cell, y
                    number = state.numbers[place] if state.numbers else None
                    look = _look(kind, state, number, marks.get(place, ""))
                    parts.append(self._one(at, number, look, place in state.told))
                y += CELL
            left += max(map(len, grid.rows)) * self._cell + 12
        return "".join(parts)

    def _one(self, at: Point, number: float | None, look: str, told: bool) -> str:
        """One cell."""
        x, y = at
        inset = 2.5 if "winner" in look else 1.5
        box = (
            f'<rect class="{look}" x="{x + inset:.1f}" y="{y + inset:.1f}"'
            f' width="{self._cell - 2 * inset:.1f}" height="{CELL - 2 * inset:.1f}"/>'
        )
        if told:
            box += (
                f'<rect class="told" x="{x - 1:.1f}" y="{y - 1:.1f}" width="{self._cell + 2:.1f}"'
                f' height="{CELL + 2:.1f}"/>'
            )
        if number is None:
            return box
        if "blocked" in look:
            box += f'<text class="cross" x="{x + self._cell - 4:.1f}" y="{y + 10:.1f}">×</text>'
        middle = x + self._cell / 2
        return box + (
            f'<text class="n {look}" x="{middle:.1f}" y="{y + CELL / 2 + 4.5:.1f}">'
            f"{short(number)}</text>"
        )

    # The lines between them

    def _passing(self, edge: Edge) -> list[str]:
        """What passes along a line at every step."""
        state, states = "wait", []
        for step in self.recording.steps:
            if edge in step.edges:
                state = "down" if step.phase == "forward" else "up"
            elif state in ("down", "up"):
                state = "data" if state == "down" else "back"
            states.append(state)
        return states

    def _line(self, edge: Edge) -> Callable[[str], str]:
        corners = [(x + LEFT, y + TOP) for x, y in self.plan.edges[edge]]

        def draw(state: str) -> str:
            line = corners if state in ("wait", "data", "down") else corners[::-1]
            return f'<g class="line {state}">{arrow(line)}</g>'

        return draw

    # What is said

    def _panel(self, step: int) -> str:
        """The caption of a step, beside the card that it is about."""
        lines = self.captions[step]
        tall = _height(lines)
        x = LEFT + self.plan.width + 36
        card = self.recording.steps[step].card
        y = TOP + self.plan.cards[card][1]
        y = max(TOP, min(y, self.size[1] - LEFT - tall))
        parts = [
            f'<rect class="panel" x="{x:.1f}" y="{y:.1f}" width="{PANEL:.0f}"'
            f' height="{tall:.1f}" rx="6"/>'
        ]
        at = y + 10
        for before, line in zip((None, *lines), lines, strict=False):
            at += LINE + (_space(before, line) if before else 0)
            indent = 26 if line.kind == "more" else 14
            parts.append(
                f'<text class="{line.kind}" x="{x + indent:.1f}" y="{at - 4:.1f}">'
                f"{escape(line.text)}</text>"
            )
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Moment:
    """Which steps a picture shows.

    Attributes:
        all: whether all of them are in it.
        shown: the step that is visible.
    """

    all: bool
    shown: int

    def over(self, states: Sequence[State], draw: Callable[[State], str]) -> str:
        """What is drawn for the states of something, one for each step.

        All of them, in a picture of all steps, each with the steps at which it is visible.
        """
        if not self.all:
            return draw(states[self.shown])
        at: dict[State, list[int]] = {}
        for step, state in enumerate(states):
            at.setdefault(state, []).append(step)
        if len(at) == 1:
            return draw(states[0])
        parts = []
        for state, steps in at.items():
            drawn = draw(state)
            if drawn:
                off = "" if self.shown in steps else ' class="off"'
                parts.append(f'<g data-on="{" ".join(map(str, steps))}"{off}>{drawn}</g>')
        return "".join(parts)


def _look(kind: str, state: Numbered, number: float | None, mark: str) -> str:
    """The classes of a cell."""
    if number is None:
        return "empty"
    if kind == "gradient":
        return "gnew" if state.new else "g zero" if number == 0 else "g"
    return " ".join(part for part in ("new" if state.new else "v", mark) if part)


def _titled(card: Card) -> bool:
    return any(grid.title for grid in card.grids)


def _cut(card: Card) -> bool:
    return bool(card.grids) and len(card.cells()) < len(card.values)


def _section(card: Card) -> float:
    """The height of the values of a card."""
    rows = max((len(grid.rows) for grid in card.grids), default=0)
    return rows * CELL + (TITLE if _titled(card) else 0)


def _space(before: Line, line: Line) -> float:
    """Room above a line where another kind begins."""
    if line.kind == before.kind or line.kind == "more":
        return 0
    return 3 if before.kind == "more" else 8


def _height(lines: tuple[Line, ...]) -> float:
    spaces = sum(_space(a, b) for a, b in pairwise(lines))
    return 20 + LINE * len(lines) + spaces
