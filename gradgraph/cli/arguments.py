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


def located(name: str) -> Any:
    """What module:name or file.py:name says; of a class, an instance, with the seed 0 if it asks
    for one; of a function that makes a module and takes nothing, the module."""
    _, target = locate(name)
    if isinstance(target, type):
        seeded = "rng" in inspect.signature(target).parameters
        return called(partial(target, rng=0) if seeded else target, name)
    if inspect.isfunction(target) and not inspect.signature(target).parameters:
        made = called(target, name)
        return made if isinstance(made, Module) else target
    return target


def called(function: Any, name: str, **options: Any) -> Any:
    """What the function returns; whatever goes wrong in it is told in a line."""
    try:
        return function(**options)
    except (GradgraphError, OSError):
        raise
    except (Exception, SystemExit) as error:
        raise DomainError(
            repr(name),
            f"calling it fails with {type(error).__name__}: {error}",
            "Give a --shape for each input, and none to a function that takes none.",
        ) from error
