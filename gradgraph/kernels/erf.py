"""The error function and its complement on arrays, to a few units of the last digit.

Two polynomials do it, each the interpolant at Chebyshev nodes of a function computed with sixty
digits, then rounded to doubles:

- near 0, erf x / x is a smooth function of z = x², and `NEAR` approximates it for z in 0 to 1;
- away from 0, erfc x · e^(x²) · (x + 3) is a smooth function of s = (x - 3) / (x + 3), which maps
  all x from 0.5 to infinity into an interval, and `TAIL` approximates it up to x = 28, where erfc
  has underflowed.

erfc x keeps its relative accuracy in the tail because e^(-x²) does: x² is too long for a double,
so x is split into r, its leading 24 bits, whose square is exact, and a rest:
e^(-x²) = e^(-r²) · e^(-(x - r)(x + r)).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Function = Callable[[Array], Array]

BLOCK = 1 << 14  # elements at a time: a polynomial's partial sums stay in the cache

# Coefficients from the highest power down.
NEAR = (
    5.957176147748911e-11,
    -1.1372848856791674e-09,
    1.4659775274047436e-08,
    -1.6350312701054695e-07,
    1.6461000484121368e-06,
    -1.4925595266831182e-05,
    0.0001205533111164271,
    -0.000854832698083379,
    0.0052239776248180145,
    -0.026866170645076792,
    0.11283791670954879,
    -0.3761263890318375,
    1.1283791670955126,
)
TAIL = (
    -6.510960009692507e-09,
    -2.776346214410588e-09,
    4.890567107401972e-08,
    4.756155737758757e-08,
    -2.3290737313166647e-07,
    -4.085173587568932e-07,
    9.989851670020434e-07,
    2.765383852968009e-06,
    -4.7494012485165386e-06,
    -1.747048604527422e-05,
    3.0398236165235784e-05,
    0.00010756145711510314,
    -0.0002767778616708319,
    -0.0005483096867629285,
    0.0030340620029560457,
    -0.0012124166276355043,
    -0.026827234624582055,
    0.11952776128730747,
    -0.3104672619005649,
    0.5902283571041016,
    -0.8833944531698836,
    1.0740069070883398,
)


def erf(x: Array) -> Array:
    """2/√π ∫₀ˣ e^(-t²) dt, elementwise, of floats; dtype is kept.

    >>> erf(np.array([0.0, 0.5, -np.inf])).round(4)
    array([ 0.    ,  0.5205, -1.    ])
    """
    return _in_blocks(_erf, x)


def erfc(x: Array) -> Array:
    """1 - erf x without its cancellation, elementwise, of floats; dtype is kept.

    >>> erfc(np.array([0.0, 10.0]))
    array([1.00000000e+00, 2.08848758e-45])
    """
    return _in_blocks(_erfc, x)


def _in_blocks(f: Function, x: Array) -> Array:
    """f of doubles, applied to blocks of x; the result in the dtype of x."""
    flat = x.reshape(-1)
    out = np.empty(flat.shape, x.dtype)
    for start in range(0, flat.size, BLOCK):
        part = slice(start, start + BLOCK)
        out[part] = f(flat[part].astype(np.float64, copy=False))
    return out.reshape(x.shape)


def _erf(x: Array) -> Array:
    size = np.abs(x)
    return _pieces(
        x,
        size < 1.0,
        lambda x: x * _polynomial(NEAR, x * x),
        lambda x: np.copysign(1.0 - _tail(np.abs(x)), x),
    )


def _erfc(x: Array) -> Array:
    def outer(x: Array) -> Array:
        tail = _tail(np.abs(x))
        return np.where(x < 0, 2.0 - tail, tail)

    return _pieces(x, np.abs(x) < 0.5, lambda x: 1.0 - x * _polynomial(NEAR, x * x), outer)


def _pieces(x: Array, near: Array, inner: Function, outer: Function) -> Array:
    """inner(x) where `near` holds, outer(x) elsewhere; neither sees the other's elements."""
    out = np.empty_like(x)
    for chosen, f in ((near, inner), (~near, outer)):
        at = np.flatnonzero(chosen)  # much faster than to index with booleans twice
        out[at] = f(x[at])
    return out


def _tail(x: Array) -> Array:
    """erfc x for x from 0.5 up; NaN stays NaN."""
    x = np.minimum(x, 28.0)
    lead = x.astype(np.float32).astype(np.float64)
    scaled = _polynomial(TAIL, (x - 3.0) / (x + 3.0)) / (x + 3.0)
    return np.exp(-lead * lead) * (np.exp((lead - x) * (lead + x)) * scaled)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """The polynomial by Horner's rule."""
    total = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        total *= x
        total += c
    return total
