"""A case of `test_against_torch`: a function here and its peer there, on the same arguments.

Arguments have our layout, channels last; the peer's side turns them. Floats are differentiated by,
integers and booleans are not. A case belongs to the function that its name begins with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

import gradgraph as gg

F = torch.nn.functional
RNG = np.random.default_rng(7)


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        name: our function, then what is special.
        ours, theirs: functions of the arguments.
        args: arrays.
        first_only: why the second order is not compared; empty if it is.
        differs: why the two are not equal; empty if they are. The test holds them to differ.
    """

    name: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    args: tuple[Any, ...]
    first_only: str = ""
    differs: str = ""

    @property
    def function(self) -> str:
        return self.name.partition(" ")[0]


CASES: list[Case] = []


def case(name: str, theirs: Callable[..., Any], *args: Any, ours: Any = None, **why: str) -> None:
    """Add a case; without `ours` it is our function of that name, applied to the arguments."""
    function = name.partition(" ")[0]
    CASES.append(Case(name, ours or partial(_call, function), theirs, args, **why))


def _call(function: str, *args: Any) -> Any:
    return getattr(gg, function)(*args)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def positive(*shape: int) -> Any:
    return RNG.uniform(0.3, 2.0, shape)


def unit(*shape: int) -> Any:
    return RNG.uniform(-0.9, 0.9, shape)


def above_one(*shape: int) -> Any:
    return RNG.uniform(1.2, 3.0, shape)


def distinct(*shape: int) -> Any:
    """Values of both signs that are 0.1 apart: no ties, no kinks."""
    values = (np.arange(np.prod(shape)) - np.prod(shape) // 2 + 0.37) * 0.1
    return RNG.permutation(values).reshape(shape)


def integers(low: int, high: int, *shape: int) -> Any:
    return RNG.integers(low, high, shape)


def first(x: Any) -> Any:
    """Channels first."""
    return x.movedim(-1, 1)


def last(y: Any) -> Any:
    """Channels last again."""
    return y.movedim(1, -1)


def filters(w: Any) -> Any:
    """Filters as the peer has them: (*K, in, out) as (out, in, *K)."""
    return w.movedim((-1, -2), (0, 1))
