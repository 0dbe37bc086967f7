"""Ops that factor square matrices: systems of equations, inverses, determinants.

Where the rules come from: M. B. Giles, "Collected matrix derivative results for forward and reverse
mode algorithmic differentiation" (2008).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..errors import DomainError, ShapeError
from ..op import Op
from ..spec import Shape, Spec, show
from .linalg import led, matrix_transpose
from .operand import accumulated, shaped
from .shape import reshape

__all__ = ["det", "inv", "slogdet", "solve"]


class Factor(Op, abstract=True):
    """An op on square matrices in the last two axes; leading axes run over matrices."""

    batched = True
    trailing = True
    style = "linear"

    def explain(self, error: Exception, args: Any) -> Exception:
        error = super().explain(error, args)
        if not isinstance(error, np.linalg.LinAlgError):
            return error
        a = np.asarray(args[0])
        for at in np.ndindex(a.shape[:-2]):
            finite = np.isfinite(a[at]).all()
            problem = self._problem(accumulated(a[at])) if finite else "is not finite"
            if problem:
                name = f"the matrix a[{', '.join(map(str, at))}]" if at else "a"
                fix = f"Add a little to its diagonal: a + 1e-6 * np.eye({a.shape[-1]})."
                return DomainError(self.name, f"{name} {problem}", fix)
        return error

    def _problem(self, a: Any) -> str:
        """What keeps a matrix of finite numbers from being factored; empty if nothing does."""
        singular = np.linalg.slogdet(a)[0] == 0
        return "is singular: one row is a combination of the others" if singular else ""

    def _lines(self, a: Any) -> int:
        """The length of the matrices, which are square."""
        if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
            raise ShapeError(
                self.name,
                f"a is {show(a.shape)}, and its last two axes must be the rows and columns of a"
                " square matrix",
                "For least squares, solve a.T @ a against a.T @ b.",
            )
        return int(a.shape[-1])


class Solve(Factor):
    """The x for which a @ x = b, for matrices b."""

    linear = ("b",)

    def forward(self, a: Any, b: Any) -> Any:
        x = np.linalg.solve(accumulated(a), accumulated(b))
        return x.astype(lapack_dtype(a, b), copy=False)

    def vjp_a(self, g: Any, out: Any, a: Any, b: Any) -> Any:
        return -(self(matrix_transpose(a), g) @ matrix_transpose(out))

    def jvp_a(self, t: Any, out: Any, a: Any, b: Any) -> Any:
        return -self(a, t @ out)

    def vjp_b(self, g: Any, out: Any, a: Any, b: Any) -> Any:
        return self(matrix_transpose(a), g)

    def batch(self, size: int, args: Any, mapped: Any, examples: Any, spec: Spec) -> Any:
        ndim = max(e.ndim for e in examples)
        return self(
            *(led(x, m, e.shape, ndim) for x, m, e in zip(args, mapped, examples, strict=True))
        )

    def spec(self, a: Spec, b: Spec) -> Spec:
        n = self._lines(a)
        if b.shape[-2:-1] != (n,):
            raise _other_rows(a.shape, b.shape)
        try:
            lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ShapeError(
                self.name,
                f"a is {show(a.shape)} and b is {show(b.shape)}: their leading axes"
                f" {a.shape[:-2]} and {b.shape[:-2]} do not broadcast",
                "For one vector per matrix, give b a last axis of length 1: b[..., None].",
            ) from None
        return Spec((*lead, *b.shape[-2:]), lapack_dtype(a, b))

    def reference(self, a: Any, b: Any) -> Any:
        a, b = np.asarray(a, dtype=object), np.asarray(b, dtype=object)
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a = np.broadcast_to(a, lead + a.shape[-2:])
        b = np.broadcast_to(b, lead + b.shape[-2:])
        out = scalar.empty(b.shape)
        for at in np.ndindex(*lead):
            rows, _ = _eliminated(np.concatenate([a[at], b[at]], axis=1))
            _substitute(rows, out[at])
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        n = draw.choice(SIZES)
        lead = draw.broadcastable(2) if draw.integer(0, 2) == 2 else [draw.shape(high=1)] * 2
        b = draw.normal((*lead[1], n, draw.choice(SIZES)))
        return cls(), (_invertible(draw, lead[0], n), b)

    def flops(self, out: Spec, a: Spec, b: Spec) -> int:  # type: ignore[override]
        n = a.shape[-1]
        matrices = out.size // (b.shape[-1] * n) if out.size else 0
        return matrices * 2 * n**3 // 3 + 2 * n * out.size


class Inv(Factor):
    """The inverse matrix."""

    def forward(self, a: Any) -> Any:
        return np.linalg.inv(accumulated(a)).astype(lapack_dtype(a), copy=False)

    def vjp_a(self, g: Any, out: Any, a: Any) -> Any:
        turned = matrix_transpose(out)
        return -(turned @ g @ turned)

    def jvp_a(self, t: Any, out: Any, a: Any) -> Any:
        return -(out @ t @ out)

    def spec(self, a: Spec) -> Spec:
        self._lines(a)
        return Spec(a.shape, lapack_dtype(a))

    def reference(self, a: Any) -> Any:
        a = np.asarray(a, dtype=object)
        out = scalar.empty(a.shape)
        for at in np.ndindex(*a.shape[:-2]):
            rows, _ = _eliminated(np.concatenate([a[at], np.eye(a.shape[-1])], axis=1))
            _substitute(rows, out[at])
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return cls(), (_invertible(draw, draw.shape(high=2), draw.choice(SIZES)),)

    def flops(self, out: Spec, a: Spec) -> int:  # type: ignore[override]
        return 2 * a.size * a.shape[-1]


class Det(Factor):
    """The determinant."""

    def forward(self, a: Any) -> Any:
        with np.errstate(invalid="ignore"):  # NaN in, NaN out
            return np.asarray(np.linalg.det(accumulated(a))).astype(lapack_dtype(a), copy=False)

    def vjp_a(self, g: Any, out: Any, a: Any) -> Any:
        return (g * out)[..., None, None] * matrix_transpose(inv(a))

    def jvp_a(self, t: Any, out: Any, a: Any) -> Any:
        return out * (matrix_transpose(inv(a)) * t).sum(axis=(-2, -1))

    def spec(self, a: Spec) -> Spec:
        self._lines(a)
        return Spec(a.shape[:-2], lapack_dtype(a))

    def reference(self, a: Any) -> Any:
        a = np.asarray(a, dtype=object)
        out = scalar.empty(a.shape[:-2])
        for at in np.ndindex(out.shape):
            rows, product = _eliminated(a[at])
            for k, row in enumerate(rows):
                product = product * row[k]
            out[at] = product
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return cls(), (_invertible(draw, draw.shape(high=2), draw.choice(SIZES)),)

    def flops(self, out: Spec, a: Spec) -> int:  # type: ignore[override]
        return 2 * a.size * a.shape[-1] // 3


class Slogdet(Factor):
    """The sign of the determinant, and the logarithm of its absolute value."""

    outputs = 2

    def forward(self, a: Any) -> Any:
        with np.errstate(invalid="ignore"):
            parts = np.linalg.slogdet(accumulated(a))
        return tuple(np.asarray(v).astype(lapack_dtype(a)) for v in parts)

    def vjp_a(self, g: Any, out: Any, a: Any) -> Any:
        return g[1][..., None, None] * matrix_transpose(inv(a))

    def jvp_a(self, t: Any, out: Any, a: Any) -> Any:
        return None, (matrix_transpose(inv(a)) * t).sum(axis=(-2, -1))

    def spec(self, a: Spec) -> Any:
        self._lines(a)
        return (Spec(a.shape[:-2], lapack_dtype(a)),) * 2

    def reference(self, a: Any) -> Any:
        a = np.asarray(a, dtype=object)
        signs, logs = scalar.empty(a.shape[:-2]), scalar.empty(a.shape[:-2])
        for at in np.ndindex(signs.shape):
            rows, sign = _eliminated(a[at])
            pivots = [row[k] for k, row in enumerate(rows)]
            for v in pivots:
                sign = -sign if scalar.value(v) < 0 else sign
            signs[at] = sign
            logs[at] = scalar.total(scalar.log(-v if scalar.value(v) < 0 else v) for v in pivots)
        return signs, logs

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        return cls(), (_invertible(draw, draw.shape(high=2), draw.choice(SIZES)),)

    def flops(self, out: Any, a: Spec) -> int:  # type: ignore[override]
        return 2 * a.size * a.shape[-1] // 3


SIZES = (2, 3, 1, 0)


def lapack_dtype(*arrays: Any) -> np.dtype[Any]:
    """The dtype that numpy gives: integers become float64; float16 stays (numpy refuses it)."""
    return np.result_type(*(a.dtype if a.dtype.kind in "fc" else float for a in arrays))


def _other_rows(a: Shape, b: Shape) -> ShapeError:
    return ShapeError(
        "solve",
        f"a is {show(a)} and b is {show(b)}: a has {a[-1]} rows, and b must have as many",
        "A b with one axis is one vector; with more, its columns are in the last axis.",
    )


def _eliminated(rows: Any) -> tuple[list[list[Any]], Any]:
    """Gaussian elimination below the diagonal, with row exchanges; and the sign of those."""
    rows = [list(row) for row in rows]
    sign = 1.0
    for k in range(len(rows)):
        pivot = max(range(k, len(rows)), key=lambda i: abs(scalar.value(rows[i][k])))
        if pivot != k:
            rows[k], rows[pivot] = rows[pivot], rows[k]
            sign = -sign
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [v - factor * w for v, w in zip(rows[i], rows[k], strict=True)]
    return rows, sign


def _substitute(rows: list[list[Any]], out: Any) -> None:
    """The solutions of triangular rows with right sides behind them, from the last one up."""
    n = len(rows)
    for i in reversed(range(n)):
        for j in range(out.shape[1]):
            known = scalar.total(rows[i][k] * out[k, j] for k in range(i + 1, n))
            out[i, j] = (rows[i][n + j] - known) / rows[i][i]


def _invertible(draw: Draw, lead: Shape, n: int) -> Any:
    """Matrices far from singular, with determinants of either sign and rows in any order."""
    a = 0.5 * draw.normal((*lead, n, n)) + 2.0 * np.eye(n)[draw.rng.permutation(n)]
    return a


_SOLVE, _INV, _DET, _SLOGDET = Solve(), Inv(), Det(), Slogdet()


def solve(a: Any, b: Any) -> Any:
    """The x for which a @ x = b.

    Rules (Giles, 2008): the cotangent of b is solve(aᵀ, g), that of a is -solve(aᵀ, g) xᵀ.

    Args:
        a: (…, n, n), invertible.
        b: (…, n, k), or one vector (n,), as numpy 2 reads it. Leading axes broadcast.

    Returns:
        (…, n, k), or (…, n) for a vector. Integers become float64.

    Raises:
        ShapeError: if a is not square or b has another number of rows.
        DomainError: if a matrix is singular; it says which one.

    >>> solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([1.0, 2.0]))
    array([0.5, 0.5])
    """
    a, b = shaped("solve", a), shaped("solve", b)
    if b.ndim != 1:
        return _SOLVE(a, b)
    if a.ndim > 1 and b.shape[0] != a.shape[-2]:
        raise _other_rows(a.shape, b.shape)
    x = _SOLVE(a, reshape(b, (b.shape[0], 1)))
    return reshape(x, x.shape[:-1])


def inv(a: Any) -> Any:
    """The inverse of square matrices (…, n, n); leading axes run over matrices.

    `solve(a, b)` is faster and more accurate than `inv(a) @ b`. Its VJP is -a⁻ᵀ g a⁻ᵀ.

    Raises:
        ShapeError: if the last two axes differ in length.
        DomainError: if a matrix is singular; it says which one.

    >>> inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return _INV(shaped("inv", a))


def det(a: Any) -> Any:
    """The determinants of square matrices (…, n, n), shape (…). Errors as for `inv`.

    The gradient is det(a) a⁻ᵀ, computed with the inverse; so of a singular matrix there is a
    determinant, 0, but asking for its gradient raises a DomainError.

    >>> det(np.array([[2.0, 1.0], [0.0, 4.0]]))
    array(8.)
    """
    return _DET(shaped("det", a))


def slogdet(a: Any) -> Any:
    """(sign, ln |det|) of square matrices (…, n, n), each of shape (…). Errors as for `inv`.

    It neither overflows nor underflows where `det` does. The gradient of the logarithm is a⁻ᵀ, that
    of the sign is 0. A singular matrix has sign 0 and logarithm -inf, and its gradient raises a
    DomainError.

    >>> sign, log = slogdet(np.diag([1e200, -1e200]))
    >>> float(sign), round(float(log), 3)
    (-1.0, 921.034)
    """
    return _SLOGDET(shaped("slogdet", a))
