"""Matrix products of numpy's library (BLAS) beside threads of our own.

After a product the library's threads wait for the next one, some twenty milliseconds, without
sleep: on as many cores as compute here. So it is told to use one thread where ours work, too.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CDLL
from functools import cache
from pathlib import Path
from threading import Lock
from types import TracebackType

import numpy as np

THREADED = 1 << 18  # multiplications, from which on the library takes several threads
NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads")


class alone:  # noqa: N801
    """Context manager in which the library uses one thread, if it is known how to tell it."""

    __slots__ = ()
    _lock = Lock()
    _inside = 0
    _before = 1

    def __enter__(self) -> None:
        with alone._lock:
            alone._inside += 1
            if alone._inside == 1 and (told := _functions()):
                ask, tell = told
                alone._before = ask()
                tell(1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        with alone._lock:
            alone._inside -= 1
            if alone._inside == 0 and (told := _functions()):
                told[1](alone._before)


@cache
def _functions() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """How many threads the library uses, and what changes that; None if numpy brought none along
    (OpenBLAS, in the wheels for Linux, Windows and macOS on Intel)."""
    home = Path(np.__file__).parent
    for folder in (home.parent / "numpy.libs", home / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            try:
                library = CDLL(str(path))
            except OSError:
                continue
            for name in NAMES:
                ask, tell = (getattr(library, name.format(w), None) for w in ("get", "set"))
                if ask is not None and tell is not None:
                    return ask, tell
    return None


def controlled() -> bool:
    """Whether the library can be told how many threads to use."""
    return _functions() is not None
