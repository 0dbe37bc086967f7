"""Work that is cut into parts, one for each thread: for code that lets go of Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate
from math import prod
from threading import Condition, Lock, Thread, local
from typing import Any

import numpy as np

from .numpy_ import Array

LINE = 64  # bytes of a line of the cache
Work = Callable[[int, int, int], None]
Wait = Callable[[int, int], Any]


@lru_cache(maxsize=1)
def count() -> int:
    """How many threads compute: OMP_NUM_THREADS, else the cores that this process may use."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(told) if told.isdecimal() and int(told) else cores or 1


def split(total: int, parts: int, unit: int = 1) -> list[tuple[int, int]]:
    """[first, last + 1) of parts of about the same size, each a multiple of `unit` but the last.

    >>> split(10, 2), split(10, 2, unit=4), split(1, 2)
    ([(0, 5), (5, 10)], [(0, 8), (8, 10)], [(0, 1)])
    """
    units = -(-total // unit)
    ends = [min(-(-units * (k + 1) // parts) * unit, total) for k in range(parts)]
    pairs = zip([0, *ends], ends, strict=False)
    return [(first, end) for first, end in pairs if first < end]


def run(work: Work, total: int, wait: Wait, unit: int = 1) -> None:
    """work(part, first, end) for each part; this thread does one of them.

    What is cut depends on the number of threads only, so that sums keep their order, whoever does
    a part. This thread does the first one, and then what nobody has begun: a thread may take long
    to wake up where cores are few. If the others are busy with work of somebody else, it does all.

    Args:
        work: called with the number of a part, its first item, and the item after its last.
        total: how many items there are.
        wait: wait(address, value) returns when another value stands at the address, or after some
            twenty microseconds. It holds no lock, and does not sleep.
        unit: parts are multiples of it.
    """
    parts = split(total, count(), unit)
    alone = len(parts) < 2 or not _alone.acquire(blocking=False)
    try:
        crew = [] if alone else _crew(len(parts) - 1)
        for k, worker in enumerate(crew, 1):
            worker.begin(work, (k, *parts[k]), wait)
        failed: BaseException | None = None
        for k, (first, end) in enumerate(parts):
            if not 0 < k <= len(crew) or crew[k - 1].give_back():
                try:
                    work(k, first, end)
                except BaseException as error:
                    failed = failed or error
            else:
                failed = crew[k - 1].end(wait) or failed
        if failed is not None:
            raise failed
    finally:
        if not alone:
            _alone.release()


class _Worker(Thread):
    """A thread that does one part after the other; between them it waits, first without sleep."""

    def __init__(self) -> None:
        super().__init__(name="gradgraph-kernels", daemon=True)
        self.begun, self.ended = np.zeros((2, 8), np.int64)  # a counter each, in lines of the cache
        self.taken = 0
        self.task: Any = None
        self.error: BaseException | None = None
        self.changed = Condition()
        self.start()

    def begin(self, work: Work, part: tuple[int, int, int], wait: Wait) -> None:
        with self.changed:
            self.task, self.error = (work, part, wait), None
            self.begun[0] += 1
            self.changed.notify_all()

    def give_back(self) -> bool:
        """Whether the part was not begun yet; then it is the caller's."""
        with self.changed:
            if self.taken == self.begun[0]:
                return False
            self.taken = self.ended[0] = int(self.begun[0])
            self.task = None
            return True

    def end(self, wait: Wait) -> BaseException | None:
        """Wait for the end of what was begun; its error, if it had one."""
        done = int(self.begun[0])
        if self.ended[0] != done:
            wait(self.ended.ctypes.data, done - 1)
        with self.changed:
            while self.ended[0] != done:
                self.changed.wait()
        self.task, error, self.error = None, self.error, None
        return error

    def run(self) -> None:
        while True:
            with self.changed:
                while self.taken == self.begun[0]:
                    self.changed.wait()
                self.taken = done = int(self.begun[0])
                work, part, wait = self.task
            failed: BaseException | None = None
            try:
                work(*part)
            except BaseException as error:
                failed = error
            del work
            with self.changed:
                if self.begun[0] == done:  # nobody left an interrupted call and began another one
                    self.error, self.ended[0] = failed, done
                self.changed.notify_all()
            wait(self.begun.ctypes.data, done)


_alone = Lock()
_workers: list[_Worker] = []


def _crew(size: int) -> list[_Worker]:
    """As many workers as there are, or can be had."""
    with suppress(RuntimeError):  # a thread cannot be started
        while len(_workers) < size:
            _workers.append(_Worker())
    return _workers[:size]


def _forget() -> None:
    """A child of this process has none of its threads."""
    global _alone
    _alone = Lock()
    _workers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def scratch(name: str, *shapes: tuple[int, ...]) -> list[Array]:
    """Arrays of float32 that hold anything; this thread's until it asks for the name again.

    New memory has to be handed out page by page, which takes longer than to write it.
    """
    sizes = [-(-prod(shape) // 16) * 16 for shape in shapes]
    held = vars(_own).get(name)
    if held is None or held.size < sum(sizes):
        held = vars(_own)[name] = aligned(4 * sum(sizes)).view(np.float32)
    ends = list(accumulate(sizes))
    starts = zip([0, *ends], shapes, strict=False)
    return [held[start : start + prod(shape)].reshape(shape) for start, shape in starts]


def aligned(size: int) -> Array:
    """So many bytes, which begin with a line of the cache: what crosses lines costs twice."""
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size]


_own = local()
