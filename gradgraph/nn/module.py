"""Module: a function with parameters, whose ops know which part of the network they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import numpy as np

from ..compile import Compiled
from ..errors import DTypeError, GradError
from ..mode import current, scope
from ..spec import brief
from ..state import check_names, fitting
from ..tensor import Array, Tensor

_CALLER: ContextVar[Module | None] = ContextVar("gradgraph_caller", default=None)


class Module:
    """A part of a network: attributes hold its state and its parts, `forward` computes.

    An attribute that is a leaf Tensor is state: a parameter if it requires grad, a buffer if not.
    An attribute that is a Module is a child; lists, tuples and dicts of these count too. Names
    that begin with an underscore are left out. What is shared is found once, under its first name.

    Calling a module opens a scope around `forward`, named as its caller names it: a vertex made
    in `self.features.conv1` of a `Net` has the scope `net.features.conv1` (the class, in lower
    case, where no module is the caller).

    Attributes:
        training: what `train` and `eval` set; for layers that behave differently in use.

    >>> import gradgraph as gg
    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope = gg.Tensor(2.0, requires_grad=True, name="slope")
    ...
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> line = Line()
    >>> y = line(3.0)
    >>> y.item(), y.scope, [name for name, _ in line.named_parameters()]
    (6.0, 'line', ['slope'])
    """

    training: bool = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise GradError(
            type(self).__name__,
            "the module has no forward, so it computes nothing",
            "Add `def forward(self, x)` to the class.",
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        caller = _CALLER.get()
        path = None if caller is None else caller._path_to(self)
        token = _CALLER.set(self)
        if tape := current().tape:
            tape.uses(self)
        try:
            with scope(path or type(self).__name__.lower()):
                return self.forward(*args, **kwargs)
        finally:
            _CALLER.reset(token)

    # Its parts

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module (its name is empty) and all below it, with dotted names, each once."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [("", self)]
        while stack:
            name, module = stack.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module
                children = [(k, v) for k, v in module._held() if isinstance(v, Module)]
                stack.extend((_join(name, k), v) for k, v in reversed(children))

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The leaves that require grad, with dotted names, each once."""
        return ((name, t) for name, t in self._state() if t.requires_grad)

    def parameters(self, below: bool = True) -> Iterator[Tensor]:
        """The leaves that require grad: what an optimiser changes; or only those that this module
        holds itself."""
        if not below:
            own = {id(t): t for _, t in self._held() if isinstance(t, Tensor)}
            return (t for t in own.values() if t.requires_grad)
        return (t for _, t in self.named_parameters())

    def named_generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        """The generators that layers draw chance from, with dotted names, each once."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in module._attributes():
                if isinstance(value, np.random.Generator) and id(value) not in seen:
                    seen.add(id(value))
                    yield _join(path, name), value

    # What can be done to all of them

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for p in self.parameters():
            p.grad = None

    def train(self, mode: bool = True) -> Self:
        """Set `training` here and in all modules below; returns self."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """The same as `train(False)`."""
        return self.train(False)

    def freeze(self, frozen: bool = True) -> Self:
        """Let the parameters here and below stay as they are: they no longer require grad.

        Graphs that are recorded afterwards end above them, their gradients are forgotten, no new
        optimiser takes them, and one that has them leaves them alone. `freeze(False)` makes those
        of them parameters again that `freeze` made fixed, also where it was asked for more; returns
        self. Buffers are not frozen: in training a `BatchNorm` goes on counting.

        >>> from gradgraph import nn
        >>> net = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Linear(3, 1, rng=1))
        >>> _ = net[0].freeze()
        >>> [name for name, _ in net.named_parameters()]
        ['1.w', '1.b']
        """
        for module in self.modules():
            held = [t for _, t in module._held() if isinstance(t, Tensor)]
            fixed = vars(module).get("_frozen", [])
            if frozen:
                fixed = [*fixed, *(t for t in held if t.requires_grad)]
            for t in fixed:
                t.requires_grad = not frozen
                t.grad = None  # else an optimiser that has it would go on
            vars(module)["_frozen"] = fixed if frozen else []
        return self

    def frozen(self) -> Iterator[Tensor]:
        """The parameters here and below that `freeze` made fixed, each once.

        >>> from gradgraph import nn
        >>> [t.name for t in nn.Linear(2, 3, rng=0).freeze().frozen()]
        ['w', 'b']
        """
        held = {id(t): t for module in self.modules() for t in vars(module).get("_frozen", [])}
        return (t for t in held.values() if not t.requires_grad)

    def state_dict(self) -> dict[str, Array]:
        """Copies of all state, parameters and buffers, as plain arrays by dotted name.

        >>> from gradgraph import nn
        >>> sorted(nn.Linear(2, 3, rng=0).state_dict())
        ['b', 'w']
        """
        return {name: t.numpy() for name, t in self._state()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Assign the arrays to the state of the same names; all of them, or none.

        Args:
            state: dotted name → array, as `state_dict` gives it.
            strict: whether the names have to be the same; if not, those that only one side has are
                left out: to start with the weights of another network, in part.

        Raises:
            DomainError: if names are missing or unknown; not strict, if none is the same.
            ShapeError: if an array has another shape than the state.
            DTypeError: if an array is of another kind, e.g. complex numbers or strings.

        >>> from gradgraph import nn
        >>> saved, fresh = nn.Linear(2, 3, rng=0).state_dict(), nn.Linear(2, 3, rng=1)
        >>> fresh.load_state_dict(saved)  # or dict(np.load("net.npz"))
        """
        own, op = dict(self._state()), "load_state_dict"
        fix = f"Pass what state_dict() of another {type(self).__name__} returned."
        common = {name: t for name, t in own.items() if name in state}
        if strict or not common:
            if common:
                fix += " To load what both have, pass strict=False."
            check_names(op, own, state, fix)
        own = common
        arrays = fitting(op, own, state)
        for name, t in own.items():
            t.assign(arrays[name])

    # How it reads

    def extra_repr(self) -> str:
        """What the representation says of this module beside its class and its state."""
        return ""

    def __repr__(self) -> str:
        seen: set[int] = set()
        lines = []
        for name, module in self.named_modules():
            depth = name.count(".") + 1 if name else 0
            lines.append("  " * depth + module._line(name.rpartition(".")[2], seen))
        return "\n".join(lines)

    def _line(self, name: str, seen: set[int]) -> str:
        """Its name, class and settings, its own state with shapes, and the count of parameters."""
        head = f"{type(self).__name__}({self.extra_repr()})"
        state = [(k, v) for k, v in self._held() if isinstance(v, Tensor)]
        shapes = ", ".join(f"{k} {brief(v.shape)}" for k, v in state)
        count, fixed = (sum(p.size for p in own) for own in (self.parameters(), self.frozen()))
        told = _counted(count) if count else ""
        told += f"{' and ' if count else ''}{fixed:,} frozen" if fixed else ""
        parts = [f"{name}: {head}" if name else head, shapes, told]
        return "  ".join(part for part in parts if part)

    # What it holds

    def _held(self) -> Iterator[tuple[str, Any]]:
        """The state and the children among the attributes."""
        for name, value in self._attributes():
            if isinstance(value, Module) or (isinstance(value, Tensor) and value.op is None):
                yield name, value

    def _attributes(self) -> Iterator[tuple[str, Any]]:
        """The attributes, lists and dicts opened, without those that begin with an underscore."""
        stack = [(k, v) for k, v in reversed(vars(self).items()) if not k.startswith("_")]
        opened: set[int] = set()
        while stack:
            name, value = stack.pop()
            if isinstance(value, Compiled):  # what it has, it has from the module
                value = value.__wrapped__
            if not isinstance(value, list | tuple | dict):
                yield name, value
            elif id(value) not in opened:
                opened.add(id(value))
                items = value.items() if isinstance(value, dict) else enumerate(value)
                stack.extend((f"{name}.{k}", v) for k, v in reversed(list(items)))

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        """The leaf tensors here and below, with dotted names, each once."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in module._held():
                if isinstance(value, Tensor) and id(value) not in seen:
                    seen.add(id(value))
                    yield _join(path, name), value

    def _path_to(self, module: Module) -> str | None:
        """How this module names the other one, or None if it does not hold it."""
        for name, value in vars(self).items():
            if value is module and not name.startswith("_"):
                return name
        return next((name for name, held in self.named_modules() if held is module), None)


@contextmanager
def unchanged(target: Any, training: bool | None = None) -> Iterator[None]:
    """Run a module inside of this, and it is afterwards as it was: buffers, chance, and mode.

    Args:
        target: a module, or a method of one; of anything else, such as a function that calls a
            module, nothing is known, and it is left alone.
        training: the mode that it runs in; None for its own.

    >>> from gradgraph import nn
    >>> layer = nn.BatchNorm(2)
    >>> with unchanged(layer):
    ...     _ = layer(np.ones((4, 2), np.float32))
    >>> layer.mean.tolist()
    [0.0, 0.0]
    """
    target = target.__wrapped__ if isinstance(target, Compiled) else target
    target = getattr(target, "__self__", target)
    if not isinstance(target, Module):
        yield
        return
    modes = [(m, vars(m).get("training")) for m in target.modules()]
    states = [(g, g.bit_generator.state) for _, g in target.named_generators()]
    buffers = [(t, t.version, t.numpy()) for _, t in target._state() if not t.requires_grad]
    if training is not None:
        target.train(training)
    try:
        yield
    finally:
        for module, mode in modes:
            if mode is None:
                vars(module).pop("training", None)
            else:
                module.training = mode
        for generator, state in states:
            generator.bit_generator.state = state
        for t, version, value in buffers:
            if t.version != version:  # the same numbers again: what was recorded still holds
                t._data, t.version = value, version


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _counted(count: int) -> str:
    return f"{count:,} parameter{'' if count == 1 else 's'}"


def parameter(value: Array, name: str) -> Tensor:
    """A leaf that requires grad, made of float32 numbers, as layers hold them.

    Raises:
        DTypeError: if the values are no numbers.

    >>> parameter(np.zeros(2), "b")
    Tensor([0., 0.], dtype=float32, name='b', requires_grad=True)
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise DTypeError("parameter", f"{name} is {array.dtype}, not numbers", "Pass floats.")
    return Tensor(array.astype(np.float32), requires_grad=True, name=name)
