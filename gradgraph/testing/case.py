"""What is checked: a map from arrays to an array at one point, with the derivatives it claims.

An op, a function of tensors, a module with its parameters, and a student's pair of numpy functions
all become a `Case`; the laws know nothing else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from ..graph import Graph
from ..mode import enable_grad
from ..node import Vertex
from ..op import Op, Part, Saved
from ..ops import sum as total
from ..ops.custom import Custom
from ..spec import Spec, brief
from ..sweep import pull, push, reach
from ..tensor import Tensor, asarray
from . import oracle
from .differences import remembered

Array = np.ndarray[Any, np.dtype[Any]]


SMALL_RESULT = 256  # elements of which each is differentiated where there is no JVP


class CannotCheck(ValueError):
    """What was given to the verifier cannot be verified, and why; nothing is said of its gradient.

    Args:
        what: name of what was to be checked.
        problem: what is the matter, with the arguments' shapes.
        fix: one thing to do about it.
    """

    def __init__(self, what: str, problem: str, fix: str = "") -> None:
        super().__init__(what, problem, fix)
        self.what, self.problem, self.fix = what, problem, fix

    def __str__(self) -> str:
        return f"cannot check {self.what}: {self.problem}.{' ' + self.fix if self.fix else ''}"


class Case:
    """A map at a point.

    Attributes:
        name: what reports call it.
        labels: names of the variables.
        xs: their values, float64.
        reverse, forward: whether it has a VJP, a JVP.
        recorded: whether its derivatives can be differentiated again.
    """

    name: str
    labels: list[str]
    xs: list[Array]
    reverse: bool = True
    forward: bool = True
    recorded: ClassVar[bool] = False
    amplitude: Any = None  # what the laws found of its rounding errors
    _rows: list[list[Array]] | None = None
    _result: Array | None = None

    def value(self, xs: Sequence[Any]) -> Array:
        """The result at other values of the variables."""
        raise NotImplementedError

    @property
    def result(self) -> Array:
        """The result at the point itself; computed once, and not to be changed."""
        if self._result is None:
            self._result = np.array(self.value(self.xs))
        return self._result

    def vjp(self, u: Array) -> list[Array]:
        """The cotangent of each variable."""
        raise NotImplementedError

    def jvp(self, ts: Sequence[Array]) -> Array:
        """The tangent of the result."""
        raise NotImplementedError

    def swept(
        self, xs: Sequence[Array], u: Array, ts: Sequence[Array]
    ) -> tuple[Array, list[Array], Array]:
        """The result, the cotangents and the tangent at other values, of whatever dtype."""
        raise NotImplementedError

    def rows(self) -> list[list[Array]]:
        """The rows of the Jacobian by the VJP, one for each element of the result; made once."""
        if self._rows is None:
            shape = self.result.shape
            units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
            self._rows = [[np.array(g) for g in self.vjp(u)] for u in units]
        return self._rows

    def at(self, xs: Sequence[Any]) -> Case:
        """The same map at another point."""
        raise NotImplementedError

    def along(self, ts: Sequence[Array]) -> Callable[[Any], Array]:
        """The curve h ↦ value(xs + h ts); NaN where the map raises, or its shape changes."""
        nothing = np.full(self.result.shape, np.nan)

        def curve(h: Any) -> Array:
            try:
                out = self.value([x + h * t for x, t in zip(self.xs, ts, strict=True)])
            except Exception:
                return nothing
            return out if out.shape == nothing.shape else nothing

        return remembered(curve, nothing.size)

    def arguments(self) -> dict[str, Any]:
        """What the map was called with, by name."""
        return dict(zip(self.labels, self.xs, strict=True))

    def describe(self) -> str:
        """The arguments: arrays by their shapes."""
        return ", ".join(f"{name} {_shown(value)}" for name, value in self.arguments().items())


class Traced(Case):
    """A map computed by the engine: its derivatives are those of the two sweeps."""

    recorded = True
    parameters: Sequence[Tensor] = ()  # tensors that the map closes over
    _held: tuple[Any, list[Any]] | None = None
    _unfolded: oracle.Scalars | None = None
    unfolds = True  # until it is found that a definition does not

    def apply(self, xs: Sequence[Any]) -> list[Any]:
        """The results from tensors or arrays; parameters hold the last of xs."""
        raise NotImplementedError

    def value(self, xs: Sequence[Any]) -> Array:
        own = len(xs) - len(self.parameters)
        with holding(self.parameters, xs[own:]):
            return joined(self.apply(xs[:own]))

    def at(self, xs: Sequence[Any]) -> Traced:
        raise NotImplementedError

    def trace(self) -> tuple[list[Tensor], list[Any]]:
        """The variables as leaves, and the results as tensors; made once."""
        if self._held is None:
            self._held = self.traced(self.xs)
        return self._held

    def traced(self, xs: Sequence[Any]) -> tuple[list[Tensor], list[Any]]:
        """Leaves with the values of xs (arrays are not copied), and the results."""
        own = len(xs) - len(self.parameters)
        leaves = [_leaf(x) for x in xs[:own]]
        with holding(self.parameters, xs[own:]), enable_grad():
            return [*leaves, *self.parameters], self.apply(leaves)

    def vjp(self, u: Array) -> list[Array]:
        leaves, outs = self.trace()
        with self.held():
            return self.pulled(leaves, outs, u)

    def pulled(self, leaves: Sequence[Any], outs: Sequence[Any], u: Array) -> list[Array]:
        """The cotangents of the leaves by the reverse sweep."""
        heads = [(o, c) for o, c in zip(outs, split(u, outs), strict=True) if tracked(o)]
        grads = pull(reach([o for o, _ in heads]), heads)
        return [_or_zero(grads.get(x), x._data) for x in leaves]

    def jvp(self, ts: Sequence[Array]) -> Array:
        leaves, outs = self.trace()
        with self.held():
            return self.pushed(leaves, outs, ts)

    def pushed(self, leaves: Sequence[Any], outs: Sequence[Any], ts: Sequence[Array]) -> Array:
        """The tangent of the results by the forward sweep."""
        order = reach([o for o in outs if tracked(o)])
        tangents = push(order, list(zip(leaves, ts, strict=True)))
        arrays = [np.asarray(getattr(o, "_data", o)) for o in outs]
        found = [tangents.get(o) if isinstance(o, Vertex) else None for o in outs]
        return joined([_or_zero(t, a) for t, a in zip(found, arrays, strict=True)])

    def swept(
        self, xs: Sequence[Array], u: Array, ts: Sequence[Array]
    ) -> tuple[Array, list[Array], Array]:
        with holding(self.parameters, xs[len(xs) - len(self.parameters) :]):
            leaves, outs = self.traced(xs)
            value = joined(outs)
            cotangents = self.pulled(leaves, outs, u) if self.reverse else []
            if self.forward:
                return value, cotangents, self.pushed(leaves, outs, ts)
            return value, cotangents, by_rows(value, ts, lambda u: self.pulled(leaves, outs, u))

    @property
    def result(self) -> Array:
        """The result at the point itself, of the one trace."""
        return joined(self.trace()[1])

    @contextmanager
    def held(self) -> Iterator[None]:
        """The parameters hold the values of this point."""
        with holding(self.parameters, self.xs[len(self.xs) - len(self.parameters) :]):
            yield

    def graph(self) -> Graph:
        """The graph of the results, from the variables that they depend on."""
        leaves, outs = self.trace()
        heads = [o for o in outs if isinstance(o, Vertex)]
        reached = set(Graph.of(heads).vertices)
        return Graph.of(heads, inputs=[x for x in leaves if x in reached])

    def scalars(self, most: int) -> oracle.Scalars | None:
        """The scalar graph of the definitions of its ops.

        None if it is made of more than `most` operations, or a definition does not unfold (a
        numpy function that knows no scalars) or leaves the range of floats.
        """
        if self._unfolded is None and self.unfolds and self._size() <= most:
            try:
                self._unfolded = self._unfold()
            except Exception as error:
                left = isinstance(error, NotImplementedError | ArithmeticError)
                left = left or str(error) == "math domain error"
                if not (self.opaque or left):
                    raise
                self.unfolds = False
        return self._unfolded

    @property
    def opaque(self) -> bool:
        """Whether a numpy function that came with its own derivative is part of it."""
        return any(isinstance(step.op, Custom) for step in self.graph().steps)

    def inner(self) -> Iterator[OpCase]:
        """Each op of the graph, at the values that reach it."""
        vertices = self.graph().vertices
        for step in self.graph().steps:
            args = [vertices[i]._data for i in step.inputs]
            if not isinstance(step.op, Part | Saved):
                yield OpCase(step.op, args)

    def shaken(self, size: float, rng: np.random.Generator) -> tuple[list[Any], list[Any]]:
        """Leaves and results again, with what every op gives moved by about `size` (relative)."""
        leaves, outs = self.trace()
        graph = self.graph()
        place = {v: i for i, v in enumerate(graph.vertices)}
        fresh = [_leaf(x) for x in self.xs]
        slots: list[Any] = list(graph.vertices)
        for x, other in zip(leaves, fresh, strict=True):
            if x in place:
                slots[place[x]] = other
        with enable_grad():
            for step in graph.steps:
                args = [slots[i] for i in step.inputs]
                if isinstance(step.op, Part):
                    slots[step.output] = args[0][step.op.index]
                elif not isinstance(step.op, Saved):
                    result = step.op(*args)
                    for part in result if isinstance(result, tuple) else (result,):
                        _shake(part, size, rng)
                    slots[step.output] = result
        return fresh, [slots[place[o]] if tracked(o) else o for o in outs]

    def _size(self) -> int:
        return self.graph().flops()

    def _unfold(self) -> oracle.Scalars:
        leaves, outs = self.trace()
        unfolded = [oracle.numbers(x) for x in self.xs]
        graph = self.graph()
        slots: list[Any] = [v._data for v in graph.vertices]
        place = {v: i for i, v in enumerate(graph.vertices)}
        for x, numbers in zip(leaves, unfolded, strict=True):
            if x in place:
                slots[place[x]] = numbers
        for step in graph.steps:
            args = [slots[i] for i in step.inputs]
            if isinstance(step.op, Part):
                slots[step.output] = args[0][step.op.index]
            elif not isinstance(step.op, Saved):
                slots[step.output] = step.op.reference(*args)
        results = [
            slots[place[o]] if isinstance(o, Vertex) and o in place else np.asarray(o) for o in outs
        ]
        return oracle.Scalars(joined([np.asarray(r, dtype=object) for r in results]), unfolded)


class OpCase(Traced):
    """An op applied to arguments."""

    def __init__(self, op: Op, args: Sequence[Any]) -> None:
        self.op = op
        self.args = list(args)
        self.places = [i for i, a in enumerate(args) if is_variable(op, i, a)]
        self.name = op.name
        self.labels = [_label(op, i) for i in self.places]
        self.xs = [np.asarray(args[i], dtype=float) for i in self.places]
        if isinstance(op, Custom):
            self.reverse, self.forward = op.vjp is not None, op.jvp is not None

    def apply(self, xs: Sequence[Any]) -> list[Any]:
        args = list(self.args)
        for i, x in zip(self.places, xs, strict=True):
            args[i] = x
        out = self.op(*args)
        return list(out) if isinstance(out, tuple) else [out]

    def at(self, xs: Sequence[Any]) -> OpCase:
        args = list(self.args)
        for i, x in zip(self.places, xs, strict=True):
            args[i] = np.asarray(x, dtype=float)
        return OpCase(self.op, args)

    @property
    def opaque(self) -> bool:
        return isinstance(self.op, Custom)

    def _size(self) -> int:
        specs = [Spec.of(a) for a in self.args]
        return self.op.flops(self.op.spec(*specs), *specs)

    def _unfold(self) -> oracle.Scalars:
        args = list(self.args)
        leaves = [oracle.numbers(x) for x in self.xs]
        for i, x in zip(self.places, leaves, strict=True):
            args[i] = x
        out = self.op.reference(*args)
        parts = out if isinstance(out, tuple) else (out,)
        return oracle.Scalars(joined([np.asarray(p, dtype=object) for p in parts]), leaves)

    def narrow(self, dtype: Any) -> list[Any]:
        """The arguments, with variables of another dtype."""
        return [a.astype(dtype) if i in self.places else a for i, a in enumerate(self.args)]

    def arguments(self) -> dict[str, Any]:
        return {_label(self.op, i): a for i, a in enumerate(self.args)}

    def describe(self) -> str:
        return super().describe() + (f" · {self.op.label()}" if self.op.label() else "")


class FunctionCase(Traced):
    """A function of tensors, with the tracked tensors that it closes over as further variables.

    Args:
        function: what is checked; returns a tensor, or a tuple or list of them.
        args, options: its arguments: arrays, tensors and numbers, in lists, tuples and dicts.
            Floats are variables; everything else is passed as it is.
        name: what reports call it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        options: dict[str, Any] | None = None,
        name: str = "",
    ) -> None:
        self.function = function
        self.args = tuple(args)
        self.options = options or {}
        self.name = name or name_of(function)
        found: list[tuple[str, Any]] = []
        names = argument_names(function, len(self.args))
        for label, arg in [*zip(names, self.args, strict=True), *self.options.items()]:
            _collect(label, arg, found)
        self.labels = [label for label, _ in found]
        self.xs = [np.array(x, dtype=float) for _, x in found]
        self.parameters = []
        leaves, outs = self.trace()
        for label, leaf, x in zip(self.labels, leaves, self.xs, strict=True):
            if not np.array_equal(leaf._data, x, equal_nan=True):
                raise CannotCheck(
                    self.name,
                    f"it changes its argument {label} in place",
                    "Compute a new tensor instead.",
                )
        own = set(leaves)
        order = reach([o for o in outs if tracked(o)])
        inner = [v for v in order if v.op is None and v not in own and isinstance(v, Tensor)]
        self.parameters = inner
        self.labels += [x.name or f"closed-over tensor {i}" for i, x in enumerate(inner)]
        self.xs += [np.array(x._data, dtype=float) for x in inner]
        self._held = None
        steps = [v.op for v in order if isinstance(v.op, Custom)]
        self.reverse = all(op.vjp is not None for op in steps)
        self.forward = all(op.jvp is not None for op in steps)

    def apply(self, xs: Sequence[Any]) -> list[Any]:
        given = iter(xs)
        args = [_filled(a, given) for a in self.args]
        options = {k: _filled(a, given) for k, a in self.options.items()}
        out = self.function(*args, **options)
        outs = list(out) if isinstance(out, tuple | list) else [out]
        if not outs:
            raise CannotCheck(self.name, "it returned no tensor: an empty tuple", "Return one.")
        for o in outs:
            if not isinstance(o, Vertex | np.ndarray | np.generic | bool | int | float):
                what = "nothing" if o is None else f"a {type(o).__name__}"
                raise CannotCheck(
                    self.name,
                    f"it returned {what}, not a tensor",
                    "Does it lack a return?" if o is None else "Return one tensor or a tuple.",
                )
        return outs

    def value(self, xs: Sequence[Any]) -> Array:
        own = len(xs) - len(self.parameters)
        tensors = [asarray(np.asarray(x), copy=False) for x in xs[:own]]
        return super().value([*tensors, *xs[own:]])

    def at(self, xs: Sequence[Any]) -> FunctionCase:
        own = len(xs) - len(self.parameters)
        given = iter(xs[:own])
        args = [_filled(a, given) for a in self.args]
        options = {k: _filled(a, given) for k, a in self.options.items()}
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.args, other.options = tuple(args), options
        other.xs = [np.array(x, dtype=float) for x in xs]
        other._held = other._unfolded = other._rows = other.amplitude = None
        return other

    def arguments(self) -> dict[str, Any]:
        names = argument_names(self.function, len(self.args))
        return {**dict(zip(names, self.args, strict=True)), **self.options}

    def describe(self) -> str:
        inner = f"{len(self.parameters)} parameters" if self.parameters else ""
        return ", ".join(filter(None, [super().describe(), inner]))


class PairCase(Case):
    """A numpy function with derivatives written by hand; the engine has no part in it.

    Args:
        function: arrays in, one array out.
        args: arrays and other values; float arrays are variables.
        vjp: `vjp(g, *args)` or `vjp(g, out, *args)`, the cotangents of all arguments (or of the
            variables only): a tuple, or one array for one.
        jvp: `jvp(tangents, *args)` or `jvp(tangents, out, *args)`, with one tangent per argument
            (zeros where it is no variable).
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        options: dict[str, Any] | None = None,
        vjp: Callable[..., Any] | None = None,
        jvp: Callable[..., Any] | None = None,
        name: str = "",
    ) -> None:
        self.function, self.rule, self.tangent_rule = function, vjp, jvp
        self.args = tuple(args)
        self.options = options or {}
        self.name = name or name_of(function)
        self.reverse, self.forward = vjp is not None, jvp is not None
        self.places = [i for i, a in enumerate(self.args) if _is_float(a)]
        names = argument_names(function, len(self.args))
        self.names = names
        self.labels = [names[i] for i in self.places]
        self.xs = [np.array(self.args[i], dtype=float) for i in self.places]

    def _filled(self, xs: Sequence[Any]) -> list[Any]:
        args = list(self.args)
        for i, x in zip(self.places, xs, strict=True):
            args[i] = x
        return args

    def value(self, xs: Sequence[Any]) -> Array:
        out = self.function(*self._filled(xs), **self.options)
        if not isinstance(out, np.ndarray | np.generic | float | int | complex):
            what = "nothing" if out is None else f"a {type(out).__name__}"
            raise CannotCheck(
                self.name,
                f"it returned {what}, not an array",
                "Does it lack a return?" if out is None else "Return one numpy array.",
            )
        return np.asarray(out)

    def vjp(self, u: Array) -> list[Array]:
        return self.cotangents(u, self.xs)

    def cotangents(self, u: Array, xs: Sequence[Any]) -> list[Array]:
        """What the rule returns for the variables, with these arrays handed in as they are."""
        args = self._filled(xs)
        found = self._call(self.rule, u, args, xs)
        parts = list(found) if isinstance(found, tuple | list) else [found]
        if len(parts) == len(args) != len(self.places):
            parts = [parts[i] for i in self.places]
        if len(parts) != len(self.places):
            raise WrongShape(
                f"the vjp returned {len(parts)} cotangents for {len(self.places)} differentiable"
                f" arguments ({', '.join(self.labels)})"
            )
        return [_sound(c, x, n) for c, x, n in zip(parts, self.xs, self.labels, strict=True)]

    def jvp(self, ts: Sequence[Array]) -> Array:
        return self.tangents(ts, self.xs)

    def tangents(self, ts: Sequence[Array], xs: Sequence[Any]) -> Array:
        """What the rule returns for the result, with these arrays handed in as they are."""
        tangents: list[Any] = [np.zeros(np.shape(a)) for a in self.args]
        for i, t in zip(self.places, ts, strict=True):
            tangents[i] = t
        found = self._call(self.tangent_rule, tangents, self._filled(xs), xs)
        return _sound(found, self.result, "the result")

    def swept(
        self, xs: Sequence[Array], u: Array, ts: Sequence[Array]
    ) -> tuple[Array, list[Array], Array]:
        value = self.value(xs)
        cotangents = self.cotangents(u, xs) if self.reverse else []
        if self.forward:
            return value, cotangents, self.tangents(ts, xs)
        return value, cotangents, by_rows(value, ts, lambda u: self.cotangents(u, xs))

    def _call(self, rule: Any, first: Any, args: list[Any], xs: Sequence[Any]) -> Any:
        if _takes_out(rule, len(args)):
            return rule(first, self.value(xs), *args, **self.options)
        return rule(first, *args, **self.options)

    def at(self, xs: Sequence[Any]) -> PairCase:
        args = [
            np.array(a, dtype=float) if i in self.places else a for i, a in enumerate(self.args)
        ]
        for i, x in zip(self.places, xs, strict=True):
            args[i] = x
        return PairCase(self.function, args, self.options, self.rule, self.tangent_rule, self.name)

    def arguments(self) -> dict[str, Any]:
        return {**dict(zip(self.names, self.args, strict=True)), **self.options}


class WrongShape(Exception):
    """A derivative that does not even have the shape of what it belongs to."""


def _sound(c: Any, like: Array, label: str) -> Array:
    if c is None:
        raise WrongShape(f"the derivative for {label} is None")
    if np.asarray(c).dtype.kind == "c":
        raise WrongShape(f"the derivative for {label} is complex")
    try:
        found = np.asarray(c, dtype=float)
    except (TypeError, ValueError):
        raise WrongShape(f"the derivative for {label} is a {type(c).__name__}") from None
    if found.shape != like.shape:
        raise WrongShape(
            f"the derivative for {label} is {brief(found.shape)}, but {label} is"
            f" {brief(like.shape)}"
        )
    return found


@contextmanager
def holding(tensors: Sequence[Tensor], values: Sequence[Any]) -> Iterator[None]:
    """Let tensors hold other arrays for a while; afterwards they are as they were."""
    before = [t._data for t in tensors]
    try:
        for t, v in zip(tensors, values, strict=True):
            t._data = np.asarray(v)
        yield
    finally:
        for t, v in zip(tensors, before, strict=True):
            t._data = v


def by_rows(value: Array, ts: Sequence[Array], pull: Callable[[Array], list[Array]]) -> Array:
    """The tangent of a small result by its cotangents; of a large one, zeros."""
    if value.size > SMALL_RESULT:
        return value * 0
    units = np.eye(value.size, dtype=value.dtype).reshape(-1, *value.shape)
    rows = [sum(np.sum(g * t) for g, t in zip(pull(u), ts, strict=True)) for u in units]
    return np.array(rows, dtype=float).reshape(value.shape)


def tracked(v: Any) -> bool:
    """Whether a result is a tensor that a sweep can start from."""
    return isinstance(v, Vertex) and v.requires_grad


def joined(outs: Sequence[Any]) -> Array:
    """The data of one result as it is; of several in one row."""
    parts = [np.asarray(getattr(o, "_data", o)) for o in outs]
    return parts[0] if len(parts) == 1 else np.concatenate([p.ravel() for p in parts])


def split(u: Array, outs: Sequence[Any]) -> list[Array]:
    """A cotangent of `joined(outs)` as one for each."""
    if len(outs) == 1:
        return [u]
    sizes = np.cumsum([np.size(getattr(o, "_data", o)) for o in outs])[:-1]
    parts = np.split(u, sizes)
    return [p.reshape(np.shape(getattr(o, "_data", o))) for p, o in zip(parts, outs, strict=True)]


def weighted(outs: Sequence[Any], u: Array) -> Any:
    """⟨u, out⟩ as a tensor."""
    result: Any = 0.0
    for o, c in zip(outs, split(u, outs), strict=True):
        if tracked(o):
            result = result + total(o * c)
    return result


def is_variable(op: Op, i: int, arg: Any) -> bool:
    """Whether argument i is one that the op can be differentiated by."""
    name = op.args[min(i, len(op.args) - 1)]
    return isinstance(arg, np.ndarray) and arg.dtype.kind == "f" and name not in op.constant


def name_of(function: Any) -> str:
    """What a report calls a function."""
    name = getattr(function, "__name__", None) or type(function).__name__.lower()
    return "the function" if name == "<lambda>" else str(name)


def argument_names(function: Any, count: int) -> list[str]:
    """The names of the first positional parameters; `arg2` where there is none."""
    names: list[str] = []
    try:
        target = getattr(function, "forward", function)
        for p in inspect.signature(target).parameters.values():
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
                names.append(p.name)
            elif p.kind is p.VAR_POSITIONAL:
                names += [f"{p.name}[{i}]" for i in range(count - len(names))]
    except (TypeError, ValueError):
        pass
    return [*names[:count], *(f"argument {i}" for i in range(len(names), count))]


def _takes_out(rule: Any, count: int) -> bool:
    """Whether a rule of a function of `count` arguments wants the result, too: its second
    parameter is called `out`, or it must be given two more."""
    try:
        parameters = list(inspect.signature(rule).parameters.values())
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own = [p for p in parameters if p.kind in kinds]
    called = len(own) > 1 and own[1].name == "out"
    return called or sum(p.default is p.empty for p in own) >= count + 2


def _label(op: Op, i: int) -> str:
    if op.variadic and i >= len(op.args) - 1:
        return f"{op.args[-1]}[{i - len(op.args) + 1}]"
    return op.args[i]


def _shown(a: Any) -> str:
    if isinstance(a, np.ndarray | Tensor):
        kind = "" if a.dtype.kind == "f" else f" {a.dtype}"
        return f"({brief(a.shape)}{kind})"
    if isinstance(a, dict):
        return "{" + ", ".join(f"{k!r}: {_shown(v)}" for k, v in a.items()) + "}"
    if isinstance(a, tuple | list) and any(isinstance(v, np.ndarray | Vertex) for v in a):
        return f"[{', '.join(map(_shown, a))}]"
    return repr(a)[:60]


def _is_float(a: Any) -> bool:
    if isinstance(a, float):
        return True
    return isinstance(a, np.ndarray | np.generic) and np.asarray(a).dtype.kind == "f"


def _collect(label: str, arg: Any, found: list[tuple[str, Any]]) -> None:
    if isinstance(arg, Vertex):
        arg = arg._data
    if isinstance(arg, dict):
        for key, value in arg.items():
            _collect(f"{label}[{key!r}]", value, found)
    elif isinstance(arg, tuple | list):
        for i, value in enumerate(arg):
            _collect(f"{label}[{i}]", value, found)
    elif _is_float(arg):
        found.append((label, arg))


def _filled(arg: Any, given: Iterator[Any]) -> Any:
    """The argument with the next values in the place of its floats."""
    if isinstance(arg, Tensor):
        return next(given) if arg.dtype.kind == "f" else arg
    if isinstance(arg, dict):
        return {k: _filled(v, given) for k, v in arg.items()}
    if isinstance(arg, tuple) and hasattr(arg, "_fields"):
        return type(arg)(*(_filled(v, given) for v in arg))
    if isinstance(arg, tuple | list):
        return type(arg)(_filled(v, given) for v in arg)
    return next(given) if _is_float(arg) else arg


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Standard normal numbers: an array, also for the shape ()."""
    return np.asarray(rng.normal(size=shape))


def _leaf(x: Any) -> Tensor:
    leaf = asarray(np.asarray(x), copy=False)
    leaf.requires_grad = True
    return leaf


def _shake(part: Any, size: float, rng: np.random.Generator) -> None:
    if isinstance(part, Tensor) and part.dtype.kind == "f":
        part._data = part._data * (1.0 + size * normal(rng, part.shape)).astype(part.dtype)


def _or_zero(value: Any, like: Array) -> Array:
    if value is None:
        return np.zeros(like.shape, like.dtype if like.dtype.kind == "f" else float)
    return np.asarray(getattr(value, "_data", value))
