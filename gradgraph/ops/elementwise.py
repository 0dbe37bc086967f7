"""What ops on each element are made of: their base classes, and what their rules are written in.

Rules ask questions about their operands (`greater`), mask, take signs and cast: as ops, so that
what they do is recorded, and asked again by a replay.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DTypeError
from ..kernels.dispatch import masked
from ..kernels.numpy_ import weighted
from ..mode import no_grad
from ..node import Vertex
from ..op import Op
from ..spec import Spec, broadcast, inexact, promote

__all__ = ["alias", "cast", "mask"]


class Elementwise(Op, abstract=True):
    """An op that applies `scalar(x, …)` at each position, after broadcasting."""

    batched = True
    keeps_integers: ClassVar[bool] = False
    domain: ClassVar[str] = "normal"  # the Draw method that gives valid values

    scalar: ClassVar[Any]

    def reference(self, *xs: Any) -> Any:
        xs = tuple(np.asarray(x, dtype=object) for x in xs)
        out = scalar.empty(np.broadcast_shapes(*(x.shape for x in xs)))
        for at in np.ndindex(out.shape):
            out[at] = self.scalar(*(_pick(x, at) for x in xs))
        return out

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        """Examples broadcast from the right: batches of shorter ones need the axes in between."""

        def whole(x: Any, mapped: bool, example: Spec) -> Any:
            short = spec.ndim - example.ndim
            return x.reshape(size, *[1] * short, *example.shape) if mapped and short else x

        return self(*map(whole, args, mapped, examples))


def _pick(x: Any, at: tuple[int, ...]) -> Any:
    """The element of x that is broadcast to the position `at`."""
    tail = at[len(at) - x.ndim :]
    return x[tuple(0 if n == 1 else i for i, n in zip(tail, x.shape, strict=True))]


class Unary(Elementwise, abstract=True):
    """An elementwise op of one argument."""

    diagonal: ClassVar[tuple[str, ...]] = ("x",)

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, promote(x) if self.keeps_integers else inexact(x))

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return cls(), (getattr(draw, cls.domain)(draw.shape()),)


class Binary(Elementwise, abstract=True):
    """An elementwise op of two arguments that broadcast."""

    diagonal: ClassVar[tuple[str, ...]] = ("x", "y")
    keeps_integers = True
    style = "arithmetic"

    def spec(self, x: Spec, y: Spec) -> Spec:
        dtype = promote(x, y) if self.keeps_integers else inexact(x, y)
        return Spec(broadcast(self.name, x=x, y=y), dtype)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        values = getattr(draw, cls.domain)
        a, b = draw.broadcastable(2)
        if draw.integer(0, 5) == 5:
            return cls(), (values(a), float(values(())))
        return cls(), (values(a), values(b))


def floats(x: Any) -> Any:
    """x as an array of floats: of integers, the negative of an unsigned one would be wrong."""
    x = np.asarray(x)
    return x.astype(inexact(Spec.of(x)), copy=False)


class Mask(Elementwise):
    """x where the mask holds, exactly 0 elsewhere, even where x is infinite or NaN."""

    linear = ("x",)
    constant = ("chosen",)
    style = "arithmetic"

    def forward(self, x: Any, chosen: Any) -> Any:
        return masked(x, np.asarray(chosen, dtype=bool))

    def into(self, out: Any, x: Any, chosen: Any) -> None:
        masked(x, np.asarray(chosen, dtype=bool), out)

    def vjp_x(self, g: Any, out: Any, x: Any, chosen: Any) -> Any:
        return mask(g, chosen)

    def spec(self, x: Spec, chosen: Spec) -> Spec:
        return Spec(broadcast(self.name, x=x, chosen=chosen), x.dtype)

    def scalar(self, x: Any, chosen: Any) -> Any:
        return scalar.where(chosen, x, x * 0.0)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        a, b = draw.broadcastable(2)
        return cls(), (draw.normal(a), draw.rng.random(b) < 0.5)


class Signed(Elementwise):
    """x · sign y, exactly 0 where y is 0, even where x is infinite or NaN."""

    linear = ("x",)
    constant = ("y",)
    style = "arithmetic"

    def forward(self, x: Any, y: Any) -> Any:
        return weighted(x, np.sign(y), y)

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return SIGNED(g, y)

    def spec(self, x: Spec, y: Spec) -> Spec:
        return Spec(broadcast(self.name, x=x, y=y), promote(x, y))

    def scalar(self, x: Any, y: Any) -> Any:
        v = scalar.value(y)
        return x if v > 0 else -x if v < 0 else x * 0.0

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        a, b = draw.broadcastable(2)
        return cls(), (draw.normal(a), draw.tied(b))


class Comparison(Binary, abstract=True):
    """A question about each pair of elements; the answers have no derivative."""

    constant = ("x", "y")
    linear = ()
    diagonal = ()

    def spec(self, x: Spec, y: Spec) -> Spec:
        return Spec(broadcast(self.name, x=x, y=y), np.dtype(bool))

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        a, b = draw.broadcastable(2)
        return cls(), (draw.tied(a), draw.tied(b))


class Greater(Comparison):
    """Whether x > y."""

    forward = np.greater

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.value(x) > scalar.value(y)


class Equal(Comparison):
    """Whether x = y."""

    forward = np.equal

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.value(x) == scalar.value(y)


class GreaterEqual(Comparison):
    """Whether x ≥ y."""

    forward = np.greater_equal

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.value(x) >= scalar.value(y)


class Both(Comparison):
    """Whether x and y hold."""

    forward = np.logical_and
    name = "logical_and"

    def scalar(self, x: Any, y: Any) -> Any:
        return bool(scalar.value(x)) and bool(scalar.value(y))


class Negate(Unary):
    """Whether x does not hold."""

    forward = np.logical_not
    name = "logical_not"
    style = "arithmetic"
    constant = ("x",)
    diagonal = ()
    domain = "tied"

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, np.dtype(bool))

    def scalar(self, x: Any) -> Any:
        return not scalar.value(x)


class Cast(Unary):
    """x in another dtype; the gradient comes back in the dtype of x."""

    dtype: str
    linear = ("x",)
    style = "shape"

    def forward(self, x: Any) -> Any:
        return np.asarray(x).astype(self.dtype)

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return cast(t, self.dtype)

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, np.dtype(self.dtype))

    def scalar(self, x: Any) -> Any:
        return x * 1.0

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return cls("float64"), (draw.normal(draw.shape()),)

    def flops(self, out: Spec, x: Spec) -> int:  # type: ignore[override]
        return 0


class Alias(Unary):
    """x itself, as a new vertex: what the functional operators differentiate by."""

    linear = ("x",)
    keeps_integers = True
    style = "shape"

    def forward(self, x: Any) -> Any:
        return x

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g

    def scalar(self, x: Any) -> Any:
        return x * 1.0

    def flops(self, out: Spec, x: Spec) -> int:  # type: ignore[override]
        return 0


MASK, SIGNED, ALIAS = Mask(), Signed(), Alias()
greater, greater_equal, equal, both, negate = Greater(), GreaterEqual(), Equal(), Both(), Negate()


def mask(x: Any, chosen: Any) -> Any:
    """x where `chosen` holds (is not 0), exactly 0 elsewhere, also for inf and NaN; dtype of x.

    >>> mask(np.array([1.0, np.inf]), np.array([True, False]))
    array([1., 0.])
    """
    return MASK(x, chosen)


def cast(x: Any, dtype: Any) -> Any:
    """x in another dtype; its gradient comes back in the dtype of x.

    A cast to integers has no gradient.

    Raises:
        DTypeError: if dtype is no type of numbers.

    >>> cast(np.array([1.0, 2.0]), np.float32).dtype
    dtype('float32')
    """
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        wanted = np.dtype(object)
    if wanted.kind not in "biufc" or dtype is None:
        raise DTypeError("cast", f"dtype is {dtype!r}, no type of numbers", "Try np.float32.")
    result = Cast.of(wanted.name)
    if wanted.kind != "f" and isinstance(x, Vertex):
        with no_grad():
            return result(x)
    return result(x)


def alias(x: Any) -> Any:
    """x itself, as a new vertex of the graph."""
    return ALIAS(x)
