"""Products of numpy's library beside compiled kernels, which have threads of their own.

After a product the library's threads wait for the next one, some twenty milliseconds, without
sleep: on as many cores as compute here. So it is told to use one thread where ours work, too.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from types import TracebackType
from typing import Any

from . import settings

THREADED = 1 << 18  # multiplications, from which on the library takes several threads


class alone:  # noqa: N801
    """Context manager in which the library uses one thread; does nothing on the numpy backend, or
    without threadpoolctl, which knows how to tell it."""

    __slots__ = ()
    _lock = Lock()
    _inside = 0
    _before: list[int]

    def __enter__(self) -> None:
        with alone._lock:
            alone._inside += 1
            if alone._inside == 1:
                alone._before = [library.get_num_threads() for library in _libraries()]
                _limit([1] * len(alone._before))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        with alone._lock:
            alone._inside -= 1
            if alone._inside == 0:
                _limit(alone._before)


def _limit(counts: list[int]) -> None:
    for library, count in zip(_libraries(), counts, strict=True):
        library.set_num_threads(count)


def _libraries() -> list[Any]:
    return _found() if settings.compiling() else []


@cache
def _found() -> list[Any]:
    try:
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
    except ImportError:
        return []
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
