"""Playback: forward and backward through a small graph, step by step, with the actual numbers."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from gradgraph.errors import DomainError, DTypeError, GradError, IndexingError
from gradgraph.graph import Graph
from gradgraph.mode import capture, enable_grad
from gradgraph.node import Vertex
from gradgraph.spec import show
from gradgraph.tensor import Tensor

from ..files import suffix_of, write_whole
from ..text import clean
from .captions import words
from .frames import Frames
from .player import page
from .steps import Recording, Step, record

MOST = 60  # ops: more steps than anybody looks at


class Playback:
    """The steps of one forward and one backward sweep; made by `playback`.

    A notebook shows the last step by itself.

    Attributes:
        steps: forward through every op, then backward.
        title: heading of the pictures.
    """

    def __init__(self, recording: Recording, title: str) -> None:
        self.steps: tuple[Step, ...] = recording.steps
        self.title = title
        self._recording = recording
        self._frames = Frames(recording, title)

    def frame(self, step: int) -> str:
        """The picture of a step as SVG text.

        Args:
            step: from 0; negative ones count from the end.

        Raises:
            IndexingError: if there is no such step.
            DTypeError: if it is no integer.
        """
        return self._frames.svg(self._place(step, "Playback.frame"))

    @cached_property
    def html(self) -> str:
        """The page that plays all steps as HTML text; it needs no network."""
        return self._page(0)

    def save(self, path: str | os.PathLike[str], step: int | None = None) -> Path:
        """Write the page or a frame to a file, whole or not at all.

        Args:
            path: ends in `.html` for the page, or `.svg` for one frame.
            step: the frame, or the step that the page begins with; by default the last frame, and
                the first step.

        Returns:
            The path.

        Raises:
            DomainError: if the path ends in anything else.
            IndexingError: if there is no such step.
            DTypeError: if the step is no integer.
        """
        suffix = suffix_of(path, (".html", ".svg"), "Playback.save")
        if suffix == ".svg":
            at = self._place(-1 if step is None else step, "Playback.save")
            return write_whole(path, self._frames.svg(at))
        at = self._place(0 if step is None else step, "Playback.save")
        return write_whole(path, self._page(at) if at else self.html)

    def _page(self, step: int) -> str:
        said = [(lines[0].text, words(lines)) for lines in self._frames.captions]
        return page(clean(self.title, 80), self._frames.whole(), said, step)

    def _place(self, step: Any, where: str) -> int:
        last = len(self.steps) - 1
        try:
            at = index(step)
        except TypeError:
            raise DTypeError(
                where, f"step is {step!r}, not an integer", f"Use a step from 0 to {last}."
            ) from None
        if not -last - 1 <= at <= last:
            raise IndexingError(
                where,
                f"step is {at}, but there are {last + 1} steps",
                f"Use a step from 0 to {last}, or -1 for the last one.",
            )
        return at % (last + 1)

    def _repr_svg_(self) -> str:
        return self.frame(-1)

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        back = sum(step.phase == "backward" for step in self.steps)
        return f"Playback({len(self) - back} steps forward, {back} backward)"


def playback(f: Any, *args: Any, title: str = "Forward and backward, step by step") -> Playback:
    """Run a function once, forward and backward, and keep every number for a picture of each step.

    No `.grad` is read or written.

    Args:
        f: function of tensors, or a module, whose result is one number; or a tensor of one number
            that was computed already.
        args: arguments of the function: tensors, arrays or numbers. A tensor gets a gradient if
            it requires one, an array of floats always. Names in the picture are those of the
            tensors, else of the function's parameters; in the function, name what it computes
            by `z.name = "z"`.
        title: heading of the pictures.

    Raises:
        GradError: if the result is no tensor of one number, or nothing requires grad.
        DomainError: if there are more than 60 ops.
        DTypeError: if f is no function and no tensor, or an option has the wrong type.
        MutationError: if `assign` changed an input of the tensor after it was computed.
        Also what the function raises.

    >>> import gradgraph as gg
    >>> run = playback(lambda x, w: gg.relu(x * w).sum(), [1.0, -2.0], [3.0, 4.0])
    >>> run
    Playback(3 steps forward, 4 backward)
    >>> for equation in run.steps[-1].equations:
    ...     print(equation)
    ∂L/∂x₀ = ∂L/∂u₀·w₀ = 1·3 = 3
    ∂L/∂x₁ = ∂L/∂u₁·w₁ = 0·4 = 0
    ∂L/∂w₀ = ∂L/∂u₀·x₀ = 1·1 = 1
    ∂L/∂w₁ = ∂L/∂u₁·x₁ = 0·(−2) = 0
    """
    if not isinstance(title, str):
        raise DTypeError("playback", f"title is {title!r}, not a string", 'Use title="My net".')
    names: dict[Vertex, str] = {}
    if isinstance(f, Vertex):
        if args:
            raise DTypeError(
                "playback",
                "a tensor was computed already, so it takes no arguments",
                "Pass the function and its arguments, or the tensor alone.",
            )
        loss: Any = f
    elif callable(f):
        given = [a if isinstance(a, Tensor) else _leaf(a) for a in args]
        names = {t: n for t, n in zip(given, _parameters(f, len(given)), strict=True) if not t.name}
        with enable_grad(), capture():
            loss = f(*given)
    else:
        raise DTypeError(
            "playback",
            f"{type(f).__name__} is neither a function nor a tensor",
            "Pass a function and its arguments: playback(loss_of, x, w).",
        )
    return Playback(record(_graph(loss), names), title)


def _leaf(value: Any) -> Tensor:
    made = Tensor(value)
    made.requires_grad = made.dtype.kind == "f"
    return made


def _parameters(f: Callable[..., Any], count: int) -> Sequence[str]:
    """The names of a function's first parameters, as far as they are known."""
    try:
        found = list(inspect.signature(getattr(f, "forward", f)).parameters.values())
    except (TypeError, ValueError):  # some builtins have no signature
        found = []
    named = [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [*named, *[""] * count][:count]


def _graph(loss: Any) -> Graph:
    """The graph of a result that can be played back."""
    if not isinstance(loss, Vertex):
        raise GradError(
            "playback",
            f"the function returned {type(loss).__name__}, not a tensor",
            "Return one tensor: the loss.",
        )
    if np.size(loss._data) != 1 or isinstance(loss._data, tuple):
        raise GradError(
            "playback",
            f"the result is {show(np.shape(loss._data))}, and a gradient starts from one number",
            "Reduce it with .sum() or .mean().",
        )
    if not loss.requires_grad:
        raise GradError(
            "playback",
            "nothing that the result depends on requires grad, so there is no backward sweep",
            "Pass arrays of floats, or make a leaf with Tensor(..., requires_grad=True).",
        )
    graph = Graph.of(loss)
    if len(graph) > MOST:
        raise DomainError(
            "playback",
            f"the graph has {len(graph)} ops, and more than {MOST} are no steps to look at",
            "Use viz.draw(loss, flow=True), or play back a part of the network.",
        )
    return graph
