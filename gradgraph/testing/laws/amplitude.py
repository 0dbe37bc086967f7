"""How far rounding may move a number that is small because large terms cancel.

Nothing but the terms tells it, and they are not seen in the result. So everything is done again in
float32: how far that is off, in its own eps, is what eps of float64 is to be multiplied with. And
once more with the result of every op moved a little, for what saturates rounds to itself in both.
Where a scalar graph is at hand, the terms are also read off.

Only asked for when a comparison is about to fail: a gradient that is zero but for rounding, like
that of Σ softmax(x), of tanh(20), or of a bias before a normalisation, is no fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ..case import Case, Traced, by_rows, joined, normal
from ..differences import EPS
from .claims import unfolded
from .verdict import Terms, largest

TRIALS = 4  # points nearby; at one of them all might round to the right number
MANY = 1_000  # elements
NEARBY = 1e-6  # relative distance between them
SHAKEN = 1e-3  # relative distance by which results of ops are moved; large, for a rule that
# chooses by its result (max) then jumps, which must not look like rounding
SINGLE = float(np.finfo(np.float32).eps)


class Amplitude:
    """The sizes of the terms in the result, the gradients and the tangent of a case, elementwise.

    Attributes:
        result: of the result.
        gradients: of the gradient of each variable, for a cotangent of standard normal numbers.
        tangent: of the tangent along standard normal numbers.
    """

    def __init__(self, case: Case) -> None:
        value = case.result
        self.result = self.tangent = np.zeros(value.shape)
        self.gradients = [np.zeros(x.shape) for x in case.xs]
        self._read(case)
        rng = np.random.default_rng(0)
        for _ in range(TRIALS):
            us = normal(rng, value.shape), [normal(rng, x.shape) for x in case.xs]
            with suppress(Exception):  # not everything takes float32
                self._narrowly(case, *us, rng)
            if isinstance(case, Traced):
                with suppress(Exception):
                    self._shakily(case, *us, rng)
        if isinstance(case, Traced):
            self._count_narrow_ops(case)

    def _read(self, case: Case) -> None:
        """What the scalar graph says; where there is none, or a rule is not known to it, terms of
        the natural size."""
        graph = unfolded(case)
        if graph is not None:
            self.result = graph.rounding()
            self.gradients = graph.pull(np.ones(graph.output.shape)).scales
            self.tangent = graph.push([np.ones(x.shape) for x in case.xs]).scales
        if graph is None or getattr(case, "opaque", False):
            size = largest(case.result)
            self.gradients = [
                np.maximum(g, size / (largest(x) or 1.0))
                for g, x in zip(self.gradients, case.xs, strict=True)
            ]

    def _narrowly(self, case: Case, u: Any, ts: Any, rng: np.random.Generator) -> None:
        def near(x: Any) -> Any:
            return np.asarray(x * (1.0 + NEARBY * normal(rng, x.shape)), dtype=np.float32)

        xs, u, ts = [near(x) for x in case.xs], near(u), [near(t) for t in ts]
        rough = case.swept(xs, u, ts)
        there = case.at([x.astype(float) for x in xs])
        fine = there.swept(there.xs, u.astype(float), [t.astype(float) for t in ts])
        self._take(rough, fine, SINGLE)

    def _shakily(self, case: Traced, u: Any, ts: Any, rng: np.random.Generator) -> None:
        leaves, outs = case.shaken(SHAKEN, rng)
        value = joined(outs)
        cotangents = case.pulled(leaves, outs, u) if case.reverse else []
        if case.forward:
            tangent = case.pushed(leaves, outs, ts)
        else:
            tangent = by_rows(value, ts, lambda u: case.pulled(leaves, outs, u))
        self._take((value, cotangents, tangent), case.swept(case.xs, u, ts), SHAKEN)

    def _take(self, rough: Any, fine: Any, size: float) -> None:
        self.result = np.maximum(self.result, gap(rough[0], fine[0]) / size)
        self.tangent = np.maximum(self.tangent, gap(rough[2], fine[2]) / size)
        gaps = map(gap, rough[1], fine[1])
        self.gradients = [
            np.maximum(g, found / size) for g, found in zip(self.gradients, gaps, strict=False)
        ]

    def _count_narrow_ops(self, case: Traced) -> None:
        """An op that computes in float32 rounds to that, whatever the arguments are."""
        floats = [np.asarray(v._data) for v in case.graph().vertices if v.op is not None]
        coarsest = max((np.finfo(a.dtype).eps for a in floats if a.dtype.kind == "f"), default=0)
        if coarsest > EPS:
            factor = float(coarsest) / EPS / 100
            sizes = case.swept(
                case.xs, np.ones(self.result.shape), [np.ones(x.shape) for x in case.xs]
            )
            self.result = self.result + factor * largest(sizes[0])
            self.tangent = self.tangent + factor * largest(sizes[2])
            self.gradients = [
                g + factor * largest(s) for g, s in zip(self.gradients, sizes[1], strict=False)
            ]


def gap(rough: Any, fine: Any) -> Any:
    """The difference, elementwise; of many elements some may agree by chance: then the largest."""
    found = np.abs(np.asarray(rough, dtype=float) - fine)
    found = np.where(np.isfinite(found), found, 0.0)
    return found if found.size < MANY else np.full(found.shape, found.max())


def amplitude(case: Case) -> Amplitude:
    """The amplitude of a case, found once."""
    if case.amplitude is None:
        case.amplitude = Amplitude(case)
    return case.amplitude  # type: ignore[no-any-return]


def natural(case: Case, k: int) -> float:
    """The size that a gradient of variable k would have if the result were linear in it."""
    return met(case) / (largest(case.xs[k]) or 1.0)


def met(case: Case) -> float:
    """The largest number on the way from the variables to the result."""
    found = [*case.xs, case.result]
    if isinstance(case, Traced):
        found += [v._data for v in case.graph().vertices if not isinstance(v._data, tuple)]
    return max(largest(a) for a in map(np.asarray, found) if a.dtype.kind == "f")


def of_result(case: Case) -> Terms:
    """The terms of the result, to be found when they are asked for."""
    return Terms(lambda: met(case), lambda: amplitude(case).result)


def of_gradient(case: Case, k: int, u: Any) -> Terms:
    """The terms of the gradient of variable k, for cotangents as large as u."""
    size = max(1.0, largest(u))
    return Terms(
        lambda: size * natural(case, k),
        lambda: size * amplitude(case).gradients[k],
    )


def of_tangent(case: Case, ts: Sequence[Any]) -> Terms:
    """The terms of the tangent of the result, for tangents as large as ts."""
    size = max([1.0, *map(largest, ts)])
    return Terms(
        lambda: size * max(natural(case, k) for k in range(len(case.xs))),
        lambda: size * amplitude(case).tangent,
    )
