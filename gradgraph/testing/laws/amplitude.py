"""How far rounding may move a number that is small because large terms cancel.

Nothing but the terms tells it, and they are not seen in the result. So everything is done once more
in float32: how far that is off, in its own eps, is what eps of float64 is to be multiplied with.
Where a scalar graph is at hand, the terms are also read off; where there is none, or a rule that
somebody else wrote, terms of the size of the cotangent are assumed.

Only asked for when a comparison is about to fail: a gradient that is zero but for rounding, like
that of Σ softmax(x) or of a bias before a normalisation, is no fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..case import Case, normal
from .claims import unfolded
from .verdict import largest

TRIALS = 6  # points nearby; at one of them all might round to the right number
NEARBY = 1e-6  # relative distance between them
SINGLE = float(np.finfo(np.float32).eps)


class Amplitude:
    """The sizes of the terms in the results, gradients and tangent of a case.

    Attributes:
        result: of the result.
        gradients: of the gradient of each variable, for a cotangent of standard normal numbers.
        tangent: of the tangent along standard normal numbers.
    """

    def __init__(self, case: Case) -> None:
        self.result = self.tangent = 0.0
        self.gradients = [0.0 for _ in case.xs]
        self._read(case)
        rng = np.random.default_rng(0)
        for _ in range(TRIALS):
            self._try(case, rng)

    def _read(self, case: Case) -> None:
        graph = unfolded(case)
        if graph is None or getattr(case, "opaque", False):
            self.gradients = [1.0 for _ in case.xs]
        if graph is None:
            return
        self.result = largest(graph.condition())
        scales = graph.pull(np.ones(graph.output.shape)).scales
        self.gradients = [max(g, largest(s)) for g, s in zip(self.gradients, scales, strict=True)]
        self.tangent = largest(graph.push([np.ones(x.shape) for x in case.xs]).scales)

    def _try(self, case: Case, rng: np.random.Generator) -> None:
        def near(x: Any) -> Any:
            return np.asarray(x * (1.0 + NEARBY * normal(rng, x.shape)), dtype=np.float32)

        xs = [near(x) for x in case.xs]
        u = near(normal(rng, case.value(case.xs).shape))
        ts = [near(normal(rng, x.shape)) for x in case.xs]
        try:
            rough = case.swept(xs, u, ts)
            there = case.at([x.astype(float) for x in xs])
            fine = there.swept(there.xs, u.astype(float), [t.astype(float) for t in ts])
        except Exception:
            return  # not everything takes float32
        self.result = max(self.result, gap(rough[0], fine[0]))
        self.tangent = max(self.tangent, gap(rough[2], fine[2]))
        gaps = map(gap, rough[1], fine[1])
        self.gradients = [max(g, gap) for g, gap in zip(self.gradients, gaps, strict=False)]


def gap(rough: Any, fine: Any) -> float:
    """The largest difference, in eps of float32."""
    gap = np.abs(np.asarray(rough, dtype=float) - fine)
    return largest(gap[np.isfinite(gap)]) / SINGLE


def amplitude(case: Case) -> Amplitude:
    """The amplitude of a case, found once."""
    if case.amplitude is None:
        case.amplitude = Amplitude(case)
    return case.amplitude  # type: ignore[no-any-return]


def of_result(case: Case) -> Callable[[], float]:
    """The terms of the result, to be found when they are asked for."""
    return lambda: amplitude(case).result


def of_gradient(case: Case, k: int, u: Any) -> Callable[[], float]:
    """The terms of the gradient of variable k, for cotangents as large as u."""
    return lambda: amplitude(case).gradients[k] * max(1.0, largest(u))


def of_tangent(case: Case, t: Any) -> Callable[[], float]:
    """The terms of the tangent, for tangents as large as t."""
    return lambda: amplitude(case).tangent * max(1.0, largest(t))
