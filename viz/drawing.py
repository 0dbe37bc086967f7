"""A drawing: what `draw` returns, what a notebook shows, and what is saved."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from gradgraph.errors import DomainError, DTypeError, GradError, GradgraphError
from gradgraph.graph import Graph
from gradgraph.node import Vertex

from . import engine as engines
from .dot import Picture, write
from .files import suffix_of, write_whole
from .flow import Flow
from .flow import flow as sweep
from .svg import finish
from .transform import BUDGET, readable
from .view import View

_COARSER = 4


class Drawing:
    """A picture of a graph; made by `draw`. A notebook shows it by itself."""

    def __init__(
        self,
        graph: Graph,
        flow: Flow | None,
        title: str | None,
        budget: int,
        engine: str | None,
        timeout: float,
        marks: Mapping[Vertex, str] | None = None,
    ) -> None:
        self._graph = graph
        self._marks = dict(marks or {})
        self._flow = flow
        self._title = title
        self._budget = budget
        self._engine = engine
        self._timeout = timeout
        self._picture = self._plan(budget)  # now: values may change before it is laid out

    @property
    def dot(self) -> str:
        """The picture as DOT text; needs no layout engine."""
        return self._picture.dot

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text.

        If the layout takes too long it is drawn again with fewer cards, and says so.

        Raises:
            MissingExtraError: if there is no layout engine.
            EngineError: if the engine failed, or took too long for the coarsest picture too.
        """
        picture, budget = self._picture, self._budget
        while True:
            try:
                return finish(engines.layout(picture.dot, self._engine, self._timeout), picture)
            except engines.EngineTimeout:
                if budget <= _COARSER:
                    raise
                budget //= _COARSER
                note = f"drawn coarser, because the layout took longer than {self._timeout:g} s"
                picture = self._plan(budget, note)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, whole or not at all.

        Args:
            path: ends in `.svg` or `.dot`.

        Returns:
            The path.

        Raises:
            DomainError: if the path ends in anything else.
            MissingExtraError: for SVG, if there is no layout engine.
        """
        suffix = suffix_of(path, (".svg", ".dot"), "Drawing.save")
        return write_whole(path, self.svg if suffix == ".svg" else self.dot)

    def _plan(self, budget: int, note: str = "") -> Picture:
        view = readable(View.of(self._graph, self._marks), budget)
        return write(view.with_cards([], note), self._flow, self._title)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For notebooks: the SVG, or without an engine the way to get one."""
        try:
            return {"image/svg+xml": self.svg, "text/plain": repr(self)}
        except GradgraphError as error:
            return {"text/plain": f"{self!r}\n{error}"}

    def __repr__(self) -> str:
        flowing = ", with gradient flow" if self._flow else ""
        return f"Drawing({len(self._graph)} ops{flowing})"


def draw(
    target: Vertex | Graph | Iterable[Any],
    *,
    marks: Mapping[Vertex, str] | None = None,
    flow: bool | Flow | None = None,
    title: str | None = None,
    budget: int = BUDGET,
    engine: str | None = None,
    timeout: float = engines.TIMEOUT,
) -> Drawing:
    """Draw the graph that computed a tensor.

    An op is a card: its name and parameters, its weights, the shape of its result. The parts of
    the network (`gradgraph.scope`) are frames. Data flow down along thin grey lines. With `flow`
    the gradient flows up along coloured ones: colour and width show the decade of its norm, and
    the cards show the number.

    Args:
        target: a tensor, several tensors, or a `Graph`.
        marks: a few words about some tensors of the graph, whose cards are drawn in red. They are
            not folded, or if they are very many, the cards that stand for them show the words.
        flow: True to sweep back from the target (one tensor with one element) and draw the
            gradient's norms; or a `Flow` that was computed before.
        title: heading of the picture.
        budget: the most cards; what is beyond is folded, and the picture says so.
        engine: path of a program that lays out DOT text; by default one is looked for.
        timeout: seconds that a layout may take before the graph is drawn coarser.

    Raises:
        GradError: if `flow` is True and there is no gradient, or `flow` is of another graph, or a
            marked tensor is not part of the graph.
        DomainError: if the budget is below 1, or the timeout is not positive.
        DTypeError: if an option has the wrong type.

    >>> import gradgraph as gg
    >>> w = gg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> drawing = draw(gg.relu(w * 3).sum(), flow=True)
    >>> drawing
    Drawing(3 ops, with gradient flow)
    >>> "relu" in drawing.dot
    True
    """
    for name, value in (("budget", budget), ("timeout", timeout)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DTypeError("draw", f"{name} is {value!r}, not a number", f"Leave {name}= out.")
    if not isinstance(title, str | None):
        raise DTypeError("draw", f"title is {title!r}, not a string", 'Use title="LeNet".')
    if not isinstance(flow, Flow | bool | None):
        raise DTypeError("draw", f"flow is {flow!r}", "Use flow=True, or flow=viz.flow(loss).")
    budget = int(budget)
    if budget < 1 or not 0 < timeout < 1e9:
        raise DomainError(
            "draw",
            f"budget is {budget} and timeout is {timeout}; both must be positive",
            f"Use budget={BUDGET} and timeout={engines.TIMEOUT:g}.",
        )
    graph = target if isinstance(target, Graph) else Graph.of(target)
    _check_marks(marks or {}, graph)
    if flow is True:
        heads = {graph.vertices[slot] for slot in graph.outputs}
        if len(heads) != 1:
            raise GradError(
                "draw",
                f"the graph has {len(heads)} outputs, and a gradient starts from one",
                "Pass flow=viz.flow(loss) for the one that you mean.",
            )
        flow = sweep(heads.pop())
    if flow and not any(v in flow.norms for v in graph.vertices):
        raise GradError(
            "draw", "the flow is that of another graph", "Pass flow=viz.flow(loss) of this one."
        )
    return Drawing(graph, flow or None, title, budget, engine, timeout, marks)


def _check_marks(marks: Any, graph: Graph) -> None:
    if not isinstance(marks, Mapping) or not all(isinstance(w, str) for w in marks.values()):
        raise DTypeError(
            "draw", f"marks is {str(marks)[:60]}", 'Use marks={y: "this one"} with a tensor y.'
        )
    for v in marks.keys() - set(graph.vertices):
        name = getattr(v, "name", None) or type(v).__name__
        raise GradError(
            "draw",
            f"the marked {name} is not part of the graph",
            "Mark tensors that the target was computed from.",
        )
