"""A light way to give a function its own derivative, without writing an Op class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..draw import Draw
from ..errors import DTypeError, GradError
from ..node import Vertex
from ..op import Op
from ..spec import Spec, show

__all__ = ["custom"]


class Custom(Op):
    """A user's function with the derivatives that came with it."""

    function: Callable[..., Any]
    vjp: Callable[..., Any] | None = None
    jvp: Callable[..., Any] | None = None
    title: str = "custom"

    def forward(self, *xs: Any) -> Any:
        views = [_read_only(x) if isinstance(x, np.ndarray) else x for x in xs]
        return np.array(self.function(*views))

    def pulls(
        self, g: Any, out: Any, args: Sequence[Any], saved: Sequence[Any], wanted: Sequence[bool]
    ) -> list[Any]:
        if self.vjp is None:
            raise self._missing("vjp", "`vjp(g, out, *xs)`, the cotangent of each argument")
        if isinstance(g, np.ndarray):
            g, out, args = _read_only(g), _read_only(out), list(map(_read_only, args))
        result = self.vjp(g, out, *args)
        parts = list(result) if isinstance(result, tuple | list) else [result]
        if len(parts) != len(args):
            raise GradError(
                self.title,
                f"its vjp returned {len(parts)} cotangents for {len(args)} arguments",
                "Return one per argument, None where there is no derivative.",
            )
        for i, (c, x) in enumerate(zip(parts, args, strict=True)):
            if c is not None and wanted[i] and np.shape(c) != np.shape(x):
                raise GradError(
                    self.title,
                    f"its vjp returned {show(np.shape(c))} for argument {i}, which is"
                    f" {show(np.shape(x))}",
                    "A cotangent has the shape of its argument.",
                )
        return [
            None if c is None or not want else _own(c, out)
            for c, want in zip(parts, wanted, strict=True)
        ]

    def pushes(
        self, tangents: Sequence[Any], out: Any, args: Sequence[Any], saved: Sequence[Any]
    ) -> list[Any]:
        if self.jvp is None:
            raise self._missing("jvp", "`jvp(tangents, out, *xs)`, the tangent of the result")
        filled = [np.zeros_like(x) if t is None else t for t, x in zip(tangents, args, strict=True)]
        t = self.jvp(list(map(_read_only, filled)), _read_only(out), *map(_read_only, args))
        if np.shape(t) != out.shape:
            raise GradError(
                self.title,
                f"its jvp returned {show(np.shape(t))}, but the result is {show(out.shape)}",
                "A tangent has the shape of the result.",
            )
        return [_own(t, out)]

    def vjp_xs(self, g: Any, out: Any, i: int, *xs: Any) -> Any:
        return self.pulls(g, out, xs, (), [j == i for j in range(len(xs))])[i]

    def jvp_xs(self, t: Any, out: Any, i: int, *xs: Any) -> Any:
        return self.pushes([t if j == i else None for j in range(len(xs))], out, xs, ())[0]

    def spec(self, *xs: Spec) -> Spec:
        with np.errstate(all="ignore"):  # what it says of these numbers is of no interest
            return Spec.of(self.forward(*(np.ones(x.shape, x.dtype) for x in xs)))

    def reference(self, *xs: Any) -> Any:
        """The function itself, on arrays of scalars: it is the definition."""
        return np.asarray(self.function(*(np.asarray(x, dtype=object) for x in xs)), dtype=object)

    def _missing(self, rule: str, what: str) -> GradError:
        return GradError(self.title, f"it was made without {rule}", f"Give gg.custom {what}.")

    def label(self) -> str:
        return self.title

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        if draw.boolean():
            op = cls(_cube, lambda g, out, x: 3 * x * x * g, lambda t, out, x: 3 * x * x * t[0])
            return op, (draw.normal(draw.shape()),)
        op = cls(
            _weigh,
            lambda g, out, x, y, n: (g * y * n, g * x * n, None),
            lambda t, out, x, y, n: (t[0] * y + x * t[1]) * n,
        )
        shape = draw.shape()
        return op, (draw.normal(shape), draw.normal(shape), np.asarray(draw.integer(1, 3)))


def _cube(x: Any) -> Any:
    return x * x * x


def _weigh(x: Any, y: Any, n: Any) -> Any:
    return x * y * n


def _own(c: Any, like: Any) -> Any:
    """What a rule returned: as it is while a sweep is recorded, else a copy as an array."""
    if isinstance(c, Vertex):
        if isinstance(like, Vertex):
            return c
        c = c._data
    return np.array(c)


def _read_only(x: Any) -> Any:
    if isinstance(x, Vertex):
        return x
    view = np.asarray(x).view()
    view.setflags(write=False)
    return view


def custom(
    forward: Callable[..., Any],
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    name: str | None = None,
) -> Callable[..., Any]:
    """A differentiable function from a numpy function and its derivative.

    Args:
        forward: arrays in, one array out.
        vjp: `vjp(g, out, *xs)` gives the cotangent of each argument (a tuple, or one array if
            there is one argument; None where there is no derivative), from the cotangent g of
            the result. Written with operators and gradgraph's functions, it can itself be
            differentiated.
        jvp: `jvp(tangents, out, *xs)` gives the tangent of the result from a list of the
            arguments' tangents.
        name: what pictures and errors call it.

    Returns:
        A function of tensors or arrays.

    Raises:
        GradError: when a sweep needs the derivative that was not given, or it has a wrong shape.

    >>> import gradgraph as gg
    >>> cube = gg.custom(lambda x: x ** 3, vjp=lambda g, out, x: 3 * x ** 2 * g)
    >>> gg.grad(lambda x: cube(x).sum())(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    for rule, given in (("forward", forward), ("vjp", vjp), ("jvp", jvp)):
        if not callable(given) and (given is not None or rule == "forward"):
            raise DTypeError("custom", f"{rule} is {given!r}, no function", "Pass a function.")
    own = str(name or getattr(forward, "__name__", "custom"))
    return Custom(forward, vjp, jvp, "custom" if own == "<lambda>" else own)
