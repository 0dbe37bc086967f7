"""The debug mode: the first op that makes a NaN or an infinity out of finite numbers is named.

The mode in force holds a `Watch`. Ops and sweeps that find one hand it their work; it lets them do
it as usual, with the mode switched off, and looks at what came out. An op is accused of a value
that is not finite if everything it was given is; one that passes on what it received is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np

from .errors import NonFiniteError, user_line
from .graph import Graph
from .mode import F, current, switch
from .node import Vertex, leaf, make
from .render import render
from .spec import show

Step = Callable[..., Any]

_FIXES = {
    "divide": "Keep the divisor away from 0, for example add 1e-8 to it.",
    "exp": "Keep its argument small (below 88 in float32, 709 in float64), for example subtract"
    " the maximum first, or use log_softmax.",
    "log": "Keep its argument above 0, for example add 1e-8 to it, or use log_softmax.",
    "power": "Keep its base away from 0, and the result below the largest number.",
    "sqrt": "Keep its argument above 0, where its slope is finite, for example add 1e-8 to it.",
}
_FIX_SUM = "Scale the loss down, or look for an op whose slope is very large."
_PHRASES = {
    "forward": "its result",
    "jvp": "its tangent, from rule jvp,",
    "sum": "the sum of the cotangents that arrive at it",
}
_USUAL = "Look at its operands: are they as large, and as far from 0, as you expect?"


@overload
def debug() -> switch: ...
@overload
def debug(function: F) -> F: ...
def debug(function: Any = None) -> Any:
    """Context manager or decorator in which the first op that makes a NaN or an infinity is named.

    It holds in the forward pass, recorded or not, and in both sweeps, where a rule, or the sum of
    the cotangents that arrive at a vertex, is at fault. What received such a value and passes it
    on is not accused: if the data or the weights hold a NaN, nothing is raised. A sweep also
    examines the forward values of a graph that was recorded before.

    Inside, every vertex keeps the line of yours that applied its op: `vertex.line`. numpy does
    not warn about what ops do. Values are those that the program has without it; it takes longer.

    Raises:
        NonFiniteError: at the op at fault, with the statistics of its operands, your line, and
            the path of a picture of the graph with the op in red.

    >>> import gradgraph as gg
    >>> x = gg.Tensor([4.0, 0.0], requires_grad=True)
    >>> with gg.debug():  # doctest: +ELLIPSIS
    ...     gg.sqrt(x).sum().backward()
    Traceback (most recent call last):
    gradgraph.errors.NonFiniteError: sqrt: in the reverse sweep, 1 of 2 values of its rule ...
    """
    on = switch(lambda mode: replace(mode, debug=_WATCH))
    return on if function is None else on(function)


@dataclass(frozen=True, slots=True)
class Stats:
    """What an array is like, in a line.

    Attributes:
        name: of the argument.
        shape: of the array.
        dtype: of the array.
        least: its least value; 0 if it is empty, like the next two.
        most: its greatest value.
        mean: of its values.
        zeros: how many of its values are 0.

    >>> print(Stats.of("x", np.array([[0.0, 1.0, 5.0]])))
    x: 1×3 float64, 0 to 5, mean 2, 1 zero
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    least: float
    most: float
    mean: float
    zeros: int

    @staticmethod
    def of(name: str, value: Any) -> Stats:
        """The statistics of an array or a number."""
        a = np.asarray(value)
        real = a.real.astype(float) if a.size else np.zeros(1)
        with np.errstate(all="ignore"):
            numbers = (float(real.min()), float(real.max()), float(real.mean()))
        return Stats(name, a.shape, a.dtype, *numbers, zeros=int(np.sum(a == 0)))

    def __str__(self) -> str:
        zeros = f"{self.zeros:,} zero{'' if self.zeros == 1 else 's'}"
        spread = f"{self.least:.4g} to {self.most:.4g}, mean {self.mean:.4g}, {zeros}"
        return f"{self.name}: {show(self.shape)} {self.dtype}, {spread}"


class Watch:
    """What ops and sweeps hand their work to while debugging."""

    def apply(self, op: Any, args: Sequence[Any]) -> Any:
        """The op's result, examined."""
        with unwatched(user_line()):
            out = op(*args)
            if not _finite(out) and all(map(_finite, args)):
                v = _vertex(op, args, out)
                raise _error(v, "forward", out, _arguments(v), [v])
        return out

    def reverse(self, order: Sequence[Vertex], grads: Mapping[Vertex, Any], step: Step) -> Step:
        """The step of `pull`, examined.

        Args:
            order: what the sweep walks through.
            grads: the seeds' cotangents, None at other vertices.
            step: `_pull_one` of the sweep.
        """
        _examine_values(order)
        heads = [v for v, c in grads.items() if c is not None]
        spoilt = {v for v in heads if not _finite(grads[v])}

        def watched(
            grads: dict[Vertex, Any], owned: set[Vertex], v: Vertex, g: Any, record: bool, rows: int
        ) -> None:
            op: Any = v.op
            with unwatched():
                step(grads, owned, v, g, record, rows)
                for x in dict.fromkeys(v.inputs):
                    if _finite(grads.get(x)):
                        continue
                    terms = _terms(v, x, g, step, rows)
                    wrong = [rule for rule, c in terms.items() if not _finite(c)]
                    if wrong and _finite((g, *_values(v))):
                        given = {"g": g, "out": v._data, **_arguments(v)}
                        raise _error(v, wrong[0], terms[wrong[0]], given, heads)
                    if not wrong and x not in spoilt:
                        given = {f"{rule} of {op.name}": c for rule, c in terms.items()}
                        raise _error(x, "sum", grads[x], given, heads, v.line)
                    spoilt.add(x)

        return watched

    def forward(self, order: Sequence[Vertex], step: Step) -> Step:
        """The step of `push`, examined.

        Args:
            order: what the sweep walks through.
            step: `_push_one` of the sweep.
        """
        _examine_values(order)

        def watched(v: Vertex, arriving: list[Any], record: bool) -> Any:
            with unwatched():
                tangent = step(v, arriving, record)
                if not _finite(tangent) and _finite((*arriving, *_values(v))):
                    tangents = {
                        f"t of {name}": t for name, t in zip(_arguments(v), arriving, strict=True)
                    }
                    given = {**tangents, "out": v._data, **_arguments(v)}
                    raise _error(v, "jvp", tangent, given, [v])
            return tangent

        return watched


_WATCH = Watch()


@contextmanager
def unwatched(line: str = "") -> Iterator[None]:
    """Context manager or decorator for the work itself: not watched, without numpy's warnings.

    Args:
        line: the user's, for the vertices that are made inside.
    """
    with switch(lambda mode: replace(mode, debug=None, line=line)), np.errstate(all="ignore"):
        yield


def _finite(value: Any) -> bool:
    """Whether there is no NaN and no infinity in an array, a tensor, or a tuple of them."""
    value = getattr(value, "_data", value)
    if isinstance(value, tuple):
        return all(map(_finite, value))
    array = np.asarray(value)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def _values(v: Vertex) -> tuple[Any, ...]:
    """The values that a rule of v is given."""
    return (v._data, *(x._data for x in v.inputs))


def _arguments(v: Vertex) -> dict[str, Any]:
    """The inputs of v by the names of the arguments that they belong to."""
    op: Any = v.op
    fixed = len(op.args) - op.variadic
    return {
        op.args[i] if i < fixed else f"{op.args[-1]}[{i - fixed}]": x._data
        for i, x in enumerate(v.inputs)
    }


def _vertex(op: Any, args: Sequence[Any], out: Any) -> Vertex:
    """The vertex of an op that was just applied, recorded or not."""
    first = out[0] if isinstance(out, tuple) else out
    if isinstance(first, Vertex) and first.op is not None:
        return first.inputs[0] if isinstance(out, tuple) else first
    inputs = tuple(a if isinstance(a, Vertex) else leaf(op.vertex, np.asarray(a)) for a in args)
    parts = tuple(_parts(out))
    data = parts if isinstance(out, tuple) else parts[0]
    vertex: Vertex = make(op.vertex, data, op, inputs, (), 0, False, current())
    return vertex


def _examine_values(order: Sequence[Vertex]) -> None:
    """Raise if an op that was applied outside the mode made a value that is not finite."""
    for v in order:
        if v.op is not None and not v.line and not _finite(v._data):
            arguments = _arguments(v)
            if _finite(tuple(arguments.values())):
                raise _error(v, "forward", v._data, arguments, [v])


def _terms(v: Vertex, x: Vertex, g: Any, step: Step, rows: int) -> dict[str, Any]:
    """What each rule of v adds to the cotangent of its input x, by the rule's name.

    The step is done again, on a copy of v that has a leaf of its own for each operand.
    """
    op: Any = v.op
    apart = [leaf(type(y), y._data) for y in v.inputs]
    copy = make(type(v), v._data, op, tuple(apart), v.saved, 0, True, v._mode)
    alone: dict[Vertex, Any] = {a: None for a, y in zip(apart, v.inputs, strict=True) if y is x}
    g = tuple(map(_raw, g)) if isinstance(g, tuple) else _raw(g)
    step(alone, set(), copy, g, False, rows)
    rules = [f"vjp_{name}" for name, y in zip(_arguments(v), v.inputs, strict=True) if y is x]
    return dict(zip(rules, alone.values(), strict=True))


def _raw(value: Any) -> Any:
    """The array of a tensor; anything else as it is."""
    return getattr(value, "_data", value)


def _error(
    vertex: Vertex,
    rule: str,
    value: Any,
    given: Mapping[str, Any],
    heads: Sequence[Vertex],
    line: str = "",
) -> NonFiniteError:
    """The error that names a vertex.

    Args:
        vertex: the one at fault.
        rule: of it: "forward", "vjp_x", "sum" or "jvp".
        value: what was made.
        given: what it was made of, by name.
        heads: the results of the graph to draw.
        line: the user's, where the vertex has none.
    """
    op: Any = vertex.op
    name = getattr(op, "title", None) or getattr(op, "name", None) or vertex.name or "a leaf"
    label = op.label() if op else ""
    kinds, made = _made(value, _PHRASES.get(rule, f"its rule {rule}"))
    where = {"forward": "forward pass", "jvp": "forward sweep"}.get(rule, "reverse sweep")
    problem = f"in the {where}, {made}, though all that it was made of is finite"
    if vertex.origin:
        source, outer = vertex.origin
        problem += f"; it is a step of {outer} of {getattr(source.op, 'name', 'an op')}"
    fix = _FIX_SUM if rule == "sum" else _FIXES.get(op.name, _USUAL)
    if not (vertex.line or line):
        fix += " Run the forward pass inside gg.debug(), too, to learn which line applied it."
    shown = f"{name}({label})" if label and label != name else name
    error = NonFiniteError(shown, problem, fix)
    error.vertex, error.rule, error.stats = vertex, rule, _stats(given)
    error.scope, error.line = vertex.scope, vertex.line or line or error.line
    words = f"made {kinds}" if rule == "forward" else f"{rule} made {kinds}"
    error.draw = lambda: _draw(heads, vertex, words)
    return error


def _draw(heads: Sequence[Vertex], vertex: Vertex, words: str) -> Any:
    with unwatched():
        return render(Graph.of(heads), {vertex: words})


def _made(value: Any, what: str) -> tuple[str, str]:
    """What is not finite in a value, for a picture ("inf") and in a sentence."""
    value = next(part for part in _parts(value) if not _finite(part))
    found = np.argwhere(~np.isfinite(value))
    bad = value[~np.isfinite(value)].real
    signs = {"inf": bad == np.inf, "-inf": bad == -np.inf, "nan": np.isnan(bad)}
    kinds = " or ".join(kind for kind, there in signs.items() if there.any())
    if not value.ndim:
        return kinds, f"{what} is {kinds}"
    count = (
        f"{len(found):,} of {value.size:,} values of {what} {'is' if len(found) == 1 else 'are'}"
    )
    return kinds, f"{count} {kinds}, the first at {found[0].tolist()}"


def _parts(value: Any) -> list[Any]:
    """The arrays in a value."""
    value = _raw(value)
    if isinstance(value, tuple):
        return [array for part in value for array in _parts(part)]
    return [] if value is None else [np.asarray(value)]


def _stats(given: Mapping[str, Any]) -> tuple[Stats, ...]:
    """The statistics of all arrays, by their names."""
    found = []
    for name, value in given.items():
        parts = _parts(value)
        several = isinstance(_raw(value), tuple)
        found += [Stats.of(f"{name}[{i}]" if several else name, p) for i, p in enumerate(parts)]
    return tuple(found)
