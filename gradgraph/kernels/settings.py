"""Which kernels compute, and how exactly: two settings of the process."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Self

from ..errors import DomainError, MissingExtraError

BACKENDS = ("auto", "numpy", "numba")
PRECISIONS = ("fast", "high")


class Setting:
    """What was chosen; in a `with` statement, the choice before comes back at its end."""

    def __init__(self, name: str, value: str, before: str) -> None:
        self._name, self._value, self._before = name, value, before

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _chosen[self._name] = self._before

    def __str__(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"{self._name}({self._value!r})"


_chosen = {"backend": "auto", "precision": "fast"}


def backend(name: str | None = None) -> Setting:
    """Choose what computes convolutions, pools, masks, normalisations and products of matrices, for
    the whole process.

    "numba" are compiled kernels for float32 (extra `fast`), "numpy" needs nothing, and takes every
    dtype. "auto", the default, takes compiled kernels where numba is installed, and leaves small
    arrays, whose time it would not pay to compile for, to numpy. Where a compiled kernel does not
    exist (float64, groups, three dimensions), numpy computes. The environment variable
    GRADGRAPH_BACKEND gives the first choice.

    Args:
        name: "auto", "numpy" or "numba"; None to ask.

    Returns:
        The choice; as a context manager it ends with the `with` statement.

    Raises:
        DomainError: if there is no such backend.
        MissingExtraError: if numba is chosen, and is not installed.

    >>> import gradgraph as gg
    >>> with gg.backend("numpy"):
    ...     str(gg.backend())
    'numpy'
    """
    return _set("backend", name, BACKENDS)


def precision(name: str | None = None) -> Setting:
    """Choose how exact large float32 convolutions are, for the whole process.

    "fast", the default, computes 3×3 filters by F(4,3) and 5×5 filters by F(4,5), whose errors
    are those of float32 times about ten; "high" computes 3×3 filters by F(2,3), and all others as
    they are defined, with the errors of a usual float32 sum. On numpy only 3×3 filters of many
    channels are computed by F(4,3), and none with "high". float64 does not depend on it. Measured
    errors: benchmarks/RESULTS.md.

    Args:
        name: "fast" or "high"; None to ask.

    Returns:
        The choice; as a context manager it ends with the `with` statement.

    Raises:
        DomainError: if there is no such precision.

    >>> import gradgraph as gg
    >>> with gg.precision("high"):
    ...     str(gg.precision())
    'high'
    """
    return _set("precision", name, PRECISIONS)


def _set(setting: str, name: Any, known: tuple[str, ...]) -> Setting:
    before = _chosen[setting]
    if name is None:
        return Setting(setting, before, before)
    _check(setting, name, known)
    _chosen[setting] = name
    return Setting(setting, name, before)


def _check(setting: str, value: Any, known: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in known:
        raise DomainError(setting, f"there is no {value!r:.40}", f"Use {', '.join(known)}.")
    if value == "numba" and not _has_numba():
        fix = 'Run pip install "gradgraph-engine[fast]".'
        raise MissingExtraError(setting, "numba is not installed", fix)


def compiled(work: float) -> bool:
    """Whether compiled kernels are to do so many multiplications."""
    chosen = _chosen["backend"]
    return chosen == "numba" or (chosen == "auto" and work >= WORTHWHILE and _works())


def ready(size: int, exact: bool) -> bool:
    """Whether compiled kernels are to do something simple to so many numbers.

    What is `exact` waits until they are loaded for something else. What rounds does not: else it
    would depend on what was computed before.
    """
    chosen = _chosen["backend"]
    large = chosen == "auto" and size >= LARGE
    return chosen == "numba" or (large and (_loaded() if exact else _works()))


WORTHWHILE = 4e6  # multiplications in a convolution, below which numpy is as good
LARGE = 1 << 16  # numbers, below which a thread is not worth to be told of them


def compiling() -> bool:
    """Whether compiled kernels may be taken for anything."""
    return _chosen["backend"] != "numpy" and _has_numba()


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None


@cache
def _works() -> bool:
    """Whether compiled kernels are there; a numba that does not fit numpy is told once."""
    if not _has_numba():
        return False
    try:
        import_module("gradgraph.kernels.numba_.winograd")
    except ImportError as error:
        print(f"gradgraph: numpy computes, because numba fails: {error}", file=sys.stderr)
        return False
    return True


def works() -> bool:
    """Whether compiled kernels can be loaded; they are."""
    return _works()


def _loaded() -> bool:
    return "gradgraph.kernels.numba_.winograd" in sys.modules and _works()


def chosen() -> tuple[str, ...]:
    """Both choices."""
    return tuple(_chosen.values())


def exact() -> bool:
    """Whether `precision` is "high"."""
    return _chosen["precision"] == "high"


if told := os.environ.get("GRADGRAPH_BACKEND"):
    _check("GRADGRAPH_BACKEND", told, BACKENDS)
    _chosen["backend"] = told
