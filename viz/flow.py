"""The gradient's flow: how much of it passes each vertex and each edge of a graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradgraph.debug import unwatched
from gradgraph.errors import GradError, MutationError, ShapeError
from gradgraph.node import Vertex
from gradgraph.op import Part
from gradgraph.spec import show
from gradgraph.sweep import fit, reach

SAFE = (1e-280, 1e280)  # sums of squares that no float rounded to zero or to infinity


@dataclass(frozen=True, slots=True)
class Flow:
    """What one reverse sweep carried.

    Attributes:
        norms: for each vertex that a cotangent reached, its norm ‖∂L/∂v‖ (over all elements).
        edges: for each edge, named by its reader and the operand's index, the norm of what this
            edge alone contributed; at a fan-out the contributions add up to the vertex's cotangent.
        sizes: for each leaf that a cotangent reached, ‖v‖ at that time.
        from_one: whether the sweep started from ones, as `backward()` does.
    """

    norms: Mapping[Vertex, float]
    edges: Mapping[tuple[Vertex, int], float]
    sizes: Mapping[Vertex, float] = field(default_factory=dict)
    from_one: bool = True

    def __repr__(self) -> str:
        return f"Flow({len(self.norms)} vertices, {len(self.edges)} edges)"


@unwatched()
def flow(loss: Vertex, cotangent: Any = None) -> Flow:
    """Sweep once backwards from `loss`, and note the norm of every cotangent on the way.

    No `.grad` is read or written.

    Args:
        loss: a tensor that requires grad, of one element unless a cotangent is given.
        cotangent: array of the loss's shape to start from; ones by default.

    Raises:
        GradError: if nothing that it depends on requires grad, or there is nothing to start from.
        ShapeError: if the cotangent's shape is not the loss's.
        MutationError: if `assign` changed an input after the forward computation.

    >>> import gradgraph as gg
    >>> w = gg.Tensor([3.0, 4.0], requires_grad=True)
    >>> y = w * w
    >>> seen = flow(y.sum())
    >>> seen.norms[w], seen.edges[y, 0], seen.edges[y, 1], w.grad
    (10.0, 5.0, 5.0, None)
    """
    norms: dict[Vertex, float] = {}
    edges: dict[tuple[Vertex, int], float] = {}
    sizes: dict[Vertex, float] = {}
    order = reach([loss])
    wanted = set(order)
    seed = _seed(loss, cotangent)
    grads: dict[Vertex, Any] = {loss: seed}
    for v in reversed(order):
        g = grads.pop(v, None)
        if g is None:
            continue
        g = _complete(g, v._data)
        norms[v] = norm(g)
        if v.op is None:
            sizes[v] = norm(v._data)
            continue
        if v._seen != sum(x.version for x in v.inputs):
            raise MutationError(
                "viz.flow",
                f"an input of {v.op.name} was changed by assign() or an optimiser's step after the"
                " forward pass",
                "Compute the forward pass again, or draw before that.",
            )
        asked = [x in wanted for x in v.inputs]
        parts = v.op.pulls(g, v._data, [x._data for x in v.inputs], v.saved, asked)
        for i, (x, c) in enumerate(zip(v.inputs, parts, strict=True)):
            if c is not None:
                c = c if isinstance(v.op, Part) else fit(c, x._data)
                edges[v, i] = norm(c)
                grads[x] = _plus(grads.get(x), c)
    return Flow(norms, edges, sizes, bool((seed == 1).all()))


def norm(cotangent: Any) -> float:
    """The Euclidean norm over all elements of an array, or of a tuple of arrays.

    Where squares leave the range of floats it is scaled first: the square of 1e-170 is zero, and
    such a gradient has vanished, not died.

    >>> norm(np.array([3e-200, 4e-200]))
    5e-200
    """
    if isinstance(cotangent, tuple):
        return math.hypot(*(norm(part) for part in cotangent))
    values = np.asarray(cotangent, dtype=float).ravel()
    squares = float(np.dot(values, values))
    if SAFE[0] < squares < SAFE[1]:
        return math.sqrt(squares)
    most = float(np.abs(values).max(initial=0.0))
    if most == 0 or not math.isfinite(most):
        return most
    values = values / most
    return most * math.sqrt(np.dot(values, values))


def _seed(loss: Vertex, cotangent: Any) -> Any:
    if not loss.requires_grad:
        raise GradError(
            "viz.flow",
            "nothing that the tensor depends on requires grad, so no gradient flows",
            "Make a leaf with Tensor(..., requires_grad=True), and compute outside no_grad.",
        )
    if cotangent is None:
        if np.size(loss._data) != 1:
            raise GradError(
                "viz.flow",
                f"the tensor is {show(loss._data.shape)}, and a gradient starts from one number",
                "Reduce it with .sum() or .mean(), or pass a cotangent of its shape.",
            )
        return np.ones_like(loss._data)
    seed = np.asarray(getattr(cotangent, "_data", cotangent), dtype=loss._data.dtype)
    if seed.shape != loss._data.shape:
        raise ShapeError(
            "viz.flow",
            f"the cotangent is {show(seed.shape)}, but the tensor is {show(loss._data.shape)}",
            "A cotangent has the shape of its tensor.",
        )
    return seed


def _complete(g: Any, data: Any) -> Any:
    """The cotangent with zeros for the outputs of a tuple that none arrived at."""
    if not isinstance(g, tuple):
        return g
    return tuple(np.zeros_like(part) if c is None else c for c, part in zip(g, data, strict=True))


def _plus(prior: Any, c: Any) -> Any:
    if prior is None:
        return c
    if isinstance(c, tuple):
        return tuple(
            b if a is None else a if b is None else a + b for a, b in zip(prior, c, strict=True)
        )
    return np.asarray(prior + c)
