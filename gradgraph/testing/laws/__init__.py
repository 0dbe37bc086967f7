"""The laws that a derivative obeys, cheapest first.

Each law takes a case, draws what it needs from a generator, and raises `Broken` where the case
breaks it. What it measured goes into a `Tally`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ..case import Case, OpCase
from .claims import outside, steady, unsteady
from .definition import reference, scalar_graph, spec
from .limits import FIRST_LEVELS, differences
from .metamorphic import metamorphic
from .second import second_order
from .transpose import adjoint, linear
from .verdict import Broken, Entry, Tally

__all__ = ["FIRST_LEVELS", "LAWS", "Broken", "Entry", "Law", "Tally", "examine", "outside"]

LAWS = {
    "reference": "the result is that of the definition",
    "spec": "shapes and dtypes are as announced, and nothing that was passed is changed",
    "linear": "the VJP is linear in the cotangent, the same each time, and shares no memory",
    "adjoint": "⟨u, J v⟩ = ⟨Jᵀu, v⟩",
    "scalar graph": "JVP and VJP are those of the scalar graph of the definition",
    "differences": "the derivative is the limit of differences",
    "kinks": "at a kink a slope lies between the slopes of both sides",
    "second order": "the Hessian is symmetric, the same by every order of sweeps, and the limit"
    " of differences",
    "metamorphic": "fan-out, repeated arguments, broadcasting, batches, rows, layouts and dtypes"
    " change nothing",
}
Law = Callable[[Case, np.random.Generator, Tally], Any]


def examine(
    case: Case, seed: int = 0, *, order: int = 2, kinked: bool = False, only: str = ""
) -> Tally:
    """Hold a case to every law that applies to it.

    Args:
        case: what is checked.
        seed: for directions and cotangents.
        order: 2 to check second derivatives too.
        kinked: whether the point may lie on a kink on purpose, where differences from the two
            sides disagree and second derivatives are undefined.
        only: name of one law, if the others are not of interest.

    Raises:
        Broken: with the first law that does not hold.
    """
    tally = Tally()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        for k, (name, law) in enumerate(_laws(order, kinked)):
            if only not in ("", name):
                continue
            try:
                held = law(case, np.random.default_rng([seed, k]), tally)
            except Broken:
                if isinstance(case, OpCase) or steady(case):
                    raise
                raise unsteady(case) from None
            if held is not False:
                tally.held[name] = tally.held.get(name, 0) + 1
    return tally


def _laws(order: int, kinked: bool) -> Iterator[tuple[str, Law]]:
    yield "reference", reference
    yield "spec", spec
    yield "linear", linear
    yield "adjoint", adjoint
    yield "scalar graph", scalar_graph
    yield ("kinks" if kinked else "differences"), partial(differences, kinked=kinked)
    if order > 1 and not kinked:
        yield "second order", second_order
    yield "metamorphic", partial(metamorphic, order=order)
