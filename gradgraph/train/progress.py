"""What a training shows while it runs: a live bar in a terminal, else a line for each epoch."""

from __future__ import annotations

import sys
from typing import Any


class Progress:
    """Shows the epoch, its loss and metrics, items per second, and the size of the gradient.

    Args:
        epochs: how many there are.
        batches: steps in an epoch.
        shown: whether to show anything.
    """

    def __init__(self, epochs: int, batches: int, shown: bool) -> None:
        self.epochs, self.batches, self.shown = epochs, batches, shown
        self.bar, self.task = _bar(shown), None

    def __enter__(self) -> Progress:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def step(self, epoch: int, numbers: dict[str, float]) -> None:
        """One more batch, and what the epoch has come to so far."""
        if self.bar is None:
            return
        if self.task is None:
            self.task = self.bar.add_task("", total=self.batches)
        text = f"epoch {epoch + 1}/{self.epochs}  {_told(numbers)}"
        self.bar.update(self.task, advance=1, description=text)

    def epoch(self, epoch: int, numbers: dict[str, float]) -> None:
        """The end of an epoch."""
        text = f"epoch {epoch + 1:{len(str(self.epochs))}}/{self.epochs}  {_told(numbers)}"
        if self.bar is not None:
            if self.task is not None:
                self.bar.remove_task(self.task)
                self.task = None
            self.bar.console.print(text, highlight=False)
        elif self.shown:
            print(text, flush=True)


def _told(numbers: dict[str, float]) -> str:
    """The numbers in a line.

    >>> _told({"loss": 0.25, "accuracy": 0.5, "items/s": 1234.5})
    'loss 0.25  accuracy 50.0%  items/s 1,234'
    """
    return "  ".join(f"{name} {_shown(name, value)}" for name, value in numbers.items())


def _shown(name: str, value: float) -> str:
    if name.endswith("accuracy"):
        return f"{value:.1%}"
    return f"{value:,.0f}" if name.endswith("/s") else f"{value:.4g}"


def _bar(shown: bool) -> Any:
    """A bar of rich, if there is a terminal to show it and rich is installed."""
    if not shown or not sys.stdout.isatty():
        return None
    try:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
    except ImportError:
        return None
    return Bar(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
