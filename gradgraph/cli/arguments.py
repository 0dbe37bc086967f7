"""What commands take: numbers, and things that are named by module or file."""

from __future__ import annotations

import argparse
import inspect
from functools import partial
from typing import Any

from ..errors import DomainError, GradgraphError
from ..locate import locate
from ..nn import Module


def count(text: str) -> int:
    """An int ≥ 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no int ≥ 0")
    if len(text) > 18:
        raise argparse.ArgumentTypeError(f"an int of {len(text):,} digits is too large")
    return int(text)


def positive(text: str) -> int:
    """An int ≥ 1."""
    if not count(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no int ≥ 1")
    return int(text)


def located(name: str, inputs: bool) -> Any:
    """What module:name or file.py:name says; of a class, an instance, with the seed 0 if it asks
    for one; of a function that takes nothing, the module that it makes, or whatever it returns if
    there are no inputs to call it with."""
    _, target = locate(name)
    if isinstance(target, type):
        seeded = "rng" in _parameters(target)
        fix = "Name a variable that holds an instance."
        return called(partial(target, rng=0) if seeded else target, name, fix)
    if inspect.isfunction(target) and not _parameters(target):
        made = called(target, name, "Call it in a program of yours, and read the error.")
        return made if isinstance(made, Module) or not inputs else target
    return target


def _parameters(target: Any) -> Any:
    try:
        return inspect.signature(target).parameters
    except (TypeError, ValueError):  # of what is not written in Python nothing is known
        return ()


USUAL = "Give a --shape for each input, and none to a function that takes none."


def called(function: Any, name: str, fix: str = USUAL, **options: Any) -> Any:
    """What the function returns; whatever goes wrong in it is told in a line."""
    try:
        return function(**options)
    except (GradgraphError, OSError):
        raise
    except (Exception, SystemExit) as error:
        raise DomainError(
            repr(name),
            f"calling it fails with {type(error).__name__}: {error}",
            fix,
        ) from error
