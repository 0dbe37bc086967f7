"""Indexing: x[...] in every form, and its transpose, which adds into zeros."""

from __future__ import annotations

from operator import index as as_int
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import IndexingError
from ..node import Vertex
from ..op import Op
from ..spec import Shape, Spec, show

__all__ = ["getitem"]

ARRAY = "array"  # stands in a pattern for an index that is an array input
Pattern = tuple[Any, ...]


class Getitem(Op):
    """x[index].

    The index is a pattern: ints, None, Ellipsis, slices as ("slice", start, stop, step), and
    `ARRAY` for integer or boolean arrays, which are inputs.
    """

    pattern: Pattern
    linear = ("x",)
    constant = ("indices",)
    style = "shape"

    def forward(self, x: Any, *indices: Any) -> Any:
        return x[index_of(self.pattern, indices)]

    def vjp_x(self, g: Any, out: Any, x: Any, *indices: Any) -> Any:
        return Scatter.of(self.pattern, x.shape)(g, *indices)

    def vjp_x_into(self, total: Any, g: Any, *indices: Any) -> None:
        """Add the cotangent of x into an array: n slices of one x cost O(n), not n arrays."""
        _add_at(total, index_of(self.pattern, indices), g)

    def spec(self, x: Spec, *indices: Spec) -> Spec:
        """The shape; a boolean index counts as if it held nowhere."""
        stand_in = np.broadcast_to(np.zeros((), x.dtype), x.shape)
        zeros = [np.zeros(i.shape, i.dtype) for i in indices]
        try:
            return Spec.of(stand_in[index_of(self.pattern, zeros)])
        except (IndexError, ValueError) as error:
            raise _bad_index(x.shape, error) from None

    def reference(self, x: Any, *indices: Any) -> Any:
        x = np.asarray(x, dtype=object)
        places = _places(x.shape, self.pattern, indices)
        out = scalar.empty(places.shape)
        for at in np.ndindex(places.shape):
            out[at] = x[np.unravel_index(places[at], x.shape)]
        return out

    def _explain(self, error: Exception, args: Any) -> Exception:
        if isinstance(error, IndexError | ValueError):
            return _bad_index(args[0].shape, error)
        return error

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape(low=1, sizes=(3, 2, 5, 1)))
        pattern, arrays = _draw_index(draw, x.shape)
        return cls(pattern), (x, *arrays)

    def label(self) -> str:
        return "[" + ", ".join(map(_show_item, self.pattern)) + "]"

    def flops(self, out: Spec, *args: Spec) -> int:
        return 0


class Scatter(Op):
    """Zeros of a shape, with g added at an index; what lands on one place is summed."""

    pattern: Pattern
    shape: Shape
    linear = ("g",)
    constant = ("indices",)
    style = "shape"

    def forward(self, g: Any, *indices: Any) -> Any:
        total = np.zeros(self.shape, g.dtype)
        _add_at(total, index_of(self.pattern, indices), g)
        return total

    # The rules' own cotangent comes first; the argument g is what is scattered.
    def vjp_g(self, c: Any, out: Any, g: Any, *indices: Any) -> Any:
        return Getitem.of(self.pattern)(c, *indices)

    def spec(self, g: Spec, *indices: Spec) -> Spec:
        return g.with_shape(self.shape)

    def reference(self, g: Any, *indices: Any) -> Any:
        g = np.asarray(g, dtype=object)
        places = _places(self.shape, self.pattern, indices)
        out = scalar.empty(self.shape)
        out.fill(0.0)
        flat = out.reshape(-1)
        for at in np.ndindex(places.shape):
            flat[places[at]] = flat[places[at]] + g[at]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, (x, *arrays) = Getitem.sample(draw)
        g = draw.normal(np.shape(x[index_of(op.pattern, arrays)]))
        return cls(op.pattern, x.shape), (g, *arrays)

    def label(self) -> str:
        return "[" + ", ".join(map(_show_item, self.pattern)) + "]"


def index_of(pattern: Pattern, arrays: Any) -> tuple[Any, ...]:
    """The numpy index that a pattern and its arrays stand for."""
    given = iter(arrays)
    return tuple(
        next(given)
        if isinstance(item, str)
        else slice(*item[1:])
        if isinstance(item, tuple)
        else item
        for item in pattern
    )


def _add_at(total: Any, index: tuple[Any, ...], g: Any) -> None:
    if any(isinstance(i, np.ndarray) and i.dtype != bool for i in index):
        np.add.at(total, index, g)  # += would count a repeated place once
    else:
        total[index] += g


def _places(shape: Shape, pattern: Pattern, indices: Any) -> Any:
    """For each element of x[index], its place in reading order in x."""
    return np.asarray(np.arange(int(np.prod(shape))).reshape(shape)[index_of(pattern, indices)])


def _bad_index(shape: Shape, error: Exception) -> IndexingError:
    text = str(error)
    if "too many" in text:
        fix = f"Give at most {len(shape)} indices; None adds an axis."
    elif "boolean" in text:
        fix = "A mask has the shape of the axes that it stands for."
    elif "out of bounds" in text:
        fix = "Indices of an axis of length n run from -n to n-1."
    else:
        fix = "Index as in numpy."
    return IndexingError("getitem", f"x is {show(shape)}: {text}", fix)


def _show_item(item: Any) -> str:
    if isinstance(item, tuple):
        start, stop, step = ("" if v is None else str(v) for v in item[1:])
        return f"{start}:{stop}" + (f":{step}" if step else "")
    return "…" if item is ... else str(item)


def _draw_index(draw: Draw, shape: Shape) -> tuple[Pattern, list[Any]]:
    kind = draw.integer(0, 5)
    if kind == 4:
        return (ARRAY,), [draw.rng.random(shape) < 0.5]
    if kind == 5:
        return (..., ARRAY), [draw.indices(draw.choice([(4,), (2, 3), (0,)]), shape[-1])]
    pattern: list[Any] = []
    arrays: list[Any] = []
    together = draw.choice([(3,), (2, 2), ()])
    for n in shape[: draw.integer(1, len(shape))]:
        item = draw.integer(0, 4)
        if item == 0:
            step = draw.choice([1, 2, -1, -2])
            pattern.append(("slice", draw.choice([None, 1, -2]), None, step))
        elif item == 1:
            pattern.append(draw.integer(-n, n - 1))
        elif item == 2:
            pattern += [None, ("slice", None, None, None)]
        else:
            pattern.append(ARRAY)
            arrays.append(draw.indices(together, n))
    return tuple(pattern), arrays


def getitem(x: Any, index: Any) -> Any:
    """x[index] in every form that numpy has.

    Args:
        x: tensor or array.
        index: ints, slices, None, Ellipsis, integer arrays (repeated and negative indices count;
            their gradients add up), boolean arrays, or a tuple of these.

    Raises:
        IndexingError: (an IndexError) if an index is out of bounds or there are too many.

    >>> getitem(np.array([10.0, 20.0, 30.0]), [0, 0, -1])
    array([10., 10., 30.])
    """
    pattern: list[Any] = []
    arrays: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        if isinstance(item, slice):
            parts = (item.start, item.stop, item.step)
            try:
                pattern.append(("slice", *(None if v is None else as_int(v) for v in parts)))
            except TypeError:
                raise IndexingError(
                    "getitem",
                    f"the slice {':'.join('' if v is None else repr(v) for v in parts)} is not"
                    " made of integers",
                    "Slice with ints, as in x[1:3].",
                ) from None
        elif item is None or item is ...:
            pattern.append(item)
        elif isinstance(item, int | np.integer) and not isinstance(item, bool):
            pattern.append(int(item))
        else:
            pattern.append(ARRAY)
            arrays.append(_as_index(item))
    return Getitem.of(tuple(pattern))(x, *arrays)


def _as_index(item: Any) -> Any:
    try:
        array = np.asarray(item._data if isinstance(item, Vertex) else item)
    except ValueError:
        array = np.empty(1, object)  # ragged lists
    if array.size == 0 and isinstance(item, list):
        array = array.astype(np.intp)
    if array.dtype.kind not in "iub":
        raise IndexingError(
            "getitem",
            f"an index is an array of {array.dtype}; only integers and booleans can index",
            "Convert it with .astype(int), or compare to get a boolean mask.",
        )
    return item if isinstance(item, Vertex) else array
