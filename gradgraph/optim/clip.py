"""Gradients kept within bounds, between `backward` and `step`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from .. import ops
from ..errors import NonFiniteError
from ..mode import current
from ..node import leaf
from ..spec import Spec
from ..tensor import Array, Tensor
from .optimizer import checked, number


def clip_grad_norm(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients together so that the norm of them all is at most `max_norm`.

    Args:
        parameters: leaf tensors that require grad; those without a gradient are left out.
        max_norm: a number ≥ 0; infinity to look at the norm only.

    Returns:
        The norm that they had: √Σ g² over all numbers of all gradients, in double precision. In a
        compiled function, a tensor.

    Raises:
        NonFiniteError: if the norm is infinite or NaN; the gradients stay as they are.
        Also those of an optimiser for its parameters.

    >>> import gradgraph as gg
    >>> w = gg.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm([w], 1.0), w.grad.data.round(4)
    (10.0, array([0.6, 0.8]))
    """
    held = _with_gradients("clip_grad_norm", parameters)
    endless = isinstance(max_norm, float | np.floating) and max_norm == math.inf
    limit = math.inf if endless else number("clip_grad_norm", "max_norm", max_norm)
    names = [p.name or f"parameter {i}" for i, p in enumerate(held)]
    if tape := current().tape:
        gradients = [p.grad for p in held]
        run = partial(_scaled, names, limit)
        specs = [Spec((), np.dtype(float)), *(Spec.of(g._data) for g in gradients)]
        norm, *scaled = tape.call("clip_grad_norm", run, gradients, specs)
        for p, g in zip(held, scaled, strict=True):
            p.grad = g
        return norm  # type: ignore[no-any-return]
    norm, *scaled = _scaled(names, limit, *(p.grad._data for p in held))
    for p, g in zip(held, scaled, strict=True):
        if g is not p.grad._data:
            p.grad = leaf(Tensor, g)
    return float(norm)


def _scaled(names: list[str], limit: float, *gradients: Array) -> list[Array]:
    """The norm, and the gradients: scaled, if it is above the limit."""
    sizes = list(map(_norm, gradients))
    norm = math.hypot(*sizes)
    if not math.isfinite(norm):
        at = next((i for i, size in enumerate(sizes) if not math.isfinite(size)), 0)
        raise NonFiniteError(
            "clip_grad_norm",
            f"the gradient of {names[at]} is not finite, so neither is the norm",
            "Look for its origin with gg.debug(), or leave this step out.",
        )
    if norm <= limit:
        return [np.array(norm), *gradients]
    scaled = ((g.astype(np.float64) / norm * limit).astype(g.dtype) for g in gradients)
    return [np.array(norm), *scaled]


def _norm(g: Array) -> float:
    """√Σ g² in double precision; no square overflows or vanishes."""
    largest = float(np.max(np.abs(g), initial=0.0))
    if not (0 < largest < math.inf):
        return largest
    return largest * float(np.linalg.norm((g.astype(np.float64) / largest).ravel()))


def clip_grad_value(parameters: Iterable[Tensor], limit: float) -> None:
    """Cut every number of every gradient off at ±limit; NaN stays NaN.

    Args:
        parameters: as for `clip_grad_norm`.
        limit: a finite number ≥ 0.

    Raises:
        DomainError: if the limit is negative or not finite.

    >>> import gradgraph as gg
    >>> w = gg.Tensor([3.0, -0.1], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_value([w], 1.0)
    >>> w.grad.data
    array([ 1. , -0.2])
    """
    limit = number("clip_grad_value", "limit", limit)
    for p in _with_gradients("clip_grad_value", parameters):
        p.grad = ops.clip(p.grad.detach(), -limit, limit)


def _with_gradients(op: str, parameters: Any) -> list[Any]:
    """Those that have a gradient; frozen ones are left out."""
    if isinstance(parameters, Iterable) and not isinstance(parameters, Tensor):
        given = list(parameters)
        loose = [p for p in given if not (isinstance(p, Tensor) and p.op is None)]
        parameters = [*loose, *(p for p in given if getattr(p, "requires_grad", False))]
        if given and not parameters:
            return []
    return [p for p in checked(op, parameters) if p.grad is not None]
