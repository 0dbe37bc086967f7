"""Indexing: x[...] in every form, and its transpose, which adds into zeros."""

from __future__ import annotations

from math import prod
from operator import index as as_int
from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import IndexingError
from ..kernels.scatter import add_at, places, repeats
from ..node import Vertex
from ..op import Op
from ..spec import Shape, Spec, show
from .operand import known, shaped

__all__ = ["getitem"]

ARRAY = "array"  # stands in a pattern for an index that is an array input
ALL = ("slice", None, None, None)
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

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        if any(mapped[1:]) or _moves_in_front(self.pattern):
            return NotImplemented
        return Getitem.of((ALL, *self.pattern))(*args)

    def vjp_x(self, g: Any, out: Any, x: Any, *indices: Any) -> Any:
        return Scatter.of(self.pattern, x.shape)(g, *indices)

    def vjp_x_into(self, total: Any, g: Any, *indices: Any) -> None:
        """Add the cotangent of x into an array: n slices of one x cost O(n), not n arrays."""
        add_at(total, index_of(self.pattern, indices), g)

    def spec(self, x: Spec, *indices: Spec) -> Spec:
        """The shape; a mask counts as if it held nowhere, or once where an index needs it to."""
        masks = [np.zeros(i.shape, bool) if i.dtype == bool else None for i in indices]
        try:
            return self._indexed(x, indices, masks)
        except IndexingError:
            some = [m for m in masks if m is not None and m.size]
            if not some:
                raise
            for m in some:
                m.flat[0] = True
            return self._indexed(x, indices, masks)

    def foreseen(self, inputs: Any) -> Spec:
        """The shape where the masks are known: they are never traced."""
        arrays = [i._data for i in inputs[1:]]
        masks = [a if a.dtype == bool else None for a in arrays]
        return self._indexed(Spec.of(inputs[0]._data), list(map(Spec.of, arrays)), masks)

    def _indexed(self, x: Spec, indices: Any, masks: Any) -> Spec:
        """The shape for some masks; integer indices count as 0."""
        stand_in = _like(x.shape)
        given = [
            np.broadcast_to(np.intp(0), i.shape) if m is None else m
            for i, m in zip(indices, masks, strict=True)
        ]
        try:
            return x.with_shape(np.shape(stand_in[index_of(self.pattern, given)]))
        except (IndexError, ValueError) as error:
            raise bad_index(self.name, x.shape, error) from None

    def reference(self, x: Any, *indices: Any) -> Any:
        x = np.asarray(x, dtype=object)
        of = places(x.shape, index_of(self.pattern, indices))
        out = scalar.empty(of.shape)
        for at in np.ndindex(of.shape):
            out[at] = x[np.unravel_index(of[at], x.shape)]
        return out

    def explain(self, error: Exception, args: Any) -> Exception:
        if isinstance(error, IndexError | ValueError):
            return bad_index(self.name, args[0].shape, error)
        return error

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        x = draw.normal(draw.shape(sizes=(3, 2, 5, 1, 0)))
        pattern, arrays = draw_index(draw, x.shape)
        return cls(pattern), (x, *arrays)

    def label(self) -> str:
        return "[" + ", ".join(map(show_item, self.pattern)) + "]"

    def flops(self, out: Spec, *args: Spec) -> int:
        return 0


class Scatter(Op):
    """Zeros of a shape, with g (broadcast) added at an index; what meets at a place is summed."""

    pattern: Pattern
    shape: Shape
    linear = ("g",)
    constant = ("indices",)
    style = "shape"

    def forward(self, g: Any, *indices: Any) -> Any:
        index = index_of(self.pattern, indices)
        if repeats(index):
            total = np.zeros(self.shape, g.dtype)
            add_at(total, index, g)
        else:
            new = np.empty if self._all_named(g, index) else np.zeros
            total = new(self.shape, g.dtype)
            total[index] = g
        return total

    def _all_named(self, g: Any, index: Any) -> bool:
        """Whether g has as many elements as there are; of these none is named twice."""
        return bool(g.size == prod(self.shape) and g.shape == _like(self.shape)[index].shape)

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        if any(mapped[1:]) or _moves_in_front(self.pattern):
            return NotImplemented
        g, *indices = args
        ones = (1,) * (result_ndim(self.pattern, spec, indices) - examples[0].ndim)
        g = g.reshape(size, *ones, *examples[0].shape)
        return Scatter.of((ALL, *self.pattern), (size, *self.shape))(g, *indices)

    # The rules' own cotangent comes first; the argument g is what is scattered.
    def vjp_g(self, c: Any, out: Any, g: Any, *indices: Any) -> Any:
        return Getitem.of(self.pattern)(c, *indices)

    def spec(self, g: Spec, *indices: Spec) -> Spec:
        return g.with_shape(self.shape)

    def reference(self, g: Any, *indices: Any) -> Any:
        to = places(self.shape, index_of(self.pattern, indices))
        g = np.broadcast_to(np.asarray(g, dtype=object), to.shape)
        out = scalar.empty(self.shape)
        out.fill(0.0)
        flat = out.reshape(-1)
        for at in np.ndindex(to.shape):
            flat[to[at]] = flat[to[at]] + g[at]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        op, (x, *arrays) = Getitem.sample(draw)
        shape = np.shape(x[index_of(op.pattern, arrays)])
        g = draw.normal(draw.choice([shape, shape[1:], tuple(1 for _ in shape)]))
        return cls(op.pattern, x.shape), (g, *arrays)

    def label(self) -> str:
        return "[" + ", ".join(map(show_item, self.pattern)) + "]"


def _like(shape: Shape) -> Any:
    """An array of this shape whose elements have no bytes."""
    return np.broadcast_to(np.zeros((), "V0"), shape)


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


def _moves_in_front(pattern: Pattern) -> bool:
    """Whether an axis before the others would end up behind those of the index arrays.

    numpy puts those in front if a slice, None or an ellipsis stands between two of them.

    >>> _moves_in_front((ARRAY, 0)), _moves_in_front((ARRAY, None, ARRAY))
    (False, True)
    """
    if ARRAY not in pattern:
        return False
    paired = [i for i, item in enumerate(pattern) if isinstance(item, int | str)]
    return paired[-1] - paired[0] >= len(paired)


def result_ndim(pattern: Pattern, x: Any, arrays: Any) -> int:
    """The number of axes of x[index].

    >>> result_ndim((None, 0, ARRAY), np.zeros((2, 3)), [np.zeros((4, 5), int)])
    3
    """
    taken = sum(isinstance(item, int) for item in pattern)
    taken += sum(i.ndim if i.dtype == bool else 1 for i in arrays)
    paired = max((1 if i.dtype == bool else i.ndim for i in arrays), default=0)
    return int(x.ndim) + pattern.count(None) - taken + paired


def bad_index(op: str, shape: Shape, error: Exception) -> IndexingError:
    """numpy's words for an index that does not fit, with a way to mend it."""
    text = str(error)
    if "too many" in text:
        fix = f"Give at most {len(shape)} indices; None adds an axis."
    elif "boolean" in text:
        fix = "A mask has the shape of the axes that it stands for."
    elif "broadcast" in text:
        fix = "Index arrays are paired element by element; for each with each use np.ix_."
    elif "out of bounds" in text:
        fix = "Indices of an axis of length n run from -n to n-1."
    else:
        fix = "Index as in numpy."
    return IndexingError(op, f"x is {show(shape)}: {text}", fix)


def show_item(item: Any) -> str:
    """An item of a pattern as Python writes it."""
    if isinstance(item, tuple):
        start, stop, step = ("" if v is None else str(v) for v in item[1:])
        return f"{start}:{stop}" + (f":{step}" if step else "")
    return "…" if item is ... else str(item)


def draw_index(draw: Draw, shape: Shape) -> tuple[Pattern, list[Any]]:
    """An index of an array of this shape, in any form that numpy has."""
    pattern: list[Any] = []
    arrays: list[Any] = []
    together = draw.choice([(3,), (2, 2), (1,), (), (0,)])  # what index arrays broadcast to
    axis = 0
    for _ in range(draw.integer(0, len(shape) + 2)):
        kind = draw.integer(0, 9)
        here = shape[axis:]
        if kind == 0:
            pattern.append(None)
        elif kind == 1 and ... not in pattern:
            pattern.append(...)
            axis = draw.integer(axis, len(shape))  # where it ends
        elif kind == 2:
            block = here[: draw.integer(0, len(here))]
            if 0 in together or 0 not in block:
                pattern.append(ARRAY)
                arrays.append(_draw_mask(draw, block, together))
                axis += len(block)
        elif here and kind == 3:
            ends = (draw.choice([None, 1, -2, 7]), draw.choice([None, -1, 2, -9]))
            pattern.append(("slice", *ends, draw.choice([1, 2, -1, None])))
            axis += 1
        elif here and kind == 4 and here[0]:
            pattern.append(draw.integer(-here[0], here[0] - 1))
            axis += 1
        elif here:
            own = together[draw.integer(0, len(together)) :]
            own = tuple(1 if draw.integer(0, 3) == 3 else m for m in own)
            if here[0] or 0 in own:
                pattern.append(ARRAY)
                arrays.append(draw.indices(own, here[0]) if here[0] else np.zeros(own, int))
                axis += 1
    if ... in pattern:
        pattern += [("slice", None, None, None)] * (len(shape) - axis)
    return tuple(pattern), arrays


def _draw_mask(draw: Draw, shape: Shape, together: Shape) -> Any:
    """A mask that holds as often as the other index arrays are long, or once."""
    count = together[-1] if together and draw.boolean() else 1
    if prod(shape) < count:
        count = 0 if 0 in together else 1
    return draw.rng.permutation(np.arange(prod(shape)) < count).reshape(shape)


def getitem(x: Any, index: Any) -> Any:
    """x[index] in every form that numpy has.

    Args:
        x: tensor or array.
        index: ints, slices, None, Ellipsis, integer arrays or lists (repeated and negative indices
            count; their gradients add up), boolean arrays of any rank, or a tuple of these.
            Tensors index like arrays.

    Raises:
        IndexingError: (an IndexError) if an index is out of bounds or there are too many.

    >>> getitem(np.array([10.0, 20.0, 30.0]), [0, 0, -1])
    array([10., 10., 30.])
    """
    x = shaped("getitem", x)
    pattern, arrays = parsed("getitem", index)
    return Getitem.of(pattern)(x, *arrays)


def parsed(op: str, index: Any) -> tuple[Pattern, list[Any]]:
    """An index as users write it, as a pattern and the arrays in it, checked."""
    pattern: list[Any] = []
    arrays: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        if isinstance(item, slice):
            parts = (item.start, item.stop, item.step)
            try:
                pattern.append(("slice", *(None if v is None else as_int(v) for v in parts)))
            except TypeError:
                raise IndexingError(
                    op,
                    f"the slice {':'.join('' if v is None else repr(v) for v in parts)} is not"
                    " made of integers",
                    "Slice with ints, as in x[1:3].",
                ) from None
        elif item is None or item is ...:
            pattern.append(item)
        elif _is_one_integer(item):
            pattern.append(as_int(item))
        else:
            pattern.append(ARRAY)
            arrays.append(as_index(op, item))
    return tuple(pattern), arrays


def _is_one_integer(item: Any) -> bool:
    """Whether an item is an integer that needs no array: an array or a tensor is an input."""
    own = isinstance(item, bool | np.bool_ | np.ndarray | Vertex)
    return not own and hasattr(type(item), "__index__")


def as_index(op: str, item: Any) -> Any:
    """An index array, checked; a tensor stays one."""
    try:
        array = np.asarray(item._data if isinstance(item, Vertex) else item)
    except ValueError:
        array = np.empty(1, object)  # ragged lists
    if array.size == 0 and isinstance(item, list | tuple):
        array = array.astype(np.intp)
    if array.dtype.kind not in "iub":
        raise IndexingError(
            op,
            f"an index is an array of {array.dtype}; only integers and booleans can index",
            "Convert it with .astype(int), or compare to get a boolean mask.",
        )
    if not known(item) and array.dtype == bool:
        raise IndexingError(
            op,
            f"the mask ({show(array.shape)}) is traced: how many elements it holds is known only"
            " when the graph runs",
            "Keep all elements, and choose with gg.where(mask, x, 0).",
        )
    return item if isinstance(item, Vertex) else array
