"""Parts of the work for each thread, which are begun and ended without sleep."""

from __future__ import annotations

from .. import threads
from .compiled import kernel
from .simd import glance

GLANCES = 1_000  # some twenty microseconds: longer, and it takes the core from who needs it


@kernel
def _wait(place: int, value: int, glances: int) -> None:
    """Return when another value stands there, or after so many glances."""
    for _ in range(glances):
        if glance(place) != value:
            return


def wait(place: int, value: int) -> None:
    """Wait for another thread, but not for long."""
    _wait(place, value, GLANCES)


def run(work: threads.Work, total: int, unit: int = 1) -> None:
    """work(part, first, end) for each part of the items, in as many threads."""
    threads.run(work, total, wait, unit)
