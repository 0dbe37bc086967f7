"""What happens to each layer while a network learns: gradients, updates, dead units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from gradgraph.errors import DomainError, DTypeError, GradError, MutationError, ShapeError
from gradgraph.nn.module import Module
from gradgraph.node import Vertex
from gradgraph.spec import show
from gradgraph.sweep import reach
from gradgraph.tensor import Array, Tensor

from .curves import curves
from .flow import norm
from .picture import Picture

Numbers = list[float | None]

_SAFE = (1e-30, 1e30)  # sums of squares that float32 neither rounds to zero nor to infinity


@dataclass(slots=True)
class Track:
    """One layer over the recorded steps; None where there was nothing to measure.

    Attributes:
        weights: how many numbers it learns. W stands for all of them, biases included.
        gradient: ‖∂W‖.
        relative: ‖∂W‖ / ‖W‖.
        update: ‖ΔW‖ / ‖W‖, where ΔW is how W had changed when `record` was called again.
        dead: share of the units of its relus that are zero for the whole batch.
    """

    weights: int
    gradient: Numbers = field(default_factory=list)
    relative: Numbers = field(default_factory=list)
    update: Numbers = field(default_factory=list)
    dead: Numbers = field(default_factory=list)


class History(Picture):
    """Notes a few numbers of every layer at each step of training, and draws them.

    A layer is what holds parameters, e.g. `features.conv1`; the relus that come after it, up to the
    next layer, are its own. Four numbers are kept for each layer and recorded step, and, from one
    call to the next, the weights as they were: while these are held, an optimiser writes its result
    to new arrays. So whatever it does is measured by a difference, and costs one copy.

    Args:
        module: whose parameters are watched.
        every: 10 records the first of ten calls and skips the others.

    Attributes:
        steps: numbers of the recorded calls, from 0.
        losses: the losses there.
        layers: by name, in the order in which the network first used them.

    Raises:
        DTypeError: if the module is none.
        DomainError: if it has no parameters, or every is no int ≥ 1.

    >>> import gradgraph as gg
    >>> from gradgraph import nn, optim
    >>> net = nn.Sequential(fc=nn.Linear(2, 3, rng=0), act=nn.ReLU())
    >>> optimizer, history = optim.SGD(net.parameters(), lr=0.1), History(net)
    >>> for step in range(3):
    ...     optimizer.zero_grad()
    ...     loss = net(np.ones((4, 2), np.float32)).sum()
    ...     loss.backward()
    ...     history.record(loss)
    ...     optimizer.step()
    >>> history
    History(1 layer, 3 steps)
    >>> ratio = history.as_dict()["layers"]["fc"]["update"][0]
    >>> abs(ratio - 0.1 * history.layers["fc"].relative[0]) < 1e-6
    True
    """

    def __init__(self, module: Module, every: int = 1) -> None:
        if not isinstance(module, Module):
            raise DTypeError(
                "History", f"{type(module).__name__} is no module", "Use viz.History(net)."
            )
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise DomainError("History", f"every is {every!r}, not an int ≥ 1", "Use every=10.")
        root = type(module).__name__.lower()
        self._parameters: dict[str, list[Tensor]] = {}
        for name, p in module.named_parameters():
            self._parameters.setdefault(name.rpartition(".")[0] or root, []).append(p)
        if not self._parameters:
            raise DomainError(
                "History",
                f"the {type(module).__name__} has no parameters",
                "Watch one that learns.",
            )
        self._title = f"{type(module).__name__}: gradients over training"
        self._owner: dict[Vertex, str] = {
            p: name for name, held in self._parameters.items() for p in held
        }
        self._before: dict[str, tuple[float, list[Array]]] = {}
        self._stamp = self._calls = 0
        self.every = every
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.layers = {
            name: Track(sum(p.size for p in held)) for name, held in self._parameters.items()
        }

    @np.errstate(all="ignore")
    def record(self, loss: Tensor) -> None:
        """Note a step; call it after `loss.backward()` and before `optimizer.step()`.

        Raises:
            DTypeError: if the loss is no tensor.
            ShapeError: if it is not one number.
            GradError: if it does not depend on the module, or no parameter has a gradient. Whether
                the gradients are those of this loss is not checked.
            MutationError: if the weights have been changed since.
        """
        order = self._checked(loss) if self._calls % self.every == 0 else []
        if self._before:
            self._measure_updates()
        if order:
            if not self.steps:
                self._sort(order)
            dead = _dead(order, self._owner)
            for name, held in self._parameters.items():
                self._note(name, held, dead.get(name))
            self._stamp = self._version()
            self.steps.append(self._calls)
            self.losses.append(float(loss.item()))
        self._calls += 1

    def as_dict(self) -> dict[str, Any]:
        """All that was noted, as plain numbers in lists: `step`, `loss` and, by name, `layers`."""
        self._catch_up()
        layers = {name: asdict(track) for name, track in self.layers.items()}
        return {"step": list(self.steps), "loss": list(self.losses), "layers": layers}

    @property
    def svg(self) -> str:
        """The picture so far, as SVG text.

        Raises:
            DomainError: if nothing was recorded yet.
        """
        if not self.steps:
            raise DomainError(
                "History", "nothing was recorded yet", "Call history.record(loss) in every step."
            )
        self._catch_up()
        return curves(self._title, self.steps, self.losses, self.layers)

    def _repr_svg_(self) -> str | None:
        return self.svg if self.steps else None

    def __repr__(self) -> str:
        layers, steps = len(self.layers), len(self.steps)
        return f"History({layers} layer{'s' * (layers != 1)}, {steps:,} step{'s' * (steps != 1)})"

    def _checked(self, loss: Any) -> list[Vertex]:
        """The loss's graph, if the gradients at hand can be those of this loss."""
        if not isinstance(loss, Tensor):
            raise DTypeError(
                "History.record",
                f"the loss is {type(loss).__name__}, not a tensor",
                "Pass the tensor that backward() was called on, not its number.",
            )
        if loss.size != 1:
            raise ShapeError(
                "History.record", f"the loss is {show(loss.shape)}, not one number", "Use .mean()."
            )
        order = reach([loss])
        readers = [v for v in order if any(x in self._owner for x in v.inputs)]
        if not readers:
            raise GradError(
                "History.record",
                "the loss was not computed from the parameters of the module",
                "Pass the loss of the module that is watched, computed outside no_grad.",
            )
        if any(v._seen != sum(x.version for x in v.inputs) for v in readers):
            raise MutationError(
                "History.record",
                "the weights have been changed since the loss was computed",
                "Call record(loss) before optimizer.step().",
            )
        if all(p.grad is None for held in self._parameters.values() for p in held):
            raise GradError(
                "History.record", "no parameter has a gradient", "Call loss.backward() first."
            )
        return order

    def _sort(self, order: Sequence[Vertex]) -> None:
        """Put the layers in the order in which the graph reads them."""
        read = [self._owner[x] for v in order for x in v.inputs if x in self._owner]
        names = dict.fromkeys([*read, *self.layers])
        self.layers = {name: self.layers[name] for name in names}

    def _note(self, name: str, held: Sequence[Tensor], dead: float | None) -> None:
        grads = [p.grad._data for p in held if p.grad is not None]
        gradient, size = _norm(grads) if grads else None, _norm([p._data for p in held])
        track = self.layers[name]
        track.gradient.append(gradient)
        track.relative.append(_ratio(gradient, size))
        track.update.append(None)
        track.dead.append(dead)
        self._before[name] = size, [p.data for p in held]

    def _measure_updates(self) -> None:
        """How far the weights have gone from where they were at the last recorded step."""
        for name, (size, before) in self._before.items():
            now = self._parameters[name]
            moved = [p._data - old for p, old in zip(now, before, strict=True)]
            self.layers[name].update[-1] = _ratio(_norm(moved), size)
        self._before = {}

    @np.errstate(all="ignore")
    def _catch_up(self) -> None:
        """Measure the last update now, if it has happened already."""
        if self._before and self._version() != self._stamp:
            self._measure_updates()

    def _version(self) -> int:
        return sum(p.version for p in self._owner)


def _norm(arrays: Sequence[Array]) -> float:
    """The norm of all numbers in the arrays."""
    total = 0.0
    for a in arrays:
        flat = a.ravel(order="K")  # as it lies in memory, without a copy
        flat = flat if flat.dtype.itemsize > 2 else flat.astype(np.float32)
        total += float(np.dot(flat, flat))
    return math.sqrt(total) if _SAFE[0] < total < _SAFE[1] else norm(tuple(arrays))


def _ratio(part: float | None, whole: float) -> float | None:
    """A share; of nothing it is infinite, or, if the part is nothing too, unknown."""
    if part is None or (part == 0 and whole == 0):
        return None
    return part / whole if whole else part * math.inf


def _dead(order: Sequence[Vertex], owner: dict[Vertex, str]) -> dict[str, float]:
    """For each layer that a relu follows, the share of the units that are zero for all items."""
    nearest: dict[Vertex, tuple[int, str]] = {}  # the last layer on the way to each vertex
    counts: dict[str, tuple[int, int]] = {}
    for v in order:
        own = [(v.birth, owner[x]) for x in v.inputs if x in owner]
        above = own or [nearest[x] for x in v.inputs if x in nearest]
        if not above:
            continue
        nearest[v] = max(above)
        out = v._data
        if v.op is None or v.op.name != "relu" or out.ndim < 2 or not out.size:
            continue
        rows = out.reshape(-1, out.shape[-1])
        dead, units = counts.get(nearest[v][1], (0, 0))
        counts[nearest[v][1]] = dead + _silent(rows), units + rows.shape[1]
    return {name: dead / units for name, (dead, units) in counts.items()}


def _silent(rows: Array) -> int:
    """How many columns of numbers ≥ 0 are zero throughout."""
    for part in (rows[: len(rows) // 16], rows):  # often the first rows show that none is
        zero = np.ones(len(part), part.dtype) @ part == 0  # nothing cancels
        if not zero.any():
            return 0
    return int(zero.sum())
