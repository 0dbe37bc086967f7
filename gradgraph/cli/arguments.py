"""What commands take: numbers, and things that are named by module or file."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import DomainError, GradgraphError
from ..locate import locate


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
    """What module:name or file.py:name says; of a class, an instance."""
    _, target = locate(name)
    return called(target, name) if isinstance(target, type) else target


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
