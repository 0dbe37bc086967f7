"""Copies with changed elements: x[index] = values, and x[index] += values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..draw import Draw
from ..errors import GradgraphError, IndexingError, ShapeError
from ..kernels.scatter import add_at, places, set_at
from ..op import Op
from ..spec import Spec, promote, show
from .elementwise import equal, mask
from .index import (
    Getitem,
    Pattern,
    bad_index,
    draw_index,
    index_of,
    parsed,
    result_ndim,
    show_item,
)
from .operand import operand, shaped

__all__ = ["put"]


class Put(Op):
    """x with x[index] = values (broadcast); of an element named twice the last value stays."""

    pattern: Pattern
    constant = ("indices",)
    style = "shape"

    def forward(self, x: Any, values: Any, *indices: Any) -> Any:
        out = self._copy(x, values, indices)
        set_at(out, index_of(self.pattern, indices), values)
        return out

    def _copy(self, x: Any, values: Any, indices: Any) -> Any:
        if np.ndim(values) > result_ndim(self.pattern, x, indices):  # numpy would drop axes
            self.spec(*map(Spec.of, (x, values, *indices)))
        return np.array(x, promote(Spec.of(x), Spec.of(values)))

    def vjp_x(self, g: Any, out: Any, x: Any, values: Any, *indices: Any) -> Any:
        return self(g, 0.0, *indices)

    def vjp_values(self, g: Any, out: Any, x: Any, values: Any, *indices: Any) -> Any:
        gather = Getitem.of(self.pattern)
        arriving = gather(g, *indices)
        if all(i.dtype == bool for i in indices):
            return arriving
        order = np.arange(arriving.size).reshape(arriving.shape)
        last = self(np.zeros(out.shape, int), order, *indices)
        return mask(arriving, equal(gather(last, *indices), order))

    def jvp_x(self, t: Any, out: Any, x: Any, values: Any, *indices: Any) -> Any:
        return self(t, 0.0, *indices)

    def jvp_values(self, t: Any, out: Any, x: Any, values: Any, *indices: Any) -> Any:
        return self(np.zeros(out.shape, out.dtype), t, *indices)

    def spec(self, x: Spec, values: Spec, *indices: Spec) -> Spec:
        try:
            there = Getitem.of(self.pattern).spec(x, *indices).shape
        except IndexingError as error:
            raise IndexingError("put", error.problem, error.fix) from None
        known = not any(i.dtype == bool for i in indices)  # how often a mask holds is not
        tail = there[max(len(there) - values.ndim, 0) :]
        if values.ndim > len(there) or (
            known and any(n not in (1, m) for n, m in zip(values.shape, tail, strict=True))
        ):
            raise ShapeError(
                self.name,
                f"x[index] is {show(there)}, and values of shape {show(values.shape)} do not"
                " broadcast to it",
                "Pass one number, or an array of the shape of x[index].",
            )
        return Spec(x.shape, promote(x, values))

    def explain(self, error: Exception, args: Any) -> Exception:
        better = super().explain(error, args)
        if not isinstance(better, GradgraphError) and isinstance(error, IndexError | ValueError):
            return bad_index(self.name, np.shape(args[0]), error)
        return better

    def reference(self, x: Any, values: Any, *indices: Any) -> Any:
        x = np.asarray(x, dtype=object)
        to = places(x.shape, index_of(self.pattern, indices))
        values = np.broadcast_to(np.asarray(values, dtype=object), to.shape)
        out = np.array(x)
        for at in np.ndindex(to.shape):
            place = np.unravel_index(to[at], x.shape)
            out[place] = self._onto(out[place], values[at])
        return out

    def _onto(self, old: Any, new: Any) -> Any:
        """What an element becomes that gets a value."""
        return new

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape())
        pattern, arrays = draw_index(draw, x.shape)
        shape = np.shape(x[index_of(pattern, arrays)])
        own = draw.choice([shape, shape[1:], tuple(1 for _ in shape), ()])
        return cls(pattern), (x, draw.normal(own), *arrays)

    def label(self) -> str:
        return "[" + ", ".join(map(show_item, self.pattern)) + "]"

    def flops(self, out: Spec, *args: Spec) -> int:
        return 0


class PutAdd(Put):
    """x with values (broadcast) added at x[index]; of an element named twice all count."""

    def forward(self, x: Any, values: Any, *indices: Any) -> Any:
        out = self._copy(x, values, indices)
        add_at(out, index_of(self.pattern, indices), values)
        return out

    def vjp_x(self, g: Any, out: Any, x: Any, values: Any, *indices: Any) -> Any:
        return g

    def vjp_values(self, g: Any, out: Any, x: Any, values: Any, *indices: Any) -> Any:
        return Getitem.of(self.pattern)(g, *indices)

    def jvp_x(self, t: Any, out: Any, x: Any, values: Any, *indices: Any) -> Any:
        return t

    def _onto(self, old: Any, new: Any) -> Any:
        return old + new


def put(x: Any, index: Any, values: Any, *, add: bool = False) -> Any:
    """A copy of x in which x[index] = values, or x[index] += values: x itself is not changed.

    Of an element that is named several times the last value stays, in the reading order of
    x[index], and only that value gets the gradient; with `add` all are added and each gets it.
    The dtype is that of x + values.

    Args:
        x: tensor or array.
        index: in every form of `getitem`.
        values: tensor, array or number that broadcasts to x[index].
        add: add to the elements instead of replacing them.

    Raises:
        IndexingError: if the index does not fit.
        ShapeError: if the values do not.

    >>> put(np.zeros(3), [0, 2, 2], [1.0, 2.0, 3.0])
    array([1., 0., 3.])
    >>> put(np.zeros(3), [0, 2, 2], [1.0, 2.0, 3.0], add=True)
    array([1., 0., 5.])
    """
    x = shaped("put", x)
    pattern, arrays = parsed("put", index)
    return (PutAdd if add else Put).of(pattern)(x, operand("put", values), *arrays)
