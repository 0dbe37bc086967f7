"""A drawing: what `draw` returns, what a notebook shows, and what is saved."""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

from gradgraph.errors import (
    DomainError,
    DTypeError,
    GradError,
    GradgraphError,
    MissingExtraError,
)
from gradgraph.graph import Graph
from gradgraph.node import Vertex
from gradgraph.trace import is_shape

from . import engine as engines
from . import raster, theme
from .cards import LANES, Look
from .dot import Picture, write
from .files import suffix_of, write_bytes, write_whole
from .flow import Flow
from .flow import flow as sweep
from .lanes import Ratio
from .listing import listing
from .svg import finish
from .text import clean
from .trace import traced
from .transform import BUDGET, readable
from .view import View

_COARSER = 4
FORMATS = (".svg", ".html", ".png", ".dot")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a picture is made of.

    Attributes:
        graph, flow, before: the graph, its gradient, and another flow that it is compared with.
        data, fixed: leaves that were passed to a module, and its frozen parameters.
        marks, title, notes: words about tensors, about the whole, and below the title.
        detail, thumbnails, values, limits, back: how cards are drawn, whether the data mean
            something, and whether the way back is drawn.
        closed: scopes that become one card each.
        budget, engine, timeout: how much is drawn, by whom, and how long it may take.
    """

    graph: Graph
    data: tuple[Vertex, ...]
    fixed: tuple[Vertex, ...]
    flow: Flow | None
    before: Flow | None
    marks: Mapping[Vertex, str]
    title: str | None
    notes: tuple[str, ...]
    detail: str
    thumbnails: bool
    values: bool
    limits: theme.Thresholds
    back: bool
    closed: tuple[str, ...]
    budget: int
    engine: str | None
    timeout: float

    def view(self, budget: int, note: str = "") -> View:
        """The cards, at most `budget` of them."""
        view = View.of(self.graph, self.marks, self.data, self.fixed)
        return readable(view, budget, self.closed).with_cards([], note)

    def picture(self, view: View) -> Picture:
        """The DOT text of the cards."""
        flows = self.flow is not None
        look = Look(flows, self.detail, self.thumbnails, self.values, self.limits)
        lanes = Ratio(self.before, self.flow) if self.before and self.flow else None
        return write(view, self.flow, self.title, look, lanes, self.back, self.notes)


class Drawing:
    """A picture of a graph; made by `draw`. A notebook shows it by itself."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._view = plan.view(plan.budget)
        self._picture = plan.picture(self._view)  # now: values may change before it is laid out

    @property
    def dot(self) -> str:
        """The picture as DOT text; needs no layout engine."""
        return self._picture.dot

    @property
    def text(self) -> str:
        """What the picture says, as lines of text: its heading, what is alarming, and, with a
        gradient, its norm at each card. Needs no layout engine.

        >>> import gradgraph as gg
        >>> w = gg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        >>> print(draw((w * 1e-9).sum(), flow=True).text)
        loss 3.0e−9 · 2 ops · 0 parameters
        the gradient grows from 1 at sum to 1.41 at multiply
        w: ▼ vanishing gradient
        <BLANKLINE>
        card      output  ‖∂y‖  parameters
        multiply  2       1.41
        sum       scalar  1
        """
        return self._picture.text

    @cached_property
    def _drawn(self) -> tuple[View, Picture, str]:
        """What is drawn, and the SVG; coarser, if the layout takes too long."""
        plan, view, picture = self._plan, self._view, self._picture
        budget = min(plan.budget, len(view.cards))
        while True:
            try:
                parts = engines.layouts(picture.parts, plan.engine, plan.timeout)
                return view, picture, finish(parts, picture)
            except engines.EngineTimeout:
                if budget <= _COARSER:
                    raise
                budget //= _COARSER
                note = f"drawn coarser, because the layout took longer than {plan.timeout:g} s"
                view = plan.view(budget, note)
                picture = plan.picture(view)

    @property
    def svg(self) -> str:
        """The picture as SVG text.

        If the layout takes too long it is drawn again with fewer cards, and says so.

        Raises:
            MissingExtraError: if there is no layout engine.
            EngineError: if the engine failed, or took too long for the coarsest picture too.
        """
        return self._drawn[2]

    @cached_property
    def html(self) -> str:
        """The picture as one interactive HTML page that needs no network: pan, zoom, search,
        collapse scopes, click a card for its numbers, step through.

        Without a layout engine it is a table of the cards, which says how to get one.

        Raises:
            EngineError: as `svg` does.
        """
        from .page import page  # the page is large, and seldom asked for

        plan = self._plan
        try:
            view, picture, svg = self._drawn
        except MissingExtraError as error:
            why = f"There is no picture: {error.problem}. {error.fix}"
            return listing(self._view, plan.flow, self._picture, why, plan.limits, plan.values)
        return page(view, plan.flow, picture, svg, plan.limits, plan.values)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, whole or not at all.

        Args:
            path: ends in `.svg`, `.html`, `.png` or `.dot`.

        Returns:
            The path.

        Raises:
            DomainError: if the path ends in anything else.
            MissingExtraError: for SVG and PNG, if there is no layout engine; for PNG, if there is
                nothing that makes pixels of the picture.
        """
        suffix = suffix_of(path, FORMATS, "Drawing.save")
        if suffix == ".png":
            return write_bytes(path, raster.png(self.svg))
        made = {".svg": lambda: self.svg, ".html": lambda: self.html, ".dot": lambda: self.dot}
        return write_whole(path, made[suffix]())

    def diff(self, other: Drawing, title: str | None = None) -> Drawing:
        """How the gradient of another drawing differs: its picture, edges coloured by the ratio of
        the norms there to the norms here; the feet of the cards say
        both. Detail, collapsed scopes and budget are those of this drawing.

        Args:
            other: a drawing with `flow` of a graph wired alike, after a change of initialisation,
                activation or learning rate, say; ops may differ, shapes may not.
            title: heading of the picture.

        Raises:
            DTypeError: if `other` is no drawing.
            GradError: if either has no flow, or the graphs are not wired alike; it says where.

        >>> import gradgraph as gg
        >>> w = gg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        >>> before, after = (draw((w * k).sum(), flow=True) for k in (3.0, 0.03))
        >>> "÷ 100" in before.diff(after).dot
        True
        """
        if not isinstance(other, Drawing):
            raise DTypeError("diff", f"other is {other!r:.60}", "Pass a drawing.")
        if not isinstance(title, str | None):
            raise DTypeError("diff", f"title is {title!r:.40}, not a string", "Leave title= out.")
        mine, its = self._plan, other._plan
        if mine.flow is None or its.flow is None:
            which = "this drawing" if mine.flow is None else "the other drawing"
            raise GradError("diff", f"{which} has no gradient", "Draw both with flow=True.")
        changed = _alike(mine.graph, its.graph)
        place = dict(zip(mine.graph.vertices, its.graph.vertices, strict=True))
        before = Flow(
            {place[v]: n for v, n in mine.flow.norms.items() if v in place},
            {(place[v], i): n for (v, i), n in mine.flow.edges.items() if v in place},
        )
        notes = ("changed: " + ", ".join(changed),) if changed else ()
        name = title or f"{clean(mine.title or 'before')} → {clean(its.title or 'after')}"
        shown = replace(
            its,
            before=before,
            title=name,
            notes=notes,
            back=False,
            detail=mine.detail,
            closed=mine.closed,
            budget=mine.budget,
        )
        return Drawing(shown)

    def _repr_svg_(self) -> str | None:
        """For notebooks that ask for SVG alone; None without an engine."""
        return self._repr_mimebundle_().get("image/svg+xml")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For notebooks: the SVG, or without an engine the way to get one."""
        try:
            return {"image/svg+xml": self.svg, "text/plain": repr(self)}
        except GradgraphError as error:
            return {"text/plain": f"{self!r}\n{error}"}

    def __repr__(self) -> str:
        flowing = ", with gradient flow" if self._plan.flow else ""
        return f"Drawing({len(self._plan.graph)} ops{flowing})"


def _alike(a: Graph, b: Graph) -> list[str]:
    """The ops that differ between two graphs that are wired alike."""
    if (len(a.steps), len(a.vertices)) != (len(b.steps), len(b.vertices)):
        raise GradError(
            "diff",
            f"this graph has {len(a.steps):,} ops and the other {len(b.steps):,}"
            f" ({len(a.vertices):,} tensors and {len(b.vertices):,})",
            "Compare two runs of the same network.",
        )
    changed = []
    for s, t in zip(a.steps, b.steps, strict=True):
        where = f"{s.op.name} ({s.scope})" if s.scope else s.op.name
        if (s.inputs, s.output) != (t.inputs, t.output):
            raise GradError(
                "diff", f"{where} reads other tensors there", "Compare graphs wired alike."
            )
        if _shapes(a.specs[s.output]) != _shapes(b.specs[t.output]):
            raise GradError(
                "diff",
                f"{where} gives {a.specs[s.output]} here and {b.specs[t.output]} there",
                "Compare networks of the same shapes.",
            )
        if s.op != t.op:
            changed.append(f"{clean(where)} became {t.op.name} {t.op.label()}".strip())
    return changed[:3] + ["…"] * (len(changed) > 3)


def _shapes(spec: Any) -> Any:
    return tuple(map(_shapes, spec)) if isinstance(spec, tuple) else spec.shape


def draw(
    target: Any,
    *inputs: Any,
    marks: Mapping[Vertex, str] | None = None,
    flow: bool | Flow | None = None,
    backward: bool = False,
    detail: str = "full",
    collapse: str | Iterable[str] = (),
    thumbnails: bool = False,
    thresholds: theme.Thresholds | None = None,
    title: str | None = None,
    budget: int = BUDGET,
    engine: str | None = None,
    timeout: float = engines.TIMEOUT,
) -> Drawing:
    """Draw the graph that computed a tensor.

    An op is a card: its name and parameters, its weights, the shape of its result. The parts of
    the network (`gradgraph.scope`) are frames. Data flow down along thin grey lines; a long graph
    is cut into columns. With `flow` the gradient flows up along coloured lines: colour and width
    show the decade of its norm, and the cards show the number.

    Args:
        target: a tensor, several tensors, or a `Graph`; or a module or function, which is run once
            on `inputs`.
        inputs: arrays or tensors for a module; or shapes, if no values are to be shown.
        marks: a few words about some tensors of the graph, whose cards are drawn in red. They are
            not folded, or if they are very many, the cards that stand for them show the words.
        flow: True to sweep back from the target (one tensor with one element) and draw the
            gradient's norms; or a `Flow` that was computed before.
        backward: whether each op gets a second card for the way back, tied to it: the rules that
            it applied, to whom they send, and what it kept for them; implies `flow`.
        detail: "full", or "overview": cards with name, shape, norm and the worst alarm only.
        collapse: scopes, e.g. "features", that become one card each.
        thumbnails: whether cards show small images: the input, filters, feature maps, and the
            winners of a max-pool.
        thresholds: from where on a card says that a gradient vanishes, explodes, or a unit is dead.
        title: heading of the picture.
        budget: the most cards; what is beyond is folded, and the picture says so.
        engine: path of a program that lays out DOT text; by default one is looked for.
        timeout: seconds that a layout may take before the graph is drawn coarser.

    Raises:
        GradError: if `flow` is True and there is no gradient, or `flow` is of another graph, or a
            marked tensor is not part of the graph.
        DomainError: if the budget is below 1, the timeout is not positive, the detail is unknown,
            or no scope is called what is to be collapsed.
        DTypeError: if an option has the wrong type.

    >>> import gradgraph as gg
    >>> w = gg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> drawing = draw(gg.relu(w * 3).sum(), flow=True)
    >>> drawing
    Drawing(3 ops, with gradient flow)
    >>> "relu" in drawing.dot
    True
    """
    _check_options(flow, detail, title, budget, timeout, thresholds)
    if (flow or backward) and any(map(is_shape, inputs)):
        raise GradError("draw", "a gradient needs data, and an input is a shape", "Pass an array.")
    graph, data, fixed = traced(target, inputs)
    _check_marks(marks or {}, graph)
    with _no_cycles():
        swept = _swept(graph, True if backward and not flow else flow)
        return Drawing(
            Plan(
                graph,
                data,
                fixed,
                swept,
                None,
                dict(marks or {}),
                title,
                (),
                detail,
                bool(thumbnails),
                not any(map(is_shape, inputs)),
                thresholds or theme.Thresholds(),
                bool(backward),
                _closed(collapse, graph),
                int(budget),
                engine,
                timeout,
            )
        )


@contextmanager
def _no_cycles() -> Iterator[None]:
    """Without the search for cycles of garbage: there are none, and it takes a quarter of the time
    of a large graph."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _swept(graph: Graph, flow: Flow | bool | None) -> Flow | None:
    """The gradient to draw: as given, or from the only output."""
    if flow is True:
        heads = {graph.vertices[slot] for slot in graph.outputs}
        if len(heads) != 1:
            raise GradError(
                "draw",
                f"the graph has {len(heads)} outputs, and a gradient starts from one",
                "Pass flow=viz.flow(loss) for the one that you mean.",
            )
        return sweep(heads.pop())
    made = [v for v in graph.vertices if v.op is not None] or graph.vertices
    if flow and not any(v in flow.norms for v in made):
        raise GradError(
            "draw", "the flow is that of another graph", "Pass flow=viz.flow(loss) of this one."
        )
    return flow or None


def _check_options(
    flow: Any, detail: Any, title: Any, budget: Any, timeout: Any, thresholds: Any
) -> None:
    for name, value in (("budget", budget), ("timeout", timeout)):
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise DTypeError("draw", f"{name} is {value!r:.40}, no number", f"Leave {name}= out.")
    if not isinstance(title, str | None):
        raise DTypeError("draw", f"title is {title!r}, not a string", 'Use title="LeNet".')
    if not isinstance(flow, Flow | bool | None):
        raise DTypeError("draw", f"flow is {flow!r}", "Use flow=True, or flow=viz.flow(loss).")
    if not isinstance(thresholds, theme.Thresholds | None):
        raise DTypeError(
            "draw", f"thresholds is {thresholds!r:.60}", "Use viz.Thresholds(vanishing=1e-4)."
        )
    if not isinstance(detail, str) or detail not in LANES:
        raise DomainError("draw", f"detail is {detail!r:.40}", 'Use "full" or "overview".')
    if budget != int(budget):
        raise DomainError("draw", f"budget is {budget}, not whole", f"Use budget={BUDGET}.")
    if budget < 1 or not 0 < timeout < 1e9:
        raise DomainError(
            "draw",
            f"budget is {budget} and timeout is {timeout}; both must be positive",
            f"Use budget={BUDGET} and timeout={engines.TIMEOUT:g}.",
        )


def _closed(scopes: Any, graph: Graph) -> tuple[str, ...]:
    """The scopes that are to be collapsed; each must exist."""
    if not isinstance(scopes, str | list | tuple | set | frozenset):
        raise DTypeError("draw", f"collapse is {scopes!r:.40}", 'Use collapse=["features"].')
    asked: Sequence[Any] = [scopes] if isinstance(scopes, str) else sorted(scopes, key=str)
    known = {step.scope for step in graph.steps}
    for scope in asked:
        if not isinstance(scope, str):
            raise DTypeError("draw", f"collapse has {scope!r:.40}", 'Use collapse=["features"].')
        if not scope or not any(s == scope or s.startswith(f"{scope}.") for s in known):
            names = ", ".join(sorted(filter(None, known))[:8]) or "none"
            raise DomainError(
                "draw", f"no scope is called {scope!r:.60}", f"There are these: {names}."
            )
    return tuple(asked)


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
