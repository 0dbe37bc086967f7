"""The one way from the engine up to the pictures, which are an optional floor above it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from .graph import Graph
from .node import Vertex


def render(graph: Graph, marks: Mapping[Vertex, str], title: str | None = None) -> Any:
    """A drawing of the graph with the marked vertices in red, each with a few words.

    The drawing package is found by its name when it is needed: nothing below depends on it.
    """
    return import_module("gradgraph.viz").draw(graph, marks=marks, title=title)
