"""Arguments and results taken apart: tensors and arrays on one side, all else on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..node import Vertex

_BY_VALUE = (str, bytes, int, bool, type(None), np.generic, np.dtype, type)


class Tree:
    """The form of nested tuples, lists and dicts, and what they hold beside tensors and arrays.

    Two are equal if they have the same form, and the same numbers and strings, or the very same
    objects, in it.
    """

    __slots__ = ("_hash", "key", "make")

    def __init__(self, key: Any, make: Callable[[Iterator[Any]], Any]) -> None:
        self.key, self.make = key, make
        self._hash = hash(key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self.key == other.key

    def __hash__(self) -> int:
        return self._hash

    def filled(self, leaves: Sequence[Any]) -> Any:
        """The nested form with these tensors and arrays in their places."""
        return self.make(iter(leaves))


def flatten(value: Any) -> tuple[Tree, list[Any]]:
    """The form of a value, and the tensors and arrays in it, in order.

    >>> tree, leaves = flatten((np.zeros(2), {"scale": 3}))
    >>> leaves, tree.filled(["x"])
    ([array([0., 0.])], ('x', {'scale': 3}))
    """
    leaves: list[Any] = []
    key, make = _take(value, leaves)
    return Tree(key, make), leaves


def _take(value: Any, leaves: list[Any]) -> tuple[Any, Callable[[Iterator[Any]], Any]]:
    if isinstance(value, Vertex | np.ndarray):
        leaves.append(value)
        return None, next
    kind = type(value)
    if kind is tuple or kind is list:
        parts = [_take(item, leaves) for item in value]
        makers = [make for _, make in parts]
        return (kind, *(key for key, _ in parts)), lambda left: kind(m(left) for m in makers)
    if kind is dict:
        named = {name: _take(item, leaves) for name, item in value.items()}
        key = (dict, *((type(name), name, k) for name, (k, _) in named.items()))
        return key, lambda left: {name: make(left) for name, (_, make) in named.items()}
    if isinstance(value, float):
        return (kind, repr(value)), lambda _: value  # 0.0 is not -0.0, NaN is itself
    if isinstance(value, _BY_VALUE):
        return (kind, value), lambda _: value
    return _Same(value), lambda _: value


class _Same:
    """An object that is equal to itself only; it is kept, so that no other takes its place."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)
