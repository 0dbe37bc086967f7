"""vmap: a function of one example, applied to all examples of a batch at once.

The function is traced on one example's shapes. The ops of that graph are then applied to whole
batches: an op says in `batch` how it takes an extra leading axis; what does not is applied example
by example and stacked. The result is made of ordinary ops, so it can be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import ops
from .errors import DTypeError, GradError, ShapeError
from .graph import Graph, Step
from .mode import capture
from .node import Vertex, leaf
from .op import Op, Part, Saved
from .spec import Spec, axes_of
from .sweep import downstream
from .tensor import Tensor, asarray
from .trace import Traced, stand_for


class _Batch(NamedTuple):
    """What a slot of the graph holds for all examples.

    Attributes:
        value: a tensor (a tuple for an op with several outputs), with an axis of examples in
            front if `mapped`.
        saved: what the op saved, likewise.
        mapped: whether it differs between examples.
    """

    value: Any
    saved: tuple[Any, ...]
    mapped: bool


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """The function that applies f to every example of a batch, and stacks the results.

    `vmap(grad(loss), in_axes=(None, 0))(w, xs)` are the gradients of all examples, each by itself.

    f is run once, on tensors that stand for one example. Whatever it draws at random there (a
    dropout mask) is the same for all examples, and state that it assigns does not change.

    Args:
        f: function of tensors that returns a tensor or a tuple of tensors.
        in_axes: which axis of each argument counts the examples; None for an argument that they
            share (it may be anything). One number stands for all arguments.
        out_axes: where the results get that axis; one number, or one for each result.

    Returns:
        The function of batches. Arrays in, arrays out; any tensor in, tensors out.

    Raises:
        ShapeError: if the arguments have different numbers of examples, or lack the axis.
        GradError: if f chooses by value (`if x > 0`): use `where`.
        DTypeError: if in_axes does not fit the arguments.

    >>> import gradgraph as gg
    >>> loss = lambda w, x: ((w * x).sum() - 1) ** 2
    >>> vmap(gg.grad(loss), in_axes=(None, 0))(np.array([1.0, 2.0]), np.array([[1.0, 0], [0, 1]]))
    array([[0., 0.],
           [0., 2.]])
    """
    if not callable(f):
        raise DTypeError("vmap", f"{type(f).__name__} is no function", "Write gg.vmap(f)(x).")

    def result(*args: Any) -> Any:
        axes = _per_argument(in_axes, len(args))
        batches, size = _batches(args, axes)
        inputs = [
            x if batch is None else stand_for(Spec(batch.shape[1:], batch.dtype))
            for x, batch in zip(args, batches, strict=True)
        ]
        out = f(*inputs)
        heads = list(out) if isinstance(out, tuple | list) else [out]
        starts = [x for x, batch in zip(inputs, batches, strict=True) if batch is not None]
        results = _run(heads, starts, [b for b in batches if b is not None], size)
        places = _per_result(out_axes, len(results))
        moved = [
            ops.moveaxis(r, 0, axes_of("vmap", place, r.ndim)) if place else r
            for r, place in zip(results, places, strict=True)
        ]
        if not any(isinstance(x, Vertex) for x in args):
            moved = [m if m.requires_grad or m.__class__ is Traced else m.numpy() for m in moved]
        return tuple(moved) if isinstance(out, tuple | list) else moved[0]

    return result


def _per_argument(in_axes: Any, count: int) -> tuple[int | None, ...]:
    axes = tuple(in_axes) if isinstance(in_axes, tuple | list) else (in_axes,) * count
    fine = all(a is None or _is_axis(a) for a in axes)
    if not fine or len(axes) != count:
        raise DTypeError(
            "vmap",
            f"in_axes is {in_axes!r} for {count} arguments",
            "Give an int or None for each argument, as in in_axes=(None, 0).",
        )
    if all(a is None for a in axes):
        raise DTypeError(
            "vmap", "no argument has an axis of examples", "Name one axis at least: in_axes=0."
        )
    return axes


def _per_result(out_axes: Any, count: int) -> tuple[int, ...]:
    places = tuple(out_axes) if isinstance(out_axes, tuple | list) else (out_axes,) * count
    if len(places) != count or not all(map(_is_axis, places)):
        raise DTypeError(
            "vmap", f"out_axes is {out_axes!r} for {count} results", "Give an int for each."
        )
    return places


def _is_axis(a: Any) -> bool:
    return isinstance(a, int | np.integer) and not isinstance(a, bool)


def _batches(args: Sequence[Any], axes: Sequence[int | None]) -> tuple[list[Any], int]:
    """Each mapped argument with its examples along axis 0 (None for the others); their number."""
    batches: list[Any] = []
    sizes: dict[int, int] = {}
    for i, (x, axis) in enumerate(zip(args, axes, strict=True)):
        if axis is None:
            batches.append(None)
            continue
        t = asarray(x)
        if not t.ndim:
            raise ShapeError(
                "vmap", f"argument {i} is one number and has no axis of examples", "Use None."
            )
        (at,) = axes_of("vmap", axis, t.ndim)
        sizes[i] = t.shape[at]
        batches.append(t if at == -t.ndim else ops.moveaxis(t, at, 0))
    if len(set(sizes.values())) > 1:
        counts = ", ".join(f"argument {i} has {n}" for i, n in sizes.items())
        raise ShapeError(
            "vmap", f"the arguments differ in their number of examples: {counts}", "Check in_axes."
        )
    return batches, next(iter(sizes.values()))


def _run(
    heads: Sequence[Any], starts: Sequence[Vertex], batches: Sequence[Any], size: int
) -> list[Any]:
    """The graph from starts to heads, on the batches; every result has the axis of examples."""
    graph = Graph.between(starts, [h for h in heads if isinstance(h, Vertex)])
    held: dict[int, _Batch] = {}
    for slot, batch in zip(graph.inputs, batches, strict=True):
        held[slot] = _Batch(batch, (), True)
    mapped = set(downstream(graph.vertices, starts))
    for slot, v in enumerate(graph.vertices):
        if v not in mapped:
            held[slot] = _Batch(v, v.saved, False)
    for step in graph.steps:
        if step.output not in held:
            held[step.output] = _step(step, [held[i] for i in step.inputs], size, graph)
    found = {id(graph.vertices[slot]): held[slot] for slot in graph.outputs}
    return [_spread(found.get(id(h)) or _constant(h), size) for h in heads]


def _constant(head: Any) -> _Batch:
    """A result of the function that depends on no example."""
    if not isinstance(head, Vertex | np.ndarray | np.generic | int | float):
        raise GradError(
            "vmap",
            f"the function returned {type(head).__name__}, not a tensor",
            "Return a tensor, or a tuple of tensors.",
        )
    return _Batch(asarray(head), (), False)


def _spread(batch: _Batch, size: int) -> Any:
    value = batch.value
    return value if batch.mapped else ops.broadcast_to(value, (size, *value.shape))


def _step(step: Step, given: Sequence[_Batch], size: int, graph: Graph) -> _Batch:
    op, spec = step.op, graph.specs[step.output]
    if isinstance(op, Part):
        return _Batch(given[0].value[op.index], (), given[0].mapped)
    if isinstance(op, Saved):
        return _Batch(leaf(Tensor, given[0].saved[op.index]), (), given[0].mapped)
    args = [b.value for b in given]
    mapped = [b.mapped for b in given]
    if not any(mapped):
        return _Batch(*_apply(op, args), False)
    examples = [graph.specs[i] for i in step.inputs]
    at_once = op.batch(size, args, mapped, examples, spec)
    if at_once is not NotImplemented:
        return _Batch(at_once, (), True)
    merged = _as_items(op, size, args, mapped, examples, spec)
    return _one_by_one(op, size, args, mapped, spec) if merged is None else merged


def _apply(op: Op, args: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
    """All results of an op, hidden ones too, and what it saved."""
    if op.outputs == 1 and not op.saves:
        return op(*args), ()
    with capture():
        out = op(*args)
    v = out if op.outputs == 1 else out[0].inputs[0]
    return (v if op.outputs == 1 else tuple(Part.of(i)(v) for i in range(op.outputs))), v.saved


def _as_items(
    op: Op,
    size: int,
    args: Sequence[Any],
    mapped: Sequence[bool],
    examples: Sequence[Any],
    spec: Any,
) -> _Batch | None:
    """Examples of an op whose first axis runs over items that do not influence each other."""
    names = [op.args[min(i, len(op.args) - 1)] for i in range(len(args))]
    joint = (m and name not in op.per_item for m, name in zip(mapped, names, strict=True))
    if op.outputs > 1 or any(joint):
        return None
    flat = []
    for x, m, name, example in zip(args, mapped, names, examples, strict=True):
        if name in op.per_item:
            whole = x if m else ops.broadcast_to(x, (size, *example.shape))
            x = ops.reshape(whole, (size * example.shape[0], *example.shape[1:]))
        flat.append(x)
    value, saved = _apply(op, flat)
    kept = tuple(s.reshape(size, len(s) // size if size else 0, *s.shape[1:]) for s in saved)
    return _Batch(ops.reshape(value, (size, *spec.shape)), kept, True)


def _one_by_one(
    op: Op, size: int, args: Sequence[Any], mapped: Sequence[bool], spec: Any
) -> _Batch:
    each = [
        _apply(op, [x[i] if m else x for x, m in zip(args, mapped, strict=True)])
        for i in range(size)
    ]
    if not each:
        empty = [
            asarray(np.zeros((0, *s.shape), s.dtype))
            for s in (spec if isinstance(spec, tuple) else (spec,))
        ]
        return _Batch(tuple(empty) if op.outputs > 1 else empty[0], (), True)
    saved = tuple(np.stack([s[k] for _, s in each]) for k in range(len(op.saves)))
    values = [v for v, _ in each]
    if op.outputs == 1:
        return _Batch(ops.stack(values), saved, True)
    return _Batch(tuple(map(ops.stack, zip(*values, strict=True))), saved, True)
