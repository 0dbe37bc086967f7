"""Optimisers: how parameters follow their gradients. All their state is leaf tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .errors import DomainError, DTypeError, GradError
from .node import leaf
from .tensor import Array, Tensor

BLOCK = 65536  # numbers per piece of an update: few enough that its operands stay in the cache


class Optimizer:
    """What optimisers share: the parameters, the learning rate, and one update for each.

    A subclass defines `update(i, w, g)`, which changes the i-th parameter's array w in place,
    given its gradient g; it may keep state in leaf tensors of its own.

    Args:
        parameters: leaf tensors that require grad, e.g. `net.parameters()`.
        lr: the learning rate, a number ≥ 0; may be changed between steps.

    Raises:
        DTypeError: if a parameter is no tensor, or lr is no number.
        GradError: if a parameter was computed, or does not require grad.
        DomainError: if there is no parameter, one is given twice, or lr is negative.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        self.parameters = _checked(type(self).__name__, parameters)
        self.lr = lr

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = number(type(self).__name__, "lr", value)

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for p in self.parameters:
            p.grad = None

    def step(self) -> None:
        """Change every parameter that has a gradient; the others stay as they are.

        Graphs that were recorded from the old values refuse to be swept afterwards.
        """
        for i, p in enumerate(self.parameters):
            if p.grad is not None:
                self.update(i, p.own(), p.grad._data)

    def update(self, i: int, w: Array, g: Array) -> None:
        """Change the array w of the i-th parameter in place, given its gradient g."""
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum: v ← momentum · v + g,  w ← w - lr · v.

    With weight decay, g + weight_decay · w takes the place of g. With Nesterov's look-ahead,
    w ← w - lr · (g + momentum · v). Everything happens in place.

    Args:
        parameters, lr: as for `Optimizer`.
        momentum: how much of the last velocity stays, ≥ 0; the velocity starts at zero.
        weight_decay: pull towards zero, ≥ 0.
        nesterov: whether to look ahead; needs momentum.

    Raises:
        DomainError: if a number is negative, or nesterov is asked for without momentum.
        Also those of `Optimizer`.

    >>> w = Tensor(1.0, requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).backward()
    ...     optimizer.step()
    >>> round(w.item(), 6)
    0.46
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.velocity: list[Tensor] = []
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = bool(nesterov)
        if nesterov and not self.momentum:
            raise DomainError(
                "SGD", "nesterov looks ahead along the velocity, but momentum is 0", "Use 0.9."
            )

    @property
    def momentum(self) -> float:
        """How much of the last velocity stays; may be changed between steps."""
        return self._momentum

    @momentum.setter
    def momentum(self, value: float) -> None:
        self._momentum = number("SGD", "momentum", value)
        if self._momentum and not self.velocity:
            self.velocity = [leaf(Tensor, np.zeros(p.shape, p.dtype)) for p in self.parameters]

    @property
    def weight_decay(self) -> float:
        """The pull towards zero; may be changed between steps."""
        return self._weight_decay

    @weight_decay.setter
    def weight_decay(self, value: float) -> None:
        self._weight_decay = number("SGD", "weight_decay", value)

    def update(self, i: int, w: Array, g: Array) -> None:
        if not self.velocity:
            for w_, g_, scratch in pieces(w, g):
                w_ -= np.multiply(self._decayed(g_, w_, scratch), self.lr, out=scratch)
            return
        for w_, g_, v_, scratch in pieces(w, g, self.velocity[i].own()):
            slope = self._decayed(g_, w_, scratch)
            v_ *= self.momentum
            v_ += slope
            ahead = slope + self.momentum * v_ if self.nesterov else v_
            w_ -= np.multiply(ahead, self.lr, out=scratch)

    def _decayed(self, g: Array, w: Array, scratch: Array) -> Array:
        """g + weight_decay · w, in the scratch array if there is anything to add."""
        if not self.weight_decay:
            return g
        np.multiply(w, self.weight_decay, out=scratch)
        return np.add(g, scratch, out=scratch)


def pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The arrays, of one shape, piece by piece, with a scratch array for each piece.

    A piece is a view that stays in the cache while an update goes over it several times. Arrays
    that do not lie in reading order are one piece.

    >>> [[len(part) for part in piece] for piece in pieces(np.zeros(70000), np.ones(70000))]
    [[65536, 65536, 65536], [4464, 4464, 4464]]
    """
    if not all(a.flags.c_contiguous for a in arrays):
        yield *arrays, np.empty(arrays[0].shape, arrays[0].dtype)
        return
    flat = [a.reshape(-1) for a in arrays]
    size = flat[0].size
    scratch = np.empty(min(size, BLOCK), flat[0].dtype)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        yield *(a[start:stop] for a in flat), scratch[: stop - start]


def number(op: str, name: str, value: Any) -> float:
    """The value as a float ≥ 0, checked.

    >>> number("SGD", "lr", 1)
    1.0
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise DTypeError(op, f"{name} is {value!r}, not a number", f"Use {name}=0.1.")
    if not (math.isfinite(value) and value >= 0):
        raise DomainError(op, f"{name} is {value}, not a finite number ≥ 0", f"Use {name}=0.1.")
    return float(value)


def _checked(op: str, parameters: Any) -> tuple[Tensor, ...]:
    """The parameters as a tuple of different leaves that require grad."""
    if isinstance(parameters, Tensor) or not isinstance(parameters, Iterable):
        raise DTypeError(
            op,
            f"parameters is one {type(parameters).__name__}, not several tensors",
            "Pass a list of tensors, or net.parameters().",
        )
    result: list[Tensor] = []
    for i, p in enumerate(parameters):
        if not isinstance(p, Tensor):
            raise DTypeError(
                op,
                f"parameter {i} is {type(p).__name__}, not a Tensor",
                "Pass net.parameters(), without the names."
                if isinstance(p, tuple | str)
                else "Make it with gg.Tensor(values, requires_grad=True).",
            )
        label = p.name or f"parameter {i}"
        if p.op is not None:
            raise GradError(
                op,
                f"{label} was computed by {p.op.name}, so changing it has no effect on what"
                " it was computed from",
                "Pass the leaves that were made with requires_grad=True.",
            )
        if not p.requires_grad:
            raise GradError(
                op,
                f"{label} does not require grad, so it never gets one",
                "Make it with requires_grad=True, or leave it out.",
            )
        if any(p is q for q in result):
            raise DomainError(
                op, f"{label} is given twice and would be changed twice", "Pass it once."
            )
        result.append(p)
    if not result:
        raise DomainError(
            op,
            "there are no parameters",
            "net.parameters() is an iterator: call it again for each use.",
        )
    return tuple(result)
