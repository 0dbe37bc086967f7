"""Build the graph of a function from the shapes of its arguments: nothing is computed.

An op on a traced tensor gives a traced tensor: its `spec` says what shape and dtype the result
has, and nobody knows its values. Whoever asks for them is told so: a choice by value that was made
now would be wrong for other inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any, NoReturn

import numpy as np

from . import ops
from .errors import GradError, ShapeError
from .graph import Graph
from .mode import current, no_grad
from .node import Vertex, leaf
from .op import Op
from .spec import Spec
from .tensor import Tensor, asarray


class Traced(Tensor):
    """A tensor of which only shape and dtype are known; made by `trace`, `vmap` and `compile`."""

    __slots__ = ()

    @property
    def data(self) -> NoReturn:
        """Raises: there are no values."""
        raise self._unknown("data")

    def detach(self) -> Tensor:
        """The same values, whatever they will be, with no gradient."""
        with no_grad():
            return ops.alias(self)  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        """Raises: there are no values to copy."""
        raise self._unknown("deepcopy")

    def assign(self, value: Any) -> None:
        """Raises: there are no values to change."""
        raise self._unknown("assign")

    def backward(self, cotangent: Any = None, create_graph: bool = False) -> None:
        """Raises, but while a function is compiled: there are no values to put into `.grad`."""
        if not current().tape:
            raise self._unknown("backward")
        super().backward(cotangent, create_graph)

    def __repr__(self) -> str:
        return f"Traced({Spec.of(self._data)})"

    def _unknown(self, where: str) -> GradError:
        return GradError(
            where,
            f"the values of this tensor ({Spec.of(self._data)}) are not known: {_who()} is running"
            " the function, and it stands for any input of its shape",
            "Use gg.grad instead of backward(), and read values outside."
            if where == "backward"
            else "Choose by value with gg.where instead of if, and read values outside.",
        )


def _who() -> str:
    return "gg.compile" if current().tape else "gg.trace or gg.vmap"


Op.traced = Traced


def stand_for(spec: Spec) -> Any:
    """A traced leaf: any array of this shape and dtype."""
    return leaf(Traced, spec.stand_in(), spec.dtype.kind == "f")


def is_shape(x: Any) -> bool:
    """Whether an argument is a shape (a tuple of ints) or a `Spec`, not data.

    >>> is_shape((1, 28, 28, 1)), is_shape((np.int64(2), 3)), is_shape((True, 3)), is_shape([2, 3])
    (True, True, False, False)
    """
    return isinstance(x, Spec) or (
        isinstance(x, tuple) and all(isinstance(n, Integral) and not isinstance(n, bool) for n in x)
    )


def spec_given(x: Any, where: str) -> Spec:
    """The spec of an argument: of a shape (float32), a `Spec`, a tensor or an array.

    Args:
        x: what was given.
        where: the function that asks, for errors.

    Raises:
        ShapeError: if an axis is negative.
        DTypeError: if x is no shape and holds no numbers.

    >>> spec_given((2, 3), "trace"), spec_given(np.zeros(4), "trace")
    (Spec(2×3 float32), Spec((4,) float64))
    """
    if not is_shape(x):
        return Spec.of(asarray(x, copy=False)._data)
    spec = x if isinstance(x, Spec) else Spec(tuple(map(int, x)), np.dtype(np.float32))
    if any(n < 0 for n in spec.shape):
        raise ShapeError(where, f"{spec.shape} is no shape", "Axes have at least 0 elements.")
    return spec


def given(x: Any, where: str) -> Tensor:
    """An argument of a function that is looked at: data as they are, a shape as a traced tensor.

    >>> given((2, 3), "draw"), given([1.0], "draw")
    (Traced(2×3 float32), Tensor([1.]))
    """
    return stand_for(spec_given(x, where)) if is_shape(x) else asarray(x)


def trace(f: Callable[..., Any], *specs: Any) -> Graph:
    """The graph of f for arguments of these shapes: nothing is computed from them.

    What f makes of arrays alone (a mask, a table of positions) is made, for it may decide shapes.
    Parameters of the function are constants of the graph, by reference. State does not change: an
    `assign` of a traced value is ignored. `gg.trace` of an array is its matrix trace, as in numpy.

    Args:
        f: a module, or a function of tensors that returns a tensor, or several.
        specs: for each argument a shape (then it is float32), a `Spec`, or an array or tensor,
            of which only shape and dtype count.

    Returns:
        The graph, with the arguments as its inputs; `flops`, `memory`, `parameters` count,
        `replay` runs it on values.

    Raises:
        GradError: if f asks for values (`if x > 0`, `float(x)`), or returns no tensor.
        Also what the ops raise for these shapes.

    >>> graph = trace(lambda x, w: ops.relu(x @ w), (100, 50), (50, 2))
    >>> graph.specs[graph.outputs[0]], graph.flops()
    (Spec(100×2 float32), 20200)
    >>> graph.replay(np.ones((100, 50)), np.ones((50, 2)))[0]
    array([50., 50.], dtype=float32)
    """
    if not callable(f):
        return ops.trace(f, *specs)
    inputs = [stand_for(spec_given(s, "trace")) for s in specs]
    out = f(*inputs)
    heads = list(out) if isinstance(out, tuple | list) else [out]
    for head in heads:
        if not isinstance(head, Vertex):
            raise GradError(
                "trace",
                f"the function returned {type(head).__name__}, not a tensor",
                "Return a tensor, or a tuple of tensors.",
            )
    return Graph.between(inputs, heads)
