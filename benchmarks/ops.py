"""Every op on a large array beside the plain-numpy expression: forward, and its way back.

    OMP_NUM_THREADS=1 python benchmarks/ops.py [--rounds 15] [--only NAME] [--json]

Both are timed in turn in one process on one thread; the numbers are medians of processor time, in
milliseconds, so that what else runs on the machine counts little. The bars: forward
(recorded) at most 1.3 × numpy; backward (one pull, the cotangent is there) at most 3 × forward, or
1.3 × the numpy expression of the gradient where there is one. A view, which costs numpy almost
nothing, may take 100 µs to record, with caches that are cold. Floats are tensors made beforehand,
as of a data set; an array in their place would be copied when it is recorded. The entries are in
`op_entries/`; one whose function does not exist is left out.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from op_entries import ENTRIES, Entry

import gradgraph as gg

FORWARD, BACKWARD, GRADIENT = 1.3, 3.0, 1.3
VIEW, OVERHEAD = 10e-6, 100e-6  # seconds: what costs numpy less than the one may take the other


@dataclass(frozen=True)
class Result:
    """Medians in seconds, the ratios that the bars are about, and whether they are kept."""

    name: str
    forward: float
    numpy: float
    backward: float
    gradient: float | None  # of the numpy expression

    @property
    def forward_ratio(self) -> float:
        return self.forward / self.numpy

    @property
    def forward_ok(self) -> bool:
        allowed = OVERHEAD if self.numpy < VIEW else FORWARD * self.numpy
        return self.forward <= allowed

    @property
    def backward_ratio(self) -> float:
        """Times the forward time."""
        return self.backward / self.forward

    @property
    def gradient_ratio(self) -> float | None:
        """Times the numpy expression of the gradient."""
        return None if self.gradient is None else self.backward / self.gradient

    @property
    def backward_ok(self) -> bool:
        bars = [BACKWARD * self.forward]
        if self.gradient is not None:
            bars.append(GRADIENT * self.gradient)
        return self.backward <= max(bars)


def measured(entry: Entry, rounds: int) -> Result:
    """Time an entry, after both sides were seen to compute the same."""
    args = entry.make(np.random.default_rng(0))
    floats = [i for i, a in enumerate(args) if _is_float(a)]
    places = floats[: entry.by]
    tensors = [gg.Tensor(a) if i in floats else a for i, a in enumerate(args)]

    def function(*xs: Any) -> Any:
        given = list(tensors)
        for i, x in zip(places, xs, strict=True):
            given[i] = x
        return entry.ours(*given)

    xs = [args[i] for i in places]
    leaves = [gg.Tensor(x, requires_grad=True) for x in xs]
    out, pull = gg.vjp(function, *xs)
    cotangent = np.random.default_rng(1).normal(size=np.shape(out))
    runs: list[Callable[[], Any]] = [
        lambda: function(*leaves),
        lambda: entry.numpy(*args),
        lambda: pull(cotangent),
    ]
    if entry.gradient is not None:
        gradient, result = entry.gradient, np.asarray(out)
        runs.append(lambda: gradient(cotangent, result, *args))
    if entry.same:
        _same(entry.name, [out], [runs[1]()])
    if len(runs) > 3:
        _same(f"gradient of {entry.name}", _several(runs[2]()), _several(runs[3]()))
    seconds = [statistics.median(times) for times in _timed(runs, rounds)]
    return Result(entry.name, *seconds[:3], seconds[3] if len(runs) > 3 else None)


def keep_memory() -> None:
    """Let the allocator keep what is freed, where it is glibc's.

    Else every large array is mapped anew, page by page, and the time of that, more than the work,
    falls on one side or the other as it happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim, mmap, huge = -1, -3, 2**30
        mallopt(mmap, huge)
        mallopt(trim, huge)


def _timed(runs: list[Callable[[], Any]], rounds: int) -> list[list[float]]:
    """Seconds of each run in each round; the first round is for warming up.

    The order changes from round to round: whoever comes after a run on the same arrays finds them
    in the cache.
    """
    times: list[list[float]] = [[] for _ in runs]
    turns = list(zip(runs, times, strict=True))
    order = random.Random(0)
    gc.collect()
    for _ in range(rounds + 1):
        order.shuffle(turns)
        for run, kept in turns:
            start = time.process_time()
            result = run()
            kept.append(time.process_time() - start)
            del result
    return [kept[1:] for kept in times]


def _is_float(a: Any) -> bool:
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def _several(values: Any) -> list[Any]:
    return list(values) if isinstance(values, tuple) else [values]


def _same(what: str, ours: list[Any], theirs: list[Any]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), b, rtol=1e-6, atol=1e-9, err_msg=what)


def table(results: Iterable[Result]) -> Iterable[str]:
    """The lines of a markdown table."""
    yield "| op | forward | numpy | × | backward | × forward | × numpy gradient | verdict |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for r in results:
        by_gradient = "" if r.gradient_ratio is None else f"{r.gradient_ratio:.2f}"
        missed = [
            name
            for name, kept in (("forward", r.forward_ok), ("backward", r.backward_ok))
            if not kept
        ]
        yield (
            f"| {r.name} | {r.forward * 1e3:.3f} | {r.numpy * 1e3:.3f} | {r.forward_ratio:.2f}"
            f" | {r.backward * 1e3:.3f} | {r.backward_ratio:.2f} | {by_gradient}"
            f" | {' and '.join(missed) + ' missed' if missed else 'kept'} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", action="append", metavar="NAME", help="an entry, or a function")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    args = parser.parse_args()
    chosen = [e for e in ENTRIES if not args.only or {e.name, e.function} & set(args.only)]
    if not chosen:
        parser.error(f"no entry is called {', '.join(args.only)}")
    keep_memory()
    there = [e for e in chosen if hasattr(gg, e.function)]
    results = [measured(entry, args.rounds) for entry in there]
    if args.json:
        shown = [{**asdict(r), "kept": r.forward_ok and r.backward_ok} for r in results]
        print(json.dumps(shown, indent=1))
        return
    print("\n".join(table(results)))
    absent = sorted({e.function for e in chosen} - {e.function for e in there})
    kept = sum(r.forward_ok and r.backward_ok for r in results)
    print(f"\n{kept} of {len(results)} keep their bars")
    if absent:
        print(f"not there: {', '.join(absent)}", file=sys.stderr)


if __name__ == "__main__":
    main()
