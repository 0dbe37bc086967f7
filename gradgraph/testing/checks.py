"""`check` a function, `check_op` an op: search for a counterexample and show it."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np

from ..draw import Draw
from ..errors import GradgraphError, MissingExtraError
from ..op import Op
from ..spec import show
from .case import (
    CannotCheck,
    Case,
    FunctionCase,
    OpCase,
    PairCase,
    argument_names,
    name_of,
    normal,
)
from .explain import explained
from .laws import Tally
from .laws.limits import find_kink, on_kink
from .report import Report, WrongGradient, tell
from .search import Search, Trial, needs_hypothesis, refused, search
from .strategies import Arguments, tensors

UNDECIDED = 0.5  # a larger share of comparisons that decide nothing is no verdict
EXAMPLES, NEARBY = 30, 4  # inputs that `check` tries: drawn; an example and points near it
TRIED_SHAPES: tuple[tuple[int, ...], ...] = ((2, 3), (3,), (), (2, 3, 4), (2, 6, 6, 1), (1, 9, 1))
# Arguments that differ: filters that slide, products of matrices, what broadcasts.
UNEQUAL_SHAPES: dict[int, tuple[tuple[tuple[int, ...], ...], ...]] = {
    2: (
        *(((7,), (3,)), ((5,), (2,)), ((2, 3), (3, 4)), ((4, 2), (5, 2)), ((6, 5), (3, 2))),
        *(((2, 7, 2), (3, 2, 4)), ((2, 5, 5, 2), (3, 3, 2, 3))),  # channels last
        *(((2, 2, 7), (4, 2, 3)), ((2, 2, 5, 5), (3, 2, 3, 3))),  # channels first
        *(((2, 3), (3,)), ((2,), (2, 3)), ((2, 3), ())),
    ),
    3: (
        *(((7,), (3,), ()), ((2, 3), (3, 4), (4,)), ((4, 2), (5, 2), (5,))),
        *(((2, 7, 2), (3, 2, 4), (4,)), ((2, 5, 5, 2), (3, 3, 2, 3), (3,))),
        *(((2, 2, 7), (4, 2, 3), (4,)), ((2, 2, 5, 5), (3, 2, 3, 3), (3,))),
        *(((2, 3), (3,), (2,)), ((2, 3), (3,), (3,))),
    ),
}


def check(
    function: Any,
    *inputs: Any,
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    order: int = 2,
    examples: int | None = None,
    seed: int = 0,
    kinks: str = "refuse",
    name: str = "",
) -> Report:
    """Hold the derivatives of a function to the laws; raise with a counterexample if one breaks.

    Args:
        function: of tensors (anything composed of ops, a module with its parameters, a function
            made by `gradgraph.custom`); an op class (then see `check_op`); or, with `vjp` or `jvp`,
            a function of numpy arrays.
        inputs: for each argument an example (array, tensor or number: tried as it is, and at points
            nearby) or a hypothesis strategy; or one strategy of `Arguments`. Floats are
            differentiated, integers and booleans are passed as they are. Tensors that require
            grad and that the function closes over are differentiated, too. Without inputs, shapes
            are guessed.
        vjp: hand-written derivative of a numpy function: `vjp(g, *args)` or `vjp(g, out, *args)`
            gives the cotangents of the arguments from that of the result.
        jvp: the same forward: `jvp(tangents, *args)` or `jvp(tangents, out, *args)`.
        order: 1, or 2 to check second derivatives too.
        examples: how many inputs are tried; by default 30 that strategies draw, or an example and
            3 points near it.
        seed: of the drawing; the same seed tries the same inputs.
        kinks: what to do if an example lies exactly on a kink: "refuse", or "accept" any slope
            between those of both sides. (Points that strategies draw are always accepted so.)
        name: what reports call the function.

    Returns:
        The report.

    Raises:
        WrongGradient: (an AssertionError) if a law does not hold.
        CannotCheck: (a ValueError) if nothing can be said: the function is not deterministic,
            returns no floats, raises, has no argument to differentiate by, or has a kink at the
            example.

    >>> import gradgraph as gg
    >>> print(check(lambda x: gg.tanh(x) * x, np.array([0.5, -1.0]), examples=5).verdict)
    passed
    """
    made = getattr(function, "given_gradients", None)
    if made is not None:  # a test that the decorator made
        given: dict[str, Any] = {"order": order, "examples": examples, "seed": seed, "kinks": kinks}
        usual = {"order": 2, "examples": None, "seed": 0, "kinks": "refuse"}
        asked = {k: v for k, v in given.items() if v != usual[k]}
        asked |= {k: v for k, v in (("vjp", vjp), ("jvp", jvp), ("name", name)) if v is not None}
        return check(made.function, *(inputs or made.inputs), **{**made.options, **asked})
    _valid("the function", order, examples, seed)
    if kinks not in ("refuse", "accept"):
        raise CannotCheck("the function", f"kinks is {kinks!r}", 'Use "refuse" or "accept".')
    if isinstance(function, type) and issubclass(function, Op) and not inputs:
        return check_op(function, order=order, examples=examples or EXAMPLES, seed=seed)
    if not callable(function):
        raise CannotCheck(f"{function!r:.40}", "it is no function", "Pass the function itself.")
    if isinstance(function, type):
        raise CannotCheck(function.__name__, "it is a class", "Pass an instance of it.")
    name = name or name_of(function)
    checked = _Checked(function, name, vjp, jvp, order)
    choices = [inputs] if inputs else _guessed(checked)
    start = time.perf_counter()
    drawn = any(map(_is_strategy, choices[0]))
    with _listened(name):
        if drawn:
            tries = EXAMPLES if examples is None else examples
            result = search(_drawn(choices, checked), tries, seed)
        else:
            case = checked.at(inputs)
            result = _around(case, NEARBY if examples is None else examples, order, kinks, seed)
        return _finish(result, name, start, checked, order, drawn)


def check_op(
    op: type[Op] | Op,
    *args: Any,
    order: int = 2,
    examples: int = 100,
    seed: int = 0,
    shrink: bool = True,
) -> Report:
    """Hold an op to all laws, on inputs that its own `sample` draws.

    Args:
        op: the class; or an instance, with the arguments to check it at.
        args: arguments for an instance.
        order: 1, or 2 to check second derivatives too.
        examples: how many inputs are tried; every fourth with ties on purpose.
        seed: of the drawing.
        shrink: whether to look for the smallest counterexample.

    Raises:
        WrongGradient: if a law does not hold.
        CannotCheck: if its `sample` does not give valid inputs.

    >>> import gradgraph as gg
    >>> check_op(gg.Op.registry["tanh"], examples=5).verdict
    'passed'
    """
    start = time.perf_counter()
    cls = op if isinstance(op, type) else type(op)
    if not issubclass(cls, Op):
        raise CannotCheck(f"{op!r:.40}", "it is no op", "Use check for functions.")
    _valid(cls.name, order, examples, seed)
    with _listened(cls.name):
        if isinstance(op, type):
            result = search_op(cls, examples, seed, order, shrink)
        else:
            case = OpCase(op, args)
            result = Search(Tally())
            try:
                result.attempt(Trial(case, seed, order, kinked=on_kink(case)))
            except CannotCheck:
                raise
            except Exception as error:
                raise refused(cls.name, case.describe(), error) from error
        return _finish(result, cls.name, start, None, order)


def search_op(
    cls: type[Op], examples: int, seed: int, order: int = 2, shrink: bool = False
) -> Search:
    """Look for an input, drawn by the op's own `sample`, that breaks a law; arguments as above.

    Raises:
        CannotCheck: if its `sample` does not give valid inputs.
    """

    def build(data: Any) -> Trial:
        st = needs_hypothesis().strategies
        draw = Draw(lambda low, high: data.draw(st.integers(low, high)))
        draw.ties = draw.integer(0, 3) == 3
        instance, arguments = cls.sample(draw)
        case = OpCase(instance, arguments)
        return Trial(case, int(draw.rng.integers(2**31)), order, draw.ties)

    try:
        return search(build, examples, seed, shrink)
    except CannotCheck:
        raise
    except (GradgraphError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise CannotCheck(
            cls.name,
            f"its sample gives what it does not accept, or fails: {type(error).__name__}: {error}",
            "Let sample return (instance, arguments) that forward accepts.",
        ) from error


def given_gradients(*inputs: Any, **options: Any) -> Callable[[Any], Any]:
    """Decorator that turns a function into a test of its own gradient.

    The decorated function takes no argument and runs `check`; pytest collects it if its name
    begins with `test`, as a method, too. `check` and the command line accept it like the original.

    Args:
        inputs, options: as for `check`.

    >>> from gradgraph.testing import tensors
    >>> @given_gradients(tensors((2, 3)), examples=5)
    ... def test_square(x):
    ...     return x * x
    >>> test_square()
    """

    def decorate(function: Any) -> Any:
        def test(*self: Any) -> None:  # a method gets its object, and so does the original
            bound = functools.partial(function, *self) if self else function
            check(bound, *inputs, **{"name": name_of(function), **options})

        test.__name__ = test.__qualname__ = name_of(function)
        test.__doc__ = function.__doc__
        test.__module__ = function.__module__
        given = {"name": name_of(function), **options}
        test.given_gradients = _Given(function, inputs, given)  # type: ignore[attr-defined]
        return test

    return decorate


class _Given(NamedTuple):
    """What a test that the decorator made was made of."""

    function: Any
    inputs: tuple[Any, ...]
    options: dict[str, Any]


@contextmanager
def _listened(name: str) -> Iterator[None]:
    """What cannot be checked is told to those who collect reports, too."""
    start = time.perf_counter()
    try:
        yield
    except (WrongGradient, MissingExtraError):
        raise
    except (Exception, SystemExit) as error:
        refusal = error
        if not isinstance(error, CannotCheck):  # it raised at a point that was moved a little
            refusal = refused(name, "inputs near those that were given", error)
        seconds = time.perf_counter() - start
        tell(Report(name, "cannot check", 0, 0, Tally(), seconds, [str(refusal)]))
        if refusal is error:
            raise
        raise refusal from error


def _valid(name: str, order: Any, examples: Any, seed: Any) -> None:
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise CannotCheck(name, f"seed is {seed!r}", "Use a whole number from 0.")
    if order not in (1, 2):
        raise CannotCheck(name, f"order is {order!r}", "Use order=1 or order=2.")
    whole = isinstance(examples, int | np.integer) and not isinstance(examples, bool)
    if examples is not None and not (whole and examples >= 1):
        raise CannotCheck(name, f"examples is {examples!r}", "Use a whole number from 1.")


class _Checked:
    """A function, and how a case is made of it."""

    def __init__(self, function: Any, name: str, vjp: Any, jvp: Any, order: int) -> None:
        self.function, self.name = function, name
        self.vjp, self.jvp = vjp, jvp
        self.pair = vjp is not None or jvp is not None
        self.order = 1 if self.pair else order
        self.guessed = ""
        for kind, rule in (("vjp", vjp), ("jvp", jvp)):
            if rule is not None and not callable(rule):
                raise CannotCheck(name, f"{kind} is {rule!r:.40}, no function", "Pass a function.")

    def at(self, inputs: Sequence[Any]) -> Case:
        """The function at an example; refused if no law could say anything about it."""
        if len(inputs) == 1 and isinstance(inputs[0], Arguments):
            case = self.case(inputs[0].args, inputs[0].options)
        else:
            case = self.case(inputs, {})
        _preflight(case, self)
        return case

    def case(self, args: Sequence[Any], options: dict[str, Any]) -> Case:
        """The function at arguments."""
        self._fits(args, options)
        try:
            if self.pair:
                made = PairCase(self.function, args, options, self.vjp, self.jvp, self.name)
                with np.errstate(all="ignore"):
                    made.value(made.xs)
                return made
            with np.errstate(all="ignore"):
                return FunctionCase(self.function, args, options, self.name)
        except (CannotCheck, WrongGradient):
            raise
        except (Exception, SystemExit) as error:
            names = argument_names(self.function, len(args))
            shown = ", ".join(f"{n} {_shape(a)}" for n, a in zip(names, args, strict=True))
            if "read-only" in str(error):
                raise CannotCheck(
                    self.name,
                    f"it writes into an array of its graph ({shown}), which would be wrong then",
                    "Compute a new array instead of assigning into one.",
                ) from error
            raise refused(self.name, shown, error) from error

    def _fits(self, args: Sequence[Any], options: dict[str, Any]) -> None:
        """Refuse rules that cannot be called with these arguments."""
        for kind, rule in (("vjp", self.vjp), ("jvp", self.jvp)):
            try:
                signature = inspect.signature(rule)
            except (TypeError, ValueError):
                continue
            for count in (1, 2):
                with suppress(TypeError):
                    signature.bind(*range(len(args) + count), **options)
                    break
            else:
                first = "g" if kind == "vjp" else "tangents"
                names = ", ".join([*argument_names(self.function, len(args)), *options])
                raise CannotCheck(
                    self.name,
                    f"{kind}{signature} does not take what it would be given",
                    f"Write {kind}({first}, {names}) or {kind}({first}, out, {names}).",
                )


def _shape(a: Any) -> str:
    a = getattr(a, "_data", a)
    return f"{a.shape} {a.dtype}" if isinstance(a, np.ndarray) else repr(a)[:40]


def _is_strategy(value: Any) -> bool:
    return hasattr(value, "flatmap") and hasattr(value, "example")


def _guessed(checked: _Checked) -> list[tuple[Any, ...]]:
    """Choices of a strategy for each required argument, of shapes that the function accepts.

    These are the first shape that it accepts for all of them, and shapes that differ. Of a pair,
    the rules have to give cotangents of the arguments' shapes there, too: a function of vectors
    often takes matrices by accident. If there are none such, the rules are held to what the
    function accepts. What was guessed becomes a note of the report.
    """
    function = checked.function
    try:
        parameters = inspect.signature(getattr(function, "forward", function)).parameters.values()
    except (TypeError, ValueError):
        raise CannotCheck(checked.name, "its arguments are unknown", "Pass examples.") from None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(p.kind in positional and p.default is p.empty for p in parameters)
    count = count or any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if not count:
        checked.case((), {})  # a test that checks something itself fails here
        raise CannotCheck(checked.name, "it takes no arguments", "Give it what it depends on.")
    errors: list[str] = []

    def accepts(shapes: Sequence[tuple[int, ...]]) -> bool:
        rng = np.random.default_rng(0)
        try:
            case = checked.at([normal(rng, shape) for shape in shapes])
        except CannotCheck as error:
            errors.append(error.problem)
            return False
        if not case.value(case.xs).size:
            return False
        if not _rules_run(case):
            refused_by_rules.append(shapes)
        return True

    refused_by_rules: list[Any] = []
    alike = ((shape,) * count for shape in TRIED_SHAPES)
    accepted = list(filter(accepts, alike))
    found = [s for s in accepted if s not in refused_by_rules][:1] or accepted[:1]
    found += filter(accepts, UNEQUAL_SHAPES.get(count, ()))
    if found:
        kept = [shapes for shapes in found if shapes not in refused_by_rules] or found

        def told(choices: Iterable[Any]) -> str:
            names = argument_names(function, count)
            pairs = (zip(names, shapes, strict=True) for shapes in choices)
            return "; ".join(", ".join(f"{n} {show(s)}" for n, s in each) for each in pairs)

        checked.guessed = f"shapes were guessed, and may hide a fault: {told(kept)}"
        if left_out := [shapes for shapes in found if shapes not in kept]:
            checked.guessed += f" (the rules do not fit {told(left_out)})"
        return [tuple(map(tensors, shapes)) for shapes in kept]
    raise CannotCheck(
        checked.name,
        "no inputs were given, and it accepts none of the shapes that were tried for all its"
        f" {count} arguments ({'; '.join(dict.fromkeys(errors))[:600]})",
        "Pass an example for each argument (on the command line --shape 2x3).",
    )


def _rules_run(case: Case) -> bool:
    """Whether the rules of a pair run at a point and give what has the shapes of the arguments."""
    if not isinstance(case, PairCase):
        return True
    out = case.value(case.xs)
    try:
        with np.errstate(all="ignore"):
            if case.reverse:
                case.vjp(np.ones(out.shape))
            if case.forward:
                np.broadcast_to(case.jvp([np.ones(x.shape) for x in case.xs]), out.shape)
    except Exception:  # whatever a rule of somebody else raises
        return False
    return True


def _preflight(case: Case, checked: _Checked) -> None:
    """Refuse what no law could say anything about."""
    try:
        with np.errstate(all="ignore"):
            out = case.value(case.xs)
    except CannotCheck:
        raise
    except (Exception, SystemExit) as error:
        raise refused(checked.name, case.describe(), error) from error
    if not case.xs:
        inside = any(isinstance(a, tuple | list | dict) for a in case.arguments().values())
        raise CannotCheck(
            checked.name,
            f"there is nothing to differentiate by: {case.describe() or 'no arguments'}",
            "Pass the arrays of a pair as arguments, not inside of others."
            if checked.pair and inside
            else "Pass floats, 2.0 instead of 2.",
        )
    if not all(np.all(np.isfinite(x)) for x in case.xs):
        raise CannotCheck(
            checked.name,
            f"an argument is not finite: {case.describe()}",
            "Pass numbers: there is no derivative at infinity.",
        )
    if out.dtype.kind != "f":
        raise CannotCheck(
            checked.name,
            f"it returned {out.dtype} for {case.describe()}; only floats have derivatives",
            "Return floats: does it compare, round or take an argmax?",
        )
    if not (case.reverse or case.forward):
        raise CannotCheck(checked.name, "it has neither vjp nor jvp", "Give one of them.")


def _around(case: Case, examples: int, order: int, kinks: str, seed: int) -> Search:
    """The given point itself, and others near it until one breaks a law."""
    result = Search(Tally())
    with np.errstate(all="ignore"):
        if not np.all(np.isfinite(case.value(case.xs))):
            raise CannotCheck(
                case.name,
                f"its result is not finite for {case.describe()}",
                "Pass an example inside its domain; gradgraph.debug() finds the op.",
            )
    kinked = on_kink(case)
    if kinked and kinks == "refuse":
        _refuse_kink(case)
    result.attempt(Trial(case, seed, order, kinked))
    if result.outside:
        raise CannotCheck(
            case.name,
            f"next to the example ({case.describe()}) its result was not finite",
            "Pass an example inside its domain, not at its end.",
        )
    exact = "scalar graph" in result.tally.held
    vague = result.tally.unclear > 0 and not exact
    for k in range(1, examples):
        if result.found is not None:
            break
        result.attempt(_near(case, k, seed, order))
    if vague and result.found is None:
        raise undecided(case.name, "at the example")
    return result


def _refuse_kink(case: Case) -> None:
    kink = find_kink(case)
    if kink is None:
        return
    left, right, at = kink
    where = f"out{list(at)}" if at else "its result"
    raise CannotCheck(
        case.name,
        f"the example ({case.describe()}) lies exactly on a kink: along a direction the slope of"
        f" {where} is {left:.6g} on one side and {right:.6g} on the other, so there is no"
        " derivative to compare with",
        'Move the example a little, or pass kinks="accept" to allow any slope between the two.',
    )


def _near(case: Case, k: int, seed: int, order: int) -> Trial:
    """A point near an example: every number moved by up to 5 % of its size; none changes its sign.

    A zero moves by up to 5 % of a tenth of the spread of its array. Second derivatives, which were
    checked at the example, are checked at every other point.
    """
    rng = np.random.default_rng([seed, k])
    xs = [x + 0.05 * _sizes(x) * rng.uniform(-1, 1, size=x.shape) for x in case.xs]
    return Trial(case.at(xs), int(rng.integers(2**16)), 1 if k % 2 else order)


def _sizes(x: Any) -> Any:
    spread = 0.1 * float(np.std(x)) if x.size else 0.0
    return np.where(x == 0, spread or 1e-3, np.abs(x))


def _drawn(choices: Sequence[Sequence[Any]], checked: _Checked) -> Callable[[Any], Trial]:
    """Points that strategies of one choice draw; what is no strategy is passed as it is."""
    st = needs_hypothesis().strategies

    def build(data: Any) -> Trial:
        inputs = choices[data.draw(st.integers(0, len(choices) - 1)) if len(choices) > 1 else 0]
        values = [data.draw(i) if _is_strategy(i) else i for i in inputs]
        if len(values) > 1 and data.draw(st.integers(0, 4)) == 4:
            values = _tied_together(inputs, values, data.draw(st.integers(0, 2**16)))
        options: dict[str, Any] = {}
        if len(values) == 1 and isinstance(values[0], Arguments):
            values, options = list(values[0].args), dict(values[0].options)
        elif any(isinstance(v, Arguments) for v in values):
            raise CannotCheck(checked.name, "Arguments are mixed with others", "Pass one only.")
        case = checked.at([Arguments(tuple(values), options)])
        seed = data.draw(st.integers(0, 2**16))
        return Trial(case, seed, checked.order, _tied(case) and on_kink(case))

    return build


def _tied_together(inputs: Sequence[Any], values: Sequence[Any], seed: int) -> list[Any]:
    """Values of which arguments that were drawn alike share some: a maximum of two has ties."""
    rng = np.random.default_rng(seed)
    kinds = [getattr(i, "kind", None) for i in inputs]
    result = list(values)
    for k in range(1, len(values)):
        for j in range(k):
            to, source = (k, j) if _may_hold(kinds[k], kinds[j]) else (j, k)
            same = np.shape(values[j]) == np.shape(values[k])
            if same and _may_hold(kinds[to], kinds[source]):
                chosen = rng.random(np.shape(values[k])) < 0.5
                result[to] = np.where(chosen, result[source], result[to])
                break
    return result


def _may_hold(kind: Any, other: Any) -> bool:
    """Whether an argument of one kind may have values that were drawn for another."""
    if kind is None or other is None or kind.dtype != other.dtype:
        return False
    return kind.values in ("mixed", other.values)


def _tied(case: Case) -> bool:
    """Whether values repeat or are 0: kinks are where that happens."""
    return any(np.any(x == 0) or len(np.unique(x)) < x.size for x in case.xs)


def _finish(
    result: Search,
    name: str,
    start: float,
    checked: _Checked | None,
    order: int,
    drawn: bool = True,
) -> Report:
    """The report; or the error, with everything that helps to understand it."""
    report = Report(
        name,
        "passed" if result.found is None else "wrong",
        result.examples,
        result.outside,
        result.tally,
        time.perf_counter() - start,
        _notes(checked, order),
    )
    if result.found is not None:
        tell(report)
        raise explained(*result.found, report, simpler=drawn)
    if result.examples and result.outside >= result.examples * 0.9:
        raise CannotCheck(
            name,
            f"its result was not finite for {result.outside} of {result.examples} inputs",
            'Draw inputs inside its domain, e.g. tensors(values="positive").',
        )
    tally = result.tally
    if tally.unclear > UNDECIDED * tally.compared:
        where = "any" if tally.unclear == tally.compared else "most"
        raise undecided(name, f"at {where} of the inputs")
    if checked is None and "reference" not in tally.held:
        report.notes.append("the definition was not compared with: it did not unfold")
    if not tally.compared:
        report.notes.append("no slope was compared: there were no elements to differentiate by")
    tell(report)
    return report


def undecided(name: str, where: str) -> CannotCheck:
    """The error for a function whose slope cannot be found by differences."""
    return CannotCheck(
        name,
        f"differences decided nothing {where} (it jumps, oscillates too fast, or computes in low"
        " precision inside)",
        "Check it in float64, and on inputs where it is smooth.",
    )


def _notes(checked: _Checked | None, order: int) -> list[str]:
    guessed = [checked.guessed] if checked is not None and checked.guessed else []
    if checked is None or not checked.pair:
        return guessed + ([] if order == 2 else ["second derivatives were not checked (order=1)"])
    notes = [*guessed, "the definition and second derivatives of a bare pair are not checked"]
    if checked.vjp is None or checked.jvp is None:
        missing = "vjp" if checked.vjp is None else "jvp"
        notes.append(f"there is no {missing}, so the adjoint identity is not checked")
    return notes
