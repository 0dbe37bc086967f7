"""Whether `blame` names the one vertex of a random program whose derivative is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph.draw import Draw
from gradgraph.testing import blame
from gradgraph.testing.programs import Program

FACTORS = ("flipped", "doubled", "off by 1 %", "one forgotten")
SIDES = ("vjp", "jvp", "both")


def spoilt(op: gg.Op, factor: str, side: str) -> gg.Op:
    """An op like another, but with one cotangent, or one tangent, or both, times a factor."""
    cls = type(op)

    def times(value: Any) -> Any:
        if factor == "one forgotten":
            keep = np.ones(value.shape)
            keep.flat[-1] = 0.0
            return value * keep
        return value * {"flipped": -1.0, "doubled": 2.0, "off by 1 %": 1.01}[factor]

    def pulls(self: Any, *args: Any) -> list[Any]:
        found = list(cls.pulls(self, *args))
        k = next(i for i, g in enumerate(found) if g is not None)
        return [*found[:k], times(found[k]), *found[k + 1 :]]

    def pushes(self: Any, *args: Any) -> list[Any]:
        found = list(cls.pushes(self, *args))
        return [times(found[0]), *found[1:]]

    rules = {"pulls": pulls} if side != "jvp" else {}
    rules |= {"pushes": pushes} if side != "vjp" else {}
    before = dict(gg.Op.registry)
    try:
        wrong = type("Wrong" + cls.__name__, (cls,), rules)
    finally:
        gg.Op.registry.clear()
        gg.Op.registry.update(before)
    return wrong(*op._values)


def first_blamed(seed: int) -> tuple[str, Sequence[str]]:
    """Spoil one step of a random program; the op that is wrong, and those blamed, in order.

    The name of an op that is blamed, but is not the wrong one, has a ? after it.
    """
    rng = np.random.default_rng(seed)
    program = Program.drawn(Draw.seeded(seed), longest=12)
    step = int(rng.integers(len(program.steps)))
    wrong = spoilt(program.steps[step][0], str(rng.choice(FACTORS)), str(rng.choice(SIDES)))
    found = blame(lambda *xs: program.run(xs, {step: wrong}), *program.inputs, seed=seed)
    ops = [s.vertex.op for s in found]
    return wrong.name, [op.name if op is wrong else f"{op.name}?" for op in ops if op]
