"""What is written beside a step: title, law, equations and notes, in lines of a given length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .equations import Equation
from .steps import Step

LENGTH = 62  # characters of a line


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a caption.

    Attributes:
        kind: "title", "law", "equation", "more" (of an equation) or "note".
        text: its words, not escaped.
    """

    kind: str
    text: str


def caption(step: Step, number: int, count: int) -> tuple[Line, ...]:
    """The lines beside step `number` (from 1) of `count`."""
    lines = [Line("title", f"Step {number} of {count} · {step.title}")]
    lines += [Line("law", text) for text in wrapped(step.law.split(" "))]
    for equation in step.equations:
        first, *rest = _sides(equation)
        lines += [Line("equation", first), *(Line("more", text) for text in rest)]
    for note in step.notes:
        lines += [Line("note", text) for text in wrapped(note.split(" "))]
    return tuple(lines)


def words(lines: Iterable[Line]) -> str:
    """A caption as one text, to be read aloud."""
    text = ""
    for line in lines:
        text += " " if line.kind == "more" or not text else ". "
        text += line.text
    return text.strip() + "."


def wrapped(parts: Sequence[str], length: int = LENGTH) -> list[str]:
    """Parts joined by spaces, in lines that are not longer than `length` if that can be.

    >>> wrapped(["aa", "bb", "cc"], 5)
    ['aa bb', 'cc']
    """
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 1 + len(part) <= length:
            lines[-1] += f" {part}"
        else:
            lines.append(part)
    return lines


def _sides(equation: Equation) -> list[str]:
    """The equation in one line, or a line for each side, and more for a long side."""
    if len(str(equation)) <= LENGTH:
        return [str(equation)]
    left, first, *sides = equation.parts
    if sides:
        *sides, result = sides
        sides = [*sides[:-1], f"{sides[-1]} {result}"] if sides else [result]
    return [line for side in (f"{left} {first}", *sides) for line in wrapped(side.split(" "))]
