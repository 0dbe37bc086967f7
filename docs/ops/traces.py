"""What a public function records: its example is run again, with tensors for its arrays."""

from __future__ import annotations

import doctest
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import gradgraph as gg


def recorded(function: Callable[..., Any]) -> gg.Graph | None:
    """The graph of the first call in a function's example; None if it records nothing."""
    graphs: list[gg.Graph] = []

    def tracing(*args: Any, **kwargs: Any) -> Any:
        if not graphs:
            graphs.extend(_graphs(function, args, kwargs))
        return function(*args, **kwargs)

    name = function.__name__
    known = {**vars(sys.modules[function.__module__]), "np": np, "gg": gg, name: tracing}
    with _replaced(name, tracing), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an example may show what overflows
        for source in _sources(function):
            try:
                exec(source, known)  # the examples of this repository
            except Exception:  # an example of an error
                continue
    return graphs[0] if graphs else None


def _sources(function: Callable[..., Any]) -> list[str]:
    return [e.source for e in doctest.DocTestParser().get_examples(inspect.getdoc(function) or "")]


@contextmanager
def _replaced(name: str, function: Any) -> Iterator[None]:
    """`gg.name` stands for another function."""
    original = getattr(gg, name)
    setattr(gg, name, function)
    try:
        yield
    finally:
        setattr(gg, name, original)


def _graphs(function: Callable[..., Any], args: Any, kwargs: Any) -> list[gg.Graph]:
    """The graph of one call, if it made any."""
    names = list(inspect.signature(function).parameters)
    named = {**dict(zip(names, args, strict=False)), **kwargs}
    values = list(_parts(list(named.values())))
    arrays = any(isinstance(a, np.ndarray | gg.Tensor) for a in values)
    floats = not arrays or any(getattr(a, "dtype", np.dtype(int)).kind == "f" for a in values)
    with gg.capture():
        out = function(
            *(_lifted(a, n, arrays, floats) for a, n in zip(args, [*names, *names], strict=False)),
            **{n: _lifted(a, n, arrays, floats) for n, a in kwargs.items()},
        )
    outs = [o for o in _parts(out) if isinstance(o, gg.Tensor)]
    graph = gg.Graph.of(outs) if outs else None
    return [graph] if graph and graph.steps else []


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        for v in value:
            yield from _parts(v)
    else:
        yield value


def _lifted(value: Any, name: str, arrays: bool, floats: bool) -> Any:
    """Floats as leaves that require grad; a number or a list only where there are no arrays, and
    an array of integers as a leaf only where there are no floats."""
    if isinstance(value, gg.Tensor):
        return value
    if isinstance(value, tuple | list) and any(isinstance(v, np.ndarray) for v in value):
        return type(value)(_lifted(v, f"{name}[{i}]", arrays, floats) for i, v in enumerate(value))
    if not arrays and isinstance(value, float | list):
        try:
            value = np.asarray(value)
        except ValueError:
            return value
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return gg.Tensor(value, requires_grad=True, name=name)
    if isinstance(value, np.ndarray) and not floats:
        return gg.Tensor(value, name=name)
    return value
