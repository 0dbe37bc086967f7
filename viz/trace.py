"""The graph of what is to be drawn: of tensors, or of one run of a module."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

from gradgraph.errors import DTypeError
from gradgraph.graph import Graph
from gradgraph.mode import capture, enable_grad
from gradgraph.nn.module import Module, unchanged
from gradgraph.node import Vertex
from gradgraph.tensor import Tensor
from gradgraph.trace import given


class Trace(NamedTuple):
    """What was run.

    Attributes:
        graph: of it.
        data: the leaves that were passed to it.
        fixed: frozen parameters of the module.
    """

    graph: Graph
    data: tuple[Vertex, ...] = ()
    fixed: tuple[Vertex, ...] = ()


def traced(target: Any, inputs: Sequence[Any]) -> Trace:
    """The graph of tensors, or of a module or function that is run on inputs.

    Args:
        target: a tensor, several, a graph, or something to call.
        inputs: arrays, tensors, or shapes (tuples of ints) or specs, for which zeros are passed.

    Raises:
        DTypeError: if a module was given without inputs, or tensors with them, or if it returns
            no tensor.
        Also what the module raises for these inputs.

    >>> import gradgraph as gg
    >>> graph, (x,), _ = traced(lambda x: gg.relu(x * 2.0), [(2, 3)])
    >>> [step.op.name for step in graph.steps]
    ['multiply', 'relu']
    """
    if isinstance(target, Graph | Vertex) or not callable(target):
        if inputs:
            raise DTypeError(
                "draw", "inputs were given for a graph that is there already", "Leave them out."
            )
        return Trace(target if isinstance(target, Graph) else Graph.of(target))
    if not inputs:
        raise DTypeError(
            "draw",
            f"{type(target).__name__} has to be run to be drawn, and there is no input",
            "Pass one, or its shape: draw(net, (1, 28, 28, 1)).",
        )
    names = _names(target, len(inputs))
    leaves = [_leaf(x, name) for x, name in zip(inputs, names, strict=True)]
    with enable_grad(), capture(), unchanged(target):
        out = target(*leaves)
    if not isinstance(out, Vertex) and not (
        isinstance(out, tuple | list) and out and all(isinstance(o, Vertex) for o in out)
    ):
        raise DTypeError(
            "draw",
            f"{type(target).__name__} returned {type(out).__name__}, not a tensor",
            "Draw something that returns one tensor or several.",
        )
    module = getattr(target, "__self__", target)
    fixed = module.frozen() if isinstance(module, Module) else ()
    return Trace(Graph.of(out), tuple(leaves), tuple(fixed))


def _leaf(x: Any, name: str) -> Tensor:
    leaf = given(x, "draw")
    if leaf is not x:
        leaf.name = leaf.name or name
    return leaf


def _names(target: Any, count: int) -> list[str]:
    """The names of the first parameters, or "input" where they are not known."""
    try:
        found = list(inspect.signature(getattr(target, "forward", target)).parameters)
    except (TypeError, ValueError):
        found = []
    return [*found[:count], *["input"] * (count - len(found))]
