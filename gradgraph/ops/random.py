"""Randomness with an explicit source: every function that draws is given its generator.

Pass one `rng = np.random.default_rng(seed)` along. An int starts a new generator at each call, so
the same int draws the same numbers each time: a network that is given `rng=0` at every step drops
the same elements at every step.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Any, TypeAlias

import numpy as np

from ..errors import DomainError, DTypeError, ShapeError
from ..mode import current
from ..node import Vertex
from ..spec import Shape, Spec, broadcast, floating, show
from .elementwise import cast, mask
from .operand import known, number, operand_spec, real, values

__all__ = ["channel_dropout", "dropout", "normal", "uniform"]

Rng: TypeAlias = "np.random.Generator | int"  # a string: numpy imports its generators when asked


def generator(rng: Any, op: str = "rng") -> np.random.Generator:
    """The generator itself, or a new one from an int seed.

    Raises:
        DTypeError: if rng is neither; randomness is never hidden in a global state.

    >>> generator(0).integers(10, size=3)
    array([8, 6, 5])
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        return np.random.default_rng(int(rng))
    legacy = isinstance(rng, np.random.RandomState)
    raise DTypeError(
        op,
        f"rng is {'a legacy RandomState' if legacy else repr(rng)}, neither a numpy Generator nor"
        " a seed ≥ 0",
        "Pass rng=0, or one rng = np.random.default_rng(0) to all.",
    )


def dropout(x: Any, rate: float, *, rng: Rng, training: bool = True) -> Any:
    """x with each element set to 0 with probability `rate`, the others divided by 1 - rate.

    So the expectation stays x, and nothing is to be scaled afterwards. What is kept is a constant
    of the graph: the gradient is 0 exactly where the result is dropped.

    Source: Srivastava et al., Dropout (2014), section 10, in its inverted form.

    Args:
        x: tensor or array; integers give floats.
        rate: from 0 (x itself) to 1 (zeros), a multiple of 2⁻²⁴ if need be.
        rng: a numpy Generator, which goes on, or a seed. The same seed drops the same elements
            at every call: make one generator and pass it along.
        training: False for x itself; nothing is drawn.

    Raises:
        DomainError: if the rate is not from 0 to 1.
        DTypeError: if rng is no generator and no seed, or x is not made of real numbers.

    >>> dropout(np.ones(6), 0.5, rng=0)
    array([2., 2., 2., 0., 0., 0.])
    """
    op = "dropout"
    source = generator(rng, op)
    rate = number(op, "rate", rate, 0.0, 1.0)
    x = _floats(op, x)
    return _dropped(x, np.shape(x), rate, source, training, rng)


def channel_dropout(x: Any, rate: float, *, rng: Rng, training: bool = True) -> Any:
    """x with whole channels of each item set to 0, the others divided by 1 - rate.

    Neighbouring pixels of a channel are so alike that dropping some of them hides nothing.

    Source: Tompson et al., Efficient object localization using convolutional networks (2015).

    Args:
        x: (N, *S, C) tensor or array, channels last.
        rate, rng, training: as for `dropout`.

    Raises:
        ShapeError: if x has no axis for items or none for channels.
        Also those of `dropout`.

    >>> channel_dropout(np.ones((1, 2, 3)), 0.5, rng=1)
    array([[[0., 2., 2.],
            [0., 2., 2.]]])
    """
    op = "channel_dropout"
    source = generator(rng, op)
    rate = number(op, "rate", rate, 0.0, 1.0)
    x = _floats(op, x)
    shape = np.shape(x)
    if len(shape) < 2:
        raise ShapeError(
            op, f"x is {show(shape)}, not (N, *S, C)", "Add an axis for the items: x[None]."
        )
    return _dropped(
        x, (shape[0], *(1 for _ in shape[1:-1]), shape[-1]), rate, source, training, rng
    )


def _dropped(
    x: Any, shape: Shape, rate: float, source: np.random.Generator, training: bool, given: Rng
) -> Any:
    """x where a mask of this shape holds, scaled; dropped with probability `rate` elsewhere."""
    if not training or rate == 0:
        return x
    spec = Spec(shape, np.dtype(np.float32))
    kept = _drawn(lambda: source.random(shape, np.float32), spec, source is given) >= rate
    return mask(x * (1 / (1 - rate)) if rate < 1 else x, kept)


def _drawn(draw: Callable[[], Any], spec: Spec, goes_on: bool) -> Any:
    """Drawn numbers; while a function is compiled what stands for those of every replay, if the
    generator `goes_on`, as one that was not made for this call."""
    tape = current().tape
    return tape.draw(draw, spec) if tape and goes_on else draw()


def _floats(op: str, x: Any) -> Any:
    """x as a tensor or an array of floats."""
    x = real(op, "x", x)
    x = x if isinstance(x, Vertex) else np.asarray(x)
    return x if x.dtype.kind == "f" else cast(x, floating(operand_spec(x)))


def normal(mean: Any = 0.0, std: Any = 1.0, shape: Any = None, *, rng: Rng) -> Any:
    """mean + std · ε with standard normal numbers ε: a sample that knows its parameters.

    The ε are constants of the graph, so gradients reach the mean (1) and the deviation (ε).

    Source: Kingma and Welling, Auto-encoding variational Bayes (2014), section 2.4.

    Args:
        mean, std: tensors, arrays or numbers; the deviations are not negative.
        shape: of the result; by default that to which mean and std broadcast.
        rng: a numpy Generator, which goes on, or a seed.

    Returns:
        float64, or the dtype of the parameters where they are arrays of floats.

    Raises:
        DomainError: if a deviation is negative.
        ShapeError: if mean and std do not broadcast to the shape.
        DTypeError: if rng is no generator and no seed.

    >>> normal(100.0, 0.1, 3, rng=0).round(2)
    array([100.01,  99.99, 100.06])
    """
    op = "normal"
    source = generator(rng, op)
    mean, std = real(op, "mean", mean), real(op, "std", std)
    dtype = floating(operand_spec(mean), operand_spec(std))
    own = _drawn_shape(op, shape, mean=mean, std=std)
    if known(std) and (values(std) < 0).any():
        raise DomainError(op, "std holds a negative number", "Pass exp(s) of any number s.")
    standard, kind = source.standard_normal, _drawable(dtype)
    noise = _drawn(
        lambda: standard(own, kind).astype(dtype, copy=False), Spec(own, dtype), source is rng
    )
    return mean + std * noise


def uniform(low: Any = 0.0, high: Any = 1.0, shape: Any = None, *, rng: Rng) -> Any:
    """low + (high - low) · u with u even over [0, 1): a sample that knows its parameters.

    The u are constants of the graph, so gradients reach both ends (1 - u and u).

    Args:
        low, high: tensors, arrays or numbers; the low end is not above the high one.
        shape, rng: as for `normal`.

    Returns:
        As `normal`.

    Raises:
        DomainError: if a low end is above its high end.
        ShapeError: if low and high do not broadcast to the shape.
        DTypeError: if rng is no generator and no seed.

    >>> uniform(10.0, 20.0, 3, rng=0).round(2)
    array([16.37, 12.7 , 10.41])
    """
    op = "uniform"
    source = generator(rng, op)
    low, high = real(op, "low", low), real(op, "high", high)
    dtype = floating(operand_spec(low), operand_spec(high))
    own = _drawn_shape(op, shape, low=low, high=high)
    if known(low) and known(high) and (values(low) > values(high)).any():
        raise DomainError(op, "low is above high", "Exchange them.")
    even, kind = source.random, _drawable(dtype)
    share = _drawn(
        lambda: even(own, kind).astype(dtype, copy=False), Spec(own, dtype), source is rng
    )
    return low + (high - low) * share


def _drawable(dtype: Any) -> Any:
    """The dtype in which numpy draws: it knows two."""
    return np.float64 if dtype == np.float64 else np.float32


def _drawn_shape(op: str, shape: Any, **parameters: Any) -> Shape:
    """The shape of a sample, to which its parameters broadcast."""
    specs = {name: operand_spec(p) for name, p in parameters.items()}
    natural = broadcast(op, **specs)
    if shape is None:
        return natural
    try:
        wanted = tuple(map(index, shape if isinstance(shape, tuple | list) else (shape,)))
    except TypeError:
        wanted = (-1,)
    if min(wanted, default=0) < 0:
        raise ShapeError(op, f"shape is {shape!r}", "Pass an int ≥ 0 or a tuple of them.")
    if broadcast(op, shape=Spec(wanted, np.dtype(float)), **specs) != wanted:
        names = " and ".join(parameters)
        raise ShapeError(
            op,
            f"{names} are {show(natural)} together, which does not broadcast to {show(wanted)}",
            "Leave shape out, or give more axes.",
        )
    return wanted
