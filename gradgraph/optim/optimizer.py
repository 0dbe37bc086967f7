"""What optimisers share: parameters, settings, and state that is leaf tensors."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..compile.effect import Recipe
from ..errors import DomainError, DTypeError, GradError
from ..mode import current
from ..node import leaf
from ..state import check_names, fitting
from ..tensor import Array, Tensor

BLOCK = 65536  # numbers per piece of an update: few enough that its operands stay in the cache


class Setting:
    """A number of an optimiser, at least 0, that may be changed between steps.

    Args:
        below: what it must be less than.
        positive: whether it must be more than 0.
    """

    def __init__(self, below: float = math.inf, positive: bool = False) -> None:
        self.below, self.positive = below, positive

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Any, owner: type) -> Any:
        return self if optimizer is None else optimizer.__dict__[self.name]

    def __set__(self, optimizer: Any, value: Any) -> None:
        op = type(optimizer).__name__
        if tape := current().tape:
            tape.refuse(f"{op}.{self.name}")
        checked = number(op, self.name, value, below=self.below)
        if self.positive and not checked:
            raise DomainError(op, f"{self.name} is 0, and must be positive", "Use the usual one.")
        optimizer.__dict__[self.name] = checked


class Optimizer:
    """What optimisers share: the parameters, the learning rate, and one update for each.

    A subclass defines `update(i, w, g)`, which changes the i-th parameter's array w in place,
    given its gradient g. It keeps state in `slots`, lists of leaf tensors, one for each parameter,
    and its numbers in `Setting`s; both are in `state_dict`.

    Args:
        parameters: leaf tensors that require grad, e.g. `net.parameters()`.
        lr: the learning rate, a number ≥ 0; may be changed between steps.

    Raises:
        DTypeError: if a parameter is no tensor, or lr is no number.
        GradError: if a parameter was computed, or does not require grad.
        DomainError: if there is no parameter, one is given twice, or lr is negative.
    """

    lr = Setting()

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        self.parameters = checked(type(self).__name__, parameters)
        self.slots: dict[str, list[Tensor]] = {}
        self.lr = lr

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for p in self.parameters:
            p.grad = None

    def step(self) -> None:
        """Change each parameter that has a gradient and is not frozen; the others stay as they are.

        Graphs that were recorded from the old values refuse to be swept afterwards.
        """
        tape = current().tape
        for i, p in enumerate(self.parameters):
            if p.grad is None or not p.requires_grad:
                continue
            if tape:
                slots = [held[i] for held in self.slots.values()]
                told = {"slots": slots, "recipe": self.recipe(i)}
                tape.change(p, type(self).__name__, partial(self.update, i), p.grad, **told)
            else:
                self.update(i, p.own(), p.grad._data)

    def update(self, i: int, w: Array, g: Array) -> None:
        """Change the array w of the i-th parameter in place, given its gradient g."""
        raise GradError(
            type(self).__name__,
            "the optimiser has no update, so it changes nothing",
            "Add `def update(self, i, w, g)` to the class.",
        )

    def recipe(self, i: int) -> Recipe | None:
        """What `update` does, for compiled functions that know it by name; None for none."""
        return None

    def add_slot(self, name: str, zero: Any = None) -> list[Tensor]:
        """State for each parameter: zeros of its shape, in single precision or better, or copies
        of `zero`."""
        start = [
            np.zeros(p.shape, wide(p.dtype)) if zero is None else zero for p in self.parameters
        ]
        self.slots[name] = [leaf(Tensor, np.array(a)) for a in start]
        return self.slots[name]

    def state_dict(self) -> dict[str, Any]:
        """The settings as numbers, and copies of the state as arrays: "velocity.0", ….

        >>> import gradgraph as gg
        >>> from gradgraph import optim
        >>> w = gg.Tensor(1.0, requires_grad=True)
        >>> optim.SGD([w], lr=0.1, momentum=0.9).state_dict()
        {'kind': 'SGD', 'nesterov': False, 'lr': 0.1, 'momentum': 0.9, 'weight_decay': 0.0, \
'velocity.0': array(0.)}
        """
        settings: dict[str, Any] = {name: getattr(self, name) for name in self._settings()}
        return self._fixed() | settings | {name: t.numpy() for name, t in self._state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave for an optimiser of the same kind; all, or nothing.

        Raises:
            DomainError: if names are missing or unknown, or a setting is out of range.
            DTypeError: if a value is of another kind.
            ShapeError: if an array does not fit its parameter.
        """
        kind, own, settings = type(self).__name__, dict(self._state()), self._settings()
        fix = f"Make the {kind} with the settings and parameters that the state was saved from."
        check_names(kind, [*self._fixed(), *settings, *own], state, fix)
        for name, value in self._fixed().items():
            if plain(state[name]) != value:
                raise DomainError(kind, f"its {name} is {value!r}, not {state[name]!r}", fix)
        arrays = fitting(kind, own, state)
        before = {name: getattr(self, name) for name in settings}
        try:
            for name in settings:
                setattr(self, name, plain(state[name]))
        except (DTypeError, DomainError):
            self.__dict__.update(before)
            raise
        for name, t in own.items():
            t.assign(arrays[name])

    def _fixed(self) -> dict[str, Any]:
        """What has to be the same in a state that is loaded."""
        return {"kind": type(self).__name__}

    def _settings(self) -> list[str]:
        """The names of the settings, the learning rate first."""
        classes = reversed(type(self).__mro__)
        return [k for c in classes for k, v in vars(c).items() if isinstance(v, Setting)]

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for name, tensors in self.slots.items():
            for i, t in enumerate(tensors):
                yield f"{name}.{i}", t


def plain(value: Any) -> Any:
    """A number that was saved as an array without axes, as a number."""
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The arrays, of one shape, piece by piece, with a scratch array for each piece, in single
    precision or better.

    A piece is a view that stays in the cache while an update goes over it several times. Arrays
    that do not lie in reading order are one piece.

    >>> [[len(part) for part in piece] for piece in pieces(np.zeros(70000), np.ones(70000))]
    [[65536, 65536, 65536], [4464, 4464, 4464]]
    """
    if not all(a.flags.c_contiguous for a in arrays):
        yield *arrays, np.empty(arrays[0].shape, wide(arrays[0].dtype))
        return
    flat = [a.reshape(-1) for a in arrays]
    size = flat[0].size
    scratch = np.empty(min(size, BLOCK), wide(flat[0].dtype))
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        yield *(a[start:stop] for a in flat), scratch[: stop - start]


def wide(dtype: Any) -> Any:
    """The dtype to compute in: squares of half precision would vanish, and small steps, too.

    >>> wide(np.float16), wide(np.float64)
    (dtype('float32'), dtype('float64'))
    """
    return np.promote_types(dtype, np.float32)


def decayed(g: Array, w: Array, weight_decay: float, scratch: Array) -> Array:
    """g + weight_decay · w, in the scratch array if there is anything to add or to widen."""
    if not weight_decay:
        return g.astype(scratch.dtype, copy=False)
    np.multiply(w, weight_decay, out=scratch)
    return np.add(g, scratch, out=scratch)


def number(op: str, name: str, value: Any, least: float = 0, below: float = math.inf) -> float:
    """The value as a finite float from `least` to less than `below`, checked.

    >>> number("SGD", "lr", 1)
    1.0
    """
    real = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not real:
        raise DTypeError(op, f"{name} is {value!r}, not a number", f"Use {name}=0.1.")
    if not (least <= value < below and value <= sys.float_info.max):
        wanted = f"a finite number ≥ {least:g}" + ("" if below == math.inf else f" and < {below:g}")
        fix = 0.1 if least <= 0.1 < below else least
        raise DomainError(op, f"{name} is {value}, not {wanted}", f"Use {name}={fix:g}, say.")
    return float(value)


def checked(op: str, parameters: Any) -> tuple[Tensor, ...]:
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
