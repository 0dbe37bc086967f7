"""Hypothesis strategies for arrays, and for the arguments of convolutions, pools and indexing.

Shapes and parameters are drawn, the values come from one drawn seed: drawing stays fast, and
shrinking works on what matters. Strata that hide faults are drawn on purpose: no axes, empty axes,
axes of length 1, equal axes (a swapped axis raises no error there), ties.

>>> from hypothesis import given
>>> @given(tensors((2, 3)))
... def test(x):
...     assert x.shape == (2, 3)
>>> test()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..draw import SIZES, Draw
from ..errors import DomainError
from ..op import Op
from ..ops.conv import Conv
from ..ops.index import Getitem, index_of
from ..ops.pool import draw_pool
from ..spec import Shape
from .search import needs_hypothesis

VALUES = ("normal", "positive", "away_from_zero", "distinct", "tied", "mixed")


@dataclass(frozen=True)
class Arguments:
    """Positional and keyword arguments that are drawn together.

    `check(f, strategy_of_arguments)` calls `f(*args, **options)`.
    """

    args: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)


def drawn(make: Callable[[Draw], Any]) -> Any:
    """A strategy from a function of a `Draw`, as an op's `sample` has one.

    >>> drawn(lambda draw: draw.normal((2,))).example().shape  # doctest: +SKIP
    (2,)
    """
    st = needs_hypothesis().strategies

    @st.composite
    def strategy(draw: Any) -> Any:
        return make(Draw(lambda low, high: draw(st.integers(low, high))))

    return strategy()


def shapes(low: int = 0, high: int = 3, sizes: Sequence[int] = SIZES) -> Any:
    """Shapes of `low` to `high` axes with lengths from `sizes` (shrinking to the first).

    Every fourth has equal axes.
    """
    return drawn(lambda draw: draw.shape(low, high, sizes))


def tensors(shape: Any = None, *, values: str = "mixed", dtype: Any = float) -> Any:
    """Arrays.

    Args:
        shape: a shape, a strategy of shapes, or None for `shapes()`.
        values: "normal", "positive" (0.3 to 2), "away_from_zero" (either sign), "distinct" (no
            ties, no zeros), "tied" (−1, 0 and 1), or "mixed": distinct, normal, in every fourth
            array tied, in every eighth nothing but zeros.
        dtype: of the array; integers count from −3 to 3.

    Raises:
        DomainError: if `values` is unknown.
    """
    if values not in VALUES:
        raise DomainError("tensors", f"values={values!r} is unknown", f"Use one of {VALUES}.")
    st = needs_hypothesis().strategies
    which = shapes() if shape is None else st.just(tuple(shape)) if _is_shape(shape) else shape

    def fill(draw: Draw, found: Shape) -> Any:
        if np.dtype(dtype).kind in "iu":
            return draw.rng.integers(-3 * (np.dtype(dtype).kind == "i"), 4, found).astype(dtype)
        if values != "mixed":
            kind = values
        elif draw.integer(0, 7) == 7:
            return np.zeros(found, dtype)
        else:
            kind = draw.choice(("distinct", "normal", "normal", "tied"))
        return np.asarray(getattr(draw, kind)(found), dtype=dtype)

    made = which.flatmap(lambda found: drawn(lambda draw: fill(draw, tuple(found))))
    made.kind = Kind(values, np.dtype(dtype))
    return made


class Kind(NamedTuple):
    """What values `tensors` draws: arguments may share some to be tied."""

    values: str
    dtype: Any


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, tuple | list)


def broadcastable(count: int = 2) -> Any:
    """`Arguments` of `count` arrays that broadcast together, with missing axes and axes of 1."""
    return drawn(
        lambda draw: Arguments(tuple(draw.normal(shape) for shape in draw.broadcastable(count)))
    )


def labels(shape: Shape, classes: int) -> Any:
    """Class numbers from 0."""
    return drawn(lambda draw: np.asarray(draw.rng.integers(0, classes, size=shape)))


def conv_cases() -> Any:
    """`Arguments` of `gradgraph.conv`: x, w, and stride, padding, dilation, groups.

    1- to 3-d; strides that leave a remainder, kernels larger and smaller than the stride, uneven
    padding.
    """

    def make(draw: Draw) -> Arguments:
        op, (x, w) = Conv.sample(draw)
        options = dict(zip(("stride", "padding", "dilation", "groups"), op.geometry, strict=True))
        return Arguments((x, w), options)

    return drawn(make)


def pool_cases() -> Any:
    """`Arguments` of a pooling function: x, the window, and stride and padding.

    Windows overlap, leave a remainder, or leave gaps; no ties.
    """

    def make(draw: Draw) -> Arguments:
        (kernel, stride, padding, _), shape = draw_pool(draw, dilations=(1,))
        return Arguments((draw.kinky(shape), kernel), {"stride": stride, "padding": padding})

    return drawn(make)


def index_cases() -> Any:
    """`Arguments` of `gradgraph.getitem`: x and an index of any form that numpy has.

    Slices with steps, None, integer arrays with repeated and negative entries, masks.
    """

    def make(draw: Draw) -> Arguments:
        op, (x, *arrays) = Getitem.sample(draw)
        return Arguments((x, index_of(op.pattern, arrays)))

    return drawn(make)


def samples(op: type[Op], ties: bool = False) -> Any:
    """(instance, arguments) of an op, by its own `sample`."""
    st = needs_hypothesis().strategies

    @st.composite
    def strategy(draw: Any) -> Any:
        return op.sample(Draw(lambda low, high: draw(st.integers(low, high)), ties))

    return strategy()


__all__ = [
    "Arguments",
    "broadcastable",
    "conv_cases",
    "drawn",
    "index_cases",
    "labels",
    "pool_cases",
    "samples",
    "shapes",
    "tensors",
]
