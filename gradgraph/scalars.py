"""Unfold a function of tensors into its graph of scalars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import scalar
from .errors import GradError
from .graph import Graph
from .mode import capture, enable_grad
from .op import Part, Saved
from .tensor import Tensor


class Scalars(NamedTuple):
    """A function unfolded: object arrays of scalar tensors.

    Attributes:
        output: the results, each the end of its own scalar graph.
        inputs: for each argument, its elements as leaves that require grad.
    """

    output: Any
    inputs: tuple[Any, ...]

    @property
    def graph(self) -> Graph:
        """The scalar graph, to count or draw, or to replay where the same branches are taken."""
        return Graph.of(self.output)


def scalars(f: Callable[..., Any], *arrays: Any) -> Scalars:
    """Unfold f into scalar adds, multiplies and so on, by the definitions of its ops.

    Weight sharing becomes visible: one weight of a convolution is one leaf with many edges. The
    definitions are those of the textbook, so they overflow where an op takes care not to
    (`softmax` of 1000), and a result that is the same for all inputs is a constant. A choice by
    value (relu, a maximum, a condition) is made once: the graph holds the branch that was taken.

    Args:
        f: function of tensors (an op, or anything composed of ops) with one result.
        arrays: its arguments. Floats become leaves; integers and booleans stay constants.

    Raises:
        GradError: if the function does not return one tensor.

    >>> import gradgraph as gg
    >>> unfolded = gg.scalars(gg.multiply, [2.0, 3.0], [5.0])
    >>> unfolded.output
    array([Tensor(10., op=multiply), Tensor(15., op=multiply)], dtype=object)
    >>> len(unfolded.graph.steps)
    2
    """
    tensors = [Tensor(a) for a in arrays]
    for t in tensors:
        t.requires_grad = t.dtype.kind == "f"  # so that a derivative inside f is recorded too
    with enable_grad(), capture():
        out = f(*tensors)
    if not isinstance(out, Tensor):
        raise GradError(
            "scalars",
            f"the function returned {type(out).__name__}, not one tensor",
            "Unfold a function with one result that depends on its arguments.",
        )
    reached = set(Graph.of(out).vertices)
    graph = Graph.of(out, inputs=[t for t in tensors if t in reached])
    slots: list[Any] = [None] * len(graph.specs)
    leaves = []
    place = {graph.vertices[i]: i for i in graph.inputs}
    for t in tensors:
        leaves.append(_leaves(t._data) if t.dtype.kind == "f" else t._data)
        if t in place:
            slots[place[t]] = leaves[-1]
    for i in graph.constants:
        slots[i] = graph.vertices[i]._data
    for step in graph.steps:
        args = [slots[i] for i in step.inputs]
        if isinstance(step.op, Part):
            slots[step.output] = args[0][step.op.index]
        elif isinstance(step.op, Saved):
            slots[step.output] = graph.vertices[step.output]._data
        else:
            slots[step.output] = step.op.reference(*args)
    return Scalars(_lifted(slots[graph.outputs[0]]), tuple(leaves))


def _lifted(output: Any) -> Any:
    """The results, with a constant tensor for each that is a plain number."""
    out = scalar.empty(np.shape(output))
    for at in np.ndindex(out.shape):
        v = np.asarray(output, dtype=object)[at]
        out[at] = v if isinstance(v, Tensor) else Tensor(v)
    return out


def _leaves(array: Any) -> Any:
    out = scalar.empty(np.shape(array))
    for at in np.ndindex(out.shape):
        out[at] = Tensor(float(array[at]), requires_grad=True)
    return out
