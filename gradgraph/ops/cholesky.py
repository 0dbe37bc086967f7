"""The Cholesky factor of symmetric matrices.

Where the rules come from: I. Murray, "Differentiation of the Cholesky decomposition" (2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import scalar
from ..draw import Draw
from ..spec import Spec
from .choice import where
from .elementwise import mask
from .factor import SIZES, Factor, inv, lapack_dtype
from .linalg import matrix_transpose
from .operand import accumulated, shaped

__all__ = ["cholesky"]


class Cholesky(Factor):
    """The lower triangular matrix with a positive diagonal for which L Lᵀ = (a + aᵀ) / 2."""

    checks = True

    def forward(self, a: Any) -> Any:
        mean = accumulated(a)
        if not (mean == matrix_transpose(mean)).all():  # else it is its own symmetric part
            mean = _symmetric(mean)
        return np.linalg.cholesky(mean).astype(lapack_dtype(a), copy=False)

    def vjp_a(self, g: Any, out: Any, a: Any) -> Any:
        turned = matrix_transpose(out)
        product = turned @ g
        half = 0.5 * where(_low(out), product, matrix_transpose(product))
        back = inv(turned)
        return _symmetric(back @ half @ matrix_transpose(back))

    def jvp_a(self, t: Any, out: Any, a: Any) -> Any:
        back = inv(matrix_transpose(out))
        inner = matrix_transpose(back) @ _symmetric(t) @ back
        on_diagonal = _low(out) & _low(out).T
        return out @ (mask(inner, _low(out)) - 0.5 * mask(inner, on_diagonal))

    def _problem(self, a: Any) -> str:
        try:
            np.linalg.cholesky(_symmetric(a))
        except np.linalg.LinAlgError:
            least = np.linalg.eigvalsh(_symmetric(a)).min()
            return f"is not positive definite: its smallest eigenvalue is {least:.3g}"
        return ""

    def spec(self, a: Spec) -> Spec:
        self._lines(a)
        return Spec(a.shape, lapack_dtype(a))

    def reference(self, a: Any) -> Any:
        a = np.asarray(a, dtype=object)
        out = scalar.empty(a.shape)
        out.fill(0.0)
        for *lead, i, j in np.ndindex(a.shape):
            low = out[tuple(lead)]
            if j <= i:
                rest = (a[(*lead, i, j)] + a[(*lead, j, i)]) * 0.5
                rest = rest - scalar.total(low[i, k] * low[j, k] for k in range(j))
                low[i, j] = scalar.sqrt(rest) if i == j else rest / low[j, j]
        return out

    @classmethod
    def sample(cls, draw: Draw) -> Any:
        n = draw.choice(SIZES)
        a = draw.normal((*draw.shape(high=2), n, n))
        skew = 0.3 * draw.unit(a.shape) if draw.boolean() else 0.0
        return cls(), (a @ a.swapaxes(-1, -2) + n * np.eye(n) + skew,)

    def flops(self, out: Spec, a: Spec) -> int:  # type: ignore[override]
        return a.size * a.shape[-1] // 3


def _symmetric(a: Any) -> Any:
    return 0.5 * (a + matrix_transpose(a))


def _low(a: Any) -> Any:
    """Where the lower triangle of a square matrix is, the diagonal included."""
    return np.tri(a.shape[-1], dtype=bool)


_CHOLESKY = Cholesky()


def cholesky(a: Any, *, upper: bool = False) -> Any:
    """The lower triangular L with a positive diagonal for which L Lᵀ = a.

    What is factored is (a + aᵀ) / 2, which is a for the symmetric matrices that the function is
    meant for (numpy reads the lower triangle only). So the gradient is symmetric, as in torch and
    JAX: it is the one along symmetric changes of a (Murray, 2016).

    Args:
        a: (…, n, n), symmetric and positive definite.
        upper: return Lᵀ instead.

    Raises:
        ShapeError: if the last two axes differ in length.
        DomainError: if a matrix is not positive definite; it says which one.

    >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 0.],
           [1., 1.]])
    """
    low = _CHOLESKY(shaped("cholesky", a))
    return matrix_transpose(low) if upper else low
