"""What a case claims; an error that is raised on the way breaks the law."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import oracle
from ..case import CannotCheck, Case, Traced, WrongShape
from .verdict import Broken, same

Array = np.ndarray[Any, np.dtype[Any]]

LARGEST_UNFOLDED = 20_000  # floating point operations of a case that the scalar graph is made of
CALLS = 16  # that must agree before a function is accused


def vjp(case: Case, u: Array, law: str) -> list[Array]:
    """The cotangents of the variables; zeros where there is no VJP."""
    if not case.reverse:
        return [np.zeros_like(x) for x in case.xs]
    return guarded(law, lambda: case.vjp(u))  # type: ignore[no-any-return]


def guarded(law: str, call: Callable[[], Any]) -> Any:
    """What a rule returns; an error in it breaks the law."""
    try:
        return call()
    except WrongShape as error:
        raise Broken(law, str(error)) from None
    except (Broken, CannotCheck):
        raise
    except Exception as error:
        raise Broken(law, f"a rule raised {type(error).__name__}: {error}") from error


def unfolded(case: Case) -> Any:
    """The scalar graph of a small case; None if it is too large or has none."""
    if not isinstance(case, Traced):
        return None
    try:
        return case.scalars(LARGEST_UNFOLDED)
    except Exception as error:
        raise Broken("reference", f"a definition raised {type(error).__name__}: {error}") from error


def outside(case: Case) -> bool:
    """Whether the point lies outside the function's domain: its result is no number there.

    If its definition is finite there, the point counts as inside: the result is wrong.
    """
    with np.errstate(all="ignore"):
        value = case.value(case.xs)
        if value.dtype.kind != "f" or np.all(np.isfinite(value)):
            return False
        try:
            graph = case.scalars(LARGEST_UNFOLDED) if isinstance(case, Traced) else None
        except Exception:
            return True  # a logarithm of a negative number, a division by zero
    return graph is None or not np.all(np.isfinite(oracle.values(graph.output)))


def steady(case: Case) -> bool:
    """Whether several calls with the same arguments give the same result."""
    first = case.value(case.xs)
    return all(same(first, case.value(case.xs)) for _ in range(CALLS))


def unsteady(case: Case) -> CannotCheck:
    """The error for a function that is not deterministic."""
    return CannotCheck(
        case.name,
        "two calls with the same arguments gave different results",
        "Make it deterministic: pass a seeded generator that is made inside.",
    )
