"""Modules that are made of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .. import ops
from ..errors import DomainError, DTypeError, IndexingError, ShapeError
from ..spec import show
from .module import Module


class Sequential(Module):
    """Layers one after the other: each gets what the one before it computed.

    Args:
        layers: modules, or any functions of one argument; their names are "0", "1", ….
        named: the same with names of one's own, after those without.

    Raises:
        DTypeError: if a layer cannot be called.
        DomainError: if a name is already one of a module's methods.

    >>> import numpy as np
    >>> from gradgraph.nn import Conv, Flatten, Linear, MaxPool, ReLU
    >>> net = Sequential(conv=Conv(1, 4, 3, rng=0), act=ReLU(), pool=MaxPool(2))
    >>> y = net(np.zeros((1, 6, 6, 1), np.float32))
    >>> y.shape, y.scope
    ((1, 2, 2, 4), 'sequential.pool')
    >>> Sequential(Flatten(), Linear(4, 2, rng=0))
    Sequential()  10 parameters
      0: Flatten()
      1: Linear(4 → 2)  w 4×2, b 2  10 parameters
    """

    def __init__(self, *layers: Callable[[Any], Any], **named: Callable[[Any], Any]) -> None:
        self._order = (*map(str, range(len(layers))), *named)
        if len(set(self._order)) < len(self._order):
            twice = sorted(set(map(str, range(len(layers)))) & set(named))
            raise DomainError(
                "Sequential", f"two layers are called {twice[0]!r}", "Choose another name."
            )
        for name, layer in zip(self._order, (*layers, *named.values()), strict=True):
            _check_callable("Sequential", f"layer {name}", layer)
            if hasattr(type(self), name) or name.startswith("_"):
                raise DomainError(
                    "Sequential",
                    f"a layer cannot be called {name!r}; a module has a use for that name",
                    "Choose another name.",
                )
            setattr(self, name, layer)

    def forward(self, x: Any) -> Any:
        for name in self._order:
            x = getattr(self, name)(x)
        return x

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int | slice | str) -> Any:
        """The layer at a position or of a name, or a Sequential of the layers in a slice (the same
        ones)."""
        if isinstance(index, str):
            if index not in self._order:
                known = ", ".join(self._order)
                raise IndexingError("Sequential", f"it has no layer {index!r}", f"It has {known}.")
            return getattr(self, index)
        if isinstance(index, slice):
            part = Sequential()
            part._order = self._order[index]
            vars(part).update({name: getattr(self, name) for name in part._order})
            return part
        return getattr(self, self._order[index])


class ModuleList(Module):
    """Modules in a row, as a list that a network may hold; their names are "0", "1", ….

    A plain list in an attribute counts just as well; this one also has a representation. It
    computes nothing itself.

    Args:
        modules: what is in it.

    Raises:
        DTypeError: if one of them is no module.

    >>> from gradgraph.nn import Linear, ReLU
    >>> layers = ModuleList(Linear(2, 2, rng=i) for i in range(2))
    >>> layers.append(ReLU())
    >>> len(layers), [name for name, _ in layers.named_parameters()]
    (3, ['0.w', '0.b', '1.w', '1.b'])
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._size = 0
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> None:
        """Add a module at the end."""
        if not isinstance(module, Module):
            what = module.__name__ if isinstance(module, type) else type(module).__name__
            raise DTypeError(
                "ModuleList", f"item {self._size} is {what}, not a module", "Pass nn.ReLU(), say."
            )
        setattr(self, str(self._size), module)
        self._size += 1

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Module]:
        return (getattr(self, str(i)) for i in range(self._size))

    def __getitem__(self, index: int | slice) -> Any:
        """The module at a position, or a list of those in a slice (the same ones)."""
        held = list(self)
        return ModuleList(held[index]) if isinstance(index, slice) else held[index]


class Residual(Module):
    """x + body(x): what the body computes is what it changes (He et al., 2015).

    Args:
        body: what is added.
        shortcut: what x goes through on the other way, where the body changes its shape; None
            for x itself.

    Raises:
        DTypeError: if one of them cannot be called.
        ShapeError: if both ways give different shapes.

    >>> import numpy as np
    >>> from gradgraph.nn import Linear, ReLU
    >>> block = Residual(Sequential(Linear(4, 8, rng=0), ReLU(), Linear(8, 4, rng=1)))
    >>> block(np.ones((2, 4), np.float32)).shape
    (2, 4)
    """

    def __init__(
        self, body: Callable[[Any], Any], shortcut: Callable[[Any], Any] | None = None
    ) -> None:
        _check_callable("Residual", "body", body)
        if shortcut is not None:
            _check_callable("Residual", "shortcut", shortcut)
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Any) -> Any:
        change = self.body(x)
        kept = x if self.shortcut is None else self.shortcut(x)
        if np.shape(change) != np.shape(kept):
            raise ShapeError(
                "Residual",
                f"the body gives {show(np.shape(change))}, the other way {show(np.shape(kept))}",
                "Give it a shortcut that brings x to the shape of the body's result.",
            )
        return ops.add(change, kept)


def _check_callable(op: str, what: str, layer: Any) -> None:
    """Raise unless a layer can be called; a class of modules cannot, in this place."""
    if isinstance(layer, type) and issubclass(layer, Module):
        raise DTypeError(
            op,
            f"{what} is the class {layer.__name__}, not a module",
            f"Make one: {layer.__name__}(...).",
        )
    if not callable(layer):
        raise DTypeError(
            op,
            f"{what} is {type(layer).__name__}, which cannot be called",
            f"Pass the layers one by one: {op}(*layers)."
            if isinstance(layer, list | tuple)
            else "Pass modules or functions of one argument.",
        )
