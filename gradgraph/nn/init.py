"""Initial weights: random numbers scaled so that signals keep their size from layer to layer.

Filters are (*kernel, C_in / groups, C_out), dense weights (in, out). With n inputs per output
(fan in) and n' outputs per input (fan out), Xavier's variance is 2 / (n + n'), Kaiming's 2 / n.
"""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from ..errors import DomainError, ShapeError
from ..ops.random import Rng, generator
from ..spec import Shape, show
from ..tensor import Array


def fans(shape: Shape, groups: int = 1) -> tuple[int, int]:
    """(fan in, fan out): inputs that one output sums, and outputs that one input reaches.

    Args:
        shape: of filters (*kernel, C_in / groups, C_out) or of dense weights (in, out).
        groups: of the convolution; an input channel reaches only the filters of its group.

    Raises:
        ShapeError: if the shape has fewer than two axes.

    >>> fans((5, 5, 8, 16)), fans((3, 3, 1, 8), groups=8), fans((784, 10))
    ((200, 400), (9, 9), (784, 10))
    """
    if len(shape) < 2:
        raise ShapeError(
            "nn.init",
            f"weights of shape {show(shape)} have no inputs and outputs",
            "Fill vectors yourself: zeros for biases.",
        )
    if groups < 1 or shape[-1] % groups:
        raise DomainError(
            "nn.init",
            f"{groups} groups cannot share {shape[-1]} outputs evenly",
            "Use a divisor of the last axis.",
        )
    taps = prod(shape[:-2])
    return taps * shape[-2], taps * shape[-1] // groups


def kaiming_normal(shape: Shape, *, rng: Rng, gain: float = sqrt(2)) -> Array:
    """Normal numbers of variance gain² / fan in; √2 makes up for what relu cuts off.

    Source: He, Zhang, Ren and Sun, Delving Deep into Rectifiers (2015).

    Args:
        shape: (*kernel, C_in / groups, C_out) or (in, out).
        rng: a numpy Generator, which goes on, or a seed.
        gain: what the activation makes necessary; 1 for none.

    Returns:
        A float32 array of that shape.

    Raises:
        ShapeError: if the shape has fewer than two axes.
        DTypeError: if rng is no generator and no seed.

    >>> round(float(kaiming_normal((200, 100), rng=0).std()), 2)
    0.1
    """
    fan_in, _ = fans(shape)
    return _normal(shape, gain / sqrt(max(fan_in, 1)), rng)


def kaiming_uniform(shape: Shape, *, rng: Rng, gain: float = sqrt(2)) -> Array:
    """Uniform numbers of variance gain² / fan in. Arguments and errors as for `kaiming_normal`.

    >>> round(float(kaiming_uniform((200, 100), rng=0).std()), 2)
    0.1
    """
    fan_in, _ = fans(shape)
    return _uniform(shape, gain / sqrt(max(fan_in, 1)), rng)


def xavier_normal(shape: Shape, *, rng: Rng, groups: int = 1, gain: float = 1.0) -> Array:
    """Normal numbers of variance 2 gain² / (fan in + fan out), for tanh and sigmoid.

    Source: Glorot and Bengio, Understanding the difficulty of training deep networks (2010).

    Args:
        shape, rng, gain: as for `kaiming_normal`.
        groups: of the convolution.

    Raises:
        DomainError: if the groups cannot share the outputs.
        Also those of `kaiming_normal`.

    >>> round(float(xavier_normal((120, 80), rng=0).std()), 2)
    0.1
    """
    return _normal(shape, gain * sqrt(2 / max(sum(fans(shape, groups)), 1)), rng)


def xavier_uniform(shape: Shape, *, rng: Rng, groups: int = 1, gain: float = 1.0) -> Array:
    """Uniform numbers of variance 2 gain² / (fan in + fan out). Otherwise as `xavier_normal`.

    >>> round(float(xavier_uniform((120, 80), rng=0).std()), 2)
    0.1
    """
    return _uniform(shape, gain * sqrt(2 / max(sum(fans(shape, groups)), 1)), rng)


def orthogonal(shape: Shape, *, rng: Rng, gain: float = 1.0) -> Array:
    """Weights that keep lengths: the matrix (inputs, outputs) has orthonormal columns, or rows.

    Source: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks (2013).

    Args:
        shape: (*kernel, C_in / groups, C_out) or (in, out); all axes but the last are the inputs.
        rng: a numpy Generator, which goes on, or a seed; every such matrix is equally likely.
        gain: factor of all numbers.

    Raises:
        ShapeError: if the shape has fewer than two axes.

    >>> w = orthogonal((6, 4), rng=0)
    >>> np.allclose(w.T @ w, np.eye(4), atol=1e-6)
    True
    """
    fans(shape)
    rows, columns = prod(shape[:-1]), shape[-1]
    wide = rows < columns
    square = generator(rng, "nn.init").normal(size=(columns, rows) if wide else (rows, columns))
    q, r = np.linalg.qr(square)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # else some are likelier than others
    return (gain * (q.T if wide else q)).reshape(shape).astype(np.float32)


def zeros(shape: Shape) -> Array:
    """Zeros: for biases, and for a last layer that shall change nothing at first.

    >>> zeros((2,))
    array([0., 0.], dtype=float32)
    """
    return np.zeros(shape, np.float32)


def _normal(shape: Shape, deviation: float, rng: Rng) -> Array:
    return (generator(rng, "nn.init").normal(size=shape) * deviation).astype(np.float32)


def _uniform(shape: Shape, deviation: float, rng: Rng) -> Array:
    bound = sqrt(3) * deviation
    return generator(rng, "nn.init").uniform(-bound, bound, size=shape).astype(np.float32)
