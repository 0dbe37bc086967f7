"""Errors that teach: the op, what is wrong with which argument, where, and one way to mend it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

from .mode import current

_OWN = ("gradgraph", "numpy")
_LIBRARY = os.path.dirname(os.__file__) + os.sep


def _is_pythons(path: str) -> bool:
    """Whether a file belongs to the standard library."""
    return path.startswith("<frozen") or (
        path.startswith(_LIBRARY) and "site-packages" not in path and "dist-packages" not in path
    )


def user_line() -> str:
    """`file.py:41` of the innermost frame outside gradgraph, numpy and Python's own library.

    Empty if there is none.

    >>> "def f(): return user_line()" and user_line().count(":") > 0
    True
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        path = frame.f_code.co_filename
        if module.partition(".")[0] not in _OWN and not _is_pythons(path):
            near = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
            return f"{near}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


class GradgraphError(Exception):
    """Base of every error of the engine.

    It reads `op (module path): problem. Fix at file.py:41`. The module path is that of the open
    `gradgraph.scope`, the line is that of the user's call that failed.

    Args:
        op: name of the op or operator at fault.
        problem: what is wrong, with the argument, the shapes and the axis.
        fix: one thing to do about it (a sentence; may be empty).
    """

    def __init__(self, op: str, problem: str, fix: str = "") -> None:
        super().__init__(op, problem, fix)
        self.op = op
        self.problem = problem
        self.fix = fix
        self.scope = current().scope
        self.line = user_line()

    def __str__(self) -> str:
        head = f"{self.op} ({self.scope})" if self.scope else self.op
        tail = f" at {self.line}" if self.line else ""
        fix = f" {self.fix}" if self.fix else ""
        return f"{head}: {self.problem}.{fix}{tail}"


class ShapeError(GradgraphError, ValueError):
    """Shapes, axes or sizes that do not fit together."""


class DTypeError(GradgraphError, TypeError):
    """A dtype or a type that the op or operator cannot take."""


class DomainError(GradgraphError, ValueError):
    """A value outside what the op is defined for (a label beyond the classes, a bad option)."""


class IndexingError(GradgraphError, IndexError):
    """An index out of bounds, or of a kind that cannot index."""


class GradError(GradgraphError, RuntimeError):
    """A derivative that was asked for and does not exist, or not in this way."""


class MutationError(GradgraphError, RuntimeError):
    """State was changed by `assign` between the forward computation and the sweep."""


class NonFiniteError(GradgraphError, FloatingPointError):
    """An op made a NaN or an infinity out of finite numbers; raised inside `gradgraph.debug`.

    The message also has the statistics of what the op was given, and the path of a picture.

    Attributes:
        vertex: the vertex of the op (made for the purpose if the op was not recorded), or the one
            whose cotangents add up to no finite number.
        rule: what made the value: "forward", a rule such as "vjp_x" of the reverse sweep, "sum" of
            the cotangents that arrive at the vertex, or "jvp" in the forward sweep.
        stats: of each array that it was given.
    """

    vertex: Any = None
    rule: str = "forward"
    stats: tuple[Any, ...] = ()
    draw: Callable[[], Any] | None = None

    def drawing(self) -> Any:
        """A drawing of the graph with the vertex in red; None for an error made by hand."""
        return self.draw and self.draw()

    @cached_property
    def picture(self) -> str:
        """Path of an SVG of the drawing, in a new temporary folder; empty if it cannot be drawn.

        It is drawn when it, or the message, is first asked for.
        """
        from tempfile import mkdtemp

        with suppress(Exception):
            drawing = self.drawing()
            if drawing is not None and drawing.svg:  # no folder without a picture
                return str(drawing.save(Path(mkdtemp(prefix="gradgraph-"), "graph.svg")))
        return ""

    def __str__(self) -> str:
        lines = [super().__str__(), *map(str, self.stats)]
        if self.picture:
            lines.append(f"picture: {self.picture}")
        return "\n  ".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process gets: the message, without the graph."""
        told = {k: v for k, v in vars(self).items() if k not in ("vertex", "draw")}
        return type(self), self.args, told | {"picture": self.picture}


class OpDefinitionError(GradgraphError, TypeError):
    """An Op class that lacks a rule; raised when the class is defined."""


class MissingExtraError(GradgraphError, ImportError):
    """A feature needs an optional package; the message holds the command that installs it."""
