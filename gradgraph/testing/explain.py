"""From a counterexample to words: the smallest one, wrong entries, the op, a picture, a program."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..debug import debug
from ..graph import Graph
from ..node import Vertex
from ..render import render
from ..sweep import reach
from .blame import Suspect, culprits
from .case import Case, FunctionCase, OpCase, PairCase, Traced, tracked
from .differences import Samples
from .laws import Broken, Entry
from .laws.limits import on_kink
from .report import Report, WrongGradient
from .reproduce import Unwritable, Writer
from .search import Trial

LARGEST_JACOBIAN = 600  # entries of a Jacobian that is compared entry by entry


def explained(trial: Trial, broken: Broken, report: Report, simpler: bool = True) -> WrongGradient:
    """The error for a counterexample; a simpler one if it was drawn, not given."""
    if simpler:
        trial, broken = _simplified(trial, broken)
    case = trial.case
    folder = cache(lambda: Path(tempfile.mkdtemp(prefix="gradgraph-")))
    culprit = cache(lambda: _culprit(trial, broken.law))
    return WrongGradient(
        name=report.name,
        law=broken.law,
        problem=broken.problem,
        input=f"{case.describe()}; directions from seed {trial.seed}",
        example=case.arguments(),
        entries=_entries(case, broken),
        blamed=partial(_blamed, case, culprit),
        drawn=partial(_picture, case, culprit, folder),
        written=partial(_reproducer, trial, culprit, folder),
        report=report,
    )


def _simplified(trial: Trial, broken: Broken) -> tuple[Trial, Broken]:
    """The same counterexample with small whole numbers, if it still fails in the same way."""
    sizes = [x.size for x in trial.case.xs]
    if sum(sizes) > 400:
        return trial, broken
    first = np.cumsum([1, *sizes])
    counted = [
        (np.arange(n) + s).astype(float).reshape(x.shape)
        for n, s, x in zip(sizes, first, trial.case.xs, strict=False)
    ]
    small = [np.round(x * 2) / 2 for x in trial.case.xs]
    only = broken.law
    if only in ("differences", "kinks"):
        only = "kinks" if trial.kinked else "differences"
    for xs in (counted, small):
        with suppress(Exception):
            other = Trial(trial.case.at(xs), trial.seed, trial.order, trial.kinked)
            if not trial.kinked and on_kink(other.case):
                continue
            try:
                other.run(only)
            except Broken as again:
                if again.law == broken.law:
                    return other, again
    return trial, broken


def _culprit(trial: Trial, law: str) -> Suspect | None:
    """The vertex of a function that is most likely at fault."""
    if isinstance(trial.case, FunctionCase):
        with suppress(Exception):
            return next(iter(culprits(trial.case, law, trial.order, trial.seed)), None)
    return None


def _blamed(case: Case, culprit: Callable[[], Suspect | None]) -> str:
    """The op at fault in words."""
    if isinstance(case, OpCase):
        return f"{case.op.name} ({case.op.label()})" if case.op.label() else case.op.name
    if not isinstance(case, FunctionCase):
        return ""
    found = culprit()
    if found is None:
        return (
            "none by itself: a value left the graph (.data, .numpy(), a comparison), kinks met,"
            " or the sweeps put right rules together wrongly"
        )
    line = "" if found.line else _line(case, found)
    return f"{found}, made at {line}" if line else str(found)


def _entries(case: Case, broken: Broken) -> tuple[Entry, ...]:
    """The wrong entries: of the gradient for a cotangent of ones, and of the Jacobian."""
    found = [] if broken.entry is None else [broken.entry]
    with suppress(Exception), np.errstate(all="ignore"):
        better = list(_compared(case, broken.law not in ("differences", "kinks")))
        if better and broken.law != "reference":
            found = better
    return tuple(found)


def _compared(case: Case, unfold: bool) -> Iterator[Entry]:
    """The worst entries of the claimed derivatives against exact ones or differences."""
    out = case.result
    total = sum(x.size for x in case.xs)
    if not out.size or not total or out.size * total > LARGEST_JACOBIAN:
        return
    exact = _jacobian(case, out, unfold)
    if case.reverse:
        ones = np.concatenate([g.ravel() for g in case.vjp(np.ones(out.shape))])
        entry = _worst(case, ones, exact.sum(axis=0), "", " for a cotangent of ones")
        if entry:
            yield entry
        pulled = np.stack([np.concatenate([g.ravel() for g in row]) for row in case.rows()])
        yield from _worst_row(case, pulled, exact, out.shape, " (VJP)")
    if case.forward:
        pushed = np.stack([case.jvp(ts).ravel() for ts in _units(case)], axis=1)
        yield from _worst_row(case, pushed, exact, out.shape, " (JVP)")


def _worst_row(
    case: Case, got: Any, exact: Any, shape: tuple[int, ...], tail: str
) -> Iterator[Entry]:
    """The worst entry of the worst row of a claimed Jacobian; nothing if all are right."""
    gap = np.where(np.isnan(got), np.inf, np.abs(got - exact))
    row = int(np.argmax(gap.max(axis=1)))
    entry = _worst(case, got[row], exact[row], f"out{_place(row, shape)} by ", tail)
    if entry:
        yield entry


def _units(case: Case) -> Iterator[list[Any]]:
    """The tangents that move one element each."""
    for k, x in enumerate(case.xs):
        for i in range(x.size):
            ts = [np.zeros(v.shape) for v in case.xs]
            ts[k].flat[i] = 1.0
            yield ts


def _jacobian(case: Case, out: Any, unfold: bool) -> Any:
    """The true Jacobian, flat: by the scalar graph if there is one, else by differences."""
    if unfold and isinstance(case, Traced):
        graph = case.scalars(20_000)
        if graph is not None:
            rows = []
            for i in range(out.size):
                u = np.zeros(out.size)
                u[i] = 1.0
                rows.append(np.concatenate([g.ravel() for g in graph.pull(u).values]))
            return np.stack(rows)
    columns = [Samples(case.along(ts)).central().value.ravel() for ts in _units(case)]
    return np.stack(columns, axis=1)


def _worst(case: Case, got: Any, wanted: Any, head: str, tail: str) -> Entry | None:
    gap = np.where(np.isnan(got), np.inf, np.abs(got - wanted))
    flat = int(np.argmax(gap))
    if not gap[flat] > 1e-6 * (1.0 + abs(wanted[flat])):
        return None
    expected, found = float(wanted[flat]), float(got[flat])
    for label, x in zip(case.labels, case.xs, strict=True):
        if flat < x.size:
            what = f"d {head}{label}{_place(flat, x.shape)}{tail}"
            return Entry(what, expected, found)
        flat -= x.size
    return None


def _place(flat: int, shape: tuple[int, ...]) -> str:
    at = np.unravel_index(flat, shape)
    return f"[{', '.join(str(int(i)) for i in at)}]" if at else ""


def _line(case: FunctionCase, culprit: Suspect) -> str:
    """The user's line that applied the op, from another run that keeps lines."""
    order = reach([o for o in case.trace()[1] if tracked(o)])
    with suppress(Exception), debug():
        again = reach([o for o in case.at(case.xs).trace()[1] if tracked(o)])
        return next(b.line for a, b in zip(order, again, strict=True) if a is culprit.vertex)
    return ""


def _picture(case: Case, culprit: Callable[[], Suspect | None], folder: Callable[[], Path]) -> str:
    """Path of an SVG of the graph with the culprit in red; empty if it cannot be drawn."""
    if not isinstance(case, Traced):
        return ""
    with suppress(Exception):
        leaves, outs = case.trace()
        for leaf, label in zip(leaves, case.labels, strict=True):
            leaf.name = leaf.name or label
        graph = Graph.of([o for o in outs if isinstance(o, Vertex)])
        found = culprit()
        marks = {found.vertex: "wrong derivative"} if found else {}
        if isinstance(case, OpCase):
            marks = {outs[0]: "wrong derivative"}
        return str(render(graph, marks).save(folder() / "graph.svg"))
    return ""


def _reproducer(
    trial: Trial, culprit: Callable[[], Suspect | None], folder: Callable[[], Path]
) -> tuple[str, str]:
    """A program that fails in the same way; or "", and why the function cannot be written."""
    case = trial.case
    reason = ""
    order = "" if trial.order == 2 else f", order={trial.order}"
    order += f", seed={trial.seed}" if trial.seed else ""
    if isinstance(case, FunctionCase | PairCase):
        try:
            held = case.held() if isinstance(case, FunctionCase) else nullcontext()
            with held:
                return _program(Writer(folder, "check"), trial, order), ""
        except Unwritable as error:
            reason = f"it uses {error}"
    found = culprit()
    inner: Case = found.case if found else case
    if not isinstance(inner, OpCase):
        return "", reason
    try:
        writer = Writer(folder, "check_op")
        parts = [writer.value(inner.op), *(writer.value(a) for a in inner.args)]
        return writer.program(f"check_op({', '.join(parts)}{order or ', seed=0'})"), ""
    except Unwritable as error:
        return "", reason or f"it uses {error}"


def _program(writer: Writer, trial: Trial, order: str) -> str:
    case: Any = trial.case

    def called(function: Any) -> str:
        if case.options:
            function = partial(function, **case.options)
        return writer.value(function)

    parts = [called(case.function), *(writer.value(a) for a in case.args)]
    if isinstance(case, PairCase):
        for kind, rule in (("vjp", case.rule), ("jvp", case.tangent_rule)):
            if rule is not None:
                parts.append(f"{kind}={called(rule)}")
        order = f", seed={trial.seed}" if trial.seed else ""
    kinks = ', kinks="accept"' if trial.kinked else ""
    return writer.program(f"check({', '.join(parts)}{order}{kinks})")
