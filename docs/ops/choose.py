"""Which sample of an op is shown: a small one, and for its graph of scalars a tiny one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph.draw import Draw

SEEDS = 60
FEW = 30  # elements of a sample
TINY = 12  # elements of a sample that is unfolded into scalars
LIKED, MOST = 14, 40  # vertices of a graph of scalars


@dataclass(frozen=True)
class Sample:
    """An op with arguments, and what it records of them.

    Attributes:
        op, args: what the op's `sample` gave; floats have few digits.
        graph: the recorded graph of its results.
    """

    op: Any
    args: tuple[Any, ...]
    graph: gg.Graph

    @property
    def size(self) -> int:
        """Elements of arguments and results."""
        return sum(map(np.size, self.args)) + self.result_size

    @property
    def result_size(self) -> int:
        return sum(spec.size for spec in self.specs)

    @property
    def specs(self) -> list[gg.Spec]:
        """Of each result that can be seen."""
        return [self.graph.specs[i] for i in self.graph.outputs]

    @property
    def flops(self) -> int:
        return self.graph.flops()


def samples(cls: type[gg.Op]) -> Iterator[Sample]:
    """Samples of an op without empty arrays, in the order of their seeds."""
    for seed in range(SEEDS):
        op, args = cls.sample(Draw.seeded(seed))
        if any(isinstance(a, tuple) for a in args):
            return  # the op is part of the machinery: its argument is no array
        if all(np.size(a) for a in args):
            found = _recorded(op, tuple(map(_short, args))) or _recorded(op, tuple(args))
            if found and found.result_size:
                yield found


def shown(cls: type[gg.Op]) -> Sample | None:
    """The first small sample with more than one element; else the smallest of all."""
    found = list(samples(cls))
    for sample in found:
        if sample.size <= FEW and any(np.size(a) > 1 for a in sample.args):
            return sample
    return min(found, key=lambda s: s.size, default=None)


def unfolded(cls: type[gg.Op]) -> gg.Graph | int | None:
    """The graph of scalars of a tiny sample, the number of its vertices if these are too many,
    or None if there is nothing to unfold: the result is made of elements and constants.

    Of the pleasantly small ones that is taken in which most elements are shared.
    """
    graphs: list[gg.Graph] = []
    found = list(samples(cls))
    tiny = [s for s in found if s.size <= TINY] or sorted(found, key=lambda s: s.size)[:1]
    for sample in tiny:
        graph = _scalars(sample)
        if graph and graph.steps:
            graphs.append(graph)
    liked = [g for g in graphs if len(g.vertices) <= LIKED]
    if liked:
        return max(liked, key=_sharing)
    least = min(graphs, key=lambda g: len(g.vertices), default=None)
    if least is None or len(least.vertices) <= MOST:
        return least
    return len(least.vertices)


def _sharing(graph: gg.Graph) -> tuple[int, int]:
    """How many edges a graph has beyond a tree's; its size decides between equals."""
    edges = sum(len(step.inputs) for step in graph.steps)
    return edges - len(graph.vertices), len(graph.vertices)


def _short(a: Any) -> Any:
    """Floats with two digits after the point."""
    if isinstance(a, float) and not isinstance(a, np.generic):
        return round(a, 2)
    return np.asarray(np.round(a, 2)) if np.asarray(a).dtype.kind == "f" else a


def _recorded(op: Any, args: tuple[Any, ...]) -> Sample | None:
    """The sample, recorded; None if the op refuses these arguments."""
    arrays = any(isinstance(a, np.ndarray) for a in args)
    given = [
        a if arrays and not isinstance(a, np.ndarray) else _leaf(np.asarray(a), name, op)
        for a, name in zip(args, names(op, len(args)), strict=True)
    ]
    try:
        with gg.capture(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = op(*given)
    except (gg.GradgraphError, ArithmeticError, np.linalg.LinAlgError):
        return None
    return Sample(op, args, gg.Graph.of(out))


def names(op: Any, count: int) -> list[str]:
    """The name of each argument; those of `*xs` are numbered."""
    if not op.variadic:
        return list(op.args)
    *first, last = op.args
    return [*first, *(f"{last}[{i}]" for i in range(count - len(first)))]


def _leaf(a: Any, name: str, op: Any) -> gg.Tensor:
    wanted = a.dtype.kind == "f" and name.partition("[")[0] not in op.constant
    return gg.Tensor(a, requires_grad=wanted, name=name)


def _scalars(sample: Sample) -> gg.Graph | None:
    """The sample's graph of scalars, with the places in their arrays as names; of several results
    that one is unfolded which takes most."""
    found = [_unfolded(sample, i) for i in range(len(sample.graph.outputs))]
    return max((g for g in found if g), key=len, default=None)


def _unfolded(sample: Sample, i: int) -> gg.Graph | None:
    """The graph of scalars of the result with index i."""

    def one(*xs: Any) -> Any:
        out = sample.op(*xs)
        return out[i] if isinstance(out, tuple) else out

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = gg.scalars(one, *sample.args)
        except gg.DTypeError:  # a user's function that mixes scalars and arrays of no axes
            return None
    for name, array in zip(names(sample.op, len(sample.args)), found.inputs, strict=True):
        for at in np.ndindex(np.shape(array)):
            element = array[at]
            if isinstance(element, gg.Tensor):
                element.name = f"{name}[{', '.join(map(str, at))}]" if at else name
    return found.graph
