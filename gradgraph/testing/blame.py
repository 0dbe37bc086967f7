"""Which vertex of a graph has the wrong rule: each op is held to the laws by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..mode import enable_grad
from ..node import Vertex
from ..op import Part, Saved
from ..sweep import reach
from .case import CannotCheck, FunctionCase, OpCase, Traced, normal, tracked
from .laws import LAWS, Broken, examine

POINTS = 3  # other points with the same shapes that an op is tried at


@dataclass(frozen=True)
class Suspect:
    """A vertex whose op breaks a law by itself.

    Attributes:
        vertex: the vertex.
        case: its op at the point where it fails.
        broken: the law, and what was found.
    """

    vertex: Vertex
    case: OpCase
    broken: Broken

    def __str__(self) -> str:
        op = self.vertex.op
        label = op.label() if op else ""
        scope = f" in {self.vertex.scope}" if self.vertex.scope else ""
        line = f" made at {self.line}" if self.line else ""
        name = getattr(op, "title", None) or getattr(op, "name", "op")
        return f"{name}{f' ({label})' if label and label != name else ''}{scope}{line}"

    @property
    def line(self) -> str:
        """The user's line that applied the op, if it was kept."""
        return getattr(self.vertex, "line", "") or ""


def blame(function: Callable[..., Any], *args: Any, order: int = 2, seed: int = 0) -> list[Suspect]:
    """The vertices of function(*args) whose ops are wrong by themselves, most suspicious first.

    Every op is held to the laws at the values that reach it, and at others of the same shapes. An
    empty list means that each op is right: what is wrong then is a value that left the graph, or
    how the sweeps put the rules together.

    Args:
        function: of tensors; closed-over tensors that require grad count too.
        args: its arguments.
        order: 2 to hold the ops to second derivatives, too.
        seed: for directions and points.

    Raises:
        CannotCheck: if the function returns no tensor.

    >>> import gradgraph as gg
    >>> bad = gg.custom(np.sin, vjp=lambda g, out, x: g * np.sin(x), name="bad sine")
    >>> [str(s) for s in blame(lambda x: gg.exp(bad(x * 2.0)), np.array([0.3, 0.5]), order=1)]
    ['bad sine']
    """
    return suspects(FunctionCase(function, args), order, seed)


def culprits(case: Traced, law: str, order: int, seed: int = 0) -> list[Suspect]:
    """The vertices whose ops break the same law at the same point; else all suspects."""
    found = []
    with case.held(), enable_grad():
        for v in reach([o for o in case.trace()[1] if tracked(o)]):
            for inner in _points(v, seed, 0):
                broken = _broken(inner, order, seed, law)
                if broken is not None:
                    found.append(Suspect(v, inner, broken))
    return found or suspects(case, order, seed)


def suspects(case: Traced, order: int, seed: int = 0) -> list[Suspect]:
    """The suspects among the vertices of a case."""
    _, outs = case.trace()
    order_of_birth = reach([o for o in outs if tracked(o)])
    found: list[tuple[tuple[int, int], Suspect]] = []
    laws = list(LAWS)
    with case.held(), enable_grad(), np.errstate(all="ignore"):
        for v in order_of_birth:
            for point, inner in enumerate(_points(v, seed)):
                broken = _broken(inner, order, seed + point)
                if broken is not None:
                    rank = (int(point > 0), laws.index(broken.law))
                    found.append((rank, Suspect(v, inner, broken)))
                    break
    found.sort(key=lambda pair: pair[0])
    return [suspect for _, suspect in found]


def _points(v: Vertex, seed: int, others: int = POINTS) -> Iterator[OpCase]:
    """The op at the values that reached it, then at others of the same shapes."""
    if v.op is None or isinstance(v.op, Part | Saved):
        return
    args = [x._data for x in v.inputs]
    if any(isinstance(a, tuple) for a in args):
        return
    here = OpCase(v.op, args)
    yield here
    rng = np.random.default_rng(seed)
    for k in range(others):
        xs = [rng.permutation(x.ravel()).reshape(x.shape) for x in here.xs]
        xs = [x + 0.1 * k * normal(rng, x.shape) * (np.std(x) or 1.0) for x in xs]
        yield here.at([x * rng.choice([-1.0, 1.0], size=x.shape) if k == 2 else x for x in xs])


def _broken(case: OpCase, order: int, seed: int, law: str = "") -> Broken | None:
    kinked = _tied(case)
    if law in ("differences", "kinks"):
        law = "kinks" if kinked else "differences"
    try:
        with np.errstate(all="ignore"):
            if not np.all(np.isfinite(case.value(case.xs))):
                return None
        examine(case, seed, order=order, kinked=kinked, only=law)
    except Broken as broken:
        return broken
    except CannotCheck:
        return None
    except Exception as error:
        return Broken("spec", f"it raised {type(error).__name__}: {error}")
    return None


def _tied(case: OpCase) -> bool:
    """Whether values repeat or are 0, so that the point may lie on a kink."""
    every = np.concatenate([x.ravel() for x in case.xs]) if case.xs else np.zeros(0)
    return bool(np.any(every == 0)) or len(np.unique(every)) < len(every)
