"""Arguments and results taken apart: tensors and arrays on one side, all else on the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..node import Vertex

_BY_VALUE = (str, bytes, int, bool, complex, type(None), np.dtype, type, type(...))


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

    def objects(self) -> list[Any]:
        """What is neither a number nor a string, nor a form that can be taken apart."""
        found, stack = [], [self.key]
        while stack:
            key = stack.pop()
            if isinstance(key, Same):
                found.append(key.value)
            elif isinstance(key, tuple):
                stack.extend(key)
        return found

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
    if isinstance(value, Vertex) or (isinstance(value, np.ndarray) and value.dtype.kind in "biufc"):
        leaves.append(value)
        return None, next
    kind = type(value)
    named_tuple = isinstance(value, tuple) and hasattr(kind, "_fields")
    if kind is tuple or kind is list or named_tuple:
        parts = [_take(item, leaves) for item in value]
        makers = [make for _, make in parts]
        whole: Callable[[Any], Any] = kind._make if named_tuple else kind
        return (kind, *(key for key, _ in parts)), lambda left: whole(m(left) for m in makers)
    if kind is dict or kind is OrderedDict:
        named = {name: _take(item, leaves) for name, item in value.items()}
        key = (kind, *((type(name), name, k) for name, (k, _) in named.items()))
        return key, lambda left: kind((name, make(left)) for name, (_, make) in named.items())
    if kind is slice:
        ends, make = _take((value.start, value.stop, value.step), leaves)
        return (kind, ends), lambda left: slice(*make(left))
    if isinstance(value, np.generic):
        return (kind, value.tobytes()), lambda _: value
    if isinstance(value, float):
        return (kind, repr(value)), lambda _: value  # 0.0 is not -0.0, NaN is itself
    if isinstance(value, _BY_VALUE):
        return (kind, value), lambda _: value
    return Same(value), lambda _: value


class Same:
    """An object that is equal to itself only; it is kept, so that no other takes its place."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)
