"""What a check found: a report when the laws hold, else an error with the counterexample."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from typing import Any

from .laws import LAWS, Entry, Tally

LISTENERS: list[Any] = []  # called with every report, also of checks that fail


@dataclass
class Report:
    """What was checked, and how well the laws held.

    Attributes:
        name: what was checked.
        verdict: "passed", "wrong" or "cannot check".
        examples: how many inputs were tried.
        outside: how many of them lay outside the function's domain (its result was no number).
        tally: what was measured.
        seconds: how long it took.
        notes: what was not checked, and why.
    """

    name: str
    verdict: str
    examples: int
    outside: int
    tally: Tally
    seconds: float
    notes: list[str] = field(default_factory=list)

    @property
    def undecided(self) -> float:
        """The share of comparisons with differences that decided nothing."""
        return self.tally.unclear / max(self.tally.compared, 1)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "examples": self.examples,
            "outside": self.outside,
            "undecided": self.undecided,
            "kinks": self.tally.kinks,
            "held": self.tally.held,
            "worst_eps": self.tally.worst,
            "seconds": self.seconds,
            "notes": self.notes,
        }

    def __str__(self) -> str:
        lines = [
            f"{self.verdict}: {self.name}, {self.examples} examples, {self.seconds:.1f} s"
            f" ({100 * self.undecided:.1f} % undecided, {self.tally.kinks} at kinks)"
        ]
        for law, count in self.tally.held.items():
            worst = self.tally.worst.get(law)
            eps = "" if worst is None else f", worst error {worst:.3g} eps"
            lines.append(f"  {law:<14}{count:>5}×{eps}")
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)


@dataclass
class WrongGradient(AssertionError):
    """A law that does not hold, with the smallest input that shows it.

    Attributes:
        name: what was checked.
        law: the law's name in `gradgraph.testing.LAWS`.
        problem: what was found.
        input: the arguments in words: names, shapes and parameters.
        example: the arguments themselves, by name.
        entries: wrong numbers, expected and got.
        blamed: finds the op at fault; `culprit` calls it.
        drawn: draws the graph with the culprit in red and gives the path; `picture` calls it.
        written: writes a program that shows the fault when it is run, or says why there is none;
            `reproducer` calls it.
        report: what was measured up to there.
    """

    name: str
    law: str
    problem: str
    input: str
    example: dict[str, Any]
    entries: tuple[Entry, ...]
    blamed: Callable[[], str] = field(repr=False)
    drawn: Callable[[], str] = field(repr=False)
    written: Callable[[], tuple[str, str]] = field(repr=False)
    report: Report

    @cached_property
    def culprit(self) -> str:
        """The op at fault and the user's line that applied it, searched for when it is asked for,
        as the text does; empty if unknown."""
        return self.blamed()

    @cached_property
    def picture(self) -> str:
        """Path of the drawing with the culprit in red, drawn when it is asked for, as the text
        does; empty if there is none."""
        return self.drawn()

    @cached_property
    def _program(self) -> tuple[str, str]:
        return self.written()

    @property
    def reproducer(self) -> str:
        """A program that shows the fault when it is run, written when it is asked for, as the text
        does; empty if none can be written."""
        return self._program[0]

    @property
    def unwritten(self) -> str:
        """Why there is no program."""
        return self._program[1]

    def __str__(self) -> str:
        at_fault = "the derivative" if self.law != "spec" else "what is announced"
        lines = [
            f"{at_fault} of {self.name} is wrong",
            f"  law      {self.law}: {LAWS[self.law]}",
        ]
        lines.append(f"  found    {self.problem}")
        lines.append(f"  input    {self.input}")
        lines += [f"  wrong    {entry}" for entry in self.entries]
        if self.culprit:
            lines.append(f"  op       {self.culprit}")
        if self.picture:
            lines.append(f"  picture  {self.picture}")
        if self.reproducer:
            lines.append("  reproduce with")
            lines += [f"    {line}" for line in self.reproducer.splitlines()]
        elif self.unwritten:
            lines.append(f"  (there is no program to reproduce it: {self.unwritten})")
        return "\n".join(lines)

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> Any:
        """Copies and pickles hold the culprit, the path of the picture and the program, not what
        makes them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["blamed"] = partial(str, self.culprit)
        values["drawn"] = partial(str, self.picture)
        values["written"] = partial(tuple, self._program)
        return _again, (values,)


def _again(values: dict[str, Any]) -> WrongGradient:
    return WrongGradient(**values)


def tell(report: Report) -> None:
    """Hand a report to whoever collects them."""
    for listener in LISTENERS:
        listener(report)


def table(reports: Iterable[Report]) -> str:
    """Reports as the rows of a table.

    >>> print(table([Report("relu", "passed", 50, 0, Tally(compared=100, unclear=1), 0.3)]))
    checked verdict       examples  undecided  kinks  worst error (eps)      s
    relu    passed              50      1.0 %      0                  0    0.3
    """
    rows = list(reports)
    width = max([7, *(len(r.name) for r in rows)])
    lines = [
        f"{'checked':<{width}} {'verdict':<12} {'examples':>9} {'undecided':>10} {'kinks':>6}"
        f" {'worst error (eps)':>18} {'s':>6}"
    ]
    for r in rows:
        worst = max(r.tally.worst.values(), default=0.0)
        lines.append(
            f"{r.name:<{width}} {r.verdict:<12} {r.examples:>9} {100 * r.undecided:>8.1f} %"
            f" {r.tally.kinks:>6} {worst:>18.3g} {r.seconds:>6.1f}"
        )
    return "\n".join(lines)
