"""Ops that work on each element: arithmetic and choices, and the base classes of such ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, DTypeError
from ..kernels.numpy_ import masked, weighted
from ..kink import Kink
from ..mode import no_grad
from ..node import Vertex
from ..op import Op
from ..spec import Spec, broadcast, floating, inexact, promote

__all__ = [
    "abs",
    "absolute",
    "add",
    "alias",
    "apply_where",
    "cast",
    "divide",
    "mask",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "power",
    "reciprocal",
    "square",
    "subtract",
    "where",
]


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

    def batch(
        self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec
    ) -> Any:  # shorter examples broadcast from the right: their batches need the axes in between
        return self(
            *(
                x.reshape(size, *(1,) * (spec.ndim - e.ndim), *e.shape)
                if m and e.ndim < spec.ndim
                else x
                for x, m, e in zip(args, mapped, examples, strict=True)
            )
        )


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


class Add(Binary):
    """x + y."""

    forward = np.add

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g

    def scalar(self, x: Any, y: Any) -> Any:
        return x + y


class Subtract(Binary):
    """x - y."""

    forward = np.subtract

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return -g

    def scalar(self, x: Any, y: Any) -> Any:
        return x - y


class Multiply(Binary):
    """x · y."""

    forward = np.multiply
    linear = ("x", "y")

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g * y

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g * x

    def scalar(self, x: Any, y: Any) -> Any:
        return x * y


class Divide(Binary):
    """x / y."""

    forward = np.divide
    linear = ("x",)
    keeps_integers = False
    domain = "away_from_zero"

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return g / y

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return -(g * out / y)

    def spec(self, x: Spec, y: Spec) -> Spec:
        return Spec(broadcast(self.name, x=x, y=y), floating(x, y))

    def scalar(self, x: Any, y: Any) -> Any:
        return x / y


class Power(Binary):
    """x to the y; the derivative by y counts ln x as 0 for x ≤ 0, where y cannot vary."""

    ufunc = np.power
    domain = "positive"
    kinks = (
        Kink("x = 0, y = 0", "slope 0 by x", ([0.0], 0), ([0.0],)),
        Kink("x = 0, y > 0", "slope 0 by y", ([0.0], [2.0]), ([0.0], [0.0])),
        Kink("x < 0", "slope 0 by y", ([-3.0], [2.0]), ([-6.0], [0.0])),
    )

    def forward(self, x: Any, y: Any) -> Any:
        return x**y

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        if isinstance(y, int | float) and y > 1:  # a plain number: nothing is being recorded
            return g * (y * (x if y == 2 else x ** (y - 1)))
        flat = both(equal(x, 0), equal(y, 0))
        return g * (y * where(flat, 1.0, x) ** (y - 1.0))  # unsigned integers would wrap around

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        flat = greater_equal(0, x)
        base = where(flat, 1.0, x)
        if base.dtype != out.dtype:  # the logarithm has the precision of the result
            base = cast(base, out.dtype)
        return g * (mask(out, negate(flat)) * np.log(base))

    def explain(self, error: Exception, args: Any) -> Exception:
        better = super().explain(error, args)
        if better is error and isinstance(error, ValueError):
            what = "an integer to the power of a negative integer is no integer"
            return DomainError(self.name, what, "Write 2.0 instead of 2, or use .astype(float).")
        return better

    def scalar(self, x: Any, y: Any) -> Any:
        return x**y

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        kind = draw.integer(0, 5)
        if kind == 3:
            return cls(), (draw.away_from_zero(draw.shape()), draw.choice([2, 3, -1, 1, 0]))
        if kind == 4:
            x = draw.tied(draw.shape())
            return cls(), (x, draw.rng.integers(0, 3, x.shape))
        if kind == 5:
            zeros = draw.rng.integers(0, 2, draw.shape())
            return cls(), (zeros, draw.positive(zeros.shape))
        op, args = super().sample(draw)
        return op, args


class Square(Unary):
    """x²."""

    forward = np.square
    style = "arithmetic"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return g * (2 * x)

    def spec(self, x: Spec) -> Spec:
        return Spec(x.shape, np.square(np.empty(0, x.dtype)).dtype)  # booleans become int8

    def scalar(self, x: Any) -> Any:
        return x * x


class Negative(Unary):
    """-x."""

    forward = np.negative
    linear = ("x",)
    keeps_integers = True
    style = "arithmetic"

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return -g

    def scalar(self, x: Any) -> Any:
        return -x


class Absolute(Unary):
    """|x|, with slope 0 at 0."""

    forward = np.absolute
    kinks = (Kink("x = 0", "slope 0", ([0.0, 2.0, -2.0],), ([0.0, 1.0, -1.0],)),)
    domain = "kinky"
    keeps_integers = True

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        return SIGNED(g, x)

    def scalar(self, x: Any) -> Any:
        v = scalar.value(x)
        return x if v > 0 else -x if v < 0 else x * 0.0


class Maximum(Binary):
    """The greater of x and y; a tie gives each half of the gradient."""

    forward = np.maximum
    domain = "kinky"
    kinks = (Kink("x = y", "half to each", ([1.0, 2.0], [1.0, 0.0]), ([0.5, 1.0], [0.5, 0.0])),)

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return mask(g, greater(x, y)) + 0.5 * mask(g, equal(x, y))

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return mask(g, greater(y, x)) + 0.5 * mask(g, equal(x, y))

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.maximum(x, y)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        a, b = draw.broadcastable(2)
        x, y = draw.kinky(a), draw.kinky(b)
        return cls(), (x, y if draw.ties else np.asarray(y + 0.03))


class Minimum(Binary):
    """The smaller of x and y; a tie gives each half of the gradient."""

    forward = np.minimum
    kinks = (Kink("x = y", "half to each", ([1.0, 2.0], [1.0, 4.0]), ([0.5, 1.0], [0.5, 0.0])),)

    def vjp_x(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return mask(g, greater(y, x)) + 0.5 * mask(g, equal(x, y))

    def vjp_y(self, g: Any, out: Any, x: Any, y: Any) -> Any:
        return mask(g, greater(x, y)) + 0.5 * mask(g, equal(x, y))

    def scalar(self, x: Any, y: Any) -> Any:
        return scalar.minimum(x, y)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return cls(), Maximum.sample(draw)[1]


class Where(Elementwise):
    """x where the condition holds, y elsewhere."""

    linear = ()
    constant = ("condition",)
    diagonal = ("x", "y")
    style = "arithmetic"
    kinks = (
        Kink(
            "the side that is not taken",
            "exactly 0, whatever arrives",
            ([True, False], [1.0, 2.0], [3.0, 4.0]),
            ([1.0, 0.0], [0.0, 1.0]),
        ),
    )

    def forward(self, condition: Any, x: Any, y: Any) -> Any:
        return np.where(condition, x, y)

    def vjp_x(self, g: Any, out: Any, condition: Any, x: Any, y: Any) -> Any:
        return mask(g, condition)

    def vjp_y(self, g: Any, out: Any, condition: Any, x: Any, y: Any) -> Any:
        return mask(g, negate(condition))

    def spec(self, condition: Spec, x: Spec, y: Spec) -> Spec:
        return Spec(broadcast(self.name, condition=condition, x=x, y=y), promote(x, y))

    def scalar(self, condition: Any, x: Any, y: Any) -> Any:
        return scalar.where(condition, x, y)

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        c, a, b = draw.broadcastable(3)
        return cls(), (draw.rng.random(c) < 0.5, draw.normal(a), draw.normal(b))


class Mask(Elementwise):
    """x where the mask holds, exactly 0 elsewhere, even where x is infinite or NaN."""

    linear = ("x",)
    constant = ("chosen",)
    style = "arithmetic"

    def forward(self, x: Any, chosen: Any) -> Any:
        return masked(x, np.asarray(chosen, dtype=bool))

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


ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER = Add(), Subtract(), Multiply(), Divide(), Power()
SQUARE, NEGATIVE, ABSOLUTE = Square(), Negative(), Absolute()
MAXIMUM, MINIMUM, WHERE = Maximum(), Minimum(), Where()
MASK, SIGNED, ALIAS = Mask(), Signed(), Alias()

# What rules ask about their operands: recorded with the rest, so that a replay asks again.
greater, greater_equal, equal, both, negate = Greater(), GreaterEqual(), Equal(), Both(), Negate()


def add(x: Any, y: Any) -> Any:
    """x + y, elementwise with broadcasting.

    Args:
        x, y: tensors, arrays or numbers whose shapes broadcast. The dtype is numpy's.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> add(np.array([1.0, 2.0]), 10.0)
    array([11., 12.])
    """
    return ADD(x, y)


def subtract(x: Any, y: Any) -> Any:
    """x - y, elementwise with broadcasting. Shapes, dtypes and errors as for `add`.

    >>> subtract(np.array([1.0, 2.0]), 10.0)
    array([-9., -8.])
    """
    return SUBTRACT(x, y)


def multiply(x: Any, y: Any) -> Any:
    """x · y, elementwise with broadcasting. Shapes, dtypes and errors as for `add`.

    >>> multiply(np.array([1.0, 2.0]), 10.0)
    array([10., 20.])
    """
    return MULTIPLY(x, y)


def divide(x: Any, y: Any) -> Any:
    """x / y, elementwise with broadcasting; integers give floats. Errors as for `add`.

    Division by 0 gives ±inf or NaN with numpy's warning.

    >>> divide(np.array([1.0, 2.0]), 10.0)
    array([0.1, 0.2])
    """
    return DIVIDE(x, y)


def power(x: Any, y: Any) -> Any:
    """x to the power y, elementwise with broadcasting. Errors as for `add`.

    Integers to the power of a negative integer are a DomainError.

    d/dx = y · x^(y-1), and 0 for y = 0 (also at x = 0). d/dy = x^y · ln x for x > 0, and 0 for
    x ≤ 0: at 0 the power is flat, and below 0 only whole exponents have one (others give NaN), so
    there is no direction in which y could vary.

    >>> power(np.array([1.0, 3.0]), 2)
    array([1., 9.])
    """
    return POWER(x, y)


def square(x: Any) -> Any:
    """x², elementwise; shape and dtype are kept.

    >>> square(np.array([1.0, -3.0]))
    array([1., 9.])
    """
    return SQUARE(x)


def reciprocal(x: Any) -> Any:
    """1 / x, elementwise; unlike numpy's, that of an integer is a float. At 0 as for `divide`.

    >>> reciprocal(np.array([2, 4]))
    array([0.5 , 0.25])
    """
    return DIVIDE(1.0, x)


def negative(x: Any) -> Any:
    """-x, elementwise; shape and dtype are kept.

    >>> negative(np.array([1.0, -2.0]))
    array([-1.,  2.])
    """
    return NEGATIVE(x)


def absolute(x: Any) -> Any:
    """|x|, elementwise; its slope at 0 is 0.

    >>> absolute(np.array([-1.5, 2.0]))
    array([1.5, 2. ])
    """
    return ABSOLUTE(x)


def abs(x: Any) -> Any:
    """|x|: the short name of `absolute`.

    >>> abs(np.array([-1.5, 2.0]))
    array([1.5, 2. ])
    """
    return ABSOLUTE(x)


def maximum(x: Any, y: Any) -> Any:
    """The greater of x and y, elementwise with broadcasting; NaN if either is.

    At a tie each gets half of the gradient; at a NaN none gets any. Errors as for `add`.

    >>> maximum(np.array([1.0, 5.0]), 3.0)
    array([3., 5.])
    """
    return MAXIMUM(x, y)


def minimum(x: Any, y: Any) -> Any:
    """The smaller of x and y, elementwise with broadcasting; NaN if either is.

    At a tie each gets half of the gradient; at a NaN none gets any. Errors as for `add`.

    >>> minimum(np.array([1.0, 5.0]), 3.0)
    array([1., 3.])
    """
    return MINIMUM(x, y)


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, y elsewhere, with broadcasting.

    The gradient of the side that is not taken is exactly 0, whatever its value. A NaN that an
    earlier op makes of that 0 (as sqrt does at 0) is avoided by choosing the input too:
    `where(x > 0, sqrt(where(x > 0, x, 1)), 0)`, or in short `apply_where(x > 0, sqrt, x, 0)`.

    Args:
        condition: boolean array or tensor; it gets no gradient.
        x, y: tensors, arrays or numbers.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> where(np.array([True, False]), 1.0, np.array([7.0, 8.0]))
    array([1., 8.])
    """
    return WHERE(condition, x, y)


def apply_where(
    condition: Any, f: Callable[[Any], Any], x: Any, otherwise: Any, *, stand_in: Any = 1.0
) -> Any:
    """f(x) where the condition holds, `otherwise` elsewhere; f never sees the other elements.

    It is `where(condition, f(where(condition, x, stand_in)), otherwise)`. Without the inner
    choice, f would be evaluated outside of its domain too: its warnings would come, and a slope
    that is infinite there would make a NaN of the gradient 0 that `where` gives it.

    Args:
        condition: boolean array or tensor; it gets no gradient.
        f: elementwise function of one tensor or array.
        x: what f is applied to where the condition holds.
        otherwise: tensor, array or number for the other elements.
        stand_in: what f sees in their place, inside of its domain.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> x = np.array([4.0, 0.0, -4.0])
    >>> apply_where(x > 0, np.sqrt, x, 0.0)
    array([2., 0., 0.])
    """
    return where(condition, f(where(condition, x, stand_in)), otherwise)


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
