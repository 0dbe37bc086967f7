"""Look for an input that breaks a law, and shrink it; hypothesis draws and shrinks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DomainError, DTypeError, GradgraphError, MissingExtraError, ShapeError
from .case import CannotCheck, Case, OpCase, normal
from .laws import Broken, Tally, examine, outside

SHRINKING = 10.0  # seconds that shrinking may take


@dataclass(frozen=True)
class Trial:
    """A case, and how it is to be examined.

    Attributes:
        case: what is checked.
        seed: for directions and cotangents.
        order: of the derivatives.
        kinked: whether the point may lie on a kink on purpose.
    """

    case: Case
    seed: int
    order: int = 2
    kinked: bool = False

    def run(self, only: str = "") -> Tally:
        """Examine the case, by one law or by all; raises `Broken`."""
        return examine(self.case, self.seed, order=self.order, kinked=self.kinked, only=only)

    @property
    def size(self) -> tuple[int, int]:
        """What makes a counterexample small: few numbers, then short parameters."""
        return sum(x.size for x in self.case.xs), len(self.case.describe())


@dataclass
class Search:
    """What a search came to.

    Attributes:
        tally: what the examples that held measured.
        examples: how many were tried.
        outside: how many gave no finite result.
        found: the smallest trial that breaks a law, and how; None if there is none.
    """

    tally: Tally
    examples: int = 0
    outside: int = 0
    found: tuple[Trial, Broken] | None = None

    def attempt(self, trial: Trial) -> Broken | None:
        """Run a trial and count it; a break is kept if it is the smallest so far."""
        self.examples += 1
        try:
            if outside(trial.case):
                self.outside += 1
                return None
            self.tally.add(trial.run())
        except Broken as broken:
            if _at_an_edge(trial.case):
                self.outside += 1
                return None
            if self.found is None or trial.size < self.found[0].size:
                self.found = trial, broken
            return broken
        return None


def _at_an_edge(case: Case) -> bool:
    """Whether a function ends at the point, like sqrt at 0: next to it, its result is no number."""
    if isinstance(case, OpCase):
        return False
    rng = np.random.default_rng(0)
    ts = [1e-3 * normal(rng, x.shape) * np.where(x == 0, 1.0, np.abs(x)) for x in case.xs]
    curve = case.along(ts)
    with np.errstate(all="ignore"):
        return not all(np.all(np.isfinite(curve(h))) for h in (-1.0, 1.0))


class _Found(Exception):
    """Tells hypothesis that an example is interesting."""


def needs_hypothesis() -> Any:
    """The hypothesis package.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import hypothesis
    except ImportError:
        raise MissingExtraError(
            "gradgraph.testing",
            "inputs are drawn and shrunk by hypothesis, which is not installed",
            "Run: pip install hypothesis",
        ) from None
    return hypothesis


def search(
    draw_trial: Callable[[Any], Trial], examples: int, seed: int, shrink: bool = True
) -> Search:
    """Try inputs until a law breaks; then shrink the input.

    Args:
        draw_trial: makes a trial from hypothesis's data object.
        examples: how many inputs to try.
        seed: of the drawing.
        shrink: whether to look for a smaller counterexample.
    """
    hypothesis = needs_hypothesis()
    result = Search(Tally())
    stopped: list[CannotCheck] = []
    until = [np.inf]

    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
        phases=[hypothesis.Phase.generate] + [hypothesis.Phase.shrink] * shrink,
    )
    @hypothesis.seed(seed)
    @hypothesis.given(hypothesis.strategies.data())
    def attempt(data: Any) -> None:
        if time.monotonic() > until[0] or stopped:
            return
        try:
            broken = result.attempt(draw_trial(data))
        except CannotCheck as error:
            stopped.append(error)
            return
        if broken is not None:
            until[0] = min(until[0], time.monotonic() + SHRINKING)
            raise _Found

    try:
        attempt()
    except hypothesis.errors.Unsatisfiable as error:
        raise CannotCheck(
            "the function", "the strategies draw no inputs", "Filter less."
        ) from error
    except _Found:
        pass
    except hypothesis.errors.Flaky:
        pass  # shrinking ran out of time: the smallest one so far is kept
    if stopped:
        raise stopped[0]
    return result


def refused(name: str, case: str, error: BaseException) -> CannotCheck:
    """The words for a function that raises instead of computing."""
    text = error.problem if isinstance(error, GradgraphError) else str(error)
    fits = isinstance(error, ShapeError | DomainError | DTypeError | ValueError | IndexError)
    return CannotCheck(
        name,
        f"it raised {type(error).__name__} for {case}: {text.rstrip('.')[:300]}",
        "Pass examples or strategies whose shapes and values it accepts."
        if fits
        else "Call it with these arguments: it has to work by itself, on tensors.",
    )
